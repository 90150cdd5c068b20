"""The gate between a page and the broker: what a page sends is read, and what it may not say is not passed on. No I/O.

1. A page speaks MQTT 3.1.1 and shows the token as its password. It gets no account at the broker: the gate writes the
   CONNECT that the broker sees, with the host's own account.
2. It may subscribe below the topic root, and publish to `<root>/<runner>/cmd`, not retained, and leave no last will.
3. Whoever breaks a rule is sent away. What the broker answers goes back untouched.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterator
from typing import Final

USER: Final = "page"
# 4 kB: the longest command is a remark of 500 characters
MAX_PACKET: Final = 4096

_CONNECT, _PUBLISH, _SUBSCRIBE = 1, 3, 8
# answers to QoS 1 and 2, unsubscribe, ping, disconnect
_HARMLESS: Final = frozenset({4, 5, 6, 7, 10, 12, 14})
_WILL, _PASSWORD, _USER_NAME = 0x04, 0x40, 0x80


class GateError(Exception):
    """A page said what it may not say."""


class Gate:
    """One page's connection.

    Parameters
    ----------
    token
        The password it has to show.
    root
        Topic root with version, as in ``hipdrive/v1``.
    user, password
        The host's own account at the broker; empty where that lets anybody in.
    """

    def __init__(self, token: str, root: str, user: str = "", password: str = "") -> None:
        self._token = token.encode()
        self._below = f"{root}/"
        self._command = re.compile(rf"{re.escape(root)}/[a-z0-9][a-z0-9-]*/cmd")
        self._account = (user, password)
        self._waiting = b""
        self._connected = False

    def take(self, data: bytes) -> bytes:
        """Return what of these bytes goes to the broker; what is incomplete waits for the rest.

        Raises
        ------
        GateError
            A rule is broken.
        """
        self._waiting += data
        return b"".join(self._pass(kind, flags, body) for kind, flags, body in self._packets())

    def _packets(self) -> Iterator[tuple[int, int, bytes]]:
        while (head := _length(self._waiting)) is not None:
            begin, length = head
            if begin + length > MAX_PACKET:
                raise GateError(f"a packet of {length} bytes")
            if len(self._waiting) < begin + length:
                return
            first, body = self._waiting[0], self._waiting[begin : begin + length]
            self._waiting = self._waiting[begin + length :]
            yield first >> 4, first & 0x0F, body

    def _pass(self, kind: int, flags: int, body: bytes) -> bytes:
        if not self._connected:
            if kind != _CONNECT:
                raise GateError("something before CONNECT")
            self._connected = True
            return self._connect(body)
        if kind == _PUBLISH:
            topic, _ = _text(body, 0)
            if flags & 0x01 or not self._command.fullmatch(topic):
                raise GateError(f"a message to {topic}")
        elif kind == _SUBSCRIBE:
            for topic in _filters(body):
                if not topic.startswith(self._below):
                    raise GateError(f"a subscription to {topic}")
        elif kind not in _HARMLESS:
            raise GateError(f"a packet of kind {kind}")
        return _packet(kind << 4 | flags, body)

    def _connect(self, body: bytes) -> bytes:
        protocol, at = _text(body, 0)
        if protocol != "MQTT" or len(body) < at + 4 or body[at] != 4:
            raise GateError("another protocol than MQTT 3.1.1")
        flags, keepalive = body[at + 1], body[at + 2 : at + 4]
        if flags & _WILL or flags & (_USER_NAME | _PASSWORD) != _USER_NAME | _PASSWORD:
            raise GateError("a last will, or no password")
        _, at = _text(body, at + 4)
        _, at = _text(body, at)
        password, _ = _text(body, at)
        if not hmac.compare_digest(password.encode(), self._token):
            raise GateError("a wrong password")
        user, secret = self._account
        account = (_USER_NAME | (_PASSWORD if secret else 0)) if user else 0
        # 0x02: a clean session; the broker keeps nothing of a page that is gone
        words = [
            f"hipdrive-{USER}-{secrets.token_hex(6)}",
            *([user] if user else []),
            *([secret] if account & _PASSWORD else []),
        ]
        return _packet(
            _CONNECT << 4,
            _word("MQTT") + bytes([4, account | 0x02]) + keepalive + b"".join(_word(word) for word in words),
        )


def _length(data: bytes) -> tuple[int, int] | None:
    """Return where a packet's body begins and how long it is; None while that is not known."""
    length = 0
    for place in range(1, min(5, len(data))):
        length |= (data[place] & 0x7F) << 7 * (place - 1)
        if not data[place] & 0x80:
            return place + 1, length
    if len(data) >= 5:
        raise GateError("a length that is none")
    return None


def _packet(first: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        length.append(rest & 0x7F | (0x80 if rest > 0x7F else 0))
        rest >>= 7
        if not rest:
            return bytes([first]) + bytes(length) + body


def _word(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if end > len(body) or at + 2 > len(body):
        raise GateError("a packet that is cut off")
    try:
        return body[at + 2 : end].decode(), end
    except UnicodeDecodeError:
        raise GateError("text that is none") from None


def _filters(body: bytes) -> Iterator[str]:
    at = 2
    while at < len(body):
        topic, at = _text(body, at)
        at += 1
        yield topic
