"""Mean curves over the stride: against formulas, the simulator's waveforms and published markers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded_runs import EVERY_STEP_THE_SAME, record

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Array, Motion, Side
from pelvis.metrics import METRICS
from pelvis.simulate import Scenario
from sensor_host.view.curves import (
    BROKEN,
    CURVES,
    LOST,
    OBLIQUITY,
    ODD_COURSE,
    ODD_LENGTH,
    PERCENT,
    POOR,
    UNCERTAIN_SIDE,
    SectionCurves,
    section_curves,
    strides_between,
)
from sensor_host.view.timeline import MOTION_COLUMNS, SIDE_CODES, STEP_COLUMNS, Timeline

STEP_S = 0.351
STANCE_S = 0.23
LAST_S = 80.0


def wave(column: str, phase: Array) -> Array:
    """Return a made-up waveform over stride phase (1: a right stride); fast parts as an impact has them."""
    order = MOTION_COLUMNS.index(column) + 1
    return order * np.sin(2.0 * np.pi * phase) + 0.5 * np.cos(2.0 * np.pi * (8.0 * phase + 0.1 * order))


def rows_of(contact_s: Array, sides: Array | None = None, quality: Array | None = None) -> Array:
    rows = np.full((len(contact_s), len(STEP_COLUMNS)), np.nan)
    column = {name: i for i, name in enumerate(STEP_COLUMNS)}
    number = np.arange(len(contact_s))
    rows[:, column["step_index"]] = number
    rows[:, column["initial_contact_s"]] = contact_s
    rows[:, column["toe_off_s"]] = contact_s + STANCE_S
    right = np.where(number % 2 == 0, SIDE_CODES[Side.RIGHT], SIDE_CODES[Side.LEFT])
    rows[:, column["side"]] = right if sides is None else sides
    rows[:, column["quality"]] = 1.0 if quality is None else quality
    return rows


def made_up(rows: Array, size: Array | None = None, lost: tuple[float, float] | None = None) -> Timeline:
    """Return a session whose motion is `wave` times ``size`` (per step) between the contacts of ``rows``."""
    contact_s = rows[:, STEP_COLUMNS.index("initial_contact_s")]
    t_s = np.arange(0.0, contact_s[-1] + 1.0, GRID_PERIOD_S) + 0.0013
    phase = np.interp(t_s, contact_s, 0.5 * np.arange(len(contact_s)))
    values = np.column_stack([wave(column, phase) for column in MOTION_COLUMNS])
    if size is not None:
        # every right stride has one size
        values *= np.repeat(size, 2)[np.clip((2.0 * phase).astype(int), 0, 2 * len(size) - 1), np.newaxis]
    if lost is not None:
        kept = (t_s < lost[0]) | (t_s > lost[1])
        t_s, values = t_s[kept], values[kept]
    timeline = Timeline()
    timeline.take_motion(t_s, values.astype(np.float32))
    timeline.take_steps(rows)
    return timeline


CONTACT_S = 2.0 + STEP_S * np.arange(200)


def test_mean_curves_are_the_waveforms_of_the_stride() -> None:
    section = section_curves(made_up(rows_of(CONTACT_S)), 0.0, LAST_S)
    right, left = section.sides[Side.RIGHT], section.sides[Side.LEFT]
    assert (right.n, left.n, section.left_out()) == (99, 99, {})
    for i, curve in enumerate(CURVES):
        for side, later in ((right, 0.0), (left, 0.5)):
            true = wave(curve.column, PERCENT / 100.0 + later)
            # obliquity and rotation are told by the foot in contact
            sign = -1.0 if side is left and curve.column in ("obliquity_deg", "rotation_deg") else 1.0
            np.testing.assert_allclose(side.mean[i], sign * true, atol=0.02)
            assert np.all(side.sd[i] < 0.02)
    assert right.toe_off.mean == pytest.approx(100.0 * STANCE_S / (2.0 * STEP_S), abs=1e-6)
    assert right.opposite.mean == pytest.approx(50.0, abs=1e-6)
    assert right.duration_s.mean == pytest.approx(2.0 * STEP_S)


def test_spread_and_numbers_are_those_of_the_strides() -> None:
    size = 1.0 + 0.1 * np.random.default_rng(1).standard_normal(100)
    section = section_curves(made_up(rows_of(CONTACT_S), size), 0.0, LAST_S)
    right = section.sides[Side.RIGHT]
    used = size[:99]
    assert right.n == 99
    for i, curve in enumerate(CURVES):
        true = wave(curve.column, PERCENT / 100.0)
        # not at the very ends, where the next stride has another size
        inner = slice(2, -2)
        np.testing.assert_allclose(right.sd[i][inner], used.std(ddof=1) * np.abs(true[inner]), atol=0.05)
        assert right.ranges[i].mean == pytest.approx(used.mean() * np.ptp(true), rel=0.05)
    obliquity = wave("obliquity_deg", PERCENT / 100.0)
    stance = obliquity[PERCENT <= 100.0 * STANCE_S / (2.0 * STEP_S)]
    assert right.drop_deg.mean == pytest.approx(used.mean() * (stance.max() - obliquity[0]), rel=0.02)


def test_only_whole_strides_of_the_section_count() -> None:
    timeline = made_up(rows_of(CONTACT_S))
    strides = strides_between(timeline, CONTACT_S[10], CONTACT_S[15])
    # contacts 10 to 14; 13 and 14 have their next contact of the same foot outside
    np.testing.assert_array_equal(strides.begin_s, CONTACT_S[10:13])
    assert strides.refused == {}


def test_a_session_without_steps_has_no_curves() -> None:
    section = section_curves(Timeline(), 0.0, LAST_S)
    assert (section.n, section.left_out()) == (0, {})
    assert np.isnan(section.sides[Side.LEFT].mean).all()


# ---------------------------------------------------------------- what is left out, and why


def test_steps_of_an_unknown_side_are_left_out() -> None:
    sides = rows_of(CONTACT_S)[:, STEP_COLUMNS.index("side")].copy()
    sides[50] = SIDE_CODES[Side.UNKNOWN]
    section = section_curves(made_up(rows_of(CONTACT_S, sides)), 0.0, LAST_S)
    assert section.left_out() == {UNCERTAIN_SIDE: 3}
    assert section.n == 198 - 3


def test_strides_with_a_step_missing_are_left_out() -> None:
    timeline = Timeline()
    whole = made_up(rows_of(CONTACT_S))
    timeline.take_motion(*whole.motion(-1.0, 1000.0))
    timeline.take_steps(np.delete(rows_of(CONTACT_S), 50, axis=0))
    section = section_curves(timeline, 0.0, LAST_S)
    assert section.left_out() == {BROKEN: 2}


def test_strides_of_poor_steps_are_left_out() -> None:
    quality = np.ones(len(CONTACT_S))
    quality[[20, 100]] = 0.1
    section = section_curves(made_up(rows_of(CONTACT_S, quality=quality)), 0.0, LAST_S)
    assert section.left_out() == {POOR: 4}


def test_strides_with_a_hole_are_left_out() -> None:
    # within the strides that begin at contacts 40 and 41
    hole = (CONTACT_S[41] + 0.1, CONTACT_S[41] + 0.2)
    section = section_curves(made_up(rows_of(CONTACT_S), lost=hole), 0.0, LAST_S)
    assert section.left_out() == {LOST: 2}


def test_a_stumble_is_left_out_and_counted() -> None:
    size = 1.0 + 0.02 * np.random.default_rng(1).standard_normal(100)
    size[40] = 2.5
    section = section_curves(made_up(rows_of(CONTACT_S), size), 0.0, LAST_S)
    # the right stride itself and the left ones that share half of it; at most the right ones that share its ends
    assert set(section.left_out()) == {ODD_COURSE}
    assert 3 <= section.left_out()[ODD_COURSE] <= 5
    # no more than the usual spread is left
    assert section.sides[Side.RIGHT].ranges[OBLIQUITY].sd < 0.05 * section.sides[Side.RIGHT].ranges[OBLIQUITY].mean


def test_a_stride_of_unusual_length_is_left_out_and_counted() -> None:
    step_s = STEP_S + 0.004 * np.random.default_rng(1).standard_normal(199)
    step_s[60] += 0.1
    contact_s = 2.0 + np.concatenate([[0.0], np.cumsum(step_s)])
    section = section_curves(made_up(rows_of(contact_s)), 0.0, 100.0)
    assert section.left_out() == {ODD_LENGTH: 2}


# ---------------------------------------------------------------- from the sensor to the curve


def true_curves(contact_s: Array, side: str, sides: list[str], t_s: Array, values: Array) -> Array:
    """Return the mean of a true wave over the strides of one foot, cut by true contacts."""
    cut = [
        np.interp(np.linspace(begin, end, len(PERCENT)), t_s, values)
        for i, (begin, end) in enumerate(zip(contact_s[:-2], contact_s[2:], strict=True))
        if sides[i] == side and sides[i + 2] == side and end - begin < 1.2
    ]
    assert len(cut) > 5
    return np.mean(cut, axis=0)


def compare(section: SectionCurves, true: dict[str, dict[str, Array]], within_deg: dict[str, float]) -> None:
    for side in (Side.LEFT, Side.RIGHT):
        for i, curve in enumerate(CURVES[:3]):
            mine, its = section.sides[side].mean[i], true[side][curve.column]
            if curve.turned and side is Side.LEFT:
                its = -its
            # about the mean: that is a matter of where markers sit, and of which way is forward
            error_deg = float(np.std(mine - its))
            assert error_deg < within_deg[curve.column], (side, curve.column, error_deg)


def test_curves_of_a_recording_are_those_of_the_simulated_runner(tmp_path: Path) -> None:
    scenario = Scenario(
        duration_s=40.0, variability=EVERY_STEP_THE_SAME, drop_left_deg=4.0, drop_right_deg=2.0, postural_sway_deg=0.0
    )
    run = record(tmp_path / "run.mcap", scenario)
    timeline = Timeline()
    for item in run.said:
        if isinstance(item, Motion):
            angles = [getattr(item, name) for name in MOTION_COLUMNS[3:]]
            timeline.take_motion(item.t_s, np.column_stack([item.acc_g, *angles]).astype(np.float32))
        else:
            timeline.take(item)
    section = section_curves(timeline, 15.0, 40.0)
    contact_s = np.array([contact.initial_contact_s for contact in run.contacts])
    late = contact_s > 15.0
    sides = [str(contact.side) for contact, use in zip(run.contacts, late, strict=True) if use]
    t_s = np.concatenate([block.t_s for block in run.blocks])
    standing = {
        name: np.concatenate([getattr(block.truth, name) for block in run.blocks])[:400].mean()
        for name in ("obliquity_deg", "tilt_deg", "rotation_deg")
    }
    true = {
        side: {
            name: true_curves(
                contact_s[late],
                side,
                sides,
                t_s,
                np.concatenate([getattr(block.truth, name) for block in run.blocks]) - zero,
            )
            for name, zero in standing.items()
        }
        for side in ("left", "right")
    }
    compare(section, true, {"obliquity_deg": 0.4, "tilt_deg": 0.6, "rotation_deg": 1.0})
    left, right = section.sides[Side.LEFT], section.sides[Side.RIGHT]
    assert left.drop_deg.mean == pytest.approx(4.0, abs=0.4)
    assert right.drop_deg.mean == pytest.approx(2.0, abs=0.4)
    stance_s = np.mean([contact.toe_off_s - contact.initial_contact_s for contact in run.contacts])
    true_duty = stance_s / np.mean(contact_s[2:] - contact_s[:-2])
    assert left.toe_off.mean == pytest.approx(100.0 * true_duty, abs=2.0)


@pytest.mark.parametrize("name", ["RBDS002_T35", "RBDS009_T25"])
def test_curves_are_those_of_published_markers(data_dir: Path, name: str) -> None:
    from sensor_host.validation.device import Device, wear
    from sensor_host.validation.score import said_of
    from sensor_host.validation.sources import fukuchi

    (trial,) = [trial for trial in fukuchi(data_dir) if trial.name == name]
    run = wear(trial, Device())
    timeline = Timeline()
    for item in said_of(run.samples, motion=True):
        if isinstance(item, Motion):
            angles = [getattr(item, column) for column in MOTION_COLUMNS[3:]]
            timeline.take_motion(item.t_s, np.column_stack([item.acc_g, *angles]).astype(np.float32))
        else:
            timeline.take(item)
    section = section_curves(timeline, run.lead_s + 8.0, 100.0)
    assert section.n > 40
    late = run.truth.contact_s > run.lead_s + 8.0
    sides = [str(side) for side, use in zip(run.truth.sides, late, strict=True) if use]
    true = {
        side: {
            wave_name: true_curves(run.truth.contact_s[late], side, sides, run.truth.wave_s, values)
            for wave_name, values in run.truth.waves.items()
        }
        for side in ("left", "right")
    }
    compare(section, true, {"obliquity_deg": 0.8, "tilt_deg": 1.0, "rotation_deg": 1.6})


def test_every_metric_has_its_place_beside_the_curves() -> None:
    assert set(METRICS) < set(STEP_COLUMNS)
