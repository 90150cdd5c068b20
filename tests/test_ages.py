"""How old a contact is when it is received and when its tone is ordered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelvis.data import ProvisionalContact
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario
from sensor_host.ages import BIN_S, Ages
from sensor_host.ports import Arrival, LinkHealth, Mode, Notification, Said, SessionInfo
from sensor_host.session import Session
from sensor_host.sources.simulated import SimulatedSource


@given(st.lists(st.floats(0.0, 1.9), min_size=1, max_size=300), st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_a_quantile_is_right_to_half_a_millisecond(ages_s: list[float], share: float) -> None:
    ages = Ages()
    for age_s in ages_s:
        ages.take(age_s)
    exact_s = float(np.quantile(ages_s, share, method="inverted_cdf"))
    assert ages.quantile_s(share) == pytest.approx(exact_s, abs=0.5001 * BIN_S)


def test_nothing_counted_is_nothing_known_and_no_age_is_out_of_range() -> None:
    assert Ages().quantile_s(0.5) is None
    assert Ages().as_dict() is None
    ages = Ages()
    ages.take(-0.2)
    ages.take(1e6)
    assert ages.n == 2
    assert ages.quantile_s(0.5) == BIN_S / 2


class Delayed(SimulatedSource):
    """A simulated runner whose notifications are held back from a moment on, all by the same time."""

    def __init__(self, delay_s: float, from_s: float, mode: Mode = Mode.SIMULATED) -> None:
        super().__init__(Scenario(standing_s=5.0, duration_s=25.0), 1, paced=False)
        self._delay_s = delay_s
        self._from_s = from_s
        self.mode = mode  # type: ignore[misc]

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        for arrival in self.arrivals():
            if isinstance(arrival, Notification) and self.mode is Mode.LIVE:
                yield replace(arrival, t_host_s=time.monotonic())
            elif isinstance(arrival, Notification) and arrival.t_host_s >= self._from_s:
                yield replace(arrival, t_host_s=arrival.t_host_s + self._delay_s)
            else:
                yield arrival
            await asyncio.sleep(0)


class Listener:
    name = "listener"

    def __init__(self) -> None:
        self.heard: list[Said] = []
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        self.heard.append(item)

    async def room(self) -> None: ...

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def ages_of(source: Delayed) -> tuple[Session, list[Said]]:
    info = SessionInfo("s", "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)
    session, listener = Session(info, source, Settings()), Listener()
    session.add(listener)
    async with source:
        await session.run()
    return session, listener.heard


@pytest.mark.parametrize("share", [0.5, 0.95])
async def test_what_the_radio_holds_back_makes_contacts_older_by_just_that(share: float) -> None:
    at_once, _ = await ages_of(Delayed(0.0, 0.0))
    # while the runner stands, the clock learns how soon a sample can be here; then the radio gets slow
    late, _ = await ages_of(Delayed(0.1, 4.0))
    always, _ = await ages_of(Delayed(0.1, 0.0))
    before_s = at_once.tally.contact_ages.quantile_s(share)
    assert before_s is not None
    assert late.tally.contact_ages.quantile_s(share) == pytest.approx(before_s + 0.1, abs=2 * BIN_S)
    # a delay that never changes cannot be told from none
    assert always.tally.contact_ages.quantile_s(share) == pytest.approx(before_s, abs=2 * BIN_S)


async def test_no_contact_is_received_before_the_sample_that_tells_of_it() -> None:
    session, heard = await ages_of(Delayed(0.0, 0.0))
    needed_s = [c.decided_at_s - c.initial_contact_s for c in heard if isinstance(c, ProvisionalContact)]
    assert session.tally.contact_ages.n == len(needed_s) > 30
    median_s = session.tally.contact_ages.quantile_s(0.5)
    assert median_s is not None
    assert median_s > np.median(needed_s) - BIN_S


async def test_the_ages_stand_in_the_link_s_figures_and_in_the_summary() -> None:
    session, heard = await ages_of(Delayed(0.0, 0.0))
    figures = [item for item in heard if isinstance(item, LinkHealth)]
    assert figures[0].contact_age_p50_s is None
    last = session.tally.contact_ages
    assert (figures[-1].contact_age_p50_s, figures[-1].contact_age_p95_s) == (
        last.quantile_s(0.5),
        last.quantile_s(0.95),
    )
    assert session.tally.as_dict()["contact_age"] == last.as_dict()
    assert any("after touch-down" in line for line in session.tally.lines())


async def test_how_long_an_order_takes_is_measured_in_a_live_run_alone() -> None:
    simulated, _ = await ages_of(Delayed(0.0, 0.0))
    assert simulated.tally.order_ages.as_dict() is None
    live, heard = await ages_of(Delayed(0.0, 0.0, Mode.LIVE))
    assert live.tally.order_ages.n == sum(isinstance(item, ProvisionalContact) for item in heard) > 0
