"""Draw what the pelvis does sideways over a stride: mean and standard deviation of obliquity, both sides overlaid.

python docs/examples/mean_stride.py RUN.mcap PICTURE.png
"""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pelvis import StepTable
from sensor_host import LoadedSession, load_session

LOOKS = {"left": ("tab:blue", "-"), "right": ("tab:orange", "--")}
# obliquity is positive with the right side up, which is the swing side while the left foot stands
SWING_SIDE_DOWN = {"left": -1.0, "right": 1.0}
PERCENT = np.arange(101)
# 1 s: no stride of running takes longer; what does holds a pause
LONGEST_STRIDE_S = 1.0


def strides(session: LoadedSession, steps: StepTable) -> NDArray[np.float64]:
    """Return obliquity in degrees over each stride that begins with one of these steps, all of one foot: (n, 101)."""
    motion = session.motion
    return np.array(
        [
            np.interp(begin_s + (end_s - begin_s) * PERCENT / 100.0, motion.t_s, motion.obliquity_deg)
            for begin_s, end_s in pairwise(steps["initial_contact_s"])
            if end_s - begin_s < LONGEST_STRIDE_S
        ]
    )


def draw(session: LoadedSession) -> Figure:
    """Return the figure: mean and band of each side, and when its foot leaves the ground."""
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    for side, (colour, line) in LOOKS.items():
        steps = session.steps[session.steps["side"] == side]
        drop_deg = SWING_SIDE_DOWN[side] * strides(session, steps)
        mean, sd = np.nanmean(drop_deg, axis=0), np.nanstd(drop_deg, axis=0)
        axes.fill_between(PERCENT, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0.0)
        axes.plot(PERCENT, mean, line, color=colour, label=f"{side} contact to {side} contact, {len(drop_deg)} strides")
        stride_s = np.nanmedian(np.diff(steps["initial_contact_s"]))
        toe_off_percent = 100.0 * np.nanmean(steps["contact_time_s"]) / stride_s
        axes.axvline(toe_off_percent, color=colour, linestyle=line, linewidth=0.8)
    axes.axhline(0.0, color="tab:gray", linewidth=0.8)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the stride, from contact to contact of the foot; thin lines: it leaves the ground")
    axes.set_ylabel("other side below the foot's own, in degrees")
    axes.legend()
    return figure


if __name__ == "__main__":
    draw(load_session(sys.argv[1])).savefig(sys.argv[2], dpi=100)
