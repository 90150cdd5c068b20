"""What only the real bluetoothd can show: whether its stream is whole, and what it does when it fails.

`run` runs it, besides every test that is written over `minibluez`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bleak import BleakClient, BleakScanner
from bluetooth import Bluetooth, OpenBluetooth, Spec
from bluetooth_only import MEASURED

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS
from sensor_host.boards.rimu import RimuDecoder
from sensor_host.config import SensorConfig
from sensor_host.errors import LinkError
from sensor_host.ports import Arrival, LinkState, Notification
from sensor_host.sources.ble import BleSource

GATT = BOARDS["rimu"].gatt
RIMU = Spec()
RUNNER = Spec(runs=True)
SENSOR = SensorConfig(which=RIMU.name, scan_timeout_s=5.0, watchdog_s=3.0, reconnect_min_s=0.05, reconnect_max_s=0.5)
# a link that is not fed by a runner may be silent for as long as a scenario takes
PATIENT = msgspec.structs.replace(SENSOR, watchdog_s=60.0)

# longer than any way back takes; the longest is a connect that is tried twice
PATIENCE_S = 60.0

pytestmark = pytest.mark.timeout(180)


async def until_state(arrivals: AsyncIterator[Arrival], state: str, says: str = "") -> LinkState:
    said: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            async for arrival in arrivals:
                if isinstance(arrival, LinkState):
                    said.append(f"{arrival.state} {arrival.detail}")
                    if arrival.state == state and says in arrival.detail:
                        return arrival
    raise AssertionError(f"never {state} {says}, but {said}")


async def next_data(arrivals: AsyncIterator[Arrival], count: int) -> list[Notification]:
    found: list[Notification] = []
    while len(found) < count:
        arrival = await anext(arrivals)
        if isinstance(arrival, Notification):
            found.append(arrival)
    return found


def numbers(storm: list[Notification]) -> list[int]:
    """Return what a storm's notifications are numbered with."""
    return [int.from_bytes(one.data[8:12], "little") for one in storm]


def delays(storm: list[Notification]) -> str:
    """Return how long a storm's notifications were on their way; sender and receiver have one clock."""
    late_ms = [1e3 * one.t_host_s - 1e-6 * int.from_bytes(one.data[:8], "little") for one in storm]
    p50, p99, top = np.percentile(late_ms, [50, 99, 100])
    return f"on their way for {p50:.1f} ms (median), {p99:.1f} ms (99 %), {top:.1f} ms (longest)"


# ---------------------------------------------------------------- the stream is whole


async def test_a_minute_of_a_runner_arrives_whole(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RUNNER) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await bluetooth.sent(0)
        await until_state(arrivals, "connected")
        info, *heard = await next_data(arrivals, 1 + 60 * 26)
        sent = [data for _, data in await bluetooth.sent(0)]
    assert [one.data for one in heard] == sent[: len(heard)]
    packets = RimuDecoder().decode([info.data, *(one.data for one in heard)])
    assert not packets.bad
    assert set(np.diff(packets.index) % 65536) == {8}
    assert np.ptp(packets.acc_mps2[:, 2]) > STANDARD_GRAVITY_MPS2  # somebody runs
    took_s = heard[-1].t_host_s - heard[0].t_host_s
    MEASURED.append(
        f"a runner at 208 Hz: {len(heard)} notifications of 8 samples in {took_s:.1f} s, none lost, none twice"
    )


@pytest.mark.parametrize("rate_hz", [200.0, 400.0])
async def test_a_storm_arrives_whole(open_bluetooth: OpenBluetooth, rate_hz: float) -> None:
    count = int(10 * rate_hz)
    async with open_bluetooth(RIMU) as bluetooth, BleSource(PATIENT) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        sending = asyncio.ensure_future(bluetooth.storm(0, rate_hz, count))
        _, *heard = await next_data(arrivals, 1 + count)
        await sending
    assert numbers(heard) == list(range(count))
    MEASURED.append(f"{rate_hz:g} notifications/s for 10 s: {count} of {count}, {delays(heard)}")


async def test_a_loop_that_stands_still_for_5_s_loses_nothing(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RIMU) as bluetooth, BleSource(PATIENT) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        sending = asyncio.ensure_future(bluetooth.storm(0, 200.0, 2000))
        _, *before = await next_data(arrivals, 1 + 200)
        time.sleep(5.0)
        after = await next_data(arrivals, 1800)
        await sending
    assert numbers(before + after) == list(range(2000))
    MEASURED.append(
        "a program that stands still for 5 s at 200 notifications/s (StartNotify, as hipdrive has it): 2000 of 2000"
    )


async def test_what_the_other_way_to_be_notified_would_lose(open_bluetooth: OpenBluetooth) -> None:
    # For information: AcquireNotify hands over a socket, and what does not fit into it is gone.
    heard: list[int] = []
    async with open_bluetooth(RIMU) as bluetooth:
        device = await BleakScanner.find_device_by_name(RIMU.name)
        assert device is not None
        async with BleakClient(device) as client:
            await client.start_notify(
                GATT.notify_uuid,
                lambda _, data: heard.append(int.from_bytes(data[8:12], "little")),
                bluez={"use_start_notify": False},
            )
            sending = asyncio.ensure_future(bluetooth.storm(0, 200.0, 2000))
            await asyncio.sleep(1.0)
            time.sleep(5.0)
            await sending
            await asyncio.sleep(1.0)
    assert heard
    MEASURED.append(f"the same by AcquireNotify, which hipdrive does not use: {len(heard)} of 2000")


# ---------------------------------------------------------------- failures, and the way back


async def test_after_ten_drops_in_mid_stream_nothing_comes_twice(open_bluetooth: OpenBluetooth) -> None:
    back_s: list[float] = []
    async with open_bluetooth(RUNNER) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await bluetooth.sent(0)
        heard: list[Notification] = []
        await until_state(arrivals, "connected")
        for _ in range(10):
            heard += await next_data(arrivals, 10)
            await bluetooth.drop(0)
            lost = await until_state(arrivals, "lost")
            assert lost.detail == "the connection dropped"
            back_s.append((await until_state(arrivals, "connected")).t_host_s - lost.t_host_s)
        heard += await next_data(arrivals, 30)
        sent = [data for _, data in await bluetooth.sent(0)]
    said = [one.data for one in heard if one.data in set(sent)]
    assert len(said) == len(set(said)) > 100
    MEASURED.append(
        f"10 drops, 10 returns within {max(back_s):.1f} s (median {np.median(back_s):.1f} s), nothing twice"
    )


async def test_a_service_that_is_killed_is_told_and_found_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RUNNER) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)
        await bluetooth.kill_service()
        killed_s = time.monotonic()
        lost = await until_state(arrivals, "lost")
        said = await until_state(arrivals, "lost", "the Bluetooth service does not run")
        await bluetooth.start_service()
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)
    MEASURED.append(
        f"bluetoothd killed: lost after {lost.t_host_s - killed_s:.1f} s ({lost.detail}), back once it runs"
    )
    assert said.detail.startswith("the Bluetooth service does not run: install and start it")


async def test_an_adapter_that_is_switched_off_is_told_and_used_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RUNNER) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)
        await bluetooth.power(on=False)
        await until_state(arrivals, "lost", "the connection dropped")
        await until_state(arrivals, "lost", "Bluetooth is switched off: switch it on")
        await bluetooth.power(on=True)
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)


async def test_an_adapter_that_is_pulled_out_is_told_and_used_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RUNNER) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)
        await bluetooth.plug(into=False)
        # by a word about the connection, or, where bluetoothd only takes the device away, by the watchdog
        await until_state(arrivals, "lost")
        await until_state(arrivals, "lost", "no Bluetooth adapter was found: plug one in")
        await bluetooth.plug(into=True)
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)


async def test_a_sensor_that_another_host_holds_is_not_heard_and_the_words_say_so(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(RIMU) as bluetooth:
        await bluetooth.rival(0, holds=True)
        with pytest.raises(LinkError, match=r"not heard within 5 s .*close the app that holds it"):
            async with BleSource(SENSOR):
                pass
        await bluetooth.rival(0, holds=False)
        async with BleSource(PATIENT) as source, aclosing(aiter(source)) as arrivals:
            await until_state(arrivals, "connected")


async def test_a_sensor_that_refuses_to_start_is_told_by_its_error(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RUNNER) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await bluetooth.refuse_writes(0, 0x80)  # unknown command
        await until_state(arrivals, "lost", "refuses what it is asked for (ATT error 0x80")
        await until_state(arrivals, "connected")
        await next_data(arrivals, 10)


async def test_notifications_that_another_program_has_acquired_are_named(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(RIMU), BleSource(PATIENT) as source:
        # hipdrive has found the sensor, but another program connects first and keeps what it gets
        other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROGRAM, stdout=subprocess.PIPE)
        assert other.stdout is not None
        try:
            assert await other.stdout.readline() == b"acquired\n"
            async with aclosing(aiter(source)) as arrivals:
                await until_state(arrivals, "lost", "another program on this computer holds the sensor's data")
        finally:
            other.kill()
            await other.communicate()


OTHER_PROGRAM = f"""
import asyncio
from bleak import BleakClient, BleakScanner

async def hold():
    device = await BleakScanner.find_device_by_name({RIMU.name!r})
    async with BleakClient(device) as client:
        await client.start_notify({GATT.notify_uuid!r}, lambda *_: None, bluez={{"use_start_notify": False}})
        print("acquired", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.mark.usefixtures("open_bluetooth")
async def test_a_policy_of_the_bus_that_denies_is_named(needs: Callable[[str], str], tmp_path: Path) -> None:
    # nobody, who can read what belongs to root: the interpreter may lie in a home folder
    nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    nobody += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    async with DenyingBus(tmp_path, needs("dbus-daemon")) as bluetooth:
        scan = await asyncio.create_subprocess_exec(
            needs("setpriv"),
            *nobody,
            sys.executable,
            "-m",
            "sensor_host.cli",
            "scan",
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": bluetooth.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, errors = await scan.communicate()
    assert scan.returncode == 5
    assert b"the system denies access to Bluetooth: ask its administrator" in errors


class DenyingBus(Bluetooth):
    """A bus whose policy lets nobody speak to BlueZ, nobody being a user."""

    def bus_arguments(self) -> tuple[str, ...]:
        settings = Path(self.address.removeprefix("unix:path=")).with_name("policy.conf")
        settings.write_text(f"""<busconfig>
  <type>system</type>
  <listen>{self.address}</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="*"/> <allow send_destination="*"/> <allow receive_type="*"/>
  </policy>
  <policy user="nobody"><deny send_destination="org.bluez"/></policy>
</busconfig>""")
        return ("--nofork", "--nopidfile", "--print-address=1", f"--config-file={settings}")


# ---------------------------------------------------------------- the whole way, as a user goes it


async def test_a_new_user_scans_and_runs_without_a_lost_sample(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth() as bluetooth:
        sensor = await _hipdrive("simulate", "--ble", await bluetooth.adapter())
        assert sensor.stdout is not None
        try:
            assert await sensor.stdout.readline() == b"advertising as RIMU sim\n"
            listing, _ = await (await _hipdrive("scan")).communicate()
            assert b" RIMU sim " in listing
            run = await _hipdrive("run", "--for", "20s")
            summary, errors = await run.communicate()
        finally:
            sensor.send_signal(signal.SIGINT)
            await sensor.communicate()
    assert run.returncode == 0, errors.decode()
    said = summary.decode()
    assert re.search(r"pelvis: \d{4} samples, 0 lost", said), said
    assert "cadence" in said
    MEASURED.append("hipdrive run --for 20s: " + said.rpartition("pelvis: ")[2].partition("\n")[0])


async def _hipdrive(*arguments: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "sensor_host.cli", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
