"""Steps made audible: how high a step's sound is, and how fast the runner steps. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import isfinite, sqrt

from pelvis.data import Side, Step, Stride
from pelvis.metrics import METRICS
from pelvis.quality import SAID_LATE

# In place of a metric: a tick for every provisional contact.
CONTACTS = "contacts"

# 20 steps of a foot give its mean to a quarter of a standard deviation; until then nothing is heard.
SPEAKS_AFTER = 20

# 100 steps of a foot (a bit over a minute): then the scale stands still, so that what drifts afterwards is heard.
LEARNS_FROM = 100

# 3 standard deviations are the ends of the scale: all but one step in 400 lie within.
ENDS_SD = 3.0

# below this a step's figures would be heard as changes of the runner's
MIN_QUALITY = 0.5

# 8 steps: four strides, so that a limp does not sway the cadence
PACE_STEPS = 8

# 1.5 s: longer than any running step; the steps before it belong to another stretch
PAUSE_S = 1.5


def can_be_sonified() -> tuple[str, ...]:
    """Return everything ``sound.sonify`` may name."""
    return (CONTACTS, *METRICS)


class Sonification:
    """Tells how far a metric lies from the runner's own mean, each foot by its own.

    The mean and the standard deviation are those of the first `LEARNS_FROM` good steps of the foot in this run.
    Feet have scales of their own, because the two sides' figures are not comparable step by step.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._group = METRICS[metric].group
        self._scales: dict[Side, _Scale] = {}
        self._late_until = -1

    def hear(self, item: Step | Stride) -> float | None:
        """Return -1 (3 standard deviations below the mean) to 1 (as much above), None where nothing is to be heard."""
        late = isinstance(item, Step) and SAID_LATE in item.flags
        if late:
            self._late_until = item.step_index
        if self._group != ("step" if isinstance(item, Step) else "stride"):
            return None
        value = item.metrics[self._metric]
        if not isfinite(value) or (isinstance(item, Step) and item.quality < MIN_QUALITY):
            return None
        scale = self._scales.setdefault(item.side, _Scale())
        height = scale.height(value)
        scale.learn(value)
        return None if item.step_index <= self._late_until else height


class _Scale:
    """Mean and spread of the first values (Welford 1962)."""

    def __init__(self) -> None:
        self._n = 0
        self._mean = 0.0
        self._squares = 0.0

    def learn(self, value: float) -> None:
        if self._n < LEARNS_FROM:
            self._n += 1
            away = value - self._mean
            self._mean += away / self._n
            self._squares += away * (value - self._mean)

    def height(self, value: float) -> float | None:
        if self._n < SPEAKS_AFTER or self._squares <= 0:
            return None
        sd = sqrt(self._squares / (self._n - 1))
        return min(max((value - self._mean) / (ENDS_SD * sd), -1.0), 1.0)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How fast the runner steps, and when, in even time, the last foot touched down."""

    cadence_spm: float
    contact_s: float


class Pace:
    """The rhythm of the last `PACE_STEPS` steps: the line through the times of their contacts."""

    def __init__(self) -> None:
        self._contacts_s: deque[float] = deque(maxlen=PACE_STEPS + 1)

    def hear(self, step: Step) -> Rhythm | None:
        """Return the rhythm, None before there are enough steps without a hole between them."""
        contacts_s = self._contacts_s
        if contacts_s and not 0 < step.initial_contact_s - contacts_s[-1] < self._hole_s():
            contacts_s.clear()
        contacts_s.append(step.initial_contact_s)
        if len(contacts_s) <= PACE_STEPS:
            return None
        # Steps by number from the middle one: least squares are then two sums, and a limp moves neither.
        half = PACE_STEPS // 2
        numbers = range(-half, half + 1)
        middle_s = sum(contacts_s) / len(contacts_s)
        step_s = sum(number * at_s for number, at_s in zip(numbers, contacts_s, strict=True)) / sum(
            number * number for number in numbers
        )
        return Rhythm(60.0 / step_s, middle_s + half * step_s)

    def _hole_s(self) -> float:
        known = len(self._contacts_s) - 1
        if known < 2:
            return PAUSE_S
        # 1.6 steps: a step was missed; a limp changes steps by a tenth
        return 1.6 * (self._contacts_s[-1] - self._contacts_s[0]) / known
