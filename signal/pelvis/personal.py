"""What is known of one runner that the core cannot see: a calibration, given before the run and fixed in it.

The error of contact time is steady within a run and differs between runners and, slowly, with the runner's speed. An
offset that was found once is therefore trusted where the runner runs as then, and less the more contact time itself
differs from then: the best linear prediction from the offsets known (kriging; Rasmussen & Williams 2006, Gaussian
Processes for Machine Learning, ch. 2), its spread and reach being those of runners whom the event models had not seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pelvis.data import Array

# Spread of the run means of runners left out of the fit of the event models, and the change of ln contact time over
# which they stay alike, to 1/e (0.16 is 1 m/s): `sensor_host.validation.calibration` fits both, on Fukuchi 2017.
SPREAD_S, REACH = 0.0072, 0.16
# Of that error about one half is initial contact's, the other toe-off's (shares 0.4 and 0.6 in runners left out, 0.6
# and 0.4 in the others; the two are nearly uncorrelated).
CONTACT_SHARE = 0.5
# 8 steps: the contact time of single steps errs by 8 ms, that of as many by 3
SMOOTHED_STEPS = 8


@dataclass(frozen=True, slots=True)
class SpeedPoint:
    """How the runner ran at a known speed: means over steps, contact time as it is without calibration."""

    speed_mps: float
    step_time_s: float
    velocity_gain_mps: float
    contact_time_s: float


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """What had to be added to contact time, where without calibration it was ``contact_time_s`` on average."""

    contact_time_s: float
    offset_s: float
    standard_error_s: float


@dataclass(frozen=True, slots=True)
class Personal:
    """A runner's calibration; without one everything is as for anybody.

    ``contact_points`` say what contact time lacked to agree with ``contact_time_reference``, which is empty where there
    are none; ``definition_sd_s`` is how far that reference's own notion of contact time may be off, at all speeds
    alike. ``speed_points`` are those the runner's speed model goes through.
    """

    contact_time_reference: str = ""
    contact_points: tuple[ContactPoint, ...] = ()
    definition_sd_s: float = 0.0
    speed_points: tuple[SpeedPoint, ...] = ()


ANYBODY = Personal()


class ContactOffset:
    """What to add to a contact time, by how long it is."""

    def __init__(self, points: Sequence[ContactPoint], definition_sd_s: float = 0.0) -> None:
        self._shared = definition_sd_s**2
        self._logs = [math.log(point.contact_time_s) for point in points]
        known: Array = np.array([self._covariances(log) for log in self._logs])
        self._known = known + np.diag([point.standard_error_s**2 for point in points])
        offsets = np.array([point.offset_s for point in points])
        self._weights: list[float] = np.linalg.solve(self._known, offsets).tolist()

    def at(self, contact_time_s: float) -> float:
        """Return the offset in s at a contact time without calibration."""
        near = self._covariances(math.log(contact_time_s))
        return sum(weight * covariance for weight, covariance in zip(self._weights, near, strict=True))

    def remaining_sd_s(self, contact_time_s: float) -> float:
        """Return the standard deviation of what is left of the runner's own error there, against the reference."""
        near = np.array(self._covariances(math.log(contact_time_s)))
        told = float(near @ np.linalg.solve(self._known, near))
        return math.sqrt(max(0.0, self._shared + SPREAD_S**2 - told))

    def _covariances(self, log: float) -> list[float]:
        return [self._shared + SPREAD_S**2 * math.exp(-abs(log - other) / REACH) for other in self._logs]


class ContactCalibrator:
    """Tells step by step what a runner's calibration adds to contact time."""

    def __init__(self, personal: Personal) -> None:
        points = personal.contact_points
        self._offset = ContactOffset(points, personal.definition_sd_s) if points else None
        self._recent: deque[float] = deque(maxlen=SMOOTHED_STEPS)
        self._left: dict[int, float] = {}

    def remaining(self, contact_time_s: float) -> float:
        """Return the share of the variance of the runner's own error that is left at this contact time."""
        if self._offset is None or contact_time_s <= 0.0:
            return 1.0
        # to 5 ms: it changes slowly, and finding it takes longer than all else of a step's errors
        place = round(200.0 * contact_time_s)
        if place not in self._left:
            self._left[place] = (self._offset.remaining_sd_s(max(place, 1) / 200.0) / SPREAD_S) ** 2
        return self._left[place]

    def tell(self, contact_time_s: float) -> float:
        """Return the offset of a step whose contact time without calibration is this one, in s; 0 without any."""
        if self._offset is None or contact_time_s <= 0.0:
            return 0.0
        self._recent.append(contact_time_s)
        return self._offset.at(sum(self._recent) / len(self._recent))

    def restart(self) -> None:
        """Forget the steps of a run that was broken."""
        self._recent.clear()
