"""A whole run at once, from arrays: for notebooks and scripts, and for sensors that hipdrive does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from pelvis.data import Array, CoreInput, CoreOutput, Motion, Samples, Speed
from pelvis.foreign import USUAL_FORCE_G, RangeWatch, UnusableError, median, rate_of, usual_force_g
from pelvis.pipeline import Pipeline, Settings
from pelvis.speed import TREADMILL
from pelvis.step_table import StepTable, table_of

# 20 rad/s (1150 deg/s): a running pelvis turns at 1 to 2, in deg/s at 60 to 100
MOST_USUAL_RATE_RADPS = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What the core said of a run.

    Attributes
    ----------
    steps
        One row per ground contact.
    motion
        The pelvis on the core's 200 Hz grid.
    said
        Everything else in the order in which it was decided: activity, notices, provisional contacts, the steps and
        strides of which ``steps`` is made, cues where a coach was asked for.
    """

    steps: StepTable
    motion: Motion
    said: tuple[CoreOutput, ...]


def analyze(
    t_s: ArrayLike,
    acc_mps2: ArrayLike,
    gyr_radps: ArrayLike,
    *,
    speed_mps: float | None = None,
    settings: Settings | None = None,
) -> Analysis:
    """Measure a run: the samples of one sensor over the sacrum, at any rate from 50 to 500 Hz, mounted any way.

    Two or more seconds of standing still before the run give the zero of tilt and peak drop. Rows that hold NaN are
    lost samples.

    Parameters
    ----------
    t_s
        When each sample was taken, in seconds, strictly rising (n,). A hole is a loss.
    acc_mps2
        Specific force in m/s2 in the sensor's axes (n, 3): at rest +9.81 upward.
    gyr_radps
        Angular rate in rad/s in the sensor's axes (n, 3); zeros where there is no gyroscope.
    speed_mps
        The treadmill's speed in m/s, if it is known.
    settings
        The runner's calibration, a coach, other event models; continuous motion comes in any case.

    Returns
    -------
    Analysis
        Steps, motion and all else that was said. The same samples give the same, bit for bit, as `hipdrive analyze` of
        a file that holds them.

    Raises
    ------
    ValueError
        When shapes do not fit, times do not rise, or unit or rate cannot be right; the text says which.
    """
    times = np.asarray(t_s, dtype=np.float64)
    acc, gyr = np.asarray(acc_mps2, dtype=np.float64), np.asarray(gyr_radps, dtype=np.float64)
    if times.ndim != 1 or acc.shape != (len(times), 3) or gyr.shape != acc.shape:
        raise ValueError(
            f"t_s must be (n,), acc_mps2 and gyr_radps (n, 3); they are {times.shape}, {acc.shape}, {gyr.shape}"
        )
    whole = np.isfinite(times) & np.isfinite(acc).all(axis=1) & np.isfinite(gyr).all(axis=1)
    times, acc, gyr = times[whole], acc[whole], gyr[whole]
    try:
        rate_hz = _judge(times, acc, gyr)
    except UnusableError as error:
        raise ValueError(f"the run {error}") from error
    inputs: list[CoreInput] = [*RangeWatch().cut(times, acc, gyr, rate_hz)]
    if speed_mps is not None:
        inputs.insert(0, Speed(float(times[0]), speed_mps, TREADMILL))
    pipeline = Pipeline(replace(settings or Settings(), motion=True))
    said: list[CoreOutput] = []
    for item in inputs:
        said += pipeline.feed(item)
    said += pipeline.finish()
    motion = [item for item in said if isinstance(item, Motion)]
    rest = tuple(item for item in said if not isinstance(item, Motion))
    return Analysis(table_of(rest), joined_motion(motion), rest)


def _judge(t_s: Array, acc_mps2: Array, gyr_radps: Array) -> float:
    """Return the rate in Hz; UnusableError where something is not as its name says."""
    rising = np.diff(t_s) > 0
    if not rising.all():
        row = int(np.argmin(rising)) + 1
        raise UnusableError(
            f"goes back in time: t_s[{row}] = {t_s[row]:.6f} does not come after {t_s[row - 1]:.6f} (rows with NaN "
            "left out); sort the rows and drop doubles"
        )
    rate_hz = rate_of(t_s)
    force_g = usual_force_g(acc_mps2)
    if not USUAL_FORCE_G[0] < force_g < USUAL_FORCE_G[1]:
        raise UnusableError(
            f"has a median acceleration of {force_g:.3g} g where about 1 g is expected: acc_mps2 must be in m/s2"
        )
    turning_radps = median(np.linalg.norm(gyr_radps, axis=1))
    if turning_radps > MOST_USUAL_RATE_RADPS:
        raise UnusableError(
            f"turns at {turning_radps:.3g} rad/s all the time, as no pelvis does: gyr_radps must be in rad/s"
        )
    return rate_hz


def joined_motion(blocks: Sequence[Motion]) -> Motion:
    """Return blocks of motion, in the order of time, as one."""
    if not blocks:
        none = np.empty(0)
        return Motion(none, np.empty((0, 3)), none, none, none, np.empty(0, dtype=np.int8))
    return Motion(*(np.concatenate([getattr(block, one.name) for block in blocks]) for one in fields(Motion)))


def joined_samples(blocks: Sequence[Samples]) -> Samples:
    """Return blocks of samples, in the order of time, as one; its rate is that of the last."""
    if not blocks:
        return Samples(np.empty(0), np.empty((0, 3)), np.empty((0, 3)), 0.0)
    return Samples(
        np.concatenate([block.t_s for block in blocks]),
        np.concatenate([block.acc_mps2 for block in blocks]),
        np.concatenate([block.gyr_radps for block in blocks]),
        blocks[-1].rate_hz,
        any(block.clipped for block in blocks),
    )
