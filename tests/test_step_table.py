"""The table of steps: its columns, its text, and how it is worked with."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pelvis.data import Side, Step, Stride
from pelvis.metrics import METRICS, STEP_METRICS, STRIDE_METRICS
from pelvis.step_table import STEP_COLUMNS, StepRows, StepTable, table_of

CONTRACT = [
    "initial_contact_s",
    "toe_off_s",
    "side",
    "contact_time_s",
    "flight_time_s",
    "step_time_s",
    "cadence_spm",
    "pelvic_drop_deg",
    "peak_drop_deg",
    "obliquity_range_deg",
    "tilt_deg",
    "rotation_range_deg",
    "sway_m",
    "pelvis_sway_m",
    "vertical_oscillation_m",
    "velocity_loss_mps",
    "velocity_gain_mps",
    "reported_at_s",
    "completed_at_s",
    "quality",
]


def step(index: int = 0, **metrics: float) -> Step:
    return Step(
        step_index=index,
        stride_index=index // 2,
        contact_id=None,
        initial_contact_s=1.25,
        toe_off_s=1.5,
        side=Side.LEFT,
        side_confidence=0.9,
        metrics={metric.name: metrics.get(metric.name, math.nan) for metric in STEP_METRICS},
        errors={metric.name: 0.0123456 if metric.name in metrics else math.nan for metric in STEP_METRICS},
        common_errors={metric.name: math.nan for metric in STEP_METRICS},
        initial_contact_se_s=0.00612345,
        toe_off_se_s=0.007,
        quality=0.8,
        flags=("filled", "no_gyroscope"),
        reported_at_s=1.6,
    )


def stride(index: int = 0, **metrics: float) -> Stride:
    known = {metric.name: metrics.get(metric.name, math.nan) for metric in STRIDE_METRICS}
    errors = {name: 0.00234567 if name in metrics else math.nan for name in known}
    return Stride(index, index // 2, 1.25, Side.LEFT, known, errors, errors, 2.0)


def rows_of(rows: StepRows) -> list[dict[str, str]]:
    return list(csv.DictReader(rows.table().to_csv().splitlines()))


def test_the_columns_are_the_contract_and_every_metric() -> None:
    assert list(STEP_COLUMNS[: 2 + len(CONTRACT)]) == ["step_index", "stride_index", *CONTRACT]
    assert set(METRICS) <= set(STEP_COLUMNS)
    assert {metric.error_name for metric in METRICS.values()} <= set(STEP_COLUMNS)
    assert {"initial_contact_se_s", "toe_off_se_s", "cadence_se_spm", "vertical_oscillation_se_m"} <= set(STEP_COLUMNS)
    assert len(set(STEP_COLUMNS)) == len(STEP_COLUMNS)


def test_a_step_and_its_stride_share_a_row_and_what_is_unknown_is_empty() -> None:
    rows = StepRows()
    rows.take(step(0, contact_time_s=0.25, cadence_spm=171.4285714))
    rows.take(step(1))
    rows.take(stride(0, sway_m=0.0123456789))
    first, second = rows_of(rows)
    assert first["initial_contact_s"] == "1.250000"
    assert first["contact_time_s"] == "0.250000"
    assert first["cadence_spm"] == "171.4286"
    assert first["sway_m"] == "0.01234568"
    assert (first["contact_time_se_s"], first["sway_se_m"]) == ("0.0123", "0.00235")
    assert (first["initial_contact_se_s"], first["toe_off_se_s"]) == ("0.00612", "0.007")
    assert first["pelvic_drop_se_deg"] == second["sway_se_m"] == ""
    assert first["completed_at_s"] == "2.000000"
    assert first["side"] == "left"
    assert first["flags"] == "filled no_gyroscope"
    assert first["pelvic_drop_deg"] == ""
    assert second["sway_m"] == second["completed_at_s"] == ""
    assert second["reported_at_s"] == "1.600000"


@pytest.mark.parametrize("name", ["nanna's mat", "nan", 'a "good", plate', "plate"])
def test_a_name_that_others_chose_is_read_back_as_it_was(name: str) -> None:
    rows = StepRows()
    rows.take(replace(step(0), contact_time_reference=name))
    rows.take(stride(0))
    (row,) = rows_of(rows)
    assert row["contact_time_reference"] == name
    assert row["sway_m"] == ""


# ---------------------------------------------------------------- in Python


def ten() -> StepTable:
    """Ten steps half a second apart, left and right in turn; the last stride is not complete."""
    sides = [Side.LEFT, Side.RIGHT] * 5
    said: list[Step | Stride] = []
    for index, side in enumerate(sides):
        contact_s = 100.0 + 0.5 * index
        said.append(replace(step(index, contact_time_s=0.2 + 0.01 * index), initial_contact_s=contact_s, side=side))
        if index < 9:
            said.append(stride(index, flight_time_s=0.3))
    return table_of(said)


def test_a_column_is_an_array_in_the_order_of_the_steps_with_nan_where_nothing_is_known() -> None:
    steps = ten()
    assert len(steps) == 10
    assert steps.names == tuple(steps) == STEP_COLUMNS
    np.testing.assert_array_equal(steps["step_index"], np.arange(10))
    assert steps["step_index"].dtype == np.int64
    np.testing.assert_allclose(steps["contact_time_s"], 0.2 + 0.01 * np.arange(10))
    np.testing.assert_array_equal(steps["flight_time_s"], [0.3] * 9 + [math.nan])
    np.testing.assert_array_equal(steps["contact_time_se_s"], [0.0123456] * 10)
    assert steps["side"].tolist() == ["left", "right"] * 5
    assert steps["flags"].tolist() == ["filled no_gyroscope"] * 10


def test_steps_said_in_another_order_stand_in_theirs() -> None:
    said = [replace(step(index), quality=0.1 * index) for index in (3, 1, 2)]
    steps = table_of([said[0], stride(3), said[1], said[2], stride(2), "something else"])
    assert steps["step_index"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(steps["quality"], [0.1, 0.2, 0.3])


def test_any_index_of_an_array_picks_steps() -> None:
    steps = ten()
    assert steps[steps["side"] == "left"]["step_index"].tolist() == [0, 2, 4, 6, 8]
    assert steps[-3:]["step_index"].tolist() == [7, 8, 9]
    assert steps[[4, 1]]["step_index"].tolist() == [4, 1]
    assert steps.between(101.0, 102.5)["step_index"].tolist() == [2, 3, 4]
    assert len(steps.between(0.0, 1.0)) == 0


def test_a_table_cannot_be_written_into() -> None:
    steps = ten()
    for attempt in (
        lambda: steps.update(quality=steps["flags"]),
        lambda: steps.__setitem__("quality", steps["flags"]),
        lambda: steps.pop("quality"),
        steps.clear,
    ):
        with pytest.raises(TypeError, match=r"read-only; to_dict\(\) gives a copy"):
            attempt()
    with pytest.raises(ValueError, match="read-only"):
        steps["quality"][0] = 0.0
    copy = steps.to_dict()
    copy["quality"][0] = 0.0
    assert steps["quality"][0] == 0.8


def test_a_misspelt_column_is_met_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="no column 'contact_time'; did you mean 'contact_time_s'"):
        ten()["contact_time"]


def test_a_data_frame_is_made_of_it_as_it_is() -> None:
    steps = ten()
    frame = pd.DataFrame(steps)
    assert list(frame.columns) == list(STEP_COLUMNS)
    assert len(frame) == 10
    assert frame["side"].tolist() == steps["side"].tolist()
    np.testing.assert_array_equal(frame["flight_time_s"], steps["flight_time_s"])
    assert frame.groupby("side")["contact_time_s"].mean()["right"] == pytest.approx(0.25)


def test_no_steps_are_a_table_too() -> None:
    steps = table_of([])
    assert len(steps) == 0
    assert len(steps[steps["side"] == "left"]) == 0
    assert steps.to_csv() == ",".join(STEP_COLUMNS) + "\n"
