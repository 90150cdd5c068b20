"""The timeline of the plot window: what was said is found again where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pelvis.data import ContactWithdrawn, Marker, ProvisionalContact, Reference, References, Side
from pelvis.metrics import STEP_METRICS, STRIDE_METRICS
from sensor_host.view.columns import Columns
from sensor_host.view.timeline import MOTION_COLUMNS, STEP_COLUMNS, Timeline
from tests.said_examples import cue, everything, step, stride

PERIOD_S = 0.005


def rows(first: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Motion whose every value tells the row it belongs to."""
    index = np.arange(first, first + n)
    return index * PERIOD_S, np.repeat(index[:, np.newaxis], len(MOTION_COLUMNS), axis=1).astype(np.float32)


@pytest.mark.parametrize("keep", [None, 100])
def test_columns_give_back_what_was_added_and_forget_no_more_than_they_may(keep: int | None) -> None:
    columns = Columns(2, np.float64, keep, first=7)
    everything_added = np.arange(2000.0).reshape(-1, 2)
    sizes = [1, 3, 50, 146, 800]
    end = 0
    for size in sizes:
        columns.extend(everything_added[end : end + size])
        end += size
        assert len(columns) >= (end if keep is None else min(end, keep))
        assert len(columns) + columns.dropped == end
        np.testing.assert_array_equal(columns.rows, everything_added[columns.dropped : end])


def test_columns_stay_as_large_as_they_are() -> None:
    columns = Columns(1, np.float64, 50)
    before = columns.rows.base
    for _ in range(1000):
        columns.extend(np.zeros((8, 1)))
    assert columns.rows.base is before


def test_motion_is_found_by_its_time() -> None:
    timeline = Timeline()
    for first in range(0, 1000, 10):
        timeline.take_motion(*rows(first, 10))
    t_s, values = timeline.motion(1.0, 2.0)
    np.testing.assert_allclose(t_s, np.arange(200, 400) * PERIOD_S)
    np.testing.assert_array_equal(values[:, 3], np.arange(200, 400))
    assert (timeline.begin_s, timeline.end_s) == (0.0, 999 * PERIOD_S)


def test_a_hole_in_motion_is_a_row_that_no_line_is_drawn_across() -> None:
    timeline = Timeline()
    timeline.take_motion(*rows(0, 10))
    timeline.take_motion(*rows(30, 10))
    t_s, values = timeline.motion(0.0, 1.0)
    assert np.flatnonzero(np.isnan(values[:, 0])).tolist() == [10]
    assert np.all(np.diff(t_s) > 0)


def test_motion_that_came_twice_stands_once() -> None:
    timeline = Timeline()
    timeline.take_motion(*rows(0, 20))
    timeline.take_motion(*rows(10, 20))
    np.testing.assert_array_equal(timeline.motion(0.0, 1.0)[1][:, 0], np.arange(30))


def test_only_as_much_motion_is_kept_as_asked_for_and_every_step() -> None:
    timeline = Timeline(keep_s=1.0)
    for first in range(0, 4000, 8):
        timeline.take_motion(*rows(first, 8))
    t_s, values = timeline.motion(0.0, 100.0)
    assert 200 <= len(t_s) <= 400
    assert values[-1, 0] == 3999


def test_a_step_and_its_stride_stand_in_one_row() -> None:
    timeline = Timeline()
    for index in range(4):
        timeline.take(step(index))
    timeline.take(stride(2))
    row = timeline.steps[2]
    of = dict(zip(STEP_COLUMNS, row, strict=True))
    assert of["initial_contact_s"] == step(2).initial_contact_s
    assert of["side"] == -1.0
    for metric in STEP_METRICS:
        assert of[metric.name] == step(2).metrics[metric.name]
    for metric in STRIDE_METRICS:
        assert of[metric.name] == stride(2).metrics[metric.name]
    assert np.isnan(timeline.column(STRIDE_METRICS[0].name)[3])


def test_steps_are_found_by_their_contact() -> None:
    timeline = Timeline()
    for index in range(100):
        timeline.take(step(index))
    found = timeline.steps_between(step(10).initial_contact_s, step(20).initial_contact_s)
    assert timeline.column("step_index", found).tolist() == list(range(10, 20))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1), (3, 2, 1, 0), (0, 0, 2, 1, 2, 3)])
def test_steps_that_come_late_or_twice_stand_in_order_and_once(order: tuple[int, ...]) -> None:
    timeline = Timeline()
    for index in order:
        timeline.take(step(index))
    assert timeline.column("step_index").tolist() == [0, 1, 2, 3]
    for index in range(4):
        assert timeline.column("contact_time_s")[index] == step(index).metrics["contact_time_s"]


def test_a_provisional_contact_stands_until_its_step_comes_or_it_is_withdrawn() -> None:
    timeline = Timeline()
    contact = ProvisionalContact(100, 10.0, Side.LEFT, 10.05)
    timeline.take(contact)
    timeline.take(replace(contact, contact_id=101, initial_contact_s=10.35, side=Side.RIGHT))
    assert [c.t_s for c in timeline.open_contacts] == [10.0, 10.35]
    timeline.take(step(0))
    assert [c.t_s for c in timeline.open_contacts] == [10.35]
    timeline.take(ContactWithdrawn(101, 10.6))
    assert not timeline.open_contacts


def test_marks_are_found_by_their_time_and_lie_in_order() -> None:
    timeline = Timeline(words={"drop": "Belt level"})
    timeline.take(Marker(30.0, "hill", "lap"))
    timeline.take(Marker(10.0, "start", "note"))
    timeline.take(replace(cue(), phrase="drop", decided_at_s=20.0, kind="phrase"))
    assert [(m.t_s, m.kind, m.text) for m in timeline.marks_between(10.0, 30.0)] == [
        (10.0, "note", "start"),
        (20.0, "cue", "Belt level"),
    ]
    assert len(timeline.marks_between(0.0, 30.1)) == 3


def test_whatever_is_said_is_taken_and_seen_to_have_changed_something() -> None:
    timeline = Timeline()
    for item in everything():
        timeline.take(item)
    assert timeline.version > 10
    assert len(timeline.steps) == 1


def test_what_is_usual_is_that_of_both_feet_and_as_it_was_then() -> None:
    timeline = Timeline()
    both = Reference("cadence_spm", Side.UNKNOWN, 174.0, 3.0, 5)
    timeline.take(References((both, replace(both, side=Side.LEFT, mean=170.0)), 3.0, 10.0))
    timeline.take(References((replace(both, mean=181.0),), 4.0, 20.0))
    assert timeline.references["cadence_spm"].mean == 181.0
    timeline.stand_at(15.0)
    assert timeline.references == {"cadence_spm": both}
    timeline.stand_at(5.0)
    assert timeline.references == {}
