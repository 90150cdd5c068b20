"""The host's errors. Each carries its facts as attributes and an exit code; its text is one line that says what to do.

ConfigError   2  something the user wrote is wrong (flag, TOML, environment)
InputError    3  a file or stream cannot be used
OutputError   4  something cannot be written (full disk, read-only folder)
LinkError     5  no adapter, no sensor, permission
BrokerError   6  the broker refuses or cannot be started
"""

from __future__ import annotations


class HipdriveError(Exception):
    """Root of everything hipdrive says to its user as a one-line error."""

    exit_code = 1


class ConfigError(HipdriveError):
    """A setting is wrong; ``path`` is its dotted path, ``suggestion`` the nearest valid one."""

    exit_code = 2

    def __init__(self, text: str, *, path: str = "", suggestion: str = "") -> None:
        super().__init__(text)
        self.path = path
        self.suggestion = suggestion


class InputError(HipdriveError):
    """A file cannot be used; ``path`` names it."""

    exit_code = 3

    def __init__(self, text: str, *, path: str = "") -> None:
        super().__init__(text)
        self.path = path


class OutputError(HipdriveError):
    """Something cannot be written; ``path`` names it."""

    exit_code = 4

    def __init__(self, text: str, *, path: str = "") -> None:
        super().__init__(text)
        self.path = path


class LinkError(HipdriveError):
    """The radio cannot be used or the sensor cannot be found."""

    exit_code = 5


class BrokerError(HipdriveError):
    """The MQTT broker cannot be reached, started, or refuses."""

    exit_code = 6


class DecodeError(HipdriveError):
    """One notification makes no sense; ``kind`` is a stable word (truncated, foreign, ...). Counted, never fatal."""

    def __init__(self, text: str, *, kind: str) -> None:
        super().__init__(text)
        self.kind = kind
