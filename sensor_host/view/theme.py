"""The looks of the plot window, in the sun and in the dark: the one source of colours, widths, shapes and fonts.

1. Never the hue alone: left is blue, a disc and an L; right is orange, a triangle and an R.
2. Colours are strings as Qt and pyqtgraph take them. They are those of the phone page (sensor_host/web/style.css).
3. A text's size is found, not chosen: `font_px` returns the largest that fits a box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from PySide6.QtGui import QFont, QFontMetricsF

from pelvis.data import Side

# ---------------------------------------------------------------- sides


@dataclass(frozen=True, slots=True)
class SideLook:
    """How a side is told without colour: by a letter and a shape (``symbol`` is pyqtgraph's name of it)."""

    letter: str
    symbol: str


SIDE_LOOKS: Final = {Side.LEFT: SideLook("L", "o"), Side.RIGHT: SideLook("R", "t1"), Side.UNKNOWN: SideLook("?", "x")}

# ---------------------------------------------------------------- colours and widths


@dataclass(frozen=True, slots=True)
class Theme:
    """One look. Widths are in logical pixels, so that they are as wide on a display of any density.

    Every colour is read on ``ground`` and on ``panel`` alike, unless its name says on what.
    """

    name: Literal["sun", "dark"]
    ground: str
    """Behind everything."""
    panel: str
    """Behind a tile or a plot."""
    text: str
    soft: str
    """Text that may stand back: units, titles, axes."""
    line: str
    """Frames, ticks, the horizon."""
    grid: str
    """Lines that help the eye and may be overlooked."""
    left: str
    right: str
    on_side: str
    """Text on an area of ``left`` or ``right``."""
    left_area: str
    right_area: str
    """The same sides as an area behind a curve; ``text`` is read on them."""
    cue: str
    on_cue: str
    good: str
    warn: str
    bad: str
    band: str
    """The area of a norm or target; ``text``, ``left`` and ``right`` are seen on it."""
    band_edge: str
    sensor: str
    """The clip on the belt: with a rim of ``panel``, on ``text``."""
    own: str
    """The runner's own baseline."""
    other: str
    """What is compared with: another session, another section."""
    trace_width_px: float
    """Of a waveform; 1 is what Qt draws fastest, in the sun it must be more."""
    mean_width_px: float
    """Of a mean curve or a running median."""
    frame_width_px: float
    symbol_px: float
    """Of a step's mark in a strip."""

    def of(self, side: Side) -> str:
        """Return a side's colour; ``soft`` of the unknown side."""
        return {Side.LEFT: self.left, Side.RIGHT: self.right}.get(side, self.soft)


DARK: Final = Theme(
    name="dark",
    ground="#0a0d12",
    panel="#141b24",
    text="#f4f7fb",
    soft="#b4c0ce",
    line="#6b7a92",
    grid="#2a3442",
    left="#7db8ff",
    right="#ffb36b",
    on_side="#0a0d12",
    left_area="#1d3553",
    right_area="#4a3320",
    cue="#ffd84d",
    on_cue="#0a0d12",
    good="#6fe0a0",
    warn="#ffd84d",
    bad="#ff9d94",
    band="#1c4433",
    band_edge="#57b286",
    sensor="#ffd84d",
    own="#f4f7fb",
    other="#d7a8ff",
    trace_width_px=1.0,
    mean_width_px=2.0,
    frame_width_px=1.0,
    symbol_px=7.0,
)

SUN: Final = Theme(
    name="sun",
    ground="#ffffff",
    panel="#eef1f5",
    text="#000000",
    soft="#2b333e",
    line="#5a6472",
    grid="#c9d0d9",
    left="#083a91",
    right="#7a2a00",
    on_side="#ffffff",
    left_area="#c3d4f5",
    right_area="#f6d2ba",
    cue="#000000",
    on_cue="#ffffff",
    good="#00491f",
    warn="#5c3d00",
    bad="#8c0d00",
    band="#b7dfc5",
    band_edge="#1f6b3f",
    sensor="#ffd84d",
    own="#000000",
    other="#56197f",
    # 1.5 px: in bright light thin lines are the first thing that is lost
    trace_width_px=1.5,
    mean_width_px=3.0,
    frame_width_px=1.5,
    symbol_px=8.0,
)

THEMES: Final = {theme.name: theme for theme in (DARK, SUN)}


def other_theme(theme: Theme) -> Theme:
    """Return the look that one key changes to."""
    return SUN if theme is DARK else DARK


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours ``#rrggbb``, 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted(_luminance(color) for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---------------------------------------------------------------- fonts

# Sans serifs with open shapes and figures of one width, as each system has them; the phone page asks for the same.
FAMILIES: Final = ("Segoe UI", "SF Pro Text", "Helvetica Neue", "Roboto", "Noto Sans", "DejaVu Sans")

Weight: TypeAlias = Literal["plain", "strong", "heavy"]

_WEIGHTS: Final = {"plain": QFont.Weight.Normal, "strong": QFont.Weight.DemiBold, "heavy": QFont.Weight.ExtraBold}

# 9 px: smaller letters are not read from arm's length; whoever needs less room leaves out words
LEAST_PX: Final = 9

_MOST_PX: Final = 2000


@lru_cache(maxsize=512)
def font(px: int, weight: Weight = "plain") -> QFont:
    """Return the window's font at a size in logical pixels; figures are tabular, so that a number stands still."""
    made = QFont(list(FAMILIES))
    made.setPixelSize(max(px, 1))
    made.setWeight(_WEIGHTS[weight])
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


@lru_cache(maxsize=512)
def metrics(px: int, weight: Weight = "plain") -> QFontMetricsF:
    """Return the measures of `font`."""
    return QFontMetricsF(font(px, weight))


@lru_cache(maxsize=4096)
def font_px(text: str, width_px: float, height_px: float, weight: Weight = "plain", *, figures: bool = False) -> int:
    """Return the largest whole size at which a line of text fits a box; 0 if none does.

    Parameters
    ----------
    text
        One line. For a figure that changes: the widest that can come, so that its size does not change with it.
    width_px, height_px
        Of the box, in logical pixels.
    weight
        Of the font.
    figures
        The text has neither ascenders nor descenders beyond a figure's: the figures may fill the box's height.
    """
    low, high = 0, min(_MOST_PX, int(3 * max(height_px, 0)) + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(text, width_px, height_px, middle, weight, figures=figures):
            low = middle
        else:
            high = middle - 1
    return low


def _fits(text: str, width_px: float, height_px: float, px: int, weight: Weight, *, figures: bool) -> bool:
    measures = metrics(px, weight)
    ink = measures.tightBoundingRect(text)
    # what is drawn may reach beyond what is advanced by, on either side
    wide = max(measures.horizontalAdvance(text), ink.right()) - min(ink.left(), 0.0)
    high = max(measures.capHeight(), ink.height()) if figures else max(measures.height(), ink.height())
    return wide <= width_px and high <= height_px


def elided(text: str, width_px: float, px: int, weight: Weight = "plain") -> str:
    """Return what of a line fits a width, with an ellipsis where something had to go; empty if not even that fits."""
    measures = metrics(px, weight)
    if measures.horizontalAdvance(text) <= width_px:
        return text
    kept = text
    while kept:
        kept = kept[:-1]
        short = f"{kept.rstrip()}…"
        if measures.horizontalAdvance(short) <= width_px:
            return short
    return ""
