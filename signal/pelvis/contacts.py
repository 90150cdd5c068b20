"""When a foot meets and leaves the ground: anchors, the forward axis, events, side.

The vertical force of a runner crosses body weight twice a step; those two crossings
anchor a step. Where contact really begins and ends follows from the harmonics of the
last step's vertical and fore-aft acceleration and pitch rate, by a ridge model fitted on
force plates (`pelvis.coefficients`). The side is the sign of the roll rate in early stance.
"""

from __future__ import annotations

import cmath
import copy
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

import numpy as np

from pelvis.data import Array
from pelvis.models import EventModels, Ridge

# 200 ms: shortest step at 300 steps a minute
SHORTEST_STEP_SAMPLES = 40
BODY_WEIGHT_G = 1.0
LOADED_G = 1.25
UNLOADED_G = 0.85


# 64 rows: looking at each of them takes no longer than asking NumPy which ones matter
FEW_ROWS = 64


def _crossings(previous: float, values: Array, levels: tuple[float, ...]) -> Iterable[tuple[int, float, float]]:
    """Return (row, value before it, value) for every row that crosses a level, and maybe for others."""
    if len(values) <= FEW_ROWS:
        rows = values.tolist()
        return zip(range(len(rows)), (previous, *rows), rows)  # noqa: B905 - the last row is before no other
    z = np.concatenate(([previous], values))
    above = np.zeros(len(z), np.int8)
    for level in levels:
        above += z >= level
    crossing = (above[1:] != above[:-1]).nonzero()[0]
    return zip(crossing.tolist(), z[crossing].tolist(), z[crossing + 1].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class Anchor:
    """One loading of a leg: fractional grid indices at which vertical force crossed body weight."""

    up: float
    down: float


class AnchorFinder:
    """Finds loadings in the smoothed vertical force, as it comes.

    Up is the last rise through 1 g before 1.25 g is exceeded, at least 200 ms after the one
    before; down the next fall through 1 g, taken as final once the force is under 0.85 g.
    """

    def __init__(self) -> None:
        self._previous = float("nan")
        self._rise = -math.inf
        self._up = -math.inf
        self._down = math.nan
        self._loaded = False
        self._valid_from = 0

    def find(self, first_index: int, vertical_g: Array) -> list[tuple[int, Anchor]]:
        """Return (index of the deciding row, anchor) for rows centred on ``first_index`` onward."""
        found: list[tuple[int, Anchor]] = []
        pairs = _crossings(self._previous, vertical_g, (UNLOADED_G, BODY_WEIGHT_G, LOADED_G))
        self._previous = float(vertical_g[-1])
        for i, low, high in pairs:
            index = first_index + i
            if low < BODY_WEIGHT_G <= high and index > self._valid_from:
                self._rise = index - 1 + (BODY_WEIGHT_G - low) / (high - low)
            if low < LOADED_G <= high and not self._loaded and self._rise - self._up >= SHORTEST_STEP_SAMPLES:
                self._loaded = True
                self._up = self._rise
                self._down = math.nan
            if self._loaded and high < BODY_WEIGHT_G <= low:
                self._down = index - 1 + (low - BODY_WEIGHT_G) / (low - high)
            if self._loaded and high < UNLOADED_G <= low:
                self._loaded = False
                found.append((index, Anchor(self._up, self._down)))
        return found

    def restart(self, index: int) -> None:
        """Forget a loading that was under way; what is centred before ``index`` is not real."""
        self._valid_from = index
        self._previous = math.nan
        self._rise = -math.inf
        self._loaded = False


# ------------------------------------------------------------------ forward axis

PHASES = 24
PHASE_STEPS = np.arange(PHASES) / PHASES


def _comparison() -> Array:
    """Return the matrix that turns two steps into their half-sum about its mean, half-difference and fundamental.

    (2 * PHASES + 2, 2 * PHASES); the last two rows are real and imaginary part of the half-sum's first harmonic.
    """
    one = np.eye(PHASES)
    about_mean = one - 1.0 / PHASES
    half_sum = 0.5 * np.hstack((about_mean, about_mean))
    half_difference = 0.5 * np.hstack((-one, one))
    harmonic = np.vstack((np.cos(2.0 * np.pi * PHASE_STEPS), -np.sin(2.0 * np.pi * PHASE_STEPS)))
    return np.vstack((half_sum, half_difference, harmonic @ half_sum))


_COMPARE = _comparison()
# +35 deg: phase of fore-aft against vertical velocity in running, all runners and speeds alike
_FORWARD_PHASE = cmath.exp(-1j * math.radians(35.0))
# 0.12: about 8 steps; a runner turns faster than a clip slips
AXIS_MEMORY = 0.12


class StepPair(NamedTuple):
    """What two successive steps say about forward, seen from the reference axis."""

    acc: complex
    gyr: complex
    acc_energy: float
    gyr_energy: float
    fore_aft_x: complex
    fore_aft_y: complex
    vertical_velocity: complex


class Moments(NamedTuple):
    """What two steps have in common and in which they differ, in earth axes; see `step_moments`."""

    like: list[list[float]]
    unlike: list[list[float]]
    real: list[float]
    imaginary: list[float]


def step_moments(signals: Array) -> list[Moments]:
    """Return the second moments of half-sum and half-difference of pairs of steps, and the half-sum's first harmonic.

    ``signals`` (n, 2 * PHASES, 6) are earth-frame force in g and rate in rad/s, one step after the other. Each pair
    comes out the same in any company.
    """
    seen = _COMPARE @ signals
    total, change = seen[:, :PHASES], seen[:, PHASES : 2 * PHASES]
    like = (total.transpose(0, 2, 1) @ total).tolist()
    unlike = (change.transpose(0, 2, 1) @ change).tolist()
    return [Moments(*one) for one in zip(like, unlike, *seen[:, 2 * PHASES :].transpose(1, 0, 2).tolist(), strict=True)]


def compare_steps(moments: Moments, heading: complex) -> StepPair:
    """Return what the half-sum and half-difference of two steps hold; ``heading`` is the reference axis' direction."""
    like, unlike, real, imaginary = moments
    east, north, up = (complex(real[i], imaginary[i]) for i in range(3))
    # second moments of complex signals, turned from earth axes to the reference axis
    turn = heading.conjugate() ** 2 / PHASES
    acc = complex(like[0][0] - like[1][1] - unlike[0][0] + unlike[1][1], 2.0 * (like[0][1] - unlike[0][1]))
    gyr = complex(unlike[3][3] - unlike[4][4] - like[3][3] + like[4][4], 2.0 * (unlike[3][4] - like[3][4]))
    return StepPair(
        acc=acc * turn,
        gyr=gyr * turn,
        acc_energy=(like[0][0] + like[1][1] + unlike[0][0] + unlike[1][1]) / PHASES,
        gyr_energy=(like[3][3] + like[4][4] + unlike[3][3] + unlike[4][4]) / PHASES,
        fore_aft_x=east * heading.real + north * heading.imag,
        fore_aft_y=north * heading.real - east * heading.imag,
        vertical_velocity=2.0 * up / 1j,
    )


class ForwardAxis:
    """Where forward is, seen from the reference axis, learned from how steps repeat.

    Fore-aft and pitch repeat every step, mediolateral and roll change sign: the half-sum of two
    successive steps holds the former, the half-difference the latter. Forward against backward
    is told by the phase of fore-aft acceleration against vertical velocity. ``memory`` is the
    least weight of a new step (0: a plain mean of all).
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self._acc = 0j
        self._gyr = 0j
        self._acc_energy = 0.0
        self._gyr_energy = 0.0
        self._sign = 0.0
        self._angle = 0.0
        self.steps = 0
        self.vote = 0.0
        """What the last two steps say: below 0 where forward looks like backward."""

    def learn(self, pair: StepPair) -> None:
        """Take in two successive steps."""
        self.steps += 1
        share = max(self.memory, 1.0 / self.steps)
        self._acc += share * (pair.acc - self._acc)
        self._gyr += share * (pair.gyr - self._gyr)
        self._acc_energy += share * (pair.acc_energy - self._acc_energy)
        self._gyr_energy += share * (pair.gyr_energy - self._gyr_energy)
        total = self._acc / max(self._acc_energy, 1e-9)
        if self._gyr_energy > 1e-9:
            total += self._gyr / self._gyr_energy
        angle = 0.5 * cmath.phase(total)
        if self.steps > 1:
            angle += math.pi * round((self._angle - angle) / math.pi)
        a1 = pair.fore_aft_x * math.cos(angle) + pair.fore_aft_y * math.sin(angle)
        size = abs(a1) * abs(pair.vertical_velocity)
        vote = (a1 * pair.vertical_velocity.conjugate() * _FORWARD_PHASE).real / size if size > 0.0 else 0.0
        self.vote = vote
        self._sign += share * (vote - self._sign)
        if self._sign < 0.0:
            angle += math.pi
            self._sign = -self._sign
        self._angle = math.remainder(angle, 2.0 * math.pi)

    def doubt(self, steps: int) -> None:
        """Let what was learned count for no more than ``steps`` steps, so that new ones soon outweigh it."""
        self.steps = min(self.steps, steps)

    def settled(self) -> ForwardAxis:
        """Return an axis that goes on from here as a plain mean."""
        axis = copy.copy(self)
        axis.memory = 0.0
        return axis

    @property
    def angle_rad(self) -> float:
        """Forward, counter-clockwise from the reference axis."""
        return self._angle

    @property
    def sign_confidence(self) -> float:
        """0 (forward might be backward) to 1."""
        return self._sign


# ------------------------------------------------------------------ events

MODEL_POINTS = 32
_MODEL_STEPS = np.arange(MODEL_POINTS) / MODEL_POINTS
_ANGLES = 2.0 * np.pi * np.outer((1, 2, 3), _MODEL_STEPS)
# rows: cosine and minus sine of the first three harmonics
_HARMONICS = np.concatenate((np.cos(_ANGLES), -np.sin(_ANGLES))) * (2.0 / MODEL_POINTS)
# 75 ms after the second anchor: as far as the smoothed signals are known when the step is decided
MODEL_END_SAMPLES = 15.0


def model_positions(anchor: Anchor, period_samples: float) -> Array:
    """Return the fractional indices (32,) at which the event model looks at the smoothed signals."""
    return anchor.down + MODEL_END_SAMPLES - period_samples * (1.0 - _MODEL_STEPS)


# 40, 20 and 0 ms before the rise through body weight: where a landing shows first
EDGE_SAMPLES = (-8.0, -4.0, 0.0)
# 80 ms before to 60 ms after the rise through body weight: where its steepest part lies
RISE_BEFORE_SAMPLES, RISE_AFTER_SAMPLES = 16, 12


class Features(NamedTuple):
    """What the event models are given: FEATURES of a step, the instants events are counted from, and the step's period.

    Instants and period are in grid samples.
    """

    contact_origin: float
    toe_off_origin: float
    period: float
    values: tuple[float, ...]


class Events(NamedTuple):
    """Initial contact and toe-off as fractional grid indices; ``strangeness`` is the mean squared
    deviation of the features from those of the fit, in squared spreads (1 is usual).
    """

    initial_contact: float
    toe_off: float
    strangeness: float


def rise_foot(vertical_g: Array, first_index: int) -> float:
    """Return the fractional index at which the steepest tangent to a rise (n,) of vertical force begins at zero force.

    Slopes change how steeply force rises, and with it when it passes body weight, but not where the rise begins.
    """
    z: list[float] = vertical_g.tolist()
    rises = [0.5 * (after - before) for before, after in zip(z[:-2], z[2:], strict=True)]
    k = max(range(len(rises)), key=rises.__getitem__)
    steepest, part = rises[k], 0.0
    if 0 < k < len(rises) - 1:
        # the top of the parabola through the steepest three
        before, after = rises[k - 1], rises[k + 1]
        bend = before - 2.0 * steepest + after
        if bend < 0.0:
            part = 0.5 * (before - after) / bend
            steepest -= 0.25 * (before - after) * part
    height = z[k + 1] + part * (z[k + 2] - z[k + 1] if part > 0.0 else z[k + 1] - z[k])
    return first_index + k + 1 + part - height / max(steepest, 1e-6)


def event_features(anchor: Anchor, period_samples: float, signals: Array, begin: float) -> Features:
    """Return what the event models see of a step's signals.

    ``signals`` (35, 3) at `model_positions` and then at the rise plus `EDGE_SAMPLES`: vertical force in g, fore-aft
    force in g, pitch rate in rad/s (zero without a gyroscope). ``begin`` is where the landing begins as seen by
    vertical force alone: the rise through body weight, or its foot.

    Contact is counted from halfway between there and the zero phase of the vertical fundamental, toe-off likewise: the
    phase is steadier from step to step, the edge moves less with slope and with the hardness of the landing.
    """
    wave, edge = signals[:MODEL_POINTS], signals[MODEL_POINTS:]
    start = float(anchor.down + MODEL_END_SAMPLES - period_samples - anchor.up)
    turn = cmath.exp(-2j * math.pi * start / period_samples)
    (z40, a40, _), (z20, a20, _), (_, a0, _) = edge.tolist()
    np.maximum(wave[:, 0], 0.0, out=wave[:, 0])
    real1, real2, real3, imag1, imag2, imag3 = (_HARMONICS @ wave).tolist()
    # harmonics as seen from the zero phase of the vertical fundamental
    z1 = complex(real1[0], imag1[0]) * turn
    size = abs(z1)
    origin = anchor.up - cmath.phase(z1) * period_samples / (2.0 * math.pi)
    spin = turn * z1.conjugate() / size
    spin2, spin3 = spin * spin, spin * spin * spin
    z2, z3 = complex(real2[0], imag2[0]) * spin2, complex(real3[0], imag3[0]) * spin3
    a1, a2 = complex(real1[1], imag1[1]) * spin, complex(real2[1], imag2[1]) * spin2
    p1, p2 = complex(real1[2], imag1[2]) * spin, complex(real2[2], imag2[2]) * spin2
    p3 = complex(real3[2], imag3[2]) * spin3
    values = (
        size, z2.real, z2.imag, z3.real, z3.imag, a1.real, a1.imag, a2.real, a2.imag, 100.0 / period_samples,
        z40, z20, a40, a20, a0,
        p1.imag, p2.real, p2.imag, p3.imag,
    )  # fmt: skip
    return Features(0.5 * (origin + begin), 0.5 * (origin + anchor.down), period_samples, values)


def find_events(features: Features, models: EventModels, *, with_gyroscope: bool) -> Events:
    """Return the contact events the models find in a step."""
    if with_gyroscope:
        contact, toe_off = models.initial_contact, models.toe_off
    else:
        contact, toe_off = models.initial_contact_without_gyroscope, models.toe_off_without_gyroscope
    contact_phase, contact_odd = _evaluate(contact, features.values)
    toe_off_phase, toe_off_odd = _evaluate(toe_off, features.values)
    return Events(
        features.contact_origin + features.period * contact_phase,
        features.toe_off_origin + features.period * toe_off_phase,
        0.5 * (contact_odd + toe_off_odd),
    )


def _evaluate(model: Ridge, features: tuple[float, ...]) -> tuple[float, float]:
    seen = [features[k] for k in model.columns]
    value = model.bias + sum(map(mul, model.weights, seen))
    odd = 0.0
    for x, mean, spread in zip(seen, model.mean, model.spread):  # noqa: B905 - hot
        odd += ((x - mean) / spread) ** 2
    return value, odd / len(seen)


# ------------------------------------------------------------------ side


class SideVote:
    """Which foot it is, from how the pelvis rolls in early stance; steps alternate, so votes add up."""

    def __init__(self) -> None:
        self._last_rate = math.nan
        self._lock = 0.0
        self._confidence = 0.0
        self._recent: deque[float] = deque(maxlen=10)
        self.swapped = False

    def vote(self, roll_rate_radps: float, steps_since: int) -> tuple[float, float]:
        """Return (lock, confidence): lock > 0 for the right foot.

        ``roll_rate_radps`` is the mean rate about the forward axis in early stance (right side up
        is negative roll); ``steps_since`` the number of steps since the last vote (1 in a row).
        """
        if math.isnan(self._last_rate) or steps_since != 1:
            self.hold(steps_since)
            self._last_rate = roll_rate_radps
            return self._lock, 0.0
        value = 0.5 * (roll_rate_radps - self._last_rate)
        self._last_rate = roll_rate_radps
        self._lock = -0.9 * self._lock + value
        self._recent.append(abs(value))
        size = sum(self._recent) / len(self._recent)
        # a perfectly alternating vote of this size would lock at ten times itself
        full = size * (1.0 - 0.9 ** len(self._recent)) / 0.1
        self._confidence = min(1.0, abs(self._lock) / full) if full > 0.0 else 0.0
        return self._lock, self._confidence

    def hold(self, steps_since: int) -> tuple[float, float]:
        """Go on counting without a vote: this step's roll rate means nothing."""
        if steps_since % 2:
            self._lock = -self._lock
        self._last_rate = math.nan
        return self._lock, self._confidence

    def restart(self) -> None:
        """After a hole: which foot comes next is unknown again."""
        self._last_rate = math.nan
        self._lock = 0.0
        self._confidence = 0.0
        self._recent.clear()


# ------------------------------------------------------------------ provisional contact

# 0.6 g: the vertical force is rising steeply here, before the sensor's impact peak; with the 5-point window a contact
# is then said within 80 ms of its beginning, slow and soft runners included
TOUCH_G = 0.6
TOUCH_REARM_G = 0.45


class TouchFinder:
    """Finds the first rise of the lightly smoothed vertical force, for a contact said at once."""

    def __init__(self) -> None:
        self._previous = math.nan
        self._armed = False
        self._valid_from = 0

    def find(self, first_index: int, vertical_g: Array) -> list[tuple[int, float]]:
        """Return (index of the deciding row, fractional index of the rise) for rows centred from ``first_index``."""
        found: list[tuple[int, float]] = []
        pairs = _crossings(self._previous, vertical_g, (TOUCH_REARM_G, TOUCH_G))
        self._previous = float(vertical_g[-1])
        for i, low, high in pairs:
            row = first_index + i
            if low < TOUCH_REARM_G and row - 1 > self._valid_from:
                self._armed = True
            if self._armed and low < TOUCH_G <= high:
                self._armed = False
                found.append((row, row - 1 + (TOUCH_G - low) / (high - low)))
        return found

    def restart(self, index: int) -> None:
        """Forget what was under way; what is centred before ``index`` is not real."""
        self._valid_from = index
        self._previous = math.nan
        self._armed = False
