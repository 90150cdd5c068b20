"""What the fitted models of the core look like; their numbers are in `pelvis.coefficients`."""

from __future__ import annotations

from dataclasses import dataclass

# What the models see of a step (`pelvis.contacts.event_features`): harmonics of vertical (Z) and fore-aft (A) force, g,
# as seen from the zero phase of the vertical fundamental, T in samples; the edge: the same forces before and at the
# rise through body weight; and harmonics of pitch rate (P), rad/s.
COMMON_FEATURES = ("|Z1|", "Re Z2", "Im Z2", "Re Z3", "Im Z3", "Re A1", "Im A1", "Re A2", "Im A2", "100/T")
EDGE_FEATURES = ("Z -40 ms", "Z -20 ms", "A -40 ms", "A -20 ms", "A 0 ms")
PITCH_FEATURES = ("Im P1", "Re P2", "Im P2", "Im P3")
FEATURES = COMMON_FEATURES + EDGE_FEATURES + PITCH_FEATURES


@dataclass(frozen=True, slots=True)
class Ridge:
    """event = origin + period x (bias + weights . features).

    ``columns`` are the places in FEATURES of what this model sees; ``mean`` and ``spread`` describe these in the fit.
    """

    columns: tuple[int, ...]
    bias: float
    weights: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EventModels:
    """One model per event, and others for sensors without a gyroscope; ``version`` tells one fit from another."""

    version: str
    initial_contact: Ridge
    toe_off: Ridge
    initial_contact_without_gyroscope: Ridge
    toe_off_without_gyroscope: Ridge
