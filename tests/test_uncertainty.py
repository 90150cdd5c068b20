"""A standard error grows with everything that disturbs, has a part that averaging removes and one that it does not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from core_run import keep, only, run, simulated
from hypothesis import given
from hypothesis import strategies as st
from said_examples import IDEAL, step

from pelvis.averages import BALANCE_STEPS, HELD_STEPS, Average, Averages, balance_of
from pelvis.coefficients import SHIPPED
from pelvis.data import Evidence, Samples, Speed, Step, Stride
from pelvis.error_coefficients import ERROR_MODELS, FITTED_FOR, SIDES_SE_S
from pelvis.metrics import METRICS, REFUSED, STEP_METRICS, STRIDE_METRICS, error_name
from pelvis.personal import ContactPoint, Personal
from pelvis.pipeline import Pipeline, Settings
from pelvis.simulate import Scenario
from pelvis.uncertainty import (
    FEWEST_STEPS,
    FILLED_STRIDE,
    OWN_TERMS,
    TERMS,
    ErrorModel,
    StandardErrors,
    dependence_of,
    product_error,
    steps_needed,
    terms,
)

CONTACT_TIME = ("initial_contact_s", "toe_off_s", "contact_time_s")


def said(
    names: Iterable[str] = CONTACT_TIME,
    evidence: Evidence = IDEAL,
    values: Iterable[float] | None = None,
    calibrated: float = 1.0,
) -> tuple[list[float], list[float]]:
    """Standard errors and their common parts of a step of 0.22 s, the first of its run."""
    names = tuple(names)
    errors = StandardErrors({name: ERROR_MODELS[name] for name in names})
    values = [0.22] * len(names) if values is None else values
    return errors.judge(terms(evidence, 0.22), values, 0, 1, calibrated)


# ---------------------------------------------------------------- one step


@pytest.mark.parametrize(
    "change",
    [
        {"filled_stance": 0.4},
        {"filled_lately": 0.2},
        {"clipped_ratio": 0.3},
        {"period_ratio": 1.2},
        {"period_ratio": 0.8},
        {"run_steps": 1},
        {"strangeness": 9.0},
        {"axis_confidence": 0.1},
        {"has_gyroscope": False},
        {"disagrees": True},
    ],
    ids=str,
)
def test_every_disturbance_makes_contacts_less_certain(change: dict[str, object]) -> None:
    worse = said(evidence=replace(IDEAL, **change))[0]  # type: ignore[arg-type]
    assert all(one > other for one, other in zip(worse, said()[0], strict=True))


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_made_up_samples_never_make_anything_more_certain(some: float, more: float) -> None:
    few, many = sorted((some, more))
    low, high = (
        said([m.name for m in STEP_METRICS], replace(IDEAL, filled_stance=x, filled_before=x, filled_lately=x))[0]
        for x in (few, many)
    )
    assert all(a <= b for a, b in zip(low, high, strict=True))


def test_variances_add_up() -> None:
    lost, clipped = replace(IDEAL, filled_stance=0.3), replace(IDEAL, clipped_ratio=0.2)
    both = replace(lost, clipped_ratio=0.2)
    ideal, one, other, together = (np.square(said(evidence=e)[0]) for e in (IDEAL, lost, clipped, both))
    np.testing.assert_allclose(together - ideal, (one - ideal) + (other - ideal))


def test_what_lies_inside_the_fit_is_known_and_what_lies_beyond_less_so_the_further() -> None:
    errors = [said(evidence=replace(IDEAL, strangeness=x))[0][2] for x in (0.5, 1.5, 4.0, 8.0, 16.0)]
    assert errors[0] == errors[1] < errors[2] < errors[3] < errors[4]


def test_a_step_unlike_its_neighbours_of_the_same_foot_is_less_certain() -> None:
    errors = StandardErrors({"contact_time_s": ERROR_MODELS["contact_time_s"]})
    squares = terms(IDEAL, 0.22)
    # the feet differ, as many people's do: that is no reason to doubt
    steady = [errors.judge(squares, [0.25 if k % 2 else 0.20], k, 1)[0][0] for k in range(20)]
    assert steady == [steady[0]] * 20
    odd = errors.judge(squares, [0.24], 20, 1)[0][0]
    after = errors.judge(squares, [0.20], 22, 1)[0][0]
    assert odd > 1.5 * steady[0]
    assert steady[0] < after < odd
    # another run knows nothing of it
    assert errors.judge(squares, [0.24], 24, 2)[0][0] == steady[0]


def test_what_is_unknown_has_no_standard_error() -> None:
    errors, common = said(values=[0.22, math.nan, 0.22])
    assert [math.isnan(x) for x in errors] == [math.isnan(x) for x in common] == [False, True, False]


def test_the_common_part_is_a_part() -> None:
    for metrics in (STEP_METRICS, STRIDE_METRICS):
        errors, common = said([m.name for m in metrics], replace(IDEAL, filled_stance=0.3, run_steps=3))
        assert all(0.0 <= part <= whole for part, whole in zip(common, errors, strict=True))


def test_a_calibration_takes_the_runners_own_part_away_and_nothing_else() -> None:
    names = ("contact_time_s", "initial_contact_s", "cadence_spm")
    (whole, contact, cadence), (common, contact_common, _) = said(names)
    (less, half, same), (left, half_left, _) = said(names, calibrated=0.25)
    # a quarter of the variance is left; of that of initial contact, whose error is half of the matter, more
    assert left == pytest.approx(0.5 * common)
    assert less**2 - left**2 == pytest.approx(whole**2 - common**2)
    assert half_left == pytest.approx(math.sqrt(0.625) * contact_common)
    assert contact > half
    assert same == cadence


def test_a_product_is_as_uncertain_as_its_factors_together() -> None:
    se, common = product_error(2.0, 0.03, 0.04)
    assert (se, common) == (pytest.approx(0.1), pytest.approx(0.06))


# ---------------------------------------------------------------- the numbers


def test_every_figure_has_a_model_and_every_term_a_meaning() -> None:
    assert set(ERROR_MODELS) == {"initial_contact_s", "toe_off_s", *METRICS}
    for name, model in ERROR_MODELS.items():
        assert set(model.terms) <= {*TERMS, *OWN_TERMS}, name
        assert all(x > 0.0 for x in model.terms.values()), name
        assert 0.0 <= model.common <= 1.0
        assert model.dependence > 0.0
        assert model.usual > 0.0
    assert len(terms(IDEAL, 0.22)) == len(TERMS)


def test_they_are_those_of_the_event_models_that_are_shipped() -> None:
    assert SHIPPED.version == FITTED_FOR, "hipdrive validate DATA --fit-errors --write-errors"


def test_the_name_of_an_error_ends_in_its_unit() -> None:
    assert error_name("contact_time_s") == "contact_time_se_s"
    assert error_name("cadence_spm") == "cadence_se_spm"
    assert METRICS["vertical_oscillation_m"].error_name == "vertical_oscillation_se_m"
    assert not {metric.error_name for metric in METRICS.values()} & set(METRICS)


def test_what_is_refused_is_no_metric_and_says_why() -> None:
    assert not set(REFUSED) & set(METRICS)
    assert "contact_time_asymmetry" in REFUSED
    assert all(row.reason.endswith(".") for row in REFUSED.values())


# ---------------------------------------------------------------- means


def mean_of(n: int, error: float, common: float, name: str = "contact_time_s") -> Average:
    average = Average(name)
    for k in range(n):
        average.take(0.2 + 0.01 * (k % 2), error, common)
    return average


def test_a_mean_is_as_uncertain_as_what_its_steps_have_in_common_and_a_share_of_what_they_have_not() -> None:
    dependence = ERROR_MODELS["contact_time_s"].dependence
    for n in (FEWEST_STEPS, 400):
        # 5 ms = 3 ms in common and 4 ms that are not
        assert mean_of(n, 0.005, 0.003).se == pytest.approx(math.sqrt(0.003**2 + dependence * 0.004**2 / n))
    assert mean_of(1, 0.005, 0.003).se == pytest.approx(0.005, rel=0.05)
    assert mean_of(100_000, 0.005, 0.003).se == pytest.approx(0.003, rel=0.01)


def test_a_mean_of_nothing_is_unknown() -> None:
    assert math.isnan(Average("contact_time_s").se)
    average = Average("contact_time_s")
    average.take(math.nan, math.nan, math.nan)
    assert average.n == 0


def test_fewer_steps_than_were_ever_looked_at_are_taken_for_partly_independent() -> None:
    assert dependence_of(0, 0.2) == 1.0
    assert 0.2 < dependence_of(FEWEST_STEPS // 2, 0.2) < 1.0
    assert dependence_of(FEWEST_STEPS, 0.2) == dependence_of(1000, 0.2) == pytest.approx(0.2)


def test_all_averages_are_those_of_the_values_however_they_were_counted_in() -> None:
    rng = np.random.default_rng(4)
    # some held back, some counted, some unknown
    values = rng.normal(0.22, 0.01, 2 * HELD_STEPS + 7)
    values[::5] = np.nan
    averages, one_by_one = Averages(), Average("contact_time_s")
    for k, value in enumerate(values.tolist()):
        averages.take(replace(step(), metrics={"contact_time_s": value}, errors={"contact_time_s": 0.008 + 1e-5 * k},
                              common_errors={"contact_time_s": 0.005}))  # fmt: skip
        one_by_one.take(value, 0.008 + 1e-5 * k, 0.005)
        if k == 3:
            assert averages["contact_time_s"].n == 3
    average = averages["contact_time_s"]
    assert average.n == np.isfinite(values).sum()
    assert average.mean == pytest.approx(np.nanmean(values), rel=1e-12)
    assert average.sd == pytest.approx(np.nanstd(values, ddof=1), rel=1e-9)
    assert average.se == pytest.approx(one_by_one.se, rel=1e-9)
    assert averages["cadence_spm"].n == 0


def test_a_mean_needs_steps_until_what_averages_out_is_below_the_last_digit_shown() -> None:
    # 8 ms, independent, to 1 ms: 64 steps
    assert steps_needed(0.008**2, 1.0, 0.001) == 64
    assert steps_needed(0.001**2, 1.0, 0.001) == FEWEST_STEPS
    assert mean_of(10, 0.02, 0.003).needs > mean_of(10, 0.01, 0.003).needs
    for metric in METRICS.values():
        assert metric.steps_needed >= FEWEST_STEPS
        assert Average(metric.name).needs == metric.steps_needed


def test_the_balance_of_the_feet_waits_for_enough_steps_of_each() -> None:
    few, many = mean_of(BALANCE_STEPS - 1, 0.009, 0.007), mean_of(BALANCE_STEPS, 0.009, 0.007)
    assert balance_of(few, many) is None
    assert balance_of(many, few) is None
    balance = balance_of(many, mean_of(BALANCE_STEPS, 0.009, 0.007))
    assert balance is not None
    assert balance.ratio == pytest.approx(0.5)
    # the difference of the feet is off by SIDES_SE_S at least, a quarter of which moves the share
    assert balance.se_ratio > SIDES_SE_S / (4.0 * many.mean)


def test_the_balance_is_the_left_foots_share() -> None:
    left, right = Average("contact_time_s"), Average("contact_time_s")
    for _ in range(BALANCE_STEPS):
        left.take(0.26, 0.009, 0.007)
        right.take(0.24, 0.009, 0.007)
    balance = balance_of(left, right)
    assert balance is not None
    assert balance.ratio == pytest.approx(0.52)


# ---------------------------------------------------------------- the core


@pytest.fixture(scope="module")
def clean() -> Samples:
    return simulated(Scenario(duration_s=30.0))[0]


def holed(samples: Samples) -> Samples:
    """Lose 50 ms every half second of the second half of the run."""
    since_s = samples.t_s - 20.0
    return keep(samples, (since_s < 0.0) | (np.mod(since_s, 0.5) > 0.05))


def test_every_figure_comes_with_its_error(clean: Samples) -> None:
    for item in run(clean):
        if isinstance(item, Step | Stride):
            assert list(item.errors) == list(item.common_errors) == list(item.metrics)
            for name, value in item.metrics.items():
                assert math.isnan(item.errors[name]) == math.isnan(value), name
        if isinstance(item, Step):
            assert 0.0 < item.initial_contact_se_s < item.errors["contact_time_s"]
            assert 0.0 < item.toe_off_se_s < item.errors["contact_time_s"]


def test_lost_samples_make_what_is_integrated_twice_least_certain(clean: Samples) -> None:
    lossy = holed(clean)

    def typical(samples: Samples, name: str) -> float:
        errors = [
            item.errors[name]
            for item in run(samples)
            if isinstance(item, Step | Stride) and name in item.errors and item.initial_contact_s > 21.0
        ]
        return float(np.nanmedian(errors))

    measured = [name for name in METRICS if name not in ("speed_mps", "step_length_m", "vertical_ratio_percent")]
    growth = {name: typical(lossy, name) / typical(clean, name) for name in measured}
    assert min(growth.values()) > 0.98
    assert min(growth["vertical_oscillation_m"], growth["pelvis_sway_m"]) > 1.3
    assert growth["contact_time_s"] < growth["vertical_oscillation_m"]


def test_a_stride_knows_its_own_holes(clean: Samples) -> None:
    # 60 ms in the flight after the left foot: no stance holds any of it, strides do
    steps = only(Step, run(clean))
    step = next(s for s in steps if s.initial_contact_s > 20.0)
    start_s = step.toe_off_s + 0.02
    kept = (clean.t_s < start_s) | (clean.t_s > start_s + 0.06)
    said_holed = list(Pipeline(Settings(inputs=True)).feed(keep(clean, kept)))
    strides = {item.step_index: item for item in said_holed if type(item).__name__ == "StrideInputs"}
    filled = [index for index, item in strides.items() if item.terms[FILLED_STRIDE] > 0.0]  # type: ignore[union-attr]
    assert len(filled) == 2
    assert step.step_index in filled


def test_a_calibration_of_the_runner_reaches_every_step(clean: Samples) -> None:
    plain = only(Step, run(clean))
    known = ContactPoint(float(np.median([s.metrics["contact_time_s"] for s in plain])), 0.0, 0.001)
    settings = Settings(personal=Personal("force plate", (known,)))
    calibrated = only(Step, list(Pipeline(settings).feed(clean)))
    assert len(calibrated) > 40
    for one, other in zip(calibrated[16:], plain[16:], strict=False):
        assert one.errors["contact_time_s"] < 0.95 * other.errors["contact_time_s"]
        assert one.initial_contact_se_s < other.initial_contact_se_s
        assert one.errors["pelvic_drop_deg"] == other.errors["pelvic_drop_deg"]


def test_a_speed_that_was_measured_is_taken_as_given_and_an_estimate_is_not(clean: Samples) -> None:
    estimated = only(Step, run(clean))[-1]
    told = only(Step, run(Speed(0.0, 3.0, "treadmill"), clean))[-1]
    assert estimated.speed_source == "estimate"
    assert 0.1 < estimated.errors["speed_mps"] / estimated.metrics["speed_mps"] < 0.2
    assert math.isnan(told.errors["speed_mps"])
    # what is left is the interval between the contacts
    assert 0.0 < told.errors["step_length_m"] < 0.3 * estimated.errors["step_length_m"]


def test_a_model_without_terms_says_nothing_wrong() -> None:
    nothing = StandardErrors({"contact_time_s": ErrorModel({}, 0.5, 1.0, 1.0)})
    assert nothing.judge(terms(IDEAL, 0.22), [0.22], 0, 1) == ([0.0], [0.0])
