"""What a figure is compared with: a target, the runner's own baseline, what other runners have. No Qt, no files.

1. The runner's own baseline comes before any norm, a target before both.
2. A norm is what was measured on others, and no goal: who is outside is unlike them, not wrong. Nothing here says or
   means that a band keeps anybody from injury.
3. Contact time, cadence, sway and rotation depend on speed more than on the runner. Where speed is measured the band is
   that of the speed; else it spans all speeds that are known, and says so. What the core makes of speed itself is not
   asked: it rests on contact time and cadence, and would hide in them what is to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np

from pelvis.baselines import MATCHED_MPS
from pelvis.metrics import METRICS
from pelvis.rules import CueSettings
from sensor_host.view.timeline import Timeline

BandKind: TypeAlias = Literal["target", "own", "norm"]


@dataclass(frozen=True, slots=True)
class Band:
    """From ``low`` to ``high`` in the metric's unit; ``text`` says in a few words what it is, ``source`` whence."""

    low: float
    high: float
    kind: BandKind
    text: str
    source: str

    @property
    def middle(self) -> float:
        return 0.5 * (self.low + self.high)


@dataclass(frozen=True, slots=True)
class Norm:
    """A metric of a group of runners at some speeds, rising: mean and standard deviation between runners."""

    speeds_mps: tuple[float, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]
    source: str


# Means of each runner's run; true values from the force plate and the optical pelvis, not from a sensor.
_FUKUCHI: Final = "16 runners on a treadmill: Fukuchi, Fukuchi & Duarte 2017, doi:10.7717/peerj.3298"
_SPEEDS_MPS: Final = (2.5, 3.5, 4.5)


def _treadmill(means: tuple[float, float, float], sds: tuple[float, float, float]) -> Norm:
    return Norm(_SPEEDS_MPS, means, sds, _FUKUCHI)


NORMS: Final[Mapping[str, Norm]] = MappingProxyType(
    {
        "cadence_spm": _treadmill((161.2, 170.7, 184.3), (9.9, 11.9, 15.1)),
        "contact_time_s": _treadmill((0.269, 0.224, 0.194), (0.025, 0.017, 0.015)),
        "flight_time_s": _treadmill((0.105, 0.129, 0.134), (0.015, 0.014, 0.018)),
        "step_time_s": _treadmill((0.374, 0.353, 0.328), (0.023, 0.024, 0.025)),
        "pelvic_drop_deg": _treadmill((2.4, 2.5, 2.6), (0.9, 1.2, 1.4)),
        "peak_drop_deg": _treadmill((2.9, 3.4, 4.0), (1.0, 1.1, 1.3)),
        "vertical_oscillation_m": _treadmill((0.109, 0.105, 0.090), (0.014, 0.016, 0.016)),
        "sway_m": _treadmill((0.020, 0.032, 0.045), (0.006, 0.012, 0.012)),
        "pelvis_sway_m": _treadmill((0.013, 0.015, 0.020), (0.003, 0.005, 0.008)),
        "obliquity_range_deg": _treadmill((6.7, 8.2, 9.8), (1.6, 2.0, 2.5)),
        "tilt_range_deg": _treadmill((8.7, 9.4, 9.9), (2.1, 2.2, 2.4)),
        "rotation_range_deg": _treadmill((10.5, 14.0, 18.0), (3.8, 3.8, 4.0)),
        "velocity_loss_mps": _treadmill((0.29, 0.33, 0.37), (0.07, 0.08, 0.10)),
        "velocity_gain_mps": _treadmill((0.61, 0.80, 0.97), (0.12, 0.12, 0.13)),
    }
)
"""What other runners have, by metric. Tilt is left out: it differs by 5 deg from runner to runner."""

# 1.5: from there on the coach counts a change as a fault
OWN_SPREADS: Final = CueSettings().enter_z

# 2 %: within it the metronome falls silent, for the runner keeps its beat
TARGET_SHARE: Final = 0.02


def norm_band(name: str, speed_mps: float | None) -> Band | None:
    """Return the mean plus and minus one standard deviation of other runners: of two in three of them.

    Parameters
    ----------
    name
        Of a metric.
    speed_mps
        As measured; None: the band spans all speeds that are known.

    Returns
    -------
    Band or None
        None where nobody was measured: not this metric, or not within 0.25 m/s of this speed.
    """
    norm = NORMS.get(name)
    if norm is None:
        return None
    slowest, fastest = norm.speeds_mps[0], norm.speeds_mps[-1]
    if speed_mps is None:
        low = min(mean - sd for mean, sd in zip(norm.means, norm.sds, strict=True))
        high = max(mean + sd for mean, sd in zip(norm.means, norm.sds, strict=True))
        return Band(low, high, "norm", f"{slowest:.1f}–{fastest:.1f} m/s", norm.source)
    if not slowest - MATCHED_MPS <= speed_mps <= fastest + MATCHED_MPS:
        return None
    mean = float(np.interp(speed_mps, norm.speeds_mps, norm.means))
    sd = float(np.interp(speed_mps, norm.speeds_mps, norm.sds))
    return Band(mean - sd, mean + sd, "norm", f"at {speed_mps:.1f} m/s", norm.source)


def own_band(timeline: Timeline, name: str) -> Band | None:
    """Return the runner's own baseline, as wide as what the coach lets pass; None as long as there is none."""
    reference = timeline.references.get(name)
    if reference is None or not isfinite(reference.mean):
        return None
    # no narrower than the figure is written: else nothing could be within
    spread = max(OWN_SPREADS * reference.sd if isfinite(reference.sd) else 0.0, METRICS[name].resolution)
    source = f"of {reference.runs} runs" if reference.runs else "of this run"
    return Band(reference.mean - spread, reference.mean + spread, "own", source, source)


def target_band(timeline: Timeline, name: str, now_s: float) -> Band | None:
    """Return what the runner was asked for and is asked for still: a metronome's beat while it beats."""
    if name != "cadence_spm":
        return None
    for cue in reversed(timeline.cues):
        target_spm, seconds = cue.parameters.get("target_spm"), cue.parameters.get("seconds")
        if cue.decided_at_s <= now_s and isinstance(target_spm, float | int) and isinstance(seconds, float | int):
            if now_s >= cue.decided_at_s + seconds:
                return None
            share = TARGET_SHARE * target_spm
            return Band(target_spm - share, target_spm + share, "target", "metronome", cue.rule)
    return None


@dataclass(frozen=True, slots=True)
class Bands:
    """All that a metric is compared with at a moment."""

    target: Band | None = None
    own: Band | None = None
    norm: Band | None = None

    @property
    def first(self) -> Band | None:
        """The one that counts: what was asked for, else the runner's own, else what others have."""
        return self.target or self.own or self.norm

    @property
    def all(self) -> tuple[Band, ...]:
        return tuple(band for band in (self.norm, self.own, self.target) if band is not None)


def bands_at(timeline: Timeline, name: str, now_s: float) -> Bands:
    """Return what a metric is compared with at a moment."""
    speed = timeline.speed_at(now_s)
    return Bands(
        target_band(timeline, name, now_s),
        own_band(timeline, name),
        norm_band(name, None if speed is None else speed.speed_mps),
    )


class Place(Enum):
    """Where a value lies against a band: in a word and by a shape."""

    BELOW = ("below", "▼")
    IN = ("in", "●")
    ABOVE = ("above", "▲")

    @property
    def word(self) -> str:
        return self.value[0]

    @property
    def sign(self) -> str:
        return self.value[1]


def place_of(value: float, band: Band) -> Place:
    """Return where a value lies; the edges belong to the band."""
    if value < band.low:
        return Place.BELOW
    return Place.ABOVE if value > band.high else Place.IN
