"""The looks of the plot window: contrast in sunlight, sides told without colour, texts that fit."""

from __future__ import annotations

from typing import get_args

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFontMetricsF
from pytestqt.qtbot import QtBot

from pelvis.data import Side
from sensor_host.view.lettering import fitted, wrapped
from sensor_host.view.theme import (
    DARK,
    LEAST_PX,
    SIDE_LOOKS,
    SUN,
    THEMES,
    Theme,
    Weight,
    contrast,
    elided,
    font,
    font_px,
    other_theme,
)

THEME = pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)

# WCAG 2.2, 1.4.3 (AA) and 1.4.6 (AAA) for text, 1.4.11 for what is drawn
AA, AAA, DRAWN = 4.5, 7.0, 3.0


def test_contrast_is_that_of_wcag() -> None:
    # black on white is 21 by definition; #767676 is the lightest grey that passes AA on white, #777777 fails
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#ffffff", "#000000") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") >= AA > contrast("#777777", "#ffffff")


@THEME
@pytest.mark.parametrize("behind", ["ground", "panel"])
@pytest.mark.parametrize("color", ["text", "soft", "left", "right", "good", "warn", "bad", "own", "other", "cue"])
def test_every_text_is_read_on_whatever_it_may_stand_on(theme: Theme, color: str, behind: str) -> None:
    least = AAA if theme is SUN else AA
    assert contrast(getattr(theme, color), getattr(theme, behind)) >= least


@THEME
def test_texts_on_colours_are_read(theme: Theme) -> None:
    for over, under in [
        (theme.on_side, theme.left),
        (theme.on_side, theme.right),
        (theme.on_cue, theme.cue),
        (theme.text, theme.band),
        (theme.text, theme.left_area),
        (theme.text, theme.right_area),
    ]:
        assert contrast(over, under) >= AA


@THEME
def test_what_is_drawn_is_seen(theme: Theme) -> None:
    for over, under in [
        (theme.line, theme.ground),
        (theme.line, theme.panel),
        (theme.band_edge, theme.ground),
        (theme.band_edge, theme.panel),
        (theme.left, theme.band),
        (theme.right, theme.band),
        (theme.own, theme.band),
    ]:
        assert contrast(over, under) >= DRAWN


@THEME
def test_the_sensor_is_seen_on_the_belt_by_itself_or_by_its_rim(theme: Theme) -> None:
    assert max(contrast(theme.sensor, theme.text), contrast(theme.sensor, theme.panel)) >= DRAWN
    assert contrast(theme.panel, theme.text) >= DRAWN


@THEME
def test_every_colour_is_one(theme: Theme) -> None:
    names = [name for name in theme.__slots__ if isinstance(getattr(theme, name), str) and name != "name"]
    assert len(names) > 15
    assert all(QColor.isValidColorName(getattr(theme, name)) for name in names)


def test_sides_are_told_by_letter_and_shape_as_well_as_by_colour() -> None:
    looks = [SIDE_LOOKS[side] for side in Side]
    assert len({look.letter for look in looks}) == len({look.symbol for look in looks}) == len(Side)
    for theme in THEMES.values():
        blue, orange = QColor(theme.of(Side.LEFT)), QColor(theme.of(Side.RIGHT))
        assert 200 <= blue.hue() <= 240
        assert 15 <= orange.hue() <= 40
        assert theme.of(Side.UNKNOWN) not in (theme.left, theme.right)


def test_one_key_changes_between_the_two_looks() -> None:
    assert other_theme(SUN) is DARK
    assert other_theme(DARK) is SUN


TEXTS = ["174", "−12.4", "0.243", "vertical oscillation", "Bodenkontaktzeitunterschied", "fjÄÖÜgy", "–"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("width", "height"), [(60.0, 20.0), (200.0, 30.0), (120.0, 300.0), (900.0, 400.0)])
@pytest.mark.parametrize("weight", get_args(Weight))
def test_the_largest_size_that_fits_is_found(
    qtbot: QtBot, text: str, width: float, height: float, weight: Weight
) -> None:
    px = font_px(text, width, height, weight)

    def fits(size: int) -> bool:
        measured = QFontMetricsF(font(size, weight))
        return measured.horizontalAdvance(text) <= width and measured.height() <= height

    assert px > 0
    assert fits(px)
    # the ink may need a little more than the advance: one size at most is given away for it
    assert not fits(px + 2)


def test_figures_may_fill_the_height_of_their_box(qtbot: QtBot) -> None:
    px = font_px("174", 1000.0, 100.0, "heavy", figures=True)
    ink = QFontMetricsF(font(px, "heavy")).tightBoundingRect("174")
    assert 94.0 <= ink.height() <= 100.0
    assert px > 1.2 * font_px("174", 1000.0, 100.0, "heavy")


def test_where_nothing_fits_nothing_is_the_answer(qtbot: QtBot) -> None:
    assert font_px("174", 1.0, 1.0) == 0
    assert font_px("174", -5.0, 0.0) == 0


def test_figures_are_tabular_so_that_a_number_stands_still(qtbot: QtBot) -> None:
    measured = QFontMetricsF(font(40, "heavy"))
    assert len({round(measured.horizontalAdvance(figure * 3), 2) for figure in "0123456789"}) == 1


def test_a_line_that_is_too_long_ends_in_an_ellipsis(qtbot: QtBot) -> None:
    measured = QFontMetricsF(font(LEAST_PX))
    text = "the heart-rate strap is searched for"
    short = elided(text, 80.0, LEAST_PX)
    assert short.endswith("…")
    assert text.startswith(short[:-1])
    assert measured.horizontalAdvance(short) <= 80.0
    assert elided(text, 1000.0, LEAST_PX) == text
    assert elided(text, 2.0, LEAST_PX) == ""


def test_a_shorter_wording_is_taken_where_the_fuller_one_would_be_too_small(qtbot: QtBot) -> None:
    wordings = ("above the norm 1.3 to 3.7 at 3.5 m/s", "above the norm", "above")
    chosen = {width: fitted(wordings, QRectF(0, 0, width, 20), "#000000", least_px=12).text for width in (900, 160, 60)}
    assert chosen == dict(zip((900, 160, 60), wordings, strict=True))
    cut = fitted(wordings, QRectF(0, 0, 30, 20), "#000000", least_px=12)
    assert cut.text.endswith("…")
    assert cut.px == 12


@pytest.mark.parametrize("align", ["left", "centre", "right"])
def test_a_text_stands_where_it_is_put_and_within_its_box(qtbot: QtBot, align: str) -> None:
    box = QRectF(100, 50, 300, 40)
    label = fitted("Vergnügen", box, "#000000", align=align, most_px=20)  # type: ignore[arg-type]
    assert box.contains(label.ink)
    share = (label.ink.center().x() - box.left()) / box.width()
    assert {"left": share < 0.3, "centre": abs(share - 0.5) < 0.02, "right": share > 0.7}[align]
    assert abs(label.ink.center().y() - box.center().y()) < 5


def test_words_are_put_in_lines_as_large_as_they_can_be(qtbot: QtBot) -> None:
    words = "L−R needs 123 steps each"
    box = QRectF(0, 0, 80, 60)
    lines = wrapped(words, box, "#000000")
    assert " ".join(line.text for line in lines) == words
    assert len(lines) > 1
    assert all(box.contains(line.ink) for line in lines)
    assert wrapped(words, QRectF(0, 0, 20, 60), "#000000") == ()
    assert len(wrapped(words, QRectF(0, 0, 900, 60), "#000000")) == 1
