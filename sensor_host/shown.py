"""Which metrics are shown where there is room for a few: on the screen, in the plot window, and as the runner's own."""

from __future__ import annotations

from typing import Final

from pelvis.metrics import METRICS, Metric

SHOWN: Final[tuple[Metric, ...]] = tuple(
    METRICS[name]
    for name in (
        "cadence_spm",
        "contact_time_s",
        "flight_time_s",
        "pelvic_drop_deg",
        "pelvis_sway_m",
        "vertical_oscillation_m",
    )
)
