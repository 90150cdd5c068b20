"""A sensor that cannot measure running is refused before anything is recorded, unless the user insists."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self

import pytest
from bleak.backends.device import BLEDevice

from pelvis.simulate import Scenario, SensorModel
from sensor_host import known_sensors
from sensor_host.analysis import open_input
from sensor_host.cli import call
from sensor_host.commands.options import SessionOptions
from sensor_host.commands.radio import Radio
from sensor_host.commands.running import Plan, conduct
from sensor_host.config import Config, MqttConfig, RecordingConfig, RunnerConfig, SensorConfig
from sensor_host.errors import ConfigError
from sensor_host.known_sensors import KnownSensors
from sensor_host.ports import Arrival, Mode, Role, SensorInfo
from sensor_host.runners import Profile
from sensor_host.scan import Found, Sighting
from sensor_host.sources.simulated import SimulatedSource
from sensor_host.summary import Tally

REASON = "Nordic Thingy:52 cannot measure running: its accelerometer ends at 2 g, running reaches 6 g and more"


class LiveSource:
    """A sensor over the radio that a runner wears for a little while."""

    mode = Mode.LIVE

    def __init__(self, config: SensorConfig, role: str = Role.PELVIS) -> None:
        self.entered = 0
        scenario = Scenario(standing_s=3.0, duration_s=9.0, sensor=SensorModel(rate_hz=200.0))
        self._worn = SimulatedSource(scenario, paced=False, board=config.board)
        self._info = SensorInfo(role, config.board, name="Thingy")

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        return (self._info,)

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered -= 1

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        for arrival in self._worn.arrivals():
            yield arrival


def plan(tmp_path: Path, sensor: SensorConfig) -> Plan:
    config = Config(sensor=sensor, mqtt=MqttConfig(broker="off"), recording=RecordingConfig(directory=str(tmp_path)))
    return Plan(config=config, profile=Profile(), record=True, shared=SessionOptions(no_sound=True, as_json=True))


def recordings(tmp_path: Path) -> list[Path]:
    return list(tmp_path.rglob("*.mcap"))


def test_it_is_refused_in_a_line_that_says_why_and_how_to_insist(tmp_path: Path) -> None:
    sensor = SensorConfig(board="thingy52")
    source = LiveSource(sensor)
    with pytest.raises(ConfigError) as caught:
        conduct(source, plan(tmp_path, sensor))
    assert str(caught.value) == f"{REASON}; use another sensor, or insist with --force (sensor.force = true)"
    assert caught.value.exit_code == 2
    assert source.entered == 0, "it was let go"
    assert recordings(tmp_path) == []


def test_a_replay_is_never_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Replayed(LiveSource):
        mode = Mode.REPLAY

    sensor = SensorConfig(board="thingy52")
    conduct(Replayed(sensor), plan(tmp_path, sensor))
    assert json.loads(capsys.readouterr().out)["warnings"] == [REASON]


def test_a_sensor_that_can_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sensor = SensorConfig(board="witmotion")
    conduct(LiveSource(sensor), plan(tmp_path, sensor))
    said = json.loads(capsys.readouterr().out)
    assert said["warnings"] == []
    assert said["steps"] > 10
    assert not {"sensor_unfit", "clipped"} & {notice["kind"] for notice in said["notices"]}


def test_a_forced_run_says_so_live_in_its_recording_and_in_every_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def worn(config: Config, _: object) -> SimpleNamespace:
        return SimpleNamespace(source=LiveSource(config.sensor), warnings=[])

    monkeypatch.setattr("sensor_host.commands.radio.Radio", worn)
    settings = ("sensor.board=thingy52", "mqtt.broker=off", f"recording.directory={tmp_path}")
    run = ["run", *(part for one in settings for part in ("--set", one))]
    assert call([*run, "--force", "--no-sound", "--json"]) == 0
    live = json.loads(capsys.readouterr().out)
    (path,) = recordings(tmp_path)
    recorded = open_input(path)
    assert recorded.config.sensor.force

    assert call(["replay", str(path), "--speed", "max", "--no-sound", "--json", "--broker", "off"]) == 0
    replayed = json.loads(capsys.readouterr().out)
    for said in (live, replayed):
        assert said["warnings"] == [REASON]
        first, *others = said["notices"]
        assert (first["t_s"], first["kind"], first["text"]) == (0.0, "sensor_unfit", REASON)
        # what 2 g cut off is said of its own
        assert "clipped" in {notice["kind"] for notice in others}
    assert live["steps"] > 10
    of_the_run = ("steps", "duration_s", "metrics", "notices", "links", "activity_s", "quality_mean")
    assert [replayed[name] for name in of_the_run] == [live[name] for name in of_the_run]

    tally = Tally()
    assert list(recorded.items(tally))
    assert tally.warnings == [REASON]


@pytest.mark.parametrize(("board", "address"), [("thingy52", ""), ("witmotion", "C0:FF:EE:00:00:52")])
def test_it_is_taken_because_the_user_asks_for_it_and_not_because_it_was_used_last(board: str, address: str) -> None:
    device = BLEDevice("C0:FF:EE:00:00:52", "some sensor", None)
    found = Found(Sighting("some sensor", device.address, -60, (board,), device), board)
    Radio(Config(runner=RunnerConfig(name="anna")), KnownSensors()).remember(Role.PELVIS, found)
    assert known_sensors.load().last_of("anna", Role.PELVIS) == address
