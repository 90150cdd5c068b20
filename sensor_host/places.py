"""Where hipdrive keeps what belongs to the user: settings, runners, sessions."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sensor_host.errors import OutputError

APP = "hipdrive"


def config_dir() -> Path:
    """Return the folder of hand-written settings: ``config.toml`` and ``runners/<name>.toml``."""
    import platformdirs

    return platformdirs.user_config_path(APP, appauthor=False)


def data_dir() -> Path:
    """Return the folder of what hipdrive writes itself: profiles and recorded sessions."""
    import platformdirs

    return platformdirs.user_data_path(APP, appauthor=False)


def cache_dir() -> Path:
    """Return the folder of what can be made anew at any time."""
    import platformdirs

    return platformdirs.user_cache_path(APP, appauthor=False)


def user_config_path() -> Path:
    """Return the path of the user's own settings."""
    return config_dir() / "config.toml"


def runner_config_path(runner: str) -> Path:
    """Return the path of the settings that hold for one runner only."""
    return config_dir() / "runners" / f"{runner}.toml"


def profile_path(runner: str) -> Path:
    """Return the path of a runner's profile."""
    return data_dir() / "runners" / f"{runner}.json"


def sensors_path() -> Path:
    """Return the path of what is remembered of sensors."""
    return data_dir() / "sensors.json"


def sound_path() -> Path:
    """Return the path of what was measured of sound devices."""
    return data_dir() / "sound.json"


def page_token_path() -> Path:
    """Return the path of the phone page's token."""
    return data_dir() / "page-token"


def window_path() -> Path:
    """Return the path of what the plot window remembers of its looks."""
    return data_dir() / "window.json"


def pictures_dir() -> Path:
    """Return the folder of the pictures that are taken of the plot window."""
    return data_dir() / "pictures"


def sessions_dir(configured: str = "") -> Path:
    """Return the folder in which sessions are recorded: the configured one, else ``sessions`` in the data folder."""
    return Path(configured).expanduser() if configured else data_dir() / "sessions"


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, and its folder where needed: a reader sees the old file or the new one, never a part.

    Raises
    ------
    OutputError
        When the folder is read-only or the disk full; the old file is then untouched.
    """
    try:
        _replace(path, data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}", path=str(path)) from error


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name of its own: two programs that save at once must not write into one file
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
