from __future__ import annotations

import contextlib
import io
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bluetooth import OpenBluetooth
from rich.console import Console

from sensor_host import doctor, places
from sensor_host.config import Config, CuesConfig, MqttConfig, RecordingConfig, SoundConfig
from sensor_host.doctor import Check, in_time, render
from sensor_host.player import speech


def mqtt(broker: str) -> Config:
    return Config(mqtt=MqttConfig(broker=broker))


@contextlib.contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_check_answers_here_and_what_fails_says_what_to_do() -> None:
    checks = doctor.examine()
    assert {"python", "packages", "configuration", "folders", "bluetooth", "broker", "sound", "speech"} <= {
        check.name for check in checks
    }
    for check in checks:
        assert check.detail
        assert check.ok or check.advice
        assert "\n" not in check.detail + check.advice
        assert "fault of hipdrive" not in check.advice


def test_a_check_that_hangs_or_breaks_never_hides_the_others() -> None:
    forever = threading.Event()

    def hang() -> Check:
        forever.wait()
        raise AssertionError

    def break_down() -> Check:
        raise RuntimeError("the driver is on fire")

    began_s = time.monotonic()
    checks = in_time(
        [("hangs", hang), ("breaks", break_down), ("works", lambda: Check("works", ok=True, detail="fine"))], 0.3
    )
    forever.set()
    assert time.monotonic() - began_s < 2
    assert [check.name for check in checks] == ["hangs", "breaks", "works"]
    assert [check.ok for check in checks] == [False, False, True]
    assert "0.3 s" in checks[0].detail
    assert "the driver is on fire" in checks[1].detail


def test_the_packages_are_told_with_their_versions() -> None:
    check = doctor.check_packages()
    assert check.ok
    assert f"msgspec {msgspec.__version__}" in check.detail


def test_a_setting_that_is_wrong_is_told_with_its_path() -> None:
    places.user_config_path().parent.mkdir(parents=True)
    places.user_config_path().write_text("[sound]\nvolume = 11\n", encoding="utf-8")
    check = doctor.check_configuration()
    assert not check.ok
    assert "sound.volume" in check.detail
    assert str(places.user_config_path()) in check.advice


def test_a_configuration_that_is_no_toml_is_told() -> None:
    places.user_config_path().parent.mkdir(parents=True)
    places.user_config_path().write_text("volume = = 1", encoding="utf-8")
    assert not doctor.check_configuration().ok


def test_folders_that_are_not_there_yet_are_judged_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check = doctor.check_folders(Config(recording=RecordingConfig(directory=str(folder))))
    assert check.ok
    assert not folder.parent.exists()


def test_a_folder_that_cannot_be_written_is_told() -> None:
    # Nobody, root included, can make a file in /proc.
    if not Path("/proc/self").exists():
        pytest.skip("no folder here refuses everybody")
    check = doctor.check_folders(Config(recording=RecordingConfig(directory="/proc/hipdrive")))
    assert not check.ok
    assert "/proc" in check.detail
    assert "recording.directory" in check.advice


def test_a_disk_that_is_nearly_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    check = doctor.check_folders(Config())
    assert not check.ok
    assert "room" in check.advice


def test_a_missing_system_bus_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    check = doctor.check_dbus()
    assert not check.ok
    assert "apt install dbus bluez" in check.advice


async def test_bluetooth_is_told_apart_missing_off_and_working(
    open_bluetooth: OpenBluetooth,
) -> None:
    import asyncio

    told: dict[str, Check] = {}
    for name, powered, adapter in (("works", True, True), ("off", False, True), ("missing", True, False)):
        async with open_bluetooth(powered=powered, adapter=adapter):
            assert (await asyncio.to_thread(doctor.check_dbus)).ok
            told[name] = await asyncio.to_thread(doctor.check_bluetooth)
    assert told["works"].ok
    assert not told["off"].ok
    assert "bluetoothctl power on" in told["off"].advice
    assert not told["missing"].ok
    assert "adapter" in told["missing"].detail


def test_the_embedded_broker_is_really_started() -> None:
    check = doctor.check_broker(Config())
    assert check.ok
    assert "starts" in check.detail


def test_a_port_that_is_taken_is_told() -> None:
    with listening() as port:
        check = doctor.check_broker(Config(mqtt=MqttConfig(port=port)))
    assert not check.ok
    assert str(port) in check.detail


def test_a_broker_elsewhere_is_told_apart_answering_silent_and_misspelt() -> None:
    with listening() as port:
        assert doctor.check_broker(mqtt(f"mqtt://127.0.0.1:{port}")).ok
    silent = doctor.check_broker(mqtt(f"mqtt://127.0.0.1:{port}"))
    assert not silent.ok
    assert str(port) in silent.detail
    assert not doctor.check_broker(mqtt("http://127.0.0.1")).ok


def test_what_is_switched_off_is_no_fault() -> None:
    assert doctor.check_broker(mqtt("off")).ok
    assert doctor.check_sound(Config(sound=SoundConfig(enabled=False))).ok


def test_a_sound_device_is_told_by_name(ear: Any) -> None:
    check = doctor.check_sound(Config())
    assert check.ok
    assert check.detail


def test_a_missing_sound_device_is_told_with_advice(no_sound: None) -> None:
    check = doctor.check_sound(Config())
    assert not check.ok
    assert "no sound device" in check.detail
    assert check.advice


def test_the_voice_is_that_of_the_language_unless_another_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(speech, "find_engine", asked.append)
    doctor.check_speech(Config(cues=CuesConfig(language="de")))
    doctor.check_speech(Config(cues=CuesConfig(language="de"), sound=SoundConfig(voice="en-us")))
    assert asked == ["de", "en-us"]


def test_a_voice_nobody_has_is_told() -> None:
    check = doctor.check_speech(Config(sound=SoundConfig(voice="xx-nobody")))
    assert not check.ok
    assert "espeak-ng" in check.advice


def test_the_screen_keeps_brackets_and_shows_advice() -> None:
    out = io.StringIO()
    checks = [Check("good", ok=True, detail="fine [spm]"), Check("bad", ok=False, detail="gone", advice="run: this")]
    Console(file=out, width=60).print(render(checks))
    assert "✓  good  fine [spm]" in out.getvalue()
    assert "✗  bad   gone" in out.getvalue()
    assert "→ run: this" in out.getvalue()
