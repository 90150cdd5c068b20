"""Where the sensor sits on the runner and which way the runner goes, followed step by step.

1. Level: the vertical of standing still where running agrees with it, else that of running.
2. Forward: from pairs of steps, quickly for the steps themselves, slowly and then frozen for the angles.
3. A sensor that has moved on the belt is told from a runner who changes (`pelvis.mounting.SlipWatch`); its new place
   follows from the running posture.
4. What a bend does to the vertical that is felt is taken out as far as the speed is known.
"""

from __future__ import annotations

import cmath
import math

from pelvis.attitude import RATE, TAU_S
from pelvis.contacts import AXIS_MEMORY, ForwardAxis, Moments, compare_steps
from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from pelvis.mounting import (
    LONG_STILL_WINDOWS,
    POSTURE_LIMIT_RAD,
    TURNING_RADPS,
    Mount,
    SlipWatch,
    Still,
    angle_between_rad,
    unit,
)

# 40 steps: more do not sharpen the heading any further
HEADING_STEPS = 40
# 8 steps: a heading within some 4 deg, good enough for the angles of a step
NEW_HEADING_STEPS = 8
# 12 steps: a heading from which a turn can be told
WATCH_STEPS = 12
# 12 steps: a clip that is sliding when that is noticed has come to rest by then
SLIDING_STEPS = 12
# 0.1: ten steps; a stride by itself may begin and end turned by a degree or two without turning away
YAW_MEMORY = 0.1
# 0.05 rad/s: a bend of 66 m at 3.3 m/s; runners on a treadmill seem to turn by 0.03 for a few steps
STRAIGHT_RADPS = 0.05
# 0.25 deg: finer than an angle is known; on the straight nothing is corrected
BANK_STEP_RAD = math.radians(0.25)
# 45 deg: what was learned of forward has no meaning any more
TURNED_OVER_RAD = math.radians(45.0)


class Placement:
    """The mount, the forward axis and the turning of one sensor on one runner."""

    def __init__(self) -> None:
        self.mount = Mount()
        self.mean_heading = 1 + 0j
        self.yaw_radps = 0.0
        self._standing: Still | None = None
        self._axis = ForwardAxis(AXIS_MEMORY)
        self._slow_axis = ForwardAxis(0.0)
        self._watch = SlipWatch()
        self._carried_up: Array | None = None
        self._sliding_steps = 0
        self._slipped = False

    # -- what is known -----------------------------------------------------------

    @property
    def ahead(self) -> complex:
        """The unit direction, in the earth frame, in which forward points on average."""
        heading_rad = self.mount.heading_rad
        return self.mean_heading * complex(math.cos(heading_rad), math.sin(heading_rad))

    @property
    def axis_direction(self) -> complex:
        """The forward axis of the last steps as a unit direction, against the mean heading."""
        return cmath.exp(1j * self._axis.angle_rad)

    @property
    def axis_confidence(self) -> float:
        """How sure forward is told from backward, 0 to 1."""
        return self._axis.sign_confidence

    @property
    def forward_settled(self) -> bool:
        """Whether the forward axis of the angles is known for good."""
        return self._slow_axis.steps == HEADING_STEPS

    @property
    def turning_radps(self) -> float:
        """How fast the runner turns, 0 on the straight; a gyroscope that never rested may only seem to turn."""
        least_radps = STRAIGHT_RADPS if self.mount.from_standing else TURNING_RADPS
        return self.yaw_radps if abs(self.yaw_radps) > least_radps else 0.0

    @property
    def in_doubt(self) -> bool:
        """Whether the sensor seems to have moved, and its new place is not known yet."""
        relearning = self._sliding_steps > 0 and self._slow_axis.steps < NEW_HEADING_STEPS
        return self._watch.doubts > 1 or relearning

    @property
    def doubted(self) -> bool:
        """Whether even the last step speaks against the place known."""
        return self._watch.doubts > 0 or self.in_doubt

    # -- what comes in -----------------------------------------------------------

    def take_still(self, still: Still) -> None:
        """Remember the last standing still; it becomes the level when running agrees with it."""
        self._standing = still

    def begin(self) -> None:
        """Learn forward anew, unless it is settled: a run seems to begin."""
        self._axis = ForwardAxis(AXIS_MEMORY)
        if self._slow_axis.steps < HEADING_STEPS:
            self._slow_axis = ForwardAxis(0.0)

    def learn(self, mean: Array, moments: Moments, run_steps: int, speed_mps: float, *, watched: bool) -> None:
        """Update level, axis and heading from the last two steps.

        Parameters
        ----------
        mean
            Mean row over them, with the columns of `pelvis.windows`.
        moments
            What `pelvis.contacts.compare_steps` asks of them.
        run_steps
            How many steps of this run have been learned from, this one included.
        speed_mps
            Running speed, 0 where it is not known.
        watched
            Whether a slip is looked for: that needs a gyroscope.
        """
        if self._standing is not None or self.mount.up is None:
            self._level(unit(mean[6:9]))
        reference = self.mount.reference
        assert reference is not None
        x, y, z = reference.tolist()
        m = mean.tolist()
        self.yaw_radps += max(YAW_MEMORY, 1.0 / run_steps) * (m[RATE.stop - 1] - self.yaw_radps)
        self._bank(speed_mps)
        heading = complex(m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z)
        self.mean_heading = heading / abs(heading) if heading else 1 + 0j
        pair = compare_steps(moments, self.mean_heading)
        self._axis.learn(pair)
        if self._slow_axis.steps < HEADING_STEPS:
            self._slow_axis.learn(pair)
            self._settle(mean)
        if watched and self._slow_axis.steps >= WATCH_STEPS:
            self._slipped |= self._watch_slip(mean)

    def take_slip(self) -> bool:
        """Return whether the sensor has moved since this was asked last."""
        slipped, self._slipped = self._slipped, False
        return slipped

    # -- how ---------------------------------------------------------------------

    def _bank(self, speed_mps: float) -> None:
        """Take out what a bend does to the vertical that is felt, as far as the speed is known.

        The mean yaw rate lags by about as much as the attitude does. The attitude averages over a direction that
        goes round with the runner: a second-order low-pass leaves that much of it in a tight bend.
        """
        # without a rest the gyroscope's bias about the vertical would do as much harm as a bend
        yaw_radps = self.turning_radps if self.mount.from_standing else 0.0
        square = 0.5 * (yaw_radps * TAU_S) ** 2
        left_of_it = (1.0 - square) / (1.0 + square * square)
        felt_rad = math.atan(speed_mps * yaw_radps * left_of_it / STANDARD_GRAVITY_MPS2)
        bank_rad = BANK_STEP_RAD * round(felt_rad / BANK_STEP_RAD)
        if bank_rad != self.mount.bank_rad:
            self.mount.set_bank(bank_rad)

    def _settle(self, mean: Array) -> None:
        """Bring the mount up to what is known now of forward, and of the running vertical where that stands in."""
        slow = self._slow_axis
        if self._carried_up is None:
            self.mount.set_heading(slow.angle_rad)
            return
        if self._sliding_steps:
            self._sliding_steps -= 1
            slow.doubt(NEW_HEADING_STEPS)
        self._carried_up = self._carried_up + (mean[6:9] - self._carried_up) * (1.0 / slow.steps)
        self.mount.carry_over(unit(self._carried_up), slow.angle_rad, self._watch.posture)

    def _watch_slip(self, mean: Array) -> bool:
        """Return whether the sensor has moved on the belt; then let its place be found anew from here."""
        mount, axis = self.mount, self._axis
        assert mount.axes is not None
        assert mount.up is not None
        forward, left, up = (mean[6:9] @ mount.axes).tolist()
        turned_rad = math.remainder(axis.angle_rad - self._slow_axis.angle_rad, 2.0 * math.pi)
        known = axis.steps >= NEW_HEADING_STEPS
        posture, yaw_radps = (forward, left, up), float(mean[RATE.stop - 1])
        opposed = known and axis.vote < 0.0
        settled = self._carried_up is None or self._slow_axis.steps == HEADING_STEPS
        if not self._watch.watch(posture, turned_rad if known else 0.0, yaw_radps, opposed=opposed, settled=settled):
            return False
        self._carried_up = unit(mean[6:9])
        self._sliding_steps = SLIDING_STEPS
        # it was the sensor that turned, not the runner
        self.yaw_radps = 0.0
        if angle_between_rad(unit(mean[6:9]), mount.up) > TURNED_OVER_RAD:
            from_standing = mount.from_standing
            mount.forget()
            mount.set_level(unit(mean[6:9]), from_standing=from_standing)
            self._axis, self._slow_axis = ForwardAxis(AXIS_MEMORY), ForwardAxis(0.0)
        else:
            axis.doubt(1)
            self._slow_axis = axis.settled()
        return True

    def _level(self, running_up: Array) -> None:
        """Take the vertical of standing still where running agrees with it, else, at first, that of running."""
        mount = self.mount
        standing = self._standing
        if standing is not None:
            up = unit(standing.force_g)
            if angle_between_rad(up, running_up) < POSTURE_LIMIT_RAD:
                self._standing = None
                if not mount.from_standing or standing.windows >= LONG_STILL_WINDOWS:
                    mount.set_level(up, from_standing=True)
                    self._carried_up = None
                    self._watch.restart()
        if mount.up is None:
            mount.set_level(running_up, from_standing=False)
            self._carried_up = running_up
