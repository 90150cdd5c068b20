from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import jsonschema
import pytest

from pelvis.data import Command, Marker, Motion, Speed
from sensor_host.broker import USER, EmbeddedBroker, _mosquitto_hash
from sensor_host.broker_client import BrokerAddress, hush_clients
from sensor_host.config import MqttConfig
from sensor_host.messages import unpack_samples
from sensor_host.outbox import Policy
from sensor_host.ports import LinkHealth, Mode, SessionState, SinkState
from sensor_host.sinks.mqtt import MqttSink
from tests.said_examples import cue, everything, motion, session, step, stride

Needs = Callable[[str], str]
ROOT = Path(__file__).resolve().parent.parent
PROBE = "probe"


# ---------------------------------------------------------------- a subscriber that is not ours


@dataclass(frozen=True)
class Heard:
    topic: str
    retained: bool
    payload: bytes

    @property
    def level(self) -> str:
        return self.topic.rpartition("/")[2]

    @property
    def body(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.payload)
        return read


class Listener:
    """mosquitto_sub, read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.heard: list[Heard] = []

    async def next(self) -> Heard:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
        assert line, "mosquitto_sub has ended"
        topic, retained, payload = line.decode().rstrip("\n").split(" ")
        message = Heard(topic, retained == "1", bytes.fromhex(payload))
        self.heard.append(message)
        return message

    async def until(self, level: str, **fields: object) -> Heard:
        """Read on until a message of this level whose fields are these."""
        while True:
            message = await self.next()
            if message.level == level and (not fields or fields.items() <= message.body.items()):
                return message

    def of(self, level: str) -> list[Heard]:
        return [message for message in self.heard if message.level == level]


@asynccontextmanager
async def listening(needs: Needs, url: str, *options: str) -> AsyncIterator[Listener]:
    """Subscribe to everything; when the body begins, the subscription stands."""
    port = str(BrokerAddress.parse(url).port)
    publish(needs, url, PROBE, "", "-r", *options)
    process = await asyncio.create_subprocess_exec(
        *(needs("mosquitto_sub"), "-p", port, "-t", "#", "-F", "%t %r %x", "-q", "1", *options),
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        listener = Listener(process)
        await listener.until(PROBE)
        yield listener
    finally:
        process.kill()
        await process.wait()


def publish(needs: Needs, url: str, topic: str, text: str, *options: str) -> None:
    port = str(BrokerAddress.parse(url).port)
    message = ("-m", text) if text else ("-m", "x")
    subprocess.run([needs("mosquitto_pub"), "-p", port, "-t", topic, *message, *options], check=True, timeout=20)


# ---------------------------------------------------------------- a session that says things


@asynccontextmanager
async def running(sink: MqttSink) -> AsyncIterator[MqttSink]:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(sink.run())
        yield sink
        sink.close()
        await task


class Reports:
    """What the sink says of itself, and a way to wait for it."""

    def __init__(self) -> None:
        self.states: list[SinkState] = []
        self._changed = asyncio.Condition()
        self._queue: asyncio.Queue[SinkState] = asyncio.Queue()

    def __call__(self, state: SinkState) -> None:
        self.states.append(state)
        self._queue.put_nowait(state)

    async def until(self, state: str) -> SinkState:
        async with asyncio.timeout(20):
            while (told := await self._queue.get()).state != state:
                pass
        return told


def make_sink(url: str, **changes: Any) -> MqttSink:
    options: dict[str, Any] = {
        "inject": lambda _: None,
        "policy": Policy.DROP_OLDEST,
        "config": MqttConfig(),
        **changes,
    }
    config = options.pop("config")
    who = options.pop("session", session())
    return MqttSink(config, who, url=url, **options)


@pytest.fixture(params=["mosquitto", "amqtt"])
async def url(request: pytest.FixtureRequest, needs: Needs) -> AsyncIterator[str]:
    """Both brokers: what holds for one holds for the other."""
    if request.param == "mosquitto":
        needs("mosquitto")
    async with EmbeddedBroker(MqttConfig(), program=request.param) as broker:
        yield broker.url


@pytest.fixture
async def mosquitto(needs: Needs) -> AsyncIterator[str]:
    needs("mosquitto")
    async with EmbeddedBroker(MqttConfig(), program="mosquitto") as broker:
        yield broker.url


class Mosquitto:
    """A broker that belongs to the test: it can be stopped, frozen and started again."""

    def __init__(self, needs: Needs, folder: Path, port: int, *lines: str) -> None:
        self.url = f"mqtt://127.0.0.1:{port}"
        self._conf = folder / "mosquitto.conf"
        root = ["user root"] if os.geteuid() == 0 else []
        self._conf.write_text("\n".join((f"listener {port} 127.0.0.1", "log_dest stderr", *root, *lines)) + "\n")
        self._program = needs("mosquitto")
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([self._program, "-c", self._conf], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        lines: list[str] = []
        for line in self.process.stderr:
            lines.append(line)
            if "running" in line:
                return
        pytest.fail("".join(lines))

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None and self.process.stderr is not None:
            self.process.stderr.close()


@pytest.fixture
async def own(needs: Needs, tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(needs, tmp_path, unused_tcp_port, "allow_anonymous true")
    yield broker
    broker.kill()


def schema_of(level: str) -> dict[str, Any]:
    document = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    (channel,) = [c for c in document["channels"].values() if c["address"].endswith(f"/{level}")]
    return {
        "components": document["components"],
        "anyOf": [message["payload"] for message in channel["messages"].values()],
    }


# ---------------------------------------------------------------- what is heard


async def test_a_stranger_hears_everything_and_all_of_it_is_as_documented(url: str, needs: Needs) -> None:
    async with listening(needs, url) as listener:
        async with running(make_sink(url)) as sink:
            for item in everything():
                sink.put(item)
        await listener.until("state", state="offline")
    topics = {message.topic for message in listener.heard if message.topic != PROBE}
    levels = {"state", "contact", "step", "stride", "metrics", "summary", "cue", "activity", "notice", "link", "sink"}
    levels |= {"marker", "gap", "speed", "heart-rate", "obeyed", "samples", "cue-outcome", "retention", "baseline"}
    levels |= {"references"}
    assert topics == {f"hipdrive/v1/ada/{level}" for level in levels}
    for message in listener.heard:
        if message.level == "samples":
            assert unpack_samples(message.payload).values.shape == (8, 6)
        elif message.topic != PROBE:
            jsonschema.Draft202012Validator(schema_of(message.level)).validate(message.body)
    assert [message.body["state"] for message in listener.of("state")] == ["online", "offline"]


async def test_a_newcomer_sees_state_and_figures_at_once(url: str, needs: Needs) -> None:
    async with listening(needs, url) as early, running(make_sink(url)) as sink:
        for item in everything()[:-1]:
            sink.put(item)
        await early.until("sink")
        async with listening(needs, url) as late:
            while len(late.heard) < 5:
                await late.next()
    assert all(message.retained for message in late.heard)
    assert {message.level for message in late.heard} == {PROBE, "state", "metrics", "summary", "activity"}


async def test_a_newcomer_sees_whether_the_run_is_muted(url: str, needs: Needs) -> None:
    seen = []
    async with listening(needs, url) as early, running(make_sink(url)) as sink:
        sink.put(SessionState("online"))
        assert (await early.until("state", state="online")).body["muted"] is False
        for muted in (True, False):
            sink.put(SessionState("online", muted=muted))
            await early.until("state", muted=muted, state="online")
            async with listening(needs, url) as late:
                seen.append((await late.until("state", state="online")).body["muted"])
        numbers = [message.body["n"] for message in early.of("state")]
    assert seen == [True, False]
    assert numbers == list(range(len(numbers)))


async def test_what_is_heard_is_numbered_without_a_hole(url: str, needs: Needs) -> None:
    async with listening(needs, url) as listener:
        async with running(make_sink(url)) as sink:
            for index in range(300):
                sink.put(step(index))
                if index % 7 == 0:
                    await asyncio.sleep(0)
            sink.put(SessionState("offline"))
        await listener.until("state", state="offline")
    assert [message.body["n"] for message in listener.of("step")] == list(range(300))
    assert [message.body["step_index"] for message in listener.of("step")] == list(range(300))


async def test_a_replay_is_heard_whole_however_small_the_outbox(url: str, needs: Needs) -> None:
    async with listening(needs, url) as listener:
        sink = make_sink(url, policy=Policy.WAIT, config=MqttConfig(outbox_items=16), session=session(Mode.REPLAY))
        async with running(sink):
            for index in range(500):
                await sink.room()
                assert len(sink._outbox) < 16
                sink.put(step(index))
                sink.put(stride(index))
            sink.put(SessionState("offline"))
        await listener.until("state", state="offline")
    assert [message.body["step_index"] for message in listener.of("step")] == list(range(500))
    assert [message.body["step_index"] for message in listener.of("stride")] == list(range(500))
    assert sink.state.dropped == 0


async def test_figures_come_once_a_second_of_session_time(mosquitto: str, needs: Needs) -> None:
    async with listening(needs, mosquitto) as listener:
        async with running(make_sink(mosquitto)) as sink:
            for index in range(60):  # 21 s of running
                sink.put(step(index))
                sink.put(stride(index))
            sink.put(SessionState("offline"))
        await listener.until("state", state="offline")
    seconds = [int(message.body["t_s"]) for message in listener.of("metrics")]
    assert seconds == list(range(10, 10 + len(seconds)))
    assert len(seconds) == 22
    totals = [message.body for message in listener.of("summary")]
    assert len(totals) == 4  # at 10, 20 and 30 s, and at the end
    assert (totals[-1]["steps"], totals[-1]["left_steps"], totals[-1]["right_steps"]) == (60, 30, 30)


HOST = """
import asyncio, sys
from sensor_host.config import MqttConfig
from sensor_host.outbox import Policy
from sensor_host.sinks.mqtt import MqttSink
from tests.said_examples import session

async def main():
    report = lambda state: print(state.state, flush=True)
    sink = MqttSink(MqttConfig(), session(), inject=print, policy=Policy.DROP_OLDEST, url=sys.argv[1], report=report)
    await sink.run()

asyncio.run(main())
"""


async def test_the_last_will_is_heard_when_the_host_is_killed(url: str, needs: Needs) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "signal")))}
    async with listening(needs, url) as listener:
        host = subprocess.Popen([sys.executable, "-c", HOST, url], stdout=subprocess.PIPE, env=environment)
        try:
            await listener.until("state", state="online")
            os.kill(host.pid, signal.SIGKILL)
            lost = await listener.until("state", state="lost")
        finally:
            host.kill()
            host.communicate()
        assert lost.body["session_id"] == session().session_id
        assert lost.body["n"] == 1
    async with listening(needs, url) as late:
        assert (await late.until("state")).body["state"] == "lost"


# ---------------------------------------------------------------- brokers that fail


async def test_a_broker_that_dies_in_mid_run_is_found_again_and_what_was_lost_is_counted(
    own: Mosquitto, needs: Needs
) -> None:
    own.start()
    reports = Reports()
    sink = make_sink(own.url, config=MqttConfig(outbox_items=16), report=reports)
    async with running(sink):
        async with listening(needs, own.url) as listener:
            sink.put(step(0))
            await listener.until("step", n=0)
        own.kill()
        told = await reports.until("waiting")
        assert own.url in told.detail
        assert "\n" not in told.detail
        began_s = time.perf_counter()
        for index in range(1, 2001):
            sink.put(step(index))
            sink.put(motion())
        assert (time.perf_counter() - began_s) / 2000 < 0.002, "put waits for nobody"
        sink.put(cue())
        own.start()
        async with listening(needs, own.url) as listener:
            await reports.until("ready")
            await listener.until("cue")
        assert sink.state.state == "ready"
        # 16 of the 2000 steps, 2000 packets, one cue and a few figures fitted.
        assert sink.state.dropped > 3900
    assert [state.state for state in reports.states if state.state != "ready"] == ["waiting", "closed"]


async def test_motion_goes_before_steps_and_steps_before_cues(own: Mosquitto, needs: Needs) -> None:
    sink = make_sink(own.url, config=MqttConfig(outbox_items=16))
    for index in range(20):
        sink.put(cue() if index % 4 == 0 else step(index))
        sink.put(motion())
    own.start()
    async with listening(needs, own.url) as listener:
        async with running(sink):
            pass
        publish(needs, own.url, "end", "x", "-q", "1")
        await listener.until("end")
    left = [message for message in listener.heard if message.level not in (PROBE, "end", "state")]
    steps = [message.body["step_index"] for message in listener.of("step")]
    assert len(left) == 16
    assert listener.of("samples") == []
    assert [message.body["n"] for message in listener.of("cue")] == list(range(5))
    assert steps == [index for index in range(20) if index % 4][-len(steps) :], "the newest are left, in order"


async def test_a_broker_that_is_absent_holds_nothing_up_and_is_said_once(unused_tcp_port: int) -> None:
    reports = Reports()
    sink = make_sink(f"mqtt://127.0.0.1:{unused_tcp_port}", policy=Policy.WAIT, report=reports)
    async with running(sink):
        await reports.until("waiting")
        async with asyncio.timeout(5):
            for index in range(5000):
                await sink.room()
                sink.put(step(index))
    assert [state.state for state in reports.states] == ["waiting", "closed"]
    assert "refused" in reports.states[0].detail
    assert sink.state.dropped >= 5000


async def test_a_broker_that_freezes_holds_nothing_up(own: Mosquitto, needs: Needs) -> None:
    own.start()
    reports = Reports()
    sink = make_sink(own.url, config=MqttConfig(outbox_items=64), report=reports)
    async with running(sink):
        await reports.until("ready")
        assert own.process is not None
        own.process.send_signal(signal.SIGSTOP)
        slowest_s = 0.0
        for index in range(30_000):  # more than the sockets' buffers hold
            began_s = time.perf_counter()
            sink.put(step(index))
            if index % 16 == 0:
                await asyncio.sleep(0)
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
        assert slowest_s < 1.0
        assert sink._outbox.dropped > 0
        own.process.send_signal(signal.SIGCONT)


async def test_a_broker_that_was_slow_for_a_moment_gets_what_waited_without_a_new_connection(
    own: Mosquitto, needs: Needs
) -> None:
    own.start()
    assert own.process is not None
    reports = Reports()
    sink = make_sink(own.url, config=MqttConfig(outbox_items=64), report=reports)
    async with listening(needs, own.url) as listener, running(sink):
        await reports.until("ready")
        own.process.send_signal(signal.SIGSTOP)
        index = 0
        while not sink._outbox.dropped:  # until the sockets' buffers are full
            sink.put(step(index))
            index += 1
            await asyncio.sleep(0)
        own.process.send_signal(signal.SIGCONT)
        sink.put(step(index))
        await listener.until("step", step_index=index)
    assert {state.state for state in reports.states} == {"ready", "closed"}


@pytest.fixture
async def guarded(needs: Needs, tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Mosquitto]:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"{USER}:{_mosquitto_hash('s3cret')}\n", encoding="utf-8")
    broker = Mosquitto(needs, tmp_path, unused_tcp_port, "allow_anonymous false", f"password_file {passwords}")
    broker.start()
    yield broker
    broker.kill()


@pytest.mark.parametrize(
    ("user", "password", "advice"),
    [
        (USER, "wrong", "check HIPDRIVE_MQTT_PASSWORD"),
        (USER, None, "set HIPDRIVE_MQTT_PASSWORD"),
        ("", None, "name one, --broker mqtt://USER@"),
    ],
)
async def test_a_refused_password_is_said_once_in_one_line_and_the_run_goes_on(
    guarded: Mosquitto, monkeypatch: pytest.MonkeyPatch, user: str, password: str | None, advice: str
) -> None:
    if password is not None:
        monkeypatch.setenv("HIPDRIVE_MQTT_PASSWORD", password)
    reports = Reports()
    async with running(make_sink(guarded.url.replace("//", f"//{user}@" if user else "//"), report=reports)) as sink:
        told = await reports.until("failed")
        sink.put(step())
    assert advice in told.detail
    assert "\n" not in told.detail
    assert "wrong" not in told.detail
    assert [state.state for state in reports.states] == ["failed", "closed"]


async def test_the_right_password_opens_the_door(
    guarded: Mosquitto, needs: Needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIPDRIVE_MQTT_PASSWORD", "s3cret")
    sink = make_sink(guarded.url.replace("//", f"//{USER}@"))
    async with listening(needs, guarded.url, "-u", USER, "-P", "s3cret") as listener, running(sink):
        sink.put(step())
        await listener.until("step")


# paho leaves a socket whose certificate it refused to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls_is_checked_against_the_certificates_this_machine_trusts(
    needs: Needs, tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(needs("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    tls = (f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    broker = Mosquitto(needs, tmp_path, unused_tcp_port, *tls)
    broker.start()
    url = broker.url.replace("mqtt://", "mqtts://")
    try:
        reports = Reports()
        async with running(make_sink(url, report=reports)):
            told = await reports.until("waiting")
            assert "certificate" in told.detail.lower()
        # In the thread that connected: it has let go of its last attempt when it takes this on.
        await asyncio.to_thread(gc.collect)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ssl.get_default_verify_paths().openssl_cafile_env == "SSL_CERT_FILE"
        reports = Reports()
        async with running(make_sink(url, report=reports)) as sink:
            await reports.until("ready")
            sink.put(step())
        assert sink.state.dropped == 0
    finally:
        broker.kill()


# ---------------------------------------------------------------- commands


async def commanded(needs: Needs, url: str, listener: Listener, order: Mapping[str, object]) -> dict[str, Any]:
    await asyncio.to_thread(publish, needs, url, "hipdrive/v1/ada/cmd", json.dumps(order), "-q", "1")
    answer = (await listener.until("resp")).body
    jsonschema.Draft202012Validator(schema_of("resp")).validate(answer)
    return answer


async def test_commands_reach_the_session_and_are_answered(url: str, needs: Needs) -> None:
    injected: list[Marker | Command | Speed] = []
    async with listening(needs, url) as listener, running(make_sink(url, inject=injected.append)) as sink:
        await listener.until("state", state="online")
        sink.put(step(0))
        await listener.until("step")
        orders = (
            {"id": "1", "name": "mark", "text": "hill", "kind": "lap"},
            {"id": "2", "name": "mute"},
            {"id": "3", "name": "swap_sides"},
            {"id": "4", "name": "speed", "speed_mps": 3.5},
            {"id": "5", "name": "speed", "speed_mps": 3.6, "value": "foot pod"},
            {"id": "6", "name": "metronome", "rate_spm": 172.5},
            {"id": "7", "name": "say", "value": "drop"},
        )
        for order in orders:
            answer = await commanded(needs, url, listener, order)
            assert (answer["id"], answer["name"], answer["ok"]) == (order["id"], order["name"], True)
    at_s = step(0).reported_at_s
    assert injected == [
        Marker(at_s, "hill", "lap"),
        Command(at_s, "mute"),
        Command(at_s, "swap_sides"),
        Speed(at_s, 3.5, "treadmill"),
        Speed(at_s, 3.6, "foot pod"),
        Command(at_s, "metronome", "172.5"),
        Command(at_s, "say", "drop"),
    ]


async def test_a_command_that_makes_no_sense_is_answered_with_the_reason(url: str, needs: Needs) -> None:
    injected: list[object] = []
    async with listening(needs, url) as listener, running(make_sink(url, inject=injected.append)):
        await listener.until("state", state="online")
        answer = await commanded(needs, url, listener, {"id": "9", "name": "explode"})
        assert (answer["id"], answer["ok"]) == ("9", False)
        assert "explode" in answer["error"]
        answer = await commanded(needs, url, listener, {"id": "8", "name": "say", "value": "hip drop!"})
        assert (answer["id"], answer["ok"]) == ("8", False)
        assert "hip drop!" in answer["error"]
    assert injected == []


async def test_a_retained_command_is_not_obeyed(url: str, needs: Needs) -> None:
    injected: list[object] = []
    publish(needs, url, "hipdrive/v1/ada/cmd", '{"id": "1", "name": "swap_sides"}', "-q", "1", "-r")
    async with listening(needs, url) as listener, running(make_sink(url, inject=injected.append)):
        await listener.until("state", state="online")
        answer = await commanded(needs, url, listener, {"id": "2", "name": "mute"})
        assert answer["id"] == "2"
    assert injected == [Command(0.0, "mute")]


async def test_history_brings_the_last_minutes_again_as_they_were_published(url: str, needs: Needs) -> None:
    sink = make_sink(url, config=MqttConfig(history_s=60.0))
    async with listening(needs, url) as listener, running(sink):
        for index in range(300):
            sink.put(step(index))
            sink.put(stride(index))
        await listener.until("stride", step_index=299)
        published = {message.payload for message in (*listener.of("step"), *listener.of("stride"))}
        answer = await commanded(needs, url, listener, {"id": "h", "name": "history"})
        parts = [answer]
        while len(parts) < answer["parts"]:
            parts.append((await listener.until("resp")).body)
    assert [part["part"] for part in parts] == list(range(1, answer["parts"] + 1))
    steps = [entry for part in parts for entry in part["steps"]]
    strides = [entry for part in parts for entry in part["strides"]]
    # 60 s of steps every 0.35 s, up to the last
    assert [entry["step_index"] for entry in steps] == list(range(299 - 171, 300))
    assert [entry["step_index"] for entry in strides] == [entry["step_index"] for entry in steps]
    for entry in (*steps, *strides):
        assert json.dumps(entry, separators=(",", ":")).encode() in published


async def test_an_empty_history_is_answered_too(mosquitto: str, needs: Needs) -> None:
    async with listening(needs, mosquitto) as listener, running(make_sink(mosquitto)):
        await listener.until("state", state="online")
        answer = await commanded(needs, mosquitto, listener, {"id": "h", "name": "history"})
        assert (answer["ok"], answer["parts"], answer["steps"]) == (True, 1, [])


# ---------------------------------------------------------------- samples


async def heard_samples(needs: Needs, sink: MqttSink, listener: Listener, item: Motion) -> list[Heard]:
    """Put motion and then a marker; return the packets that came before the marker."""
    before = len(listener.of("samples"))
    sink.put(item)
    sink.put(Marker(0.0, "behind"))
    await listener.until("marker")
    return listener.of("samples")[before:]


async def test_samples_flow_by_themselves_on_this_machine_and_by_a_lease_elsewhere(
    mosquitto: str, needs: Needs
) -> None:
    # 0.0.0.0 reaches this machine on Linux but is no loopback address: it stands for a broker elsewhere.
    elsewhere = mosquitto.replace("127.0.0.1", "0.0.0.0")
    async with listening(needs, mosquitto) as listener:
        async with running(make_sink(mosquitto)) as sink:
            assert len(await heard_samples(needs, sink, listener, motion())) == 1
        async with running(make_sink(elsewhere)) as sink:
            await listener.until("state", state="online")
            assert await heard_samples(needs, sink, listener, motion()) == []
            answer = await commanded(needs, mosquitto, listener, {"id": "s", "name": "samples", "lease_s": 60})
            assert answer["ok"] is True
            (packet,) = await heard_samples(needs, sink, listener, motion(8, first_s=12.0))
            assert unpack_samples(packet.payload).t0_s == 12.0
            assert (await commanded(needs, mosquitto, listener, {"id": "e", "name": "samples", "lease_s": 0}))["ok"]
            assert await heard_samples(needs, sink, listener, motion()) == []


async def test_samples_that_are_off_cannot_be_leased(mosquitto: str, needs: Needs) -> None:
    sink = make_sink(mosquitto, config=MqttConfig(samples="off"))
    async with listening(needs, mosquitto) as listener, running(sink):
        await listener.until("state", state="online")
        answer = await commanded(needs, mosquitto, listener, {"id": "s", "name": "samples"})
        assert (answer["ok"], "mqtt.samples" in answer["error"]) == (False, True)
        assert await heard_samples(needs, sink, listener, motion()) == []


async def test_much_motion_at_once_comes_in_packets_of_a_second(mosquitto: str, needs: Needs) -> None:
    async with listening(needs, mosquitto) as listener, running(make_sink(mosquitto)) as sink:
        packets = await heard_samples(needs, sink, listener, motion(1000))
    assert [unpack_samples(packet.payload).n for packet in packets] == list(range(5))


# ---------------------------------------------------------------- its cost


async def test_an_idle_connection_costs_nothing(mosquitto: str) -> None:
    reports = Reports()
    async with running(make_sink(mosquitto, report=reports)) as sink:
        await reports.until("ready")
        sink.put(LinkHealth("pelvis", "connected", 1.0, 0, 0, 0, 0, 0))
        loop = asyncio.get_running_loop()
        rounds = 0

        def count() -> None:
            nonlocal rounds
            rounds += 1

        # The socket must not stay watched for writing: it is always writable, and the loop would never rest.
        selector = loop._selector  # type: ignore[attr-defined]
        select = selector.select

        def counted(timeout: float | None = None) -> object:
            count()
            return select(timeout)

        selector.select = counted
        try:
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.5)
        finally:
            selector.select = select
        assert rounds < 20


async def test_many_sinks_do_not_get_into_each_others_way(mosquitto: str, needs: Needs) -> None:
    names = ("ada", "ben", "cleo")
    async with listening(needs, mosquitto) as listener:
        async with AsyncExitStack() as stack:
            sinks = [
                await stack.enter_async_context(running(make_sink(mosquitto, session=session(runner=name))))
                for name in names
            ]
            for sink in sinks:
                sink.put(step())
                sink.put(SessionState("offline"))
        seen: set[str] = set()
        while len(seen) < 3:
            seen.add((await listener.until("state", state="offline")).body["runner"])
    assert {message.topic for message in listener.of("step")} == {f"hipdrive/v1/{name}/step" for name in names}


# ---------------------------------------------------------------- what a client leaves behind


async def test_what_a_client_leaves_behind_is_not_printed_and_what_others_do_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    hush_clients(loop)
    for error in (aiomqtt.MqttError("the connection was lost"), RuntimeError("somebody else's")):
        loop.create_future().set_exception(error)
    gc.collect()
    closed = aiomqtt.Client("127.0.0.1")

    def of_another() -> None:
        raise OSError("another's socket")

    # what paho does when its socket is gone
    loop.call_soon(closed._client._sock_send, b"")
    loop.call_soon(of_another)
    await asyncio.sleep(0)
    said = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(error) for error in said] == ["somebody else's", "another's socket"]
