"""How a runner's own error of contact time behaves, and what a calibration makes of it.

The numbers of `pelvis.personal` are fitted here on runners whom the event models have not seen, and each runner is
calibrated at one speed by the force plate and scored at the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pelvis.coefficients import SHIPPED
from pelvis.data import Array, Step
from pelvis.models import EventModels
from pelvis.personal import ANYBODY, ContactPoint, Personal
from pelvis.pipeline import Pipeline, Settings
from sensor_host.errors import InputError
from sensor_host.reference import Finding, Measured, Reference, TrueContacts, match_contacts
from sensor_host.validation.device import Device, wear
from sensor_host.validation.score import after_settling, contacts_of, match
from sensor_host.validation.sources import Run, Trial


@dataclass(frozen=True, slots=True, eq=False)
class RunMeans:
    """Means over runs (n,): contact time as measured, its error, and those of both its ends, s."""

    runner: NDArray[np.str_]
    contact_time_s: Array
    error_s: Array
    contact_error_s: Array
    toe_off_error_s: Array


def run_means(trials: Sequence[Trial], device: Device, models: Mapping[str, EventModels] | None = None) -> RunMeans:
    """Return the run means of every trial behind a device, with the event models named for its runner."""
    rows: list[tuple[float, float, float, float]] = []
    for trial in trials:
        run = wear(trial, device)
        rows.append(_means(run, _steps(run, _models_of(trial, models), ANYBODY)))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return RunMeans(np.array([trial.runner for trial in trials]), *columns)


def _models_of(trial: Trial, models: Mapping[str, EventModels] | None) -> EventModels:
    return models[trial.runner] if models is not None else SHIPPED


def _steps(run: Run, models: EventModels, personal: Personal) -> tuple[Step, ...]:
    pipeline = Pipeline(Settings(models=models, personal=personal))
    said = [*pipeline.feed(run.samples), *pipeline.finish()]
    return tuple(item for item in said if isinstance(item, Step))


def _means(run: Run, steps: Sequence[Step]) -> tuple[float, float, float, float]:
    wanted = after_settling(run).wanted
    pairs = [(i, steps[j]) for i, j in match(run.truth.contact_s, contacts_of(steps)) if wanted[i]]
    contact = float(np.mean([step.initial_contact_s - run.truth.contact_s[i] for i, step in pairs]))
    toe_off = float(np.mean([step.toe_off_s - run.truth.toe_off_s[i] for i, step in pairs]))
    own = float(np.mean([step.metrics["contact_time_s"] for _, step in pairs]))
    return own, toe_off - contact, contact, toe_off


def spread_and_reach(means: RunMeans) -> tuple[float, float]:
    """Return the spread of run means, s, and over which change of ln contact time they stay alike.

    The reach is that of an exponential covariance, which halves of squared differences between a runner's runs follow.
    """
    variance = float(np.mean(means.error_s**2))
    logs = np.log(means.contact_time_s)
    apart: list[tuple[float, float]] = []
    for name in np.unique(means.runner):
        rows = np.flatnonzero(means.runner == name)
        for a in range(len(rows)):
            for b in range(a):
                i, j = rows[a], rows[b]
                half = 0.5 * float(means.error_s[i] - means.error_s[j]) ** 2
                apart.append((abs(float(logs[i] - logs[j])), half))
    distance, half = np.array(apart).T

    def misfit(reach: float) -> float:
        told = variance * (1.0 - np.exp(-distance / reach))
        return float(np.sum((half - told) ** 2))

    # a hundredth is finer than 16 runners can tell
    reaches = np.arange(0.05, 1.0, 0.01).tolist()
    return math.sqrt(variance), min(reaches, key=misfit)


@dataclass(frozen=True, slots=True)
class Gain:
    """RMSE of run means of contact time at other speeds than the calibrated, and of all steps there, s."""

    runs: int
    before_s: float
    after_s: float
    steps_before_s: float
    steps_after_s: float


def gains(trials: Sequence[Trial], device: Device, models: Mapping[str, EventModels] | None = None) -> dict[str, Gain]:
    """Calibrate every runner at each speed, and at each two, by the force plate; score the speeds left over."""
    runs: dict[str, list[tuple[float, Run, EventModels, ContactPoint, Array]]] = {}
    for trial in trials:
        run, own = wear(trial, device), _models_of(trial, models)
        steps = _steps(run, own, ANYBODY)
        known = (trial.speed_mps, run, own, _point(run, steps), _errors(run, steps))
        runs.setdefault(trial.runner, []).append(known)
    errors: dict[str, list[tuple[float, float, float, float, int]]] = {}
    for mine in runs.values():
        for speed_mps, run, own, point, bare in mine:
            others = [other for other in mine if other[0] != speed_mps]
            chosen: list[tuple[str, tuple[ContactPoint, ...]]]
            chosen = [(f"at {other[0]:g} m/s", (other[3],)) for other in others]
            chosen += [("at the two other speeds", tuple(other[3] for other in others))]
            chosen += [("at the same speed, the same run", (point,))]
            for name, points in chosen:
                personal = Personal(contact_time_reference="force plate", contact_points=points)
                told = _errors(run, _steps(run, own, personal))
                errors.setdefault(name, []).append(
                    (bare.mean(), told.mean(), float(bare @ bare), float(told @ told), len(bare))
                )
    return {name: _gain(np.array(rows)) for name, rows in sorted(errors.items())}


def _errors(run: Run, steps: Sequence[Step]) -> Array:
    wanted = after_settling(run).wanted
    true_s = run.truth.toe_off_s - run.truth.contact_s
    pairs = match(run.truth.contact_s, contacts_of(steps))
    return np.array([steps[j].metrics["contact_time_s"] - true_s[i] for i, j in pairs if wanted[i]])


def _gain(rows: Array) -> Gain:
    before, after = np.sqrt(np.mean(rows[:, :2] ** 2, axis=0)).tolist()
    steps_before, steps_after = np.sqrt(rows[:, 2:4].sum(axis=0) / rows[:, 4].sum()).tolist()
    return Gain(len(rows), before, after, steps_before, steps_after)


def _point(run: Run, steps: tuple[Step, ...]) -> ContactPoint:
    """Calibrate by the force plate as ``hipdrive calibrate --truth`` does."""
    measured = Measured(steps, float(run.samples.t_s[0]), float(run.samples.t_s[-1]))
    true = TrueContacts(run.truth.contact_s, run.truth.toe_off_s)
    found: Finding = match_contacts(measured, true, Reference("force plate", run.name, _refuse(run)))
    values = found.values
    return ContactPoint(values["contact_time_s"], values["contact_time_offset_s"], values["standard_error_s"])


def _refuse(run: Run) -> Callable[[str], InputError]:
    return lambda text: InputError(f"{run.name}: {text}")


def table(found: Mapping[str, Gain]) -> list[tuple[str, ...]]:
    """Return gains as rows of text, in ms."""
    rows: list[tuple[str, ...]] = [
        ("calibrated", "runs", "mean of a run, before", "after", "single steps, before", "after")
    ]
    for name, gain in found.items():
        values = (gain.before_s, gain.after_s, gain.steps_before_s, gain.steps_after_s)
        rows.append((name, str(gain.runs), *(f"{1e3 * value:.1f}" for value in values)))
    return rows
