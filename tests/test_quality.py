"""Quality is 1 where nothing disturbs, falls with every disturbance, and falls as the true error grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from core_run import keep, only, part, run, simulated
from hypothesis import given
from hypothesis import strategies as st
from said_examples import IDEAL

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, Evidence, Samples, Step
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.quality import judge
from pelvis.simulate import Scenario, SensorModel
from pelvis.uncertainty import StandardErrors, terms

# so much of each that it matters
DISTURBED = {
    "unusual_waveform": {"strangeness": 20.0},
    "uneven_step_time": {"period_ratio": 1.25},
    "lost_samples": {"filled_ratio": 0.5, "filled_stance": 0.9},
    "clipped": {"clipped_ratio": 0.9},
    "forward_ambiguous": {"axis_confidence": 0.1},
    "sensor_turned": {"disagrees": True},
    "turning": {"yaw_radps": -0.3},
    "no_gyroscope": {"has_gyroscope": False},
}


def judged_as(evidence: Evidence) -> tuple[float, float, tuple[str, ...]]:
    """Standard error of a contact time of 0.22 s, quality and flags."""
    squares = terms(evidence, 0.22)
    errors = StandardErrors({"contact_time_s": ERROR_MODELS["contact_time_s"]})
    se_s = errors.judge(squares, [0.22], 0, 1)[0][0]
    return se_s, *judge(evidence, squares, se_s)


def test_an_undisturbed_step_is_as_good_as_it_gets() -> None:
    assert judged_as(IDEAL)[1:] == (pytest.approx(1.0, abs=1e-5), ())


@pytest.mark.parametrize("flag", DISTURBED)
def test_each_disturbance_lowers_it_and_is_named(flag: str) -> None:
    _, quality, flags = judged_as(replace(IDEAL, **DISTURBED[flag]))  # type: ignore[arg-type]
    assert 0.0 < quality < 0.9
    assert flags == (flag,)


def test_it_is_one_standard_error_over_this_ones() -> None:
    ideal_s = judged_as(IDEAL)[0]
    # an undisturbed step is a little unlike those before, as the usual one is
    undisturbed_s = ERROR_MODELS["contact_time_s"].usual
    for flag, change in DISTURBED.items():
        se_s, quality, _ = judged_as(replace(IDEAL, **change))  # type: ignore[arg-type]
        cost = se_s**2 - ideal_s**2
        assert quality == pytest.approx(undisturbed_s / np.sqrt(undisturbed_s**2 + cost), rel=0.01), flag


def test_a_step_unlike_those_before_is_trusted_less_and_named() -> None:
    errors = StandardErrors({"contact_time_s": ERROR_MODELS["contact_time_s"]})
    squares = terms(IDEAL, 0.22)
    errors.judge(squares, [0.22], 0, 1)
    quality, flags = judge(IDEAL, squares, errors.judge(squares, [0.25], 2, 1)[0][0])
    assert quality < 0.8
    assert flags == ("unlike_steps_before",)


def test_a_calibrated_runner_is_not_trusted_more_than_wholly() -> None:
    errors = StandardErrors({"contact_time_s": ERROR_MODELS["contact_time_s"]})
    lost = replace(IDEAL, filled_ratio=0.2, filled_stance=0.5)
    squares = terms(lost, 0.22)
    quality, flags = judge(lost, squares, errors.judge(squares, [0.22], 0, 1, 0.1)[0][0], 0.1)
    # what is lost weighs more where less is unknown otherwise
    assert quality < judged_as(lost)[1]
    assert flags == ("lost_samples",)


def test_a_hole_and_the_first_steps_are_named_whatever_they_cost() -> None:
    assert judged_as(replace(IDEAL, filled_ratio=0.13))[2] == ("lost_samples",)
    assert judged_as(replace(IDEAL, filled_ratio=0.11))[2] == ()
    assert judged_as(replace(IDEAL, run_steps=10))[2] == ("settling",)
    assert judged_as(replace(IDEAL, run_steps=11))[2] == ()


def test_the_worst_disturbance_is_named_first() -> None:
    lost, clipped = (replace(IDEAL, **DISTURBED[f]) for f in ("lost_samples", "clipped"))  # type: ignore[arg-type]
    _, _, flags = judged_as(replace(lost, clipped_ratio=clipped.clipped_ratio))
    worse = judged_as(lost)[0] > judged_as(clipped)[0]
    assert flags == (("lost_samples", "clipped") if worse else ("clipped", "lost_samples"))


def test_a_shorter_step_is_as_uneven_as_a_longer_one() -> None:
    short, long = (judged_as(replace(IDEAL, period_ratio=ratio))[1] for ratio in (0.8, 1.2))
    assert short == pytest.approx(long)


shares = st.floats(0.0, 1.0)


@given(
    st.builds(
        Evidence,
        strangeness=st.floats(0.0, 1e6),
        run_steps=st.integers(1, 10_000),
        period_ratio=st.floats(0.1, 10.0),
        filled_ratio=shares,
        filled_stance=shares,
        filled_before=shares,
        filled_lately=shares,
        clipped_ratio=shares,
        axis_confidence=shares,
        disagrees=st.booleans(),
        yaw_radps=st.floats(-10.0, 10.0),
        has_gyroscope=st.booleans(),
        from_standing=st.booleans(),
    ),
    shares,
)
def test_it_lies_between_0_and_1_and_never_rises_with_a_disturbance(evidence: Evidence, more: float) -> None:
    _, quality, _ = judged_as(evidence)
    assert 0.0 < quality <= 1.0
    worse = (
        replace(evidence, strangeness=evidence.strangeness + more),
        replace(evidence, run_steps=max(1, evidence.run_steps // 2)),
        replace(evidence, filled_stance=min(1.0, evidence.filled_stance + more)),
        replace(evidence, clipped_ratio=min(1.0, evidence.clipped_ratio + more)),
        replace(evidence, axis_confidence=evidence.axis_confidence * more),
        replace(evidence, disagrees=True),
        replace(evidence, yaw_radps=1.1 * evidence.yaw_radps),
        replace(evidence, has_gyroscope=False),
    )
    assert all(judged_as(w)[1] <= quality + 1e-12 for w in worse)


# ---------------------------------------------------------------- quality against truth


def lossy(samples: Samples, ratio: float, burst_s: float) -> list[Samples]:
    n, burst = len(samples.t_s), round(burst_s * samples.rate_hz)
    kept = np.ones(n, dtype=bool)
    starts = np.arange(round(6.0 * samples.rate_hz), n - burst, burst)
    for start in starts[np.random.default_rng(5).random(len(starts)) < ratio]:
        kept[start : start + burst] = False
    return [keep(samples, kept)]


def clipped(samples: Samples, range_g: float) -> list[Samples]:
    limit = range_g * STANDARD_GRAVITY_MPS2
    hit = (np.abs(samples.acc_mps2) >= limit).any(axis=1)
    cut = replace(samples, acc_mps2=np.clip(samples.acc_mps2, -limit, limit))
    edges = [0, *(np.flatnonzero(np.diff(hit)) + 1).tolist(), len(hit)]
    return [replace(part(cut, a, b), clipped=bool(hit[a])) for a, b in pairwise(edges)]


WORLDS: dict[str, tuple[Scenario, Callable[[Samples], list[Samples]]]] = {
    "undisturbed": (Scenario(), lambda s: [s]),
    "slow": (Scenario(speed_mps=2.5), lambda s: [s]),
    "fast": (Scenario(speed_mps=4.5), lambda s: [s]),
    "noisy": (Scenario(sensor=SensorModel(acc_noise_g=0.03, gyro_noise_dps=0.5)), lambda s: [s]),
    "a loose strap": (Scenario(wobble_g=1.2, impact_g=2.0), lambda s: [s]),
    "a few packets lost": (Scenario(), lambda s: lossy(s, 0.05, 0.1)),
    "many packets lost": (Scenario(), lambda s: lossy(s, 0.3, 0.1)),
    "many packets lost, slow": (Scenario(speed_mps=2.5), lambda s: lossy(s, 0.3, 0.1)),
    "every other packet lost": (Scenario(), lambda s: lossy(s, 0.5, 0.2)),
    "a range of 2 g": (Scenario(), lambda s: clipped(s, 2.0)),
    "a range of 1.6 g, fast": (Scenario(speed_mps=4.5), lambda s: clipped(s, 1.6)),
}


@pytest.fixture(scope="module")
def judged() -> dict[str, Array]:
    """Quality, contact time error in ms and drop error in degrees and stated standard error in ms
    of every step (n, 4), by world."""
    result = {}
    for name, (scenario, disturb) in WORLDS.items():
        samples, truth = simulated(replace(scenario, duration_s=40.0))
        contact_s = np.array([c.initial_contact_s for c in truth])
        rows = []
        for step in only(Step, run(*disturb(samples))):
            contact = truth[int(np.argmin(np.abs(contact_s - step.initial_contact_s)))]
            rows.append(
                (
                    step.quality,
                    1e3 * (step.metrics["contact_time_s"] - contact.contact_time_s),
                    step.metrics["pelvic_drop_deg"] - contact.pelvic_drop_deg,
                    1e3 * step.errors["contact_time_s"],
                )
            )
        result[name] = np.array(rows)
    return result


def rmse(errors: Array) -> float:
    return float(np.sqrt(np.nanmean(errors**2)))


def test_steps_said_to_be_worse_are_worse(judged: dict[str, Array]) -> None:
    steps = np.concatenate(list(judged.values()))
    good, bad = steps[steps[:, 0] >= 0.9], steps[steps[:, 0] < 0.9]
    assert min(len(good), len(bad)) > 100
    assert rmse(bad[:, 1]) > 1.5 * rmse(good[:, 1])
    # quality is about contact time; of the drop it tells the good steps from the others
    assert rmse(bad[:, 2]) > 1.5 * rmse(good[:, 2])


def test_what_is_said_of_the_error_holds(judged: dict[str, Array]) -> None:
    steps = np.concatenate(list(judged.values()))
    by_error = steps[np.argsort(steps[:, 3])]
    found = [rmse(group[:, 1]) for group in np.array_split(by_error, 4)]
    said = [rmse(group[:, 3]) for group in np.array_split(by_error, 4)]
    assert found[0] < found[2] < found[3]
    # simulated runners are more alike than real ones, whose common part is most of what is said of good steps
    assert all(0.3 * s < f < 1.5 * s for f, s in zip(found, said, strict=True))


def test_an_undisturbed_run_is_good_after_its_first_steps(judged: dict[str, Array]) -> None:
    for name in ("undisturbed", "slow", "fast"):
        # sixteen steps settle; 0.8 is what the coach asks for
        assert np.mean(judged[name][16:, 0] > 0.8) > 0.95


@pytest.mark.parametrize("world", ["every other packet lost", "a range of 2 g", "a range of 1.6 g, fast"])
def test_a_disturbed_run_is_seen_to_be(judged: dict[str, Array], world: str) -> None:
    assert np.median(judged[world][:, 0]) < 0.9 < np.median(judged["undisturbed"][:, 0])
