"""The page's server: the files of `sensor_host/web`, and MQTT over WebSocket, on one port and behind one token.

1. The first part of every path is the token. Without it there is nothing here, not even a hint that there is.
2. `mqtt` is a door to the broker: bytes go through, past the gate (`sensor_host.page.gate`). A broker of any make will
   do, with or without WebSocket of its own. A page that reads slowly slows its own connection and nobody else's.
3. A broker that is away closes the door; pages knock again by themselves.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from sensor_host.page.certificate import load
from sensor_host.page.gate import MAX_PACKET, Gate, GateError
from sensor_host.page.orders import Serving

WEB: Final = Path(__file__).resolve().parents[1] / "web"
TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
# Files that hold texts as `${name}`, and how a text is written there.
WRITTEN: Final[Mapping[str, Callable[[str], str]]] = {
    ".html": html.escape,
    ".webmanifest": lambda text: json.dumps(text)[1:-1],
}
SETTINGS: Final = "settings.json"
TOLD: Final = ("root", "runner", "language", "phrases", "texts", "through_mute", "ticks", "metronome_spm")
DOOR: Final = "mqtt"

# Nothing from elsewhere, nothing written into the page; blob: is MQTT.js's timer and the silence that iOS wants.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; connect-src 'self'; "
    "worker-src blob:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# 16 kB: some twenty messages at once
CHUNK: Final = 16384
# 5 s: a broker on another continent answers within one
CONNECT_S: Final = 5.0
# an end point that is there but not now: MQTT.js tries again
TRY_AGAIN, REFUSED = 1013, 1008


class PageServer:
    """Answers pages: ``async with PageServer(serving).open():``."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._token = serving.token.encode()
        self._files = _files(serving)
        told = {name: getattr(serving, name) for name in TOLD}
        self._files[SETTINGS] = ("application/json", msgspec.json.encode(told))
        self._broker_tls = ssl.create_default_context() if serving.broker_tls else None

    def open(self) -> serve:
        """Return the server, listening once it is entered.

        Raises
        ------
        OSError
            The certificate cannot be read; on entering: the port is taken.
        """
        serving = self._serving
        secure: ssl.SSLContext | None = None
        if serving.certificate:
            secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load(secure, serving.certificate, serving.key)
        return serve(
            self._carry,
            serving.bind,
            serving.port,
            ssl=secure,
            process_request=self._answer,
            select_subprotocol=_choose,
            # what a page gets is small and must come at once
            compression=None,
            max_size=MAX_PACKET,
            server_header=None,
        )

    # ------------------------------------------------------------ files

    def _answer(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request for a file; None lets a WebSocket through."""
        token, slash, name = request.path.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(errors="replace"), self._token):
            return _response(HTTPStatus.NOT_FOUND, b"not found\n")
        if not slash:
            return _response(HTTPStatus.PERMANENT_REDIRECT, b"", Location=f"/{self._serving.token}/")
        if name == DOOR:
            return None if _same_origin(request.headers) else _response(HTTPStatus.FORBIDDEN, b"not from there\n")
        kind, body = self._files.get(name or "index.html", ("", None))
        if body is None:
            return _response(HTTPStatus.NOT_FOUND, b"not found\n")
        return _response(HTTPStatus.OK, body, **{"Content-Type": kind})

    # ------------------------------------------------------------ the door

    async def _carry(self, page: ServerConnection) -> None:
        """Lead one page to the broker until either is gone."""
        serving = self._serving
        gate = Gate(serving.token, serving.root, serving.broker_user, serving.broker_password)
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    serving.broker_host, serving.broker_port, ssl=self._broker_tls
                )
        except OSError:
            await page.close(TRY_AGAIN, "no broker")
            return
        try:
            async with asyncio.TaskGroup() as group:
                back = group.create_task(_back(reader, page))
                await _forth(page, gate, writer)
                back.cancel()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _forth(page: ServerConnection, gate: Gate, writer: asyncio.StreamWriter) -> None:
    try:
        async for data in page:
            writer.write(gate.take(data.encode() if isinstance(data, str) else data))
            await writer.drain()
    except GateError as error:
        await page.close(REFUSED, str(error)[:100])
    except (ConnectionClosed, OSError):
        pass


async def _back(reader: asyncio.StreamReader, page: ServerConnection) -> None:
    with suppress(ConnectionClosed, OSError):
        while data := await reader.read(CHUNK):
            await page.send(data)
    await page.close(TRY_AGAIN, "the broker is gone")


def _choose(_connection: ServerConnection, offered: object) -> Subprotocol | None:
    return Subprotocol(DOOR) if DOOR in (offered if isinstance(offered, list | tuple) else ()) else None


def _same_origin(headers: Headers) -> bool:
    """Return whether a WebSocket is asked for by a page of this server, or by no page at all."""
    origin = headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == headers.get("Host")


def _response(status: HTTPStatus, body: bytes, **headers: str) -> Response:
    said = {
        "Content-Type": TYPES[".txt"],
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        # the link carries the token
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(status.value, status.phrase, Headers(said | headers), body)


def _files(serving: Serving) -> dict[str, tuple[str, bytes]]:
    """Return every file of the page under its name, with its type; texts stand in their places."""
    words = {"language": serving.language, **serving.texts}
    found: dict[str, tuple[str, bytes]] = {}
    for path in (*WEB.iterdir(), *(WEB / "vendor").iterdir()):
        if path.suffix not in TYPES:
            continue
        body = path.read_bytes()
        if (write := WRITTEN.get(path.suffix)) is not None:
            places = {name: write(text) for name, text in words.items()}
            body = Template(body.decode()).substitute(places).encode()
        found[path.relative_to(WEB).as_posix()] = (TYPES[path.suffix], body)
    return found


async def run(serving: Serving) -> None:
    """Serve until the process ends; says ``ready`` on standard output once it listens."""
    async with PageServer(serving).open():
        print("ready", flush=True)
        await asyncio.Event().wait()
