"""Tiles: the figures of the last steps, compared as they should be, painted only when they read differently."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from pytestqt.qtbot import QtBot

from pelvis.data import Speed
from pelvis.metrics import METRICS
from pelvis.simulate import Scenario
from sensor_host.screen import REMEMBERED_STEPS, Readings
from sensor_host.shown import SHOWN
from sensor_host.view.figures import FIGURES, recent
from sensor_host.view.norms import Place
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.tiles import Tile, Tiles, columns_of, tile_view
from sensor_host.view.timeline import Timeline
from tests.said_examples import session
from tests.view_panels import (
    assert_texts_fit,
    last_contact_s,
    look,
    near,
    pixels,
    simulated_timeline,
    steps_of,
    take_steps,
    texts,
    treadmill_timeline,
    usual,
)

DROPS = ({"pelvic_drop_deg": 4.6, "cadence_spm": 168.0}, {"pelvic_drop_deg": 2.9, "cadence_spm": 172.0})
THEME = pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)


@pytest.fixture
def timeline() -> Timeline:
    """Forty steps, the last of them at 23.65 s, in the norm at 3.5 m/s but for the drop on the left."""
    made = Timeline()
    left = {"pelvic_drop_deg": 4.6, "contact_time_s": 0.2243, "vertical_oscillation_m": 0.1044}
    right = {"pelvic_drop_deg": 2.9, "contact_time_s": 0.2262, "vertical_oscillation_m": 0.1061}
    both = {"cadence_spm": 171.44, "flight_time_s": 0.1282, "pelvis_sway_m": 0.0314}
    take_steps(made, 40, left | both, right | both)
    made.take(Speed(9.0, 3.5, "treadmill"))
    return made


def shown(qtbot: QtBot, timeline: Timeline, now_s: float, name: str, width: int = 420, height: int = 160) -> Tile:
    tile = Tile(name)
    qtbot.addWidget(tile)
    tile.resize(width, height)
    tile.show_at(timeline, now_s)
    look(tile)
    return tile


# ---------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("contact_time_s", 0.2436, "244"),
        ("cadence_spm", 171.44, "171.4"),
        ("pelvis_sway_m", 0.0314, "31"),
        ("pelvic_drop_deg", -1.26, "−1.3"),
        ("pelvic_drop_deg", -0.04, "0.0"),
        ("velocity_loss_mps", 0.333, "0.33"),
        ("cadence_spm", nan, "–"),
    ],
)
def test_a_value_is_written_with_the_unit_and_decimals_of_its_metric(name: str, value: float, text: str) -> None:
    assert FIGURES[name].text(value) == text


def test_a_difference_has_its_sign() -> None:
    assert FIGURES["pelvic_drop_deg"].signed(1.7) == "+1.7"
    assert FIGURES["contact_time_s"].signed(-0.0021) == "−2"
    assert FIGURES["contact_time_s"].signed(0.0) == "0"


def test_titles_and_units_are_those_of_the_metrics() -> None:
    for name, figure in FIGURES.items():
        metric = METRICS[name]
        assert figure.title == metric.title
        # 1000 ms are a second: what is written means what is measured
        assert figure.unit in (metric.unit, f"m{metric.unit}")
        assert figure.factor == (1.0 if figure.unit == metric.unit else 1000.0)


def test_the_figure_is_that_of_the_live_table(timeline: Timeline) -> None:
    scenario = Scenario(duration_s=40.0)
    ran, readings = simulated_timeline(scenario), Readings(session())
    for step in steps_of(scenario):
        readings.take(step)
    pairs = [value for _, value in readings.values["contact_time_s"]]
    assert len(pairs) == REMEMBERED_STEPS
    assert recent(ran, "contact_time_s", last_contact_s(ran)).value == pytest.approx(np.median(pairs))


def test_the_tiles_of_a_runner_on_a_treadmill_show_what_plate_and_markers_measured(data_dir: Path) -> None:
    path = data_dir / "rbds" / "RBDS004_T35.npz"
    ran = treadmill_timeline(path)
    with np.load(path) as d:
        contact_s = d["ic"] - d["t"][0]
        measured = {
            "cadence_spm": 60.0 / np.diff(contact_s, prepend=np.nan),
            "contact_time_s": d["to"] - d["ic"],
            "pelvic_drop_deg": d["drop_from_ic_deg"],
            "vertical_oscillation_m": np.append(d["vert_osc_per_step_m"], np.nan),
        }
    now_s = 25.0
    last = np.flatnonzero(contact_s <= now_s)[-20:]
    # four standard errors: of the median of twenty steps of 2.3 spm each, of a run's mean (docs/accuracy.md)
    within = {"cadence_spm": 2.6, "contact_time_s": 0.029, "pelvic_drop_deg": 0.9, "vertical_oscillation_m": 0.008}
    for name, values in measured.items():
        shown_value = recent(ran, name, now_s).value
        assert shown_value == pytest.approx(np.nanmedian(values[last]), abs=within[name]), name
        assert tile_view(ran, name, now_s).number == FIGURES[name].text(shown_value)


def test_what_comes_later_is_not_shown_before(timeline: Timeline) -> None:
    take_steps(timeline, 40, {"cadence_spm": 200.0}, {"cadence_spm": 200.0}, first=40)
    assert recent(timeline, "cadence_spm", 23.7).value == pytest.approx(171.44)
    assert recent(timeline, "cadence_spm", 60.0).value == pytest.approx(200.0)
    # the first contact is at 10 s
    assert [recent(timeline, "cadence_spm", t_s).steps for t_s in (9.99, 10.0, 10.35)] == [0, 1, 2]


def test_sides_and_their_difference_are_shown_where_a_metric_has_sides(timeline: Timeline) -> None:
    drop = tile_view(timeline, "pelvic_drop_deg", 23.7)
    assert (drop.left, drop.right, drop.difference) == ("4.6", "2.9", "L−R +1.7")
    assert tile_view(timeline, "cadence_spm", 23.7).difference == ""
    assert tile_view(timeline, "pelvis_sway_m", 23.7).difference == ""


def test_contact_times_of_the_feet_are_not_told_apart_before_they_can_be(timeline: Timeline) -> None:
    few = tile_view(timeline, "contact_time_s", 23.7)
    assert few.difference == ""
    assert few.sides_reason == "L−R needs 123 steps each"
    take_steps(timeline, 210, {"contact_time_s": 0.2243}, {"contact_time_s": 0.2262}, first=40)
    enough = tile_view(timeline, "contact_time_s", last_contact_s(timeline))
    assert enough.difference == "L−R −2"
    assert enough.sides_reason == ""


def test_what_is_unknown_is_a_dash_with_its_reason(timeline: Timeline) -> None:
    assert tile_view(Timeline(), "cadence_spm", 5.0).number == "–"
    assert tile_view(Timeline(), "cadence_spm", 5.0).verdict == ("no step yet",)
    assert tile_view(timeline, "peak_drop_deg", 23.7).verdict == ("needs standing first",)
    assert tile_view(timeline, "vertical_ratio_percent", 23.7).verdict == ("needs a measured speed",)


def test_who_stopped_sees_the_last_figures_marked_as_such(timeline: Timeline) -> None:
    assert tile_view(timeline, "cadence_spm", 26.0).fresh
    stopped = tile_view(timeline, "cadence_spm", 27.0)
    assert not stopped.fresh
    assert stopped.number == "171.4"
    assert stopped.verdict == ("not running",)


# ---------------------------------------------------------------- what it is compared with


def test_in_or_out_of_the_band_is_told_in_words_and_by_a_shape(timeline: Timeline) -> None:
    # 16 runners at 3.5 m/s: cadence 170.7 +- 11.9, drop 2.5 +- 1.2
    inside = tile_view(timeline, "cadence_spm", 23.7)
    assert inside.verdict[0] == "● in norm 158.8–182.6, at 3.5 m/s"
    outside = tile_view(timeline, "pelvic_drop_deg", 23.7)
    assert outside.verdict[0].startswith("▲ above norm 1.3–3.7")
    timeline.take(usual("cadence_spm", 178.0, 2.0))
    own = tile_view(timeline, "cadence_spm", 23.7)
    assert own.verdict[0] == "▼ below own range 175.0–181.0, of 5 runs"


def test_at_a_speed_nobody_was_measured_at_that_is_said(timeline: Timeline) -> None:
    timeline.take(Speed(20.0, 6.0, "treadmill"))
    assert tile_view(timeline, "cadence_spm", 23.7).verdict[0] == "no norm at this speed"


@THEME
def test_outside_the_norm_is_no_alarm_outside_the_own_range_is_one(
    qtbot: QtBot, timeline: Timeline, theme: Theme
) -> None:
    def verdict_color() -> str:
        tile = Tile("pelvic_drop_deg")
        qtbot.addWidget(tile)
        tile.set_theme(theme)
        tile.resize(420, 160)
        tile.show_at(timeline, 23.7)
        look(tile)
        return tile.labels[-1].color

    assert verdict_color() == theme.text
    timeline.take(usual("pelvic_drop_deg", 2.0, 0.5))
    assert verdict_color() == theme.warn
    timeline.take(usual("pelvic_drop_deg", 3.7, 0.5))
    assert verdict_color() == theme.good


@THEME
def test_the_pointer_stands_over_the_value_and_the_band_where_the_norm_is(
    qtbot: QtBot, timeline: Timeline, theme: Theme
) -> None:
    tile = Tile("cadence_spm")
    qtbot.addWidget(tile)
    tile.set_theme(theme)
    tile.resize(440, 220)
    tile.show_at(timeline, 23.7)
    seen = pixels(look(tile))
    band = np.flatnonzero(near(seen, theme.band, 6).sum(axis=0) > 2)
    # the scale spans twice the band's width, with the band in its middle; 171.4 of 158.8 to 182.6
    low, high = band[0], band[-1]
    assert (low + high) / 2 == pytest.approx(220, abs=2)
    rows = np.flatnonzero(near(seen, theme.band, 6).any(axis=1))
    over = near(seen, theme.text, 40)[rows[0] - 16 : rows[0] - 2]
    columns = np.flatnonzero(over.any(axis=0))
    expected = low + (171.4 - 158.8) / (182.6 - 158.8) * (high - low)
    assert columns.mean() == pytest.approx(expected, abs=2)


@THEME
def test_left_and_right_stand_on_the_scale_in_their_colours(qtbot: QtBot, timeline: Timeline, theme: Theme) -> None:
    tile = Tile("pelvic_drop_deg")
    qtbot.addWidget(tile)
    tile.set_theme(theme)
    tile.resize(440, 220)
    tile.show_at(timeline, 23.7)
    seen = pixels(look(tile))
    scale = seen[140:185]
    left, right = (np.flatnonzero(near(scale, color).any(axis=0)) for color in (theme.left, theme.right))
    # 4.6 on the left, 2.9 on the right
    assert left.mean() > right.mean() + 50
    assert min(len(left), len(right)) >= 6


# ---------------------------------------------------------------- painting


def test_a_tile_is_painted_only_when_a_text_changes(
    qtbot: QtBot, timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = Tile("cadence_spm")
    qtbot.addWidget(tile)
    tile.resize(300, 150)
    tile.show()
    tile.show_at(timeline, 23.7)
    qtbot.waitUntil(lambda: "171.4" in texts(tile))
    asked: list[str] = []
    monkeypatch.setattr(tile, "update", lambda: asked.append(tile.view.number if tile.view else ""))
    for i in range(20):
        tile.show_at(timeline, 23.7 + 0.1 * i)
    take_steps(timeline, 40, {"cadence_spm": 171.41}, {"cadence_spm": 171.41}, first=40)
    tile.show_at(timeline, last_contact_s(timeline))
    assert not asked, "171.44 and 171.41 read the same"
    take_steps(timeline, 40, {"cadence_spm": 185.0}, {"cadence_spm": 185.0}, first=80)
    tile.show_at(timeline, last_contact_s(timeline))
    assert asked == ["185.0"]


SIZES = [(120, 90), (200, 120), (210, 240), (300, 90), (420, 150), (640, 360), (900, 500)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("scale", [1.0, 1000.0, -12.345, nan])
@pytest.mark.parametrize("name", [metric.name for metric in SHOWN])
def test_no_text_leaves_its_box(
    qtbot: QtBot, timeline: Timeline, width: int, height: int, scale: float, name: str
) -> None:
    values = [{metric.name: scale * (i + 1.0) for metric in SHOWN} for i in (0, 0.3)]
    take_steps(timeline, 300, values[0], values[1], first=40)
    tile = shown(qtbot, timeline, last_contact_s(timeline), name, width, height)
    assert_texts_fit(tile.labels, QRectF(tile.rect()))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_text_leaves_its_box_however_long_the_words(
    qtbot: QtBot, timeline: Timeline, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "liegt außerhalb des Vergleichsgeschwindigkeitsbereichs des Trainingslagers"
    monkeypatch.setattr(Place.IN, "_value_", (words, Place.IN.sign))
    long = replace(METRICS["cadence_spm"], title="Bodenkontaktzeitunterschied", unit="Schritte/min")
    for metric in SHOWN:
        figure = replace(FIGURES[metric.name], title=long.title, unit=long.unit)
        monkeypatch.setitem(FIGURES, metric.name, figure)
        timeline.take(usual(metric.name, recent(timeline, metric.name, 23.7).value, 1234.5))
        tile = shown(qtbot, timeline, 23.7, metric.name, width, height)
        assert_texts_fit(tile.labels, QRectF(tile.rect()))


@THEME
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_nothing_is_cut_off_at_the_rim_of_a_tile(qtbot: QtBot, timeline: Timeline, theme: Theme, ratio: float) -> None:
    for metric in SHOWN:
        tile = Tile(metric.name)
        qtbot.addWidget(tile)
        tile.set_theme(theme)
        tile.resize(208, 88)
        tile.show_at(timeline, 23.7)
        seen = pixels(look(tile, ratio))
        corner = round(12 * ratio)
        for edge in (
            seen[0, corner:-corner],
            seen[-1, corner:-corner],
            seen[corner:-corner, 0],
            seen[corner:-corner, -1],
        ):
            assert near(edge[np.newaxis], theme.panel, 3).all()


@pytest.mark.parametrize(("width", "height", "columns"), [(1280, 330, 3), (1280, 150, 6), (300, 900, 1), (420, 720, 2)])
def test_tiles_are_arranged_by_the_room_there_is(
    qtbot: QtBot, timeline: Timeline, width: int, height: int, columns: int
) -> None:
    assert columns_of(6, width, height) == columns
    tiles = Tiles()
    qtbot.addWidget(tiles)
    tiles.resize(width, height)
    tiles.arrange()
    places = [tile.geometry() for tile in tiles.tiles.values()]
    assert len({place.left() for place in places}) == columns
    assert all(tiles.rect().contains(place) for place in places)
    assert not any(a.intersects(b) for i, a in enumerate(places) for b in places[i + 1 :])


def test_a_click_on_a_tile_names_its_metric(qtbot: QtBot, timeline: Timeline) -> None:
    tiles = Tiles()
    qtbot.addWidget(tiles)
    tiles.resize(900, 300)
    tiles.show_at(timeline, 23.7)
    tiles.show()
    middle: QPoint = tiles.tiles["pelvis_sway_m"].geometry().center()
    with qtbot.waitSignal(tiles.chosen) as signal:
        qtbot.mouseClick(tiles, Qt.MouseButton.LeftButton, pos=middle)
    assert signal.args == ["pelvis_sway_m"]
