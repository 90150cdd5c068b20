from __future__ import annotations

import math

from pelvis.metrics import STEP_METRICS, STRIDE_METRICS
from sensor_host.recent import WINDOW_S, RecentSteps
from tests.said_examples import step, stride


def test_means_are_taken_over_steps_and_what_became_known_of_them() -> None:
    recent = RecentSteps()
    for index in range(4):
        recent.add(step(index, quality=0.6 + 0.1 * index))
    recent.add(stride(0))
    means = recent.means(12.0)
    assert means.steps == 4
    assert math.isclose(means.quality, 0.75)
    assert means.metrics[STEP_METRICS[0].name] == 1.25
    assert means.metrics[STRIDE_METRICS[0].name] == 2.5


def test_what_lies_before_the_window_is_forgotten() -> None:
    recent = RecentSteps()
    for index in range(100):
        recent.add(step(index))
        recent.add(stride(index))
    end_s = step(99).initial_contact_s
    assert recent.means(end_s).steps == math.floor(WINDOW_S / 0.35) + 1
    nothing = recent.means(end_s + WINDOW_S + 1.0)
    assert nothing.steps == 0
    assert math.isnan(nothing.quality)
    assert all(math.isnan(value) for value in nothing.metrics.values())


def test_a_step_of_poor_quality_has_no_say() -> None:
    recent = RecentSteps()
    recent.add(step(0, quality=0.2))
    recent.add(stride(0))
    assert recent.means(11.0).steps == 0
