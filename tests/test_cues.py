"""The coach: silent when all is well, timely when something changed, and never a nag."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from itertools import pairwise

import msgspec
import pytest

from pelvis.cues import DERIVED, Baseline, Coach, CueRule, CueSettings, Term
from pelvis.data import (
    Activity,
    ActivityState,
    Command,
    Cue,
    Samples,
    Side,
    Speed,
    Step,
    Stride,
)
from pelvis.metrics import METRICS
from pelvis.pipeline import Pipeline
from pelvis.simulate import Drift, Scenario, SimulatedRunner
from sensor_host.coaching import coaching, default_rules
from sensor_host.config import CueRule as CueRuleConfig
from sensor_host.config import CuesConfig, CueTerm
from sensor_host.phrases import words_of
from tests.coached_run import QUICK, RULES, STEP_S, Run, listen, phrases

# ---------------------------------------------------------------- when it speaks


@pytest.mark.parametrize("seed", range(5))
def test_it_is_silent_when_all_is_well(seed: int) -> None:
    assert listen(Run(600.0, seed=seed)) == []


@pytest.mark.parametrize(
    ("metric", "by", "rule"),
    [
        ("pelvic_drop_deg", 2.5, "drop"),
        ("pelvis_sway_m", 0.015, "sway"),
        ("rotation_range_deg", 5.0, "rotation"),
        ("velocity_gain_mps", -0.04, "low_push"),
        ("flight_time_s", 0.05, "hard_landing"),
        ("tilt_deg", 4.0, "tilt"),
        ("vertical_oscillation_m", 0.012, "bounce"),
        ("contact_time_s", 0.020, "low_push"),
    ],
)
def test_each_fault_has_its_phrase(metric: str, by: float, rule: str) -> None:
    cues = phrases(listen(Run(90.0).change(60.0, 90.0, metric, by)))
    assert (cues[0].rule, cues[0].phrase) == (rule, rule)
    assert {cue.rule for cue in cues} == {rule}
    assert cues[0].decided_at_s > 60.0 + 0.5 * 25 * STEP_S


@pytest.mark.parametrize(("metric", "by"), [("pelvic_drop_deg", -2.5), ("cadence_spm", 12.0), ("tilt_deg", -4.0)])
def test_a_change_for_the_better_is_no_fault(metric: str, by: float) -> None:
    assert listen(Run(120.0).change(60.0, 120.0, metric, by)) == []


def test_a_drop_on_one_side_is_told_of_that_stance_side() -> None:
    for side in (Side.LEFT, Side.RIGHT):
        cues = phrases(listen(Run(100.0).change(60.0, 100.0, "pelvic_drop_deg", 3.0, side)))
        assert {cue.side for cue in cues} == {side}


def test_a_cue_says_why() -> None:
    cue = phrases(listen(Run(100.0).change(60.0, 100.0, "tilt_deg", 4.0)))[0]
    assert cue.why["metric"] == "tilt_deg"
    assert cue.why["value"] == pytest.approx(10.0, abs=0.5)
    assert cue.why["baseline"] == pytest.approx(6.0, abs=0.3)
    assert float(cue.why["z"]) > 3.0
    assert float(cue.why["seconds"]) >= 0.2 * 20.0
    assert cue.why["baseline_source"] == "learning"
    assert (cue.expires_s, cue.priority) == (4.0, 7)


def test_a_change_must_last_before_it_is_told() -> None:
    short = Run(120.0).change(60.0, 66.0, "tilt_deg", 4.0)
    slow = replace(QUICK, dwell_ratio=1.0)
    assert phrases(listen(short, slow)) == []
    cue = phrases(listen(Run(120.0).change(60.0, 120.0, "tilt_deg", 4.0), slow))[0]
    # half of 25 steps make the median, then 20 s of dwell
    assert cue.decided_at_s == pytest.approx(60.0 + 13 * STEP_S + 20.0, abs=2.0)


def test_a_change_must_be_unusual_for_this_runner_not_only_large() -> None:
    baseline = Baseline("vertical_oscillation_m", 0.100, sd=0.012, runs=4)
    settings = replace(QUICK, baselines=(baseline,))
    run = Run(120.0).change(60.0, 120.0, "vertical_oscillation_m", 0.012)
    assert phrases(listen(run, settings)) == []
    assert phrases(listen(run, replace(settings, baselines=(replace(baseline, sd=0.004),)))) != []


def test_a_change_must_be_large_not_only_unusual_for_this_runner() -> None:
    settings = replace(QUICK, baselines=(Baseline("vertical_oscillation_m", 0.100, sd=0.001, runs=4),))
    assert phrases(listen(Run(120.0).change(60.0, 120.0, "vertical_oscillation_m", 0.006), settings)) == []


def test_a_pause_starts_the_judgement_afresh() -> None:
    run = Run(140.0).change(60.0, 140.0, "tilt_deg", 4.0)
    run.also(66.0, Activity(66.0, ActivityState.WALKING, 66.0)).also(80.0, Activity(80.0, ActivityState.RUNNING, 80.0))
    cue = phrases(listen(run))[0]
    # 25 steps after settling, then the dwell of 20 s at a ratio of 0.2
    assert cue.decided_at_s >= 80.0 + QUICK.settle_s + 24 * STEP_S + 4.0


def test_nothing_is_said_in_the_warm_up_or_while_learning() -> None:
    settings = CueSettings(dwell_ratio=0.0, between_s=0.0, same_s=0.0)
    cues = phrases(listen(Run(1000.0).change(600.0, 1000.0, "tilt_deg", 5.0), settings))
    # 8 min of warm-up, 5 min of learning; what changed meanwhile became the baseline only in part
    assert all(cue.decided_at_s > 780.0 for cue in cues)
    later = phrases(listen(Run(1000.0).change(800.0, 1000.0, "tilt_deg", 5.0), settings))
    assert 800.0 < later[0].decided_at_s < 815.0


def test_a_given_baseline_needs_no_learning() -> None:
    settings = replace(QUICK, learn_s=1e6, baselines=(Baseline("vertical_oscillation_m", 0.100, 0.003, runs=4),))
    cue = phrases(listen(Run(60.0).change(20.0, 60.0, "vertical_oscillation_m", 0.015), settings))[0]
    assert cue.why["baseline_source"] == "profile"
    assert cue.decided_at_s < 40.0


def test_a_baseline_of_fewer_than_four_runs_does_not_count() -> None:
    run = Run(60.0).change(20.0, 60.0, "vertical_oscillation_m", 0.015)
    for runs, heard in ((3, False), (4, True)):
        baseline = Baseline("vertical_oscillation_m", 0.100, 0.003, runs=runs)
        assert bool(phrases(listen(run, replace(QUICK, learn_s=1e6, baselines=(baseline,))))) is heard


def test_what_is_judged_within_the_run_takes_no_baseline_from_others() -> None:
    settings = replace(QUICK, learn_s=1e6, baselines=(Baseline("tilt_deg", 6.0, 0.4, runs=8),))
    assert phrases(listen(Run(60.0).change(20.0, 60.0, "tilt_deg", 6.0), settings)) == []


def test_a_baseline_counts_at_its_own_speed_only() -> None:
    baseline = Baseline("vertical_oscillation_m", 0.100, 0.003, speed_mps=3.0, runs=4)
    settings = replace(QUICK, learn_s=1e6, baselines=(baseline,))

    def at(speed_mps: float) -> list[Cue]:
        run = Run(60.0).change(20.0, 60.0, "vertical_oscillation_m", 0.015)
        return phrases(listen(run.also(1.0, Speed(1.0, speed_mps, "treadmill")), settings))

    assert at(4.2) == []
    assert at(3.1) != []


def test_another_speed_is_learned_anew_and_never_compared_with_the_old_one() -> None:
    run = Run(120.0).change(60.0, 120.0, "contact_time_s", -0.03).change(60.0, 120.0, "tilt_deg", 3.5)
    cues = listen(run.also(2.5, Speed(2.5, 3.0, "treadmill")).also(60.0, Speed(60.0, 4.0, "treadmill")))
    assert cues == []


def test_poor_steps_do_not_count() -> None:
    assert listen(Run(120.0, quality=0.5).change(60.0, 120.0, "tilt_deg", 6.0)) == []


def test_only_running_counts() -> None:
    run = Run(120.0).change(60.0, 120.0, "tilt_deg", 6.0)
    run.also(59.0, Activity(59.0, ActivityState.WALKING, 59.0))
    assert listen(run) == []


# ---------------------------------------------------------------- how often


def test_corrections_keep_their_distance() -> None:
    run = Run(400.0)
    for metric, by in (("tilt_deg", 4.0), ("pelvis_sway_m", 0.02), ("pelvic_drop_deg", 3.0)):
        run.change(60.0, 400.0, metric, by)
    cues = phrases(listen(run, replace(QUICK, between_s=40.0, same_s=90.0)))
    times = [cue.decided_at_s for cue in cues]
    assert len(times) > 5
    assert min(b - a for a, b in pairwise(times)) >= 40.0
    for rule in {(cue.rule, cue.side) for cue in cues}:
        same = [cue.decided_at_s for cue in cues if (cue.rule, cue.side) == rule]
        assert all(b - a >= 90.0 for a, b in pairwise(same))


def test_the_most_important_fault_speaks_first() -> None:
    run = Run(120.0)
    for metric, by in (("vertical_oscillation_m", 0.02), ("pelvis_sway_m", 0.02), ("pelvic_drop_deg", 3.0)):
        run.change(60.0, 120.0, metric, by)
    # all are ripe before the first word is possible
    run.also(50.0, Command(50.0, "mute")).also(90.0, Command(90.0, "unmute"))
    cues = phrases(listen(run))
    assert cues[0].rule == "drop"


def test_an_hour_has_its_limit() -> None:
    settings = replace(QUICK, per_hour=4, between_s=5.0, same_s=5.0)
    run = Run(1200.0)
    for metric, by in (("tilt_deg", 4.0), ("pelvis_sway_m", 0.02)):
        run.change(60.0, 1200.0, metric, by)
    assert len(phrases(listen(run, settings))) == 4


def test_words_that_do_not_help_give_way_to_others_and_then_to_silence() -> None:
    cues = phrases(listen(Run(900.0).change(60.0, 900.0, "tilt_deg", 5.0)))
    assert [cue.phrase for cue in cues] == ["tilt"] * 3 + ["tilt_alternate"] * 3


def test_words_that_help_are_kept() -> None:
    run = Run(300.0)
    for k, by in enumerate((8.0, 7.0, 6.0, 5.0, 4.0)):
        run.change(60.0 + 40.0 * k, 100.0 + 40.0 * k, "tilt_deg", by)
    said = [cue.phrase for cue in phrases(listen(run, replace(QUICK, same_s=35.0)))]
    assert len(said) >= 4
    assert set(said) == {"tilt"}


# ---------------------------------------------------------------- praise


def test_a_fault_that_is_put_right_earns_one_chime() -> None:
    cues = listen(Run(160.0).change(60.0, 90.0, "tilt_deg", 4.0))
    assert [cue.kind for cue in cues] == ["phrase", "chime"]
    chime = cues[-1]
    assert (chime.rule, chime.phrase) == ("tilt", "chime")
    assert 90.0 + QUICK.exit_s < chime.decided_at_s < 110.0


def test_chimes_are_rare() -> None:
    run = Run(400.0)
    for k in range(5):
        run.change(60.0 + 60.0 * k, 90.0 + 60.0 * k, "tilt_deg", 4.0)
    chimes = [cue for cue in listen(run, replace(QUICK, chime_every_s=100.0)) if cue.kind == "chime"]
    assert 2 <= len(chimes) <= 3
    assert all(b.decided_at_s - a.decided_at_s >= 100.0 for a, b in pairwise(chimes))


# ---------------------------------------------------------------- orders


def test_a_muted_coach_is_silent_until_it_is_unmuted() -> None:
    run = Run(160.0).change(60.0, 160.0, "tilt_deg", 4.0)
    run.also(50.0, Command(50.0, "mute")).also(110.0, Command(110.0, "unmute"))
    cues = listen(run)
    assert cues
    assert all(cue.decided_at_s >= 110.0 for cue in cues)


def test_what_a_person_says_is_passed_on_at_once_even_by_a_muted_coach() -> None:
    run = Run(60.0).also(20.0, Command(20.0, "mute")).also(30.0, Command(30.0, "say", "chime"))
    assert [(cue.rule, cue.phrase, cue.decided_at_s, cue.priority) for cue in listen(run)] == [
        ("say", "chime", 30.0, 9)
    ]
    assert list(Coach().consider(Command(1.0, "say"))) == []


def test_what_a_person_has_said_counts_as_a_correction() -> None:
    run = Run(160.0).change(60.0, 160.0, "tilt_deg", 4.0)
    (first, *_) = phrases(listen(run))
    said_s = first.decided_at_s - 1.0
    run = Run(160.0).change(60.0, 160.0, "tilt_deg", 4.0).also(said_s, Command(said_s, "say", "run"))
    said, after, *_ = phrases(listen(run))
    assert (said.rule, after.rule) == ("say", "tilt")
    assert after.decided_at_s >= said_s + QUICK.between_s


def test_a_focus_lets_others_speak_only_when_they_are_grave() -> None:
    def faults(bounce_m: float) -> Run:
        run = Run(120.0).change(60.0, 120.0, "vertical_oscillation_m", bounce_m)
        run.change(60.0, 120.0, "pelvis_sway_m", 0.02)
        return run.also(10.0, Command(10.0, "focus", "sway"))

    known = (("vertical_oscillation_m", 0.100, 0.006), ("pelvis_sway_m", 0.014, 0.002))
    settings = replace(QUICK, baselines=tuple(Baseline(*one, runs=4) for one in known))
    assert {cue.rule for cue in phrases(listen(faults(0.012), settings))} == {"sway"}
    assert {cue.rule for cue in phrases(listen(faults(0.024), settings))} == {"sway", "bounce"}


# ---------------------------------------------------------------- laws


def test_the_same_items_give_the_same_cues() -> None:
    run = Run(200.0).change(60.0, 150.0, "pelvic_drop_deg", 3.0, Side.LEFT)
    items = list(run.items())
    assert listen(items) == listen(items)
    assert listen(items)


def test_what_was_said_does_not_depend_on_what_comes_later() -> None:
    items = list(Run(200.0).change(60.0, 150.0, "tilt_deg", 4.0).items())
    all_said = listen(items)
    for share in (0.3, 0.45, 0.6, 0.8):
        part = items[: int(share * len(items))]
        said = listen(part)
        assert said == all_said[: len(said)]


def test_cues_are_numbered_and_carry_the_time_of_the_item_that_decided_them() -> None:
    run = Run(300.0).change(60.0, 120.0, "tilt_deg", 4.0).change(150.0, 250.0, "pelvis_sway_m", 0.02)
    coach = Coach(QUICK, RULES)
    seen = 0
    for item in run.items():
        for cue in coach.consider(item):
            if not isinstance(cue, Cue):
                continue
            seen += 1
            assert cue.cue_id == seen
            assert isinstance(item, Step | Stride)
            decided_s = item.reported_at_s if isinstance(item, Step) else item.completed_at_s
            assert cue.decided_at_s == decided_s
    assert seen > 3


# ---------------------------------------------------------------- the catalogue


def test_the_built_in_rules_are_measurable_and_have_words() -> None:
    for rule in RULES:
        assert all(term.metric in METRICS or term.metric in DERIVED for term in rule.when)
        assert {rule.phrase, rule.alternate} <= {*words_of("en"), ""}
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_a_rule_that_always_holds_or_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Term("tilt_deg", "above", 0.0)
    with pytest.raises(ValueError, match="phrase or a metronome"):
        CueRule("x", (Term("tilt_deg", "above", 1.0),))
    with pytest.raises(ValueError, match="change of a metric"):
        CueRule("x", (), "tilt")


def test_the_configuration_has_the_same_names_and_defaults() -> None:
    here = {
        field.name: field.default
        for field in fields(CueSettings)
        if field.name not in ("baselines", "plan_run", "watched")
    }
    there = {field.name: field.default for field in msgspec.structs.fields(CuesConfig)}
    host = ("enabled", "language", "phrases", "plan", "rules")
    assert here == {name: value for name, value in there.items() if name not in host}
    for core, config in ((CueRule, CueRuleConfig), (Term, CueTerm)):
        assert [field.name for field in fields(core)] == [field.name for field in msgspec.structs.fields(config)]
        defaults = {field.name: field.default for field in fields(core) if field.default is not MISSING}
        assert defaults == {
            field.name: field.default
            for field in msgspec.structs.fields(config)
            if field.default is not msgspec.NODEFAULT
        }
    own = CueRuleConfig(
        name="tall", when=(CueTerm(metric="tilt_deg", direction="above", threshold=2.0),), phrase="tilt"
    )
    settings, rules = coaching(CuesConfig(per_hour=3, rules=(own,)))
    assert settings == CueSettings(per_hour=3)
    assert rules == (CueRule("tall", (Term("tilt_deg", "above", 2.0),), "tilt"),)
    assert len(coaching(CuesConfig())[1]) == len(default_rules()) == 11


# ---------------------------------------------------------------- the whole way


def test_a_runner_whose_left_stance_lets_the_pelvis_drop_hears_of_it_within_a_minute() -> None:
    drift = (Drift(30.0, 34.0, drop_left_deg=3.5), Drift(56.0, 58.0, drop_left_deg=-3.5))
    pipeline = Pipeline()
    coach = Coach(CueSettings(warm_up_s=2.0, learn_s=10.0, dwell_ratio=0.1, between_s=10.0, chime_every_s=10.0), RULES)
    cues: list[Cue] = []
    for block in SimulatedRunner(Scenario(duration_s=85.0, drifts=drift)).blocks():
        for item in pipeline.feed(Samples(block.t_s, block.acc_mps2, block.gyr_radps, block.rate_hz)):
            if not isinstance(item, Cue):
                cues.extend(said for said in coach.consider(item) if isinstance(said, Cue))
    assert [(cue.kind, cue.rule, cue.side) for cue in cues] == [
        ("phrase", "drop", Side.LEFT),
        ("chime", "drop", Side.LEFT),
    ]
    assert 34.0 < cues[0].decided_at_s < 50.0
    assert cues[1].decided_at_s < 80.0
