"""What validation needs beyond the host's own libraries."""

from __future__ import annotations

from importlib.util import find_spec

from sensor_host.errors import ConfigError


def need(*libraries: str) -> None:
    """Say what to install where one of these libraries is missing.

    Raises
    ------
    ConfigError
        Then.
    """
    missing = [library for library in libraries if find_spec(library) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} missing: install the extra, python -m pip install 'hipdrive[validate]'"
        )
