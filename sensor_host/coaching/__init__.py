"""What the coach is made of: the configuration, the built-in rules where it has none, the profile's baselines."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from sensor_host.config import CueRule, CuesConfig

if TYPE_CHECKING:
    from pelvis.cues import CueRule as CoachRule
    from pelvis.cues import CueSettings


@cache
def default_rules() -> tuple[CueRule, ...]:
    """Return the rules of `default.toml`."""
    table = tomllib.loads(files(__name__).joinpath("default.toml").read_text(encoding="utf-8"))
    return msgspec.convert(table["rules"], tuple[CueRule, ...])


def coaching(config: CuesConfig) -> tuple[CueSettings, tuple[CoachRule, ...]]:
    """Return what `pelvis.cues.Coach` is made of: the same fields under the same names."""
    from pelvis import cues  # the core is heavy; most commands need no coach

    rules = tuple(msgspec.convert(rule, cues.CueRule, from_attributes=True) for rule in config.rules or default_rules())
    return msgspec.convert(config, cues.CueSettings, from_attributes=True), rules
