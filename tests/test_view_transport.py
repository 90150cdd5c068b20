"""The playhead of a replay: it stands where it was put, and plays as fast as it was told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_host.view.transport import GRACE_S, RATES, Section, Transport

# any clock will do: it has run for a while
CLOCK_S = 12_345.0


@pytest.fixture
def transport() -> Transport:
    return Transport(10.0, 3610.0)


def test_it_stands_until_it_is_told_to_play(transport: Transport) -> None:
    assert (transport.now_s(CLOCK_S), transport.now_s(CLOCK_S + 60.0), transport.plays) == (10.0, 10.0, False)


@pytest.mark.parametrize("rate", RATES)
def test_it_plays_as_fast_as_it_is_told(transport: Transport, rate: float) -> None:
    transport.set_rate(rate, CLOCK_S)
    transport.play(CLOCK_S)
    assert transport.now_s(CLOCK_S + 20.0) == pytest.approx(10.0 + 20.0 * rate)
    transport.pause(CLOCK_S + 20.0)
    assert transport.now_s(CLOCK_S + 50.0) == pytest.approx(10.0 + 20.0 * rate)


def test_the_rates_are_a_quarter_to_sixteen_times(transport: Transport) -> None:
    assert (RATES[0], RATES[-1]) == (0.25, 16.0)
    transport.set_rate(1000.0, CLOCK_S)
    assert transport.rate == 16.0
    transport.change_rate(1, CLOCK_S)
    assert transport.rate == 16.0
    transport.change_rate(-2, CLOCK_S)
    assert transport.rate == 4.0
    for _ in range(20):
        transport.change_rate(-1, CLOCK_S)
    assert transport.rate == 0.25


def test_a_change_of_rate_moves_nothing(transport: Transport) -> None:
    transport.play(CLOCK_S)
    transport.set_rate(8.0, CLOCK_S + 5.0)
    assert transport.now_s(CLOCK_S + 5.0) == pytest.approx(15.0)
    assert transport.now_s(CLOCK_S + 6.0) == pytest.approx(23.0)


@given(frames=st.lists(st.floats(0.001, 2.0), max_size=40), rate=st.sampled_from(RATES))
def test_how_often_it_is_asked_changes_nothing(frames: list[float], rate: float) -> None:
    asked, alone = Transport(0.0, 1000.0), Transport(0.0, 1000.0)
    for one in (asked, alone):
        one.set_rate(rate, CLOCK_S)
        one.set_section(5.0, 9.0, CLOCK_S)
        one.play(CLOCK_S)
    clock_s = CLOCK_S
    for frame_s in frames:
        clock_s += frame_s
        asked.now_s(clock_s)
    assert asked.now_s(clock_s) == pytest.approx(alone.now_s(clock_s), abs=1e-6)


@pytest.mark.parametrize(("wanted_s", "stands_s"), [(1234.5678, 1234.5678), (-5.0, 10.0), (1e9, 3610.0)])
@pytest.mark.parametrize("plays", [False, True])
def test_it_stands_exactly_where_it_is_put(
    transport: Transport, wanted_s: float, stands_s: float, *, plays: bool
) -> None:
    if plays:
        transport.play(CLOCK_S)
    transport.seek(wanted_s, CLOCK_S + 7.0)
    assert transport.now_s(CLOCK_S + 7.0) == stands_s


def test_at_the_end_it_stops_and_then_begins_anew(transport: Transport) -> None:
    transport.seek(3600.0, CLOCK_S)
    transport.play(CLOCK_S)
    assert transport.now_s(CLOCK_S + 60.0) == 3610.0
    assert transport.plays is False
    transport.toggle(CLOCK_S + 61.0)
    assert transport.now_s(CLOCK_S + 62.0) == pytest.approx(11.0)


def test_it_waits_for_what_is_not_measured_yet_and_goes_on_from_there(transport: Transport) -> None:
    transport.available_to_s = 12.0
    transport.play(CLOCK_S)
    assert transport.now_s(CLOCK_S + 10.0) == 12.0
    assert transport.plays
    transport.available_to_s = 100.0
    # the eight seconds it waited are not made up for
    assert transport.now_s(CLOCK_S + 11.0) == pytest.approx(13.0)


def test_it_can_be_put_where_nothing_is_measured_yet(transport: Transport) -> None:
    transport.available_to_s = 12.0
    transport.play(CLOCK_S)
    transport.seek(2000.0, CLOCK_S)
    assert transport.now_s(CLOCK_S + 10.0) == 2000.0


# ---------------------------------------------------------------- jumping

LAPS_S = (60.0, 120.0, 180.5)


def test_it_jumps_exactly_from_one_to_the_next_and_back(transport: Transport) -> None:
    seen = [transport.jump(LAPS_S, 1, CLOCK_S) for _ in range(4)]
    assert seen == [60.0, 120.0, 180.5, None]
    assert transport.now_s(CLOCK_S) == 180.5
    assert [transport.jump(LAPS_S, -1, CLOCK_S) for _ in range(3)] == [120.0, 60.0, None]
    assert transport.now_s(CLOCK_S) == 60.0


def test_while_it_plays_it_jumps_back_over_the_one_that_has_just_gone_by(transport: Transport) -> None:
    transport.seek(120.0, CLOCK_S)
    transport.play(CLOCK_S)
    assert transport.jump(LAPS_S, -1, CLOCK_S + 0.8 * GRACE_S) == 60.0
    transport.seek(120.0, CLOCK_S)
    assert transport.jump(LAPS_S, -1, CLOCK_S + 1.5 * GRACE_S) == 120.0
    assert transport.plays


# ---------------------------------------------------------------- a section


def test_a_section_is_repeated(transport: Transport) -> None:
    transport.seek(20.0, CLOCK_S)
    transport.begin_section(CLOCK_S)
    assert (transport.section, transport.section_begun_s) == (None, 20.0)
    transport.seek(24.0, CLOCK_S)
    transport.end_section(CLOCK_S)
    assert (transport.section, transport.section_begun_s) == (Section(20.0, 24.0), None)
    transport.seek(23.0, CLOCK_S)
    transport.play(CLOCK_S)
    heard = [transport.now_s(CLOCK_S + after_s) for after_s in (0.0, 0.5, 1.25, 4.75, 5.25, 9.25)]
    assert heard == pytest.approx([23.0, 23.5, 20.25, 23.75, 20.25, 20.25])
    transport.clear_section()
    assert transport.now_s(CLOCK_S + 109.25) == pytest.approx(120.25)


def test_a_section_can_be_drawn_backwards_and_not_too_short(transport: Transport) -> None:
    transport.set_section(50.0, 40.0, CLOCK_S)
    assert transport.section == Section(40.0, 50.0)
    transport.set_section(70.0, 70.2, CLOCK_S)
    assert transport.section == Section(40.0, 50.0)
    transport.set_section(-100.0, 20.0, CLOCK_S)
    assert transport.section == Section(10.0, 20.0)


def test_a_playhead_behind_its_section_comes_to_its_begin(transport: Transport) -> None:
    transport.seek(100.0, CLOCK_S)
    transport.play(CLOCK_S)
    transport.set_section(20.0, 30.0, CLOCK_S)
    assert transport.now_s(CLOCK_S) == 20.0


def test_an_end_without_a_begin_begins_with_the_session(transport: Transport) -> None:
    transport.seek(30.0, CLOCK_S)
    transport.end_section(CLOCK_S)
    assert transport.section == Section(10.0, 30.0)
    # a begin behind the old end forgets that end
    transport.seek(40.0, CLOCK_S)
    transport.begin_section(CLOCK_S)
    assert (transport.section, transport.section_begun_s) == (None, 40.0)
