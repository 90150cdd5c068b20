"""What skin and strap add between the pelvis and the sensor; no part of the truth."""

from __future__ import annotations

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from pelvis.runner.scenario import Scenario
from pelvis.runner.steps import RUNNING, Window

_G = STANDARD_GRAVITY_MPS2

# Directions of impact and wobble in pelvis axes; at the sacrum the transient points up and back.
_IMPACT_AXES = np.array([-0.6, 0.0, 1.0])
_WOBBLE_AXES = np.array([0.5, 0.35, 1.0])
_IMPACT_WIDTH = (
    0.78  # pulse frequency times delay: the pulse has faded to 3 % at initial contact, before which nothing is felt
)
_WOBBLE_ARM_M = 0.10  # how far above the device's centre it seems to swing from


def disturb(scenario: Scenario, window: Window, t_s: Array, acc: Array, gyr: Array) -> tuple[Array, Array]:
    """Add what skin and strap do after this initial contact and the one before."""
    if not scenario.impact_g and not scenario.wobble_g:
        return acc, gyr
    current = np.searchsorted(window.initial_contact_s, t_s, side="right") - 1
    impact, wobble, swing = np.zeros_like(t_s), np.zeros_like(t_s), np.zeros_like(t_s)
    wobble_radps = 2.0 * np.pi * scenario.wobble_hz
    for step in (current, np.maximum(current - 1, 0)):
        after_s = t_s - window.initial_contact_s[step]
        # a Ricker pulse moves nothing for good: its first two integrals vanish
        power = (np.pi * _IMPACT_WIDTH * (after_s / window.impact_delay_s[step] - 1.0)) ** 2
        impact += window.impact_g[step] * (1.0 - 2.0 * power) * np.exp(-power)
        fade = window.sizes[step, RUNNING] * scenario.wobble_g * np.exp(-after_s / scenario.wobble_decay_s)
        wobble += fade * np.sin(wobble_radps * after_s)
        # the rate of an angle fade * (1 - cos): it rocks, and ends where it began
        gone = (1.0 - np.cos(wobble_radps * after_s)) / (wobble_radps * scenario.wobble_decay_s)
        swing += fade * (np.sin(wobble_radps * after_s) - gone)
    acc = acc + _G * (impact[:, None] * _IMPACT_AXES + wobble[:, None] * _WOBBLE_AXES)
    gyr = gyr.copy()
    gyr[:, 1] += swing * _G / (_WOBBLE_ARM_M * wobble_radps)
    return acc, gyr
