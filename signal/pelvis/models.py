"""What the fitted models of the core look like; their numbers are in `pelvis.coefficients`."""

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
