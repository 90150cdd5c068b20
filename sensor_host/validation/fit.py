"""The fit of the event models: what they learn from, and how.

`take_down` runs the core on every run behind several devices and keeps, of every step, what its models were given and
where the force plates put its events. `fit_models` makes models of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array, Step, StepInputs
from pelvis.models import FEATURES, EventModels, Ridge
from sensor_host.validation.coefficients import rounded
from sensor_host.validation.device import Device, wear
from sensor_host.validation.score import after_settling, contacts_of, match, said_of
from sensor_host.validation.sources import Trial

VERSION = "harmonic-2"

# three mounts, noises and biases of every run: more change no coefficient in its second digit
DRAWS = tuple(Device(seed=seed) for seed in (101, 102, 103))

# the shrinkage at which runners left out are measured best, within 0.1 ms from a third of it to three times as much
SHRINKAGE = 0.01

# what a model sees of FEATURES: initial contact and toe-off without a gyroscope, toe-off
FORCE_FEATURES = FEATURES.index("Re A3")


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Steps with true events, one row each (n,).

    ``features`` (n, k), ``origin_s`` and ``period_s`` are those of `pelvis.data.StepInputs`; ``contact_s`` and
    ``toe_off_s`` the true events in the same time. ``run_steps`` counts from the beginning of the run, ``scored`` says
    whether the accuracy tables look at this step. ``weight``: every run behind every device weighs one.
    """

    features: Array
    origin_s: Array
    period_s: Array
    contact_s: Array
    toe_off_s: Array
    runner: NDArray[np.str_]
    trial: NDArray[np.str_]
    speed_mps: Array
    draw: NDArray[np.intp]
    gyroscope: NDArray[np.bool_]
    run_steps: NDArray[np.intp]
    scored: NDArray[np.bool_]
    weight: Array

    def of(self, rows: NDArray[np.bool_]) -> Training:
        """Return these rows."""
        return Training(*(getattr(self, column.name)[rows] for column in fields(self)))

    def without(self, runner: str) -> Training:
        """Return everything that does not come from this runner."""
        return self.of(self.runner != runner)


def take_down(trials: Sequence[Trial], draws: Iterable[Device] = DRAWS) -> Training:
    """Run the core on every trial behind every device and keep what its models should learn from."""
    rows: list[tuple[object, ...]] = []
    for draw, device in enumerate(draws):
        for trial in trials:
            run = wear(trial, device)
            said = said_of(run.samples, inputs=True)
            steps = [item for item in said if isinstance(item, Step)]
            inputs = {item.step_index: item for item in said if isinstance(item, StepInputs)}
            window = after_settling(run)
            truth = run.truth
            pairs = [(i, inputs[steps[j].step_index]) for i, j in match(truth.contact_s, contacts_of(steps))]
            rows += [
                (
                    given.features, given.origin_s, given.period_s, truth.contact_s[i], truth.toe_off_s[i],
                    trial.runner, trial.name, trial.speed_mps, draw, given.evidence.has_gyroscope,
                    given.evidence.run_steps, window.wanted[i], 1.0 / len(pairs),
                )
                for i, given in pairs
            ]  # fmt: skip
    return Training(*(np.array(column) for column in zip(*rows, strict=True)))


def fit_models(training: Training) -> EventModels:
    """Return the event models that suit these steps best, rounded as they are printed."""
    turning = training.of(training.gyroscope)
    force = slice(0, FORCE_FEATURES)
    return EventModels(
        version=VERSION,
        initial_contact=_ridge(training, training.contact_s, force),
        toe_off=_ridge(turning, turning.toe_off_s, slice(None)),
        toe_off_without_gyroscope=_ridge(training, training.toe_off_s, force),
    )


def _ridge(training: Training, event_s: Array, seen: slice) -> Ridge:
    """Return a ridge regression of an event, in step periods, on features of spread one."""
    wanted = (event_s - training.origin_s) / training.period_s
    weight = training.weight / training.weight.sum()
    inputs = training.features[:, seen]
    mean, level = weight @ inputs, float(weight @ wanted)
    spread = np.sqrt(weight @ (inputs - mean) ** 2)
    z: Array = (inputs - mean) / spread
    shrunk = (z * weight[:, np.newaxis]).T @ z + SHRINKAGE * np.eye(z.shape[1])
    weights = np.asarray(np.linalg.solve(shrunk, (z * weight[:, np.newaxis]).T @ (wanted - level)), np.float64) / spread
    return Ridge(
        bias=rounded(level - float(mean @ weights)),
        weights=tuple(rounded(x) for x in weights.tolist()),
        mean=tuple(rounded(x) for x in mean.tolist()),
        spread=tuple(rounded(x) for x in spread.tolist()),
    )
