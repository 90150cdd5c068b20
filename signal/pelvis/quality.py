"""How far a step can be trusted: one number from 0 to 1, and the reasons that lowered it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about the making of one step."""

    strangeness: float
    run_steps: int
    period_ratio: float
    filled_ratio: float
    axis_confidence: float
    disagrees: bool
    roughness_g: float
    has_gyroscope: bool


def judge(evidence: Evidence) -> tuple[float, tuple[str, ...]]:
    """Return the quality of a step and the flags that say what lowered it."""
    return 1.0, ()
