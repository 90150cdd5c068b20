"""A run that a watch or foot pod wrote down too, second by second: where the two meet, and what then differs.

They are laid on each other by their clocks and by cadence, which rises from nothing when the runner starts and falls
when the runner stands: within two minutes of what the clocks say, else wherever cadence goes together beyond doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pelvis.data import Array, Step
from sensor_host.reference import Finding, Measured, Reference, compare, speed_point


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What a watch or foot pod wrote down each second: (n,) each, NaN where it said nothing.

    ``utc_s`` counts from 1970; ``name`` is the device.
    """

    name: str
    utc_s: Array
    cadence_spm: Array
    contact_time_s: Array
    speed_mps: Array
    vertical_oscillation_m: Array
    step_length_m: Array


# 120 s: a computer's clock, and what lies between a session's header and its first sample
CLOCK_S = 120
# 60 s of the same cadence, standing included
LEAST_OVERLAP_S = 60
# with clocks that agree a cadence that goes together well enough will do, without them it must be unmistakable
LEAST_CORRELATION, LEAST_CORRELATION_ALONE = 0.6, 0.8
# watches smooth over some seconds; own steps are averaged alike
SMOOTH_S = 2.5
# 4 %: seconds in which both say the same cadence are seconds in which both see the same steps
SAME_CADENCE = 0.04
LEAST_STEPS_AROUND = 3
# 0.5 m/s, as the coach's baselines
SPEED_BIN_MPS, LEAST_BIN_S = 0.5, 30
# 20 ms of contact time are half a metre per second
CONTACT_BAND_S, LEAST_BAND_S = 0.020, 60


def match_track(measured: Measured, track: Track, reference: Reference) -> list[Finding]:
    """Align a track by clock and cadence; return offsets of contact time and speed points, as far as it has them.

    Raises
    ------
    HipdriveError
        The reference's, when the track does not match the run, holds nothing of use, or says what is implausible.
    """
    seconds = np.arange(math.floor(measured.last_s - measured.first_s) + 1.0)
    cadence, contact_s, count = _each_second(measured, seconds)
    origin_s = math.floor(float(track.utc_s[0]))
    slots = np.round(track.utc_s - origin_s).astype(np.intp)
    length = int(slots[-1]) + 1

    def on_grid(values: Array) -> Array:
        grid = np.full(length, np.nan)
        grid[slots] = values
        return grid

    theirs = on_grid(track.cadence_spm)
    lag, correlation = _align(cadence, theirs, measured, origin_s, reference)
    mine = np.arange(len(seconds))
    mine = mine[(mine + lag >= 0) & (mine + lag < length)]
    same = np.abs(theirs[mine + lag] / np.maximum(cadence[mine], 1.0) - 1.0) <= SAME_CADENCE
    mine = mine[same & (count[mine] >= LEAST_STEPS_AROUND)]
    yours = mine + lag
    notes = [f"{len(mine)} seconds match, {lag:+d} s from its beginning, correlation of cadence {correlation:.2f}"]
    for title, values in (
        ("vertical oscillation", track.vertical_oscillation_m),
        ("step length", track.step_length_m),
    ):
        said = on_grid(values)[yours]
        if np.isfinite(said).any():
            notes.append(f"it says {title} {np.nanmedian(said):.3f} m; that corrects nothing")
    found = _contact_times(measured, seconds[mine], contact_s[mine], on_grid(track.contact_time_s)[yours], reference)
    found += _speeds(measured, seconds[mine], on_grid(track.speed_mps)[yours], reference)
    if not found:
        raise reference.refuse(
            f"{len(mine)} seconds match, but hold neither contact time (stance_time) nor {LEAST_BIN_S} s of one speed"
        )
    return [replace(found[0], notes=(*notes, *found[0].notes)), *found[1:]]


def _contact_times(
    measured: Measured, seconds: Array, own_s: Array, their_s: Array, reference: Reference
) -> list[Finding]:
    """Return an offset for each band of contact time that the runner kept for a minute, else one for all."""
    known = np.isfinite(own_s) & np.isfinite(their_s)
    seconds, own_s, their_s = seconds[known], own_s[known], their_s[known]
    if not len(seconds):
        return []
    bands = np.floor(own_s / CONTACT_BAND_S)
    kept = [inside for band in np.unique(bands) if np.count_nonzero(inside := bands == band) >= LEAST_BAND_S]
    return [
        compare(own_s[rows], their_s[rows], seconds[rows], len(_steps_in(measured, seconds[rows])), reference)
        for rows in kept or [np.ones(len(seconds), dtype=np.bool_)]
    ]


def _each_second(measured: Measured, seconds: Array) -> tuple[Array, Array, Array]:
    """Return cadence (0 where nobody runs), contact time and the number of good steps around each second."""
    at_s, good = measured.contact_s - measured.first_s, measured.good
    own_cadence = measured.column("cadence_spm")
    known = np.isfinite(own_cadence)
    low, high = np.searchsorted(at_s, seconds - SMOOTH_S), np.searchsorted(at_s, seconds + SMOOTH_S)

    def summed(values: Array) -> Array:
        total = np.concatenate(([0.0], np.cumsum(values)))
        return np.asarray(total[high] - total[low])

    many, count = summed(known.astype(np.float64)), summed(good.astype(np.float64))
    cadence = summed(np.where(known, own_cadence, 0.0)) / np.maximum(many, 1.0)
    contact_s = summed(np.where(good, measured.column("contact_time_s"), 0.0)) / np.maximum(count, 1.0)
    return cadence, np.where(count > 0, contact_s, np.nan), count


def _align(
    cadence: Array, theirs: Array, measured: Measured, origin_s: float, reference: Reference
) -> tuple[int, float]:
    """Return the whole seconds by which the track is behind the session, and how well cadence then goes together."""
    # a watch that says nothing while its wearer stands says no cadence
    watched = np.where(np.isfinite(theirs), theirs, 0.0)
    lags = range(LEAST_OVERLAP_S - len(cadence), len(watched) - LEAST_OVERLAP_S + 1)
    if measured.start_utc_s is not None:
        usual = round(measured.start_utc_s - origin_s)
        near = [lag for lag in lags if abs(lag - usual) <= CLOCK_S]
        lag, correlation = _best(cadence, watched, near)
        if correlation >= LEAST_CORRELATION:
            return lag, correlation
    lag, correlation = _best(cadence, watched, lags)
    if correlation < LEAST_CORRELATION_ALONE:
        if not lags:
            raise reference.refuse(f"it and the run share less than {LEAST_OVERLAP_S} s")
        raise reference.refuse(
            f"its cadence does not go together with that of the run (correlation {max(0.0, correlation):.2f}): is it "
            "the same run? Standing and changes of pace help to find where they meet"
        )
    return lag, correlation


def _best(cadence: Array, watched: Array, lags: Iterable[int]) -> tuple[int, float]:
    best = (-1.0, 0)
    for lag in lags:
        a = cadence[max(0, -lag) : len(watched) - lag]
        b = watched[max(0, lag) : len(cadence) + lag]
        a, b = a - a.mean(), b - b.mean()
        size = math.sqrt(float(a @ a) * float(b @ b))
        if size > 0.0:
            best = max(best, (float(a @ b) / size, lag))
    return best[1], best[0]


def _steps_in(measured: Measured, seconds: Array) -> tuple[Step, ...]:
    """Return the good steps in these seconds of the session."""
    chosen = set(seconds.tolist())
    return tuple(
        step
        for step, good in zip(measured.steps, measured.good.tolist(), strict=True)
        if good and round(step.initial_contact_s - measured.first_s) in chosen
    )


def _speeds(measured: Measured, seconds: Array, speed_mps: Array, reference: Reference) -> list[Finding]:
    bins = np.round(speed_mps / SPEED_BIN_MPS)
    found: list[Finding] = []
    for one in np.unique(bins[np.isfinite(bins) & (bins > 0)]):
        inside = bins == one
        if np.count_nonzero(inside) >= LEAST_BIN_S:
            steps = _steps_in(measured, seconds[inside])
            found.append(speed_point(replace(measured, steps=steps), float(np.mean(speed_mps[inside])), reference))
    return found
