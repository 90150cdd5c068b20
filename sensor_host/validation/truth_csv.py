"""A truth of one's own: contacts of a force plate or a pressure insole as CSV, beside a recording.

The table has a header. ``initial_contact_s`` and ``toe_off_s`` are needed; ``side`` (left, right, or empty) and any
metric by its name in METRICS may stand beside; an empty cell is unknown, other columns are left alone. Times are those
of the other system: `find_clock` ties them to those of the recording.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pelvis.data import Array, Side
from pelvis.metrics import METRICS
from sensor_host.errors import ConfigError
from sensor_host.validation.score import EVENTS, match
from sensor_host.validation.sources import LONGEST_FLIGHT_S, Truth

FEWEST_CONTACTS = 5
# 0.6 s: no step of running lasts longer; what lies further apart does not belong together
LONGEST_STEP_S = 0.6

_SIDES = {"left": Side.LEFT, "l": Side.LEFT, "right": Side.RIGHT, "r": Side.RIGHT, "": Side.UNKNOWN}


def read_truth(path: Path) -> Truth:
    """Return what a table says was true.

    Raises
    ------
    ConfigError
        When it cannot be used, with the row where there is one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no text; a CSV table of contacts is expected") from None
    except csv.Error as error:
        raise ConfigError(f"{path}: is no CSV table ({error})") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not rows or not any(rows[0]):
        raise ConfigError(f"{path}: is empty; a header with {' and '.join(EVENTS)} is expected")
    names = [name.strip() for name in rows[0]]
    for name in EVENTS:
        if name not in names:
            raise ConfigError(f"{path}: has no column {name}; a header with {' and '.join(EVENTS)} is expected")
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise ConfigError(f"{path}: has column {doubled[0]} twice")
    # a row without a contact (the last line, a pause) says nothing
    body = [(line, row) for line, row in enumerate(rows[1:], 2) if any(cell.strip() for cell in row)]
    columns = {name: _numbers(path, names, name, body) for name in names if name in METRICS or name in EVENTS}
    contact_s, toe_off_s = (columns.pop(name) for name in EVENTS)
    _judge(path, contact_s, toe_off_s, [line for line, _ in body])
    sides = _sides(path, names, body) if "side" in names else ()
    return Truth(contact_s, toe_off_s, sides, _derived(contact_s, toe_off_s) | columns)


def _numbers(path: Path, names: Sequence[str], name: str, body: Sequence[tuple[int, list[str]]]) -> Array:
    column, values = names.index(name), np.full(len(body), np.nan)
    for k, (line, row) in enumerate(body):
        text = row[column].strip() if column < len(row) else ""
        try:
            values[k] = float(text) if text else math.nan
        except ValueError:
            raise ConfigError(f"{path}: line {line}: {name} is {text!r}, which is no number") from None
        if math.isinf(values[k]):
            raise ConfigError(f"{path}: line {line}: {name} is {text!r}, which is no number")
    return values


def _sides(path: Path, names: Sequence[str], body: Sequence[tuple[int, list[str]]]) -> tuple[Side, ...]:
    column, sides = names.index("side"), list[Side]()
    for line, row in body:
        text = row[column].strip().lower() if column < len(row) else ""
        if text not in _SIDES and text != Side.UNKNOWN:
            raise ConfigError(f"{path}: line {line}: side is {text!r}; write left, right or nothing")
        sides.append(_SIDES.get(text, Side.UNKNOWN))
    return tuple(sides)


def _judge(path: Path, contact_s: Array, toe_off_s: Array, lines: Sequence[int]) -> None:
    if len(contact_s) < FEWEST_CONTACTS:
        raise ConfigError(f"{path}: has {len(contact_s)} contacts; at least {FEWEST_CONTACTS} are needed")
    for name, values in zip(EVENTS, (contact_s, toe_off_s), strict=True):
        if np.isnan(values).any():
            raise ConfigError(f"{path}: line {lines[int(np.argmax(np.isnan(values)))]}: has no {name}")
    early = toe_off_s <= contact_s
    if early.any():
        raise ConfigError(f"{path}: line {lines[int(np.argmax(early))]}: toe-off is not after initial contact")
    back = np.diff(contact_s) <= 0.0
    if back.any():
        raise ConfigError(f"{path}: line {lines[int(np.argmax(back)) + 1]}: initial_contact_s does not rise")


def _derived(contact_s: Array, toe_off_s: Array) -> dict[str, Array]:
    """Return the metrics that follow from contacts alone; a table's own columns go before them."""
    step_s = np.diff(contact_s)
    step_s = np.where(step_s <= LONGEST_STEP_S, step_s, np.nan)
    flight_s = np.where(np.isfinite(step_s), contact_s[1:] - toe_off_s[:-1], np.nan)
    return {
        "contact_time_s": toe_off_s - contact_s,
        "flight_time_s": np.append(np.where(flight_s < LONGEST_FLIGHT_S, flight_s, np.nan), np.nan),
        "step_time_s": np.append(step_s, np.nan),
        "cadence_spm": np.append(np.nan, 60.0 / step_s),
    }


# ---------------------------------------------------------------- the clocks


@dataclass(frozen=True, slots=True)
class Clock:
    """Recording time = true time + ``offset_s`` + ``drift_ppm`` of the time since ``at_s`` (true time).

    ``rival`` is how well the second best offset fits, as a share of the best (0 where the offset was given): close to
    1, the steps are too even to tell.
    """

    offset_s: float
    drift_ppm: float = 0.0
    at_s: float = 0.0
    rival: float = 0.0

    def shift(self, true_s: Array) -> Array:
        """Return true times in the recording's time."""
        return np.asarray(true_s + self.offset_s + 1e-6 * self.drift_ppm * (true_s - self.at_s))


# contacts of both are laid over each other in bins of 10 ms
_BIN_S = 0.01
# 8 ms: about the standard error of one contact
_SPREAD_S = 0.008
# ten minutes of contacts find the offset: two clocks 50 ppm apart drift by 30 ms in it
_SEARCH_S = 600.0
_CANDIDATES = 40
# over two minutes, 20 ppm are 2.4 ms: less than that cannot be told from noise
_DRIFT_FROM_S = 120.0


def find_clock(truth: Truth, contact_s: Array, toe_off_s: Array) -> Clock:
    """Return the clock that lays the true contacts best over those said (n,).

    Only events count, never sides: they are to be judged. The offset is the one at which events are neither early nor
    late in the median; a common bias of all events cannot be told from it.

    Raises
    ------
    ConfigError
        When fewer than FEWEST_CONTACTS fall together at any offset.
    """
    if len(contact_s) < FEWEST_CONTACTS:
        raise ConfigError(f"the recording holds {len(contact_s)} steps; at least {FEWEST_CONTACTS} are needed")
    true_s = truth.contact_s
    early = true_s <= true_s[0] + _SEARCH_S
    candidates = _candidates(true_s[early], contact_s)
    fits = [_refined(true_s[early], truth.toe_off_s[early], contact_s, toe_off_s, offset_s) for offset_s in candidates]
    best, offset_s = max(fits)
    others = [fit for fit, other_s in fits if abs(other_s - offset_s) > 0.1]
    clock = Clock(offset_s, at_s=float(true_s[0]), rival=max(others, default=0.0) / best if best else 1.0)
    for _ in range(3):
        pairs = match(clock.shift(true_s), contact_s)
        if len(pairs) < FEWEST_CONTACTS:
            raise ConfigError("the true contacts fit the recording at no offset; is it the same run?")
        clock = _tightened(clock, truth, contact_s, toe_off_s, pairs)
    return clock


def _candidates(true_s: Array, said_s: Array) -> list[float]:
    """Return the offsets at which most contacts fall together, by the cross-correlation of both."""
    first_true, first_said = float(true_s[0]), float(said_s[0])
    n = int((true_s[-1] - first_true) / _BIN_S) + 1
    m = int((said_s[-1] - first_said) / _BIN_S) + 1
    size = 1 << (n + m).bit_length()
    true, said = np.zeros(size), np.zeros(size)
    np.add.at(true, ((true_s - first_true) / _BIN_S).astype(np.intp), 1.0)
    # wide enough that neighbouring bins count as well
    for aside, weight in ((-2, 0.3), (-1, 0.7), (0, 1.0), (1, 0.7), (2, 0.3)):
        np.add.at(said, ((said_s - first_said) / _BIN_S).astype(np.intp) + aside, weight)
    together = np.fft.irfft(np.fft.rfft(said) * np.conj(np.fft.rfft(true)), size)
    best = np.argsort(-together, kind="stable")[:_CANDIDATES]
    lags = np.where(best > size // 2, best - size, best)
    return [first_said - first_true + _BIN_S * lag for lag in lags.tolist()]


def _refined(
    true_contact_s: Array, true_toe_off_s: Array, contact_s: Array, toe_off_s: Array, offset_s: float
) -> tuple[float, float]:
    """Return (how well it fits, the offset) after moving an offset to where most events fall together."""

    def errors_s() -> Array:
        contacts = _nearest(true_contact_s + offset_s, contact_s)
        return np.concatenate([contacts, _nearest(true_toe_off_s + offset_s, toe_off_s)])

    for _ in range(3):
        near = errors_s()
        near = near[np.abs(near) < 0.04]
        if len(near):
            offset_s += float(np.median(near))
    return float(np.exp(-0.5 * (errors_s() / _SPREAD_S) ** 2).sum()), offset_s


def _nearest(times_s: Array, said_s: Array) -> Array:
    """Return how much later than each time the nearest one said is."""
    after = np.clip(np.searchsorted(said_s, times_s), 1, len(said_s) - 1)
    low, high = said_s[after - 1] - times_s, said_s[after] - times_s
    return np.asarray(np.where(np.abs(low) < np.abs(high), low, high))


def _tightened(
    clock: Clock, truth: Truth, contact_s: Array, toe_off_s: Array, pairs: Sequence[tuple[int, int]]
) -> Clock:
    true, said = (np.array(column) for column in zip(*pairs, strict=True))
    at_s = np.concatenate([truth.contact_s[true], truth.toe_off_s[true]])
    error_s = np.concatenate([contact_s[said], toe_off_s[said]]) - clock.shift(at_s)
    if np.ptp(at_s) >= _DRIFT_FROM_S:
        usual = np.abs(error_s - np.median(error_s)) < 0.03
        slope, _ = np.polyfit(at_s[usual] - clock.at_s, error_s[usual], 1)
        clock = replace(clock, drift_ppm=clock.drift_ppm + 1e6 * float(slope))
        error_s = np.concatenate([contact_s[said], toe_off_s[said]]) - clock.shift(at_s)
    return replace(clock, offset_s=clock.offset_s + float(np.median(error_s)))
