"""The guided start and the state of the sensor: what is said, when, how often, and with which priority."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from bluetooth import OpenBluetooth, Spec
from hypothesis import given, settings
from hypothesis import strategies as st

from pelvis.cues import FOCUS, SECOND
from pelvis.data import Activity, ActivityState, Command, CoreOutput, Cue, Notice, Samples, Side, Step
from pelvis.pipeline import Pipeline, Settings
from pelvis.simulate import Scenario, SimulatedRunner
from sensor_host.config import SensorConfig
from sensor_host.guide import AGREED_STEPS, RULE, SENSOR_PRIORITY, START_PRIORITY, Guide
from sensor_host.phrases import words_of
from sensor_host.ports import LinkHealth, Said, SessionInfo
from sensor_host.session import Session
from sensor_host.sources.ble import BleSource
from sensor_host.sources.simulated import SimulatedSource

RECORDINGS = Path(__file__).parent.parent / "recordings"


def health(
    t_s: float,
    state: str = "connected",
    *,
    battery: float | None = None,
    samples: int = 0,
    lost: int = 0,
    role: str = "pelvis",
) -> LinkHealth:
    return LinkHealth(role, state, t_s, 0, samples, lost, 0, 0, battery_ratio=battery)


def activity(t_s: float, state: ActivityState) -> Activity:
    return Activity(t_s, state, t_s)


def step(index: int, side: Side, confidence: float = 1.0) -> Step:
    t_s = 10.0 + 0.35 * index
    return Step(
        index, index // 2, None, t_s, t_s + 0.24, side, confidence, {}, {}, {}, 0.0, 0.0, 1.0, (), t_s + 0.3
    )  # fmt: skip


def notice(t_s: float, kind: str) -> Notice:
    return Notice(t_s, kind, "", t_s)


def cues_of(items: Iterable[Said], guide: Guide | None = None) -> list[Cue]:
    guide = guide or Guide()
    return [cue for item in items for cue in guide.consider(item)]


def said(items: Iterable[Said]) -> list[tuple[float, str]]:
    return [(cue.decided_at_s, cue.phrase) for cue in cues_of(items)]


def phrases(items: Iterable[Said]) -> list[str]:
    return [cue.phrase for cue in cues_of(items)]


def seconds(first: int, last: int) -> list[LinkHealth]:
    return [health(float(t_s)) for t_s in range(first, last + 1)]


# ---------------------------------------------------------------- the start


def test_who_stands_still_is_told_to_run_once_the_level_is_known() -> None:
    # standing is noticed at 4 s, after 2 s of it; 4 s of it are over at 6 s
    items = [*seconds(0, 3), activity(4.0, ActivityState.STANDING), *seconds(4, 30)]
    assert said(items) == [(0.0, "stand_still"), (6.0, "run")]


def test_who_moves_while_standing_is_not_sent_off_before_a_whole_stand() -> None:
    still, moving = activity(1.0, ActivityState.STANDING), activity(2.5, ActivityState.OTHER)
    items = [health(0.0), still, health(2.0), moving, *seconds(3, 8), activity(9.0, still.state), *seconds(9, 15)]
    assert said(items) == [(0.0, "stand_still"), (11.0, "run")]


def test_who_does_not_stand_still_is_asked_once_more_and_then_left_alone() -> None:
    assert said(seconds(0, 200)) == [(0.0, "stand_still"), (20.0, "stand_still")]


def test_who_runs_already_is_told_neither_to_stand_nor_to_run() -> None:
    running = activity(3.0, ActivityState.RUNNING)
    later = [activity(90.0, ActivityState.STANDING), *seconds(90, 120)]
    assert said([health(0.0), running, *seconds(4, 60), *later]) == [(0.0, "stand_still")]


def test_nothing_is_asked_of_the_runner_before_the_sensor_is_there() -> None:
    assert not phrases([health(0.0, "searching"), health(1.0, "connecting")])
    assert not phrases([health(0.0, role="heart_rate")])


def test_calibrated_is_said_once_forward_is_found() -> None:
    items = [notice(12.0, "levelled"), notice(20.0, "heading_found"), notice(50.0, "heading_found")]
    assert said(items) == [(20.0, "calibrated")]


def walk(count: int, confidence: float = 1.0, first: int = 0) -> list[Step]:
    return [step(first + i, (Side.LEFT, Side.RIGHT)[(first + i) % 2], confidence) for i in range(count)]


def test_sides_agree_after_twenty_sure_steps_in_turn_and_it_is_said_once() -> None:
    # the first step has none before it to alternate with
    assert not phrases(walk(AGREED_STEPS))
    steps = walk(AGREED_STEPS + 1)
    assert said(steps) == [(steps[-1].reported_at_s, "sides_agree")]
    assert phrases(walk(200)) == ["sides_agree"]


@pytest.mark.parametrize(
    ("spoiled", "more"),
    [
        (step(10, Side.LEFT, 0.79), AGREED_STEPS),
        # the step behind these has none before it to alternate with
        (step(10, Side.RIGHT), AGREED_STEPS + 1),
        (step(10, Side.UNKNOWN, 0.0), AGREED_STEPS + 1),
    ],
)
def test_one_doubtful_step_begins_the_count_anew(spoiled: Step, more: int) -> None:
    steps = [*walk(10), spoiled, *walk(more, first=11)]
    assert not phrases(steps[:-1])
    assert phrases(steps) == ["sides_agree"]


def test_unsure_sides_never_agree() -> None:
    assert not phrases(walk(500, 0.79))


def test_the_runner_hears_that_the_sides_were_swapped() -> None:
    assert said([Command(7.0, "swap_sides")]) == [(7.0, "sides_swapped")]


# ---------------------------------------------------------------- the sensor


def test_a_lost_sensor_is_said_once_and_that_it_is_back() -> None:
    items = [
        health(100.0),
        health(103.0, "lost"),
        health(103.5, "searching"),
        health(110.0, "connecting"),
        health(110.5, "lost"),
        health(112.0, "connecting"),
        health(113.0),
        *seconds(114, 117),
    ]
    assert [p for p in said(items) if p[1].startswith("sensor")] == [(103.0, "sensor_lost"), (113.0, "sensor_back")]


def test_a_sensor_that_stays_away_is_not_said_again_however_long_it_is_searched_for() -> None:
    away = [health(float(t_s), state) for t_s in range(103, 900, 5) for state in ("lost", "searching")]
    told = [p for p in said([health(100.0), *away, health(900.0)]) if p[1].startswith("sensor")]
    assert told == [(103.0, "sensor_lost"), (900.0, "sensor_back")]


def test_a_link_that_comes_and_goes_is_said_once_a_minute_at_most() -> None:
    items = [health(t_s, state) for t_s in range(100, 220, 4) for state in ("connected", "lost")]
    told = [t_s for t_s, phrase in said(items) if phrase == "sensor_lost"]
    assert told == [100.0, 160.0]
    back = [t_s for t_s, phrase in said(items) if phrase == "sensor_back"]
    assert back == [104.0, 164.0]


def test_a_sensor_whose_cell_was_empty_is_not_called_out_of_reach() -> None:
    items = [health(100.0, battery=0.04), health(103.0, "lost")]
    assert phrases(items)[-1] == "sensor_empty"
    assert phrases([health(100.0, battery=0.5), health(103.0, "lost")])[-1] == "sensor_lost"


def test_a_low_battery_is_said_once_and_anew_only_after_it_was_charged() -> None:
    ratios = [0.16, 0.149, 0.15, 0.14, 0.16, 0.13, 0.26, 0.14]
    items = [health(300.0 * i, battery=ratio) for i, ratio in enumerate(ratios)]
    assert [t_s for t_s, phrase in said(items) if phrase == "battery_low"] == [300.0, 2100.0]


def test_a_link_that_loses_much_over_ten_seconds_is_called_weak() -> None:
    good = [health(t_s, samples=int(208 * t_s)) for t_s in (100.0, 105.0, 110.0)]
    bad = [health(t_s, samples=22_880 + i * 970, lost=110 * i) for i, t_s in enumerate((115.0, 120.0), start=1)]
    assert [told for told in said([*good, *bad]) if told[1] == "link_weak"] == [(120.0, "link_weak")]
    few = [health(t_s, samples=int(200 * t_s), lost=int(8 * t_s)) for t_s in range(100, 200)]
    assert "link_weak" not in phrases(few)


def test_what_was_lost_while_the_sensor_was_away_makes_no_weak_link() -> None:
    items = [
        health(100.0, samples=20_000),
        health(103.0, "lost", samples=20_400),
        health(163.0, samples=20_400),
        health(164.0, samples=20_600, lost=12_000),
        health(174.0, samples=22_600, lost=12_000),
        health(184.0, samples=24_600, lost=12_000),
    ]
    assert [phrase for _, phrase in said(items) if phrase != "stand_still"] == ["sensor_lost", "sensor_back"]


def test_a_loose_sensor_is_said_and_not_again_for_three_minutes() -> None:
    slips = [notice(t_s, "sensor_slipped") for t_s in (100.0, 150.0, 279.0, 281.0)]
    assert said(slips) == [(100.0, "sensor_loose"), (281.0, "sensor_loose")]
    assert phrases([notice(100.0, "clipped")]) == ["sensor_clips"]


# ---------------------------------------------------------------- how it is said


def test_the_sensor_goes_before_every_correction_and_the_start_behind_them() -> None:
    corrections = (FOCUS, SECOND)
    lost = cues_of([health(0.0), health(3.0, "lost")])
    assert [cue.priority for cue in lost] == [START_PRIORITY, SENSOR_PRIORITY]
    assert max(corrections) < SENSOR_PRIORITY
    assert min(corrections) > START_PRIORITY


def test_muted_it_is_silent_and_makes_up_for_nothing() -> None:
    items = [Command(0.0, "mute"), *seconds(0, 5), health(6.0, "lost"), Command(7.0, "unmute"), *seconds(8, 15)]
    assert phrases(items) == []


def test_its_ids_never_meet_those_of_the_coach() -> None:
    cues = cues_of([health(0.0), health(3.0, "lost"), health(4.0)])
    assert [cue.cue_id for cue in cues] == [-1, -2, -3]
    assert {cue.rule for cue in cues} == {RULE}


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_phrase_has_words_in_every_language(language: str) -> None:
    everything = [
        *seconds(0, 1),
        activity(1.0, ActivityState.STANDING),
        *seconds(2, 9),
        *walk(30),
        notice(20.0, "heading_found"),
        notice(21.0, "sensor_slipped"),
        notice(22.0, "clipped"),
        Command(23.0, "swap_sides"),
        health(100.0, battery=0.1, samples=0),
        health(120.0, battery=0.1, samples=100, lost=900),
        health(121.0, "lost"),
        health(122.0),
        health(200.0, battery=0.01),
        health(210.0, "lost"),
    ]
    spoken = set(phrases(everything))
    assert len(spoken) == 12
    assert spoken <= set(words_of(language))


# ---------------------------------------------------------------- in a session


class Listener:
    name = "listener"

    def __init__(self) -> None:
        self.heard: list[Said] = []
        self._closed = asyncio.Event()
        self._news = asyncio.Event()

    def put(self, item: Said) -> None:
        self.heard.append(item)
        self._news.set()

    async def hears(self, phrase: str) -> None:
        """Wait until the phrase was said."""
        while not any(isinstance(item, Cue) and item.phrase == phrase for item in self.heard):
            self._news.clear()
            await self._news.wait()

    async def room(self) -> None: ...

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def test_a_session_leads_a_runner_through_the_start_and_counts_none_of_it_as_a_cue() -> None:
    source = SimulatedSource(Scenario(standing_s=6.0, duration_s=40.0), 1, paced=False)
    info = SessionInfo("s", "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)
    session, listener = Session(info, source, Settings(), guide=Guide()), Listener()
    session.add(listener)
    async with source:
        await session.run()
    heard = [item for item in listener.heard if isinstance(item, Cue)]
    assert [cue.phrase for cue in heard] == ["stand_still", "run", "sides_agree", "calibrated"]
    assert heard[1].decided_at_s < 6.0
    assert not session.tally.cues


def core_says(cuts: list[int]) -> list[CoreOutput]:
    pipeline = Pipeline(Settings())
    heard: list[CoreOutput] = []
    for block in SimulatedRunner(Scenario(standing_s=3.0, duration_s=25.0), 2).blocks(25.0):
        bounds = [0, *sorted({min(cut, len(block.t_s)) for cut in cuts}), len(block.t_s)]
        for begin, end in pairwise(bounds):
            rows = slice(begin, end)
            part = Samples(block.t_s[rows], block.acc_mps2[rows], block.gyr_radps[rows], 208.0)
            heard += pipeline.feed(part)
    return heard


@settings(max_examples=20)  # each is a whole run
@given(st.lists(st.integers(0, 5200), max_size=20))
def test_the_portions_in_which_samples_come_change_nothing_that_is_said(cuts: list[int]) -> None:
    whole = cues_of([health(0.0), *core_says([])])
    assert [cue.phrase for cue in whole] == ["stand_still", "sides_agree", "calibrated"]
    assert cues_of([health(0.0), *core_says(cuts)]) == whole


async def test_a_real_link_that_breaks_is_said_and_that_it_is_back(open_bluetooth: OpenBluetooth) -> None:
    config = SensorConfig(which="RIMU 7A", scan_timeout_s=20.0, reconnect_min_s=0.01, reconnect_max_s=0.1)
    async with asyncio.timeout(90), open_bluetooth(Spec(runs=True)) as bluetooth:
        await bluetooth.discharge(0, 0.12)
        async with BleSource(config) as source:
            info = SessionInfo("s", "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)
            session, listener = Session(info, source, Settings(), guide=Guide()), Listener()
            session.add(listener)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(session.run())
                await listener.hears("battery_low")
                await bluetooth.until(0, "streaming")
                await bluetooth.reach(0, within=False)
                await bluetooth.drop(0)
                await listener.hears("sensor_lost")
                await bluetooth.reach(0, within=True)
                await listener.hears("sensor_back")
                session.stop()
                await running
    spoken = [item.phrase for item in listener.heard if isinstance(item, Cue)]
    assert spoken == ["stand_still", "battery_low", "sensor_lost", "sensor_back"]


# ---------------------------------------------------------------- the commands


def lines_of(*arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "sensor_host.cli", *arguments, "--no-sound", "--set", "mqtt.broker=off"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_a_demonstration_is_led_unless_that_is_switched_off() -> None:
    assert "cue: Stand still" in lines_of("demo", "--for", "1", "--no-record")
    assert "Stand still" not in lines_of("demo", "--for", "1", "--no-record", "--set", "guide.enabled=false")


def test_a_replay_is_not_led() -> None:
    told = lines_of("replay", str(RECORDINGS / "easy.mcap"), "--speed", "max")
    assert "Forward found" in told  # of which the guide would say: calibrated
    assert "cue: Sensor calibrated" not in told
    assert "Stand still" not in told
