"""hipdrive validate: truth against what is said, on simulated runners and on cases made by hand."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from published_data import write_all, write_fukuchi
from rich.console import Console

from pelvis.data import STANDARD_GRAVITY_MPS2, Samples, Side, Step, Stride
from pelvis.metrics import METRICS, STEP_METRICS, STRIDE_METRICS
from pelvis.pipeline import ALGORITHM_VERSION
from sensor_host.cli import call
from sensor_host.validation.bounds import Bound
from sensor_host.validation.device import Device, at_arm, portions, through_tissue, wear, without
from sensor_host.validation.page import TEMPLATE
from sensor_host.validation.pairs import compare, pairs_in
from sensor_host.validation.score import RunScore, Score, Window, match, score_run, shown_in
from sensor_host.validation.sources import Run, Truth, fukuchi
from sensor_host.validation.table import Table, number, percent
from sensor_host.validation.tables import SECTIONS
from sensor_host.validation.truth_csv import find_clock, read_truth
from sensor_host.validation.uncertainty import reliability, terciles, within

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "recordings"
NO_SAMPLES = Samples(np.empty(0), np.empty((0, 3)), np.empty((0, 3)), 200.0)


# ---------------------------------------------------------------- made by hand


def step(index: int, contact_s: float, *, contact_time_s: float = 0.25, side: Side = Side.LEFT) -> Step:
    metrics = {metric.name: float("nan") for metric in STEP_METRICS} | {"contact_time_s": contact_time_s}
    return Step(
        step_index=index, stride_index=index // 2, contact_id=None, initial_contact_s=contact_s,
        toe_off_s=contact_s + contact_time_s, side=side, side_confidence=1.0, metrics=metrics,
        errors={"contact_time_s": 0.008}, common_errors={}, initial_contact_se_s=0.005, toe_off_se_s=0.006, quality=1.0,
        flags=(), reported_at_s=contact_s + contact_time_s + 0.07,
    )  # fmt: skip


def stride(index: int, contact_s: float, flight_time_s: float) -> Stride:
    metrics = {metric.name: float("nan") for metric in STRIDE_METRICS} | {"flight_time_s": flight_time_s}
    errors = {"flight_time_s": 0.009}
    return Stride(index, index // 2, contact_s, Side.LEFT, metrics, errors, {}, completed_at_s=contact_s + 0.8)


def true_run(contact_s: Sequence[float], contact_time_s: float = 0.24) -> Run:
    true_s = np.array(contact_s)
    sides = tuple((Side.LEFT, Side.RIGHT)[k % 2] for k in range(len(true_s)))
    metrics = {"contact_time_s": np.full(len(true_s), contact_time_s), "flight_time_s": np.full(len(true_s), 0.1)}
    return Run("hand", "hand", 3.0, NO_SAMPLES, 0.0, Truth(true_s, true_s + contact_time_s, sides, metrics))


def whole(run: Run, end_s: float = 99.0) -> Window:
    return Window(np.ones(len(run.truth.contact_s), dtype=np.bool_), 0.0, end_s, side_steps=0)


def test_contacts_are_paired_with_the_nearest_and_each_is_used_once() -> None:
    assert match(np.array([1.0, 1.3, 2.0]), np.array([1.02, 1.29, 2.09])) == [(0, 0), (1, 1)]
    assert match(np.array([1.00, 1.05]), np.array([1.03])) == [(0, 0)]
    assert match(np.array([1.0]), np.array([])) == []


def test_errors_missed_and_extra_contacts_are_counted_as_a_hand_counts_them() -> None:
    run = true_run([1.0, 1.35, 1.7, 2.05])
    # the first 10 ms late, the second missed, one where there is none, the third exact with the wrong foot
    said = [step(0, 1.01), step(1, 1.5, side=Side.RIGHT), step(2, 1.7, side=Side.RIGHT), step(3, 2.05, side=Side.RIGHT)]
    score = Score((score_run(run, [*said, stride(0, 1.01, 0.09)], whole(run)),))
    assert (score.contacts, score.missed, score.extra) == (4, 1, 1)
    assert score.f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    np.testing.assert_allclose(score.errors("initial_contact_s"), [10.0, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(score.errors("toe_off_s"), [20.0, 10.0, 10.0], atol=1e-9)
    np.testing.assert_allclose(score.errors("contact_time_s"), [10.0, 10.0, 10.0], atol=1e-9)
    np.testing.assert_allclose(score.errors("flight_time_s"), [-10.0], atol=1e-9)
    assert score.sides.tolist() == [True, False, True]
    assert score.runs[0].stated["initial_contact_s"].tolist() == [5.0] * 3
    assert score.runs[0].stated["contact_time_s"].tolist() == [8.0] * 3
    assert score.runs[0].stated["flight_time_s"][0] == 9.0
    assert np.isnan(score.runs[0].stated["flight_time_s"][1:]).all()
    assert score.coverage("flight_time_s") == pytest.approx(1 / 3)
    np.testing.assert_allclose(score.delays_ms("reported_at_s"), [90.0, 80.0, 80.0], atol=1e-9)


def test_a_mean_of_runs_is_one_number_for_each_run() -> None:
    runs = [true_run([1.0, 1.35, 1.7]), true_run([1.0, 1.35])]
    said = [[step(k, t, contact_time_s=0.25) for k, t in enumerate((1.0, 1.35, 1.7))],
            [step(k, t, contact_time_s=0.21) for k, t in enumerate((1.0, 1.35))]]  # fmt: skip
    score = Score(tuple(score_run(run, s, whole(run)) for run, s in zip(runs, said, strict=True)))
    np.testing.assert_allclose(score.trial_means("contact_time_s"), [10.0, -30.0], atol=1e-9)
    assert score.bias("contact_time_s") == pytest.approx((3 * 10.0 - 2 * 30.0) / 5)


def test_what_lies_outside_the_window_is_no_error_of_anybody() -> None:
    run = true_run([1.0, 1.35, 1.7])
    window = Window(np.array([False, True, False]), 1.2, 1.5)
    scored: RunScore = score_run(run, [step(0, 0.7), step(1, 1.35), step(2, 1.9)], window)
    assert (scored.contacts, scored.missed, scored.extra) == (1, 0, 0)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("contact_time_s", ("ms", 1e3)), ("sway_m", ("mm", 1e3)), ("pelvic_drop_deg", ("deg", 1.0)),
     ("cadence_spm", ("spm", 1.0)), ("velocity_gain_mps", ("m/s", 1.0))],
)  # fmt: skip
def test_errors_are_shown_in_the_units_people_read(name: str, shown: tuple[str, float]) -> None:
    assert shown_in(name) == shown


def test_two_thirds_of_normal_errors_lie_within_a_standard_error_that_is_true() -> None:
    rng = np.random.default_rng(1)
    stated = rng.uniform(2.0, 10.0, 20_000)
    error = rng.normal(0.0, stated)
    assert within(error, stated) == pytest.approx(0.683, abs=0.01)
    assert within(error, 2.0 * stated) == pytest.approx(0.954, abs=0.01)
    assert all(within(error[rows], stated[rows]) == pytest.approx(0.683, abs=0.02) for rows in terciles(stated))
    said, found = reliability(error, stated)
    np.testing.assert_allclose(said, found, rtol=0.06)


def test_a_share_of_a_few_steps_is_not_told() -> None:
    assert np.isnan(within(np.ones(10), np.ones(10)))


def test_thirds_of_stated_errors_leave_out_what_states_none() -> None:
    stated = np.array([1.0, 2.0, 3.0, np.nan, 4.0, 5.0, 6.0])
    assert [int(rows.sum()) for rows in terciles(stated)] == [2, 2, 2]
    assert not any(rows[3] for rows in terciles(stated))


def test_a_bound_says_what_is_asked_and_whether_it_is_met() -> None:
    assert Bound("x", -2.0, 2.0, -2.5, float("nan"), "ms").asked == "within 2 ms"
    assert not Bound("x", -2.0, 2.0, -2.5, float("nan")).met
    assert Bound("x", 0.0, 0.0, 0.0, 0.0).met
    assert not Bound("x", -np.inf, 5.0, float("nan"), 0.0).met


def test_numbers_read_well() -> None:
    assert number(-0.04) == "0.0"
    assert number(-0.04, signed=True) == "+0.0"
    assert number(float("nan")) == ""
    assert percent(0.5) == "50.0 %"
    table = Table(("a", "b"), [("x", "1")])
    assert table.markdown() == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert table.as_dicts() == [{"a": "x", "b": "1"}]


# ---------------------------------------------------------------- devices


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write_all(folder)
    return folder


def test_a_device_measures_a_trial_the_same_every_time(published: Path) -> None:
    trial = fukuchi(published)[0]
    one, again, other = (wear(trial, Device(seed=seed, loss_ratio=0.1)).samples for seed in (3, 3, 4))
    assert one.acc_mps2.tobytes() == again.acc_mps2.tobytes()
    assert one.t_s.tobytes() == again.t_s.tobytes()
    assert one.acc_mps2.tobytes() != other.acc_mps2[: len(one.acc_mps2)].tobytes()


def test_a_device_without_faults_hands_on_what_was_there(published: Path) -> None:
    trial = fukuchi(published)[0]
    perfect = Device(
        mount_deg=0.0, still_s=0.0, clock_ppm=0.0, acc_bias_g=0.0, gyro_bias_dps=0.0, scale_ratio=0.0,
        acc_noise_g=0.0, gyro_noise_dps=0.0,
    )  # fmt: skip
    run = wear(trial, perfect)
    np.testing.assert_allclose(
        run.samples.acc_mps2, STANDARD_GRAVITY_MPS2 * trial.acc_g[: len(run.samples.t_s)], atol=0.005
    )
    np.testing.assert_allclose(run.truth.contact_s, trial.truth.contact_s - trial.start_s)


def test_a_device_loses_as_much_as_it_is_told(published: Path) -> None:
    trial = fukuchi(published)[0]
    kept, lost = (len(wear(trial, Device(loss_ratio=r)).samples.t_s) for r in (0.0, 0.1))
    assert 0.05 < 1.0 - lost / kept < 0.15


def test_a_range_is_where_the_device_ends_and_its_portions_say_so(published: Path) -> None:
    samples = wear(fukuchi(published)[1], Device(acc_range_g=2.0)).samples
    assert np.abs(samples.acc_mps2).max() <= 2.0 * STANDARD_GRAVITY_MPS2
    parts = portions(samples, 2.0)
    np.testing.assert_array_equal(np.concatenate([part.t_s for part in parts]), samples.t_s)
    for part in parts:
        tops = np.abs(part.acc_mps2).max(axis=1) > 0.999 * 2.0 * STANDARD_GRAVITY_MPS2
        assert part.clipped == tops.any()
        # a portion of 8 samples says it, neighbours that say the same are joined
        assert not part.clipped or all(tops[i : i + 8].any() for i in range(0, len(tops), 8))
    assert {part.clipped for part in parts} == {True, False}


def test_a_sensor_on_an_arm_feels_the_turning() -> None:
    # 360 deg/s about the vertical, 5 cm out: 2 m/s2 inward; rising by 10 rad/s2: 0.5 m/s2 along the circle
    still, rising = np.full((200, 3), (0.0, 0.0, 360.0)), np.zeros((200, 3))
    rising[:, 2] = np.degrees(10.0 * np.arange(200) / 200.0)
    arm, none = np.array([0.05, 0.0, 0.0]), np.zeros((200, 3))
    inward = at_arm(none, still, arm, 200.0) * STANDARD_GRAVITY_MPS2
    np.testing.assert_allclose(inward[100], (-0.05 * (2 * np.pi) ** 2, 0.0, 0.0), atol=1e-9)
    along = at_arm(none, rising, arm, 200.0) * STANDARD_GRAVITY_MPS2
    np.testing.assert_allclose(along[0], (0.0, 0.5, 0.0), atol=1e-9)


def test_soft_tissue_lets_slow_motion_through_swings_at_its_own_and_swallows_fast() -> None:
    t_s = np.arange(4000) / 200.0
    for hz, low, high in ((1.0, 0.99, 1.03), (12.0, 1.5, 2.5), (40.0, 0.1, 0.4)):
        rows = np.sin(2 * np.pi * hz * t_s)[:, np.newaxis]
        through = through_tissue(rows, 12.0, 0.3, 200.0)[2000:]
        assert low < np.abs(through).max() < high


def test_what_is_cut_out_is_gone(published: Path) -> None:
    run = wear(fukuchi(published)[0], Device())
    cut = without(run, 10.0, 13.0).samples.t_s
    assert not ((cut >= 10.0) & (cut < 13.0)).any()
    assert np.diff(cut).max() == pytest.approx(3.0, abs=0.02)


# ---------------------------------------------------------------- a truth of one's own


def shifted(source: Path, target: Path, offset_s: float, *, ppm: float = 0.0, rows: slice = slice(None)) -> Path:
    """Write a truth with a clock of its own: its times plus ``offset_s`` are those of the recording."""
    with source.open(newline="") as file:
        table = list(csv.DictReader(file))[rows]
    first_s = float(table[0]["initial_contact_s"])
    for row in table:
        for name in ("initial_contact_s", "toe_off_s"):
            time_s = float(row[name])
            row[name] = f"{time_s - offset_s - 1e-6 * ppm * (time_s - first_s):.6f}"
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return target


@pytest.mark.parametrize("offset_s", [0.0, 1234.567, -86_400.25])
def test_the_offset_between_two_clocks_is_found(tmp_path: Path, offset_s: float) -> None:
    truth = shifted(RECORDINGS / "easy.csv", tmp_path / "truth.csv", offset_s)
    pair = compare(RECORDINGS / "easy.mcap", truth)
    assert pair.found
    assert pair.clock.offset_s == pytest.approx(offset_s, abs=0.005)
    assert pair.score.missed <= 8  # what comes before the gate opens
    assert pair.score.extra == 0
    assert pair.warnings() == []


def test_half_a_minute_on_a_force_plate_is_found_within_a_longer_run(tmp_path: Path) -> None:
    truth = shifted(RECORDINGS / "easy.csv", tmp_path / "truth.csv", 500.0, rows=slice(120, 200))
    pair = compare(RECORDINGS / "easy.mcap", truth)
    assert pair.clock.offset_s == pytest.approx(500.0, abs=0.005)
    # nobody looked before and after: what was found there is not extra
    assert (pair.score.contacts, pair.score.missed, pair.score.extra) == (80, 0, 0)


def test_a_clock_that_runs_differently_is_found_too() -> None:
    rng = np.random.default_rng(2)
    contact_s = 100.0 + np.cumsum(rng.normal(0.36, 0.008, 1500))
    toe_off_s = contact_s + rng.normal(0.25, 0.005, 1500)
    true = contact_s + rng.normal(0.0, 0.006, 1500), toe_off_s + rng.normal(0.0, 0.006, 1500)
    away = [7.0 + t - 80e-6 * (t - 100.0) for t in true]
    clock = find_clock(Truth(*away), contact_s, toe_off_s)
    assert clock.drift_ppm == pytest.approx(80.0, abs=5.0)
    np.testing.assert_allclose(clock.shift(away[0]), true[0], atol=0.003)


def test_steps_that_are_all_alike_cannot_tell_the_offset_and_it_is_said(tmp_path: Path, capsys: Capture) -> None:
    contact_s = 20.0 + 0.36 * np.arange(100)
    lines = [f"{t:.4f},{t + 0.25:.4f}" for t in contact_s.tolist()]
    truth = tmp_path / "truth.csv"
    truth.write_text("initial_contact_s,toe_off_s\n" + "\n".join(lines), encoding="utf-8")
    assert call(["validate", str(RECORDINGS / "easy.mcap"), "--truth", str(truth)]) == 0
    assert "another clock offset fits" in capsys.readouterr().err


def test_the_errors_of_a_recording_are_those_that_were_put_into_its_truth(tmp_path: Path, capsys: Capture) -> None:
    with (RECORDINGS / "easy.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for row in table:
        row["contact_time_s"] = f"{float(row['contact_time_s']) - 0.030:.6f}"
        row["pelvic_drop_deg"] = ""
    truth = tmp_path / "truth.csv"
    with truth.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    errors = []
    for path in (RECORDINGS / "easy.csv", truth):
        assert call(["validate", str(RECORDINGS / "easy.mcap"), "--truth", str(path), "--json"]) == 0
        errors.append(json.loads(capsys.readouterr().out)["errors"])
    plain, changed = errors
    # a vertical ratio needs a speed that somebody measured
    assert set(plain) == {"initial_contact_s", "toe_off_s", *METRICS} & set(table[0]) - {"vertical_ratio_percent"}
    assert changed["contact_time_s"]["bias"] == pytest.approx(plain["contact_time_s"]["bias"] + 30.0, abs=0.01)
    assert "pelvic_drop_deg" not in changed
    assert plain["initial_contact_s"]["unit"] == "ms"
    assert plain["initial_contact_s"]["rmse"] < 6.0
    assert plain["contact_time_s"]["n"] > 300


def test_an_offset_that_is_given_is_taken(tmp_path: Path, capsys: Capture) -> None:
    truth = shifted(RECORDINGS / "easy.csv", tmp_path / "truth.csv", 10.0)
    arguments = ["validate", str(RECORDINGS / "easy.mcap"), "--truth", str(truth), "--offset", "10.02", "--json"]
    assert call(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"][0]["clock_offset_s"] == 10.02
    # 20 ms too late are 20 ms of error: nothing was matched away
    assert told["errors"]["initial_contact_s"]["bias"] == pytest.approx(-20.0, abs=3.0)


def test_a_folder_of_recordings_is_compared_pair_by_pair(capsys: Capture) -> None:
    assert [recording.name for recording, _ in pairs_in(RECORDINGS)] == ["easy.mcap", "tempo.mcap"]
    assert call(["validate", str(RECORDINGS)]) == 0
    told = capsys.readouterr().out
    assert "easy.mcap" in told
    assert "tempo.mcap" in told
    assert re.search(r"contact time, ms +\d{3} ", told)


def test_a_recording_with_a_truth_beside_it_is_a_pair(tmp_path: Path) -> None:
    for name in ("one.mcap", "one.truth.csv", "two.csv", "two.truth.csv", "alone.truth.csv", "alone.mcap.txt"):
        (tmp_path / name).touch()
    assert [(a.name, b.name) for a, b in pairs_in(tmp_path)] == [
        ("one.mcap", "one.truth.csv"),
        ("two.csv", "two.truth.csv"),
    ]


def test_sides_in_a_truth_may_be_short_long_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    rows = ["1,1.2,L", "1.4,1.6,right", "1.8,2.0,", "2.2,2.4,Left", "2.6,2.8"]
    path.write_text("\n".join(["initial_contact_s,toe_off_s,side", *rows]), encoding="utf-8")
    assert read_truth(path).sides == (Side.LEFT, Side.RIGHT, Side.UNKNOWN, Side.LEFT, Side.UNKNOWN)


def test_what_follows_from_contacts_need_not_stand_in_a_truth(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    rows = ["1,1.2", "1.4,1.6", "1.8,2.0", "9.0,9.2", "9.4,9.6"]
    path.write_text("\n".join(["initial_contact_s,toe_off_s", *rows]), encoding="utf-8")
    metrics = read_truth(path).metrics
    np.testing.assert_allclose(metrics["contact_time_s"], 0.2)
    np.testing.assert_allclose(metrics["flight_time_s"], [0.2, 0.2, np.nan, 0.2, np.nan])
    np.testing.assert_allclose(metrics["cadence_spm"], [np.nan, 150.0, 150.0, np.nan, 150.0])


HEAD = "initial_contact_s,toe_off_s\n"
FIVE = "1,1.2\n1.4,1.6\n1.8,2.0\n2.2,2.4\n2.6,2.8\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("contact,toe_off_s\n" + FIVE, "no column initial_contact_s"),
        ("initial_contact_s,off\n" + FIVE, "no column toe_off_s"),
        (HEAD + "1,1.2\n", "has 1 contacts"),
        (HEAD + FIVE + "x,3.2\n", "line 7: initial_contact_s is 'x'"),
        (HEAD + FIVE + "inf,3.2\n", "line 7: initial_contact_s is 'inf'"),
        (HEAD + FIVE + "3.0,\n", "line 7: has no toe_off_s"),
        (HEAD + FIVE + "3.0,2.9\n", "line 7: toe-off is not after initial contact"),
        (HEAD + FIVE + "2.5,2.9\n", "line 7: initial_contact_s does not rise"),
        ("initial_contact_s,toe_off_s,toe_off_s\n" + FIVE, "toe_off_s twice"),
        ("side," + HEAD + "up,1,1.2\n" * 5, "does not rise"),
        ("initial_contact_s,toe_off_s,side\n" + FIVE.replace("\n", ",up\n"), "side is 'up'"),
        (HEAD + "".join(f"{100 + 0.31 * k**1.1:.2f},{100.2 + 0.31 * k**1.1:.2f}\n" for k in range(5)), ""),
    ],
)  # fmt: skip
def test_a_truth_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, capsys: Capture, text: str, said: str
) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text, encoding="utf-8")
    code = call(["validate", str(RECORDINGS / "easy.mcap"), "--truth", str(path)])
    told = capsys.readouterr().err
    if not said:  # five contacts fit somewhere by chance: it is said that they fit elsewhere as well
        assert "another clock offset" in told
        return
    assert code == 2
    assert told.startswith("hipdrive: error: ")
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["{empty}"], "holds none of rbds"),
        (["{recording}"], "give its truth with --truth"),
        (["{recording}", "--truth", "nowhere.csv"], "nowhere.csv"),
        (["{data}", "--only", "stepz"], "did you mean steps?"),
        (["{walk}", "--only", "steps"], "lacks rbds"),
        (["{walk}", "--fit"], "no runs in rbds"),
        (["{data}", "--fit", "--only", "steps"], "do not go together"),
        (["{data}", "--offset", "1"], "--offset belongs"),
        (["{recording}", "--truth", "{recording}"], "is no text"),
        (["{recording}", "--truth", "{truth}", "--offset", "9999"], "no contact falls into"),
        (["{broken}"], "cannot be read"),
        (["{other}"], "has no"),
    ],
)
def test_what_cannot_be_validated_is_refused_in_one_line(
    tmp_path: Path, published: Path, capsys: Capture, arguments: list[str], said: str
) -> None:
    for name in ("empty", "walk/walking", "broken/rbds", "other/rbds"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "walk" / "walking" / "1-1.npz").write_bytes((published / "walking" / "1-1.npz").read_bytes())
    (tmp_path / "broken" / "rbds" / "a.npz").write_bytes(b"no archive")
    (tmp_path / "other" / "rbds" / "a.npz").write_bytes((published / "walking" / "1-1.npz").read_bytes())
    places = {
        "empty": tmp_path / "empty", "walk": tmp_path / "walk", "broken": tmp_path / "broken", "data": published,
        "other": tmp_path / "other", "recording": RECORDINGS / "easy.mcap", "truth": RECORDINGS / "easy.csv",
    }  # fmt: skip
    code = call(["validate", *(a.format(**places) for a in arguments)])
    told = capsys.readouterr().err
    errors = [line for line in told.splitlines() if line.startswith("hipdrive: error: ")]
    # a file that cannot be read is one everywhere
    assert code == (3 if arguments[0] in ("{broken}", "{other}") else 2)
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in told


def test_a_missing_library_is_named_with_what_to_install(
    published: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("sensor_host.validation.extra.find_spec", lambda name: None if name == "scipy" else find(name))
    assert call(["validate", str(published), "--only", "steps"]) == 2
    assert "python -m pip install 'hipdrive[validate]'" in capsys.readouterr().err


def test_a_truth_of_ones_own_asks_for_no_library_besides_the_hosts() -> None:
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['matplotlib'] = None; from sensor_host.cli import call; "
        f"sys.exit(call(['validate', {str(RECORDINGS)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "contact time, ms" in done.stdout


# ---------------------------------------------------------------- the tables and the page


def test_simulated_runners_are_measured_as_they_ran(published: Path, capsys: Capture) -> None:
    assert call(["validate", str(published), "--only", "found,steps,slopes,life", "--json"]) == 0
    told = capsys.readouterr()
    tables = json.loads(told.out)
    assert list(tables) == ["found", "steps", "slopes", "life"]
    assert tables["found"][1]["runner left out"].startswith("0, 0, 1.0000")
    # other runners than the simulated ones would be further off: the readers and the truth agree
    assert all(float(row["RMSE"]) < 6.0 for row in tables["steps"])
    assert "walks" in tables["life"][0]["what"]
    assert "has no sisfall/" in told.err


def test_the_page_is_written_from_scratch_and_the_same_every_time(
    published: Path, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert call(["validate", str(published), "--write", str(tmp_path / name / "accuracy.md")]) == 0
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*.*")) for n in ("one", "two")]
    assert files[0] == files[1]
    for file in files[0]:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    page = (tmp_path / "one" / "accuracy.md").read_text(encoding="utf-8")
    assert "{{" not in page
    assert "hipdrive validate DATA --write" in page
    images = {image.partition("accuracy/")[2] for image in re.findall(r"\]\((img/[^)]+)\)", page)}
    assert images == {p.name for p in (tmp_path / "one" / "img" / "accuracy").iterdir()}
    assert capsys.readouterr().out.count("accuracy.md") == 2


def test_every_table_has_a_place_on_the_page() -> None:
    places = re.findall(r"\{\{([a-z ]+)\}\}", TEMPLATE.read_text(encoding="utf-8"))
    assert sorted(places) == sorted({*SECTIONS, "version", "unmet", "uncertainty plot"})


def test_the_page_that_is_shipped_speaks_of_the_algorithm_that_is_shipped() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert f"`{ALGORITHM_VERSION}`" in page, "measure anew: hipdrive validate DATA --write docs/accuracy.md"
    prose = [line for line in TEMPLATE.read_text(encoding="utf-8").splitlines() if line and "{{" not in line]
    assert [line for line in prose if line not in page] == [], "the text has changed: write the page anew"


def test_the_plots_are_small() -> None:
    images = list((ROOT / "docs" / "img" / "accuracy").glob("*.svg"))
    assert len(images) >= 5
    assert {image.name for image in images if image.stat().st_size > 100_000} == set()


def test_tables_fit_a_screen_that_is_wide_enough_for_them() -> None:
    console = Console(width=60)
    with console.capture() as shown:
        console.print(Table(("what", "a", "b"), [("contact time", "1.0", "2.0")]).as_rich("Title"))
    assert "contact time" in shown.get()
    assert max(len(line) for line in shown.get().splitlines()) <= 60


def test_a_run_of_other_length_and_speed_is_read_as_well(tmp_path: Path) -> None:
    write_fukuchi(tmp_path, 9, 4.5, strike="Midfoot", length_s=12.0)
    (trial,) = fukuchi(tmp_path)
    assert (trial.runner, trial.speed_mps, trial.foot_strike) == ("RBDS009", 4.5, "midfoot")
    n = len(trial.truth.contact_s)
    assert len(trial.truth.sides) == n
    assert all(len(values) == n for values in trial.truth.metrics.values())
