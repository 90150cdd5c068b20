from __future__ import annotations

import asyncio

import pytest

from sensor_host.outbox import Outbox, OutboxFullError, Policy


def by_letter(item: str) -> int:
    return "abc".index(item[0])


async def test_items_come_out_in_the_order_they_were_put_whatever_their_rank() -> None:
    outbox = Outbox[str]("test", 10, Policy.DROP_OLDEST, by_letter)
    for item in ("b1", "a1", "c1", "a2", "b2"):
        outbox.put(item)
    assert await outbox.take(3) == ["b1", "a1", "c1"]
    assert await outbox.take() == ["a2", "b2"]


async def test_a_full_outbox_lets_the_oldest_go_and_counts_it() -> None:
    outbox = Outbox[int]("test", 3, Policy.DROP_OLDEST)
    for item in range(5):
        outbox.put(item)
    assert await outbox.take() == [2, 3, 4]
    assert outbox.dropped == 2


async def test_what_is_least_wanted_goes_first_even_when_it_is_the_newest() -> None:
    outbox = Outbox[str]("test", 3, Policy.DROP_OLDEST, by_letter)
    for item in ("c1", "a1", "b1", "b2", "c2", "a2"):
        outbox.put(item)
    assert await outbox.take() == ["c1", "b2", "c2"]
    assert outbox.dropped == 3


async def test_put_never_waits_and_room_returns_at_once_in_a_live_run() -> None:
    outbox = Outbox[int]("test", 1, Policy.DROP_OLDEST)
    outbox.put(1)
    outbox.put(2)
    async with asyncio.timeout(1):
        await outbox.room()


async def test_wait_holds_the_session_back_until_something_is_taken_and_drops_nothing() -> None:
    outbox = Outbox[int]("test", 2, Policy.WAIT)
    outbox.put(1)
    await outbox.room()
    outbox.put(2)
    outbox.put(3)  # one arrival may give several items: they all go in, the next arrival waits
    waiting = asyncio.ensure_future(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await outbox.take(2) == [1, 2]
    await waiting
    assert await outbox.take() == [3]
    assert outbox.dropped == 0


@pytest.mark.parametrize("release", ["policy", "close", "discard"])
async def test_a_waiting_session_is_released_when_nobody_takes_any_more(release: str) -> None:
    outbox = Outbox[int]("test", 1, Policy.WAIT)
    outbox.put(1)
    waiting = asyncio.ensure_future(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    if release == "policy":
        outbox.policy = Policy.DROP_OLDEST
    elif release == "close":
        outbox.close()
    else:
        outbox.discard()
    async with asyncio.timeout(1):
        await waiting


async def test_changing_from_wait_to_drop_brings_the_outbox_back_to_its_capacity() -> None:
    outbox = Outbox[int]("test", 2, Policy.WAIT)
    for item in range(5):
        outbox.put(item)
    outbox.policy = Policy.DROP_OLDEST
    assert outbox.dropped == 3
    assert await outbox.take() == [3, 4]


async def test_fail_gives_everything_that_fitted_and_then_fails_aloud() -> None:
    outbox = Outbox[int]("recorder", 2, Policy.FAIL)
    for item in range(4):
        outbox.put(item)
    assert await outbox.take() == [0, 1]
    with pytest.raises(OutboxFullError, match="recorder fell behind by 2 items"):
        await outbox.take()
    assert outbox.dropped == 2


async def test_a_closed_outbox_is_worked_off_and_then_gives_nothing() -> None:
    outbox = Outbox[int]("test", 5, Policy.WAIT)
    outbox.put(1)
    outbox.close()
    outbox.put(2)
    assert await outbox.take() == [1]
    assert await outbox.take() == []
    assert outbox.dropped == 1


async def test_take_wakes_up_when_an_item_comes_or_the_outbox_closes() -> None:
    outbox = Outbox[int]("test", 5, Policy.DROP_OLDEST)
    taking = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    outbox.put(7)
    assert await taking == [7]
    taking = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    outbox.close()
    async with asyncio.timeout(1):
        assert await taking == []
