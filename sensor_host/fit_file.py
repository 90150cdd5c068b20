"""FIT files of watches and foot pods, as far as a calibration needs them: one record a second.

Read by fitdecode (the extra ``fit``). Fields by their FIT names: cadence and fractional_cadence (of one leg, doubled
here), stance_time, enhanced_speed or speed, vertical_oscillation, step_length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sensor_host.errors import ConfigError, InputError
from sensor_host.track import Track

# 130: cadence of one leg; files that hold steps in place of strides say more
MOST_STRIDES_PER_MINUTE = 130.0


def read_track(path: Path) -> Track:
    """Read what the device wrote down each second.

    Raises
    ------
    ConfigError
        Where the extra ``fit`` is not installed.
    InputError
        When the file cannot be read, is no FIT file or holds no running.
    """
    try:
        from importlib import import_module

        fitdecode: Any = import_module("fitdecode")
    except ImportError:
        raise ConfigError('FIT files are read by fitdecode: pip install "hipdrive[fit]"') from None
    rows: dict[float, tuple[float, ...]] = {}
    name = ""
    try:
        with path.open("rb") as file, fitdecode.FitReader(file) as reader:
            for message in reader:
                if not isinstance(message, fitdecode.FitDataMessage):
                    continue
                if message.name == "file_id" and not name:
                    name = _device(message)
                elif message.name == "record":
                    rows.update(_row(message))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", path=str(path)) from error
    except fitdecode.FitError as error:
        raise InputError(f"{path}: is no FIT file, or damaged ({error})", path=str(path)) from error
    if not rows:
        raise InputError(f"{path}: holds no records", path=str(path))
    times = sorted(rows)
    columns = np.array([rows[utc_s] for utc_s in times])
    if not np.isfinite(columns[:, 0]).any():
        raise InputError(
            f"{path}: holds no cadence; without it nothing tells where it and the run meet", path=str(path)
        )
    if float(np.nanmax(columns[:, 0])) > 2.0 * MOST_STRIDES_PER_MINUTE:
        columns[:, 0] /= 2.0
    return Track(name or "a device", np.array(times), *columns.T)


def _device(message: Any) -> str:
    words = [message.get_value(field, fallback=None) for field in ("manufacturer", "garmin_product", "product_name")]
    return " ".join(str(word) for word in words if word is not None)


def _row(message: Any) -> Iterator[tuple[float, tuple[float, ...]]]:
    at = message.get_value("timestamp", fallback=None)
    if not isinstance(at, datetime):
        return
    utc_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()

    def number(*names: str) -> float:
        for field in names:
            value = message.get_value(field, fallback=None)
            if isinstance(value, int | float):
                return float(value)
        return math.nan

    fraction = number("fractional_cadence")
    strides = number("cadence") + (0.0 if math.isnan(fraction) else fraction)
    millimetres = (number("stance_time"), number("vertical_oscillation"), number("step_length"))
    contact_s, rise_m, step_m = (value / 1000.0 if value > 0.0 else math.nan for value in millimetres)
    yield utc_s, (2.0 * strides, contact_s, number("enhanced_speed", "speed"), rise_m, step_m)
