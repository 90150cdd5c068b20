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
from force_plates import SETTLE_S, TAIL_S, Device, contacts_of, fukuchi, match, said_of

from pelvis import contacts, steps
from pelvis.data import Array, Step

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
    given: list[tuple[tuple[float, ...], float]] = []
    periods: list[float] = []
    evaluate, find = contacts._evaluate, contacts.find_events  # noqa: SLF001 - the models' inputs are nobody else's

    def watched(model: contacts.Ridge, features: tuple[float, ...]) -> tuple[float, float]:
        said = evaluate(model, features)
        given.append((features, said[0]))
        return said

    def timed(anchor: contacts.Anchor, period_samples: float, signals: Array, *, with_pitch: bool) -> contacts.Events:
        periods.append(period_samples)
        return find(anchor, period_samples, signals, with_pitch=with_pitch)

    contacts._evaluate, steps.find_events = watched, timed  # noqa: SLF001
    rows: list[tuple[object, ...]] = []
    try:
        for run in fukuchi(folder, device):
            given.clear()
            periods.clear()
            said = said_of(run.samples)
            found = [item for item in said if isinstance(item, Step)]
            last_s = float(run.samples.t_s[-1]) - TAIL_S
            for i, j in match(run.contact_s, contacts_of(said)):
                period_s = periods[j] * 0.005
                errors_s = (
                    run.contact_s[i] - found[j].initial_contact_s,
                    run.toe_off_s[i] - found[j].toe_off_s,
                )
                scored = run.lead_s + SETTLE_S < run.contact_s[i] <= last_s
                told = [(*given[2 * j + k], given[2 * j + k][1] + errors_s[k] / period_s) for k in (0, 1)]
                rows.append((*told[0], *told[1], 1e3 * period_s, run.name.partition("_")[0], run.name, scored))
    finally:
        contacts._evaluate, steps.find_events = evaluate, find  # noqa: SLF001
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    events = tuple(Seen(columns[3 * k], columns[3 * k + 2], columns[3 * k + 1]) for k in (0, 1))
    return Steps((events[0], events[1]), *columns[6:])


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
