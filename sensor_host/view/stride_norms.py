"""What is usual over the stride at a speed: the mean of 16 runners on a treadmill, and their spread.

1. Only for obliquity and rotation. Of tilt the level hangs on how the pelvis is marked; of accelerations at the sacrum
   nothing published holds for another sensor on another belt.
2. Only between 2.25 and 4.75 m/s: a quarter of a metre per second beyond what was measured, and in between straight
   from one speed to the next.
3. Both feet have the same norm.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np

from pelvis.data import Array
from sensor_host.view.curves import CURVES, POINTS, SIDES, Number, SectionCurves, SideCurves
from sensor_host.view.stride_norm_values import CURVES as USUAL
from sensor_host.view.stride_norm_values import DROP_DEG, RANGES, RUNNERS, TOE_OFF
from sensor_host.view.stride_view import Compared

SOURCE: Final = f"{RUNNERS} runners on a treadmill (Fukuchi 2017), ± their SD"
BEYOND_MPS: Final = 0.25

_SPEEDS_MPS: Final = sorted(TOE_OFF)
_UNKNOWN: Final = Number(float("nan"), float("nan"))


def norm_at(speed_mps: float) -> Compared | None:
    """Return what is usual at a speed; None where nothing is known (an unknown speed included)."""
    if not _SPEEDS_MPS[0] - BEYOND_MPS <= speed_mps <= _SPEEDS_MPS[-1] + BEYOND_MPS:
        return None
    high = min(max(bisect_right(_SPEEDS_MPS, speed_mps), 1), len(_SPEEDS_MPS) - 1)
    slower, faster = _SPEEDS_MPS[high - 1], _SPEEDS_MPS[high]
    share = min(max((speed_mps - slower) / (faster - slower), 0.0), 1.0)

    def between(low: object, high: object) -> Array:
        mixed: Array = (1.0 - share) * np.array(low, float) + share * np.array(high, float)
        return mixed

    def number(low: object, high: object) -> Number:
        mean, sd = between(low, high).tolist()
        return Number(mean, sd)

    mean, sd = np.full((2, len(CURVES), POINTS), np.nan)
    ranges = [_UNKNOWN] * len(CURVES)
    for i, curve in enumerate(CURVES):
        if curve.column in RANGES[slower]:
            points = between(USUAL[slower][curve.column], USUAL[faster][curve.column])
            mean[i], sd[i] = (_whole(each) for each in points)
            ranges[i] = number(RANGES[slower][curve.column], RANGES[faster][curve.column])
    sides = {
        side: SideCurves(
            side=side,
            n=RUNNERS,
            mean=mean,
            sd=sd,
            toe_off=number(TOE_OFF[slower], TOE_OFF[faster]),
            opposite=_UNKNOWN,
            duration_s=_UNKNOWN,
            ranges=ranges,
            at_contact=[Number(float(mean[i, 0]), float(sd[i, 0])) for i in range(len(CURVES))],
            drop_deg=number(DROP_DEG[slower], DROP_DEG[faster]),
        )
        for side in SIDES
    }
    name = f"what is usual at {speed_mps:.1f} m/s"
    return Compared(name, SectionCurves(0.0, 0.0, sides, {}), f"usual: {SOURCE}; none for accelerations", one=True)


def _whole(points: Array) -> Array:
    """Return a curve of 101 points of a periodic one: its harmonics, which the points hold all of."""
    harmonics = np.fft.rfft(points)[:-1]
    padded = np.zeros((POINTS - 1) // 2 + 1, complex)
    padded[: len(harmonics)] = harmonics
    curve: Array = np.fft.irfft(padded, POINTS - 1) * ((POINTS - 1) / len(points))
    return np.append(curve, curve[0])
