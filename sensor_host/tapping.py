"""How late sound reaches the ear, from the taps of somebody who hears it. No input, no output, no clock.

Somebody taps along with a steady beat. Who taps along does not react, which would take a fifth of a second: the next
beat is known, and the tap falls a little before it (the negative mean asynchrony: Repp 2005,
https://doi.org/10.3758/BF03206433). So a tap comes at: when the beat was played + latency - that little.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sensor_host.errors import HipdriveError

# 0.6 s: a rate at which people tap evenly, and longer than any headphones are late
PERIOD_S = 0.6
# 4 beats to get into step, then 20 that count: the taps' own scatter is then below what is known of the person
LEAD_BEATS = 4
BEATS = 24

# 30 ms before the beat: about the middle of what is found in people without training; in each it is another
ANTICIPATION_S = 0.030
# 25 ms: how much people differ in it, as a standard deviation; no number of taps makes it smaller
ANTICIPATION_SD_S = 0.025

# A tap up to 120 ms before a beat was played belongs to that beat, so latencies up to 0.5 s can be told.
EARLIEST_S = -0.120

# 12 of 20: fewer were not tapped along
FEWEST_TAPS = 12
# 60 ms: twice what is usual at this beat; who scatters more has not found it
LARGEST_SCATTER_S = 0.060
_MAD_TO_SD = 1.4826  # for normally distributed values
# the standard error of a median is that of a mean times this
_MEDIAN_TO_MEAN = 1.2533


class TappingError(HipdriveError):
    """The taps tell nothing; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How late sound is heard, with its standard error; ``scatter_s`` is the standard deviation of single taps."""

    latency_s: float
    error_s: float
    scatter_s: float
    taps: int


def latency_of(played_s: Sequence[float], taps_s: Sequence[float]) -> Latency:
    """Return how long after it was played a beat was heard.

    Parameters
    ----------
    played_s
        When each beat was handed to the sound device, in order; the first `LEAD_BEATS` do not count.
    taps_s
        When each tap came, by the same clock.

    Raises
    ------
    TappingError
        Too few taps, or too uneven ones.
    """
    after_s: dict[int, float] = {}
    for tap_s in taps_s:
        beat = bisect_right(played_s, tap_s - EARLIEST_S) - 1
        if beat >= LEAD_BEATS and tap_s - played_s[beat] < PERIOD_S + EARLIEST_S:
            # two taps on one beat: the first is the one that was meant
            after_s.setdefault(beat, tap_s - played_s[beat])
    if len(after_s) < FEWEST_TAPS:
        raise TappingError(
            f"{len(after_s)} of {max(len(played_s) - LEAD_BEATS, 0)} clicks were tapped: "
            "tap the space bar on every click you hear"
        )
    values = list(after_s.values())
    middle_s = median(values)
    scatter_s = _MAD_TO_SD * median(abs(value - middle_s) for value in values)
    if scatter_s > LARGEST_SCATTER_S:
        raise TappingError(
            f"the taps scatter by {1000 * scatter_s:.0f} ms, too much to tell: "
            "try again, along with the beat and not in answer to it"
        )
    return Latency(
        latency_s=middle_s + ANTICIPATION_S,
        error_s=math.hypot(ANTICIPATION_SD_S, _MEDIAN_TO_MEAN * scatter_s / math.sqrt(len(values))),
        scatter_s=scatter_s,
        taps=len(values),
    )
