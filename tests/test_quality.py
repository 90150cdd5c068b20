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

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, Samples, Step
from pelvis.quality import UNDISTURBED_MS, Evidence, judge
from pelvis.simulate import Scenario, SensorModel

IDEAL = Evidence(
    strangeness=1.0,
    run_steps=10_000,
    period_ratio=1.0,
    filled_ratio=0.0,
    clipped_ratio=0.0,
    axis_confidence=1.0,
    disagrees=False,
    yaw_radps=0.0,
    has_gyroscope=True,
)

DISTURBED = {
    "unusual_waveform": {"strangeness": 8.0},
    "settling": {"run_steps": 3},
    "uneven_step_time": {"period_ratio": 1.25},
    "lost_samples": {"filled_ratio": 0.3},
    "clipped": {"clipped_ratio": 0.3},
    "forward_ambiguous": {"axis_confidence": 0.1},
    "sensor_turned": {"disagrees": True},
    "turning": {"yaw_radps": -0.3},
    "no_gyroscope": {"has_gyroscope": False},
}


def test_an_undisturbed_step_is_as_good_as_it_gets() -> None:
    assert judge(IDEAL) == (pytest.approx(1.0, abs=1e-5), ())


@pytest.mark.parametrize("flag", DISTURBED)
def test_each_disturbance_lowers_it_and_is_named(flag: str) -> None:
    quality, flags = judge(replace(IDEAL, **DISTURBED[flag]))  # type: ignore[arg-type]
    assert 0.0 < quality < 0.9
    assert flags == (flag,)


def test_disturbances_add_up_in_squares_and_the_worst_is_named_first() -> None:
    lost, clipped = (replace(IDEAL, **DISTURBED[f]) for f in ("lost_samples", "clipped"))  # type: ignore[arg-type]
    quality, flags = judge(replace(lost, clipped_ratio=clipped.clipped_ratio))

    def extra(evidence: Evidence) -> float:
        return (UNDISTURBED_MS / judge(evidence)[0]) ** 2 - UNDISTURBED_MS**2

    assert (UNDISTURBED_MS / quality) ** 2 - UNDISTURBED_MS**2 == pytest.approx(extra(lost) + extra(clipped), rel=1e-3)
    assert flags == (("lost_samples", "clipped") if extra(lost) > extra(clipped) else ("clipped", "lost_samples"))


def test_a_shorter_step_is_as_uneven_as_a_longer_one() -> None:
    assert judge(replace(IDEAL, period_ratio=0.8))[0] == pytest.approx(judge(replace(IDEAL, period_ratio=1.2))[0])


shares = st.floats(0.0, 1.0)


@given(
    st.builds(
        Evidence,
        strangeness=st.floats(0.0, 1e6),
        run_steps=st.integers(1, 10_000),
        period_ratio=st.floats(0.1, 10.0),
        filled_ratio=shares,
        clipped_ratio=shares,
        axis_confidence=shares,
        disagrees=st.booleans(),
        yaw_radps=st.floats(-10.0, 10.0),
        has_gyroscope=st.booleans(),
    ),
    shares,
)
def test_it_lies_between_0_and_1_and_never_rises_with_a_disturbance(evidence: Evidence, more: float) -> None:
    quality, _ = judge(evidence)
    assert 0.0 < quality <= 1.0
    worse = (
        replace(evidence, strangeness=evidence.strangeness + more),
        replace(evidence, run_steps=max(1, evidence.run_steps // 2)),
        replace(evidence, filled_ratio=min(1.0, evidence.filled_ratio + more)),
        replace(evidence, clipped_ratio=min(1.0, evidence.clipped_ratio + more)),
        replace(evidence, axis_confidence=evidence.axis_confidence * more),
        replace(evidence, disagrees=True),
        replace(evidence, yaw_radps=1.1 * evidence.yaw_radps),
        replace(evidence, has_gyroscope=False),
    )
    assert all(judge(w)[0] <= quality + 1e-12 for w in worse)


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
    """Quality, contact time error in ms and drop error in degrees of every step (n, 3), by world."""
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
                )
            )
        result[name] = np.array(rows)
    return result


def rmse(errors: Array) -> float:
    return float(np.sqrt(np.nanmean(errors**2)))


def test_steps_said_to_be_worse_are_worse(judged: dict[str, Array]) -> None:
    steps = np.concatenate(list(judged.values()))
    groups = [steps[(steps[:, 0] >= low) & (steps[:, 0] < high)] for low, high in ((0.8, 1.01), (0.6, 0.8), (0.0, 0.6))]
    assert all(len(g) > 60 for g in groups)
    good, fair, bad = (rmse(g[:, 1]) for g in groups)
    assert good < fair < bad
    # what the limits of the groups, 0.8 and 0.6, say of the errors
    assert bad > 0.8 / 0.6 * good
    # quality is about contact time; of the drop it tells the good steps from the others
    good_drop, other_drop = rmse(groups[0][:, 2]), rmse(np.concatenate(groups[1:])[:, 2])
    assert other_drop > 1.5 * good_drop


def test_what_quality_says_of_the_error_holds_within_a_factor_of_two(judged: dict[str, Array]) -> None:
    steps = np.concatenate(list(judged.values()))
    for low, high in ((0.3, 0.5), (0.5, 0.65), (0.65, 0.8), (0.8, 0.95), (0.95, 1.01)):
        group = steps[(steps[:, 0] >= low) & (steps[:, 0] < high)]
        assert len(group) > 15
        expected_ms = np.sqrt(np.mean((UNDISTURBED_MS / group[:, 0]) ** 2))
        assert 0.5 * expected_ms < rmse(group[:, 1]) < 2.0 * expected_ms, f"quality {low} to {high}"


def test_an_undisturbed_run_is_good_after_its_first_steps(judged: dict[str, Array]) -> None:
    for name in ("undisturbed", "slow", "fast"):
        # sixteen steps settle
        assert np.mean(judged[name][16:, 0] > 0.9) > 0.95


@pytest.mark.parametrize("world", ["every other packet lost", "a range of 2 g", "a range of 1.6 g, fast"])
def test_a_disturbed_run_is_seen_to_be(judged: dict[str, Array], world: str) -> None:
    assert np.median(judged[world][:, 0]) < 0.75
