"""Each metric is what its definition says, on numbers one can do in the head."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from pelvis.data import Side
from pelvis.metrics import METRICS, STEP_METRICS, STRIDE_METRICS, measure_step, measure_stride
from pelvis.simulate import TrueContact
from pelvis.windows import (
    CENTRE_LEFT_M,
    LEFT_M,
    OBLIQUITY_RAD,
    ROTATION_RAD,
    STRIDE_POINTS,
    TILT_RAD,
    UP_M,
    StepView,
    StrideView,
)

STEP = StepView(
    initial_contact_s=10.36,
    toe_off_s=10.60,
    previous_contact_s=10.0,
    side=Side.RIGHT,
    from_standing=True,
    # right side up: the left side, which swings, is 1 degree lower than level at contact and 4 at most
    obliquity_rad=np.radians([1.0, 3.0, 4.0, 2.0, -1.0]),
    slowest_mps=-0.2,
    last_mps=0.05,
    speed_mps=3.0,
    speed_source="treadmill",
)


def stride(**changes: object) -> StrideView:
    p = 2.0 * np.pi * np.arange(STRIDE_POINTS) / STRIDE_POINTS
    waves = np.zeros((STRIDE_POINTS, 6))
    # the first step rises 8 cm, the second 10
    waves[:, UP_M] = np.where(p <= np.pi, -0.04, -0.05) * np.cos(2.0 * p)
    waves[:, LEFT_M] = 0.015 * np.cos(p)
    waves[:, CENTRE_LEFT_M] = 0.010 * np.cos(p)
    waves[:, OBLIQUITY_RAD] = np.radians(5.0) * np.sin(p)
    waves[:, TILT_RAD] = np.radians(3.0) + np.radians(2.0) * np.sin(p)
    waves[:, ROTATION_RAD] = np.radians(6.0) * np.cos(p)
    view = StrideView(
        initial_contact_s=10.0,
        toe_off_s=10.25,
        next_contact_s=10.37,
        speed_mps=3.2,
        from_standing=True,
        step_points=STRIDE_POINTS // 2,
        waves=waves,
        ranges=tuple(np.ptp(waves, axis=0).tolist()),
        means=tuple(waves.mean(axis=0).tolist()),
    )
    return view._replace(**changes)  # type: ignore[arg-type]


def test_a_step_is_measured_as_defined() -> None:
    assert measure_step(STEP) == pytest.approx(
        {
            "contact_time_s": 0.24,
            "cadence_spm": 60.0 / 0.36,
            "pelvic_drop_deg": 3.0,
            "peak_drop_deg": 4.0,
            "velocity_loss_mps": 0.2,
            "velocity_gain_mps": 0.25,
            "speed_mps": 3.0,
            "step_length_m": 1.08,
        }
    )


def test_on_the_other_foot_the_other_side_falls() -> None:
    left = measure_step(STEP._replace(side=Side.LEFT))
    # from 1 degree right side up to 1 degree left side up
    assert left["pelvic_drop_deg"] == pytest.approx(2.0)
    assert left["peak_drop_deg"] == pytest.approx(1.0)


def test_a_stride_is_measured_as_defined() -> None:
    assert measure_stride(stride()) == pytest.approx(
        {
            "flight_time_s": 0.12,
            "step_time_s": 0.37,
            "vertical_oscillation_m": 0.08,
            "vertical_ratio_percent": 100.0 * 0.08 / (3.2 * 0.37),
            "sway_m": 0.03,
            "pelvis_sway_m": 0.02,
            "obliquity_range_deg": 10.0,
            "tilt_deg": 3.0,
            "tilt_range_deg": 4.0,
            "rotation_range_deg": 12.0,
        },
        rel=0.03,
    )


def test_double_support_is_a_negative_flight() -> None:
    assert measure_stride(stride(toe_off_s=10.40))["flight_time_s"] == pytest.approx(-0.03)


def test_without_standing_what_refers_to_it_is_unknown() -> None:
    step, whole = measure_step(STEP._replace(from_standing=False)), measure_stride(stride(from_standing=False))
    assert math.isnan(step["peak_drop_deg"])
    assert math.isnan(whole["tilt_deg"])
    assert step["pelvic_drop_deg"] == pytest.approx(3.0)
    assert whole["tilt_range_deg"] == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize("change", [{"side": Side.UNKNOWN}, {"obliquity_rad": np.empty(0)}])
def test_a_drop_needs_a_side_and_angles(change: dict[str, object]) -> None:
    step = measure_step(STEP._replace(**change))  # type: ignore[arg-type]
    assert math.isnan(step["pelvic_drop_deg"])
    assert math.isnan(step["peak_drop_deg"])
    assert step["contact_time_s"] == pytest.approx(0.24)


def test_the_first_contact_has_no_cadence() -> None:
    assert math.isnan(measure_step(STEP._replace(previous_contact_s=math.nan))["cadence_spm"])


# ---------------------------------------------------------------- the table

ENDINGS = {"s": "s", "spm": "spm", "deg": "deg", "m": "m", "mps": "m/s", "percent": "%"}


def test_every_name_ends_in_its_unit_and_every_metric_is_defined() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit == ENDINGS[name.rpartition("_")[2]]
        assert len(metric.definition) > 20
        assert metric.definition.endswith(".")
        assert metric.decimals >= 0
        assert metric.title


def test_both_groups_make_up_the_table_and_are_measured_whole() -> None:
    assert [m.name for m in (*STEP_METRICS, *STRIDE_METRICS)] == list(METRICS)
    assert list(measure_step(STEP)) == [m.name for m in STEP_METRICS]
    assert list(measure_stride(stride())) == [m.name for m in STRIDE_METRICS]


def test_the_simulator_knows_the_truth_of_every_metric() -> None:
    assert set(METRICS) <= {field.name for field in fields(TrueContact)}
