"""Texts in boxes: each as large as its box allows, none beyond it.

A panel lays its texts out as `Label`s and then draws them, so that what is shown can be read without looking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter

from sensor_host.view.theme import LEAST_PX, Weight, elided, font, font_px, metrics

Align: TypeAlias = Literal["left", "centre", "right"]


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text, where it stands and how it looks."""

    text: str
    box: QRectF
    color: str
    px: int
    weight: Weight = "plain"
    align: Align = "left"
    figures: bool = False

    @property
    def origin(self) -> QPointF:
        """Where the text's baseline begins."""
        measures = metrics(self.px, self.weight)
        ink = measures.tightBoundingRect(self.text)
        # letters may begin before and end behind what is advanced by
        before = max(-ink.left(), 0.0)
        wide = before + max(measures.horizontalAdvance(self.text), ink.right())
        share = {"left": 0.0, "centre": 0.5, "right": 1.0}[self.align]
        x = self.box.left() + share * (self.box.width() - wide) + before
        if self.figures:
            return QPointF(x, self.box.center().y() + measures.capHeight() / 2)
        return QPointF(x, self.box.center().y() + (measures.ascent() - measures.descent()) / 2)

    @property
    def ink(self) -> QRectF:
        """What the letters cover."""
        return metrics(self.px, self.weight).tightBoundingRect(self.text).translated(self.origin)


def fitted(
    wordings: str | Sequence[str],
    box: QRectF,
    color: str,
    *,
    weight: Weight = "plain",
    align: Align = "left",
    figures: bool = False,
    most_px: int = 10_000,
    least_px: int = LEAST_PX,
    sample: str = "",
) -> Label:
    """Return the first wording that fits its box at a readable size.

    Parameters
    ----------
    wordings
        The fullest first. Where none fits, the last is cut off with an ellipsis.
    box
        What the text must not leave.
    color, weight, align
        How it looks.
    figures
        The text is a figure and may fill the box's height.
    most_px
        No larger than this: beside other texts of its kind.
    least_px
        What is smaller is not read: a shorter wording is taken instead.
    sample
        A text at least as wide as any that may come here, so that the size stays.
    """
    choices = (wordings,) if isinstance(wordings, str) else wordings
    width, height = box.width(), box.height()

    def size(text: str) -> int:
        px = font_px(text, width, height, weight, figures=figures)
        if sample:
            px = min(px, font_px(sample, width, height, weight, figures=figures))
        return min(px, most_px)

    for text in choices:
        px = size(text)
        if px >= least_px:
            return Label(text, box, color, px, weight, align, figures)
    px = min(least_px, most_px, font_px("Äg", 1e6, height, weight))
    return Label(elided(choices[-1], width, px, weight) if px else "", box, color, px, weight, align, figures)


def wrapped(text: str, box: QRectF, color: str, *, weight: Weight = "plain", most_px: int = 18) -> Sequence[Label]:
    """Return words in as many lines as let them be largest; nothing where they would be too small to read."""
    for px in range(most_px, LEAST_PX - 1, -1):
        high = metrics(px, weight).height()
        lines = _lines(text, box.width(), px, weight)
        if lines and len(lines) * high <= box.height():
            top = box.center().y() - 0.5 * len(lines) * high
            return [
                Label(line, QRectF(box.left(), top + i * high, box.width(), high), color, px, weight)
                for i, line in enumerate(lines)
            ]
    return ()


def _lines(text: str, width: float, px: int, weight: Weight) -> Sequence[str]:
    """Return the words in lines of at most ``width``; nothing where a word is wider."""
    measures, lines = metrics(px, weight), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if measures.horizontalAdvance(longer) <= width:
            lines[-1] = longer
        elif measures.horizontalAdvance(word) <= width and lines[-1]:
            lines.append(word)
        else:
            return ()
    return lines


def draw(painter: QPainter, labels: Iterable[Label]) -> None:
    """Draw labels."""
    for label in labels:
        if label.text:
            painter.setFont(font(label.px, label.weight))
            painter.setPen(QColor(label.color))
            painter.drawText(label.origin, label.text)
