"""What the pelvis does while its owner runs, from one inertial sensor over the sacrum.

A pure core: no input, no output, no clock of its own. `pelvis.pipeline` is the
place to start reading; `pelvis.data` says what flows through it. `pelvis.analyze`
measures a whole run from arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pelvis.batch import Analysis as Analysis
    from pelvis.batch import analyze as analyze
    from pelvis.step_table import StepTable as StepTable

_PLACES = {"Analysis": "batch", "analyze": "batch", "StepTable": "step_table"}


def __getattr__(name: str) -> object:
    # on first use: whoever imports a part of the core waits for no other
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
