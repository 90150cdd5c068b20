"""A session loaded for a notebook: everything in it is where it belongs."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pelvis.data import Activity, ActivityState, Command, HeartRate, Marker, Side, Step
from pelvis.simulate import Scenario, SimulatedBlock
from sensor_host import LoadedSession, load_session
from sensor_host.cli import call
from sensor_host.config import Config, CueRule, CuesConfig, CueTerm
from sensor_host.errors import InputError
from sensor_host.ports import Injected, SessionInfo
from sensor_host.recording.writer import RecordingWriter
from sensor_host.runners import Profile
from sensor_host.runners import encode as encode_profile
from sensor_host.settings import encode as encode_config
from sensor_host.sources.simulated import SimulatedSource
from tests.said_examples import session as session_info

RECORDINGS = Path(__file__).parents[1] / "recordings"
LAPS_S = (15.0, 25.0)


@pytest.fixture(scope="module")
def blocks() -> list[SimulatedBlock]:
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, blocks: list[SimulatedBlock]) -> LoadedSession:
    """Return 110 s of running with two laps, a note, a heart, a coach who wants 300 steps a minute, and one's word."""
    path = tmp_path_factory.mktemp("run") / "run.mcap"
    scenario = Scenario(standing_s=4.0, duration_s=110.0)
    source = SimulatedSource(scenario, 5, paced=False, on_block=blocks.append)
    extras = [
        HeartRate(8.0, 140.0, (0.43,)),
        *(Marker(t_s, "", "lap") for t_s in LAPS_S),
        Marker(18.0, "new shoes", "note"),
        Command(20.0, "say", "tilt"),
    ]
    extras.sort(key=lambda item: item.t_s)
    info = session_info()
    info = SessionInfo(info.session_id, "ada", info.mode, info.start_utc, info.utc_offset_s, source.sensors)
    cadence = CueTerm(metric="cadence_spm", direction="below", threshold=50.0, target=300.0)
    rule = CueRule(name="quick", when=(cadence,), phrase="tilt", dwell_s=2.0)
    cues = CuesConfig(language="de", warm_up_s=10.0, learn_s=5.0, between_s=2.0, same_s=600.0, rules=(rule,))
    with RecordingWriter(
        path,
        info,
        encode_config(Config(cues=cues)),
        encode_profile(Profile(runner="ada")),
        config_type="application/json",
    ) as writer:
        first_host_s = None
        for arrival in source.arrivals():
            first_host_s = arrival.t_host_s if first_host_s is None else first_host_s
            while extras and arrival.t_host_s - first_host_s >= extras[0].t_s:
                writer.write(Injected(extras.pop(0), arrival.t_host_s))
            writer.write(arrival)
    return load_session(path)


def test_what_a_runner_did_is_what_the_table_says() -> None:
    steps = load_session(RECORDINGS / "easy.mcap").steps
    with (RECORDINGS / "easy.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    true_s = np.array([float(row["initial_contact_s"]) for row in truth])
    nearest = np.abs(steps["initial_contact_s"][:, np.newaxis] - true_s).argmin(axis=1)
    assert nearest.tolist() == list(range(nearest[0], nearest[-1] + 1))
    errors_s = steps["contact_time_s"] - [float(truth[i]["contact_time_s"]) for i in nearest]
    assert np.sqrt(np.mean(errors_s[10:] ** 2)) < 0.012
    assert steps["side"][2:].tolist() == [truth[i]["side"] for i in nearest[2:]]


def test_it_is_what_analyze_writes(tmp_path: Path) -> None:
    source, steps, samples = RECORDINGS / "tempo.mcap", tmp_path / "steps.csv", tmp_path / "samples.csv"
    assert call(["analyze", str(source), "--steps", str(steps), "--samples", str(samples)]) == 0
    session = load_session(str(source))
    session.write_steps(tmp_path / "ours.csv")
    assert (tmp_path / "ours.csv").read_bytes() == steps.read_bytes()
    with samples.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(session.motion.t_s)
    for name in ("t_s", "obliquity_deg", "tilt_deg", "rotation_deg"):
        said = np.array([float(row[name] or "nan") for row in rows])
        np.testing.assert_allclose(getattr(session.motion, name), said, atol=1e-4)


def test_the_samples_are_those_of_the_sensor(run: LoadedSession, blocks: list[SimulatedBlock]) -> None:
    true_s = np.concatenate([block.t_s for block in blocks])
    true_mps2 = np.concatenate([block.acc_mps2 for block in blocks])
    true_radps = np.concatenate([block.gyr_radps for block in blocks])
    assert len(run.samples.t_s) == len(true_s)
    # what the board's 16 bits leave
    np.testing.assert_allclose(run.samples.acc_mps2, true_mps2, atol=0.006)
    np.testing.assert_allclose(run.samples.gyr_radps, true_radps, atol=0.002)
    np.testing.assert_allclose(run.samples.t_s, true_s - true_s[0], atol=0.001)


def test_markers_cues_and_the_heart_stand_where_they_came(run: LoadedSession) -> None:
    assert [(marker.kind, marker.text, marker.t_s) for marker in run.markers] == [
        ("lap", "", 15.0), ("note", "new shoes", 18.0), ("lap", "", 25.0)
    ]  # fmt: skip
    assert run.heart_rates == (HeartRate(8.0, 140.0, (0.43,)),)
    said = next(cue for cue in run.cues if cue.rule == "say")
    assert (said.kind, said.words, said.side, said.outcome) == ("phrase", "Lauf groß", Side.UNKNOWN, None)
    assert said.t_s == pytest.approx(20.0, abs=0.1)
    missed = next(cue for cue in run.cues if cue.rule == "quick")
    assert (missed.words, missed.why["metric"]) == ("Lauf groß", "cadence_spm")
    assert missed.t_s > 12.0
    assert missed.outcome is not None
    assert not missed.outcome.corrected
    assert missed.outcome.value_after == pytest.approx(np.nanmedian(run.steps["cadence_spm"]), abs=3.0)
    assert (run.info.runner if run.info else "", run.sensors[0].board) == ("ada", "rimu")
    assert run.links["pelvis"].samples == len(run.samples.t_s)
    assert run.gaps == ()
    assert len(run.all(Step)) == len(run.steps)
    assert repr(run).startswith("<session of ada in run.mcap, 0.0 to 110.0 s:")


def test_a_session_says_the_very_same_when_it_is_played(run: LoadedSession, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    command = ["replay", str(run.path), "--speed", "max", "--broker", "off", "--no-console", "--summary", str(summary)]
    assert call(command) == 0
    played = json.loads(summary.read_text())
    ours = msgspec.to_builtins(run.summary)
    assert len(played["cues"]) == 2
    for name in ("cues", "metrics", "steps", "sides", "activity_s", "heart_rate"):
        assert played[name] == ours[name], name


def test_nobody_is_coached_who_does_not_ask(run: LoadedSession) -> None:
    measured = load_session(run.path, coached=False)
    assert [cue.rule for cue in measured.cues] == ["say"]  # what a person says is said all the same
    assert measured.steps.to_csv() == run.steps.to_csv()


def test_laps_part_a_session_without_a_rest(run: LoadedSession) -> None:
    laps = run.laps
    assert [lap.begin_s for lap in laps] == [run.begin_s, *LAPS_S]
    assert [lap.end_s for lap in laps] == [*LAPS_S, run.end_s]
    for name in ("step_index", "contact_time_s"):
        np.testing.assert_array_equal(np.concatenate([lap.steps[name] for lap in laps]), run.steps[name])
    np.testing.assert_array_equal(np.concatenate([lap.samples.t_s for lap in laps]), run.samples.t_s)
    np.testing.assert_array_equal(np.concatenate([lap.motion.t_s for lap in laps]), run.motion.t_s)
    for lap in laps:
        for t_s in (lap.steps["initial_contact_s"], lap.samples.t_s, lap.motion.t_s):
            assert lap.begin_s <= t_s[0] <= t_s[-1] <= lap.end_s
    assert ["say" in {cue.rule for cue in lap.cues} for lap in laps] == [False, True, False]
    assert sum(len(lap.cues) for lap in laps) == len(run.cues)
    assert sum(cue.outcome is not None for lap in laps for cue in lap.cues) == 1
    assert laps[1].laps[0].steps.to_csv() == laps[1].steps.to_csv()


def test_a_stretch_has_a_summary_of_its_own(run: LoadedSession) -> None:
    stretch = run.between(16.0, 22.0)
    good = stretch.steps[stretch.steps["quality"] >= 0.5]
    assert 10 < len(good) < len(run.steps) / 2
    summary = stretch.summary
    assert summary["duration_s"] == 6.0
    assert summary["activity_s"] == {"running": 6.0}
    contact_time = summary["metrics"]["contact_time_s"]
    assert contact_time["n"] == len(good)
    assert contact_time["mean"] == pytest.approx(good["contact_time_s"].mean(), rel=1e-6)
    assert "Lauf groß" in {cue["words"] for cue in summary["cues"]}
    assert [activity.state for activity in stretch.all(Activity)] == [ActivityState.RUNNING]


def test_a_stretch_without_anything_is_empty(run: LoadedSession) -> None:
    nothing = run.between(1000.0, 2000.0)
    assert (len(nothing.steps), len(nothing.motion.t_s), len(nothing.samples.t_s)) == (0, 0, 0)
    assert nothing.summary["steps"] == 0


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\nnothing", b"a,b\n1,2\n", b"\x00\xff"])
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.mcap"
    path.write_bytes(content)
    with pytest.raises(InputError) as told:
        load_session(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="No such file"):
        load_session(tmp_path / "missing.mcap")


def test_importing_the_packages_alone_loads_nothing_heavy() -> None:
    code = "import sensor_host, pelvis, sys; print(sorted({'numpy', 'msgspec', 'mcap'} & set(sys.modules)))"
    code += "; print('load_session' in dir(sensor_host), 'analyze' in dir(pelvis), hasattr(sensor_host, 'nothing'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True True False"]
