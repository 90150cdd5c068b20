"""The window over recordings: it shows the moment at the playhead, and every key does what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from pytestqt.qtbot import QtBot
from recorded_runs import Run, coached_run

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Side
from sensor_host.cli import cli
from sensor_host.view.cursor import Pointed
from sensor_host.view.loading import Loading
from sensor_host.view.replay_window import COMPARISON, RUN, STRIDES, STRIPS, ReplayWindow
from sensor_host.view.theme import DARK, SUN
from sensor_host.view.transport import Section
from sensor_host.view.window_keys import REPLAY_KEYS

Needs = Callable[[str], str]
ENDS_WITHIN_S = 60.0


class Clock:
    """A clock that stands until it is moved."""

    now_s = 500.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return coached_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(path: Path, cache: Path, *, whole: bool = True) -> Loading:
    loading = Loading(path, cache)
    loading.wait_opened(ENDS_WITHIN_S)
    assert not whole or loading.wait_ended(ENDS_WITHIN_S)
    return loading


def shown(qtbot: QtBot, *loadings: Loading) -> ReplayWindow:
    made = ReplayWindow(loadings, Clock())
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made._timer.stop()  # frames come when the test wants them
    made.show()
    made.activateWindow()
    with qtbot.waitActive(made):
        made.activateWindow()
    for each in made.sessions:
        while each.loading._inbox:
            each.take()
    made.tick()
    return made


@pytest.fixture
def window(qtbot: QtBot, run: Run, cache: Path) -> Iterator[ReplayWindow]:
    with opened(run.path, cache) as loading:
        yield shown(qtbot, loading)


def pass_time(window: ReplayWindow, seconds: float) -> None:
    clock = window._clock
    assert isinstance(clock, Clock)
    clock.now_s += seconds
    window.tick()


def put(window: ReplayWindow, t_s: float) -> None:
    window.session.transport.seek(t_s, window._clock())
    pass_time(window, 1.0)


Press = Callable[..., None]


@pytest.fixture
def press(qtbot: QtBot, window: ReplayWindow) -> Press:
    def press_it(key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        qtbot.keyClick(window, key, modifier)
        pass_time(window, 0.0)

    return press_it


# ---------------------------------------------------------------- the moment at the playhead


@pytest.mark.parametrize("t_s", [3.0, 33.337, 77.7, 129.0])
def test_scrubbing_shows_exactly_that_moment(window: ReplayWindow, t_s: float) -> None:
    put(window, t_s)
    timeline = window.session.timeline
    for column, number in (("acc_up_g", 2), ("obliquity_deg", 3)):
        x, y = window.run.waves.curve(column)
        # the last sample that is drawn is the last before the playhead
        assert -GRID_PERIOD_S <= x[-1] <= 0.0
        times_s, values = timeline.motion(t_s - 1.0, t_s)
        known = np.isfinite(values[:, number])
        np.testing.assert_allclose((t_s + x)[-len(times_s) :][known], times_s[known], atol=1e-9)
        np.testing.assert_array_equal(np.asarray(y)[-len(times_s) :][known], values[known, number])


def test_contacts_stand_where_the_runner_touched_down(window: ReplayWindow, run: Run) -> None:
    put(window, 60.0)
    for side in (Side.LEFT, Side.RIGHT):
        true_s = np.array([c.initial_contact_s for c in run.contacts if c.side is side])
        drawn_s = 60.0 + window.run.waves.contacts(side)
        assert len(drawn_s) in (13, 14, 15)
        nearest = np.abs(drawn_s[:, np.newaxis] - true_s).min(axis=1)
        assert np.median(nearest) < 0.010


def test_how_things_stood_is_told_as_of_then(window: ReplayWindow) -> None:
    put(window, 3.0)
    assert window.title.text.endswith("standing")
    put(window, 120.0)
    assert window.title.text.endswith("running   muted")
    put(window, 60.0)
    assert window.title.text.endswith("running")


def test_the_tiles_show_the_steps_before_the_playhead(window: ReplayWindow) -> None:
    drops = []
    for t_s in (28.0, 55.0):
        put(window, t_s)
        timeline = window.session.timeline
        rows = timeline.steps_between(t_s - 8.0, t_s)
        left = timeline.column("side", rows) < 0
        drops.append(float(np.mean(timeline.column("pelvic_drop_deg", rows)[left])))
    assert drops[1] - drops[0] == pytest.approx(3.5, abs=0.7)


# ---------------------------------------------------------------- keys


def test_playing_and_standing_still(window: ReplayWindow, press: Press) -> None:
    put(window, 50.0)
    press(Qt.Key.Key_Space)
    pass_time(window, 2.0)
    assert window.now_s == pytest.approx(52.0)
    press(Qt.Key.Key_BracketRight)
    pass_time(window, 2.0)
    assert window.now_s == pytest.approx(56.0)
    press(Qt.Key.Key_Space)
    pass_time(window, 10.0)
    assert window.now_s == pytest.approx(56.0)
    press(Qt.Key.Key_Left)
    assert window.now_s == pytest.approx(54.0)
    press(Qt.Key.Key_Home)
    assert window.now_s == window.session.transport.begin_s
    press(Qt.Key.Key_End)
    assert window.now_s == window.session.transport.end_s


def test_jumping_lands_exactly_on_cues_laps_and_contacts(window: ReplayWindow, press: Press) -> None:
    timeline = window.session.timeline
    cues = [mark for mark in timeline.marks if mark.kind in ("cue", "chime")]
    laps = [mark.t_s for mark in timeline.marks if mark.kind == "lap"]
    put(window, 0.0)
    press(Qt.Key.Key_C)
    assert window.now_s == cues[0].t_s
    assert cues[0].text in window.state.text
    press(Qt.Key.Key_C)
    assert window.now_s == cues[1].t_s
    press(Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert window.now_s == cues[0].t_s
    put(window, 0.0)
    press(Qt.Key.Key_L)
    press(Qt.Key.Key_L)
    assert window.now_s == laps[1]
    press(Qt.Key.Key_L)
    assert (window.now_s, window.state.text) == (laps[1], "no lap after here")
    contacts_s = timeline.column("initial_contact_s")
    press(Qt.Key.Key_Period)
    assert window.now_s == contacts_s[np.searchsorted(contacts_s, laps[1])]
    press(Qt.Key.Key_Comma)
    press(Qt.Key.Key_Comma)
    assert (
        window.now_s == contacts_s[np.searchsorted(contacts_s, laps[1], side="right") - 2 + 0] or window.now_s < laps[1]
    )


def test_a_section_is_repeated_and_its_strides_are_shown(window: ReplayWindow, press: Press) -> None:
    for t_s, key in ((36.0, Qt.Key.Key_I), (55.0, Qt.Key.Key_O)):
        put(window, t_s)
        press(key)
    assert window.session.transport.section == Section(36.0, 55.0)
    press(Qt.Key.Key_2)
    assert window.pages.currentIndex() == STRIDES
    assert window.strides.curves is not None
    assert (window.strides.curves.from_s, window.strides.curves.to_s) == (36.0, 55.0)
    assert window.strides.curves.sides[Side.LEFT].drop_deg.mean > 4.5
    put(window, 54.0)
    press(Qt.Key.Key_Space)
    pass_time(window, 2.0)
    assert window.now_s == pytest.approx(37.0)
    press(Qt.Key.Key_U)
    pass_time(window, 1.0)
    assert window.session.transport.section is None
    assert window.strides.curves.to_s == pytest.approx(window.now_s, abs=1.0)


def test_a_section_is_compared_with_another(window: ReplayWindow, press: Press) -> None:
    transport = window.session.transport
    press(Qt.Key.Key_3)
    assert window.comparison.words.isVisible()
    transport.set_section(12.0, 30.0, window._clock())
    press(Qt.Key.Key_R)
    transport.set_section(36.0, 55.0, window._clock())
    window.take_section()
    press(Qt.Key.Key_B)
    assert window.pages.currentIndex() == COMPARISON
    verdicts = {row.metric.name: row.verdict for row in window.comparison.rows}
    assert verdicts["pelvic_drop_deg"] == "more"
    assert verdicts["cadence_spm"] == "no difference"
    assert "left foot" in window.comparison.table.text()
    assert "0:12 to 0:30" in window.comparison.table.text()
    press(Qt.Key.Key_X)
    assert window.comparison.words.isVisible()


def test_one_key_for_the_sun_and_one_for_the_dark(window: ReplayWindow, press: Press) -> None:
    first = window.theme
    press(Qt.Key.Key_T)
    assert {first, window.theme} == {SUN, DARK}
    press(Qt.Key.Key_T)
    assert window.theme is first


def test_every_key_has_a_place_in_the_help_and_none_has_two_meanings(window: ReplayWindow) -> None:
    sequences = [sequence for key in REPLAY_KEYS for sequence in key.sequences]
    assert len(sequences) == len(set(sequences))
    window.help.toggle()
    for key in REPLAY_KEYS:
        assert not key.sign or key.does in window.help.text()
    assert window.rect().contains(window.help.geometry())


# ---------------------------------------------------------------- the cursor of all plots


def test_the_mouse_over_the_waves_is_read_off_everywhere(window: ReplayWindow) -> None:
    put(window, 60.0)
    plotted = window.run.waves.plotted
    at = QPointF(plotted.left() + 0.7 * plotted.width(), plotted.center().y())
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(QEvent.Type.MouseMove, at, at, none, none, Qt.KeyboardModifier.NoModifier)
    window.wave_cursor.mouseMoveEvent(event)
    t_s = 60.0 - 0.3 * window.run.waves.span_s
    assert window.cursor_of_all.at.t_s == pytest.approx(t_s)
    times_s, values = window.session.timeline.motion(t_s - 0.01, t_s + 0.01)
    nearest = values[np.argmin(np.abs(times_s - t_s))]
    assert f"vertical acceleration {nearest[2]:.2f} g" in window.read_off()
    assert f"obliquity {nearest[3]:.1f} deg" in window.read_off()
    pointed = window.cursor_of_all.at
    window.turn_to(STRIDES)
    # where the system's own pointer lies over the window, it leaves the waves with them
    window.cursor_of_all.point(pointed)
    pass_time(window, 1.0)
    line = window.strides._plots[0]._line
    assert line.isVisible()
    assert f"{line.value():.0f} % of a stride" in window.read_off()
    window.tick()
    assert window.state.text == window.read_off()


def test_a_place_in_the_stride_is_shown_on_the_waves(window: ReplayWindow) -> None:
    put(window, 60.0)
    window.cursor_of_all.point(Pointed(percent=25.0))
    t_s = window.wave_cursor.t_s
    assert t_s is not None
    assert 58.0 < t_s < 60.0
    plotted = window.run.waves.plotted
    assert plotted.left() < window.wave_cursor.x_of(t_s) < plotted.right()


# ---------------------------------------------------------------- two recordings, and what goes wrong


def test_two_recordings_are_compared_and_change_places(qtbot: QtBot, run: Run, cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mcap"
    other.write_bytes(run.path.read_bytes())
    with opened(run.path, cache) as one, opened(other, cache) as two:
        window = shown(qtbot, one, two)
        window.turn_to(COMPARISON)
        put(window, 120.0)
        assert "other.mcap" in window.comparison.table.text()
        assert {row.verdict for row in window.comparison.rows} <= {"no difference", "not sure"}
        assert window.bars[0].isVisible()
        qtbot.keyClick(window, Qt.Key.Key_S)
        put(window, 100.0)
        assert "other.mcap" in window.title.text
        assert "coached.mcap" in window.comparison.table.text()
        assert window.bars[1].isVisible()
        assert not window.bars[0].isVisible()


def test_it_can_be_used_while_it_is_measured(qtbot: QtBot, run: Run, tmp_path: Path) -> None:
    with opened(run.path, tmp_path, whole=False) as loading:
        assert loading.wait_ended(ENDS_WITHIN_S)
        window = ReplayWindow([loading], Clock())
        qtbot.addWidget(window)
        window._timer.stop()
        window.show()
        loading.take(window.session.timeline, 0.0)
        window._show_state()
        assert window.state.text.startswith("measuring")
        window.session.transport.play(window._clock())
        pass_time(window, 5.0)
        assert window.session.transport.end_s > 100.0
        while loading.state != "complete":
            window.tick()
        assert not window.session.trouble()


def test_a_measurement_that_died_is_told_and_what_came_stays(qtbot: QtBot, run: Run, tmp_path: Path) -> None:
    loading = opened(run.path, tmp_path, whole=False)
    loading.close()
    window = shown(qtbot, loading)
    if loading.state == "complete":
        pytest.skip("it had been measured before it could be ended")
    put(window, 20.0)
    assert "was not measured to its end" in window.state.text


# ---------------------------------------------------------------- the command


def test_a_file_that_cannot_be_used_ends_the_command_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "it.mcap"
    path.write_bytes(b"%PDF nothing")
    command = [sys.executable, "-m", "sensor_host.cli", "view", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False)
    assert ended.returncode == 3
    assert "no recording" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["a", "b", "c"], ["--broker", "mqtt://x", "a"], ["--runner", "ada", "a"]])
def test_what_does_not_go_together_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["view", *arguments])
    assert result.exit_code == 2
    assert "recordings" in result.output


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_on_a_real_display_it_opens_and_ends_with_a_signal(needs: Needs, run: Run) -> None:
    read_end, write_end = os.pipe()
    # without -noreset it begins anew when its last client goes, as the one does that asks whether it answers: who
    # comes just then is refused
    screen = [needs("Xvfb"), "-displayfd", str(write_end), "-screen", "0", "1280x720x24", "-noreset"]
    with subprocess.Popen(screen, pass_fds=[write_end], stderr=subprocess.DEVNULL) as server:
        os.close(write_end)
        try:
            with os.fdopen(read_end) as told:
                display = f":{told.readline().strip()}"
            environment = {**os.environ, "DISPLAY": display}
            environment.pop("QT_QPA_PLATFORM", None)
            script = (
                "import sys\n"
                "from sensor_host.view import replay_window as module\n"
                "shown = module.ReplayWindow.showEvent\n"
                "def show(self, event):\n"
                "    shown(self, event)\n"
                "    print('shown', flush=True)\n"
                "module.ReplayWindow.showEvent = show\n"
                "sys.argv = ['hipdrive', 'view', sys.argv[1]]\n"
                "from sensor_host.cli import main\n"
                "main()\n"
            )
            command = [sys.executable, "-c", script, str(run.path)]
            with subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as window:
                assert window.stdout is not None
                first = window.stdout.readline()
                assert first == "shown\n", window.communicate()
                window.send_signal(signal.SIGTERM)
                _, errors = window.communicate(timeout=ENDS_WITHIN_S)
                assert (window.returncode, errors) == (0, "")
        finally:
            server.terminate()


def test_the_first_page_is_that_of_the_run(window: ReplayWindow) -> None:
    assert window.pages.currentIndex() == RUN


def test_every_step_of_the_last_minutes_is_shown_and_a_click_goes_there(window: ReplayWindow, press: Press) -> None:
    put(window, 120.0)
    press(Qt.Key.Key_4)
    pass_time(window, 1.0)
    assert window.pages.currentIndex() == STRIPS
    assert window.strips.view is not None
    assert window.strips.view.to_s == pytest.approx(120.0, abs=1.0)
    drops = next(strip for strip in window.strips.view.strips if strip.name == "pelvic_drop_deg")
    assert len(drops.values) > 300
    window.strips.picked.emit(66.5)
    assert window.now_s == 66.5
    window.run.strips.picked.emit(77.5)
    assert window.now_s == 77.5
    press(Qt.Key.Key_Minus)
    assert window.strips.span_s == 120.0


def test_what_is_usual_at_the_speed_is_drawn_beside_the_strides(window: ReplayWindow, press: Press) -> None:
    put(window, 100.0)
    press(Qt.Key.Key_2)
    press(Qt.Key.Key_N)
    # the simulated runner's 3.2 m/s, as far as they are known
    assert "compared with what is usual at 3." in window.strides.texts()[0]
    press(Qt.Key.Key_N)
    assert "compared" not in window.strides.texts()[0]
    put(window, 3.0)
    press(Qt.Key.Key_N)
    assert window.state.text == "nothing is known of what is usual at an unknown speed"
