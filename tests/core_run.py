"""Run the core over samples and keep what it says: for the tests of the core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from pelvis.data import (
    Activity,
    Array,
    ContactWithdrawn,
    CoreInput,
    CoreOutput,
    Cue,
    Motion,
    Notice,
    ProvisionalContact,
    Samples,
    Step,
    Stride,
)
from pelvis.pipeline import Pipeline, Settings
from pelvis.simulate import Scenario, SimulatedRunner, TrueContact

Kind = TypeVar("Kind", Step, Stride, Activity, Notice, ProvisionalContact, ContactWithdrawn, Motion, Cue)

STREAMS = ("t_s", "acc_g", "obliquity_deg", "tilt_deg", "rotation_deg", "activity")


def simulated(scenario: Scenario, seed: int = 1) -> tuple[Samples, list[TrueContact]]:
    """Return a whole simulated run as one block of samples, and its true contacts."""
    (block,) = SimulatedRunner(scenario, seed).blocks(scenario.end_s + 1.0)
    return Samples(block.t_s, block.acc_mps2, block.gyr_radps, block.rate_hz), list(block.contacts)


def part(samples: Samples, start: int, stop: int) -> Samples:
    rows = slice(start, stop)
    return replace(samples, t_s=samples.t_s[rows], acc_mps2=samples.acc_mps2[rows], gyr_radps=samples.gyr_radps[rows])


def keep(samples: Samples, kept: Array) -> Samples:
    """Lose the samples where ``kept`` (n,) is false."""
    return replace(samples, t_s=samples.t_s[kept], acc_mps2=samples.acc_mps2[kept], gyr_radps=samples.gyr_radps[kept])


def cut(samples: Samples, at: Iterable[int]) -> list[Samples]:
    """Cut into pieces before the given samples; empty pieces where one is named twice."""
    edges = [0, *sorted(at), len(samples.t_s)]
    return [part(samples, a, b) for a, b in pairwise(edges)]


def run(*items: CoreInput, motion: bool = False, finish: bool = True) -> list[CoreOutput]:
    """Feed a new pipeline; return everything it says."""
    pipeline = Pipeline(Settings(motion=motion))
    said = [output for item in items for output in pipeline.feed(item)]
    return said + list(pipeline.finish()) if finish else said


def only(kind: type[Kind], said: Sequence[CoreOutput]) -> list[Kind]:
    return [item for item in said if isinstance(item, kind)]


def events(said: Sequence[CoreOutput]) -> list[str]:
    """Everything but motion, in a form in which NaN equals NaN and the last bit of a float shows."""
    return [repr(item) for item in said if not isinstance(item, Motion)]


def stream(said: Sequence[CoreOutput], name: str) -> Array:
    """One channel of motion over the whole run."""
    motion = only(Motion, said)
    return np.concatenate([getattr(m, name) for m in motion]) if motion else np.empty(0)


def motion_bytes(said: Sequence[CoreOutput]) -> list[bytes]:
    return [stream(said, name).tobytes() for name in STREAMS]


def decided_at_s(item: CoreOutput) -> float:
    """The time of the last sample that had a say; for motion, that of its last row."""
    match item:
        case Step():
            return item.reported_at_s
        case Stride():
            return item.completed_at_s
        case Motion():
            return float(item.t_s[-1])
        case _:
            return item.decided_at_s
