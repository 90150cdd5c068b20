"""``hipdrive runner``; simulated runs that go the whole way to a baseline: sensor bytes, session, recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from statistics import median

import pytest
from msgspec.structs import replace

from pelvis.data import Side, Speed
from pelvis.simulate import Drift, Scenario, SimulatedBlock, TrueContact
from sensor_host import places, runners
from sensor_host.baselines import baselines_of
from sensor_host.cli import call
from sensor_host.commands.options import SessionOptions
from sensor_host.commands.running import Plan, conduct
from sensor_host.config import Config, CuesConfig, MqttConfig, RecordingConfig, RunnerConfig
from sensor_host.ports import Arrival, Injected, Mode
from sensor_host.sources.simulated import SimulatedSource

Capture = pytest.CaptureFixture[str]

RUN_S = 105.0
# short runs: 5 s of warm-up stand for 8 min, the rest is as always
CUES = CuesConfig(warm_up_s=5.0)
UNEVEN = Scenario(speed_mps=3.0, standing_s=4.0, duration_s=RUN_S, drop_left_deg=3.4, drop_right_deg=2.0)


class Worn(SimulatedSource):
    """The simulated runner's sensor, as if it were a real one, on a treadmill whose speed was entered."""

    mode = Mode.LIVE

    def arrivals(self) -> Iterator[Arrival]:
        yield Injected(Speed(0.0, 3.0, "treadmill"), 0.0)
        yield from super().arrivals()


@dataclass(frozen=True, slots=True)
class Runs:
    """Recordings of a runner's runs, the profile they left, and all true contacts."""

    recordings: tuple[Path, ...]
    profile: bytes
    contacts: tuple[TrueContact, ...]


def run(folder: Path, scenario: Scenario, seed: int, contacts: list[TrueContact] | None = None) -> None:
    """Let Anna run."""

    def keep(block: SimulatedBlock) -> None:
        if contacts is not None:
            contacts.extend(block.contacts)

    config = Config(
        runner=RunnerConfig(name="anna"),
        mqtt=MqttConfig(broker="off"),
        recording=RecordingConfig(directory=str(folder)),
        cues=CUES,
    )
    plan = Plan(
        config=config,
        profile=runners.load("anna"),
        record=True,
        paced=False,
        guide=False,
        shared=SessionOptions(no_sound=True, no_console=True, summary=folder / "summary.json"),
    )
    conduct(Worn(scenario, seed, paced=False, on_block=keep), plan)


def summary(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads((folder / "summary.json").read_text())
    return told


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Four runs of Anna's, in a home of their own."""
    folder = tmp_path_factory.mktemp("runs")
    contacts: list[TrueContact] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME", "APPDATA", "USERPROFILE"):
            patch.setenv(name, str(folder / "home"))
        for seed in range(1, 5):
            run(folder, UNEVEN, seed, contacts)
        profile = places.profile_path("anna").read_bytes()
    return Runs(tuple(sorted(folder.glob("*.mcap"))), profile, tuple(contacts))


@pytest.fixture
def anna(runs: Runs) -> Runs:
    """The same in this test's home."""
    places.replace_file(places.profile_path("anna"), runs.profile)
    return runs


# ---------------------------------------------------------------- the whole way


@pytest.mark.parametrize(
    ("metric", "side", "within"),
    [
        # contacts err by a few milliseconds to either side: a median of cadence hardly at all
        ("cadence_spm", Side.UNKNOWN, 0.5),
        # what single steps are off by against an optical pelvis: 0.32 deg, 3.2 mm, 8.8 ms (docs/accuracy.md)
        ("pelvic_drop_deg", Side.LEFT, 0.32),
        ("pelvic_drop_deg", Side.RIGHT, 0.32),
        ("pelvis_sway_m", Side.UNKNOWN, 0.0032),
        ("contact_time_s", Side.UNKNOWN, 0.0088),
    ],
)
def test_four_runs_make_a_baseline_of_what_the_runner_truly_does(
    anna: Runs, metric: str, side: Side, within: float
) -> None:
    (one,) = [one for one in baselines_of(runners.load("anna")) if (one.metric, one.side) == (metric, side)]
    true = [getattr(c, metric) for c in anna.contacts if side in (Side.UNKNOWN, c.side)]
    assert one.mean == pytest.approx(median(value for value in true if value == value), abs=within)
    assert (one.speed_mps, one.runs) == (3.0, 4)


def test_the_fifth_run_is_coached_from_the_profile_and_its_fault_stays_out_of_it(anna: Runs, tmp_path: Path) -> None:
    before = {(one.metric, one.side): one for one in baselines_of(runners.load("anna"))}
    # the sway comes within 2 s and is never put right
    fault = changed(UNEVEN, drifts=(Drift(start_s=55.0, end_s=57.0, pelvis_sway_m=0.02),))
    run(tmp_path, fault, 7)
    told = summary(tmp_path)
    cues = told["cues"]
    assert isinstance(cues, list)
    assert [(cue["rule"], cue["why"]["baseline_source"]) for cue in cues] == [("sway", "profile")]
    # the rule's dwell is 20 s
    assert 55.0 + 20.0 < cues[0]["t_s"] <= 57.0 + 20.0 + 15.0
    after = {(one.metric, one.side): one for one in baselines_of(runners.load("anna"))}
    sway = "pelvis_sway_m", Side.UNKNOWN
    assert after[sway] == before[sway]
    assert after["pelvic_drop_deg", Side.LEFT].runs == 5
    (own,) = [one for one in told["baselines"] if one["metric"] == "pelvis_sway_m"]  # type: ignore[attr-defined]
    assert (own["baseline_source"], own["baseline_runs"]) == ("profile", 4)
    assert own["left_out_steps"] > 100
    others = {metric for metric, _ in before} - {"pelvis_sway_m"}
    assert f"this run adds {len(others)} metrics at 3.00 m/s" in str(told["profile"])


def test_a_replay_with_the_profile_of_today_holds_no_run_against_itself(anna: Runs, tmp_path: Path) -> None:
    out = tmp_path / "summary.json"
    quiet = ["--speed", "max", "--broker", "off", "--no-console", "--summary", str(out)]

    def compared_with(*options: str) -> set[tuple[str, int]]:
        assert call(["replay", str(anna.recordings[0]), *quiet, *options]) == 0
        return {(one["baseline_source"], one["baseline_runs"]) for one in json.loads(out.read_text())["baselines"]}

    assert compared_with("--runner", "anna") == {("", 0)}
    assert compared_with("--runner", "anna", "--set", "cues.min_runs=3") == {("profile", 3)}
    # the recording's own profile was empty
    assert compared_with("--set", "cues.min_runs=1") == {("", 0)}


def test_a_demonstration_is_not_held_against_the_runner(anna: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def keep(source: object, plan: Plan) -> None:
        assert source is not None
        plans.append(plan)

    monkeypatch.setattr("sensor_host.commands.running.conduct", keep)
    assert call(["demo", "--runner", "anna", "--for", "1s"]) == 0
    assert plans[0].profile == replace(runners.load("anna"), runs=())
    assert anna.profile == places.profile_path("anna").read_bytes()


# ---------------------------------------------------------------- learn


def test_learning_a_run_from_its_recording_finds_what_the_run_said_to_the_bit(anna: Runs, capsys: Capture) -> None:
    assert call(["runner", "learn", *map(str, anna.recordings)]) == 0
    assert capsys.readouterr().out.count("anna is known to be so already") == 4
    assert places.profile_path("anna").read_bytes() == anna.profile
    before = runners.load("anna")
    assert call(["runner", "forget", "anna", "--baselines"]) == 0
    assert runners.load("anna").runs == ()
    capsys.readouterr()
    # in whatever order
    assert call(["runner", "learn", "--json", *map(str, reversed(anna.recordings))]) == 0
    assert [one["learned"] for one in json.loads(capsys.readouterr().out)] == [True] * 4
    assert runners.load("anna").runs == before.runs


def test_a_dry_run_says_what_would_be_learned_and_keeps_nothing(anna: Runs, capsys: Capture) -> None:
    recording = str(anna.recordings[0])
    assert call(["runner", "learn", recording, "--runner", "ben", "--dry-run"]) == 0
    told = capsys.readouterr().out
    metrics = {one.metric for one in runners.load("anna").runs[0].usual}
    assert f"ben; this run adds {len(metrics)} metrics at 3.00 m/s" in told
    assert "nothing was kept" in told
    assert not places.profile_path("ben").exists()
    assert call(["runner", "learn", recording, "--runner", "ben"]) == 0
    assert [one.session for one in runners.load("ben").runs] == [runners.load("anna").runs[0].session]


def test_a_run_learned_by_other_rules_takes_the_place_of_what_was_known_of_it(anna: Runs, capsys: Capture) -> None:
    recording = str(anna.recordings[0])
    assert call(["runner", "learn", recording, "--set", "cues.warm_up_s=500"]) == 0
    assert "adds nothing" in capsys.readouterr().out
    assert len(runners.load("anna").runs) == 3


def test_what_is_nobodys_run_is_left_out_and_a_damaged_file_costs_none_of_the_others(
    anna: Runs, tmp_path: Path, capsys: Capture
) -> None:
    simulated = str(Path(__file__).parents[1] / "recordings" / "easy.mcap")
    assert call(["runner", "learn", simulated]) == 0
    assert "left out: a simulated session is nobody's run" in capsys.readouterr().out
    assert not places.profile_path("runner").exists()
    damaged = tmp_path / "damaged.mcap"
    damaged.write_bytes(anna.recordings[0].read_bytes()[:40])
    table = tmp_path / "run.csv"
    table.write_text("t_s,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps\n")
    good = str(anna.recordings[0])
    assert call(["runner", "learn", str(damaged), good, "--runner", "ben"]) == 3
    told = capsys.readouterr()
    assert "ben; this run adds" in told.out
    warning, error = told.err.splitlines()
    assert warning.startswith("hipdrive: warning:")
    assert error.startswith("hipdrive: error:")
    assert str(damaged) in told.err
    assert len(runners.load("ben").runs) == 1


# ---------------------------------------------------------------- show


def test_show_says_what_is_usual_at_which_speed_and_how_many_runs_are_missing(anna: Runs, capsys: Capture) -> None:
    runners.save(replace(runners.load("anna"), mass_kg=61.5, height_m=1.72))
    assert call(["runner", "show", "anna"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "anna, 61.5 kg, 1.72 m (version 5)"
    assert lines[1] == "usual at 3.00 m/s, in use:"
    left, right = [line for line in lines if line.startswith(("  pelvic drop, left", "  pelvic drop, right"))]
    known = {one.side: one for one in baselines_of(runners.load("anna")) if one.metric == "pelvic_drop_deg"}
    assert float(left.split()[3]) == pytest.approx(known[Side.LEFT].mean, abs=0.05)
    assert float(right.split()[3]) == pytest.approx(known[Side.RIGHT].mean, abs=0.05)
    assert left.endswith("4 runs")
    assert sum(line.startswith("run ") for line in lines) == 4
    session = runners.load("anna").runs[0].session
    assert call(["runner", "forget", "anna", "--run", session]) == 0
    assert "usual in 1 run of anna" in capsys.readouterr().out
    assert call(["runner", "show", "anna"]) == 0
    told = capsys.readouterr().out
    assert "usual at 3.00 m/s, 1 more run needed:" in told
    assert session not in told


def test_show_as_json(anna: Runs, capsys: Capture) -> None:
    assert call(["runner", "show", "anna", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runner"], told["needs_runs"], len(told["runs"])) == ("anna", 4, 4)
    (drop,) = [one for one in told["baselines"] if (one["metric"], one["side"]) == ("pelvic_drop_deg", "left")]
    assert (drop["speed_mps"], drop["runs"], drop["missing_runs"]) == (3.0, 4, 0)


def test_runs_that_other_event_models_measured_are_shown_as_not_in_use(anna: Runs, capsys: Capture) -> None:
    profile = runners.load("anna")
    runners.save(replace(profile, runs=tuple(replace(one, models="harmonic-0") for one in profile.runs)))
    assert call(["runner", "show", "anna"]) == 0
    told = capsys.readouterr().out
    assert "no baselines yet" in told
    assert told.count("NOT in use: measured with older event models, learn it again") == 4
    assert call(["runner", "learn", *map(str, anna.recordings)]) == 0
    assert runners.load("anna").runs == profile.runs


# ---------------------------------------------------------------- what users do wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nobody"], "there is no runner nobody yet"),
        (["forget", "anna"], "forget what? Give --baselines or --run SESSION"),
        (["forget", "anna", "--baselines", "--run", "x"], "forget what?"),
        (["forget", "anna", "--run", "x"], "anna has no run x"),
        (["learn"], "RECORDING"),
        (["show", "Anna!"], "runner.name"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(anna: Runs, arguments: list[str], says: str, capsys: Capture) -> None:
    assert anna
    assert call(["runner", *arguments]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def test_forgetting_as_a_dry_run_keeps_all(anna: Runs, capsys: Capture) -> None:
    assert call(["runner", "forget", "anna", "--baselines", "--dry-run"]) == 0
    assert "would be forgotten: what was usual in 4 runs of anna" in capsys.readouterr().out
    assert places.profile_path("anna").read_bytes() == anna.profile
