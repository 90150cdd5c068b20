"""The plot window over a real broker: what it draws is what was said; it says what it misses, and recovers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import Qt

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Command, Gap, Marker, ProvisionalContact, Side
from pelvis.simulate import Scenario, SensorModel
from sensor_host import places
from sensor_host.broker_client import BrokerAddress
from sensor_host.config import MqttConfig
from sensor_host.ports import SessionState
from sensor_host.view.remembered import Remembered, recall, remember
from sensor_host.view.roster import Pace, Roster, Runner
from sensor_host.view.theme import SUN
from sensor_host.view.timeline import MOTION_COLUMNS, Timeline
from sensor_host.view.waves import TRACES, Waves, thinned
from sensor_host.view.window import Window
from sensor_host.view.window_keys import KEYS
from sensor_host.view.wire import Place, Wire
from tests.said_examples import cue, motion, step
from tests.view_run import Broker, Host, Run, open_broker

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

Needs = Callable[[str], str]
WAIT_MS = 20_000


@pytest.fixture
def broker(needs: Needs, tmp_path: Path, unused_tcp_port: int) -> Iterator[Broker]:
    with open_broker(needs, tmp_path, unused_tcp_port) as opened:
        yield opened


@pytest.fixture
def window(qtbot: QtBot, broker: Broker) -> Iterator[Window]:
    place = Place(BrokerAddress.parse(broker.url), "hipdrive")
    wire = Wire(lambda: place, password_env="HIPDRIVE_MQTT_PASSWORD")
    wire.start()
    made = Window(wire, Roster())
    qtbot.addWidget(made)
    made.show()
    try:
        qtbot.waitUntil(lambda: made._wire_state.state == "connected", timeout=WAIT_MS)
        yield made
    finally:
        wire.close()


def heard(window: Window, name: str = "ada") -> Runner:
    runner = window.roster.get(name)
    assert runner is not None
    return runner


def has(window: Window, name: str = "ada") -> bool:
    return window.roster.get(name) is not None


def show_run(window: Window, qtbot: QtBot, run: Run, name: str = "ada") -> Timeline:
    """Let a run pass, and the window show its end."""
    with run:
        qtbot.waitUntil(lambda: has(window, name) and heard(window, name).state == "offline", timeout=WAIT_MS)
    return heard(window, name).timeline


# ---------------------------------------------------------------- what is drawn


def test_curves_hold_what_was_sent(window: Window, qtbot: QtBot, broker: Broker) -> None:
    run = Run(broker.url, duration_s=20.0)
    timeline = show_run(window, qtbot, run)
    window.waves.show_at(timeline, 18.0)
    t_s = np.concatenate([m.t_s for m in run.motion])
    shown = (t_s >= 8.0) & (t_s < 18.0)
    for column, sent in (
        ("acc_up_g", [m.acc_g[:, 2] for m in run.motion]),
        ("acc_forward_g", [m.acc_g[:, 0] for m in run.motion]),
        ("obliquity_deg", [m.obliquity_deg for m in run.motion]),
        ("rotation_deg", [m.rotation_deg for m in run.motion]),
    ):
        x, y = window.waves.curve(column)
        np.testing.assert_allclose(x, t_s[shown] - 18.0, atol=1e-6)
        np.testing.assert_array_equal(y, np.concatenate(sent)[shown].astype(np.float32))
        low, high = window.waves.range_of(column)
        assert low <= y.min()
        assert y.max() <= high


def test_contacts_stand_within_one_sample_of_the_truth_on_their_side(
    window: Window, qtbot: QtBot, broker: Broker
) -> None:
    run = Run(broker.url, duration_s=24.0, scenario=Scenario(standing_s=3.0, sensor=SensorModel.ideal()))
    timeline = show_run(window, qtbot, run)
    window.waves.show_at(timeline, 22.0)
    for side in (Side.LEFT, Side.RIGHT):
        drawn = window.waves.contacts(side) + 22.0
        said = [s.initial_contact_s for s in run.steps if s.side is side and 12.0 < s.initial_contact_s < 22.0]
        np.testing.assert_allclose(drawn, said, atol=1e-9)
        truth = np.array([c.initial_contact_s for c in run.contacts if c.side == side])
        nearest = np.abs(truth[:, np.newaxis] - drawn).min(axis=0)
        assert len(drawn) > 10
        assert nearest.max() < GRID_PERIOD_S


def test_tiles_show_the_values_of_the_steps(window: Window, qtbot: QtBot, broker: Broker) -> None:
    run = Run(broker.url, duration_s=20.0)
    timeline = show_run(window, qtbot, run)
    window.focus_page.tiles.show_at(timeline, timeline.end_s)
    # cadence over seven seconds of a runner who keeps it: the mean of the last steps to within a figure
    last = np.mean([s.metrics["cadence_spm"] for s in run.steps[-20:]])
    shown = window.focus_page.tiles.tiles["cadence_spm"].view
    assert shown is not None
    assert shown.value == pytest.approx(last, abs=1.0)


def test_a_contact_is_seen_before_it_is_confirmed_and_marks_stand_where_they_were_said(
    window: Window, qtbot: QtBot, broker: Broker
) -> None:
    with Host(broker.url) as host:
        qtbot.waitUntil(lambda: has(window), timeout=WAIT_MS)
        host.say(
            step(0),
            ProvisionalContact(999, 10.6, Side.RIGHT, 10.65),
            Marker(10.2, "hill", "lap"),
            replace(cue(), decided_at_s=10.4),
            Gap(10.5, 0.25, "link lost"),
        )
        qtbot.waitUntil(lambda: len(heard(window).timeline.marks) == 3, timeout=WAIT_MS)
    window.waves.show_at(heard(window).timeline, 10.7)
    seen = window.waves.backdrop.seen
    np.testing.assert_allclose(seen.open[Side.RIGHT], [-0.1])
    np.testing.assert_allclose(seen.stances[Side.LEFT], [[-0.7, -0.46]])
    assert len(seen.open[Side.LEFT]) == len(seen.stances[Side.RIGHT]) == 0
    assert [(mark.kind, round(mark.t_s - 10.7, 6)) for mark in seen.marks] == [
        ("lap", -0.5),
        ("cue", -0.3),
        ("gap", -0.2),
    ]


def test_no_line_is_drawn_across_a_hole(qtbot: QtBot) -> None:
    timeline = Timeline()
    for first_s in (10.0, 12.0):
        t_s = first_s + GRID_PERIOD_S * np.arange(100)
        timeline.take_motion(t_s, np.ones((100, len(MOTION_COLUMNS)), np.float32))
    waves = Waves()
    qtbot.addWidget(waves)
    waves.show_at(timeline, 13.0)
    curve = waves._of("acc_up_g").curve
    # a hundred rows, the row that stands in the hole, a hundred rows: the last leads nowhere
    assert np.flatnonzero(curve.opts["connect"] == 0).tolist() == [99, 100, 200]


def test_thinning_keeps_every_peak_and_hangs_on_the_number_of_the_row() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=1000).astype(np.float32)
    x = np.arange(1000.0)
    thin_x, thin_y = thinned(0, x, y, 10)
    assert len(thin_x) == 200
    for portion in range(100):
        inside = (thin_x >= 10 * portion) & (thin_x < 10 * portion + 10)
        rows = y[10 * portion : 10 * portion + 10]
        assert set(thin_y[inside]) == {rows.min(), rows.max()}
    # seven rows later: the same portions, therefore the same points
    later_x, _ = thinned(7, x[7:], y[7:], 10)
    assert set(later_x[later_x >= 10]) == set(thin_x[thin_x >= 10])


def test_a_range_grows_at_once_and_shrinks_only_after_a_while(qtbot: QtBot) -> None:
    waves = Waves(TRACES[:1])
    qtbot.addWidget(waves)
    timeline = Timeline()
    t_s = GRID_PERIOD_S * np.arange(6000)
    values = np.zeros((len(t_s), len(MOTION_COLUMNS)), np.float32)
    values[2000:2010] = 5.0
    timeline.take_motion(t_s, values)
    ranges = {}
    for now_s in np.arange(9.0, 29.0, 0.1):
        waves.show_at(timeline, now_s)
        ranges[round(float(now_s), 1)] = waves.range_of("acc_up_g")
    assert ranges[9.5] == (-2, 4)
    assert ranges[10.1] == ranges[20.0] == ranges[22.8] == (-2, 6)
    assert ranges[24.0] == (-2, 4)


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0])
def test_the_present_moves_evenly_though_what_is_heard_comes_in_portions(rate: float) -> None:
    pace = Pace()
    rng = np.random.default_rng(1)
    arrivals = [(5.0 + end_s / rate + rng.uniform(0.0, 0.03), end_s) for end_s in np.arange(0.0, 20.0, 0.08)]
    shown: list[float] = []
    clock_s = 0.0
    for received_s, end_s in arrivals:
        pace.take(received_s, end_s)
        while clock_s < received_s:
            shown.append(pace.now_s(clock_s))
            clock_s += 1 / 30
    steps = np.diff(shown[-100:])
    # a thirtieth of a second of session time from frame to frame, and never far from what was heard last
    assert np.all(steps >= 0)
    assert steps.mean() == pytest.approx(rate / 30, rel=0.05)
    assert steps.max() < 3 * rate / 30
    assert abs(shown[-1] - arrivals[-1][1]) < 0.3 + 0.1 * rate


def test_the_present_is_where_the_run_is_after_a_burst() -> None:
    pace = Pace()
    for i in range(1000):
        pace.take(0.0015 * i, 0.1 * i)
    assert pace.now_s(2.5) <= 100.0 + 0.3


# ---------------------------------------------------------------- what is missing, in words


def test_a_broker_that_dies_is_missed_in_words_and_the_run_is_shown_on_when_it_is_back(
    window: Window, qtbot: QtBot, broker: Broker
) -> None:
    with Host(broker.url) as host:
        host.say(*(step(i) for i in range(4)))
        qtbot.waitUntil(lambda: has(window) and len(heard(window).timeline.steps) == 4, timeout=WAIT_MS)
        broker.kill()
        qtbot.waitUntil(lambda: "no connection to" in window.state.text, timeout=WAIT_MS)
        host.say(*(step(i) for i in range(4, 8)))
        broker.start()
        # the same session: what was said meanwhile is there as well
        qtbot.waitUntil(lambda: len(heard(window).timeline.steps) == 8, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: "no connection" not in window.state.text, timeout=WAIT_MS)


def test_who_joins_late_is_shown_the_steps_before(qtbot: QtBot, broker: Broker, request: pytest.FixtureRequest) -> None:
    with Host(broker.url) as host:
        host.say(*(step(i) for i in range(250)))
        window: Window = request.getfixturevalue("window")
        qtbot.waitUntil(lambda: has(window) and len(heard(window).timeline.steps) == 250, timeout=WAIT_MS)
        steps = heard(window).timeline
        assert steps.column("step_index").tolist() == list(range(250))


def test_the_next_session_begins_a_new_picture(window: Window, qtbot: QtBot, broker: Broker) -> None:
    with Host(broker.url, number=1) as host:
        host.say(step(0))
        qtbot.waitUntil(lambda: has(window) and len(heard(window).timeline.steps) == 1, timeout=WAIT_MS)
        first = heard(window).timeline
    qtbot.waitUntil(lambda: "the run of ada has ended" in window.state.text, timeout=WAIT_MS)
    with Host(broker.url, number=2):
        qtbot.waitUntil(lambda: heard(window).timeline is not first, timeout=WAIT_MS)
        assert len(heard(window).timeline.steps) == 0


def test_silence_and_a_refusal_to_send_motion_are_said(window: Window, qtbot: QtBot, broker: Broker) -> None:
    with Host(broker.url, config=MqttConfig(samples="off")) as host:
        qtbot.waitUntil(lambda: "samples are off here" in window.state.text, timeout=WAIT_MS)
        host.say(step(0))
        qtbot.waitUntil(lambda: has(window) and len(heard(window).timeline.steps) == 1, timeout=WAIT_MS)
        runner = heard(window)
        assert runner.trouble(runner.last_s + 12.2) == "no data for 12 s"


def test_motion_is_leased_for_whom_the_window_shows(window: Window, qtbot: QtBot, broker: Broker) -> None:
    # as on a broker elsewhere: nothing is sent before somebody asks
    with Host(broker.url) as host:
        host._sink._samples_until_s = -1.0  # type: ignore[union-attr]
        qtbot.waitUntil(lambda: host._sink._samples_until_s > 0, timeout=WAIT_MS)  # type: ignore[union-attr]
        host.say(motion(8, 10.0))
        qtbot.waitUntil(lambda: len(heard(window).timeline.motion(0, 20)[0]) == 8, timeout=WAIT_MS)


# ---------------------------------------------------------------- keys


def test_lap_mark_and_mute_reach_the_host_and_are_confirmed(window: Window, qtbot: QtBot, broker: Broker) -> None:
    with Host(broker.url) as host:
        host.say(step(0))
        qtbot.waitUntil(lambda: has(window), timeout=WAIT_MS)
        for key in (Qt.Key.Key_L, Qt.Key.Key_N, Qt.Key.Key_M):
            qtbot.keyClick(window, key)
        qtbot.waitUntil(lambda: len(host.injected) == 3, timeout=WAIT_MS)
        at_s = step(0).reported_at_s
        assert host.injected == [Marker(at_s, "", "lap"), Marker(at_s, "", "note"), Command(at_s, "mute")]
        qtbot.waitUntil(lambda: window.state.text == "ada: mute", timeout=WAIT_MS)
        host.say(SessionState("online", muted=True), Command(at_s, "mute"))
        qtbot.waitUntil(lambda: heard(window).timeline.muted, timeout=WAIT_MS)
        qtbot.keyClick(window, Qt.Key.Key_M)
        qtbot.waitUntil(lambda: len(host.injected) == 4, timeout=WAIT_MS)
        assert host.injected[3] == Command(at_s, "unmute")


def test_a_frozen_picture_stands_and_can_be_looked_through_while_the_run_goes_on(
    window: Window, qtbot: QtBot, broker: Broker
) -> None:
    with Host(broker.url) as host:
        host.say(motion(2000, 10.0))
        qtbot.waitUntil(lambda: has(window) and heard(window).timeline.end_s > 19.9, timeout=WAIT_MS)
        window.freeze()
        assert window.frozen_s is not None
        qtbot.waitUntil(lambda: "FROZEN" in window.focus_page.title.text, timeout=WAIT_MS)
        stood_s = window.frozen_s
        host.say(motion(2000, 20.0))
        qtbot.waitUntil(lambda: heard(window).timeline.end_s > 29.9, timeout=WAIT_MS)
        assert window.frozen_s == stood_s
        qtbot.keyClick(window, Qt.Key.Key_Left)
        assert window.frozen_s == pytest.approx(stood_s - 1.0)
        qtbot.keyClick(window, Qt.Key.Key_Space)
        assert window.frozen_s is None


def test_several_runners_are_cards_a_click_or_a_number_looks_at_one_and_escape_goes_back(
    window: Window, qtbot: QtBot, broker: Broker
) -> None:
    with Host(broker.url, "ada") as ada, Host(broker.url, "ben") as ben:
        for host in (ada, ben):
            host.say(step(0))
        qtbot.waitUntil(lambda: has(window, "ben") and has(window, "ada"), timeout=WAIT_MS)
        # who was there first has the window
        qtbot.keyClick(window, Qt.Key.Key_Escape)
        qtbot.waitUntil(lambda: list(window.grid.cards) == ["ada", "ben"], timeout=WAIT_MS)
        assert window.runner is None
        qtbot.mouseClick(window.grid.cards["ben"], Qt.MouseButton.LeftButton)
        assert window.runner is heard(window, "ben")
        qtbot.waitUntil(window.focus_page.isVisible, timeout=WAIT_MS)
        qtbot.keyClick(window, Qt.Key.Key_Escape)
        qtbot.keyClick(window, Qt.Key.Key_1)
        assert window.runner is heard(window, "ada")


def test_every_key_of_the_help_does_something(window: Window) -> None:
    # binding looks each of them up: one that does nothing would fail there; and each is told what it does
    assert all(key.sequences for key in KEYS)
    assert all(key.does for key in KEYS if key.sign)
    told = window.help.text()
    assert all(key.does in told for key in KEYS)


def test_a_picture_is_saved_and_said_where(window: Window, qtbot: QtBot) -> None:
    window.take_picture()
    qtbot.waitUntil(lambda: window.state.text.startswith("picture: "), timeout=WAIT_MS)
    path = Path(window.state.text.removeprefix("picture: "))
    assert path.parent == places.pictures_dir()
    assert path.read_bytes().startswith(b"\x89PNG")


# ---------------------------------------------------------------- what is remembered


def test_look_and_place_are_remembered(window: Window, qtbot: QtBot, broker: Broker) -> None:
    window.set_theme(SUN)
    window.waves.set_span(30.0)
    window.resize(700, 500)
    window.close()
    wire = Wire(lambda: None, password_env="X")
    wire.start()
    try:
        again = Window(wire, Roster())
        qtbot.addWidget(again)
        assert again.theme is SUN
        assert again.waves.span_s == 30.0
        assert (again.width(), again.height()) == (700, 500)
        qtbot.waitUntil(lambda: "no run on this computer yet" in again.words.text(), timeout=WAIT_MS)
    finally:
        wire.close()


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{", b"\xff\xfe", b'{"theme": "neon"}', b'{"geometry": "?", "sizes": {"rows": [0, 0], "upper": [1]}}'],
)
def test_a_damaged_memory_is_ignored(qtbot: QtBot, damaged: bytes) -> None:
    places.replace_file(places.window_path(), damaged)
    wire = Wire(lambda: None, password_env="X")
    wire.start()
    try:
        window = Window(wire, Roster())
        qtbot.addWidget(window)
        window.show()
        assert (window.width(), window.height()) == (1280, 720)
        assert all(size > 0 for sizes in window.focus_page.sizes.values() for size in sizes)
    finally:
        wire.close()


def test_what_is_remembered_comes_back() -> None:
    left = Remembered(theme="sun", span_s=20.0, geometry="AAAA", sizes={"rows": (1, 2)})
    remember(left)
    assert recall() == left
