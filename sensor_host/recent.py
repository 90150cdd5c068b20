"""Means over the last ten seconds, for those who look in now and then."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

from pelvis.averages import Averages
from pelvis.data import Step, Stride
from sensor_host.summary import GOOD_QUALITY

# 10 s: about 28 steps, so that one odd step moves a mean by less than steps differ anyway
WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class Means:
    """Means over ``steps`` steps of good quality, and their standard errors; NaN where nothing is known."""

    steps: int
    quality: float
    metrics: Mapping[str, float]
    errors: Mapping[str, float]


class RecentSteps:
    """The steps of good quality whose initial contact lies in the last `WINDOW_S`."""

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._strides: dict[int, Stride] = {}

    def add(self, item: Step | Stride) -> None:
        """Remember a step, or what became known about one later."""
        if isinstance(item, Stride):
            self._strides[item.step_index] = item
        elif item.quality >= GOOD_QUALITY:
            self._steps.append(item)

    def means(self, t_s: float) -> Means:
        """Return the means over the window that ends at ``t_s``, and forget what lies before it."""
        while self._steps and self._steps[0].initial_contact_s < t_s - WINDOW_S:
            self._steps.popleft()
        self._strides = {i: s for i, s in self._strides.items() if s.initial_contact_s >= t_s - WINDOW_S}
        averages = Averages()
        for step in self._steps:
            stride = self._strides.get(step.step_index)
            for item in (step, stride) if stride is not None else (step,):
                averages.take(item)
        n = len(self._steps)
        quality = sum(step.quality for step in self._steps) / n if n else nan
        return Means(
            n,
            quality,
            {average.name: average.mean if average.n else nan for average in averages},
            {average.name: average.se for average in averages},
        )
