"""``hipdrive calibrate``: each reference against a runner whose truth is known, what is refused, and where it shows."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from core_run import only, run, simulated
from fit_writer import fit_file

from pelvis.coefficients import SHIPPED
from pelvis.data import RunBaseline, Side, Step
from pelvis.simulate import Scenario, TrueContact
from sensor_host import runners
from sensor_host.baselines import learn
from sensor_host.calibration import calibrations_in_use, personal_of
from sensor_host.cli import call
from sensor_host.errors import ConfigError, InputError
from sensor_host.fit_file import read_track
from sensor_host.recording.reader import read
from sensor_host.reference import (
    Measured,
    Reference,
    TrueContacts,
    check_count,
    film,
    match_contacts,
    speed_point,
)
from sensor_host.runners import Calibration, Profile
from sensor_host.track import match_track

PLATE = Reference("force plate or insole", "contacts.csv", ConfigError)
WATCH = Reference("a watch", "run.fit", InputError, 0.015)
# what the reference sees more of each contact, besides what hipdrive errs
MORE_S = 0.010


@pytest.fixture(scope="module")
def truth() -> list[TrueContact]:
    return _simulated()[1]


@pytest.fixture(scope="module")
def measured() -> Measured:
    return _simulated()[0]


_kept: list[tuple[Measured, list[TrueContact]]] = []


def _simulated() -> tuple[Measured, list[TrueContact]]:
    if not _kept:
        samples, contacts = simulated(Scenario(standing_s=6.0, duration_s=130.0, speed_mps=3.2), 5)
        steps = tuple(only(Step, run(samples)))
        _kept.append((Measured(steps, float(samples.t_s[0]), float(samples.t_s[-1]), 1_700_000_000.0), contacts))
    return _kept[0]


def plate_of(contacts: list[TrueContact], clock_s: float = 0.0) -> TrueContacts:
    return TrueContacts(
        np.array([c.initial_contact_s + clock_s for c in contacts]),
        np.array([c.toe_off_s + clock_s + MORE_S for c in contacts]),
    )


def own_error_s(measured: Measured, contacts: list[TrueContact]) -> float:
    """What the measurement lacks of the true contact time, on average."""
    return float(np.mean([c.contact_time_s for c in contacts])) - float(np.mean(measured.column("contact_time_s")))


# ---------------------------------------------------------------- a force plate


@pytest.mark.parametrize("clock_s", [0.0, 4711.25, -63.4])
def test_a_plate_s_clock_and_the_offset_are_found(measured: Measured, truth: list[TrueContact], clock_s: float) -> None:
    found = match_contacts(measured, plate_of(truth, clock_s), PLATE)
    # the clock: -clock_s, to the measurement's own error of initial contact
    assert float(found.notes[0].split()[3]) == pytest.approx(-clock_s, abs=0.02)
    assert found.values["contact_time_offset_s"] == pytest.approx(own_error_s(measured, truth) + MORE_S, abs=0.002)
    assert 0.001 <= found.values["standard_error_s"] < 0.003
    assert found.steps > 250


def test_a_plate_that_saw_a_part_is_enough_and_one_that_saw_another_run_is_refused(
    measured: Measured, truth: list[TrueContact]
) -> None:
    part = plate_of(truth[100:160], 12.0)
    found = match_contacts(measured, part, PLATE)
    assert 50 <= found.steps <= 60
    assert found.values["contact_time_offset_s"] == pytest.approx(own_error_s(measured, truth) + MORE_S, abs=0.003)
    rng = np.random.default_rng(1)
    other = np.cumsum(rng.normal(0.30, 0.04, 200))
    with pytest.raises(ConfigError, match="same run"):
        match_contacts(measured, TrueContacts(other, other + 0.2), PLATE)
    with pytest.raises(ConfigError, match="at least 30"):
        match_contacts(measured, plate_of(truth[:20]), PLATE)


def test_an_offset_no_runner_has_is_refused(measured: Measured, truth: list[TrueContact]) -> None:
    plate = plate_of(truth)
    with pytest.raises(ConfigError, match=r"\+5\d ms, more than the 40 ms"):
        match_contacts(measured, TrueContacts(plate.contact_s, plate.toe_off_s + 0.045), PLATE)


# ---------------------------------------------------------------- film, count, belt


def test_a_film_s_frames_give_the_offset_with_an_honest_error(measured: Measured, truth: list[TrueContact]) -> None:
    left = [c for c in truth[20:80] if c.side is Side.LEFT][:20]
    rng = np.random.default_rng(2)
    # a frame shows the foot on the ground or does not
    frames = [math.floor((c.contact_time_s + MORE_S) * 240.0 + rng.uniform()) for c in left]
    found = film(measured, frames, 240.0, Side.LEFT, WATCH)
    error_s = found.values["contact_time_offset_s"] - own_error_s(measured, truth) - MORE_S
    assert abs(error_s) < 2.5 * found.values["standard_error_s"]
    assert found.values["definition_sd_s"] == 0.015
    assert 0.0005 < found.values["standard_error_s"] < 0.004


@pytest.mark.parametrize(
    ("frames", "rate_hz", "says"),
    [
        ([58, 60], 240.0, "at least 3"),
        ([58, 60, 57], 480.0, "more than the 40 ms"),
        ([40, 60, 75], 240.0, "standard error"),
    ],
)
def test_a_film_that_tells_nothing_is_refused(
    measured: Measured, frames: list[float], rate_hz: float, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        film(measured, frames, rate_hz, Side.UNKNOWN, WATCH)


@pytest.mark.parametrize(
    ("counted_more", "says"),
    [(0, "they agree"), (1, "they agree"), (-1, "they agree"), (6, "count is suspect"), (-6, "count is suspect")],
)
def test_a_count_agrees_within_one_or_is_suspect(
    measured: Measured, truth: list[TrueContact], counted_more: int, says: str
) -> None:
    true = sum(30.0 <= c.initial_contact_s < 90.0 for c in truth)
    (told,) = check_count(measured, true + counted_more, 30.0, 60.0).notes
    assert says in told


def test_half_a_count_is_that_of_one_foot(measured: Measured, truth: list[TrueContact]) -> None:
    true = sum(30.0 <= c.initial_contact_s < 90.0 for c in truth)
    assert "one foot" in check_count(measured, true // 2, 30.0, 60.0).notes[0]


def test_missed_and_doubled_contacts_make_the_measurement_suspect_and_say_where(
    measured: Measured, truth: list[TrueContact]
) -> None:
    true = sum(30.0 <= c.initial_contact_s < 90.0 for c in truth)
    steps = [s for s in measured.steps if not 50.0 < s.initial_contact_s < 51.8]
    (missed,) = check_count(replace(measured, steps=tuple(steps)), true, 30.0, 60.0).notes
    assert "holes of 5 contacts" in missed
    assert "(behind 50 s)" in missed or "(behind 49 s)" in missed
    doubled: list[Step] = []
    for s in measured.steps:
        doubled.append(s)
        if 50.0 < s.initial_contact_s < 51.0:
            doubled.append(replace(s, initial_contact_s=s.initial_contact_s + 0.1))
    (told,) = check_count(replace(measured, steps=tuple(doubled)), true, 30.0, 60.0).notes
    assert "too many" in told


def test_a_belt_s_speed_that_cannot_be_is_refused(measured: Measured) -> None:
    assert speed_point(measured, 3.2, WATCH).values["speed_mps"] == 3.2
    with pytest.raises(InputError, match="does not fit"):
        speed_point(measured, 5.4, WATCH)
    with pytest.raises(InputError, match="at least 30"):
        speed_point(measured.between(20.0, 25.0), 3.2, WATCH)


# ---------------------------------------------------------------- a watch


def watch_records(
    contacts: list[TrueContact], start_utc_s: float, seconds: int, **changes: Callable[[float], float | None]
) -> list[dict[str, float | None]]:
    """What a watch would write: means over the last three seconds, nothing of contact while its wearer stands."""
    at_s = np.array([c.initial_contact_s for c in contacts])
    records: list[dict[str, float | None]] = []
    for second in range(seconds):
        near = np.flatnonzero((at_s > second - 3.0) & (at_s <= second))
        record: dict[str, float | None] = {"timestamp": start_utc_s + second, "cadence": 0, "stance_time": None}
        record |= {"enhanced_speed": 0.0, "fractional_cadence": 0.0}
        if len(near) >= 2:
            strides = 30.0 * (len(near) - 1) / float(at_s[near[-1]] - at_s[near[0]])
            stance_s = float(np.mean([contacts[k].contact_time_s for k in near])) + MORE_S
            record |= {"cadence": math.floor(strides), "fractional_cadence": strides % 1.0}
            record |= {"stance_time": 1000.0 * stance_s, "enhanced_speed": 3.2}
        for name, change in changes.items():
            record[name] = change(float(second))
        records.append(record)
    return records


def write_fit(path: Path, records: list[dict[str, float | None]]) -> Path:
    path.write_bytes(fit_file(records))
    return path


@pytest.mark.parametrize("ahead_s", [0, 45, -30])
@pytest.mark.parametrize("clocked", [True, False])
def test_a_watch_is_laid_on_the_run_by_clock_or_cadence(
    measured: Measured, truth: list[TrueContact], tmp_path: Path, ahead_s: int, clocked: bool
) -> None:
    session = measured if clocked else replace(measured, start_utc_s=None)
    path = write_fit(tmp_path / "run.fit", watch_records(truth, 1_700_000_000.0 + ahead_s, 140))
    track = read_track(path)
    assert track.name.startswith("garmin")
    contact, speed = match_track(session, track, WATCH)
    assert contact.values["contact_time_offset_s"] == pytest.approx(own_error_s(measured, truth) + MORE_S, abs=0.002)
    assert contact.values["standard_error_s"] < 0.003
    assert contact.steps > 200
    assert speed.values["speed_mps"] == pytest.approx(3.2, abs=0.01)


def test_a_watch_s_odd_seconds_do_not_count(measured: Measured, truth: list[TrueContact], tmp_path: Path) -> None:
    records = watch_records(truth, 1_700_000_000.0, 140)
    for record in records[40:80:2]:
        record["stance_time"] = 400.0
    for record in records[90:95]:
        record["cadence"] = 60
    contact, _ = match_track(measured, read_track(write_fit(tmp_path / "run.fit", records)), WATCH)
    assert contact.values["contact_time_offset_s"] == pytest.approx(own_error_s(measured, truth) + MORE_S, abs=0.003)


def test_another_run_s_watch_is_refused(measured: Measured, truth: list[TrueContact], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    # somebody who walks and runs by turns
    paces = np.repeat(rng.integers(50, 95, 30), 8)
    other = write_fit(
        tmp_path / "other.fit",
        watch_records(truth, 1_700_000_000.0, 140, cadence=lambda second: float(paces[int(second)])),
    )
    with pytest.raises(InputError, match="same run"):
        match_track(measured, read_track(other), WATCH)


def test_a_watch_without_contact_time_or_speed_has_nothing_to_give(
    measured: Measured, truth: list[TrueContact], tmp_path: Path
) -> None:
    bare = watch_records(truth, 1_700_000_000.0, 140, stance_time=lambda _: None, enhanced_speed=lambda _: None)
    with pytest.raises(InputError, match="neither contact time"):
        match_track(measured, read_track(write_fit(tmp_path / "bare.fit", bare)), WATCH)


def test_a_run_at_two_paces_gives_an_offset_and_a_speed_for_each(tmp_path: Path) -> None:
    steps: list[Step] = []
    contacts: list[TrueContact] = []
    # one run after the other, as if the belt had been changed in no time
    for after_s, speed_mps in ((0.0, 2.6), (105.0, 4.0)):
        samples, true = simulated(Scenario(standing_s=5.0, duration_s=105.0, speed_mps=speed_mps), 7)
        found_steps = only(Step, run(samples))
        steps += [replace(s, initial_contact_s=s.initial_contact_s + after_s) for s in found_steps]
        contacts += [replace(c, initial_contact_s=c.initial_contact_s + after_s) for c in true]
    session = Measured(tuple(steps), 0.0, 210.0)
    records = watch_records(contacts, 0.0, 215, enhanced_speed=lambda s: 0.0 if s < 6.0 else 2.6 if s < 107.0 else 4.0)
    for record in records:
        record["timestamp"] = float(record["timestamp"] or 0.0) + 1_700_000_000.0
    found = match_track(session, read_track(write_fit(tmp_path / "run.fit", records)), WATCH)
    speeds = [one.values["speed_mps"] for one in found if one.kind == "speed"]
    contact_s = [one.values["contact_time_s"] for one in found if one.kind == "contact_time"]
    assert speeds == pytest.approx([2.6, 4.0], abs=0.1)
    assert len(contact_s) >= 2
    assert max(contact_s) - min(contact_s) > 0.03


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "no records"), (b"\x89MCAP0\r\n" * 9, "no FIT file"), (fit_file([]), "no records")],
)
def test_what_is_no_fit_file_of_a_run_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.fit"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as told:
        read_track(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_damaged_fit_file_and_one_without_cadence_are_refused(truth: list[TrueContact], tmp_path: Path) -> None:
    whole = fit_file(watch_records(truth, 1_700_000_000.0, 100))
    (tmp_path / "cut.fit").write_bytes(whole[:600])
    with pytest.raises(InputError, match="damaged"):
        read_track(tmp_path / "cut.fit")
    silent = watch_records(truth, 1_700_000_000.0, 100, cadence=lambda _: None)
    with pytest.raises(InputError, match="no cadence"):
        read_track(write_fit(tmp_path / "silent.fit", silent))
    with pytest.raises(InputError, match="No such file"):
        read_track(tmp_path / "nowhere.fit")


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fitdecode", None)
    with pytest.raises(ConfigError, match=r"hipdrive\[fit\]"):
        read_track(tmp_path / "run.fit")


# ---------------------------------------------------------------- which calibrations count


def contact(offset_s: float, reference: str, *, at_s: float = 0.24, models: str = SHIPPED.version) -> Calibration:
    values = {"contact_time_offset_s": offset_s, "standard_error_s": 0.001, "contact_time_s": at_s}
    return Calibration(
        kind="contact_time",
        measured_utc="2026-01-02T03:04:05Z",
        values=values | {"definition_sd_s": 0.0},
        reference=reference,
        models=models,
        steps=100,
    )


def test_two_references_are_never_mixed_and_the_last_one_counts() -> None:
    profile = Profile(
        calibrations=(contact(0.02, "a film"), contact(0.005, "plate"), contact(-0.01, "plate", at_s=0.2))
    )
    personal = personal_of(profile)
    assert personal.contact_time_reference == "plate"
    assert [point.offset_s for point in personal.contact_points] == [0.005, -0.01]
    assert [told["number"] for told in calibrations_in_use(profile)] == [2, 3]


def test_a_calibration_of_other_event_models_is_left_aside_and_that_is_said() -> None:
    profile = Profile(calibrations=(contact(0.005, "plate", models="harmonic-0"),))
    assert personal_of(profile).contact_points == ()
    (told,) = calibrations_in_use(profile)
    assert told["in_use"] is False
    assert "calibrate again" in str(told["text"])


def test_a_baseline_moves_with_the_calibration() -> None:
    from sensor_host.config import Config, RunnerConfig
    from sensor_host.settings import core_settings

    usual = {"contact_time_s": 0.24, "flight_time_s": 0.12, "peak_force_ratio": 0.5 * math.pi * 1.5, "sway_m": 0.02}
    said = [RunBaseline(name, Side.UNKNOWN, 3.0, median, 0.01, 900) for name, median in usual.items()]
    profile = learn(Profile(calibrations=(contact(0.010, "plate"),)), "a", "2026-01-02T03:04:05Z", said)
    moved = core_settings(Config(), profile, motion=False).cues
    bare = core_settings(Config(runner=RunnerConfig(calibrated=False)), profile, motion=False)
    assert moved is not None
    assert bare.cues is not None
    contact_s, flight_s, peak, sway_m = [b.mean for b in moved.baselines]
    assert [contact_s, flight_s, sway_m] == pytest.approx([0.25, 0.11, 0.02], abs=0.0003)
    # the definition: pi/2 (flight time / contact time + 1)
    assert peak == pytest.approx(0.5 * math.pi * (flight_s / contact_s + 1.0), rel=1e-9)
    assert [b.mean for b in bare.cues.baselines] == list(usual.values())
    assert bare.personal.contact_points == ()


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a simulated runner with its truth and samples beside it."""
    folder = tmp_path_factory.mktemp("session")
    command = ["simulate", "-o", str(folder / "run.mcap"), "--minutes", "1.6", "--truth", str(folder / "truth.csv")]
    assert call([*command, "--csv", str(folder / "run.csv"), "--seed", "5", "--runner", "anna"]) == 0
    return folder / "run.mcap"


def steps_of(*arguments: str, folder: Path) -> list[dict[str, str]]:
    table = folder / "steps.csv"
    assert call(["analyze", *arguments, "--steps", str(table)]) == 0
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def calibrate(session: Path, *arguments: str) -> int:
    return call(["calibrate", str(session), *arguments])


def test_what_is_kept_shows_in_every_step_and_summary_and_can_be_left_aside_and_undone(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = steps_of(str(session), folder=tmp_path)
    truth = str(session.with_name("truth.csv"))
    assert calibrate(session, "--truth", truth, "--speed", "3.2@20-90") == 0
    said = capsys.readouterr().out
    assert "force plate or insole" in said
    assert "kept as calibration 1 of anna" in said
    assert runners.load("anna").version == 1
    assert call(["analyze", str(session), "--runner", "anna", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["in_use"]) for one in summary["calibrations"]] == [
        ("contact_time", True),
        ("speed", True),
    ]
    assert summary["speed_sources"]["model"] > 200
    now = steps_of(str(session), "--runner", "anna", folder=tmp_path)
    for before, after in zip(bare, now, strict=True):
        assert after["contact_time_reference"] == "force plate or insole"
        assert before["contact_time_reference"] == ""
        raw_s = float(after["contact_time_s"]) - float(after["contact_time_offset_s"])
        assert raw_s == pytest.approx(float(before["contact_time_s"]), abs=2e-6)
    offset_s = float(now[100]["contact_time_offset_s"])
    assert offset_s != 0.0
    # the recording knows nothing of what was learned from it later
    assert [row["contact_time_offset_s"] for row in steps_of(str(session), folder=tmp_path)][100] == "0.000000"
    aside = steps_of(str(session), "--runner", "anna", "--no-calibration", folder=tmp_path)
    assert aside == bare
    capsys.readouterr()
    assert call(["analyze", str(session), "--runner", "anna", "--no-calibration"]) == 0
    assert capsys.readouterr().out.count("NOT in use: left aside") == 2
    assert call(["calibrate", "--runner", "anna", "--remove", "1"]) == 0
    assert [one.kind for one in runners.load("anna").calibrations] == ["speed"]
    capsys.readouterr()
    assert call(["calibrate", "--runner", "anna", "--list", "--json"]) == 0
    (only_one,) = json.loads(capsys.readouterr().out)
    assert (only_one["number"], only_one["kind"], only_one["in_use"]) == (1, "speed", True)


def test_a_replay_says_what_the_run_said_with_the_profile_it_had(session: Path, tmp_path: Path) -> None:
    """A recording made with a calibrated profile is measured with it wherever the profile has gone."""
    from sensor_host.recording.writer import RecordingWriter

    profile = Profile(runner="anna", version=3, calibrations=(contact(0.008, "plate"),))
    recording = read(session)
    target = tmp_path / "calibrated.mcap"
    writer = RecordingWriter(
        target,
        recording.session,
        recording.config,
        runners.encode(profile),
        config_type="application/json",
        profile_type="application/json",
    )
    with writer:
        for arrival in recording.arrivals():
            writer.write(arrival)
    rows = steps_of(str(target), folder=tmp_path)
    assert {row["contact_time_reference"] for row in rows} == {"plate"}
    assert 0.006 < float(rows[50]["contact_time_offset_s"]) < 0.0081


def test_a_dry_run_keeps_nothing(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(session, "--truth", str(session.with_name("truth.csv")), "--dry-run") == 0
    assert "nothing was kept" in capsys.readouterr().out
    assert runners.load("anna") == Profile(runner="anna", version=0)


def test_a_watch_calibrates_a_recording_and_a_csv_file(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with session.with_name("truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("initial_contact_s", "contact_time_s")
    blank = _simulated()[1][0]
    contacts = [replace(blank, **{name: float(row[name]) for name in names}) for row in rows]
    start_s = datetime.fromisoformat(read(session).session.start_utc).timestamp()
    fit = write_fit(tmp_path / "run.fit", watch_records(contacts, start_s + 20.0, 96))
    for source in (session, session.with_name("run.csv")):
        assert calibrate(source, "--runner", "ben", "--fit", str(fit), "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["saved"] is True
        assert [one["kind"] for one in told["found"]] == ["contact_time", "speed"]
        assert told["contact_time_s"]["calibrated"] - told["contact_time_s"]["measured"] == pytest.approx(
            0.01, abs=0.004
        )
    assert len(runners.load("ben").calibrations) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "which run"),
        (["RUN"], 2, "which reference"),
        (["RUN", "--count", "160"], 2, "needs --from and --for"),
        (["RUN", "--contact-frames", "58,60,57"], 2, "belong together"),
        (["RUN", "--fps", "240", "--speed", "3.2"], 2, "belong together"),
        (["RUN", "--contact-frames", "58,long,57", "--fps", "240"], 2, "58,60,57"),
        (["RUN", "--contact-frames", "28,30,29", "--fps", "240"], 2, "more than the 40 ms"),
        (["RUN", "--side", "left", "--speed", "3.2"], 2, "belongs to --contact-frames"),
        (["RUN", "--speed", "12"], 2, "no running speed"),
        (["RUN", "--speed", "fast"], 2, "write m/s"),
        (["RUN", "--speed", "3.2@90-60"], 2, "must lie behind"),
        (["RUN", "--speed", "3.2", "--speed", "3.5@20-60"], 2, "same time"),
        (["RUN", "--speed", "3.2@10-15"], 2, "at least 30"),
        (["RUN", "--speed", "6.0"], 2, "does not fit"),
        (["RUN", "--truth", "RUN"], 3, "no CSV file"),
        (["RUN", "--truth", "NOWHERE.csv"], 3, "No such file"),
        (["RUN", "--fit", "RUN"], 3, "no FIT file"),
        (["NOWHERE.mcap", "--speed", "3.2"], 3, "No such file"),
        (["CSV", "--speed", "3.2"], 2, "--runner NAME"),
        (["RUN", "--speed", "3.2", "--runner", "An Na"], 2, "lower-case"),
        (["--list"], 2, "--runner NAME"),
        (["RUN", "--list"], 2, "take no INPUT"),
        (["--runner", "anna", "--remove", "3"], 2, "has 0 calibrations"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_do(
    arguments: list[str], code: int, says: str, session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(session), "CSV": str(session.with_name("run.csv"))}
    assert call(["calibrate", *(places.get(word, word) for word in arguments)]) == code
    told = capsys.readouterr().err
    assert told.startswith("hipdrive: error: ")
    assert told.count("\n") == 1
    assert says in told
    assert runners.load("anna").version == 0


def test_a_table_of_contacts_that_is_none_is_refused_with_its_line(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "contacts.csv"
    for text, says in (
        ("time_s,force_N\n1,2\n", "no column initial_contact_s"),
        ("initial_contact_s,toe_off_s\n1.0,1.2\n2.0,soon\n", "line 3: 'soon' is not a number"),
        ("", "no column initial_contact_s"),
    ):
        table.write_text(text)
        assert calibrate(session, "--truth", str(table)) == 3
        told = capsys.readouterr().err
        assert says in told
        assert told.count("\n") == 1


def test_standing_is_nothing_to_calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = tmp_path / "still.csv"
    rows = [f"{k / 200:.3f},0,0,1,0,0,0" for k in range(2000)]
    still.write_text("t_s,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps\n" + "\n".join(rows) + "\n")
    assert calibrate(still, "--speed", "3.2", "--runner", "anna") == 2
    assert "no running" in capsys.readouterr().err


def test_analyze_for_a_runner_without_a_profile_says_how_to_make_one(
    session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["analyze", str(session), "--runner", "nobody"]) == 2
    assert "hipdrive calibrate" in capsys.readouterr().err
