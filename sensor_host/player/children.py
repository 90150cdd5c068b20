"""Small programs asked for an answer: bounded in time, in plain English, without a window."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

# Windows opens a console window for every child unless told otherwise.
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def ask(
    command: Sequence[str], timeout_s: float, text: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program with ``text`` on its standard input and return what it answered.

    Raises
    ------
    OSError
        It cannot be started.
    subprocess.TimeoutExpired
        It did not end in time; it was killed.
    """
    return subprocess.run(
        list(command),
        input=text,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | dict(env or {}),
        creationflags=NO_WINDOW,
    )
