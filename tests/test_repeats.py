"""Notifications that come several times, told from sensors that repeat themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_link import board_of

from pelvis.clock import TimeBase
from pelvis.data import Samples
from sensor_host import boards
from sensor_host.chain import SensorChain
from sensor_host.ports import Notification, SensorInfo
from sensor_host.repeats import PROOF, Repeats
from sensor_host.sources.simulated import SimulatedSource

Came = list[tuple[float, bytes]]


def moving(count: int, times: int = 1, *, together: bool = False) -> Came:
    """Different notifications at 200 Hz in bunches of six, each several times: one by one, or bunch by bunch."""
    bunches = [[k.to_bytes(4, "little") for k in range(start, start + 6)] for start in range(0, count, 6)]
    return [
        (0.030 * number, data)
        for number, bunch in enumerate(bunches)
        for data in (bunch * times if together else [data for data in bunch for _ in range(times)])
    ]


def kept(repeats: Repeats, came: Came) -> Came:
    rows = repeats.keep([data for _, data in came], [at_s for at_s, _ in came])
    return [came[row] for row in rows]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("times", [2, 3, 4])
def test_what_always_comes_several_times_is_found_and_passed_once(times: int, together: bool) -> None:
    repeats = Repeats()
    came = moving(6000, times, together=together)
    passed = kept(repeats, came)
    assert repeats.times == times
    assert repeats.dropped == len(came) - len(passed)
    # proved within a second; from then on each comes once
    late = [data for at_s, data in passed if at_s > 1.0]
    assert len(late) == len(set(late))
    assert late == [data for at_s, data in moving(6000) if at_s > 1.0]


def test_a_single_copy_that_is_missing_now_and_then_does_not_hide_it() -> None:
    repeats = Repeats()
    came = moving(6000, 2)
    kept(repeats, [one for number, one in enumerate(came) if number % 301])
    assert repeats.times == 2


def test_a_sensor_at_rest_may_repeat_itself_in_bunches() -> None:
    """The same bytes for minutes, six to a connection event: every count is a multiple of six, and proves nothing."""
    repeats = Repeats()
    came = [(0.030 * number, b"still") for number in range(6000) for _ in range(6)]
    assert len(kept(repeats, came)) == len(came)
    assert repeats.times == 1


@given(st.integers(0, 100))
def test_a_sensor_that_rounds_may_repeat_itself(seed: int) -> None:
    """Noise of less than a digit: a handful of notifications that come again and again, at any number."""
    luck = np.random.default_rng(seed)
    repeats = Repeats()
    came = [(0.005 * k, int(value).to_bytes(1, "little")) for k, value in enumerate(luck.integers(0, PROOF - 1, 5000))]
    assert len(kept(repeats, came)) == len(came)


def test_when_it_ends_nothing_more_is_dropped() -> None:
    repeats = Repeats()
    kept(repeats, moving(600, 2))
    assert repeats.times == 2
    later = [(at_s + 10.0, b"later" + data) for at_s, data in moving(600)]
    assert kept(repeats, later) == later
    assert repeats.times == 1


def test_the_chain_says_so_and_keeps_time(monkeypatch: pytest.MonkeyPatch) -> None:
    board = board_of(TimeBase.ARRIVAL)
    monkeypatch.setitem(boards.BOARDS, board.key, board)
    source = SimulatedSource(paced=False, duration_s=60.0, board=board.key)
    once = [arrival for arrival in source.arrivals() if isinstance(arrival, Notification)]
    chain = SensorChain(SensorInfo("pelvis", board.key, rate_hz=208.0))
    said = chain.feed([arrival for arrival in once for _ in range(2)])
    health = chain.health(60.0)
    assert "comes 2 times" in health.warning
    # packets of 8 samples: 50 of them are 2 s, and half a second until the first is judged
    assert health.duplicates > len(once) - 26 * 3
    assert health.samples < 60 * 208 + 26 * 3 * 8
    t_s = np.concatenate([item.t_s for item in said if isinstance(item, Samples)])
    assert (np.diff(t_s) > 0).all()
    # what was believed before the proof is made up for slowly
    assert t_s[-1] == pytest.approx(60.0, abs=3.0)
    whole = SensorChain(SensorInfo("pelvis", board.key, rate_hz=208.0))
    whole.feed(once)
    assert whole.health(60.0).warning == ""
    assert whole.health(60.0).duplicates == 0
