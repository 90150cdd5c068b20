"""The versions of everything written that others read, in one place. One is raised when its readers must be changed."""

from __future__ import annotations

from typing import Final

RECORDING_SCHEMA: Final = "1"
STEPS_SCHEMA: Final = "1"
SAMPLES_SCHEMA: Final = "1"
SUMMARY_SCHEMA: Final = "1"
# a number: it stands as ``v`` in every payload and as ``v1`` in every topic
MQTT_SCHEMA: Final = 1
