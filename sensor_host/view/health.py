"""The line that is always in sight: who runs, since when, how the sensors, the recording and the coach stand.

1. What is missing stands in words and stands out; what is well stands back.
2. Where there is little room, words become shorter and then fewer, what matters least first. How sensors stand, what is
   missing, who runs and since when are never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, TypeAlias

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from sensor_host.ports import LinkHealth, Mode, Role, SinkState
from sensor_host.screen import FRESH_HEART_RATE_S, UNKNOWN, clean, clock_text
from sensor_host.view.figures import MINUS
from sensor_host.view.lettering import Label, draw, fitted
from sensor_host.view.shapes import round_pen
from sensor_host.view.theme import DARK, LEAST_PX, Theme, Weight, metrics
from sensor_host.view.timeline import Timeline

Tone: TypeAlias = Literal["plain", "soft", "good", "warn", "bad"]
Sign: TypeAlias = Literal["", "on", "off", "failed", "signal", "battery"]

# 1 %: from here on steps begin to suffer
LOSS_MATTERS: Final = 0.01
# 15 %: about an hour of what a coin or pouch cell of such a sensor holds
BATTERY_LOW: Final = 0.15
# -85 dBm: where links begin to lose packets (docs/link.md); -45 dBm is a sensor beside the computer
WEAKEST_DBM, STRONGEST_DBM = -95, -45
WEAK_DBM: Final = -85

_SINK_NAMES: Final = {"recorder": "recording", "mqtt": "MQTT"}


@dataclass(frozen=True, slots=True)
class Chip:
    """One piece of the line: ``wordings`` from the fullest to the shortest, a shape before it, and how it matters.

    ``level`` fills the shape of a battery or a signal, 0 to 1. What matters 0 is never left out.
    """

    wordings: tuple[str, ...]
    tone: Tone = "soft"
    sign: Sign = ""
    level: float = 0.0
    matters: int = 5
    strong: bool = False


# ---------------------------------------------------------------- what is said


def chips_of(timeline: Timeline, runner: str, mode: str, now_s: float) -> tuple[Chip, ...]:
    """Return the pieces of the line from left to right."""
    who = (f"{runner} ({mode})", runner) if mode and mode != Mode.LIVE else (runner,)
    made = [Chip(who, "plain", matters=0, strong=True)] if runner else []
    made.append(Chip((clock_text(now_s),), "plain", matters=0, strong=True))
    for role, link in sorted(timeline.links.items(), key=_pelvis_first):
        made += _heart_rate_chips(timeline, link, now_s) if role == Role.HEART_RATE else _link_chips(link)
    if not timeline.links:
        made.append(Chip(("no sensor yet", "no sensor"), "warn", "off", matters=0))
    made += (_sink_chip(sink) for sink in timeline.sinks.values())
    if timeline.muted:
        made.append(Chip(("coach muted", "muted"), "warn", "off", matters=1))
    else:
        made.append(Chip(("coach on", "coach"), "soft", "on", matters=7))
    return tuple(made)


def _pelvis_first(entry: tuple[str, LinkHealth]) -> tuple[bool, str]:
    return entry[0] != Role.PELVIS, entry[0]


def _link_chips(link: LinkHealth) -> Iterable[Chip]:
    name = link.role.replace("_", " ")
    if link.state != "connected":
        detail = f", {clean(link.detail)}" if link.detail else ""
        full = f"{name} {clean(link.state)}{detail}"
        yield Chip((full, f"{name} {clean(link.state)}", clean(link.state)), "bad", "off", matters=0)
        return
    yield Chip((f"{name} connected", name), "good", "on", matters=0)
    ratio = link.lost_samples / max(link.samples + link.lost_samples, 1)
    tone: Tone = "soft" if not link.lost_samples else "bad" if ratio > LOSS_MATTERS else "warn"
    about = "about " if link.lost_text.startswith("about") else ""
    loss = f"{about}{100 * ratio:.1f} %" if link.lost_samples else "0 %"
    if link.loss_known_by is None and not link.lost_samples:
        loss = UNKNOWN
    yield Chip((f"loss {loss}",), tone, matters=2)
    if link.rssi_dbm is not None:
        level = (link.rssi_dbm - WEAKEST_DBM) / (STRONGEST_DBM - WEAKEST_DBM)
        weak: Tone = "warn" if link.rssi_dbm <= WEAK_DBM else "soft"
        text = f"{link.rssi_dbm}".replace("-", MINUS)
        yield Chip((f"{text} dBm", text), weak, "signal", min(max(level, 0.0), 1.0), matters=3)
    if link.battery_ratio is not None:
        low: Tone = "bad" if link.battery_ratio < BATTERY_LOW else "soft"
        text = f"{100 * link.battery_ratio:.0f} %"
        yield Chip((text,), low, "battery", min(max(link.battery_ratio, 0.0), 1.0), matters=3)
    if link.contact_age_p50_s is not None:
        half = f"{1000 * link.contact_age_p50_s:.0f}"
        most = UNKNOWN if link.contact_age_p95_s is None else f"{1000 * link.contact_age_p95_s:.0f}"
        full = f"contacts {half} ms, p95 {most} ms"
        yield Chip((full, f"contacts {half}/{most} ms", f"age {half}/{most} ms"), "soft", matters=4)


def _heart_rate_chips(timeline: Timeline, link: LinkHealth, now_s: float) -> Iterable[Chip]:
    beats = timeline.heart_rate
    if link.state != "connected":
        yield Chip((f"heart rate {clean(link.state)}", f"heart {clean(link.state)}"), "warn", "off", matters=0)
    elif beats is None or not beats.heart_rate_bpm or now_s - beats.t_s > FRESH_HEART_RATE_S:
        yield Chip((f"heart rate {UNKNOWN}", f"heart {UNKNOWN}"), "soft", "on", matters=3)
    else:
        yield Chip(
            (f"heart rate {beats.heart_rate_bpm:.0f} bpm", f"{beats.heart_rate_bpm:.0f} bpm"), "soft", "on", matters=3
        )


def _sink_chip(sink: SinkState) -> Chip:
    name = _SINK_NAMES.get(sink.sink, clean(sink.sink))
    if sink.state == "ready":
        dropped = f", {sink.dropped} dropped" if sink.dropped else ""
        return Chip((f"{name}{dropped}", name), "warn" if dropped else "soft", "on", matters=6)
    detail = f": {clean(sink.detail)}" if sink.detail else ""
    full, short = f"{name} {clean(sink.state)}{detail}", f"{name} {clean(sink.state)}"
    if sink.state == "failed":
        return Chip((full, short), "bad", "failed", matters=1)
    return Chip((full, short), "warn" if sink.state == "waiting" else "soft", "off", matters=5)


def missing(timeline: Timeline) -> str:
    """Return in words what a listener should do something about; empty where there is nothing."""
    for link in timeline.links.values():
        if link.warning:
            return clean(link.warning)
    for link in timeline.links.values():
        if link.state == "connected" and link.battery_ratio is not None and link.battery_ratio < BATTERY_LOW:
            return f"battery of the {link.role.replace('_', ' ')} sensor is low"
    return ""


# ---------------------------------------------------------------- in one line


@dataclass(frozen=True, slots=True)
class Piece:
    """A chip in its place: its shape first, then its words."""

    chip: Chip
    shape: QRectF
    label: Label


def arrange(chips: Sequence[Chip], line: QRectF, px: int, theme: Theme) -> Sequence[Piece]:
    """Put chips into a line, shortened as far as it needs, those that matter least first."""
    chosen = [(chip, 0) for chip in chips]
    while _width(chosen, px) > line.width():
        shorter = [i for i, (chip, n) in enumerate(chosen) if n + 1 < len(chip.wordings)]
        if shorter:
            i = max(shorter, key=lambda i: (chosen[i][0].matters, i))
            chosen[i] = (chosen[i][0], chosen[i][1] + 1)
            continue
        fewer = [i for i, (chip, _) in enumerate(chosen) if chip.matters]
        if not fewer:
            break
        del chosen[max(fewer, key=lambda i: (chosen[i][0].matters, i))]
    pieces: list[Piece] = []
    x = line.left()
    for chip, n in chosen:
        shape = QRectF(x, line.center().y() - 0.36 * px, _shape_width(chip, px), 0.72 * px)
        weight = _weight(chip)
        begin = shape.right() + (0.35 * px if chip.sign else 0.0)
        wide = min(metrics(px, weight).horizontalAdvance(chip.wordings[n]) + _SLACK_PX, max(line.right() - begin, 0.0))
        box = QRectF(begin, line.top(), wide, line.height())
        color = getattr(theme, _COLORS[chip.tone])
        pieces.append(Piece(chip, shape, fitted(chip.wordings[n], box, color, weight=weight, most_px=px)))
        x = box.right() + _gap(px)
    return pieces


_COLORS: Final[Mapping[Tone, str]] = {"plain": "text", "soft": "soft", "good": "good", "warn": "warn", "bad": "bad"}


def _weight(chip: Chip) -> Weight:
    return "strong" if chip.strong or chip.tone in ("warn", "bad") else "plain"


# 3 px: letters that reach beyond what they advance by would else be made smaller
_SLACK_PX: Final = 3.0


def _gap(px: int) -> float:
    return 1.1 * px


def _shape_width(chip: Chip, px: int) -> float:
    return {"": 0.0, "signal": 1.0, "battery": 1.5}.get(chip.sign, 0.72) * px


def _width(chosen: Sequence[tuple[Chip, int]], px: int) -> float:
    total = 0.0
    for chip, n in chosen:
        total += _shape_width(chip, px) + (0.35 * px if chip.sign else 0.0)
        total += metrics(px, _weight(chip)).horizontalAdvance(chip.wordings[n]) + _SLACK_PX
    return total + _gap(px) * max(len(chosen) - 1, 0)


# ---------------------------------------------------------------- the panel


class Health(QWidget):
    """The line. ``period_s`` as of all that changes slowly."""

    period_s: ClassVar[float] = 0.1

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.runner, self.mode, self.missing_here = "", "", ""
        self.view: tuple[tuple[Chip, ...], str] | None = None
        self.pieces: Sequence[Piece] = ()
        self.labels: Sequence[Label] = ()

    def sizeHint(self) -> QSize:
        return QSize(640, 34)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 26)

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.update()

    def set_session(self, runner: str, mode: str = "") -> None:
        """Name the runner and where the session comes from."""
        self.runner, self.mode = clean(runner), mode

    def set_missing(self, words: str) -> None:
        """Say what the window itself misses, its broker or the run; it comes before what the sensors miss."""
        self.missing_here = clean(words)

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Show the moment; paint only if something reads differently now."""
        view = chips_of(timeline, self.runner, self.mode, now_s), self.missing_here or missing(timeline)
        if view != self.view:
            self.view = view
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.fillRect(self.rect(), QColor(self.theme.panel))
            if self.view is not None:
                self._paint(painter, *self.view)

    def _paint(self, painter: QPainter, chips: Sequence[Chip], words: str) -> None:
        rect, theme = QRectF(self.rect()), self.theme
        px = max(round(min(0.5 * rect.height(), 18.0)), LEAST_PX)
        line = rect.adjusted(0.7 * px, 0.0, -0.7 * px, 0.0)
        told: list[Label] = []
        if words:
            wide = min(metrics(px, "strong").horizontalAdvance(words) + 1.6 * px, 0.55 * line.width())
            pill = QRectF(line.right() - wide, rect.center().y() - 0.78 * px, wide, 1.56 * px)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.cue))
            painter.drawRoundedRect(pill, 0.5 * px, 0.5 * px)
            inner = pill.adjusted(0.6 * px, 0.0, -0.6 * px, 0.0)
            told.append(
                fitted(words, inner, theme.on_cue, weight="strong", align="centre", most_px=px, least_px=min(12, px))
            )
            line.setRight(pill.left() - _gap(px))
        # of one size, and no larger than lets what must stand there stand there
        must = [replace(chip, wordings=chip.wordings[-1:]) for chip in chips if not chip.matters]
        while px > LEAST_PX and _width([(chip, 0) for chip in must], px) > line.width():
            px -= 1
        self.pieces = arrange(chips, line, px, theme)
        self.labels = [*(piece.label for piece in self.pieces), *told]
        draw(painter, self.labels)
        for piece in self.pieces:
            _draw_sign(painter, piece, theme)


def _draw_sign(painter: QPainter, piece: Piece, theme: Theme) -> None:
    shape, color = piece.shape, QColor(getattr(theme, _COLORS[piece.chip.tone]))
    width = max(0.13 * shape.height(), 1.2)
    painter.setPen(QPen(color, width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    half = shape.height() / 2 - width / 2
    match piece.chip.sign:
        case "on":
            painter.setBrush(color)
            painter.drawEllipse(shape.center(), 0.8 * half, 0.8 * half)
        case "off":
            painter.drawEllipse(shape.center(), 0.8 * half, 0.8 * half)
        case "failed":
            painter.setPen(round_pen(color, 1.6 * width))
            painter.drawPath(_cross(shape.center(), 0.7 * half))
        case "battery":
            _draw_battery(painter, shape, piece.chip.level, color, width)
        case "signal":
            _draw_signal(painter, shape, piece.chip.level, color, QColor(theme.grid))
        case "":
            pass


def _cross(centre: QPointF, reach: float) -> QPainterPath:
    path = QPainterPath(centre + QPointF(-reach, -reach))
    path.lineTo(centre + QPointF(reach, reach))
    path.moveTo(centre + QPointF(-reach, reach))
    path.lineTo(centre + QPointF(reach, -reach))
    return path


def _draw_battery(painter: QPainter, shape: QRectF, level: float, color: QColor, width: float) -> None:
    body = shape.adjusted(width / 2, 0.14 * shape.height(), -0.12 * shape.width(), -0.14 * shape.height())
    painter.drawRoundedRect(body, 1.5, 1.5)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    knob = QRectF(
        body.right() + width / 2, body.center().y() - 0.16 * shape.height(), 0.07 * shape.width(), 0.32 * shape.height()
    )
    painter.drawRect(knob)
    inner = body.adjusted(1.4 * width, 1.4 * width, -1.4 * width, -1.4 * width)
    painter.drawRect(QRectF(inner.left(), inner.top(), level * inner.width(), inner.height()))


def _draw_signal(painter: QPainter, shape: QRectF, level: float, color: QColor, empty: QColor) -> None:
    """Draw four bars, as many of them filled as the level reaches."""
    painter.setPen(Qt.PenStyle.NoPen)
    bars = 4
    each = shape.width() / bars
    for i in range(bars):
        high = shape.height() * (i + 1) / bars
        painter.setBrush(color if level * bars > i + 0.25 else empty)
        painter.drawRect(QRectF(shape.left() + i * each, shape.bottom() - high, 0.68 * each, high))
