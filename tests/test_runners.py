"""A runner's profile: versions, atomic saves, and what is said of a damaged file."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensor_host import places, runners
from sensor_host.errors import InputError, OutputError
from sensor_host.runners import Calibration, KnownRun, Profile, Usual

SWAY = Usual(metric="sway_m", speed_mps=3.5, median=0.021, sd=0.003, steps=900)


def full() -> Profile:
    return Profile(
        runner="anna",
        mass_kg=61.5,
        height_m=1.72,
        calibrations=(Calibration(kind="speed", measured_utc="2026-01-02T03:04:05Z", values={"speed_mps": 3.5}),),
        runs=(KnownRun(session="a", start_utc="2026-01-02T03:04:05Z", models="harmonic-9", usual=(SWAY,)),),
    )


def test_a_runner_without_a_file_has_an_empty_profile_of_version_zero() -> None:
    assert runners.load("anna") == Profile(runner="anna", version=0)


def test_every_save_is_the_next_version() -> None:
    first = runners.save(full())
    assert first == replace(full(), version=1)
    assert runners.load("anna") == first
    assert runners.save(first).version == 2
    assert runners.load("anna").version == 2


def test_what_is_copied_into_a_recording_is_what_stands_in_the_file() -> None:
    saved = runners.save(full())
    data = places.profile_path("anna").read_bytes()
    assert runners.encode(saved) == data
    assert runners.decode(data, "recording") == saved


def test_a_file_of_the_first_schema_is_read_and_saved_as_one_of_today() -> None:
    path = places.profile_path("anna")
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"schema": 1, "version": 7, "runner": "anna", "mass_kg": 61.5, "height_m": null, "calibrations": [{"kind": '
        '"speed", "measured_utc": "2026-01-02T03:04:05Z", "values": {"speed_mps": 3.5}}], "baselines": [{"metric": '
        '"sway_m", "speed_mps": 3.5, "mean": 0.021, "sd": 0.003, "steps": 900, "runs": 4}], "coached_runs": 3}'
    )
    read = runners.load("anna")
    assert read == replace(full(), height_m=None, runs=(), version=7, coached_runs=3)
    saved = runners.save(read)
    assert (runners.load("anna"), saved.version, saved.schema) == (saved, 8, 2)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = runners.save(full())

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    folder = places.profile_path("anna").parent
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputError, match="No space left") as told:
        runners.save(replace(saved, mass_kg=70.0))
    assert told.value.exit_code == 4
    assert [path.name for path in folder.iterdir()] == ["anna.json"]
    assert runners.decode((folder / "anna.json").read_bytes(), "x") == saved


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"schema": 99, "version": 1, "runner": "anna"}', "update hipdrive"),
        ('{"schema": 1, "runner": "anna", "mass_kg": 600}', "mass_kg"),
        ('{"schema": 1, "runner": "anna", "weight": 60}', "weight"),
        ('{"schema": 1, "runner": "ben"}', "profile of ben"),
        ('{"schema": 1, "runner"', "is no runner's profile"),
        ("[]", "is no runner's profile"),
        ("", "is no runner's profile"),
    ],
)
def test_a_damaged_or_foreign_profile_is_refused_in_one_line_that_names_the_file(text: str, says: str) -> None:
    path = places.profile_path("anna")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=says) as told:
        runners.load("anna")
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
