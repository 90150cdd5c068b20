"""Tables at the edge: foreign samples come in as CSV, samples go out as CSV, and files appear when they are whole.

What is read: a header that carries units, ``t_s`` and, for x, y and z, ``acc_x_g`` or
``acc_x_mps2`` and ``gyr_x_dps`` or ``gyr_x_radps``; columns in any order, others ignored. A
column ``speed_mps`` is taken as running speed; its cells may be empty.
A row in which one of these is empty or not a number is a lost sample: it is left out,
counted and said. A file in which most rows are like that is refused. A file does not say where its sensor's range ends;
where an axis stays at its largest value, its samples count as clipped.

What is written appears under its name when it is complete, never before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pelvis.data import ACTIVITY_CODES, STANDARD_GRAVITY_MPS2, Array, Motion, Samples, Speed
from pelvis.foreign import RATE_WINDOW_S, USUAL_FORCE_G, RangeWatch, UnusableError, rate_of, usual_force_g
from pelvis.step_table import number_form
from sensor_host.errors import InputError, OutputError

# ---------------------------------------------------------------- samples in

MAX_LOST_RATIO = 0.5

SPEED_COLUMN, SPEED_SOURCE = "speed_mps", "file"
# 0.5 s: a column that repeats or interpolates its speed in every row says no more than that
SPEED_EVERY_S = 0.5

_READ_BYTES = 1 << 20  # about 14,000 rows: several thousand samples a block, a megabyte of text in memory

_UNITS = {
    "acc": {"g": STANDARD_GRAVITY_MPS2, "mps2": 1.0},
    "gyr": {"dps": np.pi / 180.0, "radps": 1.0},
}
_WANTED = "t_s,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps (or _mps2 and _radps)"


class CsvSamples:
    """The samples of a CSV file, read block by block.

    Parameters
    ----------
    path
        The file; its header is read and judged at once.

    Attributes
    ----------
    rate_hz
        Nominal rate, from the times of the first two seconds; 0 until the first block was read.
    rows, lost
        How many rows were read, and how many of them were left out as not a number.
    warnings
        What the reader should know, one sentence each; complete when the iteration has ended.

    Raises
    ------
    InputError
        When the file or its header cannot be used; the same while iterating, with the row's number.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rate_hz = 0.0
        self.rows = 0
        self.lost = 0
        self.warnings: list[str] = []
        self._last_s = -np.inf
        self._range = RangeWatch()
        self._line = 1
        try:
            with path.open(encoding="utf-8-sig") as file:
                header = file.readline()
        except UnicodeDecodeError:
            raise self._refuse("is neither a hipdrive recording nor a CSV file") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", path=str(path)) from error
        self._columns, self._factors = self._judge_header(header)
        self._speed_slot = -np.inf

    def __iter__(self) -> Iterator[Samples | Speed]:
        """Yield the file's samples, a megabyte of text at a time; before each block the speeds in it, if it has any."""
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                file.readline()
                held: list[Array] = []
                while lines := file.readlines(_READ_BYTES):
                    table = self._parse(lines)
                    self._line += len(lines)
                    if self.rate_hz == 0.0:  # the rate needs the first seconds; they are in the first block or two
                        held.append(table)
                        table = np.concatenate(held)
                        if not self._find_rate(table):
                            continue
                    if len(table):
                        yield from self._speeds(table)
                        yield from self._samples(table)
                if self.rate_hz == 0.0:
                    table = np.concatenate(held) if held else np.empty((0, len(self._columns)))
                    self._find_rate(table, complete=True)
                    yield from self._speeds(table)
                    yield from self._samples(table)
        except UnicodeDecodeError:
            raise self._refuse("has bytes that are no text; is it a CSV file?") from None
        if self.lost > MAX_LOST_RATIO * self.rows:
            raise self._refuse(f"{self.lost} of {self.rows} rows are not numbers; export it again")
        if self.lost:
            self.warnings.append(f"{self.lost} of {self.rows} rows are not numbers and count as lost samples")

    # ------------------------------------------------------------ header

    def _judge_header(self, header: str) -> tuple[list[int], Array]:
        names = [name.strip().strip('"') for name in header.strip().split(",")]
        if not header.strip():
            raise self._refuse(f"is empty; a header {_WANTED} and samples are expected")
        if "\0" in header:
            raise self._refuse("is neither a hipdrive recording nor a CSV file")
        if all(_is_number(name) for name in names):
            raise self._refuse(f"begins with numbers; the first line must name the columns: {_WANTED}")
        columns, factors = [self._find_column(names, "t", ("s",))[0]], [1.0]
        for kind, units in _UNITS.items():
            for axis in "xyz":
                column, unit = self._find_column(names, f"{kind}_{axis}", tuple(units))
                columns.append(column)
                factors.append(units[unit])
        if SPEED_COLUMN in names:
            columns.append(names.index(SPEED_COLUMN))
        return columns, np.array(factors)

    def _find_column(self, names: Sequence[str], stem: str, units: tuple[str, ...]) -> tuple[int, str]:
        found = [(names.index(f"{stem}_{unit}"), unit) for unit in units if f"{stem}_{unit}" in names]
        if len(found) == 1:
            return found[0]
        ways = " or ".join(f"{stem}_{unit}" for unit in units)
        if found:
            raise self._refuse(f"has both {ways.replace(' or ', ' and ')}; keep one of them")
        if stem in names:
            raise self._refuse(f"column {stem} carries no unit; name it {ways}")
        raise self._refuse(f"has no column {ways}; expected are {_WANTED}")

    # ------------------------------------------------------------ rows

    def _parse(self, lines: list[str]) -> Array:
        """Return the rows of these lines that are whole, (n, 7 or 8) with ``t_s`` first, in the file's units."""
        if not any(line.strip() for line in lines):
            return np.empty((0, len(self._columns)))
        try:
            table = np.loadtxt(lines, delimiter=",", comments=None, usecols=self._columns, ndmin=2)
        except ValueError:
            table = self._parse_slowly(lines)
        self.rows += len(table)
        whole = np.isfinite(table[:, :7]).all(axis=1)
        t_s = table[:, 0]
        if not whole.all():
            self.lost += len(table) - int(whole.sum())
            t_s = t_s[whole]
        backward = np.flatnonzero(np.diff(t_s, prepend=self._last_s) <= 0)
        if len(backward):
            first = int(backward[0])
            before_s = t_s[first - 1] if first else self._last_s
            row = int(np.flatnonzero(whole)[first])
            raise self._refuse(
                f"line {self._line_of(lines, row)}: time {t_s[first]:.6f} s does not come after {before_s:.6f} s; "
                "sort the rows by t_s and drop doubles"
            )
        if len(t_s):
            self._last_s = float(t_s[-1])
        return table[whole]

    def _parse_slowly(self, lines: list[str]) -> Array:
        """Parse cell by cell: an empty cell is not a number, anything else that is none is an error with its line."""
        rows: list[list[float]] = []
        for number, line in enumerate(lines, start=self._line + 1):
            if not line.strip():
                continue
            cells = line.split(",")
            try:
                rows.append([float(cells[column].strip().strip('"') or "nan") for column in self._columns])
            except IndexError:
                raise self._refuse(
                    f"line {number} has {len(cells)} cells, fewer than the header; is it cut off?"
                ) from None
            except ValueError as error:
                bad = str(error).rpartition(":")[2].strip()
                raise self._refuse(
                    f"line {number}: {bad} is not a number; decimal points, commas between cells"
                ) from None
        return np.array(rows, dtype=np.float64).reshape(-1, len(self._columns))

    def _line_of(self, lines: list[str], row: int) -> int:
        filled = [number for number, line in enumerate(lines, start=self._line + 1) if line.strip()]
        return filled[row]

    # ------------------------------------------------------------ rate

    def _find_rate(self, table: Array, *, complete: bool = False) -> bool:
        """Take the rate from the first two seconds; False when there is not yet enough of the file."""
        t_s = table[:, 0]
        length_s = float(t_s[-1] - t_s[0]) if len(t_s) > 1 else 0.0
        if length_s < RATE_WINDOW_S and not complete:
            return False
        if self.rows and self.lost > MAX_LOST_RATIO * self.rows:
            raise self._refuse(f"{self.lost} of the first {self.rows} rows are not numbers; export it again")
        try:
            self.rate_hz = rate_of(t_s)
        except UnusableError as error:
            raise self._refuse(str(error)) from error
        norm_g = usual_force_g(table[:, 1:4] * self._factors[1:4])
        if not USUAL_FORCE_G[0] < norm_g < USUAL_FORCE_G[1]:
            self.warnings.append(
                f"the median acceleration is {norm_g:.3g} g where about 1 g is expected: does the header name its unit?"
            )
        return True

    def _speeds(self, table: Array) -> Iterator[Speed]:
        if table.shape[1] < 8:
            return
        said = table[np.isfinite(table[:, 7])]
        slots = np.floor(said[:, 0] / SPEED_EVERY_S)
        for row in np.flatnonzero(np.diff(slots, prepend=self._speed_slot) > 0).tolist():
            yield Speed(float(said[row, 0]), max(0.0, float(said[row, 7])), SPEED_SOURCE)
        self._speed_slot = float(slots[-1]) if len(slots) else self._speed_slot

    def _samples(self, table: Array) -> Iterator[Samples]:
        scaled = table[:, :7] * self._factors
        yield from self._range.cut(scaled[:, 0], scaled[:, 1:4], scaled[:, 4:7], self.rate_hz)

    def _refuse(self, text: str) -> InputError:
        return InputError(f"{self.path}: {text}", path=str(self.path))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- files that appear when they are whole


class WholeFile:
    """A text file that takes its name when it was written to the end; an error leaves nothing behind.

    What is no plain file (a pipe, /dev/null) is written to as it is.

    Raises
    ------
    OutputError
        When the folder is missing or read-only, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plain = path.is_file() or not path.exists()
        self._partial = path.with_name(path.name + ".partial") if self._plain else path
        self._file: FileIO | None = None

    def open(self) -> None:
        """Open the file; entering does it too where that was not done before."""
        try:
            self._file = self._partial.open("wb", buffering=0)
        except OSError as error:
            raise self._refuse(error) from error

    def __enter__(self) -> Self:
        if self._file is None:
            self.open()
        return self

    def write(self, text: bytes) -> None:
        assert self._file is not None
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise self._refuse(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            self._file.close()
            if kind is None and self._plain:
                self._partial.replace(self.path)
        except OSError as failure:
            raise self._refuse(failure) from failure
        finally:
            if self._plain:
                self._partial.unlink(missing_ok=True)

    def _refuse(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path} cannot be written: {error.strerror}", path=str(self.path))


# ---------------------------------------------------------------- samples out

_SAMPLES_HEADER = b"t_s,obliquity_deg,tilt_deg,rotation_deg,activity\n"
_TIME_DECIMALS, _ANGLE_DECIMALS = 6, 4
_ROWS_AT_ONCE = 8192  # enough that NumPy's own overhead vanishes, few enough to stay in the cache
_WORDS = np.array([list(str(state).ljust(8, "\0").encode()) for state in ACTIVITY_CODES], dtype=np.uint8)


class SampleTable:
    """SAMPLES.csv: the pelvis' angles on the core's grid."""

    def __init__(self, path: Path) -> None:
        self._file = WholeFile(path)
        self._header = _SAMPLES_HEADER
        self._held: list[Motion] = []
        self._held_rows = 0

    def __enter__(self) -> Self:
        self._file.open()
        return self

    def take(self, motion: Motion) -> None:
        """Append a block."""
        self._held.append(motion)
        self._held_rows += len(motion.t_s)
        if self._held_rows >= _ROWS_AT_ONCE:
            self._write_held()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._file.__exit__(kind, error, trace)
            return
        with self._file:
            self._write_held()

    def _write_held(self) -> None:
        self._file.write(self._header + format_motion(self._held))
        self._header = b""
        self._held.clear()
        self._held_rows = 0


def format_motion(blocks: Sequence[Motion]) -> bytes:
    """Return the blocks' lines.

    All rows at once: each column becomes a matrix of digits in which zero bytes stand for
    "nothing here", and what is left when they are taken out is the text.
    """
    if not blocks:
        return b""
    activity = np.concatenate([block.activity for block in blocks])
    comma = np.full((len(activity), 1), ord(","), dtype=np.uint8)
    end = np.full((len(activity), 1), ord("\n"), dtype=np.uint8)
    text: NDArray[np.uint8] = np.hstack(
        [
            _digits(np.concatenate([block.t_s for block in blocks]), _TIME_DECIMALS),
            comma,
            _digits(np.concatenate([block.obliquity_deg for block in blocks]), _ANGLE_DECIMALS),
            comma,
            _digits(np.concatenate([block.tilt_deg for block in blocks]), _ANGLE_DECIMALS),
            comma,
            _digits(np.concatenate([block.rotation_deg for block in blocks]), _ANGLE_DECIMALS),
            comma,
            _WORDS[activity],
            end,
        ]
    )
    shown: NDArray[np.uint8] = text[text != 0]
    return shown.tobytes()


def _digits(values: Array, decimals: int) -> NDArray[np.uint8]:
    """Return ``values`` as fixed-point text, (n, width) bytes; zero bytes where there is nothing, all zero for NaN."""
    known = np.isfinite(values)
    scaled = np.rint(np.where(known, values, 0.0) * 10.0**decimals).astype(np.int64)
    rest = np.abs(scaled)
    whole_digits = len(str(int(rest.max()))) - decimals if len(rest) else 1
    columns: list[NDArray[np.uint8]] = []
    for place in range(decimals + max(1, whole_digits)):
        if place == decimals:
            columns.append(np.full(len(rest), ord("."), dtype=np.uint8))
        # a leading zero is left out once nothing is left of the number, but one stands before the point
        shown = known if place <= decimals else known & (rest > 0)
        quotient = rest // 10
        digit = (rest - 10 * quotient + ord("0")).astype(np.uint8)
        columns.append(np.where(shown, digit, 0).astype(np.uint8))
        rest = quotient
    columns[decimals] = np.where(known, columns[decimals], 0).astype(np.uint8)
    columns.append(np.where(scaled < 0, ord("-"), 0).astype(np.uint8))
    return np.column_stack(columns[::-1])


# ---------------------------------------------------------------- simulated samples and truth out


def samples_header() -> bytes:
    """Return the header of a table of sensor samples, as `CsvSamples` reads it."""
    return b"t_s,acc_x_mps2,acc_y_mps2,acc_z_mps2,gyr_x_radps,gyr_y_radps,gyr_z_radps\n"


def format_samples(t_s: Array, acc_mps2: Array, gyr_radps: Array) -> bytes:
    """Return the lines of a table of sensor samples."""
    rows = np.column_stack([t_s, acc_mps2, gyr_radps])
    line = "%.6f" + 6 * ",%.7g" + "\n"
    return ((line * len(rows)) % tuple(rows.ravel().tolist())).encode()


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a plain table; what is not known (NaN) is left empty.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    lines = [",".join(columns)]
    lines += [",".join(map(_cell, columns, row)) for row in rows]
    with WholeFile(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else number_form(name) % value  # NaN: unknown
    return str(value)
