"""What is usual over the stride: mean and spread between runners, from Fukuchi's pelvis markers.

    python -m sensor_host.validation.stride_norms DATA > sensor_host/view/stride_norm_values.py

Each runner counts once at each speed, with the mean of all strides of both feet, turned to the foot in contact.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pelvis.data import Array, Side
from sensor_host.validation.sources import Trial, fukuchi
from sensor_host.view.curves import LONGEST_S, PERCENT, SHORTEST_S

COLUMNS = ("obliquity_deg", "rotation_deg")
# every 5 %: ten harmonics of the stride, of which markers at running show six
EVERY = 5

HEAD = '''"""Usual curves over the stride, written by `sensor_host.validation.stride_norms`.

Means and standard deviations between 16 runners on a treadmill at 2.5, 3.5 and 4.5 m/s, from pelvis markers (Fukuchi,
Fukuchi and Duarte 2017, doi:10.7717/peerj.3298, CC BY 4.0): no runner's data is contained. Obliquity and rotation are
turned to the foot in contact, and hold no offset between the feet.
"""

from __future__ import annotations

RUNNERS = {runners}

# fmt: off
# by speed in m/s: mean and standard deviation of toe-off in % of the stride, of drop from contact in deg
TOE_OFF = {toe_off}
DROP_DEG = {drop}
# by speed and column: mean and standard deviation of the range in deg
RANGES = {ranges}
# by speed and column: means, then standard deviations, every 5 % of the stride from contact on, in deg
CURVES = {curves}
# fmt: on
'''


def stride_of(trial: Trial, column: str) -> Array:
    """Return the mean curve (101,) of one run over all strides of both feet."""
    truth = trial.truth
    begin_s, end_s = truth.contact_s[:-2], truth.contact_s[2:]
    feet: list[Array] = []
    for side in (Side.LEFT, Side.RIGHT):
        curves: list[Array] = [
            np.interp(begin + (end - begin) * PERCENT / 100.0, truth.wave_s, truth.waves[column])
            for i, (begin, end) in enumerate(zip(begin_s, end_s, strict=True))
            if truth.sides[i] is side and truth.sides[i + 2] is side and SHORTEST_S <= end - begin <= LONGEST_S
        ]
        mean: Array = np.mean(curves, axis=0)
        feet.append(-mean if side is Side.LEFT else mean)
    return 0.5 * (feet[0] + feet[1])


def toe_off_of(trial: Trial) -> float:
    """Return the usual toe-off of one run in % of the stride."""
    truth = trial.truth
    duration_s = truth.contact_s[2:] - truth.contact_s[:-2]
    return float(100.0 * np.median((truth.toe_off_s[:-2] - truth.contact_s[:-2]) / duration_s))


def written(folder: Path) -> str:
    """Return the module that holds the norms.

    Raises
    ------
    InputError
        When a file of the data cannot be used.
    """
    trials = fukuchi(folder)
    speeds = sorted({trial.speed_mps for trial in trials})
    toe_off: dict[float, str] = {}
    drop: dict[float, str] = {}
    ranges: dict[float, dict[str, str]] = {}
    curves: dict[float, dict[str, tuple[str, str]]] = {}
    for speed_mps in speeds:
        at_speed = [trial for trial in trials if trial.speed_mps == speed_mps]
        off = [toe_off_of(trial) for trial in at_speed]
        toe_off[speed_mps] = _pair(off)
        strides = {column: np.array([stride_of(trial, column) for trial in at_speed]) for column in COLUMNS}
        stance = np.mean(off) >= PERCENT
        obliquity = strides["obliquity_deg"]
        drop[speed_mps] = _pair(obliquity[:, stance].max(axis=1) - obliquity[:, 0])
        ranges[speed_mps] = {column: _pair(np.ptp(each, axis=1)) for column, each in strides.items()}
        curves[speed_mps] = {
            column: (_row(each.mean(axis=0)[:-1:EVERY]), _row(each.std(axis=0, ddof=1)[:-1:EVERY]))
            for column, each in strides.items()
        }
    return HEAD.format(
        runners=len({trial.runner for trial in trials}),
        toe_off=_table(toe_off),
        drop=_table(drop),
        ranges=_table({speed: _inline(each) for speed, each in ranges.items()}),
        curves=_table({speed: _nested(each) for speed, each in curves.items()}),
    )


def _pair(values: Sequence[float] | Array) -> str:
    return f"({np.mean(values):.2f}, {np.std(values, ddof=1):.2f})"


def _row(values: Iterable[float]) -> str:
    # "+ 0.0" makes a zero of what rounds to minus zero
    figures = [f"{round(value, 2) + 0.0:.2f}" for value in values]
    half = len(figures) // 2
    return f"({', '.join(figures[:half])},\n             {', '.join(figures[half:])})"


def _inline(cells: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {cell}' for name, cell in cells.items()) + "}"


def _nested(cells: Mapping[str, tuple[str, str]]) -> str:
    lines = [
        f'        "{name}": (\n            {mean},\n            {sd},\n        ),' for name, (mean, sd) in cells.items()
    ]
    return "{\n" + "\n".join(lines) + "\n    }"


def _table(cells: Mapping[float, str]) -> str:
    return "{\n" + "\n".join(f"    {key}: {cell}," for key, cell in cells.items()) + "\n}"


if __name__ == "__main__":
    sys.stdout.write(written(Path(sys.argv[1])))
