"""The live screen: what was said last, gathered, and how it is laid out. No input, no output, no clock.

`Readings` is taken step by step, `frame` draws it. The lines are laid out by hand because a rich table of this
size costs 7 ms a time and this costs less than one; names, units and decimals come from METRICS.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style

from pelvis.data import Activity, ActivityState, Command, Cue, HeartRate, Marker, Notice, Side, Step, Stride
from pelvis.metrics import Metric
from sensor_host.keys import KEYS, MUTE
from sensor_host.phrases import words_for, words_of
from sensor_host.ports import LinkHealth, Mode, Role, Said, SessionInfo, SessionState, SinkState
from sensor_host.shown import SHOWN

# 20 steps: about 7 s, long enough to be calm and short enough to answer what the runner just changed
REMEMBERED_STEPS = 20

# 20 bars of 6 s: two minutes in which a drift shows; a bar per step would only flicker
TREND_BARS = 20
TREND_BAR_S = 6.0

UNKNOWN = "–"

LABEL_WIDTH = 10
TITLE_WIDTH = 22
NUMBER_WIDTH = 10
UNIT_WIDTH = 5
MARGIN = 2
WIDEST = 96

# The widths from which a column fits.
SIDES_FROM = MARGIN + TITLE_WIDTH + 4 * NUMBER_WIDTH + 1 + UNIT_WIDTH + MARGIN
TREND_FROM = SIDES_FROM + TREND_BARS
LAST_FROM = MARGIN + TITLE_WIDTH + 2 * NUMBER_WIDTH + 1 + UNIT_WIDTH

# The terminal's own sixteen colours where possible, so that light and dark themes both stay readable.
PLAIN = Style.null()
BOLD = Style(bold=True)
FAINT = Style(dim=True)
ACCENT = Style(color="cyan", bold=True)
LEFT = Style(color="bright_blue")
RIGHT = Style(color="dark_orange")
GOOD = Style(color="green")
WARN = Style(color="yellow", bold=True)
BAD = Style(color="red", bold=True)
MODE_STYLES = {Mode.LIVE: BAD, Mode.REPLAY: ACCENT, Mode.SIMULATED: WARN}

# 6 s: a new cue stands out about as long as it takes to glance at the wrist
FRESH_CUE_S = 6.0

# 5 s: a strap says something every second; what is older is not the heart rate any more
FRESH_HEART_RATE_S = 5.0

_BARS = "▁▂▃▄▅▆▇█"

# What stands for the signs a terminal without Unicode lacks.
ASCII = str.maketrans({"●": "*", "○": "o", "✗": "x", "·": "-", "–": "-", "─": "-", "→": ">", "←": "<", "−": "-"})

Line = list[Segment]


# ---------------------------------------------------------------- what was said last


class Readings:
    """The latest of everything a screen shows; ``changed`` is set when something visible did.

    ``words`` are those of every phrase by its id; without: English.
    """

    def __init__(self, session: SessionInfo, words: Mapping[str, str] | None = None) -> None:
        self.session = session
        self.words = words_of() if words is None else words
        # whether single keys do something
        self.keys = False
        self.t_s = 0.0
        self.steps = 0
        self.activity = ActivityState.OTHER
        self.values: dict[str, deque[tuple[Side, float]]] = {m.name: deque(maxlen=REMEMBERED_STEPS) for m in SHOWN}
        self.trends: dict[str, deque[float]] = {m.name: deque(maxlen=TREND_BARS) for m in SHOWN}
        self.quality: deque[float] = deque(maxlen=REMEMBERED_STEPS)
        self.links: dict[str, LinkHealth] = {}
        self.sinks: dict[str, SinkState] = {}
        self.heart_rate: HeartRate | None = None
        self.cue: Cue | None = None
        self.notice: Notice | None = None
        self.state = SessionState("")
        self.marker: Marker | None = None
        self.marks = 0
        self.changed = True

    def take(self, item: Said) -> None:
        """Remember what was said."""
        match item:
            case Step():
                self.steps += 1
                self.quality.append(item.quality)
                self._take_values(item)
                self._reach(item.reported_at_s)
            case Stride():
                self._take_values(item)
                self._reach(item.completed_at_s)
            case HeartRate():
                self.heart_rate = item
                self._reach(item.t_s)
            case Cue():
                self.cue = item
                self._reach(item.decided_at_s)
            case Notice():
                self.notice = item
                self._reach(item.decided_at_s)
            case Activity():
                self.activity = item.state
                self._reach(item.decided_at_s)
            case LinkHealth():
                self.links[item.role] = item
                self._reach(item.t_s)
            case SessionState():
                self.state = item
            case Marker():
                self.marker = item
                self.marks += 1
            case SinkState():
                self.sinks[item.sink] = item
            case _:
                return
        self.changed = True

    def _take_values(self, item: Step | Stride) -> None:
        for name, value in item.metrics.items():
            values = self.values.get(name)
            if values is not None and math.isfinite(value):
                values.append((item.side, value))

    def _reach(self, t_s: float) -> None:
        if t_s // TREND_BAR_S > self.t_s // TREND_BAR_S:
            for name, trend in self.trends.items():
                trend.append(median([value for _, value in self.values[name]]))
        self.t_s = max(self.t_s, t_s)


def median(values: Sequence[float]) -> float:
    """Return the middle value, NaN where there is none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def clock_text(t_s: float) -> str:
    """Return session time as h:mm:ss."""
    minutes, seconds = divmod(int(max(t_s, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def clean(text: str) -> str:
    """Return ``text`` without anything that could steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


# ---------------------------------------------------------------- lines of text, where there is no screen


def status_line(readings: Readings) -> str:
    """Return everything measured in one line of plain text."""
    parts = [readings.activity.value]
    for metric in SHOWN:
        value = median([value for _, value in readings.values[metric.name]])
        if math.isfinite(value):
            parts.append(f"{metric.title} {value:.{metric.decimals}f} {metric.unit}")
    if readings.quality:
        parts.append(f"quality {median(readings.quality):.2f}")
    if _beats(readings):
        parts.append(f"heart rate {_beats(readings)}")
    parts += [
        f"{role} {health.state}, {health.lost_text} samples lost" for role, health in sorted(readings.links.items())
    ]
    return f"{clock_text(readings.t_s)}  {'  '.join(parts)}"


def event_line(readings: Readings, item: Said) -> str:
    """Return what is worth a line of its own, empty for everything else. ``item`` was not taken yet."""
    text = ""
    match item:
        case Cue():
            side = "" if item.side is Side.UNKNOWN else f" ({item.side})"
            text = f"cue: {words_for(item, readings.words)}{side}"
        case Notice():
            text = f"note: {item.text}"
        case Marker():
            text = f"{item.kind} at {clock_text(item.t_s)} {item.text}"
        case Command():
            text = f"{item.name.replace('_', ' ')} {item.value}"
        case SessionState() if item.state != readings.state.state:
            text = f"{readings.session.mode} session {readings.session.session_id}: {item.state} {item.detail}"
        case LinkHealth():
            link = readings.links.get(item.role)
            if link is None or (link.state, link.detail) != (item.state, item.detail):
                text = f"{item.role.replace('_', ' ')}: {item.state}{f', {item.detail}' if item.detail else ''}"
            if item.warning and (link is None or link.warning != item.warning):
                text = f"{item.role.replace('_', ' ')}: {item.warning}"
        case SinkState():
            sink = readings.sinks.get(item.sink)
            if sink is None or (sink.state, sink.detail) != (item.state, item.detail):
                text = f"{item.sink}: {item.state} {item.detail}"
        case _:
            pass
    return f"{clock_text(readings.t_s)}  {clean(text).rstrip()}" if text else ""


# ---------------------------------------------------------------- the screen


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the screen, for rich to print."""

    lines: tuple[Line, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for line in self.lines:
            yield from line
            yield Segment.line()


def frame(readings: Readings, width: int, height: int, *, unicode: bool = True) -> Frame:
    """Draw the readings into ``width`` columns and at most ``height`` lines; what matters least goes first."""
    width = min(width, WIDEST)
    head = _header(readings, width)
    table = [_table_header(width), *(_metric_line(readings, metric, width) for metric in SHOWN)]
    table += [_quality_line(readings, width)]
    foot = [*_link_lines(readings), *_sink_lines(readings)]
    said = [_cue_line(readings), *_notice_lines(readings)]
    blank: Line = []
    keys = [_key_line(readings)] if readings.keys else []
    # From the roomiest arrangement to the barest.
    arrangements = (
        [*head, _rule(width), *table, blank, *foot, blank, *said, *([blank, *keys] if keys else [])],
        [*head, *table, *foot, *said, *keys],
        [*head, *table, *said, *foot, *keys],
    )
    lines = next((lines for lines in arrangements if len(lines) <= height), arrangements[-1][: max(height, 1)])
    if not unicode:
        lines = [[Segment(part.text.translate(ASCII), part.style) for part in line] for line in lines]
    return Frame(tuple(lines))


def _header(readings: Readings, width: int) -> list[Line]:
    session = readings.session
    mode = f"● {session.mode.upper()}"
    right = f"{mode}   {readings.activity}   {clock_text(readings.t_s)}"
    name = "hipdrive"
    gap = max(width - 2 * MARGIN - len(name) - len(right), 2)
    title: Line = [
        Segment(" " * MARGIN),
        Segment(name, ACCENT),
        Segment(" " * gap),
        Segment(mode, MODE_STYLES[session.mode]),
        Segment(f"   {readings.activity}   "),
        Segment(clock_text(readings.t_s), BOLD),
    ]
    who = f"{session.runner} · {session.session_id}"
    if session.replay_of:
        who += f" · replay of {session.replay_of}"
    return [title, [Segment(" " * MARGIN), Segment(_fit(clean(who), width - 2 * MARGIN), FAINT)]]


def _rule(width: int) -> Line:
    return [Segment(" " * MARGIN), Segment("─" * (width - 2 * MARGIN), FAINT)]


def _table_header(width: int) -> Line:
    line = [Segment(" " * (MARGIN + TITLE_WIDTH)), Segment(f"{'median':>{NUMBER_WIDTH}}", FAINT)]
    if width >= SIDES_FROM:
        line += [Segment(f"{'left':>{NUMBER_WIDTH}}", LEFT), Segment(f"{'right':>{NUMBER_WIDTH}}", RIGHT)]
    if width >= LAST_FROM:
        line += [Segment(f"{'last':>{NUMBER_WIDTH}}", FAINT)]
    if width >= TREND_FROM:
        line += [
            Segment(f"{'':{UNIT_WIDTH + 1}}{f'last {TREND_BARS * TREND_BAR_S / 60:.0f} min':>{TREND_BARS}}", FAINT)
        ]
    return line


def _metric_line(readings: Readings, metric: Metric, width: int) -> Line:
    pairs = readings.values[metric.name]
    values = [value for _, value in pairs]

    def shown(value: float) -> str:
        return f"{value:>{NUMBER_WIDTH}.{metric.decimals}f}" if math.isfinite(value) else f"{UNKNOWN:>{NUMBER_WIDTH}}"

    line = [Segment(f"{'':{MARGIN}}{metric.title:{TITLE_WIDTH}}"), Segment(shown(median(values)), BOLD)]
    if width >= SIDES_FROM:
        for side, style in ((Side.LEFT, LEFT), (Side.RIGHT, RIGHT)):
            line.append(Segment(shown(median([value for of, value in pairs if of is side])), style))
    if width >= LAST_FROM:
        line.append(Segment(shown(values[-1] if values else math.nan)))
    line.append(Segment(f" {metric.unit:{UNIT_WIDTH}}", FAINT))
    if width >= TREND_FROM:
        line.append(Segment(_trend(readings.trends[metric.name]), FAINT))
    return line


def _quality_line(readings: Readings, width: int) -> Line:
    values = list(readings.quality)
    middle = median(values)
    style = PLAIN if not values else GOOD if middle >= 0.8 else WARN if middle >= 0.5 else BAD
    text = f"{middle:>{NUMBER_WIDTH}.2f}" if values else f"{UNKNOWN:>{NUMBER_WIDTH}}"
    line = [Segment(f"{'':{MARGIN}}{'quality':{TITLE_WIDTH}}"), Segment(text, style)]
    if width >= SIDES_FROM:
        line.append(Segment(" " * 2 * NUMBER_WIDTH))
    if width >= LAST_FROM:
        line.append(Segment(f"{values[-1]:>{NUMBER_WIDTH}.2f}" if values else f"{UNKNOWN:>{NUMBER_WIDTH}}"))
    line.append(Segment(f" {f'{readings.steps:,} steps'.replace(',', ' ')}", FAINT))
    return line


def _link_lines(readings: Readings) -> list[Line]:
    if not readings.links:
        return [_labelled("link", [Segment("○ waiting for the sensor", FAINT)])]
    lines: list[Line] = []
    for role, health in readings.links.items():
        lines.append(_labelled(role.replace("_", " "), _link_parts(health, _beats(readings))))
        if health.warning:
            lines.append(_labelled("", [Segment(clean(health.warning), WARN)]))
    return lines


def _beats(readings: Readings) -> str:
    """Return the heart rate in words while it is fresh, else nothing."""
    reading = readings.heart_rate
    if reading is None or not reading.heart_rate_bpm or readings.t_s - reading.t_s > FRESH_HEART_RATE_S:
        return ""
    return f"{reading.heart_rate_bpm:.0f} bpm"


def _link_parts(health: LinkHealth, beats: str) -> Line:
    good = health.state == "connected"
    parts = [Segment(f"{'●' if good else '○'} {clean(health.state)}", GOOD if good else WARN)]
    if not good and health.detail:
        return [*parts, Segment(f"   {clean(health.detail)}", FAINT)]
    if health.role == Role.HEART_RATE:
        parts.append(Segment(f"   {beats or UNKNOWN}", BOLD))
    else:
        parts += _count_parts(health)
    if health.rssi_dbm is not None:
        parts.append(Segment(f"   {health.rssi_dbm} dBm".replace("-", "−"), FAINT))
    if health.battery_ratio is not None:
        # 15 %: about an hour of what a coin or pouch cell of such a sensor holds
        style = WARN if health.battery_ratio < 0.15 else FAINT
        parts.append(Segment(f"   battery {health.battery_ratio:.0%}".replace("%", " %"), style))
    return parts


def _count_parts(health: LinkHealth) -> Line:
    parts = [Segment(f"   {health.notifications:,} notifications".replace(",", " "), FAINT)]
    lost_ratio = health.lost_samples / max(health.samples + health.lost_samples, 1)
    # 1 %: from here on steps begin to suffer
    style = FAINT if not health.lost_samples else BAD if lost_ratio > 0.01 else WARN
    lost = f"{health.lost_text} lost" + (f" ({lost_ratio:.1%})" if health.lost_samples else "")
    parts.append(Segment(f"   {lost}", style))
    if health.contact_age_p50_s is not None:
        parts.append(Segment(f"   contacts {1000 * health.contact_age_p50_s:.0f} ms ago", FAINT))
    if health.reboots:
        parts.append(Segment(f"   restarted {health.reboots} x", WARN))
    if health.bad_notifications:
        parts.append(Segment(f"   {health.bad_notifications} unreadable", WARN))
    return parts


def _sink_lines(readings: Readings) -> list[Line]:
    signs = {"ready": ("●", GOOD), "waiting": ("○", WARN), "failed": ("✗", BAD), "closed": ("○", FAINT)}
    lines: list[Line] = []
    for sink in readings.sinks.values():
        sign, style = signs.get(sink.state, ("○", WARN))
        parts = [Segment(f"{sign} {sink.state}", style), Segment(f"   {clean(sink.detail)}", FAINT)]
        if sink.dropped:
            parts.append(Segment(f"   {sink.dropped} dropped", WARN))
        lines.append(_labelled(sink.sink, parts))
    return lines


def _key_line(readings: Readings) -> Line:
    parts: Line = []
    for key in KEYS:
        does = "speak again" if key is MUTE and readings.state.muted else key.does
        parts += [Segment(key.sign, BOLD), Segment(f" {does}   ", FAINT)]
    marker = readings.marker
    if marker is not None:
        parts.append(Segment(f"{clean(marker.kind)} at {clock_text(marker.t_s)} ({readings.marks})", GOOD))
    return _labelled("keys", parts)


def _cue_line(readings: Readings) -> Line:
    muted = [Segment("muted   ", WARN)] if readings.state.muted else []
    cue = readings.cue
    if cue is None:
        return _labelled("cue", [*muted, Segment("none yet", FAINT)])
    age_s = max(readings.t_s - cue.decided_at_s, 0.0)
    signs = {Side.LEFT: "  ← left", Side.RIGHT: "  → right", Side.UNKNOWN: ""}
    ago = f"{age_s:.0f} s ago" if age_s < 90 else f"{age_s / 60:.0f} min ago"
    words = Segment(clean(words_for(cue, readings.words)), ACCENT if age_s < FRESH_CUE_S else BOLD)
    return _labelled("cue", [*muted, words, Segment(signs[cue.side]), Segment(f"   {ago}", FAINT)])


def _notice_lines(readings: Readings) -> list[Line]:
    if readings.notice is None:
        return []
    return [_labelled("note", [Segment(clean(readings.notice.text), FAINT)])]


def _labelled(label: str, parts: Iterable[Segment]) -> Line:
    return [Segment(" " * MARGIN), Segment(_fit(label, LABEL_WIDTH), FAINT), Segment("  "), *parts]


def _fit(text: str, width: int) -> str:
    return set_cell_size(text, max(width, 0))


def _trend(values: Iterable[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    # A tenth of the value at least fills the height: what hardly changes shall look so.
    span = max(high - low, 0.1 * max(abs(low), abs(high)), 1e-12)
    foot = (low + high - span) / 2
    bars = "".join(_BARS[min(int((value - foot) / span * len(_BARS)), len(_BARS) - 1)] for value in known)
    return bars.rjust(TREND_BARS)
