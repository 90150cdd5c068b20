from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from sensor_host.broker import DEFAULT_PORT, EmbeddedBroker, Program
from sensor_host.broker_client import BrokerAddress
from sensor_host.config import MqttConfig
from sensor_host.errors import BrokerError, ConfigError
from sensor_host.runtime import BrokerRecord, Process, end_orphans, find_broker, records, runtime_dir

Needs = Callable[[str], str]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="watches processes through pidfd and /proc")


@pytest.fixture(params=["mosquitto", "amqtt"])
def program(request: pytest.FixtureRequest, needs: Needs) -> Program:
    chosen: Literal["mosquitto", "amqtt"] = request.param
    if chosen == "mosquitto":
        needs("mosquitto")
    return chosen


def publish(needs: Needs, url: str) -> None:
    """Publish with a client that is not ours, which fails if nobody answers."""
    port = str(BrokerAddress.parse(url).port)
    subprocess.run([needs("mosquitto_pub"), "-p", port, "-t", "a", "-m", "b", "-q", "1"], check=True, timeout=20)


def wait_for_end(*pids: int) -> None:
    """Wait until the processes are gone, by the system's own word."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], 20)[0], f"process {pid} lives on"
        finally:
            os.close(handle)


def only_record() -> tuple[Path, BrokerRecord]:
    (found,) = records()
    return found


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://localhost", BrokerAddress("localhost", 1883)),
        ("mqtts://example.org", BrokerAddress("example.org", 8883, tls=True)),
        ("mqtt://ada@192.168.0.7:1884", BrokerAddress("192.168.0.7", 1884, user="ada")),
        ("mqtt://[::1]:1885", BrokerAddress("::1", 1885)),
    ],
)
def test_an_address_is_read(url: str, address: BrokerAddress) -> None:
    assert BrokerAddress.parse(url) == address
    assert BrokerAddress.parse(str(address)) == address


@pytest.mark.parametrize("url", ["", "localhost", "http://localhost", "mqtt://", "mqtt://h:99999", "mqtt://h/topic"])
def test_what_is_no_address_is_refused_with_a_way_out(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BrokerAddress.parse(url)
    assert caught.value.path == "mqtt.broker"
    assert "\n" not in str(caught.value)


def test_a_password_does_not_belong_into_the_address_and_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        BrokerAddress.parse("mqtt://ada:secret@example.org")
    assert "secret" not in str(caught.value)
    assert "mqtt.password_env" in str(caught.value)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_only_this_machine_is_local(host: str, local: bool) -> None:
    assert BrokerAddress(host, 1883).is_local is local


# ---------------------------------------------------------------- the embedded broker


async def test_it_answers_strangers_while_it_runs_and_leaves_nothing_behind(program: Program, needs: Needs) -> None:
    async with EmbeddedBroker(MqttConfig(), program=program) as broker:
        assert broker.program == program
        await asyncio.to_thread(publish, needs, broker.url)
        path, record = only_record()
        assert path.name == "broker.json"
        assert json.loads(path.read_text(encoding="utf-8"))["url"] == broker.url
        assert find_broker() == record
        assert record.host.pid == os.getpid()
        assert record.broker.alive
    assert not record.broker.alive
    assert not record.watcher.alive
    assert find_broker() is None
    assert list(runtime_dir().iterdir()) == []


@linux_only
async def test_it_listens_on_loopback_alone(program: Program) -> None:
    async with EmbeddedBroker(MqttConfig(), program=program) as broker:
        port = BrokerAddress.parse(broker.url).port
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        rows += [line.split() for line in Path("/proc/net/tcp6").read_text(encoding="ascii").splitlines()[1:]]
        # State 0A is LISTEN; 0100007F is 127.0.0.1.
        assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")] == [
            f"0100007F:{port:04X}"
        ]


HOST = """
import asyncio, sys
from sensor_host.broker import EmbeddedBroker
from sensor_host.config import MqttConfig

async def main():
    async with EmbeddedBroker(MqttConfig(), program=sys.argv[1]) as broker:
        print(broker.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def host(program: Program) -> Iterator[subprocess.Popen[str]]:
    """Run a host with an embedded broker as a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", HOST, program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("mqtt://")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    end_orphans()


@linux_only
def test_it_ends_when_its_host_is_killed(host: subprocess.Popen[str]) -> None:
    path, record = only_record()
    os.kill(host.pid, signal.SIGKILL)
    wait_for_end(record.broker.pid, record.watcher.pid)
    assert not path.exists()
    assert not Path(record.folder).exists()


@linux_only
def test_a_start_ends_the_broker_that_a_killed_watcher_left_behind(host: subprocess.Popen[str], needs: Needs) -> None:
    path, record = only_record()
    os.kill(record.watcher.pid, signal.SIGSTOP)
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    os.kill(record.watcher.pid, signal.SIGKILL)
    wait_for_end(record.watcher.pid)
    if record.program == "mosquitto":
        assert record.broker.alive, "nobody was left to end it"
    assert find_broker() is None
    assert end_orphans() == 1
    wait_for_end(record.broker.pid)
    assert not path.exists()


def test_a_process_that_merely_got_the_number_of_an_orphan_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        gone = Process(2**22 - 7, "1")
        number_given_anew = Process(bystander.pid, "1")
        record = BrokerRecord("mqtt://127.0.0.1:1", "mosquitto", "hipdrive", gone, number_given_anew, number_given_anew)
        record.write(runtime_dir() / "broker.json")
        assert end_orphans() == 1
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")
    assert bystander.returncode == 0
    assert list(records()) == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"url": 1, "host": {"pid": 1}}', "\x00"])
def test_a_runtime_file_that_makes_no_sense_is_passed_over(content: str) -> None:
    (runtime_dir() / "broker.json").write_text(content, encoding="utf-8")
    assert find_broker() is None
    assert end_orphans() == 0


@linux_only
async def test_a_broker_that_dies_is_back_on_the_same_port(program: Program, needs: Needs) -> None:
    async with EmbeddedBroker(MqttConfig(), program=program) as broker:
        _, before = only_record()
        os.kill(before.broker.pid, signal.SIGKILL)
        wait_for_end(before.broker.pid)
        # The client that is not ours asks again until it is answered.
        port = str(BrokerAddress.parse(broker.url).port)
        retry = f"until {needs('mosquitto_pub')} -p {port} -t a -m b -q 1 2>/dev/null; do :; done"
        await asyncio.to_thread(subprocess.run, ["sh", "-c", retry], check=True, timeout=20)
        # a broker answers a moment before its watcher has written down which one it is
        async with asyncio.timeout(20):
            while (after := only_record()[1]).broker == before.broker:
                await asyncio.sleep(0.01)
        assert after.broker.alive


async def test_it_takes_its_own_port_if_that_is_free_and_another_if_not(program: Program) -> None:
    try:
        blocker = socket.create_server(("127.0.0.1", DEFAULT_PORT))
    except OSError:
        blocker = None  # somebody else on this machine already holds it, which is just as well
    try:
        async with EmbeddedBroker(MqttConfig(), program=program) as broker:
            assert BrokerAddress.parse(broker.url).port != DEFAULT_PORT
    finally:
        if blocker is not None:
            blocker.close()


async def test_two_of_them_live_side_by_side(program: Program) -> None:
    async with EmbeddedBroker(MqttConfig(), program=program) as first:
        async with EmbeddedBroker(MqttConfig(), program=program) as second:
            assert first.url != second.url
            assert {record.url for _, record in records()} == {first.url, second.url}
            port = BrokerAddress.parse(second.url).port
            assert {path.name for path, _ in records()} == {"broker.json", f"broker-{port}.json"}
        found = find_broker()
        assert found is not None
        assert found.url == first.url


async def test_a_port_that_is_taken_is_said_with_both_ways_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as blocker:
        port = blocker.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} .*mqtt.port.*--broker mqtt://localhost:{port}") as caught:
            async with EmbeddedBroker(MqttConfig(port=port)):
                pass
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 6
    assert list(runtime_dir().iterdir()) == []


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.168.1.5"])
async def test_it_refuses_to_let_others_in_without_a_password(bind: str) -> None:
    with pytest.raises(ConfigError, match="HIPDRIVE_MQTT_PASSWORD") as caught:
        async with EmbeddedBroker(MqttConfig(bind=bind)):
            pass
    assert caught.value.path == "mqtt.bind"


async def test_amqtt_never_lets_others_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIPDRIVE_MQTT_PASSWORD", "secret")
    with pytest.raises(BrokerError, match="Mosquitto"):
        async with EmbeddedBroker(MqttConfig(bind="0.0.0.0"), program="amqtt"):
            pass


async def test_a_mosquitto_that_does_not_start_is_replaced_by_amqtt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "mosquitto"
    broken.write_text("#!/bin/sh\necho no libraries >&2\nexit 1\n", encoding="ascii")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    async with EmbeddedBroker(MqttConfig()) as broker:
        assert broker.program == "amqtt"
    with pytest.raises(BrokerError, match="no libraries"):
        async with EmbeddedBroker(MqttConfig(), program="mosquitto"):
            pass


@linux_only
async def test_ctrl_c_in_the_terminal_does_not_reach_it(program: Program) -> None:
    async with EmbeddedBroker(MqttConfig(), program=program):
        _, record = only_record()
        assert os.getsid(record.broker.pid) == os.getsid(record.watcher.pid) != os.getsid(0)
