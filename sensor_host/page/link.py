"""The page's link: its token, address and port, and how it is shown."""

from __future__ import annotations

import io
import os
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor_host import places
from sensor_host.config import PageConfig
from sensor_host.errors import ConfigError

# beside the broker's 18833
DEFAULT_PORT: Final = 18880
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - asked for with --page-lan
# 96 bits: nobody guesses it, and the QR code stays small
TOKEN_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Link:
    """Where a page is: what its server binds to, and what stands in the address line."""

    bind: str
    host: str
    port: int
    token: str
    tls: bool = False

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/{self.token}/"

    @property
    def is_local(self) -> bool:
        return self.bind == LOOPBACK

    def drawn(self) -> str:
        """Return the link as a QR code of text, light on dark as terminals are."""
        import segno

        text = io.StringIO()
        segno.make(str(self), micro=False).terminal(text, compact=True, border=2)
        return text.getvalue()


def make_link(config: PageConfig) -> Link:
    """Return the link of a page that is wanted.

    Raises
    ------
    ConfigError
        The port is taken, or a certificate is named that is not there.
    OutputError
        The token cannot be kept.
    """
    for name in ("certificate", "key"):
        path = getattr(config, name)
        if path and not Path(path).expanduser().is_file():
            raise ConfigError(f"page.{name}: there is no file {path}", path=f"page.{name}")
    bind = EVERYWHERE if config.serve == "lan" else LOOPBACK
    host = own_address() if config.serve == "lan" else LOOPBACK
    return Link(bind, host, _free_port(config.port, bind), _token(), bool(config.certificate))


def own_address() -> str:
    """Return this computer's address in the network it is in; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # an address of documentation (RFC 5737): the system chooses the way out, and with it the own address
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return LOOPBACK


def _token() -> str:
    """Return the token of this user: it stays, so that a bookmark or an installed page goes on working."""
    path = places.page_token_path()
    try:
        known = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    # shorter than made here: cut off or edited, and easier to guess
    if re.fullmatch(r"[A-Za-z0-9_-]{16,64}", known):
        return known
    token = secrets.token_urlsafe(TOKEN_BYTES)
    # a new file is the owner's alone
    places.replace_file(path, token.encode())
    return token


def _free_port(wanted: int, bind: str) -> int:
    reason: str | None = None
    for port in (wanted,) if wanted else (DEFAULT_PORT, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((bind, port))
                probe.listen(1)
            except OSError as error:
                reason = error.strerror
                continue
            return int(probe.getsockname()[1])
    raise ConfigError(f"page.port: {wanted} cannot be used ({reason}); choose another, or 0 for any", path="page.port")
