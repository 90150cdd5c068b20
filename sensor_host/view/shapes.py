"""The shapes that say left and right, and others that several panels draw."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from pelvis.data import Side
from sensor_host.view.lettering import draw, fitted
from sensor_host.view.theme import SIDE_LOOKS, Theme

# A triangle looks as large as a disc when it is somewhat larger.
_TRIANGLE: Final = 1.15


def draw_panel(painter: QPainter, rect: QRectF, theme: Theme) -> None:
    """Draw what a panel stands on, and set what all drawing needs."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillRect(rect, QColor(theme.ground))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.panel))
    painter.drawRoundedRect(rect, 10.0, 10.0)


def mark_path(side: Side, centre: QPointF, size_px: float) -> QPainterPath:
    """Return the shape of a side: a disc is left, a triangle is right, a square is neither."""
    path = QPainterPath()
    half = size_px / 2
    if side is Side.LEFT:
        path.addEllipse(centre, half, half)
    elif side is Side.RIGHT:
        _add_triangle(path, centre, half * _TRIANGLE, down=False)
    else:
        path.addRect(QRectF(centre.x() - 0.8 * half, centre.y() - 0.8 * half, 1.6 * half, 1.6 * half))
    return path


def pointer_path(tip: QPointF, size_px: float) -> QPainterPath:
    """Return a triangle that stands on its tip."""
    path = QPainterPath()
    _add_triangle(path, QPointF(tip.x(), tip.y() - size_px / 2), size_px / 2, down=True)
    return path


def chevron_path(tip: QPointF, size_px: float, *, to_right: bool) -> QPainterPath:
    """Return an open arrow whose tip says that something lies beyond an end."""
    back = -size_px / 2 if to_right else size_px / 2
    path = QPainterPath(QPointF(tip.x() + back, tip.y() - size_px / 2))
    path.lineTo(tip)
    path.lineTo(tip.x() + back, tip.y() + size_px / 2)
    return path


def _add_triangle(path: QPainterPath, centre: QPointF, half: float, *, down: bool) -> None:
    up = -half if down else half
    path.moveTo(centre.x(), centre.y() - up)
    path.lineTo(centre.x() + half, centre.y() + up)
    path.lineTo(centre.x() - half, centre.y() + up)
    path.closeSubpath()


def draw_mark(painter: QPainter, theme: Theme, side: Side, centre: QPointF, size_px: float, rim: str = "") -> None:
    """Draw a side's mark in its colour; with a rim where it may lie on another."""
    painter.setPen(QPen(QColor(rim), max(size_px / 8, 1.0)) if rim else Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.of(side)))
    painter.drawPath(mark_path(side, centre, size_px))


def draw_lettered(painter: QPainter, theme: Theme, side: Side, centre: QPointF, size_px: float) -> None:
    """Draw a side's mark with its letter in it."""
    draw_mark(painter, theme, side, centre, size_px)
    # a triangle is widest at its foot
    high, down = (0.56, 0.0) if side is Side.LEFT else (0.44, 0.16)
    box = QRectF(0.0, 0.0, 0.7 * size_px, high * size_px)
    box.moveCenter(QPointF(centre.x(), centre.y() + down * size_px))
    letter = SIDE_LOOKS[side].letter
    label = fitted(letter, box, theme.on_side, weight="heavy", align="centre", figures=True, least_px=1)
    draw(painter, [label])


def round_pen(color: str | QColor, width_px: float) -> QPen:
    """Return a pen whose lines end round."""
    pen = QPen(QColor(color), width_px)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    return pen
