"""Run every benchmark and print one table, ready for docs/performance.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "start.py",
    "analyze_hour.py",
    "recorder.py",
    "live.py",
    "link.py",
    "load.py",
    "sound.py",
    "page.py",
    "view.py",
)


def main() -> None:
    chosen = sys.argv[1:] or SCRIPTS
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, `make bench`:\n")
    print("| What | Measured |\n|---|---|", flush=True)
    failed = [script for script in chosen if subprocess.run([sys.executable, HERE / script], check=False).returncode]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
