"""Real sensors: a sacral one on slopes (Alcantara), one in daily life and falls (SisFall), walks (Voisard)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pelvis.data import Array
from sensor_host.validation.score import Score, Window, contacts_of, said_of, score_run
from sensor_host.validation.sources import Life, Run, alcantara, sisfall, voisard

# Alcantara's trials last 5 s: the first two are not scored, and nothing so near the end that it cannot be said
SLOPE_SETTLE_S, SLOPE_TAIL_S, SLOPE_EXTRA_TAIL_S = 2.0, 0.15, 0.45

JOGGING = ("D03", "D04")
# a fall while jogging: its jogging is running
JOGGING_FALL = "F05"
# the first windows of a jog are on the way to its pace
SETTLE_WINDOWS = 2
# so much of the counted cadence must be found in a window for it to count as found
WINDOW_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Slopes:
    """The score of Alcantara's runs by slope."""

    whole: Score
    by_slope: dict[float, Score]


def short_window(run: Run) -> Window:
    """Return what is scored of a trial of 5 s."""
    truth, end_s = run.truth, float(run.samples.t_s[-1])
    start_s = run.lead_s + SLOPE_SETTLE_S
    wanted = (truth.contact_s > start_s) & (truth.toe_off_s < end_s - SLOPE_TAIL_S)
    return Window(wanted, start_s, end_s - SLOPE_EXTRA_TAIL_S)


def score_slopes(folder: Path) -> Slopes:
    """Return how the core does, with the shipped models, on Alcantara's runs."""
    whole = Score(tuple(score_run(run, said_of(run.samples), short_window(run)) for run in alcantara(folder)))
    return Slopes(whole, whole.grouped(lambda run: run.slope_deg))


@dataclass(slots=True)
class Living:
    """What was found in daily life: windows of jogging, cadence, and steps where nobody runs."""

    jogging_windows: int = 0
    jogging_found: int = 0
    cadence_errors_spm: list[float] = field(default_factory=list[float])
    daily_s: float = 0.0
    falls_s: float = 0.0
    false_steps: Counter[str] = field(default_factory=Counter[str])
    jogging_fall_steps: int = 0
    walks: int = 0
    walking_s: float = 0.0
    walking_steps: int = 0

    @property
    def daily_steps(self) -> int:
        """Steps in daily life without jogging."""
        return sum(n for activity, n in self.false_steps.items() if activity.startswith("D"))

    @property
    def fall_steps(self) -> int:
        """Steps in falls, those while jogging apart."""
        return sum(n for activity, n in self.false_steps.items() if activity.startswith("F"))


def live(folder: Path) -> Living:
    """Return how the core does, with the shipped models, on SisFall and Voisard."""
    living = Living()
    take_lives(living, sisfall(folder))
    for walk in voisard(folder):
        living.walks += 1
        living.walking_s += walk.seconds
        living.walking_steps += len(contacts_of(said_of(walk.samples)))
    return living


def take_lives(living: Living, lives: Iterable[Life]) -> None:
    """Add these to what was found."""
    for life in lives:
        contact_s = contacts_of(said_of(life.samples))
        if life.activity in JOGGING:
            _take_jogging(living, life, contact_s)
        elif life.activity == JOGGING_FALL:
            living.jogging_fall_steps += len(contact_s)
        else:
            if life.activity.startswith("F"):
                living.falls_s += life.seconds
            else:
                living.daily_s += life.seconds
            living.false_steps[life.activity] += len(contact_s)


def _take_jogging(living: Living, life: Life, contact_s: Array) -> None:
    for k, (cadence_spm, counted) in enumerate(zip(life.cadence_spm, life.counted, strict=True)):
        if not counted or k < SETTLE_WINDOWS:
            continue
        inside = contact_s[(contact_s >= k * life.window_s) & (contact_s < (k + 1) * life.window_s)]
        living.jogging_windows += 1
        if len(inside) >= WINDOW_SHARE * (cadence_spm * life.window_s / 60.0 - 1.0):
            living.jogging_found += 1
            living.cadence_errors_spm.append(120.0 / float(np.median(inside[2:] - inside[:-2])) - float(cadence_spm))
