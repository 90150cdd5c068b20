"""The page's link: its token, address and port, and how it is shown."""

from __future__ import annotations

import io
import os
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Final

from sensor_host import places
from sensor_host.config import PageConfig
from sensor_host.errors import ConfigError
from sensor_host.page.addresses import for_phones, interfaces, way_out
from sensor_host.page.certificate import check_certificate

# beside the broker's 18833
DEFAULT_PORT: Final = 18880
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - asked for with --page-lan
# 96 bits: nobody guesses it, and the QR code stays small
TOKEN_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Link:
    """Where a page is: what its server binds to, and what stands in the address line; ``others`` would do as well."""

    bind: str
    host: str
    port: int
    token: str
    tls: bool = False
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self._at(self.host)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The same link with this computer's other addresses, the likeliest first."""
        return tuple(map(self._at, self.others))

    @property
    def reaches_nobody(self) -> bool:
        """Whether it is meant for phones and this computer is in no network."""
        return not self.is_local and self.host == LOOPBACK

    def _at(self, host: str) -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/{self.token}/"

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
        The port is taken, or certificate and key will not do.
    OutputError
        The token cannot be kept.
    """
    if config.certificate or config.key:
        check_certificate(config.certificate, config.key)
    if config.serve != "lan":
        return Link(LOOPBACK, config.host or LOOPBACK, _free_port(config.port, LOOPBACK), _token(), config.tls)
    found = for_phones(interfaces(), way_out())
    hosts = [config.host] if config.host else [one.address for one in found] or [LOOPBACK]
    return Link(EVERYWHERE, hosts[0], _free_port(config.port, EVERYWHERE), _token(), config.tls, tuple(hosts[1:3]))


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
                reason = str(error.strerror).lower()
                continue
            return int(probe.getsockname()[1])
    raise ConfigError(
        f"page.port: {wanted} cannot be used ({reason}): choose another, or 0 for any that is free", path="page.port"
    )
