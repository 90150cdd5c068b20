"""The fitted models as a file of the core, and whether two fits are the same."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import cast

from pelvis.models import EventModels

# 0.00001 of a step is 4 microseconds; where machines and libraries differ is far behind that
DECIMALS = 5

_HEAD = '''\
"""Fitted numbers of the event models, with their version.

Written by `hipdrive validate DATA --fit --write-coefficients signal/pelvis/coefficients.py`: regressions on the
force-plate contacts of 16 runners at 2.5, 3.5 and 4.5 m/s (Fukuchi, Fukuchi and Duarte 2017,
doi:10.7717/peerj.3298, CC BY 4.0), for signals at 200 Hz smoothed by the 11-point interior Hann window. They hold for
that rate and that window only.
"""

from __future__ import annotations

from pelvis.models import {names}

# fmt: off
SHIPPED = {models}
'''


def source_of(models: EventModels) -> str:
    """Return the text of `pelvis.coefficients` with these models."""
    names = sorted({type(part).__name__ for part in _parts(models)})
    return _HEAD.format(names=", ".join(names), models=_written(models, ""))


def differences(fitted: object, shipped: object, digits: int | None = None) -> list[str]:
    """Return where two models differ by more than a unit of the last printed digit, a line each.

    ``digits`` are those that count of each number; None: all have DECIMALS.
    """
    one, other = dict(_numbers(fitted, "")), dict(_numbers(shipped, ""))
    lines = [f"{path}: only in one of them" for path in sorted(one.keys() ^ other.keys())]
    for path, value in one.items():
        if path not in other:
            continue
        unit = 10.0**-DECIMALS
        if digits is not None:
            size = max(abs(value), abs(other[path]))
            unit = 10.0 ** (math.floor(math.log10(size)) + 1 - digits) if size else 1.0
        if abs(value - other[path]) > 1.5 * unit:
            lines.append(f"{path}: {other[path]:g} shipped, {value:g} fitted")
    return lines


def rounded(x: float) -> float:
    """Return a number as it is printed."""
    return round(x, DECIMALS) + 0.0


def _parts(value: object) -> Iterator[object]:
    if is_dataclass(value):
        yield value
        for field in fields(value):
            yield from _parts(getattr(value, field.name))
    for item in _items(value):
        yield from _parts(item)


def _items(value: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()


def _numbers(value: object, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, int | float):
        yield path, float(value)
        return
    inside: dict[str, object] = {f"{path}[{k}]": item for k, item in enumerate(_items(value))}
    if is_dataclass(value):
        inside = {f"{path}.{f.name}" if path else f.name: getattr(value, f.name) for f in fields(value)}
    elif isinstance(value, Mapping):
        named = cast("Mapping[str, object]", value)
        inside = {f"{path}.{name}" if path else name: item for name, item in named.items()}
    for where, item in inside.items():
        yield from _numbers(item, where)


def _written(value: object, margin: str) -> str:
    inner = margin + "    "
    if is_dataclass(value):
        lines = [f"{inner}{f.name}={_written(getattr(value, f.name), inner)},\n" for f in fields(value)]
        return f"{type(value).__name__}(\n{''.join(lines)}{margin})"
    if parts := _items(value):
        items = [_written(item, inner) for item in parts]
        if any("\n" in item for item in items):
            return "(\n" + "".join(f"{inner}{item},\n" for item in items) + f"{margin})"
        text = textwrap.fill(", ".join(items) + ",", 110, initial_indent=inner, subsequent_indent=inner)
        return f"(\n{text}\n{margin})"
    return json.dumps(value) if isinstance(value, str) else repr(value)
