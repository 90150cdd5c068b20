"""Fit the event models anew with every runner left out in turn: what to expect of a runner they have not seen.

python benchmarks/left_out.py DATA_DIR

The shipped coefficients were fitted on all of Fukuchi's runners. Here the core runs as it is and its models' inputs are
taken down; ridge regressions on three draws of the device are then scored on the runner that was left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accuracy import table
from force_plates import SETTLE_S, TAIL_S, Device, contacts_of, fukuchi, match

from pelvis.coefficients import SHIPPED
from pelvis.data import Array, Step, StepInputs
from pelvis.pipeline import Pipeline, Settings

# the shrinkage at which a fit on all runners errs as much as the shipped coefficients
SHRINKAGE = 0.01


@dataclass(frozen=True, slots=True)
class Seen:
    """One event model's inputs (n, k) and where the force plate puts the event, in step periods, for n steps."""

    inputs: Array
    wanted: Array
    shipped: Array


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps of a draw: initial contact, toe-off, step time in ms, runner, run, and which steps are scored."""

    events: tuple[Seen, Seen]
    period_ms: Array
    runner: Array
    run: Array
    scored: Array


def take_down(folder: Path, device: Device) -> Steps:
    """Run the core on every run; keep what its event models were given and should have said."""
    rows: list[tuple[object, ...]] = []
    for run in fukuchi(folder, device):
        said = list(Pipeline(Settings(inputs=True)).feed(run.samples))
        found = [item for item in said if isinstance(item, Step)]
        inputs = {item.step_index: item for item in said if isinstance(item, StepInputs)}
        last_s = float(run.samples.t_s[-1]) - TAIL_S
        for i, j in match(run.contact_s, contacts_of(said)):
            step, given = found[j], inputs[found[j].step_index]
            scored = run.lead_s + SETTLE_S < run.contact_s[i] <= last_s
            times_s = (run.contact_s[i], run.toe_off_s[i], step.initial_contact_s, step.toe_off_s)
            events = [(t_s - given.origin_s) / given.period_s for t_s in times_s]
            rows.append((given.features, *events, 1e3 * given.period_s, run.name.partition("_")[0], run.name, scored))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    initial_contact = Seen(columns[0][:, : len(SHIPPED.initial_contact.weights)], columns[1], columns[3])
    return Steps((initial_contact, Seen(columns[0], columns[2], columns[4])), *columns[5:])


def fitted(inputs: Array, wanted: Array) -> Callable[[Array], Array]:
    """Return a ridge regression on inputs of spread one."""
    mean, spread, level = inputs.mean(axis=0), inputs.std(axis=0), wanted.mean()
    z = (inputs - mean) / spread
    shrunk = z.T @ z + SHRINKAGE * len(z) * np.eye(z.shape[1])
    weights = np.linalg.solve(shrunk, z.T @ (wanted - level))
    return lambda other: np.asarray(level + ((other - mean) / spread) @ weights)


def row(name: str, steps_: Steps, said: tuple[Array, Array]) -> tuple[str, ...]:
    errors = [(s - seen.wanted) * steps_.period_ms for s, seen in zip(said, steps_.events, strict=True)]
    contact = (errors[1] - errors[0])[steps_.scored]
    runs = steps_.run[steps_.scored]
    means = np.array([contact[runs == run].mean() for run in np.unique(runs)])
    kinds = (*(e[steps_.scored] for e in errors), contact, means)
    return (name, *(f"{np.sqrt(np.mean(np.square(e))):.1f}" for e in kinds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    folder = parser.parse_args().data
    draws = [take_down(folder, Device(seed=seed)) for seed in (1, 2, 3)]
    scored = draws[0]
    whole: list[Array] = []
    left_out: list[Array] = []
    for k in (0, 1):
        inputs = np.concatenate([draw.events[k].inputs for draw in draws])
        wanted = np.concatenate([draw.events[k].wanted for draw in draws])
        runner = np.concatenate([draw.runner for draw in draws])
        mine = scored.events[k].inputs
        whole.append(fitted(inputs, wanted)(mine))
        said = np.empty(len(mine))
        for name in np.unique(runner):
            others = runner != name
            said[scored.runner == name] = fitted(inputs[others], wanted[others])(mine[scored.runner == name])
        left_out.append(said)
    head = ("RMSE, ms", "initial contact", "toe-off", "contact time, step", "contact time, mean of a run")
    print(
        table(
            head,
            row("shipped coefficients", scored, (scored.events[0].shipped, scored.events[1].shipped)),
            row("fitted anew on all runners", scored, (whole[0], whole[1])),
            row("fitted anew, the runner left out", scored, (left_out[0], left_out[1])),
        )
    )


if __name__ == "__main__":
    main()
