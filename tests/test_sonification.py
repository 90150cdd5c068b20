"""What a step sounds like: the runner's own scale, and the cadence that a metronome is compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pelvis.data import Side, Step, Stride
from pelvis.quality import SAID_LATE
from sensor_host.errors import ConfigError
from sensor_host.settings import Flag, load
from sensor_host.sonification import LEARNS_FROM, SPEAKS_AFTER, Pace, Sonification
from tests.said_examples import step, stride


def contact(index: int, contact_time_s: float, side: Side = Side.LEFT, **more: object) -> Step:
    metrics = {**step().metrics, "contact_time_s": contact_time_s}
    return replace(step(index), side=side, metrics=metrics, **more)  # type: ignore[arg-type]


def taught(n: int = LEARNS_FROM) -> Sonification:
    """Return what has heard steps of 250 ms, 10 ms to and fro: a standard deviation of 10 ms."""
    sonification = Sonification("contact_time_s")
    for i in range(n):
        sonification.hear(contact(i, 0.24 if i % 2 else 0.26))
    return sonification


def test_three_standard_deviations_are_the_end_of_the_scale() -> None:
    assert taught().hear(contact(200, 0.25)) == pytest.approx(0.0, abs=1e-9)
    assert taught().hear(contact(200, 0.265)) == pytest.approx(0.5, rel=0.01)
    assert taught().hear(contact(200, 0.219)) == -1.0


def test_nothing_is_heard_before_the_scale_is_known() -> None:
    assert taught(SPEAKS_AFTER - 1).hear(contact(200, 0.26)) is None
    assert taught(SPEAKS_AFTER).hear(contact(200, 0.26)) is not None


def test_the_scale_stands_still_so_that_a_drift_is_heard() -> None:
    sonification = taught()
    assert [sonification.hear(contact(200 + i, 0.265)) for i in range(500)] == pytest.approx([0.5] * 500, rel=0.01)


def test_each_foot_has_its_own_scale() -> None:
    sonification = taught()
    assert sonification.hear(contact(200, 0.27, Side.RIGHT)) is None


def test_steps_that_are_no_good_or_late_are_not_heard() -> None:
    sonification = taught()
    assert sonification.hear(contact(200, 0.25, quality=0.4)) is None
    assert sonification.hear(contact(201, float("nan"))) is None
    assert sonification.hear(contact(202, 0.25, flags=(SAID_LATE,))) is None
    assert sonification.hear(contact(203, 0.25)) is not None


def test_a_metric_of_the_stride_is_heard_with_the_stride_but_not_that_of_a_late_step() -> None:
    sonification = Sonification("vertical_oscillation_m")

    def said(index: int, value: float) -> Stride:
        metrics = {**stride().metrics, "vertical_oscillation_m": value}
        return replace(stride(index), step_index=index, side=Side.LEFT, metrics=metrics)

    for i in range(SPEAKS_AFTER):
        sonification.hear(contact(i, 0.25, flags=(SAID_LATE,)))
        assert sonification.hear(said(i, 0.08 + 0.01 * (i % 2))) is None
    assert sonification.hear(said(SPEAKS_AFTER - 1, 0.085)) is None
    assert sonification.hear(contact(SPEAKS_AFTER, 0.25)) is None
    assert sonification.hear(said(SPEAKS_AFTER, 0.085)) == pytest.approx(0.0, abs=1e-9)


def test_cadence_is_known_after_four_strides_and_begins_anew_after_a_pause() -> None:
    pace = Pace()
    known = [pace.hear(contact_at(i / 3)) for i in range(10)]
    assert known[:8] == [None] * 8
    assert [rhythm.cadence_spm for rhythm in known[8:] if rhythm] == pytest.approx([180, 180])
    assert pace.hear(contact_at(20.0)) is None


def test_a_missed_step_is_no_slower_cadence() -> None:
    pace = Pace()
    numbers = [*range(20), *range(21, 40)]
    known = [pace.hear(contact_at(number / 3)) for number in numbers]
    assert [rhythm.cadence_spm for rhythm in known if rhythm] == pytest.approx([180] * 23)


@pytest.mark.parametrize("limp_s", [0.0, 0.02])
def test_the_last_contact_is_told_in_even_time_whatever_its_own_error(limp_s: float) -> None:
    pace = Pace()
    rng = np.random.default_rng(1)
    off_s = []
    for number in range(500):
        true_s = number / 3
        rhythm = pace.hear(contact_at(true_s + limp_s * (number % 2 - 0.5) + rng.normal(0, 0.01)))
        if rhythm is not None:
            off_s.append(rhythm.contact_s - true_s)
    # Of nine points with an error of 10 ms each, a line's end has one of 10 (1/9 + 16/60) ** 0.5 = 6.1 ms.
    assert np.std(off_s) == pytest.approx(0.0061, rel=0.2)
    assert abs(np.mean(off_s)) < 0.001


def contact_at(t_s: float) -> Step:
    return replace(step(), initial_contact_s=t_s)


def test_what_cannot_be_made_audible_is_refused_with_the_nearest_that_can() -> None:
    with pytest.raises(ConfigError, match=r"sound\.sonify = \"contact_time\".*contact_time_s") as error:
        load(flags=[Flag("--sonify", "sound.sonify", "contact_time")])
    assert error.value.suggestion == "contact_time_s"
