"""A runner's own baselines: gathered in every run, combined over the last ones, used by the next, never by a fault."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import hypot, isfinite, isnan, nan, pi
from pathlib import Path
from statistics import fmean, linear_regression, median, stdev

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from pelvis.baselines import (
    FRESH_S,
    LEAST_STEPS,
    MATCHED_MPS,
    RUNS_KEPT,
    SLOPES,
    Gathering,
    combine,
    speeds_at,
)
from pelvis.coefficients import SHIPPED
from pelvis.cues import Baseline, Coach, CueSettings
from pelvis.data import (
    Activity,
    ActivityState,
    Command,
    CoreOutput,
    Cue,
    References,
    RunBaseline,
    Side,
    Speed,
    Step,
    Stride,
)
from sensor_host import places
from sensor_host.baselines import baselines_of, counts, learn
from sensor_host.commands.running import Outcome, Plan, keep_run
from sensor_host.config import Config, CuesConfig
from sensor_host.ports import Mode
from sensor_host.runners import Profile
from sensor_host.runners import load as load_profile
from sensor_host.settings import core_settings
from sensor_host.summary import Tally
from sensor_host.validation.device import Device, wear
from sensor_host.validation.score import SETTLE_S, said_of
from sensor_host.validation.sources import fukuchi
from tests.coached_run import GOOD, RULES, SPREAD, STEP_S, Item, Responder, Run, phrases
from tests.said_examples import session

# warm-up and 20 min after it
WHOLE_S = 480.0 + FRESH_S
TREADMILL = Speed(1.0, 3.0, "treadmill")


def ended(run: Run, settings: CueSettings | None = None) -> tuple[list[Cue], dict[tuple[str, Side], RunBaseline]]:
    """Run it to its end with a coach; return the cues and what was usual, at the run's one speed."""
    coach = Coach(settings or CueSettings(), RULES)
    cues: list[Cue] = []
    for item in run.items():
        for said in coach.consider(item):
            if isinstance(said, Cue):
                cues.append(said)
                if isinstance(run, Responder):
                    run.hear(said)
    told = list(coach.finish(run.seconds))
    assert len({one.speed_mps for one in told}) <= 1
    return cues, {(one.metric, one.side): one for one in told}


def usual(run: Run, settings: CueSettings | None = None) -> dict[tuple[str, Side], RunBaseline]:
    return ended(run, settings)[1]


# ---------------------------------------------------------------- what a run says of itself


def test_a_run_says_how_each_metric_was_that_a_rule_compares_with_other_runs() -> None:
    told = usual(Run(900.0).also(1.0, TREADMILL))
    of_rules = {term.metric for rule in RULES if not rule.within_run for term in rule.when}
    assert {metric for metric, side in told if side is Side.UNKNOWN} == of_rules
    assert "tilt_deg" not in of_rules
    assert {metric for metric, side in told if side is Side.LEFT} == {"pelvic_drop_deg"}
    for (metric, side), one in told.items():
        if metric == "peak_force_ratio":
            continue
        assert one.median == pytest.approx(GOOD[metric], abs=0.2 * SPREAD[metric])
        assert one.sd == pytest.approx(SPREAD[metric], rel=0.15)
        assert one.speed_mps == 3.0
        assert (one.left_out_steps, one.baseline_runs) == (0, 0)
        assert one.baseline_source == "learning"
        # all steps behind the warm-up, which began at 2 s, but those of the last median
        steps = (900.0 - 482.0) / STEP_S - 25
        assert one.steps == pytest.approx(steps if side is Side.UNKNOWN else steps / 2, abs=4)


def test_only_the_fresh_part_of_a_run_counts() -> None:
    tired = Run(WHOLE_S + 900.0).change(WHOLE_S, WHOLE_S + 900.0, "vertical_oscillation_m", 0.005)
    one = usual(tired)["vertical_oscillation_m", Side.UNKNOWN]
    assert one.median == pytest.approx(GOOD["vertical_oscillation_m"], abs=0.0002)
    assert one.steps == pytest.approx(FRESH_S / STEP_S - 25, abs=4)
    assert usual(Run(470.0)) == {}


def test_steps_that_do_not_count_for_the_coach_do_not_count_here() -> None:
    class Bends(Run):
        def flags_at(self, t_s: float) -> tuple[str, ...]:
            return ("turning",) if t_s % 60.0 >= 30.0 else ()

        def value(self, metric: str, t_s: float, side: Side) -> float:
            return super().value(metric, t_s, side) + (3.0 if metric == "cadence_spm" and self.flags_at(t_s) else 0.0)

    one = usual(Bends(1200.0))["cadence_spm", Side.UNKNOWN]
    assert one.steps == pytest.approx(0.5 * 720.0 / STEP_S - 25, abs=8)
    assert one.median == pytest.approx(GOOD["cadence_spm"], abs=0.3)
    assert usual(Run(1200.0, quality=0.7)) == {}


@pytest.mark.parametrize("begins_s", [600.0, 900.0, 1300.0])
def test_a_fault_that_was_told_does_not_shift_what_was_usual(begins_s: float) -> None:
    """It stands for the longest part of the run, and the runner does not put it right."""
    known = (Baseline("pelvis_sway_m", GOOD["pelvis_sway_m"], SPREAD["pelvis_sway_m"], 3.0, 4),)
    run = Run(WHOLE_S).also(1.0, TREADMILL).change(begins_s, WHOLE_S, "pelvis_sway_m", 0.015)
    cues, told = ended(run, CueSettings(baselines=known))
    assert {cue.rule for cue in phrases(cues)} == {"sway"}
    one = told["pelvis_sway_m", Side.UNKNOWN]
    good_s = begins_s - 480.0
    assert one.median == pytest.approx(GOOD["pelvis_sway_m"], abs=0.15 * SPREAD["pelvis_sway_m"])
    assert one.sd == pytest.approx(SPREAD["pelvis_sway_m"], rel=0.2)
    # not even the steps before it showed: they are in the median in which it shows
    assert good_s / STEP_S - 60 < one.steps <= good_s / STEP_S
    assert one.left_out_steps > 0.9 * (WHOLE_S - begins_s) / STEP_S
    # what has no fault goes on being gathered
    assert told["cadence_spm", Side.UNKNOWN].steps == pytest.approx(FRESH_S / STEP_S, abs=40)


def test_what_is_short_of_praise_after_a_fault_is_left_out_and_what_follows_the_chime_counts() -> None:
    known = (Baseline("pelvis_sway_m", GOOD["pelvis_sway_m"], SPREAD["pelvis_sway_m"], 3.0, 4),)
    # half put right: no fault any more (z below 1.5), nor over (above 0.75)
    half = Run(WHOLE_S).also(1.0, TREADMILL).change(600.0, 700.0, "pelvis_sway_m", 0.015)
    half.change(700.0, WHOLE_S, "pelvis_sway_m", 0.0025)
    one = usual(half, CueSettings(baselines=known))["pelvis_sway_m", Side.UNKNOWN]
    assert one.steps <= (600.0 - 480.0) / STEP_S
    runner = Responder(WHOLE_S, "sway").also(1.0, TREADMILL).change(600.0, WHOLE_S, "pelvis_sway_m", 0.015)
    cues, told = ended(runner, CueSettings(baselines=known))
    assert [cue.kind for cue in cues] == ["phrase", "chime"]
    one = told["pelvis_sway_m", Side.UNKNOWN]
    assert one.steps == pytest.approx((FRESH_S - (cues[1].decided_at_s - 600.0)) / STEP_S, abs=60)
    assert one.median == pytest.approx(GOOD["pelvis_sway_m"], abs=0.15 * SPREAD["pelvis_sway_m"])


def test_a_fault_of_one_foot_is_left_out_of_that_foot_and_of_both_together() -> None:
    known = tuple(Baseline("pelvic_drop_deg", GOOD["pelvic_drop_deg"], 0.35, 3.0, 4, side) for side in Side)
    run = Run(WHOLE_S).also(1.0, TREADMILL).change(700.0, WHOLE_S, "pelvic_drop_deg", 3.0, Side.LEFT)
    told = usual(run, CueSettings(baselines=known))
    good, whole = (700.0 - 480.0) / STEP_S, FRESH_S / STEP_S
    assert told["pelvic_drop_deg", Side.LEFT].steps <= good / 2
    assert told["pelvic_drop_deg", Side.UNKNOWN].steps <= good
    assert told["pelvic_drop_deg", Side.RIGHT].steps == pytest.approx(whole / 2, abs=40)


def test_a_runner_of_whom_one_side_is_always_worse_is_compared_foot_by_foot() -> None:
    uneven = [
        usual(Run(900.0, seed=seed).also(1.0, TREADMILL).change(0.0, 900.0, "pelvic_drop_deg", 2.5, Side.LEFT))
        for seed in range(4)
    ]
    settings = CueSettings(baselines=combine([list(told.values()) for told in uneven]))
    same = Run(1200.0, seed=9).also(1.0, TREADMILL).change(0.0, 1200.0, "pelvic_drop_deg", 2.5, Side.LEFT)
    assert ended(same, settings)[0] == []
    # each foot's own change is a fault of that foot, of the better one as of the worse
    for side in (Side.LEFT, Side.RIGHT):
        worse = Run(1200.0, seed=9).also(1.0, TREADMILL).change(0.0, 1200.0, "pelvic_drop_deg", 2.5, Side.LEFT)
        cues = phrases(ended(worse.change(600.0, 1200.0, "pelvic_drop_deg", 2.0, side), settings)[0])
        assert {(cue.rule, cue.side) for cue in cues} == {("drop", side)}
        assert 660.0 < cues[0].decided_at_s <= 675.0


def test_what_was_gathered_per_foot_is_dropped_when_left_and_right_are_exchanged() -> None:
    run = Run(1200.0).change(0.0, 800.0, "pelvic_drop_deg", 1.0, Side.LEFT)
    run.change(800.0, 1200.0, "pelvic_drop_deg", 1.0, Side.RIGHT).also(800.0, Command(800.0, "swap_sides"))
    told = usual(run)
    assert told["pelvic_drop_deg", Side.LEFT].median == pytest.approx(GOOD["pelvic_drop_deg"], abs=0.1)
    assert told["pelvic_drop_deg", Side.RIGHT].median == pytest.approx(GOOD["pelvic_drop_deg"] + 1.0, abs=0.1)
    assert told["pelvic_drop_deg", Side.UNKNOWN].steps > 1.5 * 400.0 / STEP_S


def test_what_is_kept_is_without_calibration() -> None:
    class Calibrated(Run):
        def items(self) -> Iterator[Item]:
            for item in super().items():
                yield replace(item, contact_time_offset_s=0.010) if isinstance(item, Step) else item

    told = usual(Calibrated(900.0))
    contact_s = told["contact_time_s", Side.UNKNOWN].median
    assert contact_s == pytest.approx(GOOD["contact_time_s"] - 0.010, abs=0.001)
    # pi/2 (flight time / contact time + 1): what calibration took from the flight is given back
    force = 0.5 * pi * ((GOOD["flight_time_s"] + 0.010) / (GOOD["contact_time_s"] - 0.010) + 1.0)
    assert told["peak_force_ratio", Side.UNKNOWN].median == pytest.approx(force, rel=0.005)


# ---------------------------------------------------------------- speeds


@pytest.mark.parametrize(
    ("speed_mps", "at"),
    [(None, [None]), (3.0, [3.0]), (2.9, [2.75, 3.0]), (2.874, [2.75, 3.0]), (2.76, [2.75, 3.0]), (0.1, [0.0, 0.25])],
)
def test_a_speed_counts_at_the_multiples_of_a_quarter_on_both_sides(
    speed_mps: float | None, at: list[float | None]
) -> None:
    assert list(speeds_at(speed_mps)) == at


@given(st.floats(1.5, 6.5), st.lists(st.floats(0.0, 0.249), min_size=1, max_size=8))
def test_runs_at_speeds_closer_than_a_quarter_have_one_in_common(least_mps: float, more: list[float]) -> None:
    speeds = [least_mps, *(least_mps + by for by in more)]
    assert set.intersection(*({*speeds_at(speed)} for speed in speeds))


def test_steps_at_another_speed_are_carried_to_the_one_they_count_at() -> None:
    gathering = Gathering("contact_time_s", Side.UNKNOWN, 1)
    for _ in range(3):
        gathering.take(0.230, 2.9)
    below, above = gathering.tell((), (), 9.0)
    # 26 runners on a treadmill: 266 ms at 2.5 m/s, 194 at 4.5
    slope = (0.194 - 0.266) / 2.0
    assert (below.speed_mps, above.speed_mps) == (2.75, 3.0)
    assert below.median == pytest.approx(0.230 - 0.15 * slope)
    assert above.median == pytest.approx(0.230 + 0.10 * slope)


def test_speeds_are_kept_apart_and_no_speed_is_none_of_them() -> None:
    class TwoPaces(Run):
        def value(self, metric: str, t_s: float, side: Side) -> float:
            return super().value(metric, t_s, side) + (4.0 if metric == "cadence_spm" and t_s >= 900.0 else 0.0)

    run = TwoPaces(1300.0).also(1.0, TREADMILL).also(900.0, Speed(900.0, 3.5, "treadmill"))
    coach = Coach(CueSettings(), RULES)
    for item in run.items():
        assert [said for said in coach.consider(item) if not isinstance(said, References)] == []
    found = {one.speed_mps: one.median for one in coach.finish(0.0) if one.metric == "cadence_spm"}
    assert found == {3.0: pytest.approx(GOOD["cadence_spm"], abs=0.4), 3.5: pytest.approx(175.4, abs=0.4)}
    assert {one.speed_mps for one in usual(Run(900.0)).values()} == {None}


def test_what_was_found_without_a_speed_does_not_speak_for_a_known_one() -> None:
    """A runner at another pace than ever with a watch is learned anew, not held against runs of any pace."""
    known = tuple(Baseline(name, mean, SPREAD[name], None, 4, side) for name, mean in GOOD.items() for side in Side)
    slower = Run(900.0).also(1.0, TREADMILL).change(0.0, 900.0, "contact_time_s", 0.020)
    cues, told = ended(slower, CueSettings(baselines=known))
    assert cues == []
    assert {one.baseline_source for one in told.values()} == {"learning"}


def test_what_runners_have_in_common_is_what_sixteen_of_them_show(data_dir: Path) -> None:
    """Slopes within a runner of what the core measures at three belt speeds; all that matter, and no other."""
    known: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for trial in fukuchi(data_dir):
        worn = wear(trial, Device(seed=1))
        coach = Gatherer()
        for item in (Speed(0.0, trial.speed_mps, "treadmill"), *said_of(worn.samples, models=SHIPPED)):
            coach.hear(item, after_s=worn.lead_s + SETTLE_S)
        for metric, values in coach.values.items():
            of_metric = known.setdefault(metric, {})
            of_metric.setdefault(trial.runner, []).append((trial.speed_mps, median(values)))
    floors: dict[str, float] = {}
    for metric, runners in known.items():
        slopes = [linear_regression(*zip(*points, strict=True)).slope for points in runners.values()]
        assert len(slopes) == 16
        error = stdev(slopes) / 4.0
        level = fmean(value for points in runners.values() for _, value in points)
        terms = [term for rule in RULES for term in rule.when if term.metric == metric]
        floors[metric] = min(term.threshold * (level if term.relative else 1.0) for term in terms)
        if metric in SLOPES:
            assert SLOPES[metric] == pytest.approx(fmean(slopes), abs=2.0 * error)
        else:
            assert abs(fmean(slopes)) * MATCHED_MPS < 0.1 * floors[metric]
    assert set(SLOPES) <= set(floors)


class Gatherer:
    """Keeps the values of every metric that a rule asks for, as the coach hears them."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self._asked = {term.metric for rule in RULES for term in rule.when}
        self._contact_s: dict[int, float] = {}
        self._speed_mps = nan

    def hear(self, item: CoreOutput | Speed, after_s: float) -> None:
        if isinstance(item, Speed):
            self._speed_mps = item.speed_mps
        if not isinstance(item, Step | Stride) or item.initial_contact_s <= after_s:
            return
        metrics = dict(item.metrics)
        if isinstance(item, Step):
            self._contact_s[item.step_index] = metrics["contact_time_s"]
            metrics["step_length_m"] = self._speed_mps * 60.0 / metrics["cadence_spm"]
        else:
            contact_s = self._contact_s.get(item.step_index, nan)
            metrics["peak_force_ratio"] = 0.5 * pi * (metrics["flight_time_s"] / contact_s + 1.0)
        for name in self._asked & set(metrics):
            if isfinite(metrics[name]):
                self.values.setdefault(name, []).append(metrics[name])


# ---------------------------------------------------------------- how runs combine


def of_runs(medians: Sequence[float], sd: float, steps: int = 900) -> list[list[RunBaseline]]:
    return [[RunBaseline("pelvis_sway_m", Side.UNKNOWN, 3.0, median, sd, steps)] for median in medians]


def test_the_spread_is_that_of_a_step_of_any_day() -> None:
    """By simulation: 2,000 runners with a spread within and between runs that is known."""
    chance = random.Random(3)
    squares = [
        combine(of_runs([chance.gauss(14.0, 2.0) for _ in range(RUNS_KEPT)], 3.0))[0].sd ** 2 for _ in range(2000)
    ]
    # a robust spread of eight scatters, its mean does not
    assert fmean(squares) == pytest.approx(3.0**2 + 2.0**2, rel=0.12)
    (one,) = combine(of_runs([14.0] * 4, 3.0))
    assert one == Baseline("pelvis_sway_m", 14.0, 3.0, 3.0, 4)


def test_one_run_of_four_that_was_wrong_all_through_moves_nothing_beyond_the_others() -> None:
    good, bad = [13.8, 14.0, 14.3], 29.0
    (one,) = combine(of_runs([*good, bad], 2.0))
    assert min(good) <= one.mean <= max(good)
    assert one.sd < hypot(2.0, 1.0)


def test_the_last_eight_runs_count_and_only_those_with_enough_steps() -> None:
    runs = of_runs([10.0] * 5 + [20.0] * RUNS_KEPT, 2.0)
    assert combine(runs)[0] == Baseline("pelvis_sway_m", 20.0, 2.0, 3.0, RUNS_KEPT)
    assert combine(of_runs([14.0] * 4, 2.0, LEAST_STEPS - 1)) == ()
    assert combine(of_runs([14.0] * 4, 2.0, LEAST_STEPS))[0].runs == 4
    foot = [[replace(one, side=Side.LEFT) for one in run] for run in of_runs([14.0] * 4, 2.0, LEAST_STEPS // 2)]
    assert combine(foot)[0] == Baseline("pelvis_sway_m", 14.0, 2.0, 3.0, 4, Side.LEFT)


def test_leaving_out_faults_and_no_good_days_does_not_let_the_baseline_run_away() -> None:
    """60 runners, whose days differ by half a threshold of 12, run 200 times each; faults are not kept."""
    ends: list[float] = []
    for seed in range(60):
        chance = random.Random(seed)
        kept: list[float] = []
        for _ in range(200):
            level = chance.gauss(0.0, 6.0)
            if len(kept) >= 4:
                (known,) = combine(of_runs(kept[-RUNS_KEPT:], 5.0))
                if level - known.mean >= 12.0 and level - known.mean >= 1.5 * known.sd:
                    continue
            kept.append(level)
        ends.append(combine(of_runs(kept[-RUNS_KEPT:], 5.0))[0].mean)
    # a twentieth of the threshold, as docs/cues.md says; their standard error is 0.35
    assert -0.6 - 3.0 * 0.35 < fmean(ends) < 0.0 + 3.0 * 0.35


def test_no_more_runs_can_be_asked_for_than_are_kept() -> None:
    assert msgspec.convert({"min_runs": RUNS_KEPT}, CuesConfig).min_runs == RUNS_KEPT
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"min_runs": RUNS_KEPT + 1}, CuesConfig)


# ---------------------------------------------------------------- the profile


def day(number: int) -> str:
    return f"2026-01-{number:02}T07:00:00.000000Z"


def test_a_run_learned_twice_is_known_once_and_one_learned_late_takes_its_place_in_time() -> None:
    profile = Profile(runner="anna")
    for number, (run,) in enumerate(of_runs([1.0, 2.0, 4.0], 0.5), start=1):
        profile = learn(profile, f"s{number}", day(number + number // 3), [run])
    assert learn(profile, "s2", day(2), of_runs([2.0], 0.5)[0]) is profile
    late = learn(profile, "s9", day(3), of_runs([3.0], 0.5)[0])
    assert [run.session for run in late.runs] == ["s1", "s2", "s9", "s3"]
    assert baselines_of(late)[0].runs == 4
    again = learn(late, "s2", day(2), of_runs([2.5], 0.5)[0])
    assert [run.usual[0].median for run in again.runs] == [1.0, 2.5, 3.0, 4.0]


def test_the_profile_keeps_of_each_metric_and_speed_the_last_eight_runs() -> None:
    profile = Profile(runner="anna")
    fast = RunBaseline("pelvis_sway_m", Side.UNKNOWN, 4.0, 15.0, 2.0, 900)
    for number, (run,) in enumerate(of_runs([14.0] * 12, 2.0), start=1):
        profile = learn(profile, f"s{number:02}", day(number), [run, fast] if number == 2 else [run])
    assert [run.session for run in profile.runs] == ["s02", *(f"s{number:02}" for number in range(5, 13))]
    assert [one.speed_mps for one in profile.runs[0].usual] == [4.0]
    # one that is older than all of these adds nothing
    assert learn(profile, "s01", day(1), of_runs([9.0], 2.0)[0]) is profile


def test_runs_measured_with_other_event_models_are_left_aside() -> None:
    profile = Profile(runner="anna")
    for number, (run,) in enumerate(of_runs([14.0] * 4, 2.0), start=1):
        profile = learn(profile, f"s{number}", day(number), [run])
    assert (baselines_of(profile)[0].runs, sum(not counts(run) for run in profile.runs)) == (4, 0)
    assert profile.runs[0].models == SHIPPED.version
    old = changed(profile, runs=tuple(changed(run, models="harmonic-0") for run in profile.runs[:3]) + profile.runs[3:])
    assert (baselines_of(old)[0].runs, sum(not counts(run) for run in old.runs)) == (1, 3)


def test_a_metric_that_was_at_fault_all_through_is_not_kept() -> None:
    nothing = RunBaseline("pelvis_sway_m", Side.UNKNOWN, 3.0, nan, nan, 0, 3400)
    profile = Profile(runner="anna")
    assert learn(profile, "s1", day(1), [nothing]) is profile


# ---------------------------------------------------------------- the whole way


def live(runner: str, number: int, told: dict[tuple[str, Side], RunBaseline], mode: Mode = Mode.LIVE) -> Outcome:
    """What a session has become that said this at its end, its profile kept."""
    info = replace(session(mode, f"s{number}", runner), start_utc=day(number))
    outcome = Outcome(info, Tally(baselines=list(told.values()), activity_s={"running": 900.0}))
    keep_run(outcome, Plan(config=Config(), profile=Profile(runner=runner), record=False))
    return outcome


def settings_of(runner: str) -> CueSettings:
    settings = core_settings(Config(), load_profile(runner), motion=False).cues
    assert settings is not None
    return settings


FAULTS = [
    ("drop", {"pelvic_drop_deg": 3.0}),
    ("sway", {"pelvis_sway_m": 0.015}),
    ("low_push", {"contact_time_s": 0.020}),
    ("bounce", {"vertical_oscillation_m": 0.014}),
    ("cadence", {"cadence_spm": -12.0}),
    ("hard_landing", {"flight_time_s": 0.050}),
]
DWELL_S = {rule.name: rule.dwell_s for rule in RULES}


def test_after_four_runs_a_fault_of_the_tenth_minute_is_told_from_the_profile() -> None:
    for number in range(1, 5):
        known = settings_of("anna")
        # every run is a little different, and the belt sits otherwise
        run = Run(1000.0, seed=number).also(1.0, TREADMILL)
        for metric, spread in SPREAD.items():
            run.change(0.0, 1000.0, metric, random.Random(f"{number}{metric}").gauss(0.0, 0.4 * spread))
        cues, told = ended(run, known)
        assert cues == []
        assert {one.baseline_source for one in told.values()} == {"learning"}
        live("anna", number, told)
        # nobody in the tenth minute of the first four
        early = Run(740.0, seed=number).also(1.0, TREADMILL).change(600.0, 740.0, "pelvis_sway_m", 0.015)
        assert ended(early, known)[0] == []
    assert load_profile("anna").version == 4
    for rule, changes in FAULTS:
        runner = Responder(900.0, rule).also(1.0, TREADMILL)
        for metric, by in changes.items():
            runner.change(600.0, 900.0, metric, by)
        cues, told = ended(runner, settings_of("anna"))
        assert {cue.rule for cue in cues} == {rule}
        assert 600.0 + DWELL_S[rule] < cues[0].decided_at_s <= 600.0 + DWELL_S[rule] + 15.0
        assert cues[0].why["baseline_source"] == "profile"
        assert {(one.baseline_source, one.baseline_runs) for one in told.values()} == {("profile", 4)}


def test_runs_with_a_fault_that_is_told_every_time_leave_the_baseline_where_it_was() -> None:
    """Once a baseline is known, a runner who falls into the same fault in run after run is told of it every time."""
    for number in range(1, 13):
        run = Run(1000.0, seed=number).also(1.0, TREADMILL)
        if number > 4:
            run.change(520.0, 1000.0, "pelvis_sway_m", 0.015)
        cues, told = ended(run, settings_of("anna"))
        assert {cue.rule for cue in cues} == ({"sway"} if number > 4 else set())
        live("anna", number, told)
    known = {one.metric: one for one in settings_of("anna").baselines}
    assert known["pelvis_sway_m"].mean == pytest.approx(GOOD["pelvis_sway_m"], abs=0.1 * SPREAD["pelvis_sway_m"])
    # nothing of the later eight: 40 s of good steps are too few
    assert (known["pelvis_sway_m"].runs, known["cadence_spm"].runs) == (4, 8)


def test_a_fault_there_from_the_start_of_a_run_is_seen_where_a_baseline_is_known() -> None:
    for number in range(1, 5):
        live("anna", number, usual(Run(900.0, seed=number).also(1.0, TREADMILL), settings_of("anna")))
    run = Run(900.0, seed=9).also(1.0, TREADMILL).change(0.0, 900.0, "pelvis_sway_m", 0.015)
    cues, told = ended(run, settings_of("anna"))
    assert {cue.rule for cue in phrases(cues)} == {"sway"}
    assert told["pelvis_sway_m", Side.UNKNOWN].steps == 0
    assert isnan(told["pelvis_sway_m", Side.UNKNOWN].median)
    # whoever had it in all four is not told: it is what is usual for this runner
    for number in range(1, 5):
        always = Run(900.0, seed=number).also(1.0, TREADMILL).change(0.0, 900.0, "pelvis_sway_m", 0.015)
        live("ben", number, usual(always, settings_of("ben")))
    assert ended(run, settings_of("ben"))[0] == []


@pytest.mark.parametrize(("mode", "kept"), [(Mode.LIVE, True), (Mode.REPLAY, False), (Mode.SIMULATED, False)])
def test_only_live_runs_are_kept(mode: Mode, kept: bool) -> None:
    outcome = live("anna", 1, usual(Run(900.0)), mode)
    assert outcome.failures == []
    assert places.profile_path("anna").exists() is kept
    assert ("adds 10 metrics at unknown speed" in outcome.profile) is kept


def test_a_run_that_adds_nothing_says_so_and_leaves_the_file_alone() -> None:
    outcome = live("anna", 1, usual(Run(490.0)))
    assert "adds nothing" in outcome.profile
    assert not places.profile_path("anna").exists()


def test_a_profile_that_was_damaged_meanwhile_costs_neither_the_run_nor_its_own_file() -> None:
    path = places.profile_path("anna")
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 2, "runner"')
    outcome = live("anna", 1, usual(Run(900.0)))
    (failure,) = outcome.failures
    assert (failure.exit_code, str(path) in str(failure), "\n" in str(failure)) == (3, True, False)
    assert outcome.profile == "this run could not be kept in it"
    assert path.read_text() == '{"schema": 2, "runner"'


def test_a_full_disk_is_told_in_a_line_after_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_profile("anna")

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    outcome = live("anna", 1, usual(Run(900.0)))
    (failure,) = outcome.failures
    assert (failure.exit_code, "No space left" in str(failure), "\n" in str(failure)) == (4, True, False)
    assert load_profile("anna") == before


def test_the_summary_says_what_the_coach_compared_with() -> None:
    run = Run(1300.0).also(1.0, TREADMILL).also(900.0, Activity(900.0, ActivityState.WALKING, 900.0))
    run.also(920.0, Activity(920.0, ActivityState.RUNNING, 920.0)).also(910.0, Speed(910.0, 3.6, "treadmill"))
    run.change(520.0, 900.0, "pelvis_sway_m", 0.015)
    known = tuple(Baseline(name, mean, SPREAD[name], 3.0, 5, side) for name, mean in GOOD.items() for side in Side)
    force = Baseline("peak_force_ratio", 2.39, 0.05, 3.0, 5)
    coach = Coach(CueSettings(baselines=(force, *known)), RULES)
    tally = Tally()
    for item in run.items():
        for said in coach.consider(item):
            tally.take(said)
    for told in coach.finish(1300.0):
        tally.take(told)
    lines = tally.lines()
    assert "coach compared with: profile (5 runs) at 3.00 m/s; learning at 3.50, 3.75 m/s" in lines
    assert "kept out of the baseline while a fault stood: pelvis_sway_m" in lines
    (sway,) = [
        one
        for one in tally.as_dict()["baselines"]  # type: ignore[attr-defined]
        if (one["metric"], one["speed_mps"]) == ("pelvis_sway_m", 3.0)
    ]
    assert (sway["baseline_source"], sway["baseline_runs"]) == ("profile", 5)
    assert sway["left_out_steps"] > 500
