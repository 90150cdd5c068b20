"""What the core says of a run against what was true: contacts paired, errors per step.

Errors are in the units people read: ms, mm, degrees (`shown_in`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pelvis.coefficients import SHIPPED
from pelvis.data import Array, CoreOutput, Motion, ProvisionalContact, Samples, Side, Step, Stride
from pelvis.metrics import METRICS
from pelvis.models import EventModels
from pelvis.pipeline import Pipeline, Settings
from sensor_host.validation.sources import Run

# a contact further from every true one is a false one; a true one without is missed
MATCH_S = 0.08
# nothing in the first seconds of running is scored, the misses after them are
SETTLE_S, SETTLE_SHORT_S = 4.0, 1.0
# fewer contacts than these after SETTLE_S: a trial of a few seconds, of which only the first one is forgiven
SHORT_TRIAL_CONTACTS = 10
# the last step is not reported before its toe-off has been seen
TAIL_S = 0.6
# as many steps a side may take to be found
SIDE_STEPS = 10
# the continuous angles are scored from 4 s later on
WAVE_SETTLE_S = 4.0

Key = TypeVar("Key", float, str)

EVENTS = ("initial_contact_s", "toe_off_s")


def shown_in(name: str) -> tuple[str, float]:
    """Return the unit in which errors of a metric or event are shown, and its factor."""
    if name.endswith("_s"):
        return "ms", 1e3
    if name.endswith("_m"):
        return "mm", 1e3
    if name.endswith("_mps"):
        return "m/s", 1.0
    return name.rpartition("_")[2], 1.0


def said_of(
    samples: Samples | Iterable[Samples], *, models: EventModels = SHIPPED, motion: bool = False, inputs: bool = False
) -> list[CoreOutput]:
    """Return everything the core says about a whole recording."""
    pipeline = Pipeline(Settings(motion=motion, inputs=inputs, models=models))
    portions = (samples,) if isinstance(samples, Samples) else samples
    said = [item for portion in portions for item in pipeline.feed(portion)]
    return [*said, *pipeline.finish()]


def contacts_of(said: Iterable[CoreOutput]) -> Array:
    """Return the initial contacts of all steps, s."""
    return np.array([item.initial_contact_s for item in said if isinstance(item, Step)])


def match(true_s: Array, said_s: Array, within_s: float = MATCH_S) -> list[tuple[int, int]]:
    """Pair each true time with the nearest one said, each used once."""
    pairs: list[tuple[int, int]] = []
    used: set[int] = set()
    for i, t_s in enumerate(true_s.tolist()):
        if len(said_s) == 0:
            break
        j = int(np.argmin(np.abs(said_s - t_s)))
        if abs(float(said_s[j]) - t_s) <= within_s and j not in used:
            used.add(j)
            pairs.append((i, j))
    return pairs


class Window(NamedTuple):
    """What of a run is scored: which true contacts, from when to when a false one counts, and the side of which steps.

    ``side_steps`` of the found ones may have a wrong side.
    """

    wanted: NDArray[np.bool_]
    start_s: float
    end_s: float
    side_steps: int = SIDE_STEPS


def after_settling(run: Run) -> Window:
    """Return what is scored of a run of half a minute."""
    contact_s = run.truth.contact_s
    start_s, end_s = run.lead_s + SETTLE_S, min(float(contact_s[-1]), float(run.samples.t_s[-1]) - TAIL_S)
    if ((contact_s > start_s) & (contact_s <= end_s)).sum() < SHORT_TRIAL_CONTACTS:
        start_s = run.lead_s + SETTLE_SHORT_S
    return Window((contact_s > start_s) & (contact_s <= end_s), start_s, end_s)


@dataclass(frozen=True, slots=True, eq=False)
class RunScore:
    """What became of one run.

    ``said``, ``errors``, ``true`` and ``stated`` (standard errors, where the core says them) by name, (found,) each,
    NaN where unknown, in shown units. ``sides``: was it right. ``delays_ms`` after the true toe-off by
    the name of the time. ``waves_deg``: standard deviation of the error of a continuous angle.
    """

    run: Run
    contacts: int
    missed: int
    extra: int
    while_standing: int
    sides: NDArray[np.bool_]
    said: Mapping[str, Array]
    errors: Mapping[str, Array]
    true: Mapping[str, Array]
    stated: Mapping[str, Array]
    delays_ms: Mapping[str, Array]
    quality: Array
    cadence_spm: float
    waves_deg: Mapping[str, float] = field(default_factory=dict[str, float])
    touches: Touches | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Touches:
    """What became of the provisional contacts of a run; arrays over those that were confirmed."""

    said: int
    withdrawn: int
    errors_ms: Array
    delays_ms: Array
    side_right: NDArray[np.bool_]


def score_run(run: Run, said: Sequence[CoreOutput], window: Window | None = None) -> RunScore:
    """Compare what the core said with the truth. ``window``: what of the run counts, else `after_settling`."""
    truth = run.truth
    window = window or after_settling(run)
    steps = [item for item in said if isinstance(item, Step)]
    strides = {item.step_index: item for item in said if isinstance(item, Stride)}
    contact_s = contacts_of(steps)
    pairs = match(truth.contact_s, contact_s)
    taken = {j for _, j in pairs}
    pairs = [(i, j) for i, j in pairs if window.wanted[i]]
    true = np.array([i for i, _ in pairs], dtype=np.intp)
    found = [steps[j] for _, j in pairs]
    done = [strides.get(step.step_index) for step in found]
    compared = errors_of(found, done, true, run)
    cadence_spm = math.nan
    if len(found) > 2:
        true_spm = 60.0 / np.diff(truth.contact_s[window.wanted])
        cadence_spm = _mean([step.metrics["cadence_spm"] for step in found]) - float(true_spm.mean())
    sides = [
        step.side == truth.sides[i]
        for step, (i, _) in zip(found, pairs, strict=True)
        if truth.sides and truth.sides[i] is not Side.UNKNOWN
    ]
    times_s = {
        "reported_at_s": np.array([step.reported_at_s for step in found]),
        "completed_at_s": np.array([stride.completed_at_s if stride is not None else math.nan for stride in done]),
    }
    return RunScore(
        run,
        contacts=int(window.wanted.sum()),
        missed=int(window.wanted.sum()) - len(pairs),
        extra=sum(j not in taken and window.start_s < t_s <= window.end_s for j, t_s in enumerate(contact_s.tolist())),
        while_standing=int((contact_s < run.lead_s - 0.5).sum()),
        sides=np.array(sides[window.side_steps :], dtype=np.bool_),
        said=compared.said | times_s,
        errors=compared.errors,
        true=compared.true,
        stated=compared.stated,
        delays_ms={name: 1e3 * (at_s - truth.toe_off_s[true]) for name, at_s in times_s.items()},
        quality=np.array([step.quality for step in found]),
        cadence_spm=cadence_spm,
        waves_deg=_score_waves(run, said, window),
        touches=_score_touches(run, said, window),
    )


class Compared(NamedTuple):
    """Values said, their errors, true values and stated standard errors of steps by name, in shown units."""

    said: dict[str, Array]
    errors: dict[str, Array]
    true: dict[str, Array]
    stated: dict[str, Array]


def errors_of(found: Sequence[Step], done: Sequence[Stride | None], true: NDArray[np.intp], run: Run) -> Compared:
    """Compare steps, and their strides where they are complete, with the true contacts of these indices.

    What has no truth has an error of NaN for every step: whether it was said can be told all the same.
    """
    truth, n = run.truth, len(found)
    compared = Compared({}, {}, {}, {})
    known = {"initial_contact_s": truth.contact_s, "toe_off_s": truth.toe_off_s, **truth.metrics}
    for name in (*EVENTS, *METRICS):
        values, stated = np.full(n, np.nan), np.full(n, np.nan)
        for k, (step, stride) in enumerate(zip(found, done, strict=True)):
            if name in EVENTS:
                values[k] = step.initial_contact_s if name == "initial_contact_s" else step.toe_off_s
                stated[k] = step.initial_contact_se_s if name == "initial_contact_s" else step.toe_off_se_s
            for item in (step, stride):
                if item is not None:
                    values[k] = item.metrics.get(name, values[k])
                    stated[k] = item.errors.get(name, stated[k])
        factor = shown_in(name)[1]
        if name in known:
            compared.true[name] = factor * known[name][true]
            compared.errors[name] = factor * (values - known[name][true])
        if np.isfinite(stated).any():
            compared.stated[name] = factor * stated
        compared.said[name] = factor * values
    return compared


def _mean(values: Sequence[float]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def _score_waves(run: Run, said: Sequence[CoreOutput], window: Window) -> dict[str, float]:
    motion = [item for item in said if isinstance(item, Motion)]
    if not motion or not run.truth.waves:
        return {}
    t_s, true_s = np.concatenate([m.t_s for m in motion]), run.truth.wave_s
    part = (true_s > window.start_s + WAVE_SETTLE_S) & (true_s < t_s[-1])
    if part.sum() <= 100:
        return {}
    scored: dict[str, float] = {}
    for name, wave in run.truth.waves.items():
        values = np.concatenate([getattr(m, name) for m in motion])
        known = np.isfinite(values)
        if known.sum() > 10:
            # about its own mean: what stays the same all the time is a matter of where the markers sit
            scored[name] = float(np.std(np.interp(true_s[part], t_s[known], values[known]) - wave[part]))
    return scored


def _score_touches(run: Run, said: Sequence[CoreOutput], window: Window) -> Touches:
    kept = {item.contact_id for item in said if isinstance(item, Step)}
    touches = [
        item
        for item in said
        if isinstance(item, ProvisionalContact) and window.start_s < item.initial_contact_s <= window.end_s
    ]
    confirmed = [item for item in touches if item.contact_id in kept]
    nearest = [int(np.argmin(np.abs(run.truth.contact_s - item.initial_contact_s))) for item in confirmed]
    true_s = run.truth.contact_s[nearest]
    sides: Sequence[Side] = run.truth.sides
    return Touches(
        len(touches),
        len(touches) - len(confirmed),
        1e3 * (np.array([item.initial_contact_s for item in confirmed]) - true_s),
        1e3 * (np.array([item.decided_at_s for item in confirmed]) - true_s),
        np.array([item.side == sides[k] for item, k in zip(confirmed, nearest, strict=True)] if sides else []) == 1,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What became of a set of runs. Errors are pooled over all their found steps, NaN left out."""

    runs: tuple[RunScore, ...]

    @property
    def contacts(self) -> int:
        return sum(run.contacts for run in self.runs)

    @property
    def missed(self) -> int:
        return sum(run.missed for run in self.runs)

    @property
    def extra(self) -> int:
        return sum(run.extra for run in self.runs)

    @property
    def while_standing(self) -> int:
        return sum(run.while_standing for run in self.runs)

    @property
    def f1(self) -> float:
        hit = self.contacts - self.missed
        return 2.0 * hit / max(1, 2 * hit + self.missed + self.extra)

    @property
    def sides(self) -> NDArray[np.bool_]:
        return np.concatenate([run.sides for run in self.runs])

    def errors(self, name: str) -> Array:
        """Return the errors of a metric or event that are known."""
        return _known([run.errors.get(name, np.empty(0)) for run in self.runs])

    def bias(self, name: str) -> float:
        return float(np.mean(self.errors(name)))

    def sd(self, name: str) -> float:
        return float(np.std(self.errors(name)))

    def rmse(self, name: str) -> float:
        return rms(self.errors(name))

    def trial_means(self, name: str) -> Array:
        """Return the mean error of each run in which one is known."""
        means = [_mean(run.errors[name].tolist()) for run in self.runs if name in run.errors]
        return np.array([mean for mean in means if math.isfinite(mean)])

    def trial_pairs(self, name: str) -> tuple[Array, Array]:
        """Return the mean of each run: (true, said)."""
        runs = [run for run in self.runs if name in run.errors and np.isfinite(run.errors[name]).any()]
        true = np.array([float(np.nanmean(run.true[name])) for run in runs])
        said = np.array([float(np.nanmean(run.errors[name] + run.true[name])) for run in runs])
        return true, said

    def delays_ms(self, name: str) -> Array:
        return _known([run.delays_ms[name] for run in self.runs])

    def coverage(self, name: str) -> float:
        """Return the share of found steps for which a metric, event or time of delivery was said."""
        said = np.concatenate([run.said[name] for run in self.runs])
        return float(np.isfinite(said).mean())

    def waves_deg(self, name: str) -> Array:
        return np.array([run.waves_deg[name] for run in self.runs if name in run.waves_deg])

    def grouped(self, by: Callable[[Run], Key]) -> dict[Key, Score]:
        """Return the score of each group of runs, in the order of what they are grouped by."""
        groups: dict[Key, list[RunScore]] = {}
        for run in self.runs:
            groups.setdefault(by(run.run), []).append(run)
        return {key: Score(tuple(groups[key])) for key in sorted(groups)}


def _known(parts: Sequence[Array]) -> Array:
    values: Array = np.concatenate(parts)
    return np.asarray(values[np.isfinite(values)])


def rms(errors: Array) -> float:
    """Return the root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(errors)))) if len(errors) else math.nan
