"""A recording against a truth of one's own: the same errors as in the tables of accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pelvis.data import CoreOutput, Samples, Step
from pelvis.metrics import METRICS
from pelvis.pipeline import Pipeline
from sensor_host.analysis import open_input
from sensor_host.errors import ConfigError
from sensor_host.settings import core_settings
from sensor_host.summary import Tally
from sensor_host.validation.score import EVENTS, RunScore, Score, Window, score_run, shown_in
from sensor_host.validation.sources import Run, Truth
from sensor_host.validation.table import Table, number, percent
from sensor_host.validation.truth_csv import LONGEST_STEP_S, Clock, find_clock, read_truth
from sensor_host.validation.uncertainty import pooled, within

TRUTH_SUFFIX = ".truth.csv"
# from here on the second best offset fits nearly as well as the best
RIVAL = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A recording that was compared with its truth."""

    recording: Path
    truth: Path
    clock: Clock
    found: bool
    score: RunScore

    def warnings(self) -> list[str]:
        """Return what the reader should know."""
        if self.clock.rival < RIVAL:
            return []
        share = f"{100 * self.clock.rival:.0f} %"
        return [f"{self.recording.name}: another clock offset fits {share} as well; a longer truth or --offset decides"]


def pairs_in(folder: Path) -> list[tuple[Path, Path]]:
    """Return the recordings of a folder that have a truth: NAME.truth.csv beside NAME.mcap or NAME.csv, or NAME.csv
    with contacts beside NAME.mcap.
    """
    pairs: list[tuple[Path, Path]] = []
    for truth in sorted(folder.glob(f"*{TRUTH_SUFFIX}")):
        name = truth.name.removesuffix(TRUTH_SUFFIX)
        beside = [path for path in (folder / f"{name}.mcap", folder / f"{name}.csv") if path.exists()]
        if beside:
            pairs.append((beside[0], truth))
    for recording in sorted(folder.glob("*.mcap")):
        table = recording.with_suffix(".csv")
        if recording not in [known for known, _ in pairs] and table.exists() and _is_truth(table):
            pairs.append((recording, table))
    return pairs


def _is_truth(path: Path) -> bool:
    with path.open("rb") as file:
        return EVENTS[0].encode() in file.readline()


def compare(recording: Path, truth_file: Path, offset_s: float | None = None) -> Pair:
    """Measure a recording or a CSV file and compare it with the truth in a table.

    Parameters
    ----------
    recording, truth_file
        See `sensor_host.analysis.open_input` and `read_truth`.
    offset_s
        What to add to true times to get the recording's; None: found by matching.

    Raises
    ------
    InputError
        When the recording cannot be used.
    ConfigError
        When the truth cannot be used or belongs to another run.
    """
    truth = read_truth(truth_file)
    said, first_s, last_s = _said_in(recording)
    steps = [item for item in said if isinstance(item, Step)]
    if offset_s is None:
        clock = find_clock(
            truth, np.array([s.initial_contact_s for s in steps]), np.array([s.toe_off_s for s in steps])
        )
    else:
        clock = Clock(offset_s)
    truth = replace(truth, contact_s=clock.shift(truth.contact_s), toe_off_s=clock.shift(truth.toe_off_s))
    if not ((truth.contact_s > first_s) & (truth.contact_s < last_s)).any():
        raise ConfigError(f"{truth_file}: no contact falls into {recording.name}; give another --offset or none")
    run = Run(recording.stem, recording.stem, np.nan, _NO_SAMPLES, first_s, truth)
    score = score_run(run, said, _window(truth, first_s, last_s))
    return Pair(recording, truth_file, clock, offset_s is None, _with_true_gaps(score, steps))


_NO_SAMPLES = Samples(np.empty(0), np.empty((0, 3)), np.empty((0, 3)), 0.0)


def _said_in(path: Path) -> tuple[list[CoreOutput], float, float]:
    """Return what the core says of a recording, and from when to when it lasts."""
    source = open_input(path)
    pipeline = Pipeline(core_settings(source.config, source.profile, motion=False, coached=False))
    said: list[CoreOutput] = []
    first_s, last_s = np.inf, -np.inf
    for item in source.items(Tally()):
        if isinstance(item, Samples) and len(item.t_s):
            first_s, last_s = min(first_s, float(item.t_s[0])), max(last_s, float(item.t_s[-1]))
        said += pipeline.feed(item)
    return [*said, *pipeline.finish()], first_s, last_s


def _window(truth: Truth, first_s: float, last_s: float) -> Window:
    """Every true contact within the recording counts; the side of every step does."""
    wanted = (truth.contact_s > first_s) & (truth.toe_off_s < last_s)
    return Window(wanted, first_s, last_s, side_steps=0)


def _with_true_gaps(score: RunScore, steps: Sequence[Step]) -> RunScore:
    """Count as extra only what lies between two true contacts that belong together: elsewhere nobody looked."""
    truth = score.run.truth
    true_s = truth.contact_s
    before = np.searchsorted(true_s, [step.initial_contact_s for step in steps]) - 1
    seen = sum(0 <= k < len(true_s) - 1 and true_s[k + 1] - true_s[k] <= LONGEST_STEP_S for k in before.tolist())
    hit = score.contacts - score.missed
    return replace(score, extra=max(0, min(score.extra, seen - hit)))


# ---------------------------------------------------------------- what is said of them


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a metric or event, in ``unit``; ``within``: the share within one stated standard error."""

    n: int
    bias: float
    sd: float
    rmse: float
    p95: float
    within: float
    unit: str


def errors_by_name(score: Score) -> Mapping[str, Errors]:
    """Return the errors of everything whose truth is known for some step."""
    found: dict[str, Errors] = {}
    for name in (*EVENTS, *METRICS):
        known = score.errors(name)
        if len(known):
            found[name] = Errors(
                len(known),
                score.bias(name),
                score.sd(name),
                score.rmse(name),
                float(np.percentile(np.abs(known), 95)),
                within(*pooled(score, name)),
                shown_in(name)[0],
            )
    return found


def errors_table(score: Score) -> Table:
    """Return the errors as a table."""
    head = ("per step or stride", "n", "bias", "SD", "RMSE", "95 % within", "within stated error")
    titles = {"initial_contact_s": "initial contact", "toe_off_s": "toe-off"}
    rows = [
        (
            f"{titles[name] if name in titles else METRICS[name].title}, {e.unit}",
            str(e.n),
            number(e.bias, _decimals(e.unit), signed=True),
            *(number(x, _decimals(e.unit)) for x in (e.sd, e.rmse, e.p95)),
            percent(e.within, 0),
        )
        for name, e in errors_by_name(score).items()
    ]
    return Table(head, rows)


def _decimals(unit: str) -> int:
    return {"ms": 1, "mm": 1, "m/s": 3}.get(unit, 2)


def found_table(pairs: Sequence[Pair]) -> Table:
    """Return how the recordings were matched and what was found in them."""
    head = ("recording", "true contacts", "missed", "extra", "side right", "clock offset, s", "clock drift, ppm")
    rows = [
        (
            pair.recording.name,
            str(pair.score.contacts),
            str(pair.score.missed),
            str(pair.score.extra),
            _sides(pair.score),
            f"{pair.clock.offset_s:+.3f}{'' if pair.found else ' (given)'}",
            number(pair.clock.drift_ppm, 0, signed=True) if pair.clock.drift_ppm else "",
        )
        for pair in pairs
    ]
    return Table(head, rows)


def _sides(score: RunScore) -> str:
    return f"{percent(float(score.sides.mean()))} of {len(score.sides)}" if len(score.sides) else ""


def as_document(pairs: Sequence[Pair]) -> dict[str, object]:
    """Return the comparison for JSON; what is not known is null."""
    score = Score(tuple(pair.score for pair in pairs))
    return {
        "pairs": [
            {
                "recording": str(pair.recording),
                "truth": str(pair.truth),
                "clock_offset_s": pair.clock.offset_s,
                "clock_offset_found": pair.found,
                "clock_drift_ppm": pair.clock.drift_ppm,
                "true_contacts": pair.score.contacts,
                "missed": pair.score.missed,
                "extra": pair.score.extra,
                "side_right_ratio": float(pair.score.sides.mean()) if len(pair.score.sides) else None,
            }
            for pair in pairs
        ],
        "errors": errors_by_name(score),
    }
