"""What ``hipdrive scan`` and ``hipdrive sensors`` show, against real GATT; and what they say without any."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from bluetooth import OpenBluetooth, Spec

from sensor_host import known_sensors
from sensor_host.boards import BOARDS
from sensor_host.boards.board import Read, SetUp
from sensor_host.boards.rimu import INFO_UUID
from sensor_host.cli import call
from sensor_host.commands.scan import _signal
from sensor_host.errors import LinkError
from sensor_host.known_sensors import KnownSensors

CLIP = Spec("RIMU 7A", "C0:FF:EE:00:00:7A", rssi_dbm=-55, runs=True)
STRAP = Spec("H10 12345678", "C0:FF:EE:00:00:80", board="heart_rate", rssi_dbm=-75)
WATCH = Spec("some watch", "F1:22:33:44:55:66", board="", rssi_dbm=-40)


async def hipdrive(*arguments: str) -> int:
    """Run a command as the command line does; it has an event loop of its own."""
    return await asyncio.to_thread(call, list(arguments))


async def test_sensors_are_listed_with_nickname_signal_and_board_and_strangers_are_left_out(
    open_bluetooth: OpenBluetooth, capsys: pytest.CaptureFixture[str]
) -> None:
    known_sensors.save(KnownSensors().named(CLIP.address, "red one"))
    async with open_bluetooth(STRAP, CLIP, WATCH):
        assert await hipdrive("scan", "--for", "0.5") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["nickname", "name", "address", "signal", "board"],
        ["✓", "red", "one", "RIMU", "7A", CLIP.address, "▂▄▆█", "-55", "dBm", "rimu"],
        ["✓", "H10", "12345678", STRAP.address, "▂▄", "-75", "dBm", "heart", "rate"],
    ]


async def test_with_all_strangers_are_listed_too_and_marked_as_none_of_ours(
    open_bluetooth: OpenBluetooth, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_bluetooth(CLIP, WATCH):
        assert await hipdrive("scan", "--for", "0.5", "--all", "--json") == 0
    watch, clip = json.loads(capsys.readouterr().out)
    assert (watch["name"], watch["board"], watch["supported"], watch["problem"]) == (
        "some watch",
        None,
        False,
        "none of ours",
    )
    assert (clip["board"], clip["kind"], clip["supported"]) == ("rimu", "motion", True)
    assert "firmware" not in clip


async def test_details_are_asked_of_one_after_another_and_each_is_let_go_again(
    open_bluetooth: OpenBluetooth, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_bluetooth(CLIP, STRAP) as bluetooth:
        await bluetooth.discharge(0, 0.42)
        assert await hipdrive("scan", "--for", "0.5", "--details") == 0
        await bluetooth.until(0, "disconnected")
        await bluetooth.until(1, "disconnected")
        assert [await bluetooth.connects(number) for number in (0, 1)] == [1, 1]
    told = capsys.readouterr().out
    (line,) = [line for line in told.splitlines() if line.startswith("RIMU 7A: ")]
    assert line.endswith("firmware 1.0, battery 42 %")


async def test_a_sensor_that_cannot_be_used_is_listed_with_the_reason(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def old() -> SetUp:
        if (yield Read(INFO_UUID)):
            raise LinkError("firmware 1.9 cannot stream: update it to 2.3")
        return ""

    monkeypatch.setitem(BOARDS, "rimu", replace(BOARDS["rimu"], set_up=old))
    async with open_bluetooth(CLIP):
        assert await hipdrive("scan", "--for", "0.5", "--details") == 0
    told = capsys.readouterr().out
    assert "✗" in told
    assert "→ RIMU 7A: firmware 1.9 cannot stream: update it to 2.3" in told


async def test_when_nothing_of_ours_is_heard_the_hint_says_what_to_do(
    open_bluetooth: OpenBluetooth, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_bluetooth(WATCH):
        assert await hipdrive("scan", "--for", "0.3", "--json") == 5
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert "no sensor was heard within 0.3 s (1 other devices were; --all lists them): switch it on" in err


@pytest.mark.parametrize(
    ("rssi_dbm", "bars"), [(-30, "▂▄▆█"), (-60, "▂▄▆█"), (-61, "▂▄▆"), (-80, "▂▄"), (-90, "▂"), (-91, "")]
)
def test_the_bars_say_how_good_the_signal_is(rssi_dbm: int, bars: str) -> None:
    assert _signal(rssi_dbm, unicode=True).plain.split(" ")[0] == bars


# ---------------------------------------------------------------- hipdrive sensors


async def test_sensors_are_named_listed_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    assert await hipdrive("sensors") == 0
    assert "none yet" in capsys.readouterr().out
    assert await hipdrive("sensors", "name", CLIP.address, "red") == 0
    assert "hipdrive run --sensor 'red'" in capsys.readouterr().out
    known = known_sensors.load()
    known_sensors.save(
        known.used(
            "anna", "pelvis", address=CLIP.address, name="RIMU 7A", board="rimu", when_utc="2026-01-02T03:04:05Z"
        )
    )
    assert await hipdrive("sensors") == 0
    assert capsys.readouterr().out.split() == (
        f"red RIMU 7A {CLIP.address} rimu 2026-01-02 03:04:05 UTC last of anna".split()
    )
    assert await hipdrive("sensors", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["last_of"] == ["anna"]
    assert await hipdrive("sensors", "forget", "RED") == 0
    assert await hipdrive("sensors", "forget", "red") == 2
    assert "hipdrive sensors lists them" in capsys.readouterr().err


async def run(*arguments: str) -> str:
    """Have ``hipdrive run`` listen for a second, in a process of its own; return its stderr and exit code."""
    quiet = ("--no-sound", "--no-console", "--broker", "off", "--no-record", "--for", "1s")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sensor_host.cli", "run", *quiet, *arguments),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, told = await child.communicate()
    return f"{told.decode()} exit code {child.returncode}"


async def test_a_run_remembers_its_sensor_and_finds_it_by_nickname(open_bluetooth: OpenBluetooth) -> None:
    near = Spec("RIMU 02", "C0:FF:EE:00:00:02", rssi_dbm=-30, runs=True)
    async with open_bluetooth(CLIP, near):
        # the nearest, for none was used yet
        assert "found RIMU 02, rimu, -30 dBm; the nearest of 2 sensors in reach" in await run("--runner", "anna")
        assert await hipdrive("sensors", "name", CLIP.address, "red") == 0
        assert "found red (RIMU 7A), rimu" in await run("--runner", "anna", "--sensor", "Red")
        # the one used last, though another is nearer
        assert "found red (RIMU 7A), rimu, -55 dBm; the one used last" in await run("--runner", "anna")
        # but another runner has used none
        assert "found RIMU 02" in await run("--runner", "ben")
    assert known_sensors.load().last_of("anna", "pelvis") == CLIP.address


async def test_a_sensor_that_a_killed_run_left_connected_is_taken_up_again(
    open_bluetooth: OpenBluetooth, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_bluetooth(CLIP) as bluetooth:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sensor_host.cli", "run", "--no-sound", "--no-console", "--broker", "off"),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not known_sensors.load().last_of("runner", "pelvis"):
            await asyncio.sleep(0.02)
        child.kill()
        await child.wait()
        # it does not advertise, for the Bluetooth service keeps the connection
        short = ("--set", "sensor.scan_timeout_s=0.5")
        told = await run(*short, "--runner", "ben")
        assert "RIMU 7A is connected to this computer already: end the program that holds it, or take it" in told
        assert told.endswith("exit code 5")
        assert await hipdrive("scan", "--for", "0.3", "--details") == 0
        assert "connected to this computer already" in capsys.readouterr().out
        # whoever used it last may have it back
        told = await run()
        assert "found RIMU 7A, rimu, still connected; the one used last" in told
        assert told.endswith("exit code 0")
        await bluetooth.until(0, "disconnected")


async def test_a_run_takes_the_strap_it_once_had_and_no_other(open_bluetooth: OpenBluetooth) -> None:
    other = Spec("HW9 777", "C0:FF:EE:00:00:81", board="heart_rate", rssi_dbm=-30)
    async with open_bluetooth(CLIP, STRAP, other) as bluetooth:
        await run("--heart-rate", "H10 12345678", "--for", "2s")
        await run("--heart-rate", "--for", "2s")
        assert [await bluetooth.connects(number) for number in (1, 2)] == [2, 0]
        # off, where nobody asks for it
        await run()
        assert await bluetooth.connects(1) == 2
    assert known_sensors.load().last_of("runner", "heart_rate") == STRAP.address
