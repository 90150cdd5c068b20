"""Thousands of equal symbols, painted at once: each is stamped into a picture of coverage, which is then coloured.

A path of five thousand triangles costs Qt a second to fill, a call for each some milliseconds; this costs one, however
many there are. A symbol stands on the nearest whole pixel of the display.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from pelvis.data import Array, Side
from sensor_host.view.shapes import mark_path

Coverage = NDArray[np.uint8]


@lru_cache(maxsize=64)
def symbol(side: Side, size_px: int) -> Coverage:
    """Return how far a side's symbol covers each pixel of a square of odd size, 0 to 255."""
    wide = size_px // 2 * 2 + 3
    image = QImage(wide, wide, QImage.Format.Format_Grayscale8)
    image.fill(0)
    with QPainter(image) as painter:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(Qt.GlobalColor.white))
        painter.drawPath(mark_path(side, QPointF(wide / 2, wide / 2), size_px))
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(wide, image.bytesPerLine())
    return rows[:, :wide].copy()


def stamped(width: int, height: int, x_px: Array, y_px: Array, stamp: Coverage) -> Coverage:
    """Return coverage (height, width) with a stamp around each of the places, in pixels from the upper left."""
    half = len(stamp) // 2
    # a rim takes what of a stamp lies outside
    padded = np.zeros((height + 2 * half, width + 2 * half), np.uint8)
    columns, rows = np.floor(x_px).astype(np.intp), np.floor(y_px).astype(np.intp)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    flat = rows[inside] * padded.shape[1] + columns[inside]
    cells = padded.reshape(-1)
    for row, column in np.argwhere(stamp).tolist():
        at = flat + (row * padded.shape[1] + column)
        # where places coincide all of them write the same
        cells[at] = np.maximum(cells[at], stamp[row, column])
    return padded[half : half + height, half : half + width]


def colored(coverage: Coverage, color: str, opacity: float, ratio: float) -> QImage:
    """Return a picture of one colour, as opaque as the coverage says, for a display of ``ratio`` pixels per pixel."""
    alpha = np.arange(256) * opacity
    tint = QColor(color)
    table = np.round(alpha).astype(np.uint32) << 24
    for shift, part in ((16, tint.red()), (8, tint.green()), (0, tint.blue())):
        table |= np.round(alpha * (part / 255.0)).astype(np.uint32) << shift
    cells = np.ascontiguousarray(table[coverage])
    high, wide = coverage.shape
    image = QImage(cells.data, wide, high, 4 * wide, QImage.Format.Format_ARGB32_Premultiplied).copy()
    image.setDevicePixelRatio(ratio)
    return image
