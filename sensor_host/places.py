"""Where hipdrive keeps what belongs to the user: settings, runners, sessions."""

from __future__ import annotations

from pathlib import Path

APP = "hipdrive"


def config_dir() -> Path:
    """Return the folder of hand-written settings: ``config.toml`` and ``runners/<name>.toml``."""
    import platformdirs

    return platformdirs.user_config_path(APP, appauthor=False)


def data_dir() -> Path:
    """Return the folder of what hipdrive writes itself: profiles and recorded sessions."""
    import platformdirs

    return platformdirs.user_data_path(APP, appauthor=False)


def user_config_path() -> Path:
    """Return the path of the user's own settings."""
    return config_dir() / "config.toml"


def runner_config_path(runner: str) -> Path:
    """Return the path of the settings that hold for one runner only."""
    return config_dir() / "runners" / f"{runner}.toml"


def profile_path(runner: str) -> Path:
    """Return the path of a runner's profile."""
    return data_dir() / "runners" / f"{runner}.json"


def sessions_dir(configured: str = "") -> Path:
    """Return the folder in which sessions are recorded: the configured one, else ``sessions`` in the data folder."""
    return Path(configured).expanduser() if configured else data_dir() / "sessions"
