"""Fitted numbers of the event models, with their version.

Ridge regressions on the force-plate contacts of 16 runners at 2.5, 3.5 and 4.5 m/s
(Fukuchi, Fukuchi and Duarte 2017, doi:10.7717/peerj.3298, CC BY 4.0), for signals at
200 Hz smoothed by the 11-point interior Hann window. They hold for that rate and that
window only.
"""

from __future__ import annotations

from dataclasses import dataclass

# what the models see of a step (`pelvis.contacts.event_features`): harmonics of vertical (Z) and fore-aft (A) force, g,
# and of pitch rate (P), rad/s, as seen from the zero phase of the vertical fundamental; T in samples
FEATURES = (
    "|Z1|", "Re Z2", "Im Z2", "Re Z3", "Im Z3", "Re A1", "Im A1", "Re A2", "Im A2", "100/T",
    "Re A3", "Im A3", "Re P1", "Im P1", "Re P2", "Im P2", "Re P3", "Im P3",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ridge:
    """event = bias + weights . features, in step periods after the vertical fundamental's zero phase.

    The weights are those of the first of FEATURES; ``mean`` and ``spread`` describe these in the fit.
    """

    bias: float
    weights: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EventModels:
    """One model per event; ``version`` tells one fit from another."""

    version: str
    initial_contact: Ridge
    toe_off: Ridge
    toe_off_without_gyroscope: Ridge


SHIPPED = EventModels(
    version="harmonic-1",
    initial_contact=Ridge(
        bias=-0.21810469,
        weights=(
            -0.061981881,
            0.12865621,
            0.084164268,
            -0.0086967201,
            -0.05914044,
            0.02988581,
            0.064579317,
            -0.037915793,
            -0.076633951,
            -0.036678769,
        ),
        mean=(1.43486, 0.215347, 0.192722, -0.178835, 0.177067, 0.501567, -0.304868, 0.0868681, -0.448334, 1.44539),
        spread=(0.0974386, 0.170962, 0.157256, 0.144209, 0.1648, 0.169683, 0.0944293, 0.15085, 0.260776, 0.135299),
    ),
    toe_off=Ridge(
        bias=0.54715026,
        weights=(
            -0.044341815,
            -0.12699854,
            -0.054626532,
            0.030710262,
            0.024769463,
            -0.098801237,
            -0.019040564,
            -0.030316298,
            0.052151526,
            -0.0404271,
            0.03557849,
            -0.0064101551,
            0.021313587,
            -0.036357521,
            0.014429584,
            -0.035615698,
            -0.0011800165,
            0.03559533,
        ),
        mean=(
            1.43486,
            0.215347,
            0.192722,
            -0.178835,
            0.177067,
            0.501567,
            -0.304868,
            0.0868681,
            -0.448334,
            1.44539,
            0.0862286,
            -0.0458445,
            0.252522,
            -0.987701,
            0.0285418,
            0.508112,
            -0.173691,
            0.125822,
        ),
        spread=(
            0.0974386,
            0.170962,
            0.157256,
            0.144209,
            0.1648,
            0.169683,
            0.0944293,
            0.15085,
            0.260776,
            0.135299,
            0.0844532,
            0.129532,
            0.215567,
            0.316475,
            0.44031,
            0.442509,
            0.200309,
            0.249151,
        ),
    ),
    toe_off_without_gyroscope=Ridge(
        bias=0.54240697,
        weights=(
            -0.042932207,
            -0.06368349,
            -0.030367366,
            -0.012747403,
            0.044559058,
            -0.11076033,
            0.013884888,
            -0.039403594,
            0.080282662,
            -0.016747986,
        ),
        mean=(1.43486, 0.215347, 0.192722, -0.178835, 0.177067, 0.501567, -0.304868, 0.0868681, -0.448334, 1.44539),
        spread=(0.0974386, 0.170962, 0.157256, 0.144209, 0.1648, 0.169683, 0.0944293, 0.15085, 0.260776, 0.135299),
    ),
)
