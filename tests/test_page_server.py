from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import skip_or_fail
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from sensor_host.broker import EmbeddedBroker
from sensor_host.broker_client import BrokerAddress
from sensor_host.config import MqttConfig, PageConfig
from sensor_host.errors import ConfigError
from sensor_host.page.addresses import Interface, for_phones, interfaces
from sensor_host.page.certificate import check_certificate
from sensor_host.page.gate import Gate, GateError
from sensor_host.page.link import Link, make_link
from sensor_host.page.orders import Serving
from sensor_host.page.server import WEB, PageServer
from sensor_host.page.texts import texts_of
from sensor_host.ports import SinkState
from sensor_host.sinks.page import PageSink

Needs = Callable[[str], str]
TOKEN = "a-token-of-this-test"


# ---------------------------------------------------------------- the gate: MQTT 3.1.1, byte by byte


def word(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def packet(first: int, body: bytes) -> bytes:
    """Return a packet of less than 128 bytes, or of two bytes of length (section 2.2.3)."""
    size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([first]) + size + body


def connect_packet(password: str = TOKEN, flags: int = 0xC2, level: int = 4) -> bytes:
    return packet(0x10, word("MQTT") + bytes([level, flags, 0, 5]) + word("me") + word("page") + word(password))


def publish_packet(topic: str, first: int = 0x30) -> bytes:
    identifier = b"\x00\x07" if first & 0x06 else b""
    return packet(first, word(topic) + identifier + b'{"id": "1", "name": "mark"}')


def subscribe_packet(*topics: str) -> bytes:
    return packet(0x82, b"\x00\x01" + b"".join(word(topic) + b"\x00" for topic in topics))


def gate(**account: str) -> Gate:
    return Gate(TOKEN, "hipdrive/v1", **account)


def test_the_broker_sees_a_clean_session_without_account_where_it_wants_none() -> None:
    passed = gate().take(connect_packet())
    assert passed[0] == 0x10
    assert passed[2:12] == word("MQTT") + bytes([4, 0x02, 0, 5])
    assert passed[14:].startswith(b"hipdrive-page-")
    assert TOKEN.encode() not in passed


def test_the_broker_sees_the_hosts_account_and_never_the_token() -> None:
    passed = gate(user="ada", password="secret").take(connect_packet())
    assert passed[9] == 0xC2
    assert passed.endswith(word("ada") + word("secret"))
    assert TOKEN.encode() not in passed


@pytest.mark.parametrize(
    "first",
    [
        connect_packet("wrong"),
        connect_packet(""),
        connect_packet(flags=0x02),
        connect_packet(flags=0xC6),
        connect_packet(level=5),
        packet(0x10, word("MQIsdp") + bytes([3, 0xC2, 0, 5]) + word("me") + word("page") + word(TOKEN)),
        packet(0x10, b"\x00\x04MQ"),
        subscribe_packet("hipdrive/v1/#"),
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20,
        b"\x10\xff\xff\xff\xff\xff",
        b"\x10\xff\xff\x7f",
    ],
    ids=["wrong", "empty", "none", "will", "mqtt-5", "mqtt-3.1", "cut", "no-connect", "http", "length", "huge"],
)
def test_whoever_does_not_greet_as_agreed_is_sent_away(first: bytes) -> None:
    with pytest.raises(GateError):
        gate().take(first)


@pytest.mark.parametrize(
    "said",
    [
        publish_packet("hipdrive/v1/ada/cmd"),
        publish_packet("hipdrive/v1/ada/cmd", 0x32),
        subscribe_packet("hipdrive/v1/ada/cue", "hipdrive/v1/+/step"),
        subscribe_packet("hipdrive/v1/#"),
        b"\xc0\x00",
        b"\xe0\x00",
        packet(0x40, b"\x00\x01"),
    ],
    ids=["command", "command-1", "subscribe", "all", "ping", "disconnect", "puback"],
)
def test_what_a_page_may_say_goes_through_as_it_is(said: bytes) -> None:
    greeted = gate()
    greeted.take(connect_packet())
    assert greeted.take(said) == said


@pytest.mark.parametrize(
    "said",
    [
        publish_packet("hipdrive/v1/ada/cmd", 0x31),
        publish_packet("hipdrive/v1/ada/state"),
        publish_packet("hipdrive/v1/ada/cue"),
        publish_packet("hipdrive/v1/a/b/cmd"),
        publish_packet("hipdrive/v1/+/cmd"),
        publish_packet("other/v1/ada/cmd"),
        publish_packet("hipdrive/v1/ada/cmd\n"),
        subscribe_packet("#"),
        subscribe_packet("$SYS/#"),
        subscribe_packet("hipdrive/v1/#", "hipdrive/#"),
        connect_packet(),
        b"\xf0\x00",
        packet(0x30, b"\x00\x40hipdrive"),
    ],
)
def test_what_a_page_may_not_say_ends_its_connection(said: bytes) -> None:
    greeted = gate()
    greeted.take(connect_packet())
    with pytest.raises(GateError):
        greeted.take(said)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_how_the_bytes_are_cut_changes_nothing(sizes: list[int]) -> None:
    rest = publish_packet("hipdrive/v1/ada/cmd", 0x32) + subscribe_packet("hipdrive/v1/" + "a" * 200) + b"\xc0\x00"
    data = connect_packet() + rest
    cut, passed = gate(), b""
    for size in sizes:
        passed += cut.take(data[:size])
        data = data[size:]
    passed += cut.take(data)
    assert passed.endswith(rest)
    # CONNECT: two bytes of head, ten of MQTT 3.1.1, the client's name
    assert len(passed) == len(rest) + 2 + passed[1]


# ---------------------------------------------------------------- the server


@pytest.fixture(params=["mosquitto", "amqtt"])
async def broker(request: pytest.FixtureRequest, needs: Needs) -> AsyncIterator[BrokerAddress]:
    if request.param == "mosquitto":
        needs("mosquitto")
    async with EmbeddedBroker(MqttConfig(), program=request.param) as embedded:
        yield BrokerAddress.parse(embedded.url)


def serving(port: int, broker_port: int = 9) -> Serving:
    return Serving(bind="127.0.0.1", port=port, token=TOKEN, broker_port=broker_port, phrases={"drop": "Belt level"})


@pytest.fixture
async def url(unused_tcp_port: int) -> AsyncIterator[str]:
    async with PageServer(serving(unused_tcp_port)).open():
        yield f"http://127.0.0.1:{unused_tcp_port}"


def get(address: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/wrong/",
        f"/{TOKEN}x/",
        f"/{TOKEN[:-1]}/",
        f"/{TOKEN}/nothing.html",
        f"/{TOKEN}/../page/gate.py",
        f"/{TOKEN}/%2e%2e/config.py",
        f"/{TOKEN}//etc/passwd",
        f"/{TOKEN}/vendor/package.json",
    ],
)
async def test_without_the_token_and_beside_the_page_there_is_nothing(url: str, path: str) -> None:
    code, _, body = await asyncio.to_thread(get, url + path)
    assert (code, body) == (404, b"not found\n")


async def test_the_page_is_there_with_the_token_and_loads_nothing_from_elsewhere(url: str) -> None:
    code, headers, body = await asyncio.to_thread(get, f"{url}/{TOKEN}/")
    assert code == 200
    assert b'<html lang="en"' in body
    assert b"Tap to start sound" in body
    assert b"${" not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_every_file_of_the_page_has_its_type(url: str) -> None:
    for name, kind in (("page.js", "text/javascript"), ("style.css", "text/css"), ("page.webmanifest", "application/")):
        code, headers, _ = await asyncio.to_thread(get, f"{url}/{TOKEN}/{name}")
        assert code == 200
        assert headers["Content-Type"].startswith(kind)


async def test_the_page_is_told_the_session_and_no_secret(url: str) -> None:
    _, _, body = await asyncio.to_thread(get, f"{url}/{TOKEN}/settings.json")
    assert json.loads(body) == {
        "root": "hipdrive/v1",
        "runner": "runner",
        "language": "en",
        "phrases": {"drop": "Belt level"},
        "texts": texts_of("en"),
        "through_mute": [],
        "ticks": False,
        "metronome_spm": 0,
    }


async def test_a_page_of_another_site_does_not_get_through_the_door(url: str) -> None:
    door = f"{url.replace('http', 'ws')}/{TOKEN}/mqtt"
    with pytest.raises(InvalidStatus) as caught:
        async with connect(door, origin=Origin("http://evil.example"), subprotocols=[Subprotocol("mqtt")]):
            pass
    assert caught.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as caught:
        async with connect(door.replace(TOKEN, "wrong")):
            pass
    assert caught.value.response.status_code == 404


async def test_a_page_gets_through_to_either_broker(broker: BrokerAddress, unused_tcp_port: int) -> None:
    door = f"ws://127.0.0.1:{unused_tcp_port}/{TOKEN}/mqtt"
    async with (
        PageServer(serving(unused_tcp_port, broker.port)).open(),
        connect(door, subprotocols=[Subprotocol("mqtt")], compression=None) as page,
    ):
        assert page.subprotocol == "mqtt"
        await page.send(connect_packet())
        assert await page.recv() == b"\x20\x02\x00\x00"  # CONNACK: accepted
        await page.send(subscribe_packet("hipdrive/v1/ada/cmd"))
        assert await page.recv() == b"\x90\x03\x00\x01\x00"  # SUBACK
        await page.send(publish_packet("hipdrive/v1/ada/cmd"))
        assert await page.recv() == publish_packet("hipdrive/v1/ada/cmd")


async def test_behind_tls_and_before_a_broker_with_passwords_it_is_the_same(
    needs: Needs, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    port, broker_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    key, certificate, passwords, conf = (tmp_path / name for name in ("key.pem", "cert.pem", "passwords", "conf"))
    request = (needs("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test")
    to = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
    subprocess.run([*request, *to], check=True, capture_output=True)
    subprocess.run([needs("mosquitto_passwd"), "-b", "-c", passwords, "ada", "secret"], check=True, capture_output=True)
    passwords.chmod(0o600)
    user = ["user root"] if os.geteuid() == 0 else []
    conf.write_text("\n".join((f"listener {broker_port} 127.0.0.1", f"password_file {passwords}", *user, "")))
    broker = subprocess.Popen([needs("mosquitto"), "-c", conf], stderr=subprocess.PIPE, text=True)
    assert broker.stderr is not None
    try:
        said: list[str] = []
        while "running" not in (line := broker.stderr.readline()):
            said.append(line)
            assert line, said
        order = Serving(
            bind="127.0.0.1",
            port=port,
            token=TOKEN,
            certificate=str(certificate),
            key=str(key),
            broker_port=broker_port,
            broker_user="ada",
            broker_password="secret",
        )
        trusting = ssl.create_default_context(cafile=certificate)
        door = f"wss://127.0.0.1:{port}/{TOKEN}/mqtt"
        async with PageServer(order).open(), connect(door, ssl=trusting, compression=None) as page:
            await page.send(connect_packet())
            assert await page.recv() == b"\x20\x02\x00\x00"  # CONNACK: accepted
    finally:
        broker.kill()
        broker.wait()
        broker.stderr.close()


@pytest.mark.parametrize("said", [connect_packet("wrong"), b"\x30\x00"])
async def test_who_has_no_password_is_hung_up_on(broker: BrokerAddress, unused_tcp_port: int, said: bytes) -> None:
    door = f"ws://127.0.0.1:{unused_tcp_port}/{TOKEN}/mqtt"
    async with PageServer(serving(unused_tcp_port, broker.port)).open(), connect(door) as page:
        await page.send(said)
        with pytest.raises(ConnectionClosed) as caught:
            await page.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008


async def test_a_door_without_a_broker_behind_it_is_closed_for_now(url: str) -> None:
    async with connect(f"{url.replace('http', 'ws')}/{TOKEN}/mqtt") as page:
        with pytest.raises(ConnectionClosed) as caught:
            await page.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1013


# ---------------------------------------------------------------- the sink


class Reports:
    def __init__(self) -> None:
        self._queue: asyncio.Queue[SinkState] = asyncio.Queue()

    def __call__(self, state: SinkState) -> None:
        self._queue.put_nowait(state)

    async def until(self, state: str) -> SinkState:
        async with asyncio.timeout(30):
            while (told := await self._queue.get()).state != state:
                pass
        return told


async def test_a_server_that_is_killed_is_back_at_the_same_link(unused_tcp_port: int) -> None:
    reports = Reports()
    link = f"http://127.0.0.1:{unused_tcp_port}/{TOKEN}/"
    sink = PageSink(serving(unused_tcp_port), link, report=reports, restart_min_s=0.01)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        assert (await reports.until("ready")).detail == link
        os.kill(sink.pid, signal.SIGTERM)
        assert "starts again" in (await reports.until("waiting")).detail
        await reports.until("ready")
        assert (await asyncio.to_thread(get, link))[0] == 200
        sink.close()
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        pass


async def test_a_server_that_cannot_start_is_said_in_its_own_words_and_harms_nothing(unused_tcp_port: int) -> None:
    reports = Reports()
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        sink = PageSink(serving(unused_tcp_port), "", report=reports, restart_min_s=600)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(sink.run())
            assert "address already in use" in (await reports.until("waiting")).detail
            sink.close()
    sink = PageSink(serving(unused_tcp_port), "", report=reports, restart_min_s=600, command=["no-such-program"])
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        await reports.until("waiting")
        sink.close()


def test_the_server_ends_when_its_host_is_gone(unused_tcp_port: int) -> None:
    import msgspec

    child = subprocess.Popen([sys.executable, "-m", "sensor_host.page"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(msgspec.json.encode(serving(unused_tcp_port)) + b"\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"ready\n"
    child.stdin.close()
    assert child.wait(20) == 0
    child.stdout.close()


# ---------------------------------------------------------------- the link


def test_the_link_stays_the_same_from_run_to_run_and_is_the_owners_alone(home: Path) -> None:
    first, second = make_link(PageConfig(serve="local")), make_link(PageConfig(serve="local"))
    assert first.token == second.token
    assert len(first.token) >= 16
    assert str(first) == f"http://127.0.0.1:{first.port}/{first.token}/"
    path = home / "data" / "hipdrive" / "page-token"
    assert path.stat().st_mode & 0o077 == 0


def test_a_token_that_was_cut_short_is_made_anew(home: Path) -> None:
    path = home / "data" / "hipdrive" / "page-token"
    path.parent.mkdir(parents=True)
    path.write_text("abc", encoding="ascii")
    assert len(make_link(PageConfig(serve="local")).token) >= 16


def test_a_page_for_the_network_listens_everywhere_and_one_for_this_computer_does_not() -> None:
    assert make_link(PageConfig(serve="lan")).bind == "0.0.0.0"
    assert make_link(PageConfig(serve="local")).bind == "127.0.0.1"


def test_a_certificate_that_is_not_there_and_a_port_that_is_taken_are_said(unused_tcp_port: int) -> None:
    with pytest.raises(ConfigError, match=r"page\.certificate: there is no file nowhere\.pem"):
        make_link(PageConfig(serve="local", certificate="nowhere.pem"))
    with (
        socket.create_server(("127.0.0.1", unused_tcp_port)),
        pytest.raises(ConfigError, match="choose another"),
    ):
        make_link(PageConfig(serve="local", port=unused_tcp_port))


@pytest.fixture(scope="module")
def pems(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two certificates, the key of the first alone, once with a password."""
    folder = tmp_path_factory.mktemp("pems")
    openssl = needs("openssl")
    for name in ("one", "two"):
        request = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        to = ("-subj", "/CN=test", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        subprocess.run([openssl, *request, *to], check=True, capture_output=True)
    lock = ("pkey", "-in", folder / "one.key", "-aes256", "-passout", "pass:secret", "-out", folder / "locked.key")
    subprocess.run([openssl, *lock], check=True, capture_output=True)
    both = (folder / "one.pem").read_bytes() + (folder / "one.key").read_bytes()
    (folder / "both.pem").write_bytes(both)
    (folder / "words.pem").write_text("no certificate at all", encoding="ascii")
    broken = (folder / "one.pem").read_text(encoding="ascii").replace("M", "A")
    (folder / "broken.pem").write_text(broken, encoding="ascii")
    return folder


@pytest.mark.parametrize(("certificate", "key"), [("one.pem", "one.key"), ("both.pem", "")])
def test_a_certificate_and_its_key_will_do(pems: Path, certificate: str, key: str) -> None:
    check_certificate(str(pems / certificate), str(pems / key) if key else "")


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("nowhere.pem", "one.key", "page.certificate: there is no file"),
        ("one.pem", "nowhere.key", "page.key: there is no file"),
        ("words.pem", "one.key", "page.certificate: .*words.pem is no certificate in PEM form"),
        ("one.pem", "words.pem", "page.key: .*words.pem is no key in PEM form"),
        ("one.pem", "", "page.key: .*one.pem holds no key: name the key's file"),
        ("one.pem", "two.key", "page.key: .*two.key is not the key of .*one.pem"),
        ("one.pem", "locked.key", "page.key: .*locked.key wants a password: take it off"),
        ("broken.pem", "one.key", "page.certificate: .*broken.pem and its key cannot be used"),
        (".", "one.key", "page.certificate: .* cannot be read .is a directory."),
        ("", "one.key", "page.key: .*one.key is of no use without page.certificate"),
    ],
)
def test_what_is_wrong_with_a_certificate_has_a_name(pems: Path, certificate: str, key: str, said: str) -> None:
    paths = [str(pems / name) if name else "" for name in (certificate, key)]
    with pytest.raises(ConfigError, match=f"^{said}") as caught:
        make_link(PageConfig(serve="local", certificate=paths[0], key=paths[1]))
    assert "\n" not in str(caught.value)


def test_why_there_is_no_page_is_said_at_once_and_the_run_goes_on(unused_tcp_port: int, home: Path) -> None:
    command = [sys.executable, "-m", "sensor_host.cli", "demo", "--for", "3s", "--page", "--no-sound"]
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        run = subprocess.Popen(
            [*command, "--set", f"page.port={unused_tcp_port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with run:
            assert run.stderr is not None
            said = run.stderr.readline()
            # said before the run has ended
            assert run.poll() is None
            assert said == (
                f"hipdrive: warning: no page in this run: page.port: {unused_tcp_port} cannot be used "
                "(address already in use): choose another, or 0 for any that is free\n"
            )
            told, rest = run.communicate(timeout=60)
    assert (run.returncode, rest) == (0, "")
    assert "warning: no page in this run" in told
    assert len(list((home / "data" / "hipdrive" / "sessions").glob("*.mcap"))) == 1


# ---------------------------------------------------------------- which address


WIFI, CABLE, VPN = Interface("wlan0", "192.168.1.23"), Interface("eth0", "10.1.2.3"), Interface("tun0", "10.8.0.6")
DOCKER, OWN = Interface("docker0", "172.17.0.1"), Interface("lo", "127.0.0.1")
ALONE = Interface("eth0", "169.254.7.8")


@pytest.mark.parametrize(
    ("known", "out", "wanted"),
    [
        ([OWN, DOCKER, WIFI], "192.168.1.23", [WIFI]),
        # two networks: the one that the computer itself would take
        ([OWN, CABLE, WIFI], "192.168.1.23", [WIFI, CABLE]),
        ([OWN, WIFI, CABLE], "10.1.2.3", [CABLE, WIFI]),
        # everything leaves through a tunnel: a phone is not in there
        ([OWN, VPN, WIFI], "10.8.0.6", [WIFI]),
        ([OWN, VPN], "10.8.0.6", [VPN]),
        # the computer is the hotspot itself, or in one without internet: there is no way out
        ([OWN, DOCKER, Interface("wlan0", "10.42.0.1")], "", [Interface("wlan0", "10.42.0.1")]),
        # an address that nobody gave it leads nowhere
        ([OWN, ALONE], "", []),
        ([OWN], "127.0.0.1", []),
        # a provider's address is not one of the house
        ([Interface("wwan0", "100.72.3.4"), WIFI], "100.72.3.4", [WIFI, Interface("wwan0", "100.72.3.4")]),
        # as Windows and macOS name them
        (
            [
                Interface("VirtualBox Host-Only Ethernet Adapter", "192.168.56.1"),
                Interface("vEthernet (WSL)", "172.20.0.1"),
                Interface("Intel(R) Wi-Fi 6 AX201 160MHz", "192.168.178.20"),
            ],
            "",
            ["Intel(R) Wi-Fi 6 AX201 160MHz"],
        ),
        ([Interface("utun4", "10.9.9.9"), Interface("en0", "192.168.0.5")], "10.9.9.9", ["en0"]),
    ],
)
def test_the_likeliest_address_for_a_phone_comes_first(
    known: list[Interface], out: str, wanted: list[Interface | str]
) -> None:
    found = for_phones(known, out)
    assert [one.name if isinstance(want, str) else one for one, want in zip(found, wanted, strict=True)] == wanted


def test_the_link_names_the_first_address_and_says_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor_host.page.link.interfaces", lambda: [OWN, CABLE, DOCKER, WIFI, VPN])
    monkeypatch.setattr("sensor_host.page.link.way_out", lambda: WIFI.address)
    link = make_link(PageConfig(serve="lan"))
    assert str(link) == f"http://192.168.1.23:{link.port}/{link.token}/"
    assert [urlsplit(other).hostname for other in link.elsewhere] == ["10.1.2.3"]
    named = make_link(PageConfig(serve="lan", host="laptop.local"))
    assert str(named).startswith("http://laptop.local:")
    assert named.elsewhere == ()
    assert not named.reaches_nobody


def test_a_computer_in_no_network_is_said_to_reach_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor_host.page.link.interfaces", lambda: [OWN, ALONE])
    monkeypatch.setattr("sensor_host.page.link.way_out", lambda: "")
    assert make_link(PageConfig(serve="lan")).reaches_nobody
    assert not make_link(PageConfig(serve="local")).reaches_nobody


def test_this_computers_own_addresses_are_found() -> None:
    assert OWN.address in {one.address for one in interfaces()}


def test_the_qr_code_is_drawn_in_lines_that_fit_a_terminal() -> None:
    lines = Link("0.0.0.0", "192.168.100.100", 18880, "a" * 16).drawn().splitlines()
    assert 10 < len(lines) < 24


# ---------------------------------------------------------------- what comes from npm


def test_what_is_shipped_of_npm_is_what_was_built() -> None:
    digests = json.loads((WEB / "vendor" / "digests.json").read_text(encoding="utf-8"))
    assert set(digests) == {"LICENSES.txt", "mqtt.esm.js"}
    for name, digest in digests.items():
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == digest


def test_what_is_shipped_of_npm_is_what_npm_has() -> None:
    installed = WEB / "vendor" / "node_modules" / "mqtt"
    if not installed.is_dir():
        skip_or_fail("the page's libraries are not installed: make page")
    assert (WEB / "vendor" / "mqtt.esm.js").read_bytes() == (installed / "dist" / "mqtt.esm.js").read_bytes()
    wanted: dict[str, Any] = json.loads((WEB / "vendor" / "package.json").read_text(encoding="utf-8"))
    there = json.loads((installed / "package.json").read_text(encoding="utf-8"))
    assert there["version"] == wanted["dependencies"]["mqtt"]
    licences = (WEB / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
    assert f"mqtt {there['version']}: MIT" in licences
