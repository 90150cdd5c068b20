"""A run that was measured, held against what else is known of it: an offset of contact time, a speed, a count.

Nothing here writes. Each function returns a `Finding`, of which a calibration can be made, or refuses what is
implausible in one line. Differences are taken where both sides saw the same steps; their median is the offset, so that
a few mismatches do not count, and the spread of the medians of blocks of ten seconds its standard error, because steps
that follow each other err alike.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array, Side, Step
from pelvis.speed import POPULATION, point_of
from sensor_host.calibration import CADENCE_CHECK, CONTACT_TIME, SPEED
from sensor_host.errors import HipdriveError, InputError
from sensor_host.summary import GOOD_QUALITY

Mask: TypeAlias = NDArray[np.bool_]
Index: TypeAlias = NDArray[np.intp]

# what is plausible
LEAST_STEPS = 30
# 40 ms: five times the spread between runners; what differs by more is another run or another quantity
LARGEST_OFFSET_S = 0.040
# 8 ms: the spread between runners; a less certain offset would add more error than it takes away
LARGEST_STANDARD_ERROR_S = 0.008
# 1 ms: halves of a run differ by 1.2 ms, however many steps they have
LEAST_STANDARD_ERROR_S = 0.001
LEAST_FILMED = 3
# What devices and eyes call a contact is not what a force plate does at 50 N. How far they are off is not known here;
# 15 ms is the order of the differences between published devices, and lets an offset hold at other speeds too.
DEFINITION_SD_S = 0.015
# 0.45: three and a half standard errors of the estimate, as ln; km/h or min/km for m/s lie far beyond
LARGEST_SPEED_SURPRISE = 0.45

BLOCK_S = 10.0
# from so many on their spread can be taken, and so that a few odd ones do not count
LEAST_BLOCKS, ROBUST_BLOCKS = 4, 8


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: the parts of a calibration, from ``steps`` steps, and what else to say of it."""

    kind: str
    reference: str
    detail: str
    steps: int
    values: dict[str, float]
    notes: tuple[str, ...] = ()


def counts(step: Step) -> bool:
    """Tell whether a step counts: what was disturbed does not, nor do the first seconds of a run."""
    return step.quality >= GOOD_QUALITY and "settling" not in step.flags


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The steps of a session, measured without any calibration; times are the session's own.

    ``start_utc_s`` is the wall clock at ``first_s``, the session's first sample; None where nothing tells it.
    """

    steps: tuple[Step, ...]
    first_s: float
    last_s: float
    start_utc_s: float | None = None

    @property
    def contact_s(self) -> Array:
        """Initial contact of each step (n,)."""
        return np.array([step.initial_contact_s for step in self.steps])

    @property
    def good(self) -> Mask:
        """Which steps count (n,)."""
        return np.array([counts(step) for step in self.steps], dtype=np.bool_)

    def column(self, metric: str) -> Array:
        """Return a metric of each step (n,)."""
        return np.array([step.metrics[metric] for step in self.steps])

    def between(self, start_s: float, end_s: float) -> Measured:
        """Return the steps from ``start_s`` to ``end_s`` after the first sample."""
        kept = tuple(s for s in self.steps if start_s <= s.initial_contact_s - self.first_s < end_s)
        return replace(self, steps=kept)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a run is held against: its ``name``, which stands on every step, and ``detail``, such as its file.

    ``definition_sd_s`` is how far its notion of contact time may be off; ``refuse`` makes the error of a reason.
    """

    name: str
    detail: str
    refuse: Callable[[str], HipdriveError]
    definition_sd_s: float = 0.0


# ---------------------------------------------------------------- offsets of contact time


def compare(own_s: Array, reference_s: Array, at_s: Array, steps: int, reference: Reference) -> Finding:
    """Return the offset of contact times (n,) measured and told by a reference, at ``at_s`` (n,), from ``steps`` steps.

    Raises
    ------
    HipdriveError
        The reference's, when it is implausible.
    """
    if steps < LEAST_STEPS:
        raise reference.refuse(f"{steps} steps can be compared; at least {LEAST_STEPS} are needed")
    differences_s = reference_s - own_s
    blocks = np.floor(at_s / BLOCK_S)
    medians = np.array([np.median(differences_s[blocks == block]) for block in np.unique(blocks)])
    # 1.2533: the standard error of a median in units of that of a mean; 1.4826: a normal SD in units of the MAD
    if len(medians) >= ROBUST_BLOCKS:
        spread_s = 1.4826 * float(np.median(np.abs(medians - np.median(medians))))
        error_s = 1.2533 * spread_s / math.sqrt(len(medians))
    elif len(medians) >= LEAST_BLOCKS:
        error_s = 1.2533 * float(np.std(medians, ddof=1)) / math.sqrt(len(medians))
    else:
        # too short for blocks: take neighbours to err alike in fours
        error_s = 1.2533 * float(np.std(differences_s)) / math.sqrt(max(1.0, len(differences_s) / 4.0))
    return judge(float(np.median(own_s)), float(np.median(differences_s)), error_s, steps, reference)


def judge(own_s: float, offset_s: float, error_s: float, steps: int, reference: Reference) -> Finding:
    """Return an offset where contact time was ``own_s`` as a finding, unless it is implausible.

    Raises
    ------
    HipdriveError
        The reference's.
    """
    if steps < LEAST_STEPS:
        raise reference.refuse(f"{steps} steps can be compared; at least {LEAST_STEPS} are needed")
    if abs(offset_s) > LARGEST_OFFSET_S:
        raise reference.refuse(
            f"contact time differs by {1e3 * offset_s:+.0f} ms, more than the {1e3 * LARGEST_OFFSET_S:.0f} ms that "
            "runners may: is it the same run, and contact time in the same unit?"
        )
    if error_s > LARGEST_STANDARD_ERROR_S:
        raise reference.refuse(
            f"the offset of {1e3 * offset_s:+.0f} ms has a standard error of {1e3 * error_s:.0f} ms; above "
            f"{1e3 * LARGEST_STANDARD_ERROR_S:.0f} ms it says no more than is known without: compare more steps"
        )
    values = {
        "contact_time_offset_s": offset_s,
        "standard_error_s": max(error_s, LEAST_STANDARD_ERROR_S),
        "contact_time_s": own_s,
        "definition_sd_s": reference.definition_sd_s,
    }
    return Finding(CONTACT_TIME, reference.name, reference.detail, steps, values)


# ---------------------------------------------------------------- speed


def speed_point(measured: Measured, speed_mps: float, reference: Reference) -> Finding:
    """Return how the runner ran at a known speed.

    Raises
    ------
    HipdriveError
        The reference's, when there are too few steps or the speed is implausible.
    """
    good = [step.metrics for step in measured.steps if counts(step)]
    point, steps = point_of(speed_mps, good)
    if steps < LEAST_STEPS:
        raise reference.refuse(f"{steps} good steps at {speed_mps:g} m/s; at least {LEAST_STEPS} are needed")
    estimate_mps = math.exp(POPULATION.log_speed(point.step_time_s, point.velocity_gain_mps, point.contact_time_s))
    if abs(math.log(estimate_mps / speed_mps)) > LARGEST_SPEED_SURPRISE:
        raise reference.refuse(
            f"{speed_mps:g} m/s does not fit steps that look like {estimate_mps:.1f} m/s: was it then, and in m/s?"
        )
    note = f"the estimate without it was {estimate_mps:.2f} m/s"
    return Finding(SPEED, reference.name, reference.detail, steps, asdict(point), (note,))


# ---------------------------------------------------------------- counted by hand, filmed


def check_count(measured: Measured, counted: int, start_s: float, for_s: float) -> Finding:
    """Compare a count of contacts with the steps found in the same seconds; it corrects nothing."""
    inside = measured.between(start_s, start_s + for_s)
    values = {"counted": float(counted), "found": float(len(inside.steps)), "from_s": start_s, "for_s": for_s}
    detail = f"from {start_s:g} s for {for_s:g} s"
    told = f"counted {counted}, found {len(inside.steps)}: {_verdict(inside, counted, start_s, start_s + for_s)}"
    return Finding(CADENCE_CHECK, "a count", detail, len(inside.steps), values, (told,))


def _verdict(inside: Measured, counted: int, start_s: float, end_s: float) -> str:
    found = len(inside.steps)
    # a count begins and ends between two contacts or on one
    if abs(found - counted) <= 1:
        return "they agree"
    if abs(found - 2 * counted) <= 2:
        return "it seems that the contacts of one foot were counted"
    at_s = inside.contact_s - inside.first_s
    intervals_s = np.diff(at_s)
    usual_s = float(np.median(intervals_s)) if len(intervals_s) else 60.0 / 170.0
    if found < counted:
        # from edge to edge; a hole of twice the usual step time hides one contact, of three times two
        edges = np.concatenate(([start_s], at_s, [end_s]))
        holes = np.flatnonzero(np.diff(edges) > 1.6 * usual_s)
        missed = int(np.sum(np.round(np.diff(edges)[holes] / usual_s) - 1.0))
        if not missed:
            return "the count is suspect, for the contacts found follow each other without a hole"
        where = ", ".join(f"{edges[k]:.0f}" for k in holes[:5])
        return f"the measurement is suspect, which has holes of {missed} contacts in all (behind {where} s)"
    doubled = np.flatnonzero(intervals_s < 0.6 * usual_s)
    if not len(doubled):
        return "the count is suspect, for the contacts found follow each other evenly"
    where = ", ".join(f"{at_s[k]:.0f}" for k in doubled[:5])
    return f"the measurement is suspect, which has {len(doubled)} contacts too many (behind {where} s)"


def film(measured: Measured, frames: Sequence[float], rate_hz: float, side: Side, reference: Reference) -> Finding:
    """Compare the contact times of a film, in frames, with those measured meanwhile (of one side, where it is named).

    Raises
    ------
    HipdriveError
        The reference's, when they are too few or do not fit.
    """
    if len(frames) < LEAST_FILMED:
        raise reference.refuse(f"{len(frames)} contacts were filmed; count the frames of at least {LEAST_FILMED}")
    own = [
        step.metrics["contact_time_s"] for step in measured.steps if counts(step) and side in (Side.UNKNOWN, step.side)
    ]
    if not own:
        raise reference.refuse("no good step of that foot was measured meanwhile")
    filmed_s = np.array(frames) / rate_hz
    # a few contacts tell little of their own spread; each end of one is seen to a frame
    spread_s = max(float(np.std(filmed_s, ddof=1)), float(np.std(own)))
    variance = (spread_s**2 + rate_hz**-2 / 6.0) / len(frames) + float(np.var(own)) / len(own)
    own_s = float(np.mean(own))
    return judge(own_s, float(np.mean(filmed_s)) - own_s, math.sqrt(variance), len(own), reference)


# ---------------------------------------------------------------- true contacts


@dataclass(frozen=True, slots=True, eq=False)
class TrueContacts:
    """Contacts from a force plate or insole, in its own time: (n,) each."""

    contact_s: Array
    toe_off_s: Array


def read_contacts(path: Path) -> TrueContacts:
    """Read a table with the columns ``initial_contact_s`` and ``toe_off_s``; others are ignored.

    Raises
    ------
    InputError
        When it cannot be read or has not those columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            names = [name.strip() for name in table.fieldnames or ()]
            missing = [name for name in ("initial_contact_s", "toe_off_s") if name not in names]
            if missing:
                raise InputError(
                    f"{path}: has no column {missing[0]}; initial_contact_s and toe_off_s are expected", path=str(path)
                )
            table.fieldnames = names
            rows = [_times(path, table.line_num, row) for row in table]
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: is no CSV file", path=str(path)) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", path=str(path)) from error
    whole = sorted(row for row in rows if all(map(math.isfinite, row)) and row[1] > row[0])
    contact_s, toe_off_s = (np.array([row[k] for row in whole]) for k in (0, 1))
    return TrueContacts(contact_s, toe_off_s)


def _times(path: Path, line: int, row: dict[str, str | None]) -> tuple[float, float]:
    cells = [(row[name] or "").strip() or "nan" for name in ("initial_contact_s", "toe_off_s")]
    try:
        return float(cells[0]), float(cells[1])
    except ValueError as error:
        bad = str(error).rpartition(":")[2].strip()
        raise InputError(f"{path}: line {line}: {bad} is not a number", path=str(path)) from None


# a contact and the one it is
MATCH_S = 0.08
# contacts at either end from which a common clock is sought: the other side may have missed the first ones
ENDS = 3
MATCHED_RATIO = 0.8
# 20 ms: twice the error of single contacts; steps of another run do not fall together as well
LARGEST_SCATTER_S = 0.020


def match_contacts(measured: Measured, true: TrueContacts, reference: Reference) -> Finding:
    """Find the clocks' difference from the pattern of contacts, then the offset of contact time.

    Raises
    ------
    HipdriveError
        The reference's, when the two do not match or the offset is implausible.
    """
    own_s, true_s = measured.contact_s, true.contact_s
    if min(len(own_s), len(true_s)) < LEAST_STEPS:
        few = min(len(own_s), len(true_s))
        raise reference.refuse(f"{few} contacts can be compared; at least {LEAST_STEPS} are needed")
    shifts_s = [*np.subtract.outer(own_s, true_s[:ENDS]).flat, *np.subtract.outer(own_s[:ENDS], true_s).flat]
    best = (math.inf, math.inf, 0.0)
    for shift_s in np.unique(shifts_s).tolist():
        rest_s, _ = _residuals(own_s, true_s + shift_s)
        # what falls together must be most of what both could see
        both = (true_s + shift_s > own_s[0] - MATCH_S) & (true_s + shift_s < own_s[-1] + MATCH_S)
        if len(rest_s) < max(LEAST_STEPS, MATCHED_RATIO * np.count_nonzero(both)):
            continue
        # to 0.1 ms; where two fit equally well, the one that makes the clocks differ less
        best = min(best, (round(float(np.std(rest_s)), 4), abs(shift_s), shift_s + float(np.median(rest_s))))
    if best[0] > LARGEST_SCATTER_S:
        raise reference.refuse("its contacts do not fall together with those of the run: is it the same run?")
    _, pairs = _residuals(own_s, true_s + best[2])
    i, j = pairs[measured.good[pairs[:, 1]]].T
    found = compare(measured.column("contact_time_s")[j], (true.toe_off_s - true_s)[i], own_s[j], len(i), reference)
    return replace(found, notes=(f"its clock is {best[2]:+.3f} s behind the session's",))


def _residuals(own_s: Array, true_s: Array) -> tuple[Array, Index]:
    """Return own minus true time of contacts that are each other's nearest, and their indices (n, 2) true, own."""
    right = np.clip(np.searchsorted(own_s, true_s), 1, len(own_s) - 1)
    nearest = np.where(true_s - own_s[right - 1] < own_s[right] - true_s, right - 1, right)
    rest_s = own_s[nearest] - true_s
    first = np.concatenate(([True], np.diff(nearest) > 0))
    kept = (np.abs(rest_s) <= MATCH_S) & first
    return rest_s[kept], np.column_stack([np.flatnonzero(kept), nearest[kept]])
