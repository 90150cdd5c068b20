"""How a broker is spoken to, by whoever does: its address, a client for it, and what a failed connection means."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import traceback
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sensor_host.errors import BrokerError, ConfigError

if TYPE_CHECKING:
    import aiomqtt

# 5 s: a frozen broker is noticed within ten seconds
KEEPALIVE_S: Final = 5
# 5 s: a broker on another continent answers within one
ANSWER_S: Final = 5.0
# 0.25 s: the embedded broker is back within that; 8 s: a broker that is away for long costs nothing
RETRY_MIN_S: Final = 0.25
RETRY_MAX_S: Final = 8.0
INCOMING: Final = 100

# A client's errors are told as the state of whoever uses it; on the screen they would be in the way.
_quiet = logging.getLogger("hipdrive.mqtt.client")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and as whom to speak to it; the password is never part of it."""

    host: str
    port: int
    tls: bool = False
    user: str = ""

    @classmethod
    def parse(cls, url: str) -> BrokerAddress:
        """Read ``mqtt://[user@]host[:port]`` or ``mqtts://...``.

        Raises
        ------
        ConfigError
            It is none; the text says what to write.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"mqtt.broker: {url!r} is no address ({error})", path="mqtt.broker") from None
        if parts.password is not None:
            raise ConfigError(
                "mqtt.broker: leave the password out of the address and put it into the environment variable named "
                "by mqtt.password_env",
                path="mqtt.broker",
            )
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
            raise ConfigError(
                f"mqtt.broker: write embedded, off or mqtt://[user@]host[:port] (mqtts:// for TLS), not {url!r}",
                path="mqtt.broker",
                suggestion="mqtt://localhost:1883",
            )
        tls = parts.scheme == "mqtts"
        return cls(parts.hostname, port or (8883 if tls else 1883), tls, parts.username or "")

    @property
    def is_local(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{f'{self.user}@' if self.user else ''}{host}:{self.port}"


async def tls_context(broker: BrokerAddress) -> ssl.SSLContext | None:
    """Return what a connection to ``broker`` needs for TLS: the system's certificates."""
    # In a thread: it reads them from the disk.
    return await asyncio.to_thread(ssl.create_default_context) if broker.tls else None


def new_client(
    broker: BrokerAddress,
    password_env: str,
    client_id: str,
    *,
    tls: ssl.SSLContext | None,
    will: aiomqtt.Will | None = None,
    incoming: int = INCOMING,
) -> aiomqtt.Client:
    """Return a client, not yet connected; of more than ``incoming`` messages that wait to be read the oldest go."""
    import aiomqtt

    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user or None,
        password=os.environ.get(password_env) if broker.user else None,
        identifier=client_id,
        will=will,
        keepalive=KEEPALIVE_S,
        timeout=ANSWER_S,
        tls_context=tls,
        queue_type=_NewestMessages,
        max_queued_incoming_messages=incoming,
        logger=_quiet,
    )


def hush_clients(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop not print what clients leave behind when their connection breaks.

    Futures that nobody waits for any more, calls that find the connection closed: whoever uses the client is told by
    its errors, and nobody wants a traceback in the middle of a run. What others leave behind is printed as ever.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error: BaseException | None = context.get("exception")
        places = [
            frame.f_globals.get("__name__", "")
            for frame, _ in traceback.walk_tb(error.__traceback__ if error else None)
        ]
        if not any(place.startswith(("aiomqtt", "paho.")) for place in (type(error).__module__, *places)):
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


class _NewestMessages(asyncio.Queue["aiomqtt.Message"]):
    """A queue that makes room by letting the oldest go; aiomqtt's own would turn the newest away."""

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if self.full():
            self.get_nowait()
        super().put_nowait(item)


def connection_error(failure: Exception, broker: BrokerAddress, password_env: str, then: str) -> BrokerError:
    """Return what a failed connection means to the user, in one line that says what to do, or what happens ``then``."""
    if is_refusal(failure):
        if not broker.user:
            return BrokerError(f"{broker} wants a user: name one, --broker mqtt://USER@{broker.host}:{broker.port}")
        if not os.environ.get(password_env):
            return BrokerError(f"{broker} refuses user {broker.user} without a password: set {password_env}")
        return BrokerError(f"{broker} refuses the password of {broker.user}: check {password_env}")
    reason = str(failure) or type(failure).__name__
    return BrokerError(f"no connection to {broker} ({reason}); {then}")


def is_refusal(failure: Exception) -> bool:
    """Return whether the broker does not want this user: trying again soon is of no use."""
    code = getattr(failure, "rc", None)
    # 4 and 5 in MQTT 3.1.1, 0x86 and 0x87 in the words of MQTT 5
    return getattr(code, "value", code) in (4, 5, 0x86, 0x87)


def first_failure(errors: BaseExceptionGroup[Exception]) -> Exception:
    """Return the first of the errors that ended a connection."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
