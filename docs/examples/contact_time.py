"""Draw contact time over a run, left and right, with its laps and what the coach said.

python docs/examples/contact_time.py RUN.mcap PICTURE.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure

from sensor_host import LoadedSession, load_session

# never the hue alone: left is a blue disc, right an orange triangle
LOOKS = {"left": ("tab:blue", "o"), "right": ("tab:orange", "^")}
SMOOTHED_STEPS = 25


def draw(session: LoadedSession) -> Figure:
    """Return the figure: a mark per step, a running mean per side, a line per cue."""
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.subplots()
    good = session.steps[session.steps["quality"] >= 0.5]
    for side, (colour, mark) in LOOKS.items():
        steps = good[good["side"] == side]
        minutes, contact_ms = steps["initial_contact_s"] / 60.0, 1e3 * steps["contact_time_s"]
        axes.plot(minutes, contact_ms, mark, color=colour, markersize=2.5, alpha=0.3, markeredgewidth=0.0)
        if len(steps) >= SMOOTHED_STEPS:
            mean = np.convolve(contact_ms, np.full(SMOOTHED_STEPS, 1.0 / SMOOTHED_STEPS), "valid")
            half = SMOOTHED_STEPS // 2
            axes.plot(minutes[half:-half], mean, color=colour, label=f"{side}, mean of {SMOOTHED_STEPS} steps")
    # room above the steps for words
    low, high = np.percentile(1e3 * good["contact_time_s"], (0.5, 99.5))
    axes.set_ylim(low - 5.0, high + 30.0)
    for number, lap in enumerate(session.laps, start=1):
        axes.text(lap.begin_s / 60.0, low - 4.0, f" lap {number}", color="tab:gray", va="bottom")
        axes.axvline(lap.begin_s / 60.0, color="tab:gray", linewidth=0.8)
    for cue in session.cues:
        side = f" ({cue.side})" if cue.side in LOOKS else ""
        axes.axvline(cue.t_s / 60.0, color="black", linestyle=":")
        axes.text(
            cue.t_s / 60.0, high + 29.0, f"{cue.words or cue.kind}{side}", rotation=90, ha="right", va="top", fontsize=8
        )
    axes.set_xlabel("minutes")
    axes.set_ylabel("contact time in ms")
    axes.set_xlim(session.begin_s / 60.0, session.end_s / 60.0)
    axes.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    draw(load_session(sys.argv[1])).savefig(sys.argv[2], dpi=100)
