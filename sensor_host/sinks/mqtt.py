"""The MQTT sink: everything the session says, for whoever listens, and what listeners command.

1. An item becomes a message when it is put: a few microseconds, and nothing of the caller's is kept.
2. One task publishes. What waits for it is bounded; what must go is counted, motion before steps before cues.
3. The connection may come and go as it likes: the run never notices. It is told when that changes, and only then.
4. The same client id for the sink's life: after a broken connection the broker replaces the old client, so that its
   last will cannot come after the new "online".
5. A command is obeyed when it arrives, never because it was retained, and answered with its id.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import floor, inf, nan
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from pelvis.data import Activity, ActivityState, Command, Marker, Motion, Speed, Step, Stride
from pelvis.speed import TREADMILL
from sensor_host.broker_client import (
    RETRY_MAX_S,
    RETRY_MIN_S,
    BrokerAddress,
    connection_error,
    first_failure,
    is_refusal,
    new_client,
    tls_context,
)
from sensor_host.config import MqttConfig
from sensor_host.messages import (
    Address,
    Answer,
    CommandPayload,
    Message,
    Published,
    RecentFigures,
    SessionFigures,
    cut_motion,
    encode,
    level_of,
    read_command,
    read_command_id,
)
from sensor_host.outbox import Outbox, Policy
from sensor_host.phrases import words_of
from sensor_host.ports import LinkHealth, Said, SessionInfo, SessionState, SinkState
from sensor_host.recent import WINDOW_S, RecentSteps
from sensor_host.summary import Tally

if TYPE_CHECKING:
    import aiomqtt
    import paho.mqtt.client as paho

Inject: TypeAlias = Callable[[Marker | Command | Speed], None]

# 3 s: long enough to connect and hand over what a short replay said
CLOSING_S: Final = 3.0
RECENT_EVERY_S: Final = 1.0
SUMMARY_EVERY_S: Final = 10.0
REPORT_EVERY_S: Final = 1.0
# 100 steps are about 50 kB
HISTORY_PART: Final = 100
# 16 messages are about a millisecond
BATCH: Final = 16

_RANKS: Final = {
    "samples": 0,
    "cue": 2,
    "cue-outcome": 2,
    "retention": 2,
    "references": 2,
    "state": 2,
    "activity": 2,
    "notice": 2,
    "marker": 2,
    "obeyed": 2,
    "resp": 2,
    "summary": 2,
}


class MqttSink:
    """Publishes what a session says, and hands back what is commanded.

    Parameters
    ----------
    config
        Its ``broker`` is used unless ``url`` is given (the embedded broker's).
    session
        Stands in `state` and, with its mode, in every cue.
    inject
        Called in the event loop, from a task of this sink, with what a listener commands; ``t_s`` is the latest
        session time this sink has seen.
    policy
        `DROP_OLDEST` live, `WAIT` in a replay (it turns to dropping while there is no connection).
    url
        The embedded broker's address.
    words
        Those of every phrase by its id, for cues; without: English.
    report
        Called, from a task of this sink, with its state whenever that changes: a refused password or a dead broker is
        told here, in one line.

    Raises
    ------
    ConfigError
        The broker's address is none.
    """

    name = "mqtt"

    def __init__(
        self,
        config: MqttConfig,
        session: SessionInfo,
        *,
        inject: Inject,
        policy: Policy,
        url: str = "",
        words: Mapping[str, str] | None = None,
        report: Callable[[SinkState], None] | None = None,
    ) -> None:
        self.broker = BrokerAddress.parse(url or config.broker)
        self._config = config
        self._address = Address(config.topic_root, session, words_of() if words is None else words)
        self._inject = inject
        self._policy = policy
        self._report = report
        self._outbox = Outbox[Message](self.name, config.outbox_items, policy, lambda m: _RANKS.get(m.level, 1))
        # Taken out of the outbox and not yet on its way: survives a broken connection.
        self._pending: deque[Message] = deque()
        self._numbers: Counter[str] = Counter()
        self._client_id = f"hipdrive-{secrets.token_hex(6)}"
        self._closing = asyncio.Event()
        self._state = SinkState(self.name, "waiting", f"connecting to {self.broker}")
        self._reported_at_s = -inf
        self._tls: ssl.SSLContext | None = None

        # The first and the latest session time seen.
        self._first_s = inf
        self._t_s = -inf
        self._activity = ActivityState.OTHER
        self._muted = False
        self._recent = RecentSteps()
        self._tally = Tally()
        self._next_recent_s = -inf
        self._next_summary_s = -inf
        self._history: deque[tuple[float, Message]] = deque()
        always = config.samples == "on" or (config.samples == "auto" and self.broker.is_local)
        self._samples_until_s = inf if always else -inf

    @property
    def state(self) -> SinkState:
        """How it stands now."""
        return self._state

    # ------------------------------------------------------------ what the session says

    def put(self, item: Said) -> None:
        if isinstance(item, Motion):
            self._put_motion(item)
            return
        if isinstance(item, SessionState):
            if item.state != "online":
                self._put_summary()
            elif item.muted is self._muted:
                # Said by every connection when it is made.
                return
            self._muted = item.muted
        message = self._put(item)
        if isinstance(item, Step | Stride):
            self._recent.add(item)
            self._remember(item, message)
            self._see(item.reported_at_s if isinstance(item, Step) else item.completed_at_s)
        elif isinstance(item, Activity):
            self._activity = item.state
            self._see(item.decided_at_s)
        elif isinstance(item, LinkHealth):
            self._see(item.t_s)
        self._tally.take(item)
        if self._t_s > -inf and not isinstance(item, Step):
            # A step is on its way to somebody's ear: figures can wait for the next stride or link health.
            self._put_figures()

    async def room(self) -> None:
        await self._outbox.room()

    def close(self) -> None:
        if not self._closing.is_set():
            self._closing.set()
            self._outbox.close()

    def _put(self, item: Published) -> Message:
        level = level_of(item)
        message = encode(item, self._numbers[level], self._address)
        self._numbers[level] += 1
        self._outbox.put(message)
        return message

    def _see(self, t_s: float) -> None:
        self._first_s = min(self._first_s, t_s)
        self._t_s = max(self._t_s, t_s)

    def _put_motion(self, motion: Motion) -> None:
        if len(motion.t_s):
            self._see(float(motion.t_s[-1]))
        if time.monotonic() < self._samples_until_s:
            for part in cut_motion(motion):
                self._put(part)

    def _put_figures(self) -> None:
        if self._t_s >= self._next_recent_s:
            self._next_recent_s = floor(self._t_s / RECENT_EVERY_S) * RECENT_EVERY_S + RECENT_EVERY_S
            means = self._recent.means(self._t_s)
            self._put(
                RecentFigures(
                    self._t_s, WINDOW_S, self._activity, means.steps, means.quality, means.metrics, means.errors
                )
            )
        if self._t_s >= self._next_summary_s:
            self._next_summary_s = floor(self._t_s / SUMMARY_EVERY_S) * SUMMARY_EVERY_S + SUMMARY_EVERY_S
            self._put_summary()

    def _put_summary(self) -> None:
        tally = self._tally
        balance = tally.balance
        self._put(
            SessionFigures(
                t_s=max(0.0, self._t_s),
                duration_s=max(0.0, self._t_s - self._first_s),
                steps=tally.steps,
                good_steps=tally.good_steps,
                left_steps=tally.sides.get("left", 0),
                right_steps=tally.sides.get("right", 0),
                cues=len(tally.cues),
                quality=tally.quality.mean if tally.quality.n else nan,
                contact_time_balance_ratio=balance.ratio if balance is not None else nan,
                contact_time_balance_se_ratio=balance.se_ratio if balance is not None else nan,
                metrics={average.name: average.mean if average.n else nan for average in tally.metrics},
                errors={average.name: average.se for average in tally.metrics},
            )
        )

    def _remember(self, item: Step | Stride, message: Message) -> None:
        self._history.append((item.initial_contact_s, message))
        while self._history and self._history[0][0] < item.initial_contact_s - self._config.history_s:
            self._history.popleft()

    # ------------------------------------------------------------ the connection

    async def run(self) -> None:
        """Connect, publish and reconnect until closed and worked off; raises nothing for what a broker does."""
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self._serve())
            await self._closing.wait()
            await asyncio.wait([serving], timeout=CLOSING_S)
            serving.cancel()
        left = len(self._pending)
        self._pending.clear()
        self._outbox.discard()
        self._outbox.dropped += left
        self._tell("closed", self._state.detail if self._outbox.dropped else "")

    async def _serve(self) -> None:
        import aiomqtt

        self._tls = await tls_context(self.broker)
        retry_s = RETRY_MIN_S
        while True:
            failure: Exception | None = None
            connected = False
            try:
                async with self._connection() as client:
                    wire = await self._greet(client)
                    connected = True
                    async with asyncio.TaskGroup() as group:
                        listening = group.create_task(self._listen(client))
                        await self._publish(wire)
                        listening.cancel()
            except* (aiomqtt.MqttError, OSError, ValueError) as errors:
                failure = first_failure(errors)
            if failure is None:
                return
            self._outbox.policy = Policy.DROP_OLDEST
            retry_s = RETRY_MIN_S if connected else min(2 * retry_s, RETRY_MAX_S)
            if self._refused(failure):
                retry_s = RETRY_MAX_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), retry_s)
                return

    def _connection(self) -> aiomqtt.Client:
        import aiomqtt

        lost = encode(SessionState("lost", muted=self._muted), self._numbers["state"] + 1, self._address)
        will = aiomqtt.Will(lost.topic, lost.payload, lost.qos, lost.retain)
        return new_client(self.broker, self._config.password_env, self._client_id, tls=self._tls, will=will)

    async def _greet(self, client: aiomqtt.Client) -> _Wire:
        # Commands first: whoever reads "online" may send one at once.
        await client.subscribe(self._address.topic("cmd"), qos=1)
        online = encode(SessionState("online", muted=self._muted), self._numbers["state"], self._address)
        self._numbers["state"] += 1
        await client.publish(online.topic, online.payload, online.qos, online.retain)
        wire = _Wire(client)
        self._outbox.policy = self._policy
        self._tell("ready", f"publishing to {self.broker}")
        return wire

    async def _publish(self, wire: _Wire) -> None:
        while True:
            if not self._pending:
                self._pending.extend(await self._outbox.take(BATCH))
            if not self._pending:
                return
            while self._pending:
                await wire.send(self._pending[0])
                self._pending.popleft()
            if self._outbox.dropped != self._state.dropped:
                self._tell(self._state.state, self._state.detail)
            if len(self._outbox):
                # A long backlog must not keep the radio's callbacks waiting.
                await asyncio.sleep(0)

    def _refused(self, failure: Exception) -> bool:
        """Tell why there is no connection; return whether trying again soon is of no use."""
        error = connection_error(
            failure, self.broker, self._config.password_env, "the run goes on and it is tried again"
        )
        refused = is_refusal(failure)
        self._tell("failed" if refused else "waiting", str(error))
        return refused

    def _tell(self, state: str, detail: str) -> None:
        told = SinkState(self.name, state, detail, self._outbox.dropped)
        now_s = time.monotonic()
        changed = (state, detail) != (self._state.state, self._state.detail)
        if not changed and (told == self._state or now_s - self._reported_at_s < REPORT_EVERY_S):
            return
        self._state = told
        self._reported_at_s = now_s
        if self._report is not None:
            self._report(told)

    # ------------------------------------------------------------ what listeners command

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if not message.retain:
                self._obey(message.payload)

    def _obey(self, payload: bytes) -> None:
        try:
            command = read_command(payload)
        except msgspec.MsgspecError as error:
            self._put(Answer(read_command_id(payload), "", ok=False, error=str(error)))
            return
        objection = ""
        now_s = max(0.0, self._t_s)
        match command.name:
            case "mark":
                self._inject(Marker(now_s, command.text, command.kind))
            case "speed":
                self._inject(Speed(now_s, command.speed_mps, command.value or TREADMILL))
            case "samples":
                objection = self._lease(command)
            case "history":
                self._answer_history(command)
                return
            case "say":
                objection = self._say(Command(now_s, command.name, command.value))
            case "metronome":
                self._inject(Command(now_s, command.name, f"{command.rate_spm:g}"))
            case "mute" | "unmute" | "focus" | "swap_sides":
                self._inject(Command(now_s, command.name, command.value))
        self._put(Answer(command.id, command.name, ok=not objection, error=objection))

    def _say(self, command: Command) -> str:
        """Pass on what a person says; return why not, or nothing."""
        if command.value not in self._address.words:
            return f"there is no phrase {command.value!r}: write the id of one of the catalogue"
        self._inject(command)
        return ""

    def _lease(self, command: CommandPayload) -> str:
        """Publish samples for as long as asked; return why not, or nothing."""
        if self._config.samples == "off":
            return "samples are off here (mqtt.samples)"
        if self._samples_until_s != inf:
            self._samples_until_s = time.monotonic() + command.lease_s
        return ""

    def _answer_history(self, command: CommandPayload) -> None:
        messages = [message for _, message in self._history]
        parts = [messages[i : i + HISTORY_PART] for i in range(0, len(messages), HISTORY_PART)] or [[]]
        for number, part in enumerate(parts, start=1):
            self._put(
                Answer(
                    command.id,
                    command.name,
                    ok=True,
                    part=number,
                    parts=len(parts),
                    steps=tuple(m.payload for m in part if m.level == "step"),
                    strides=tuple(m.payload for m in part if m.level == "stride"),
                )
            )


class _Wire:
    """A connected client, past aiomqtt's ways of writing.

    aiomqtt has the socket watched for writing through another round of the event loop, since while connecting it may be
    in a thread: a message long written would leave the socket watched for ever, and the processor busy. Here it is
    watched from the loop directly, and not at all while `send` writes: two system calls less a message.
    """

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._paho = client._client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._loop = asyncio.get_running_loop()
        self._sending = False
        self._paho.on_socket_register_write = self._watch
        self._paho.on_socket_unregister_write = self._unwatch

    def _watch(self, wrapped: paho.Client, _data: object, sock: paho.SocketLike) -> None:
        if not self._sending:
            self._loop.add_writer(sock.fileno(), wrapped.loop_write)

    def _unwatch(self, _paho: paho.Client, _data: object, sock: paho.SocketLike) -> None:
        if not self._sending:
            self._loop.remove_writer(sock.fileno())

    async def send(self, message: Message) -> None:
        """Publish one message.

        aiomqtt's own publish waits two rounds of the event loop for every message. So a message goes straight to the
        client it wraps and from there into the socket; only when that is full, or an answer is due, it is waited for.
        """
        import aiomqtt
        from paho.mqtt.enums import MQTTErrorCode

        wrapped = self._paho
        if message.qos or wrapped.want_write():
            await self._client.publish(message.topic, message.payload, message.qos, message.retain)
            return
        self._sending = True
        try:
            error = wrapped.publish(message.topic, message.payload, 0, message.retain).rc or wrapped.loop_write()
        finally:
            self._sending = False
        if error:
            raise aiomqtt.MqttError(MQTTErrorCode(error).name)
        sock = wrapped.socket()
        if sock is not None and wrapped.want_write():
            # the socket is full: what is left is written when there is room
            self._loop.add_writer(sock.fileno(), wrapped.loop_write)
