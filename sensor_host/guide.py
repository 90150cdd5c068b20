"""The guide: leads through the start of a run, and says when something about the sensor needs a hand.

It hears what a session says, item by item, and says what is worth a voice: cues like the coach's, of rule `RULE`. It is
pure: no clock, no input, no output; what it says depends on the items and their order alone.

1. The start: stand still; run; left and right agree; calibrated. Each is said once in a session ("stand still" twice if
   need be), and what was overtaken is not: a runner who runs need not be told to.
2. The state of the sensor is said when it changes for the worse, and when it is back: once, not again for
   `AGAIN_S`.
3. Priorities: the sensor's state above everything, the start below every correction. Whoever plays cues plays one after
   the other, the higher priority first, so the guide never speaks over anybody.
4. Muted, it says nothing, and nothing of what it would have said is made up for.
5. How the sensor is clipped on does not matter to the measurement (any way up), so nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from pelvis.data import Activity, ActivityState, Command, Cue, Notice, Side, Step
from sensor_host.ports import LinkHealth, Role, Said

RULE = "guide"

# 9: the highest there is. A runner who is not measured any more need hear nothing else.
SENSOR_PRIORITY = 9
# 2: below every correction of the coach
START_PRIORITY = 2

# 10 s: instructions hold until they are followed, and the player may take seconds to find its device and its voice
START_EXPIRES_S = 10.0
# 6 s: longer than the longest cue, which may just be spoken
SENSOR_EXPIRES_S = 6.0

# 2 s after standing was noticed, which takes 2 s: 4 s of stillness, from which the core takes its level for good
STANDING_S = 2.0
# 20 s: who stands still by then has heard it; who does not may have missed it
REPEAT_S = 20.0
# 180 s: the same state of the sensor is not said more often, as the coach does not say the same correction more often
AGAIN_S = 180.0
# 60 s of a link that comes and goes are one trouble
LOST_AGAIN_S = 60.0

# 20 steps: votes on the side fade by a tenth with every step, so all but an eighth of their weight lies on the last
# twenty; where sides were scored against force plates, they were right from the tenth step on
AGREED_STEPS = 20
# 0.8: nine of ten votes by weight say the same; sides that are clear say 0.98 and more
AGREED_CONFIDENCE = 0.8

# 15 %: an hour, about, of what the small cells of such sensors hold; 25 %: it was charged, no flicker of the gauge
LOW_BATTERY_RATIO = 0.15
CHARGED_RATIO = 0.25
# 5 %: a cell this low may end without a word
EMPTY_RATIO = 0.05

# 10 s and 5 %: what of the samples is lost before contact times suffer (docs/link.md)
WEAK_OVER_S = 10.0
WEAK_LOST_RATIO = 0.05


@dataclass(frozen=True, slots=True)
class _Counts:
    t_s: float
    samples: int
    lost_samples: int


class Guide:
    """Turns what a session says into the guide's cues; their ids count down from -1, the coach's count up."""

    def __init__(self) -> None:
        self._cues = 0
        self._muted = False
        self._told: dict[str, float] = {}
        self._begun_s: float | None = None
        self._asked_to_stand = 0
        self._standing_since_s = inf
        self._ran = False
        self._agreeing = 0
        self._last_side = Side.UNKNOWN
        self._link = ""
        self._battery_ratio: float | None = None
        self._low = False
        self._away = False
        self._lost_told = False
        self._counts: _Counts | None = None
        self._silent_at = -1

    def consider(self, item: Said) -> Iterator[Cue]:
        """Yield what is to be said because of this item. Consume it wholly."""
        match item:
            case LinkHealth(role=Role.PELVIS):
                yield from self._hear_link(item)
                yield from self._lead(item.t_s)
            case Activity():
                self._turn(item)
            case Notice():
                yield from self._hear_notice(item)
            case Step():
                yield from self._hear_step(item)
            case Command():
                yield from self._obey(item)
            case _:
                pass

    # ------------------------------------------------------------ the start

    def _lead(self, t_s: float) -> Iterator[Cue]:
        """Say what the runner has to do next; told with the link's figures, which come once a second."""
        if self._ran or self._link != "connected":
            return
        if self._begun_s is None:
            self._begun_s = t_s
        if t_s - self._standing_since_s >= STANDING_S:
            yield from self._start("run", t_s)
            return
        due_s = self._begun_s + REPEAT_S * self._asked_to_stand
        if self._standing_since_s == inf and self._asked_to_stand < 2 and t_s >= due_s and "run" not in self._told:
            self._asked_to_stand += 1
            yield from self._say("stand_still", t_s, START_PRIORITY, START_EXPIRES_S)

    def _turn(self, activity: Activity) -> None:
        standing = activity.state is ActivityState.STANDING
        self._standing_since_s = min(self._standing_since_s, activity.decided_at_s) if standing else inf
        self._ran = self._ran or activity.state is ActivityState.RUNNING

    def _hear_step(self, step: Step) -> Iterator[Cue]:
        alternates = step.side is self._last_side.other and step.side is not Side.UNKNOWN
        sure = alternates and step.side_confidence >= AGREED_CONFIDENCE
        self._agreeing = self._agreeing + 1 if sure else 0
        self._last_side = step.side
        if self._agreeing >= AGREED_STEPS:
            yield from self._start("sides_agree", step.reported_at_s)

    def _start(self, phrase: str, t_s: float) -> Iterator[Cue]:
        if phrase not in self._told:
            yield from self._say(phrase, t_s, START_PRIORITY, START_EXPIRES_S)

    # ------------------------------------------------------------ the sensor

    def _hear_notice(self, notice: Notice) -> Iterator[Cue]:
        match notice.kind:
            case "heading_found":
                yield from self._start("calibrated", notice.decided_at_s)
            case "sensor_slipped":
                yield from self._warn("sensor_loose", notice.decided_at_s)
            case "clipped":
                yield from self._warn("sensor_clips", notice.decided_at_s)
            case _:
                pass

    def _hear_link(self, health: LinkHealth) -> Iterator[Cue]:
        self._link = health.state
        t_s = health.t_s
        if health.battery_ratio is not None:
            self._battery_ratio = health.battery_ratio
        if health.state == "lost" and not self._away:
            self._away = True
            self._counts, self._silent_at = None, health.samples
            empty = self._battery_ratio is not None and self._battery_ratio <= EMPTY_RATIO
            said = list(self._warn("sensor_empty" if empty else "sensor_lost", t_s, LOST_AGAIN_S))
            self._lost_told = bool(said)
            yield from said
        elif health.state == "connected":
            self._away = False
            if self._lost_told:
                self._lost_told = False
                yield from self._say("sensor_back", t_s, SENSOR_PRIORITY, SENSOR_EXPIRES_S)
            yield from self._watch_battery(t_s)
            yield from self._watch_loss(health)

    def _watch_battery(self, t_s: float) -> Iterator[Cue]:
        ratio = self._battery_ratio
        if ratio is None:
            return
        if ratio >= CHARGED_RATIO:
            self._low = False
        elif ratio < LOW_BATTERY_RATIO and not self._low:
            self._low = True
            yield from self._warn("battery_low", t_s)

    def _watch_loss(self, health: LinkHealth) -> Iterator[Cue]:
        now = _Counts(health.t_s, health.samples, health.lost_samples)
        before = self._counts
        if before is None:
            # what was lost while the sensor was away is counted with its first samples: no matter of the signal now
            self._counts = now if now.samples > self._silent_at else None
        elif now.t_s - before.t_s >= WEAK_OVER_S:
            self._counts = now
            lost = now.lost_samples - before.lost_samples
            if lost > WEAK_LOST_RATIO * (lost + now.samples - before.samples):
                yield from self._warn("link_weak", now.t_s)

    def _warn(self, phrase: str, t_s: float, again_s: float = AGAIN_S) -> Iterator[Cue]:
        if t_s - self._told.get(phrase, -inf) >= again_s:
            yield from self._say(phrase, t_s, SENSOR_PRIORITY, SENSOR_EXPIRES_S)

    # ------------------------------------------------------------ what both share

    def _obey(self, command: Command) -> Iterator[Cue]:
        if command.name in ("mute", "unmute"):
            self._muted = command.name == "mute"
        elif command.name == "swap_sides":
            yield from self._say("sides_swapped", command.t_s, START_PRIORITY, START_EXPIRES_S)

    def _say(self, phrase: str, t_s: float, priority: int, expires_s: float) -> Iterator[Cue]:
        self._told[phrase] = t_s
        if self._muted:
            return
        self._cues += 1
        yield Cue(
            cue_id=-self._cues,
            rule=RULE,
            kind="phrase",
            phrase=phrase,
            side=Side.UNKNOWN,
            priority=priority,
            decided_at_s=t_s,
            expires_s=expires_s,
        )
