"""How a pelvis moves within a step: generic waveforms and norms, as functions of speed alone.

A waveform is a short Fourier series over stride phase: 0 at a right initial contact, 1 at the next left
one, 2 at the next right one; toe-off stands at `TOE_OFF_PHASE` after its contact whatever the duty. What differs
between left and right by sign alone (obliquity, rotation, lateral) has the odd harmonics, what repeats
every step (tilt, forward, vertical) the even ones.

The coefficients are averages over 16 treadmill runners at 2.5, 3.5 and 4.5 m/s of the public data set
Fukuchi, Fukuchi & Duarte 2017 (PeerJ 5:e3298, https://doi.org/10.7717/peerj.3298, CC BY 4.0), fitted to their
pelvis markers: no runner's data is contained. Contact time, cadence and pelvic drop by speed come from the same source.
The lateral series, walking and what lies outside 2.5-4.5 m/s are the author's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array

TOE_OFF_PHASE = 0.65
"""Phase of toe-off after its initial contact: between the duty factors of slow (0.72) and fast (0.59) running."""

SHAPE_SPEED_MPS = (2.0, 5.0)
"""Waveforms are not extrapolated beyond these speeds: half a metre per second outside the data."""

HARMONICS = 6


def faster_than_reference_mps(speed_mps: float) -> float:
    """How much faster than 3.5 m/s the waveforms of a speed are."""
    return min(max(speed_mps, SHAPE_SPEED_MPS[0]), SHAPE_SPEED_MPS[1]) - 3.5


@dataclass(frozen=True, slots=True)
class Waveform:
    """One component: coefficients at 3.5 m/s and their change per m/s, for ``orders`` of the stride frequency / 2."""

    orders: tuple[int, ...]
    at_3_5_mps: tuple[complex, ...]
    per_mps: tuple[complex, ...]

    def coefficients(self, speed_mps: float) -> NDArray[np.complex128]:
        """Coefficients at a speed, one per order: the value is the real part of sum c exp(i pi order phase)."""
        change = np.array(self.per_mps, np.complex128) * faster_than_reference_mps(speed_mps)
        return np.array(self.at_3_5_mps, np.complex128) + change

    def at(self, phase: Array, speed_mps: float) -> Array:
        """Values at stride phases (n,)."""
        turns = np.exp(1j * np.pi * np.outer(phase, self.orders))
        return np.real(turns @ self.coefficients(speed_mps))


_ODD = (1, 3, 5, 7, 9, 11)
_EVEN = (2, 4, 6, 8, 10, 12)

OBLIQUITY_DEG = Waveform(
    _ODD,
    (2.441 + 0.005j, -1.718 - 0.091j, -0.073 - 0.163j, 0.188 - 0.010j, 0.072 - 0.037j, -0.020 - 0.033j),
    (0.668 - 0.226j, -0.321 + 0.190j, -0.031 - 0.288j, 0.101 - 0.046j, 0.020 + 0.024j, -0.004 + 0.009j),
)
ROTATION_DEG = Waveform(
    _ODD,
    (-4.304 + 3.182j, 0.941 + 0.292j, 0.304 + 0.088j, -0.123 - 0.048j, -0.062 + 0.085j, 0.030 + 0.035j),
    (-1.493 + 1.219j, 0.314 + 0.153j, 0.020 - 0.003j, -0.038 + 0.125j, 0.026 - 0.009j, -0.027 - 0.019j),
)
TILT_DEG = Waveform(
    _EVEN,
    (0.291 + 3.199j, -0.519 + 0.603j, -0.122 + 0.192j, 0.121 + 0.044j, 0.035 - 0.020j, 0.009 + 0.006j),
    (-0.132 - 0.165j, -0.762 + 0.351j, -0.108 + 0.012j, 0.027 - 0.005j, 0.034 + 0.021j, 0.036 - 0.012j),
)
# Pelvis centre, millimetres. Forward: against steady running at the runner's speed.
FORWARD_MM = Waveform(
    _EVEN,
    (13.757 + 9.041j, -1.266 - 3.328j, -0.370 - 0.336j, -0.128 + 0.175j, -0.059 + 0.032j, -0.024 - 0.003j),
    (0.885 + 2.180j, -0.861 + 0.147j, 0.466 - 0.415j, -0.091 - 0.066j, -0.077 + 0.030j, -0.018 + 0.016j),
)
# What the pelvis adds to a point mass that flies between contacts (see `pelvis.simulate`).
VERTICAL_MM = Waveform(
    _EVEN,
    (-0.801 + 6.326j, 2.221 + 1.463j, 0.200 - 0.731j, -0.300 - 0.343j, -0.114 + 0.057j, 0.024 + 0.022j),
    (0.897 - 3.483j, -0.836 + 0.497j, -0.113 + 0.412j, 0.098 - 0.026j, 0.031 - 0.107j, -0.007 - 0.025j),
)
# The runners' lateral phases scatter all around the circle and turn with speed; a typical one is chosen.
LATERAL_MM = Waveform(_ODD, (6.1 + 2.2j, 0.6 - 0.8j, 0j, 0j, 0j, 0j), (2.6 - 4.2j, 0j, 0j, 0j, 0j, 0j))

# Walking, by textbook: highest in mid-stance, the pelvis over the stance foot, the swing side a little low.
WALKING_OBLIQUITY_DEG = Waveform(_ODD, (0.2 - 2.6j, 0.5 + 0.3j, 0j, 0j, 0j, 0j), (0j,) * HARMONICS)
WALKING_ROTATION_DEG = Waveform(_ODD, (-4.0 + 1.0j, 0.4j, 0j, 0j, 0j, 0j), (0j,) * HARMONICS)
WALKING_TILT_DEG = Waveform(_EVEN, (0.8 + 1.0j, 0.2j, 0j, 0j, 0j, 0j), (0j,) * HARMONICS)
WALKING_FORWARD_MM = Waveform(_EVEN, (6.0 + 5.0j, 1.0 - 1.0j, 0j, 0j, 0j, 0j), (0j,) * HARMONICS)
WALKING_VERTICAL_MM = Waveform(_EVEN, (-16.0 - 11.6j, -2.0 + 1.4j, 0.6j, 0j, 0j, 0j), (0j,) * HARMONICS)
WALKING_LATERAL_MM = Waveform(_ODD, (-2.0 + 18.0j, 1.5 + 1.0j, 0j, 0j, 0j, 0j), (0j,) * HARMONICS)

_FINE_PHASE: Array = np.linspace(0.0, 2.0, 512, endpoint=False)
_FINE_STANCE: Array = np.linspace(0.0, TOE_OFF_PHASE, 257)


@lru_cache(maxsize=256)
def drop_of_shape_deg(speed_mps: float) -> float:
    """Contralateral pelvic drop of `OBLIQUITY_DEG` as it stands, from initial contact on."""
    stance = OBLIQUITY_DEG.at(_FINE_STANCE, speed_mps)
    return float(np.max(stance) - stance[0])


@lru_cache(maxsize=1024)
def range_of_shape(waveform: Waveform, speed_mps: float) -> float:
    """Range of a waveform over a stride, in its own unit."""
    return float(np.ptp(waveform.at(_FINE_PHASE, speed_mps)))


def bridge(height: Array, begin: Array, end: Array) -> tuple[Array, Array, Array]:
    """Coefficients of x^3, x^4, x^5 that lead from 0 to ``height`` over x = 0..1 without curvature at either end.

    ``begin`` and ``end`` are the slopes there; the coefficient of x is ``begin``, that of x^2 is 0.
    """
    return (
        10.0 * height - 6.0 * begin - 4.0 * end,
        -15.0 * height + 8.0 * begin + 7.0 * end,
        6.0 * height - 3.0 * begin - 3.0 * end,
    )


@lru_cache(maxsize=1024)
def mean_of_tilt_deg(speed_mps: float, duty: float) -> float:
    """Mean over time of `TILT_DEG` in steady steps that are in contact for the share ``duty`` of their time."""
    x: Array = np.linspace(0.0, 1.0, 64, endpoint=False) + 1.0 / 128.0
    slope = 0.5 * (TOE_OFF_PHASE / duty + (1.0 - TOE_OFF_PHASE) / (1.0 - duty))
    mean = 0.0
    for start, height, share in ((0.0, TOE_OFF_PHASE, duty), (TOE_OFF_PHASE, 1.0 - TOE_OFF_PHASE, 1.0 - duty)):
        edge = np.array(slope * share)
        c3, c4, c5 = bridge(np.array(height), edge, edge)
        phase = start + x * (edge + x * x * (c3 + x * (c4 + x * c5)))
        mean += share * float(np.mean(TILT_DEG.at(phase, speed_mps)))
    return mean


@lru_cache(maxsize=4096)
def _by_speed(speed_mps: float, knots_mps: tuple[float, ...], values: tuple[float, ...]) -> float:
    return float(np.interp(speed_mps, knots_mps, values))


# 2.5, 3.5, 4.5 m/s are measured; the outer knots continue the trend.
_KNOTS_MPS = (2.0, 2.5, 3.5, 4.5, 5.5, 6.5)


def typical_contact_time_s(speed_mps: float) -> float:
    """Contact time of the average runner at a speed."""
    return _by_speed(speed_mps, _KNOTS_MPS, (0.288, 0.266, 0.223, 0.194, 0.172, 0.155))


def typical_cadence_spm(speed_mps: float) -> float:
    """Cadence of the average runner at a speed."""
    return _by_speed(speed_mps, _KNOTS_MPS, (157.5, 162.0, 171.0, 184.0, 199.0, 215.0))


def typical_drop_deg(speed_mps: float) -> float:
    """Contralateral pelvic drop from initial contact of the average runner at a speed."""
    return _by_speed(speed_mps, _KNOTS_MPS, (2.3, 2.35, 2.4, 2.45, 2.5, 2.5))


def typical_rotation_range_deg(speed_mps: float) -> float:
    """Range of axial rotation over the stride of the average runner at a speed."""
    return _by_speed(speed_mps, _KNOTS_MPS, (9.0, 10.5, 14.0, 18.0, 21.0, 23.0))


def typical_tilt_range_deg(speed_mps: float) -> float:
    """Range of tilt of the average runner at a speed; chance and asymmetry widen it by some tenths of a degree."""
    return _by_speed(speed_mps, _KNOTS_MPS, (7.6, 7.9, 8.6, 9.2, 9.5, 9.5))


def typical_tilt_deg(speed_mps: float) -> float:
    """Mean tilt of the average runner at a speed against standing."""
    return _by_speed(speed_mps, _KNOTS_MPS, (4.0, 4.6, 6.2, 6.9, 7.2, 7.4))


def typical_pelvis_sway_m(speed_mps: float) -> float:
    """Mediolateral range of the pelvis centre over the stride of the average runner at a speed."""
    return _by_speed(speed_mps, _KNOTS_MPS, (0.013, 0.013, 0.0145, 0.020, 0.024, 0.026))
