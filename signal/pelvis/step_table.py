"""The steps of a run as a table: one column per figure, one row per step, in the order of their contacts.

The columns of the step table are declared here, once; STEPS.csv is this table as text.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from operator import itemgetter
from typing import Any, Never, Self, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array, Step, Stride
from pelvis.metrics import METRICS, error_name

_FIRST_COLUMNS = (
    "step_index",
    "stride_index",
    "initial_contact_s",
    "toe_off_s",
    "side",
    "contact_time_s",
    "flight_time_s",
    "step_time_s",
    "cadence_spm",
    "pelvic_drop_deg",
    "peak_drop_deg",
    "obliquity_range_deg",
    "tilt_deg",
    "rotation_range_deg",
    "sway_m",
    "pelvis_sway_m",
    "vertical_oscillation_m",
    "velocity_loss_mps",
    "velocity_gain_mps",
    "reported_at_s",
    "completed_at_s",
    "quality",
)
STEP_COLUMNS: tuple[str, ...] = (
    # the contract's columns in the contract's order; a metric added to METRICS follows by itself
    *_FIRST_COLUMNS,
    *(name for name in METRICS if name not in _FIRST_COLUMNS),
    "side_confidence",
    "speed_source",
    "contact_time_reference",
    "contact_time_offset_s",
    "flags",
    error_name("initial_contact_s"),
    error_name("toe_off_s"),
    *(metric.error_name for metric in METRICS.values()),
)
"""Every column, in the order of the table; docs/metrics.md tells what each is."""

_ERROR_NAMES = {metric.name: metric.error_name for metric in METRICS.values()}
# words of others are quoted in a text where they must be; the core's own never have to
_OTHERS_WORDS = ("speed_source", "contact_time_reference")
_TEXTS = ("side", *_OTHERS_WORDS, "flags")
_NUMBERS = tuple(name for name in STEP_COLUMNS if name not in _TEXTS)
_COUNTS = tuple(name for name in _NUMBERS if name.endswith("_index"))

_ROWS_AT_ONCE = 1024  # as Python's numbers they take ten times the memory of the text

_Cell: TypeAlias = float | int | str
Column: TypeAlias = NDArray[Any]

_numbers_of = cast("Any", itemgetter(*_NUMBERS))
_texts_of = cast("Any", itemgetter(*_TEXTS))
# a row about which nothing is known yet
_UNKNOWN: dict[str, _Cell] = {name: "" if name in _TEXTS else math.nan for name in STEP_COLUMNS}


def _refuse(*_: object, **__: object) -> Never:
    raise TypeError("a step table is read-only; to_dict() gives a copy that can be changed")


class StepTable(dict[str, Column]):
    """Steps by column, read-only: a `dict` from name to array (n,), so that whatever takes one takes it.

    Numbers are float64, NaN where unknown; ``step_index`` and ``stride_index`` are int64; ``side`` is "left", "right"
    or "unknown", ``flags`` words with blanks between. A standard error stands beside its figure: ``contact_time_s``,
    ``contact_time_se_s``.

    ``len`` is how many steps there are; iterating gives the names, as with a data frame. A name gives a column,
    whatever else indexes an array a table of those steps: ``steps[steps["side"] == "left"]``, ``steps[-50:]``.

    Raises
    ------
    KeyError
        When there is no such column; it says which is nearest.
    TypeError
        When something is written into it.
    """

    __slots__ = ()

    def __init__(self, columns: Mapping[str, Column]) -> None:
        kept = {name: column.view() for name, column in columns.items()}
        for column in kept.values():
            column.flags.writeable = False
        super().__init__(kept)

    @overload
    def __getitem__(self, key: str, /) -> Column: ...

    @overload
    def __getitem__(self, key: slice | NDArray[np.bool_] | NDArray[np.intp] | list[int], /) -> Self: ...

    def __getitem__(self, key: str | slice | Column | list[int], /) -> Column | Self:
        if not isinstance(key, str):
            return type(self)({name: column[key] for name, column in self.items()})
        try:
            return super().__getitem__(key)
        except KeyError:
            near = get_close_matches(key, self.names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self)}"
            raise KeyError(f"no column {key!r}; {hint}") from None

    def __len__(self) -> int:
        return len(self["step_index"])

    def __repr__(self) -> str:
        return f"<{len(self)} steps: {', '.join(self.names[:6])}, ... ({len(self.names)} columns)>"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in their order."""
        return tuple(self)

    def between(self, from_s: float, to_s: float) -> Self:
        """Return the steps with from_s <= initial_contact_s < to_s."""
        contacts: Array = self["initial_contact_s"]
        return self[(contacts >= from_s) & (contacts < to_s)]

    def to_dict(self) -> dict[str, Column]:
        """Return a plain dictionary of copies, to be changed at will."""
        return {name: column.copy() for name, column in self.items()}

    def to_csv(self) -> str:
        """Return the table as text, the very text of STEPS.csv: what is unknown is empty."""
        line = ",".join("%s" if name in _TEXTS else number_form(name) for name in self) + "\n"
        text = [",".join(self) + "\n"]
        for low in range(0, len(self), _ROWS_AT_ONCE):
            cells = (
                [_quoted(text) for text in column.tolist()] if name in _OTHERS_WORDS else column.tolist()
                for name, column in self[low : low + _ROWS_AT_ONCE].items()
            )
            # a row at once: cell by cell takes four times as long; `_quoted` lets no text pass that looks unknown
            text.append("".join([line % row for row in zip(*cells, strict=True)]).replace(",nan", ","))
        return "".join(text)

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


class StepRows:
    """Takes what is said about steps, in any order, and makes a table of it."""

    def __init__(self) -> None:
        # what waits for its stride, and what is whole: numbers take a tenth of the memory of their cells
        self._open: dict[int, dict[str, _Cell]] = {}
        self._numbers = array("d")
        self._texts: list[tuple[str, ...]] = []

    def take(self, item: Step | Stride) -> None:
        """Remember what was said about a step."""
        row = self._open.get(item.step_index)
        if row is None:
            row = self._open[item.step_index] = _UNKNOWN.copy()
            row["step_index"] = item.step_index
            row["stride_index"] = item.stride_index
        row.update(item.metrics)
        row.update(zip(map(_ERROR_NAMES.__getitem__, item.errors), item.errors.values(), strict=True))
        if isinstance(item, Step):
            row["initial_contact_se_s"] = item.initial_contact_se_s
            row["toe_off_se_s"] = item.toe_off_se_s
            row["initial_contact_s"] = item.initial_contact_s
            row["toe_off_s"] = item.toe_off_s
            row["side"] = str(item.side)
            row["reported_at_s"] = item.reported_at_s
            row["quality"] = item.quality
            row["side_confidence"] = item.side_confidence
            row["speed_source"] = item.speed_source
            row["contact_time_reference"] = item.contact_time_reference
            row["contact_time_offset_s"] = item.contact_time_offset_s
            row["flags"] = " ".join(item.flags)
        else:
            row["completed_at_s"] = item.completed_at_s
            del self._open[item.step_index]
            self._numbers.extend(_numbers_of(row))
            self._texts.append(_texts_of(row))

    def table(self) -> StepTable:
        """Return all steps so far, in their order; what a stride has not yet told is unknown."""
        rest = list(self._open.values())
        whole, open_ = (np.array(some, dtype=np.float64) for some in (self._numbers, [*map(_numbers_of, rest)]))
        numbers = np.concatenate((whole, open_.ravel())).reshape(-1, len(_NUMBERS))
        texts = [*self._texts, *map(_texts_of, rest)]
        order = np.argsort(numbers[:, _NUMBERS.index("step_index")], kind="stable")
        columns: dict[str, Column] = dict.fromkeys(STEP_COLUMNS, numbers)
        for place, name in enumerate(_NUMBERS):
            column = numbers[order, place]
            columns[name] = column.astype(np.int64) if name in _COUNTS else column
        for place, name in enumerate(_TEXTS):
            columns[name] = np.array([text[place] for text in texts], dtype=np.str_)[order]
        return StepTable(columns)


def table_of(said: Iterable[object]) -> StepTable:
    """Return the table of the steps and strides among what was said."""
    rows = StepRows()
    for item in said:
        if isinstance(item, Step | Stride):
            rows.take(item)
    return rows.table()


def number_form(name: str) -> str:
    """Return how a number of that name is written, as a format of the % operator."""
    # microseconds for times, seven digits for the rest: finer than any sensor, coarse enough to read
    # and three for a standard error, which is not known any better
    if name in _COUNTS:
        return "%d"
    return "%.3g" if "_se_" in name else "%.6f" if name.endswith("_s") else "%.7g"


def _quoted(text: str) -> str:
    """Return a name that others chose as a cell."""
    if not set(text) & {",", '"', "\n", "\r"} and not text.startswith("nan"):
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'
