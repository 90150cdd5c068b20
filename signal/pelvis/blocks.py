"""When in a run the coach may speak: the stretches of an interval session, and the blocks of a plan that fades.

1. An edge is where the speed changes by `EDGE_MPS`, where running begins or ends, or where a lap is marked. A stretch
   lies between two edges.
2. A stretch that begins faster (or with running) and ends slower (or with anything but running) after at most `REP_S`
   was a repetition, and what follows is rest. The next one is taken to last as long, the first as was planned.
3. In a repetition below `LEAST_REP_S` nothing is said, in a longer one once, in its middle third; in rest nothing but
   the debrief.
4. Blocks are `ON_S` on and `OFF_S` off, in running time after the warm-up. With a plan, off-blocks are silent, and so
   is a growing share of the on-blocks, spread evenly.
"""

from __future__ import annotations

from math import floor

# twice what counts as a change of speed, and the least by which repetitions differ from their rest
EDGE_MPS = 0.5
# 150 s: repetitions of up to 120 s and some slack for whoever runs by feel
REP_S = 150.0
LEAST_REP_S = 60.0
# 300 s: a longer pause is the end of the session, not of a repetition
PAUSE_S = 300.0
# 5 s: by so much repetitions of one session differ
SLACK_S = 5.0

ON_S, OFF_S = 240.0, 120.0
# of the on-blocks, by the number of the run in the plan
LIVE_SHARES = (1.0, 1.0, 0.75, 0.6, 0.45, 0.3, 0.15, 0.0)


class Stretches:
    """Cuts a run at its edges and says what the present stretch allows; ``planned_s`` lasts a repetition, if known."""

    def __init__(self, planned_s: float = 0.0) -> None:
        self.told = 0
        self.resting = False
        self._began_s = 0.0
        self._fast = False
        self._planned_s = planned_s
        self._rep_s = 0.0

    def edge(self, t_s: float, *, faster: bool | None) -> bool:
        """Begin a stretch; ``faster`` than the last, slower, or (None) neither. Return whether rest begins."""
        length_s = t_s - self._began_s
        was_rep = self._fast and length_s <= REP_S
        if faster is None:  # a lap: the same goes on
            was_rep = False
        elif faster:
            if length_s > PAUSE_S or not self.resting:
                # no repetition lies behind: this may be the first of a series
                self._rep_s = self._planned_s
            self._fast, self.resting = True, False
        else:
            if was_rep:
                self._rep_s = length_s
            self._fast, self.resting = False, was_rep
        self._began_s, self.told = t_s, 0
        return was_rep and self.resting

    def allow(self, t_s: float) -> bool:
        """Whether a correction suits this moment of the stretch."""
        length_s = t_s - self._began_s
        if self.resting:
            # rest that outlasts any rest was an easy run after all
            return length_s > PAUSE_S
        if not self._fast or not self._rep_s or length_s > self._rep_s + SLACK_S:
            return True
        middle = self._rep_s / 3.0 <= length_s <= 2.0 * self._rep_s / 3.0
        return self._rep_s >= LEAST_REP_S and middle and not self.told


def block_of(run_s: float) -> int:
    """Return the number of the block, on and off together, from 0, after so much running since the warm-up."""
    return floor(run_s / (ON_S + OFF_S))


def is_live(run_s: float, plan_run: int) -> bool:
    """Whether cues are said after so much running since the warm-up; always where there is no plan (0)."""
    if plan_run <= 0:
        return True
    share = LIVE_SHARES[min(plan_run, len(LIVE_SHARES)) - 1]
    block = block_of(run_s)
    # the n-th on-block is live where the count of live ones, share x n, passes a whole number
    live = floor(share * (block + 1) + 1e-9) > floor(share * block + 1e-9)
    return live and run_s - block * (ON_S + OFF_S) < ON_S
