"""The plot window over a real broker: what it draws is what was said; it says what it misses, and recovers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Side
from pelvis.simulate import Scenario, SensorModel
from sensor_host.broker_client import BrokerAddress
from sensor_host.view.roster import Roster
from sensor_host.view.window import Window
from sensor_host.view.wire import Place, Wire
from tests.view_run import Broker, Run, open_broker

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
    qtbot.waitUntil(lambda: "connected to" in made.words.text(), timeout=WAIT_MS)
    yield made
    wire.close()


def show_run(window: Window, qtbot: QtBot, run: Run, name: str = "ada") -> None:
    """Let a run pass, and the window show its end."""
    with run:
        qtbot.waitUntil(lambda: (r := window.roster.get(name)) is not None and r.state == "offline", timeout=WAIT_MS)


def test_curves_hold_what_was_sent(window: Window, qtbot: QtBot, broker: Broker) -> None:
    run = Run(broker.url, duration_s=20.0)
    show_run(window, qtbot, run)
    timeline = window.roster.get("ada").timeline  # type: ignore[union-attr]
    window.waves.resize(900, 500)
    window.waves.show_at(timeline, 18.0)
    t_s = np.concatenate([motion.t_s for motion in run.motion])
    shown = (t_s >= 8.0) & (t_s < 18.0)
    for column, sent in (
        ("acc_up_g", [motion.acc_g[:, 2] for motion in run.motion]),
        ("acc_forward_g", [motion.acc_g[:, 0] for motion in run.motion]),
        ("obliquity_deg", [motion.obliquity_deg for motion in run.motion]),
        ("rotation_deg", [motion.rotation_deg for motion in run.motion]),
    ):
        x, y = window.waves.curve(column)
        np.testing.assert_allclose(x, t_s[shown] - 18.0, atol=1e-6)
        np.testing.assert_array_equal(y, np.concatenate(sent)[shown].astype(np.float32))
        low, high = window.waves.range_of(column)
        assert low <= y.min()
        assert y.max() <= high


def test_contacts_stand_within_one_sample_of_the_truth_on_the_right_side(
    window: Window, qtbot: QtBot, broker: Broker
) -> None:
    run = Run(broker.url, duration_s=24.0, scenario=Scenario(standing_s=3.0, sensor=SensorModel.ideal()))
    show_run(window, qtbot, run)
    timeline = window.roster.get("ada").timeline  # type: ignore[union-attr]
    window.waves.show_at(timeline, 22.0)
    for side in (Side.LEFT, Side.RIGHT):
        truth = [c for c in run.contacts if c.side == side and 12.0 < c.initial_contact_s < 21.9]
        said = np.array(
            [s.initial_contact_s for s in run.steps if s.side is side and 12.0 < s.initial_contact_s < 22.0]
        )
        drawn = window.waves.contacts(side) + 22.0
        np.testing.assert_allclose(drawn, said, atol=1e-9)
        error = drawn[: len(truth)] - np.array([c.initial_contact_s for c in truth])
        print(error)
        assert np.abs(error).max() < GRID_PERIOD_S
