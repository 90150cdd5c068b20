"""The wire of the plot window, over a real broker: what was published is what the window is handed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pelvis.data import Motion, Step, Stride
from sensor_host.heard import Heard
from sensor_host.messages import SamplesPacket
from sensor_host.view.wire import Inbox, Outcome, Received, WireState
from tests.said_examples import step
from tests.view_run import Broker, Ear, Host, Run, is_state, listening, open_broker, says

Needs = Callable[[str], str]


@pytest.fixture
def broker(needs: Needs, tmp_path: Path, unused_tcp_port: int) -> Iterator[Broker]:
    with open_broker(needs, tmp_path, unused_tcp_port) as opened:
        yield opened


def received(ear: Ear, kind: type[Any]) -> list[Any]:
    return [item.heard.item for item in ear.items if isinstance(item, Received) and isinstance(item.heard.item, kind)]


def test_all_that_a_run_publishes_is_handed_over_in_order(broker: Broker) -> None:
    with listening(broker) as (_, ear), Run(broker.url, duration_s=15.0) as run:
        ear.until(says("offline"))
    heard = received(ear, Step)
    assert len(heard) > 20
    assert [s.initial_contact_s for s in heard] == [s.initial_contact_s for s in run.steps]
    assert [s.step_index for s in received(ear, Stride)] == [s.step_index for s in run.said if isinstance(s, Stride)]
    packets = received(ear, SamplesPacket)
    sent = np.concatenate([m.obliquity_deg for m in run.said if isinstance(m, Motion)]).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([p.values[:, 3] for p in packets]), sent)
    assert sum(item.missed for item in ear.items if isinstance(item, Received)) == 0


def test_one_runner_can_be_listened_to_alone(broker: Broker) -> None:
    with listening(broker, "ben") as (_, ear), Run(broker.url, "ada", 6.0), Run(broker.url, "ben", 8.0):
        ear.until(says("offline"))
    assert {item.runner for item in ear.items if isinstance(item, Received)} == {"ben"}


def heard(number: int, *, motion: bool) -> Received:
    item = SamplesPacket(number, 0.0, 0.005, np.zeros((1, 6), np.float32)) if motion else step(number)
    return Received("ada", Heard(item, number, {}), 0.0)


def test_what_waits_is_bounded_the_oldest_motion_goes_first_and_is_counted() -> None:
    inbox = Inbox(motion_items=10, other_items=100)
    for number in range(60):
        inbox.put(heard(number, motion=number % 2 == 0))
    taken = [item.heard.n for item in inbox.take() if isinstance(item, Received)]
    # the last ten of motion, every step, all in the order in which they came
    assert taken == sorted([*range(1, 60, 2), *range(40, 60, 2)])
    assert inbox.dropped == 20
    assert inbox.take() == []


def test_steps_that_were_missed_are_counted_and_asked_for(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor_host.view.wire.HISTORY_AGAIN_S", 0.0)

    def is_step(index: int) -> Callable[[object], bool]:
        return lambda item: (
            isinstance(item, Received) and isinstance(item.heard.item, Step) and item.heard.item.step_index == index
        )

    with listening(broker) as (_, ear), Host(broker.url) as host:
        host.say(step(0))
        ear.until(is_step(0))
        with host.unheard():
            host.say(step(1), step(2))
        host.say(step(3))
        came = ear.until(is_step(3))
        assert isinstance(came, Received)
        assert came.missed == 2
        # the history brings them all again
        for index in range(4):
            ear.until(is_step(index))


def test_a_broker_that_dies_is_said_in_words_and_found_again(broker: Broker) -> None:
    with listening(broker) as (_, ear):
        broker.kill()
        told = ear.until(is_state("waiting"))
        assert isinstance(told, WireState)
        assert "no connection to" in told.text
        broker.start()
        ear.until(is_state("connected"))
        with Run(broker.url, duration_s=6.0):
            ear.until(says("offline"))


def test_a_command_to_nobody_is_answered_in_words(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor_host.view.wire.ANSWER_S", 0.2)
    with listening(broker) as (wire, ear):
        wire.command("ada", "mark", kind="lap")
        outcome = ear.until(lambda item: isinstance(item, Outcome))
        assert outcome == Outcome("ada", "mark", ok=False, error="the host of ada does not answer")
        broker.kill()
        ear.until(is_state("waiting"))
        wire.command("ada", "mute")
        outcome = ear.until(lambda item: isinstance(item, Outcome))
        assert isinstance(outcome, Outcome)
        assert not outcome.ok
        assert "no connection" in outcome.error
