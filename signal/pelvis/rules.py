"""What the coach is told: which changes are faults, how they are answered, when it may speak at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pelvis.data import Side


@dataclass(frozen=True, slots=True)
class Term:
    """A change of one metric: to one ``direction`` by ``threshold``.

    The threshold is in the metric's unit or, where ``relative``, a share of what it is compared with: the runner's
    baseline, or ``target`` where that is not 0.
    """

    metric: str
    direction: Literal["above", "below"]
    threshold: float
    relative: bool = False
    target: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a change that always holds (ValueError)."""
        if self.threshold <= 0:
            raise ValueError(f"{self.metric}: threshold must be greater than 0")


@dataclass(frozen=True, slots=True)
class CueRule:
    """One fault and what to say about it.

    It holds where ``all`` or ``any`` of its terms hold, or where the ``mean`` of their z, each between 0 and 4, has
    reached ``enter_z``. ``phrase`` is the id of what to say, ``alternate`` of what to say when that does not help
    (empty: the same); ``metronome_s`` adds a metronome for so long, and with an empty phrase is all there is.
    ``per_side`` judges left and right steps apart and names the side. ``within_run`` compares with this run alone.
    ``enter_z`` and ``same_s`` of 0 are those of the settings.
    """

    name: str
    when: tuple[Term, ...]
    phrase: str = ""
    alternate: str = ""
    needs: Literal["all", "any", "mean"] = "all"
    dwell_s: float = 20.0
    priority: int = 5
    per_side: bool = False
    within_run: bool = False
    metronome_s: float = 0.0
    enter_z: float = 0.0
    same_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a rule that says nothing or of nothing (ValueError)."""
        if not self.when:
            raise ValueError(f"cue {self.name}: it needs a change of a metric")
        if not self.phrase and not self.metronome_s:
            raise ValueError(f"cue {self.name}: it needs a phrase or a metronome")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a metric is in this runner when nothing is wrong: mean and spread of single steps over ``runs`` runs.

    ``speed_mps`` is None where no source of speed was there; ``side`` that of the foot in contact, unknown for both.
    """

    metric: str
    mean: float
    sd: float
    speed_mps: float | None = None
    runs: int = 0
    side: Side = Side.UNKNOWN


@dataclass(frozen=True, slots=True)
class CueSettings:
    """When the coach may speak.

    ``dwell_ratio`` < 1 shortens every rule's dwell, for drills and demonstrations. ``plan_run`` is the number of this
    run in a plan whose cues fade, 0 where there is none. ``rep_s`` is how long the repetitions of this session
    shall last, 0 where that is not known. ``heart_rate_max_bpm`` and ``split_m`` of 0 ask for neither.
    What is usual of the metrics in ``watched`` is learned besides those of the rules, for whoever shows them.
    """

    warm_up_s: float = 480.0
    learn_s: float = 300.0
    settle_s: float = 5.0
    dwell_ratio: float = 1.0
    exit_s: float = 10.0
    enter_z: float = 1.5
    exit_z: float = 0.75
    second_z: float = 2.5
    between_s: float = 90.0
    same_s: float = 180.0
    chime_every_s: float = 180.0
    per_hour: int = 12
    window_steps: int = 25
    min_quality: float = 0.8
    min_runs: int = 4
    expires_s: float = 4.0
    plan_run: int = 0
    rep_s: float = 0.0
    heart_rate_max_bpm: float = 0.0
    split_m: float = 0.0
    watched: tuple[str, ...] = ()
    baselines: tuple[Baseline, ...] = ()
