"""A runner with known truth, seen by a sensor with known faults.

Physics comes first. The pelvis centre moves by closed formulas whose first and second derivatives are
formulas too, so that position, velocity, acceleration, attitude and angular rate agree to rounding:

1. A point mass carries the vertical motion: free fall from toe-off to initial contact, in contact a force
   A sin(pi s) + B sin(2 pi s) whose two sizes follow from the velocities before and after and from the
   height being the same at every contact's beginning and end. Mean force over steady steps is body weight.
2. Waveforms over stride phase (`pelvis.runner.shapes`) add what a pelvis does besides: obliquity, rotation,
   tilt, sway, fore-aft motion, and its vertical motion against the point mass. Stride phase is a
   twice differentiable function of time through each step's own initial contact and toe-off.
3. Sizes change from step to step, and only between toe-off and the next initial contact. A gait comes
   and goes over three steps; contacts of the first and last of these are not counted.
4. The sensor lies behind the pelvis centre and turns with the pelvis. It feels R^T (acceleration + gravity)
   and the angular rate. Skin and strap add an impact transient and a wobble (`pelvis.runner.skin`) that are
   the sensor's alone: they are not in the truth.
5. `pelvis.runner.sensor` makes of that what a device reports.

World axes: x forward, y left, z up; running goes straight on. All times are DEVICE time: what the sensor stamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array
from pelvis.runner.motion import CENTRE_FROM_SENSOR_M, feel, move, point_in_world
from pelvis.runner.scenario import Drift, Phase, Scenario, Variability
from pelvis.runner.sensor import SensorModel, Slip
from pelvis.runner.skin import disturb
from pelvis.runner.steps import StepWindow
from pelvis.runner.truth import TrueContact, true_contacts

__all__ = [
    "CENTRE_FROM_SENSOR_M",
    "Drift",
    "Phase",
    "Scenario",
    "SensorModel",
    "SimulatedBlock",
    "SimulatedRunner",
    "Slip",
    "TrueContact",
    "TrueMotion",
    "Variability",
]

_CHUNK_SAMPLES = 2048  # the unit of computation whatever the block: the same samples for every block size


@dataclass(frozen=True, slots=True, eq=False)
class TrueMotion:
    """The clean motion at the samples of a block.

    ``position_m`` (n, 3) of the sensor point and ``centre_m`` (n, 3) of the pelvis centre, world axes;
    attitude (n,) in degrees, signs as in `pelvis.data.Motion`, tilt and obliquity against the horizon;
    ``activity`` (n,) codes into `pelvis.data.ACTIVITY_CODES`.
    """

    position_m: Array
    centre_m: Array
    obliquity_deg: Array
    tilt_deg: Array
    rotation_deg: Array
    activity: NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedBlock:
    """What the device measured in a stretch of time, and what was true.

    ``t_s`` (n,) device time; ``acc_mps2``, ``gyr_radps`` (n, 3) in sensor axes, not quantised. ``contacts``
    are those whose initial contact lies in the block, with all their metrics: the runner knows what it will do.
    """

    t_s: Array
    acc_mps2: Array
    gyr_radps: Array
    rate_hz: float
    contacts: tuple[TrueContact, ...]
    truth: TrueMotion


class SimulatedRunner:
    """Runs a scenario; the same scenario and seed give the same samples whatever the block size."""

    def __init__(self, scenario: Scenario | None = None, seed: int = 1) -> None:
        self.scenario = scenario or Scenario()
        self.seed = seed

    def blocks(self, block_s: float = 1.0) -> Iterator[SimulatedBlock]:
        """Yield blocks of ``block_s`` from the start on; the last one may be shorter. Each call begins anew."""
        rate_hz = self.scenario.sensor.rate_hz
        size = max(1, round(block_s * rate_hz))
        waiting: deque[_Chunk] = deque()
        held = 0
        for chunk in self._chunks():
            waiting.append(chunk)
            held += len(chunk.block.t_s)
            while held >= size:
                yield _take(waiting, size)
                held -= size
        if held:
            yield _take(waiting, held)

    def _chunks(self) -> Iterator[_Chunk]:
        scenario, sensor = self.scenario, self.scenario.sensor
        steps = StepWindow(scenario, np.random.default_rng([self.seed, 1]))
        noise = np.random.default_rng([self.seed, 2])
        first = 0
        while True:
            t_s: Array = np.arange(first, first + _CHUNK_SAMPLES + 1) / sensor.rate_hz
            start_s, stop_s, t_s = float(t_s[0]), float(t_s[-1]), t_s[:-1]
            true_s = sensor.true_s(t_s)
            window = steps.cover(float(true_s[0]), float(true_s[-1]) + 2.0 / sensor.rate_hz)
            motion = move(scenario, window, true_s)
            acc, gyr = disturb(scenario, window, true_s, *feel(motion))
            acc, gyr = sensor.measure(t_s, acc, gyr, noise)
            keep = int(np.searchsorted(t_s, scenario.end_s))
            contacts = true_contacts(scenario, window, start_s, min(stop_s, scenario.end_s))
            truth = TrueMotion(
                point_in_world(motion),
                motion.centre_m,
                np.degrees(motion.obliquity_rad.value),
                np.degrees(motion.tilt_rad.value),
                np.degrees(motion.rotation_rad.value),
                window.activity[motion.step],
            )
            whole = tuple(c for c in contacts if c.toe_off_s < scenario.end_s)
            block = SimulatedBlock(t_s, acc, gyr, sensor.rate_hz, whole, truth)
            if keep:
                yield _Chunk(_part(block, 0, keep), 0)
            if keep < _CHUNK_SAMPLES:
                return
            first += _CHUNK_SAMPLES


@dataclass(slots=True)
class _Chunk:
    block: SimulatedBlock
    taken: int


def _take(waiting: deque[_Chunk], size: int) -> SimulatedBlock:
    """Take the first ``size`` samples off the waiting chunks, as one block."""
    parts: list[SimulatedBlock] = []
    while size:
        chunk = waiting[0]
        samples = len(chunk.block.t_s)
        stop = min(samples, chunk.taken + size)
        parts.append(_part(chunk.block, chunk.taken, stop))
        size -= stop - chunk.taken
        chunk.taken = stop
        if stop == samples:
            waiting.popleft()
    return _joined(parts)


def _part(block: SimulatedBlock, start: int, stop: int) -> SimulatedBlock:
    rows = slice(start, stop)
    from_s = float(block.t_s[start]) if start else -np.inf
    to_s = float(block.t_s[stop]) if stop < len(block.t_s) else np.inf
    truth = block.truth
    return SimulatedBlock(
        block.t_s[rows],
        block.acc_mps2[rows],
        block.gyr_radps[rows],
        block.rate_hz,
        tuple(c for c in block.contacts if from_s <= c.initial_contact_s < to_s),
        TrueMotion(
            truth.position_m[rows],
            truth.centre_m[rows],
            truth.obliquity_deg[rows],
            truth.tilt_deg[rows],
            truth.rotation_deg[rows],
            truth.activity[rows],
        ),
    )


def _joined(parts: list[SimulatedBlock]) -> SimulatedBlock:
    if len(parts) == 1:
        return parts[0]
    return SimulatedBlock(
        np.concatenate([p.t_s for p in parts]),
        np.concatenate([p.acc_mps2 for p in parts]),
        np.concatenate([p.gyr_radps for p in parts]),
        parts[0].rate_hz,
        tuple(c for p in parts for c in p.contacts),
        TrueMotion(
            np.concatenate([p.truth.position_m for p in parts]),
            np.concatenate([p.truth.centre_m for p in parts]),
            np.concatenate([p.truth.obliquity_deg for p in parts]),
            np.concatenate([p.truth.tilt_deg for p in parts]),
            np.concatenate([p.truth.rotation_deg for p in parts]),
            np.concatenate([p.truth.activity for p in parts]),
        ),
    )
