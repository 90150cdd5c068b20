"""The pelvis, seen from behind: it leans, turns and shifts as the runner's does.

1. Angles are drawn fourfold, as on the phone page: at their own size nobody would see them. Shifts are to the scale
   that stands beside them.
2. What is nearer is larger: the side that turns forward, away from who looks, grows small. A plan below shows the same.
3. The sensor's way over the last stride stays as a faint line. What cannot be told is not drawn: docs/view.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, isfinite, radians, sin
from typing import ClassVar, Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from pelvis.data import ActivityState, Side
from sensor_host.view.lettering import Label, draw, fitted
from sensor_host.view.shapes import draw_panel, round_pen
from sensor_host.view.shift import Posture, posture
from sensor_host.view.theme import DARK, SIDE_LOOKS, Theme
from sensor_host.view.timeline import Timeline

# 4: as on the phone page; 5 deg are then seen from two metres
MAGNIFIED: Final = 4.0
# 40 deg as drawn: what leans further would leave the panel, and is no running
STEEPEST_DEG: Final = 40.0
# 0.28 m: the breadth of an adult's pelvis at the belt, to which shifts are drawn in scale
BREADTH_M: Final = 0.28
# 0.34 m: half of 0.13 m of oscillation, a belt's end that leans by 30 deg and a hip's disc, up and down alike
HEIGHT_M: Final = 0.34
# how much nearer a side is drawn per sine of the drawn rotation
_DEPTH: Final = 0.45
_BAR_M: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class BeltView:
    """What the panel shows; ``words`` says what is missing, or how things are drawn."""

    posture: Posture
    words: tuple[str, ...]

    def looks_like(self, other: BeltView | None) -> bool:
        """Whether nothing that is drawn differs."""
        if other is None or self.words != other.words or self.posture.stance is not other.posture.stance:
            return False
        one, two = self.posture, other.posture
        return one.t_s == two.t_s or not (one.known or two.known)


class Belt(QWidget):
    """The pelvis from behind."""

    period_s: ClassVar[float] = 1 / 30

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.view: BeltView | None = None
        self.labels: Sequence[Label] = ()

    def sizeHint(self) -> QSize:
        return QSize(420, 320)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 120)

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.update()

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Show the moment."""
        now = posture(timeline, now_s)
        view = BeltView(now, _words(timeline, now, now_s))
        if not view.looks_like(self.view):
            self.view = view
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        # a painter left open by an exception would end the process
        with QPainter(self) as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        rect = QRectF(self.rect())
        draw_panel(painter, rect, self.theme)
        if self.view is not None:
            places = _places(rect)
            _draw_scale(painter, places, self.theme)
            _draw_stance(painter, places, self.view.posture, self.theme)
            _draw_path(painter, places, self.view.posture, self.theme)
            _draw_belt(painter, places, self.view.posture, self.theme)
            _draw_plan(painter, places, self.view.posture, self.theme)
            self.labels = _labels(places, self.view, self.theme)
            draw(painter, self.labels)


def _words(timeline: Timeline, now: Posture, now_s: float) -> tuple[str, ...]:
    if not now.known:
        if not len(timeline.motion(now_s - 60.0, now_s)[0]):
            return ("no motion is heard", "no motion")
        return ("the sensor's place on the belt is not known yet", "not known yet")
    if not len(now.path_m):
        running = timeline.activity is ActivityState.RUNNING
        words = "no stride yet" if running else "shift when running"
        return (f"pelvis from behind, angles ×{MAGNIFIED:.0f}, {words}", f"angles ×{MAGNIFIED:.0f}, {words}", words)
    words = f"angles ×{MAGNIFIED:.0f}, shift to scale"
    return (f"pelvis from behind, {words}", words, "from behind")


# ---------------------------------------------------------------- where things stand


@dataclass(frozen=True, slots=True)
class _Places:
    """``rest``: where the sensor is on average; ``px_per_m`` of shifts and of the belt's breadth."""

    rect: QRectF
    words: QRectF
    rest: QPointF
    px_per_m: float
    foot: dict[Side, QRectF]
    plan: QRectF
    """Empty where there is no room."""

    @property
    def half(self) -> float:
        return 0.5 * BREADTH_M * self.px_per_m

    @property
    def thick(self) -> float:
        """Of the belt."""
        return 0.085 * BREADTH_M * self.px_per_m


def _places(rect: QRectF) -> _Places:
    width, height = rect.width(), rect.height()
    rim = min(max(0.04 * min(width, height), 5.0), 16.0)
    words = QRectF(
        rect.left() + 1.3 * rim, rect.top() + 0.7 * rim, width - 2.6 * rim, min(max(0.085 * height, 12.0), 24.0)
    )
    low = min(max(0.13 * height, 16.0), 44.0)
    high = rect.bottom() - rim - low - words.bottom()
    scale = min(0.52 * width / BREADTH_M, max(high, 1.0) / HEIGHT_M)
    rest = QPointF(rect.center().x(), words.bottom() + 0.5 * high)
    # below the hips as far as there is room between and beside them
    pill = min(0.22 * width, 2.6 * low)
    apart = min(max(0.5 * BREADTH_M * scale, 0.8 * pill), 0.5 * (width - pill) - 1.3 * rim)
    left = QRectF(rest.x() - apart - 0.5 * pill, rect.bottom() - rim - low, pill, low)
    right = left.translated(2.0 * apart, 0.0)
    plan = QRectF(left.right() + rim, left.top(), right.left() - left.right() - 2.0 * rim, low)
    return _Places(rect, words, rest, scale, {Side.LEFT: left, Side.RIGHT: right}, plan)


def _drawn_deg(angle_deg: float) -> float:
    """Return an angle as it is drawn."""
    drawn = MAGNIFIED * angle_deg if isfinite(angle_deg) else 0.0
    return min(max(drawn, -STEEPEST_DEG), STEEPEST_DEG)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where the belt's ends are and how large they are drawn, 1 is as in the middle."""

    middle: QPointF
    left: QPointF
    right: QPointF
    left_size: float
    right_size: float


def _drawn(places: _Places, now: Posture) -> Drawn:
    middle = QPointF(places.rest)
    if len(now.path_m):
        left_m, up_m = now.path_m[-1].tolist()
        # from behind the runner's left is on the left
        middle += QPointF(-left_m * places.px_per_m, -up_m * places.px_per_m)
    lean, turn = radians(_drawn_deg(now.obliquity_deg)), radians(_drawn_deg(now.rotation_deg))
    half = places.half * cos(turn)
    # the right side up is a turn to the left; on a screen y grows downward
    reach = QPointF(half * cos(lean), -places.half * sin(lean))
    nearer = _DEPTH * sin(turn)
    return Drawn(middle, middle - reach, middle + reach, 1.0 + nearer, 1.0 - nearer)


# ---------------------------------------------------------------- drawing


def _draw_scale(painter: QPainter, places: _Places, theme: Theme) -> None:
    """Draw the height of rest as a horizon, and a bar that says how long 50 mm are."""
    dashes = QPen(QColor(theme.line), theme.frame_width_px, Qt.PenStyle.CustomDashLine)
    dashes.setDashPattern([3.0, 5.0])
    painter.setPen(dashes)
    rest, rect = places.rest, places.rect
    inset = 0.04 * rect.width()
    painter.drawLine(QPointF(rect.left() + inset, rest.y()), QPointF(rect.right() - inset, rest.y()))
    painter.setPen(QPen(QColor(theme.line), 1.5 * theme.frame_width_px))
    bar = _bar(places)
    painter.drawLine(bar.topRight(), bar.bottomRight())
    for y in (bar.top(), bar.bottom()):
        painter.drawLine(QPointF(bar.right() - 5.0, y), QPointF(bar.right(), y))


def _bar(places: _Places) -> QRectF:
    """Return the bar of 50 mm, on the horizon at the right, with the room for its words beside it."""
    right, high = places.rect.right() - 0.04 * places.rect.width(), _BAR_M * places.px_per_m
    return QRectF(right - 0.11 * places.rect.width(), places.rest.y() - high, 0.11 * places.rect.width(), high)


def _draw_stance(painter: QPainter, places: _Places, now: Posture, theme: Theme) -> None:
    """Light the foot on the ground, and what joins it to its hip."""
    at = _drawn(places, now)
    for side, hip in ((Side.LEFT, at.left), (Side.RIGHT, at.right)):
        pill, down = places.foot[side], now.stance is side
        color = QColor(theme.of(side))
        if down:
            leg = QPainterPath(QPointF(hip))
            foot = QPointF(pill.center().x(), pill.top())
            leg.cubicTo(
                QPointF(hip.x(), 0.5 * (hip.y() + foot.y())), QPointF(foot.x(), 0.6 * foot.y() + 0.4 * hip.y()), foot
            )
            painter.setPen(round_pen(color, 0.3 * places.thick))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPath(leg)
        painter.setPen(QPen(color if down else QColor(theme.line), 2.0))
        painter.setBrush(color if down else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(pill.adjusted(1, 1, -1, -1), pill.height() / 2, pill.height() / 2)


def _draw_path(painter: QPainter, places: _Places, now: Posture, theme: Theme) -> None:
    """Draw the sensor's way over the last stride, the nearer in time the stronger."""
    if not len(now.path_m):
        return
    rest, scale = places.rest + _hang(places), places.px_per_m
    points = [QPointF(rest.x() - x * scale, rest.y() - y * scale) for x, y in now.path_m.tolist()]
    painter.setBrush(Qt.BrushStyle.NoBrush)
    color = QColor(theme.soft)
    pieces = 8
    each = len(points) // pieces
    for piece in range(pieces):
        color.setAlphaF(0.2 + 0.6 * piece / (pieces - 1))
        painter.setPen(round_pen(color, theme.mean_width_px))
        painter.drawPolyline(QPolygonF(points[max(piece * each - 1, 0) : (piece + 1) * each]))


def _hang(places: _Places) -> QPointF:
    """Return how far the sensor hangs below the line from hip to hip: as far as the belt does."""
    return QPointF(0.0, 0.42 * places.thick)


def _draw_belt(painter: QPainter, places: _Places, now: Posture, theme: Theme) -> None:
    at = _drawn(places, now)
    thick = places.thick
    color = QColor(theme.text if now.known else theme.line)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawPath(_ribbon(at, thick))
    size = 0.62 * thick
    for side, hip, near in ((Side.LEFT, at.left, at.left_size), (Side.RIGHT, at.right, at.right_size)):
        painter.setBrush(QColor(theme.panel))
        painter.drawEllipse(hip, 1.75 * size * near + 3.0, 1.75 * size * near + 3.0)
        _draw_hip(painter, side, hip, 3.5 * size * near, theme)
    painter.save()
    painter.translate(at.middle + _hang(places))
    painter.rotate(-_drawn_deg(now.obliquity_deg))
    painter.setPen(QPen(QColor(theme.panel), 2.5))
    painter.setBrush(QColor(theme.sensor if now.known else theme.line))
    clip = QRectF(-0.75 * thick, -0.8 * thick, 1.5 * thick, 1.6 * thick)
    painter.drawRoundedRect(clip, 0.3 * thick, 0.3 * thick)
    painter.restore()


def _draw_hip(painter: QPainter, side: Side, centre: QPointF, size_px: float, theme: Theme) -> None:
    """Draw a disc with the side's letter; where it stands tells the side as well."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.of(side)))
    painter.drawEllipse(centre, size_px / 2, size_px / 2)
    box = QRectF(0.0, 0.0, 0.7 * size_px, 0.5 * size_px)
    box.moveCenter(centre)
    letter = SIDE_LOOKS[side].letter
    draw(painter, [fitted(letter, box, theme.on_side, weight="heavy", align="centre", figures=True, least_px=1)])


def _ribbon(at: Drawn, thick: float) -> QPainterPath:
    """Return a band that hangs a little in its middle and is as thick at its ends as they are near."""
    sag = QPointF(0.0, 0.85 * thick)
    middle = (at.left + at.right) * 0.5 + sag
    left, right = QPointF(0.0, 0.5 * thick * at.left_size), QPointF(0.0, 0.5 * thick * at.right_size)
    centre = (left + right) * 0.5
    path = QPainterPath(at.left - left)
    path.quadTo(middle - centre, at.right - right)
    path.lineTo(at.right + right)
    path.quadTo(middle + centre, at.left + left)
    path.closeSubpath()
    return path


def _draw_plan(painter: QPainter, places: _Places, now: Posture, theme: Theme) -> None:
    """Draw the same belt from above, ahead is up: turned by the drawn rotation."""
    plan = places.plan
    if plan.width() < 40.0 or not isfinite(now.rotation_deg):
        return
    reach = min(0.42 * plan.width(), 0.95 * plan.height())
    painter.save()
    painter.translate(plan.center())
    painter.setPen(QPen(QColor(theme.line), theme.frame_width_px))
    painter.drawLine(QPointF(-1.2 * reach, 0.0), QPointF(1.2 * reach, 0.0))
    # the right side forward is a turn to the left
    painter.rotate(-_drawn_deg(now.rotation_deg))
    painter.setPen(round_pen(theme.text, max(0.12 * plan.height(), 2.0)))
    painter.drawLine(QPointF(-reach, 0.0), QPointF(reach, 0.0))
    tip = -0.42 * plan.height()
    painter.setPen(round_pen(theme.text, 2.0))
    painter.drawLine(QPointF(0.0, 0.0), QPointF(0.0, tip))
    painter.drawPolyline(QPolygonF([QPointF(-4.0, tip + 4.0), QPointF(0.0, tip), QPointF(4.0, tip + 4.0)]))
    painter.setPen(Qt.PenStyle.NoPen)
    for side, x in ((Side.LEFT, -reach), (Side.RIGHT, reach)):
        painter.setBrush(QColor(theme.of(side)))
        painter.drawEllipse(QPointF(x, 0.0), 0.16 * plan.height(), 0.16 * plan.height())
    painter.restore()


def _labels(places: _Places, view: BeltView, theme: Theme) -> Sequence[Label]:
    made = [fitted(view.words, places.words, theme.soft, most_px=16)]
    for side, pill in places.foot.items():
        down = view.posture.stance is side
        inner = pill.adjusted(0.12 * pill.width(), 0.12 * pill.height(), -0.12 * pill.width(), -0.12 * pill.height())
        words = (side.value, SIDE_LOOKS[side].letter)
        color = theme.on_side if down else theme.soft
        made.append(fitted(words, inner, color, weight="strong", align="centre", most_px=18))
    bar = _bar(places)
    high = min(max(0.4 * bar.height(), 11.0), 16.0)
    box = QRectF(bar.left() - 8.0, bar.top() - high - 2.0, bar.width() + 8.0, high)
    if places.px_per_m * _BAR_M >= 16.0:
        made.append(fitted((f"{1000 * _BAR_M:.0f} mm", ""), box, theme.soft, align="right", most_px=13))
    return made
