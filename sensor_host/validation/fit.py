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
from pelvis.models import COMMON_FEATURES, EDGE_FEATURES, FEATURES, PITCH_FEATURES, EventModels, Ridge
from sensor_host.validation.coefficients import rounded
from sensor_host.validation.device import Device, wear
from sensor_host.validation.landing import landed
from sensor_host.validation.score import after_settling, contacts_of, match, said_of
from sensor_host.validation.sources import Trial

VERSION = "harmonic-3"

# the shrinkage at which runners left out are measured best, within 0.1 ms from a third of it to three times as much
SHRINKAGE = 0.003


@dataclass(frozen=True, slots=True)
class Draw:
    """One way to see every trial: behind which device, with which other ``landing`` (None: as it was), its weight."""

    device: Device
    landing: int | None = None
    weight: float = 1.0


# Models with a gyroscope learn from the trials as they were, behind three mounts, noises and biases each (more change
# no coefficient in its second digit); other landings weigh a little, so that no weight rests on what only markers show:
# at 0.2 of 3.2 they cost 0.1 ms on runners left out and win 0.3 ms on other landings. Sensors without a gyroscope are
# real ones, and know less: for their models other landings weigh more than the smooth ones.
DRAWS = (
    *(Draw(Device(seed=seed)) for seed in (101, 102, 103)),
    *(Draw(Device(seed=seed), landing=seed, weight=0.05) for seed in (201, 202, 203, 204)),
    *(Draw(Device(seed=seed, gyroscope=False)) for seed in (301, 302)),
    *(Draw(Device(seed=seed, gyroscope=False), landing=seed) for seed in (401, 402, 403)),
)

# What the models see. Sixteen runners carry few weights: what backward elimination on fifteen of them kept in nearly
# every fold stays, the rest only raised the error of the runner left out.
CONTACT_FEATURES = ("|Z1|", "Re Z2", "Im A2", "100/T", *EDGE_FEATURES)
TOE_OFF_FEATURES = ("Re Z2", "Im Z2", "Re A1", "Z -40 ms", *PITCH_FEATURES)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Steps with true events, one row each (n,).

    ``features`` (n, k), ``contact_origin_s``, ``toe_off_origin_s`` and ``period_s`` are those of
    `pelvis.data.StepInputs`; ``contact_s`` and ``toe_off_s`` the true events in the same time. ``scored``
    says whether the accuracy tables look at this step. ``weight``: every run of a draw weighs what the draw does.
    """

    features: Array
    contact_origin_s: Array
    toe_off_origin_s: Array
    period_s: Array
    contact_s: Array
    toe_off_s: Array
    runner: NDArray[np.str_]
    gyroscope: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    weight: Array

    def of(self, rows: NDArray[np.bool_]) -> Training:
        """Return these rows."""
        return Training(*(getattr(self, column.name)[rows] for column in fields(self)))

    def without(self, runner: str) -> Training:
        """Return everything that does not come from this runner."""
        return self.of(self.runner != runner)


def take_down(trials: Sequence[Trial], draws: Iterable[Draw] = DRAWS) -> Training:
    """Run the core on every trial in every draw and keep what its models should learn from."""
    rows: list[tuple[object, ...]] = []
    for draw in draws:
        for trial in trials:
            run = wear(trial if draw.landing is None else landed(trial, draw.landing), draw.device)
            said = said_of(run.samples, inputs=True)
            steps = [item for item in said if isinstance(item, Step)]
            inputs = {item.step_index: item for item in said if isinstance(item, StepInputs)}
            window = after_settling(run)
            truth = run.truth
            pairs = [(i, inputs[steps[j].step_index]) for i, j in match(truth.contact_s, contacts_of(steps))]
            rows += [
                (
                    given.features, given.contact_origin_s, given.toe_off_origin_s, given.period_s,
                    truth.contact_s[i], truth.toe_off_s[i], trial.runner, given.evidence.has_gyroscope,
                    window.wanted[i], draw.weight / len(pairs),
                )
                for i, given in pairs
            ]  # fmt: skip
    return Training(*(np.array(column) for column in zip(*rows, strict=True)))


def fit_models(training: Training) -> EventModels:
    """Return the event models that suit these steps best, rounded as they are printed."""
    # the first seconds of a run are settling: attitude and forward are not yet what the models will be given
    settled = training.of(training.scored)
    turning, still = settled.of(settled.gyroscope), settled.of(~settled.gyroscope)
    return EventModels(
        version=VERSION,
        initial_contact=_ridge(turning, turning.contact_origin_s, turning.contact_s, CONTACT_FEATURES),
        toe_off=_ridge(turning, turning.toe_off_origin_s, turning.toe_off_s, TOE_OFF_FEATURES),
        initial_contact_without_gyroscope=_ridge(still, still.contact_origin_s, still.contact_s, COMMON_FEATURES),
        toe_off_without_gyroscope=_ridge(still, still.toe_off_origin_s, still.toe_off_s, COMMON_FEATURES),
    )


def _ridge(training: Training, origin_s: Array, event_s: Array, names: Sequence[str]) -> Ridge:
    """Return a ridge regression of an event, in step periods from its origin, on features of spread one."""
    columns = tuple(FEATURES.index(name) for name in names)
    wanted = (event_s - origin_s) / training.period_s
    weight = training.weight / training.weight.sum()
    inputs = training.features[:, columns]
    mean, level = weight @ inputs, float(weight @ wanted)
    spread = np.sqrt(weight @ (inputs - mean) ** 2)
    z: Array = (inputs - mean) / spread
    shrunk = (z * weight[:, np.newaxis]).T @ z + SHRINKAGE * np.eye(z.shape[1])
    weights = np.asarray(np.linalg.solve(shrunk, (z * weight[:, np.newaxis]).T @ (wanted - level)), np.float64) / spread
    return Ridge(
        columns=columns,
        bias=rounded(level - float(mean @ weights)),
        weights=tuple(rounded(x) for x in weights.tolist()),
        mean=tuple(rounded(x) for x in mean.tolist()),
        spread=tuple(rounded(x) for x in spread.tolist()),
    )
