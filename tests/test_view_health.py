"""The line that is always in sight: how the link stands, in shapes and words, whatever room there is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QRectF
from pytestqt.qtbot import QtBot

from pelvis.clock import TimeBase
from pelvis.data import Command, HeartRate
from sensor_host.ports import LinkHealth, SinkState
from sensor_host.view.health import Chip, Health, chips_of, missing
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.timeline import Timeline
from tests.view_panels import assert_texts_fit, look, near, pixels, texts

NOW_S = 2521.0
LINK = LinkHealth(
    "pelvis",
    "connected",
    2520.0,
    notifications=1000,
    samples=800_000,
    lost_samples=0,
    duplicates=0,
    bad_notifications=0,
    rssi_dbm=-60,
    battery_ratio=0.8,
    loss_known_by=TimeBase.COUNTED,
    contact_age_p50_s=0.055,
    contact_age_p95_s=0.09,
)
SINKS = (SinkState("recorder", "ready"), SinkState("mqtt", "ready"))


def told(*items: LinkHealth | SinkState | HeartRate | Command) -> Timeline:
    timeline = Timeline()
    for item in items:
        timeline.take(item)
    return timeline


def chips(timeline: Timeline) -> dict[str, Chip]:
    return {chip.wordings[0]: chip for chip in chips_of(timeline, "anna", "live", NOW_S)}


def shown(qtbot: QtBot, timeline: Timeline, words: str = "", width: int = 1280, theme: Theme = DARK) -> Health:
    health = Health()
    qtbot.addWidget(health)
    health.set_theme(theme)
    health.set_session("anna", "live")
    health.set_missing(words)
    health.resize(width, 34)
    health.show_at(timeline, NOW_S)
    look(health)
    return health


def test_it_says_who_runs_since_when_and_how_everything_stands(qtbot: QtBot) -> None:
    line = shown(qtbot, told(LINK, *SINKS), width=1900)
    assert texts(line) == [
        "anna",
        "0:42:01",
        "pelvis connected",
        "loss 0 %",
        "−60 dBm",
        "80 %",
        "contacts 55 ms, p95 90 ms",
        "recording",
        "MQTT",
        "coach on",
    ]


@pytest.mark.parametrize(
    ("lost", "text", "tone"),
    [(0, "loss 0 %", "soft"), (800, "loss 0.1 %", "warn"), (40_000, "loss 4.8 %", "bad")],
)
def test_loss_is_a_share_that_matters_from_one_per_cent_on(lost: int, text: str, tone: str) -> None:
    assert chips(told(replace(LINK, lost_samples=lost)))[text].tone == tone


def test_a_loss_that_nothing_tells_is_unknown_and_an_estimate_says_so() -> None:
    assert "loss –" in chips(told(replace(LINK, loss_known_by=None)))
    assert "loss about 0.1 %" in chips(told(replace(LINK, lost_samples=800, loss_known_by=TimeBase.ARRIVAL)))


def test_a_lost_sensor_stands_out_in_words_and_by_an_empty_shape() -> None:
    lost = chips(told(replace(LINK, state="lost", detail="nothing heard for 3 s")))
    chip = lost["pelvis lost, nothing heard for 3 s"]
    assert (chip.tone, chip.sign, chip.matters) == ("bad", "off", 0)
    assert not any(text.startswith("loss") for text in lost)
    assert chips(told(LINK))["pelvis connected"].sign == "on"


def test_without_a_sensor_that_is_said() -> None:
    assert chips(Timeline())["no sensor yet"].tone == "warn"


def test_a_mute_a_failed_sink_and_a_weak_battery_stand_out() -> None:
    said = chips(told(replace(LINK, battery_ratio=0.1), SinkState("sound", "failed", "no audio device")))
    assert said["sound failed: no audio device"].sign == "failed"
    assert said["10 %"].tone == "bad"
    assert said["10 %"].level == pytest.approx(0.1)
    assert "coach on" in said
    assert chips(told(LINK, Command(1.0, "mute")))["coach muted"].tone == "warn"
    assert missing(told(replace(LINK, battery_ratio=0.1))) == "battery of the pelvis sensor is low"
    assert missing(told(replace(LINK, warning="the clock of the sensor stands"))) == "the clock of the sensor stands"
    assert missing(told(LINK)) == ""


def test_a_heart_rate_is_shown_while_it_is_fresh() -> None:
    strap = replace(LINK, role="heart_rate")
    assert "heart rate 151 bpm" in chips(told(LINK, strap, HeartRate(2519.0, 151.0)))
    assert "heart rate –" in chips(told(LINK, strap, HeartRate(2500.0, 151.0)))
    # the pelvis comes first, whatever was heard first
    assert list(chips(told(strap, LINK)))[2] == "pelvis connected"


@pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)
def test_what_the_window_misses_stands_on_a_field_of_its_own(qtbot: QtBot, theme: Theme) -> None:
    words = "no broker: tried again in 2 s"
    line = shown(qtbot, told(LINK), words, theme=theme)
    assert texts(line)[-1] == words
    field = near(pixels(look(line)), theme.cue, 8)
    assert field[:, 900:].sum() > 1500
    assert not near(pixels(look(shown(qtbot, told(LINK), theme=theme))), theme.cue, 4)[:, 1000:].any()


def test_a_battery_is_filled_as_far_as_it_is_full(qtbot: QtBot) -> None:
    filled = []
    for level in (0.2, 0.6, 1.0):
        line = shown(qtbot, told(replace(LINK, battery_ratio=level)))
        (piece,) = (piece for piece in line.pieces if piece.chip.sign == "battery")
        left, right, middle = (
            round(4 * at) for at in (piece.shape.left(), piece.shape.right(), piece.shape.center().y())
        )
        row = pixels(look(line, 4.0))[middle : middle + 1, left:right]
        filled.append(int(near(row, DARK.soft, 40).sum()))
    least, half, most = filled
    assert most - least > 30
    assert half - least == pytest.approx(most - half, abs=2)


LONG = "Die Verbindung zum Brustgurt ist abgebrochen: Herzfrequenzmessgerät ausgeschaltet?"


@pytest.mark.parametrize("width", [200, 320, 480, 640, 900, 1280, 2560])
@pytest.mark.parametrize("height", [26, 34, 60])
@pytest.mark.parametrize("words", ["", "no broker", LONG])
@pytest.mark.parametrize("runner", ["anna", "maximiliane-oberhuber-schwarzenbacher"])
def test_no_text_leaves_the_line(qtbot: QtBot, width: int, height: int, words: str, runner: str) -> None:
    timeline = told(
        replace(LINK, lost_samples=12345, detail=LONG),
        replace(LINK, role="heart_rate", state="searching"),
        *SINKS,
        SinkState("sound", "failed", LONG),
        Command(1.0, "mute"),
    )
    line = Health()
    qtbot.addWidget(line)
    line.set_session(runner, "simulated")
    line.set_missing(words)
    line.resize(width, height)
    line.show_at(timeline, NOW_S)
    look(line)
    assert_texts_fit(line.labels, QRectF(line.rect()))


def test_with_little_room_what_matters_stays(qtbot: QtBot) -> None:
    lost = told(replace(LINK, state="lost", detail=LONG), *SINKS, SinkState("sound", "failed", LONG))
    line = shown(qtbot, lost, width=420)
    said = texts(line)
    assert said[:3] == ["anna", "0:42:01", "lost"]
    assert "recording" not in said


def test_it_is_painted_only_when_something_reads_differently(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = told(LINK)
    line = shown(qtbot, timeline)
    asked: list[int] = []
    monkeypatch.setattr(line, "update", lambda: asked.append(1))
    line.show_at(timeline, NOW_S + 0.5)
    assert not asked
    line.show_at(timeline, NOW_S + 1.0)
    assert len(asked) == 1
