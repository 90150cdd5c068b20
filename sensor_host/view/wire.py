"""What is said over MQTT, brought to the window: a thread with an event loop of its own listens, the window takes.

1. Messages are read in that thread; the window is handed what was said, in the order in which it came, and never waits.
2. What waits for the window is bounded: the oldest motion goes first, then the oldest of the rest, and it is counted.
3. A broker that is away is tried again for ever. How the connection stands is said in words, and only when it changes.
4. Who joins late asks for the history; who misses a step asks again. A lease on motion is held for who is watched.
5. Every command has an outcome: the host's answer, or in words why there is none.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from sensor_host.broker_client import (
    RETRY_MAX_S,
    RETRY_MIN_S,
    BrokerAddress,
    connection_error,
    first_failure,
    hush_clients,
    is_refusal,
    new_client,
    tls_context,
)
from sensor_host.errors import DecodeError
from sensor_host.heard import Heard, read, read_history
from sensor_host.messages import TOPICS, AnswerPayload, CommandName, CommandPayload, SamplesPacket
from sensor_host.ports import SessionState
from sensor_host.schemas import MQTT_SCHEMA

if TYPE_CHECKING:
    import aiomqtt

# 2,048 packets of motion are three minutes of one runner, in 1 MB; a window that hangs longer has lost its thread
MOTION_ITEMS: Final = 2048
OTHER_ITEMS: Final = 16384
# 1 s: a broker of this computer is found at once after its run has begun
SEARCH_S: Final = 1.0
# 30 s, asked for again every 10 s: two askings may be lost, and a window that is gone costs half a minute of motion
LEASE_S: Final = 30.0
LEASE_AGAIN_S: Final = 10.0
# 3 s: a host answers in milliseconds; who pressed a key should know soon that nobody heard it
ANSWER_S: Final = 3.0
# 5 s: a host that sheds messages must not be asked for all of them at every hole
HISTORY_AGAIN_S: Final = 5.0
# 4 s of four runners; the thread is much faster than any of them
INCOMING: Final = 2000


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: a broker and the root of the topics."""

    broker: BrokerAddress
    root: str


Find: TypeAlias = Callable[[], Place | None]
"""Returns where to listen, asked anew before every attempt; None where nobody is yet."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a runner's. ``received_s`` is this computer's monotonic clock, ``missed`` counts the messages of its
    topic that should have come before it; what was kept by the broker (``retained``) may be old.
    """

    runner: str
    heard: Heard
    received_s: float
    retained: bool = False
    missed: int = 0


@dataclass(frozen=True, slots=True)
class WireState:
    """How the connection stands, and in words."""

    state: Literal["searching", "connecting", "connected", "waiting", "refused"]
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command; ``error`` says why not."""

    runner: str
    command: str
    ok: bool
    error: str = ""


Item: TypeAlias = Received | WireState | Outcome


class Inbox:
    """What waits for the window, in the order in which it came; filled in one thread and emptied in another."""

    def __init__(self, motion_items: int = MOTION_ITEMS, other_items: int = OTHER_ITEMS) -> None:
        self._lock = threading.Lock()
        self._motion: deque[tuple[int, Item]] = deque(maxlen=motion_items)
        self._others: deque[tuple[int, Item]] = deque(maxlen=other_items)
        self._number = 0
        self.dropped = 0
        """How many items were let go."""

    def put(self, item: Item) -> None:
        """Add an item; the oldest of its kind goes where there is no room."""
        is_motion = isinstance(item, Received) and isinstance(item.heard.item, SamplesPacket)
        with self._lock:
            line = self._motion if is_motion else self._others
            self.dropped += len(line) == line.maxlen
            line.append((self._number, item))
            self._number += 1

    def take(self) -> list[Item]:
        """Return all that waits."""
        with self._lock:
            motion, others = list(self._motion), list(self._others)
            self._motion.clear()
            self._others.clear()
        return [item for _, item in merge(motion, others, key=itemgetter(0))]


class Wire:
    """Hears what runners' hosts say and tells them what is commanded; `start` it, `close` it.

    Parameters
    ----------
    find
        Where to listen; called in the thread.
    password_env
        Which environment variable holds the password, where the broker's address names a user.
    runner
        Whom to listen to; empty: everybody.
    inbox
        Where what was heard waits.
    """

    def __init__(self, find: Find, *, password_env: str, runner: str = "", inbox: Inbox | None = None) -> None:
        self.inbox = Inbox() if inbox is None else inbox
        self.misread = 0
        """How many messages made no sense."""
        self._find = find
        self._password_env = password_env
        self._runner = runner
        self._thread = threading.Thread(target=self._live, name="wire", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: asyncio.Task[None] | None = None
        self._begun = threading.Event()
        self._closed = False
        self._told: WireState | None = None
        self._watched: frozenset[str] = frozenset()
        self._client_id = f"hipdrive-view-{secrets.token_hex(6)}"
        self._connection: _Connection | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._begun.wait()

    def close(self) -> None:
        """End, and wait until it has ended; what has not been taken is lost."""
        if not self._thread.is_alive():
            return
        self._in_loop(self._cancel)
        self._thread.join()

    def take(self) -> list[Item]:
        """Return what has come since the last time; never waits."""
        return self.inbox.take()

    def watch(self, runners: Iterable[str]) -> None:
        """Say whose motion is looked at: for them a lease is held."""
        watched = frozenset(runners)
        if watched != self._watched:
            self._watched = watched
            self._in_loop(self._lease)

    def command(self, runner: str, name: CommandName, **fields: Any) -> None:
        """Send a command to a runner's host; an `Outcome` follows."""
        self._in_loop(self._order, runner, name, fields)

    # ------------------------------------------------------------ in the thread

    def _in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # it is closed: nobody is left to do it
            self._loop.call_soon_threadsafe(function, *arguments)

    def _cancel(self) -> None:
        # an error on the way out may come in the place of the cancellation
        self._closed = True
        if self._listening is not None:
            self._listening.cancel()

    def _lease(self) -> None:
        if self._connection is not None:
            self._connection.wants_lease.set()

    def _order(self, runner: str, name: CommandName, fields: Mapping[str, Any]) -> None:
        if self._connection is not None:
            self._connection.order(runner, name, fields)
        else:
            why = self._told.text if self._told is not None else "no connection yet"
            self.inbox.put(Outcome(runner, name, ok=False, error=why))

    def _live(self) -> None:
        # Windows' default loop has no add_reader, which the MQTT client needs
        factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
        with asyncio.Runner(loop_factory=factory) as runner, suppress(asyncio.CancelledError):
            runner.run(self._listen())

    async def _listen(self) -> None:
        import aiomqtt

        self._loop = asyncio.get_running_loop()
        hush_clients(self._loop)
        self._listening = asyncio.current_task()
        self._begun.set()
        retry_s = RETRY_MIN_S
        while not self._closed:
            place = self._find()
            if place is None:
                self._tell("searching", "no run on this computer yet: start hipdrive run, demo or replay")
                await asyncio.sleep(SEARCH_S)
                continue
            if self._told is None or self._told.state in ("searching", "connected"):
                self._tell("connecting", f"connecting to {place.broker}")
            failure: Exception = aiomqtt.MqttError("it hung up")
            connected = False
            try:
                tls = await tls_context(place.broker)
                client = new_client(place.broker, self._password_env, self._client_id, tls=tls, incoming=INCOMING)
                async with client:
                    self._connection = _Connection(self, client, f"{place.root}/v{MQTT_SCHEMA}/", place.broker)
                    await client.subscribe(f"{place.root}/v{MQTT_SCHEMA}/{self._runner or '+'}/#", qos=1)
                    self._tell("connected", f"connected to {place.broker}")
                    connected = True
                    await self._connection.run()
            except* (aiomqtt.MqttError, OSError, ValueError) as errors:
                failure = first_failure(errors)
            finally:
                if self._connection is not None:
                    self._connection.give_up()
                self._connection = None
            if self._closed:
                return
            retry_s = RETRY_MIN_S if connected else min(2 * retry_s, RETRY_MAX_S)
            refused = is_refusal(failure)
            if refused:
                retry_s = RETRY_MAX_S
            then = f"tried again every {RETRY_MAX_S:g} s" if retry_s == RETRY_MAX_S else "tried again"
            error = connection_error(failure, place.broker, self._password_env, then)
            self._tell("refused" if refused else "waiting", str(error))
            await asyncio.sleep(retry_s)

    def _tell(self, state: Literal["searching", "connecting", "connected", "waiting", "refused"], text: str) -> None:
        told = WireState(state, text)
        if told != self._told:
            self._told = told
            self.inbox.put(told)

    @property
    def watched(self) -> frozenset[str]:
        """Whose motion is looked at."""
        return self._watched


class _Connection:
    """One connection to the broker: what is heard on it, and what is asked."""

    def __init__(self, wire: Wire, client: aiomqtt.Client, top: str, broker: BrokerAddress) -> None:
        self._wire = wire
        self._client = client
        self._top = top
        self._broker = broker
        self._orders: asyncio.Queue[tuple[str, CommandPayload]] = asyncio.Queue()
        self._waiting: dict[str, tuple[str, str, asyncio.TimerHandle]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        # who is there, in which session; and when the history was asked for last
        self._online: dict[str, str] = {}
        self._asked_s: dict[str, float] = {}
        self._next_id = 0
        self._id_prefix = f"view-{secrets.token_hex(4)}-"
        self.wants_lease = asyncio.Event()

    async def run(self) -> None:
        """Listen, ask and command until the connection breaks."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._hold_leases())
            await self._hear()

    def give_up(self) -> None:
        """Say of every command that waits for its answer that there will be none."""
        for waiting in list(self._waiting):
            self._end(waiting, ok=False, error=f"the connection to {self._broker} broke")

    # ------------------------------------------------------------ asking

    def order(self, runner: str, name: CommandName, fields: Mapping[str, Any]) -> None:
        """Send a command as soon as possible, and wait for its answer."""
        self._next_id += 1
        command_id = f"{self._id_prefix}{self._next_id}"
        silence = asyncio.get_running_loop().call_later(ANSWER_S, self._end_silence, command_id)
        self._waiting[command_id] = (runner, name, silence)
        self._orders.put_nowait((runner, CommandPayload(id=command_id, name=name, **fields)))

    def _end_silence(self, command_id: str) -> None:
        runner = self._waiting[command_id][0]
        self._end(command_id, ok=False, error=f"the host of {runner} does not answer")

    def _end(self, command_id: str, *, ok: bool, error: str) -> None:
        runner, name, silence = self._waiting.pop(command_id)
        silence.cancel()
        # nobody waits for what this window asks for by itself, unless it is refused
        if name not in ("history", "samples") or (not ok and runner in self._online):
            self._wire.inbox.put(Outcome(runner, name, ok, error))

    async def _send(self) -> None:
        while True:
            runner, command = await self._orders.get()
            await self._client.publish(f"{self._top}{runner}/cmd", msgspec.json.encode(command), qos=1)

    async def _hold_leases(self) -> None:
        while True:
            self.wants_lease.clear()
            for runner in self._wire.watched & self._online.keys():
                self.order(runner, "samples", {"lease_s": LEASE_S})
            with suppress(TimeoutError):
                async with asyncio.timeout(LEASE_AGAIN_S):
                    await self.wants_lease.wait()

    def _ask_history(self, runner: str) -> None:
        now_s = time.monotonic()
        if now_s - self._asked_s.get(runner, -HISTORY_AGAIN_S) >= HISTORY_AGAIN_S:
            self._asked_s[runner] = now_s
            self.order(runner, "history", {})

    # ------------------------------------------------------------ hearing

    async def _hear(self) -> None:
        async for message in self._client.messages:
            received_s = time.monotonic()
            runner, _, level = message.topic.value.removeprefix(self._top).partition("/")
            if level not in TOPICS or level == "cmd":
                continue
            try:
                heard = read(level, message.payload)
            except DecodeError:
                self._wire.misread += 1
                continue
            if isinstance(heard.item, AnswerPayload):
                self._take_answer(runner, heard.item, received_s)
                continue
            missed = self._count(runner, level, heard.n)
            if isinstance(heard.item, SessionState):
                self._take_state(runner, heard)
            self._wire.inbox.put(Received(runner, heard, received_s, message.retain, missed))
            if missed and level in ("step", "stride"):
                self._ask_history(runner)

    def _count(self, runner: str, level: str, n: int) -> int:
        """Return how many messages of a topic are missing before the ``n``-th; 0 where the count begins anew."""
        last = self._numbers.get((runner, level), n)
        self._numbers[runner, level] = n
        return max(0, n - last - 1)

    def _take_state(self, runner: str, heard: Heard) -> None:
        assert isinstance(heard.item, SessionState)
        if heard.item.state != "online":
            self._online.pop(runner, None)
            return
        session_id = str(heard.session["session_id"])
        if self._online.get(runner) != session_id:
            self._online[runner] = session_id
            self._asked_s.pop(runner, None)
            self._ask_history(runner)
            self.wants_lease.set()

    def _take_answer(self, runner: str, answer: AnswerPayload, received_s: float) -> None:
        if answer.id not in self._waiting:
            return
        for heard in read_history(answer):
            self._wire.inbox.put(Received(runner, heard, received_s))
        if answer.part == answer.parts:
            self._end(answer.id, ok=answer.ok, error=answer.error)
