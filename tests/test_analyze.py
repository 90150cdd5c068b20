"""``hipdrive analyze``: its contract, held against a runner whose truth is known."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from pelvis.data import STANDARD_GRAVITY_MPS2
from pelvis.simulate import Scenario, SensorModel, SimulatedRunner
from pelvis.step_table import STEP_COLUMNS
from sensor_host import tables
from sensor_host.cli import call
from sensor_host.tables import format_samples, samples_header

RECORDINGS = Path(__file__).parents[1] / "recordings"

# decided when the step is reported, and when its stride is complete: the contract names them
AT_REPORT = (
    "initial_contact_s", "toe_off_s", "side", "contact_time_s", "cadence_spm", "pelvic_drop_deg", "peak_drop_deg",
    "velocity_loss_mps", "velocity_gain_mps", "quality", "reported_at_s",
)  # fmt: skip
AT_COMPLETION = (
    "flight_time_s", "step_time_s", "vertical_oscillation_m", "sway_m", "pelvis_sway_m", "obliquity_range_deg",
    "tilt_deg", "rotation_range_deg", "completed_at_s",
)  # fmt: skip

Rows = list[dict[str, str]]


def rows_of(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text) if text else math.nan


def analyze(source: Path, folder: Path) -> tuple[Rows, list[str]]:
    steps, samples = folder / "steps.csv", folder / "samples.csv"
    assert call(["analyze", str(source), "--steps", str(steps), "--samples", str(samples)]) == 0
    return rows_of(steps), samples.read_text().splitlines()


def simulate(path: Path, *, duration_s: float = 24.0, rate_hz: float = 200.0, offset_s: float = 0.0) -> Path:
    scenario = Scenario(standing_s=4.0, duration_s=duration_s, sensor=SensorModel(rate_hz=rate_hz))
    lines = [samples_header()]
    lines += [
        format_samples(block.t_s + offset_s, block.acc_mps2, block.gyr_radps)
        for block in SimulatedRunner(scenario, 4).blocks()
    ]
    path.write_bytes(b"".join(lines))
    return path


@pytest.fixture(scope="module")
def run_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("run") / "run.csv")


def lines_of(path: Path) -> Iterator[tuple[float, str]]:
    with path.open() as file:
        next(file)
        for line in file:
            yield float(line.partition(",")[0]), line


def cut(source: Path, end_s: float, path: Path) -> Path:
    """Copy the samples up to and with ``end_s``."""
    kept = takewhile(lambda row: row[0] <= end_s + 1e-6, lines_of(source))
    path.write_text(samples_header().decode() + "".join(line for _, line in kept))
    return path


# ---------------------------------------------------------------- against truth


@pytest.mark.parametrize("name", ["easy", "tempo"])
def test_the_steps_of_a_reference_recording_are_those_of_its_truth(name: str, tmp_path: Path) -> None:
    found, _ = analyze(RECORDINGS / f"{name}.mcap", tmp_path)
    truth = rows_of(RECORDINGS / f"{name}.csv")
    contacts = np.array([number(row["initial_contact_s"]) for row in truth])
    pairs: list[tuple[dict[str, str], dict[str, str]]] = []
    for row in found:
        nearest = int(np.argmin(np.abs(contacts - number(row["initial_contact_s"]))))
        assert abs(contacts[nearest] - number(row["initial_contact_s"])) < 0.03, "a step where there was none"
        pairs.append((truth[nearest], row))
    # from the first step found to the last, none is missed and none is double
    indices = [truth.index(true) for true, _ in pairs]
    assert indices == list(range(indices[0], indices[-1] + 1))
    assert number(truth[indices[0]]["initial_contact_s"]) < 5.0 + 4.0
    assert all(true["side"] == row["side"] for true, row in pairs[2:])
    # limits from the accuracy that is published for such sensors, in the columns' own units
    for column, limit in {
        "initial_contact_s": 0.008,
        "toe_off_s": 0.010,
        "contact_time_s": 0.012,
        "cadence_spm": 2.0,
        "pelvic_drop_deg": 0.45,
        "peak_drop_deg": 0.5,
        "vertical_oscillation_m": 0.004,
        "sway_m": 0.004,
        "pelvis_sway_m": 0.003,
        "obliquity_range_deg": 0.6,
        "rotation_range_deg": 1.0,
        "tilt_deg": 1.2,
        "velocity_loss_mps": 0.044,
        "velocity_gain_mps": 0.044,
    }.items():
        errors = np.array([number(row[column]) - number(true[column]) for true, row in pairs[10:]])
        known = errors[np.isfinite(errors)]
        assert len(known) >= 0.95 * len(errors), column
        assert np.sqrt(np.mean(known**2)) < limit, column


def test_a_csv_and_a_recording_of_the_same_runner_give_the_same_steps(tmp_path: Path) -> None:
    sources = [tmp_path / "run.mcap", tmp_path / "run.csv"]
    command = ["simulate", "-o", str(sources[0]), "--csv", str(sources[1]), "--minutes", "0.4", "--seed", "3"]
    assert call(command) == 0
    (recorded, _), (foreign, _) = (analyze(source, tmp_path) for source in sources)
    assert len(recorded) == len(foreign) > 25
    for ours, theirs in zip(recorded, foreign, strict=True):
        # the board's 16 bits are what differs
        assert number(ours["initial_contact_s"]) == pytest.approx(number(theirs["initial_contact_s"]), abs=0.001)
        assert ours["side"] == theirs["side"]


# ---------------------------------------------------------------- the contract


def test_every_row_is_numbered_and_in_order(run_csv: Path, tmp_path: Path) -> None:
    rows, samples = analyze(run_csv, tmp_path)
    assert list(rows[0]) == list(STEP_COLUMNS)
    assert [int(row["step_index"]) for row in rows] == list(range(len(rows)))
    assert {row["side"] for row in rows} <= {"left", "right", "unknown"}
    assert all(0.0 <= number(row["quality"]) <= 1.0 for row in rows)
    assert all(number(row["reported_at_s"]) > number(row["toe_off_s"]) for row in rows)
    assert samples[0] == "t_s,obliquity_deg,tilt_deg,rotation_deg,activity"
    times = np.array([float(line.partition(",")[0]) for line in samples[1:]])
    assert np.diff(times) == pytest.approx(0.005, abs=1.1e-6)
    assert times[0] == pytest.approx(0.0, abs=0.006)
    assert times[-1] == pytest.approx(24.0, abs=0.2)
    assert {line.rpartition(",")[2] for line in samples[1:]} <= {"other", "standing", "walking", "running"}


def test_a_step_is_known_at_reported_at_and_whole_at_completed_at(run_csv: Path, tmp_path: Path) -> None:
    rows, _ = analyze(run_csv, tmp_path)
    # the first steps of a run are said together, when it is clear that it is one
    for row in rows[8:-4:6]:
        index = int(row["step_index"])
        early, _ = analyze(cut(run_csv, number(row["reported_at_s"]), tmp_path / "cut.csv"), tmp_path)
        assert {name: early[index][name] for name in AT_REPORT} == {name: row[name] for name in AT_REPORT}
        assert {name: early[index][name] for name in AT_COMPLETION} == dict.fromkeys(AT_COMPLETION, "")
        assert early[:index] != []
        late, _ = analyze(cut(run_csv, number(row["completed_at_s"]), tmp_path / "cut.csv"), tmp_path)
        assert late[index] == row
        # one sample earlier it was not known
        before, _ = analyze(cut(run_csv, number(row["reported_at_s"]) - 0.005, tmp_path / "cut.csv"), tmp_path)
        assert len(before) == index or before[index]["reported_at_s"] != row["reported_at_s"]
        before, _ = analyze(cut(run_csv, number(row["completed_at_s"]) - 0.005, tmp_path / "cut.csv"), tmp_path)
        assert before[index]["sway_m"] == ""


def test_samples_look_ahead_by_a_fixed_time_and_no_further(run_csv: Path, tmp_path: Path) -> None:
    _, whole = analyze(run_csv, tmp_path)
    missing_s = []
    for end_s in (6.0, 9.1234, 15.777):
        _, part = analyze(cut(run_csv, end_s, tmp_path / "cut.csv"), tmp_path)
        assert part == whole[: len(part)]
        missing_s.append(end_s - float(part[-1].partition(",")[0]))
    assert max(missing_s) < 0.2


def test_the_portions_in_which_a_file_is_read_leave_no_mark(
    run_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = analyze(run_csv, tmp_path)
    monkeypatch.setattr(tables, "_READ_BYTES", 5000)
    assert analyze(run_csv, tmp_path) == whole


@pytest.mark.parametrize("rate_hz", [50.0, 104.0, 208.0, 500.0])
def test_any_rate_from_50_to_500_hz_finds_the_same_contacts(rate_hz: float, run_csv: Path, tmp_path: Path) -> None:
    reference, _ = analyze(run_csv, tmp_path)
    rows, _ = analyze(simulate(tmp_path / "other.csv", rate_hz=rate_hz), tmp_path)
    contacts = np.array([number(row["initial_contact_s"]) for row in reference])
    near = [np.min(np.abs(contacts - number(row["initial_contact_s"]))) for row in rows]
    assert len(rows) == pytest.approx(len(reference), abs=2)
    # at 50 Hz a contact lies anywhere between two samples 20 ms apart
    assert np.median(near) < 0.010


def test_times_are_those_of_the_input(run_csv: Path, tmp_path: Path) -> None:
    rows, samples = analyze(run_csv, tmp_path)
    later_rows, later_samples = analyze(simulate(tmp_path / "later.csv", offset_s=1_700_000_000.0), tmp_path)
    assert len(later_rows) == len(rows)
    for row, later in zip(rows, later_rows, strict=True):
        assert number(later["initial_contact_s"]) - 1.7e9 == pytest.approx(number(row["initial_contact_s"]), abs=2e-3)
    assert float(later_samples[1].partition(",")[0]) == pytest.approx(
        1.7e9 + float(samples[1].partition(",")[0]), abs=0.01
    )


def test_a_gap_is_survived_and_counted(run_csv: Path, tmp_path: Path) -> None:
    with_hole = tmp_path / "hole.csv"
    kept = [line for t_s, line in lines_of(run_csv) if not 12.0 < t_s < 14.0]
    with_hole.write_text(samples_header().decode() + "".join(kept))
    rows, _ = analyze(with_hole, tmp_path)
    contacts = np.array([number(row["initial_contact_s"]) for row in rows])
    assert not np.any((contacts > 12.0) & (contacts < 14.0))
    assert np.sum(contacts < 12.0) > 8
    assert np.sum(contacts > 16.0) > 15


def test_without_a_gyroscope_there_are_steps_all_the_same(run_csv: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind.csv"
    lines = [",".join([*line.split(",")[:4], "0", "0", "0"]) + "\n" for _, line in lines_of(run_csv)]
    blind.write_text(samples_header().decode() + "".join(lines))
    rows, _ = analyze(blind, tmp_path)
    reference, _ = analyze(run_csv, tmp_path)
    assert len(rows) == pytest.approx(len(reference), abs=2)
    assert all(row["pelvic_drop_deg"] == "" for row in rows)


# ---------------------------------------------------------------- summary


def test_the_summary_counts_what_the_table_holds_and_names_every_version(
    run_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, steps = tmp_path / "summary.json", tmp_path / "steps.csv"
    assert call(["analyze", str(run_csv), "--steps", str(steps), "--summary", str(out), "--json"]) == 0
    summary = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == summary
    rows = rows_of(steps)
    assert summary["steps"] == len(rows)
    assert summary["sides"] == {
        side: sum(row["side"] == side for row in rows) for side in sorted({r["side"] for r in rows})
    }
    good = [number(row["contact_time_s"]) for row in rows if number(row["quality"]) >= 0.5]
    assert summary["metrics"]["contact_time_s"]["mean"] == pytest.approx(np.mean(good), abs=1e-6)
    assert summary["metrics"]["contact_time_s"]["sd"] == pytest.approx(np.std(good, ddof=1), abs=1e-6)
    assert summary["duration_s"] == pytest.approx(24.0, abs=0.01)
    assert sum(summary["activity_s"].values()) == pytest.approx(24.0, abs=3.0)
    assert set(summary["versions"]) == {
        "hipdrive", "algorithm", "recording", "mqtt", "steps_csv", "samples_csv", "summary",
    }  # fmt: skip


def test_the_screen_says_it_in_words(run_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["analyze", str(run_csv)]) == 0
    told = capsys.readouterr().out
    assert "contact time" in told
    assert "algorithm" in told
    assert len(told.splitlines()) < 40


def test_gravity_is_the_standard_one_on_both_sides_of_the_table() -> None:
    assert tables._UNITS["acc"]["g"] == STANDARD_GRAVITY_MPS2 == 9.80665


# ---------------------------------------------------------------- speed


def test_a_belt_s_speed_holds_where_it_was_said_to(run_csv: Path, tmp_path: Path) -> None:
    table = tmp_path / "steps.csv"
    command = ["analyze", str(run_csv), "--steps", str(table), "--speed", "3.0@8-12", "--speed", "3.4@12-16"]
    assert call(command) == 0
    for row in rows_of(table):
        at_s = number(row["reported_at_s"])
        said_mps = 3.0 if 8.0 <= at_s < 12.0 else 3.4 if 12.0 <= at_s < 16.0 else None
        assert (row["speed_source"] == "treadmill") == (said_mps is not None)
        if said_mps is not None:
            assert number(row["speed_mps"]) == said_mps
            if row["cadence_spm"]:
                assert number(row["step_length_m"]) == pytest.approx(said_mps * 60.0 / number(row["cadence_spm"]))


def test_a_csv_s_speed_column_is_a_speed_and_its_empty_cells_lose_no_sample(run_csv: Path, tmp_path: Path) -> None:
    header, *lines = run_csv.read_text().splitlines()
    told = tmp_path / "told.csv"
    rows = [f"{line},{2.5 + 0.01 * int(k / 200):.2f}" if k % 100 == 0 else f"{line}," for k, line in enumerate(lines)]
    told.write_text("\n".join([f"{header},speed_mps", *rows]) + "\n")
    (bare, _), (spoken, _) = analyze(run_csv, tmp_path), analyze(told, tmp_path)
    assert len(bare) == len(spoken) > 40
    for before, after in zip(bare, spoken, strict=True):
        assert (before["contact_time_s"], before["flags"]) == (after["contact_time_s"], after["flags"])
        second = int(number(after["reported_at_s"]) + 1e-6)
        assert after["speed_source"] == "file"
        assert number(after["speed_mps"]) == pytest.approx(2.5 + 0.01 * second, abs=0.0101)


def test_an_imported_csv_keeps_its_speeds(run_csv: Path, tmp_path: Path) -> None:
    header, *lines = run_csv.read_text().splitlines()
    told, recording = tmp_path / "told.csv", tmp_path / "told.mcap"
    told.write_text(
        "\n".join([f"{header},speed_mps", *(f"{line},{3.0 + k / 50000:.4f}" for k, line in enumerate(lines))])
    )
    assert call(["import", str(told), "-o", str(recording)]) == 0
    (foreign, _), (recorded, _) = analyze(told, tmp_path), analyze(recording, tmp_path)
    columns = ("initial_contact_s", "speed_mps", "step_length_m", "speed_source")
    assert [[row[c] for c in columns] for row in foreign] == [[row[c] for c in columns] for row in recorded]
