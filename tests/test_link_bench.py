"""What is said of a link, against links whose losses, delays and clocks are made here."""

from __future__ import annotations

import json
import math
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from bluetooth import OpenBluetooth, Spec

from sensor_host.boards.rimu import RimuEncoder
from sensor_host.cli import call
from sensor_host.link_bench import LIMITS, MEANING, Figures, LinkBench, judge, lines, worst
from sensor_host.ports import LinkState, Notification, SensorInfo

RATE_HZ = 208.0
PACKET = 8
CLIP = SensorInfo("pelvis", "rimu", name="RIMU 7A")

Late = Callable[[int], float]


def sent(count: int, *, rate_hz: float = RATE_HZ, **encoder: int) -> list[tuple[bytes, float]]:
    """Return packets and when the device had each complete."""
    t_s = np.arange(count * PACKET) / rate_hz
    upright = np.tile([0.0, 0.0, 9.80665], (len(t_s), 1))
    return [(one.data, one.t_last_s) for one in RimuEncoder(**encoder).encode(t_s, upright, np.zeros_like(upright))]


def heard(packets: list[tuple[bytes, float]], late_s: Late, drift_ppm: float = 0.0) -> LinkBench:
    bench = LinkBench(CLIP)
    for number, (data, at_s) in enumerate(packets):
        bench.take(Notification("pelvis", data, 100.0 + at_s * (1.0 + drift_ppm * 1e-6) + late_s(number)))
    return bench


def in_time(number: int) -> float:
    return 0.0


def test_a_perfect_link_is_good_in_every_respect() -> None:
    figures = heard(sent(1600), in_time).figures()
    assert figures.samples_hz == pytest.approx(RATE_HZ, rel=2e-3)
    assert figures.packet_s == pytest.approx(7 / RATE_HZ, rel=1e-6)
    assert figures.delay_max_s < 1e-3
    judged = judge(figures)
    assert {one.mark for one in judged} == {"good"}
    # all but the computer's own delay, which only a live link has
    assert {one.limit.figure for one in judged} == {limit.figure for limit in LIMITS} - {"queued_p99_s"}


def test_lost_packets_are_counted_to_the_sample() -> None:
    packets = sent(1000)
    kept = [packet for number, packet in enumerate(packets) if number % 40 != 7]
    figures = heard(kept, in_time).figures()
    assert figures.lost_samples == 25 * PACKET
    assert figures.lost_ratio == pytest.approx(25 / 1000)
    assert worst(judge(figures)) == "usable"


def test_lateness_is_what_a_packet_came_later_than_the_fastest() -> None:
    # one in fifty comes 80 ms late: beyond the good, within the usable
    figures = heard(sent(2000), lambda number: 0.080 if number % 50 == 0 else 0.010).figures()
    assert figures.delay_p50_s == pytest.approx(0.0, abs=1e-3)
    assert figures.delay_p99_s == pytest.approx(0.070, abs=1e-3)
    assert [one.limit.figure for one in judge(figures) if one.mark == "usable"] == ["delay_p99_s"]


@pytest.mark.parametrize("drift_ppm", [-80.0, 80.0])
def test_clocks_that_drift_apart_make_no_packet_late(drift_ppm: float) -> None:
    # 80 ppm over ten minutes are 48 ms: five times the lateness there is
    figures = heard(sent(15_600), lambda number: 0.010 * (number % 3), drift_ppm).figures()
    assert figures.delay_max_s == pytest.approx(0.020, abs=3e-3)


def test_a_rate_that_is_not_the_promised_one_is_found() -> None:
    figures = heard(sent(2000, rate_hz=RATE_HZ * 1.08), in_time).figures()
    assert figures.rate_off_ratio == pytest.approx(0.08, abs=1e-3)
    assert worst(judge(figures)) == "usable"


def test_a_silence_and_a_drop_are_told_and_a_new_start_makes_nothing_late() -> None:
    bench = heard(sent(500), in_time)
    bench.take(LinkState("pelvis", "lost", 120.0))
    # the device was switched off: it counts from 0 again, 4 s later
    begin_s = 100.0 + 500 * PACKET / RATE_HZ + 4.0
    for data, at_s in sent(500, stream=1, boot_us=77):
        bench.take(Notification("pelvis", data, begin_s + at_s))
    figures = bench.figures()
    assert figures.drops == 1
    assert figures.longest_silence_s == pytest.approx(4.0, abs=0.05)
    assert figures.delay_max_s < 0.01
    assert figures.lost_samples == 0
    assert worst(judge(figures)) == "poor"


def test_what_came_twice_or_broken_is_counted() -> None:
    packets = sent(100)
    packets[50:50] = [packets[49], (packets[49][0][:21], packets[49][1])]
    figures = heard(packets, in_time).figures()
    assert (figures.duplicates, figures.bad_notifications) == (1, 1)


def test_waiting_in_the_computer_is_known_when_the_link_is_live() -> None:
    bench = LinkBench(CLIP)
    for data, at_s in sent(200):
        bench.take(Notification("pelvis", data, 100.0 + at_s), 100.0 + at_s + 0.030)
    figures = bench.figures()
    assert figures.queued_p99_s == pytest.approx(0.030, abs=1e-6)
    assert [one.limit.figure for one in judge(figures) if one.mark != "good"] == ["queued_p99_s"]


def test_a_link_that_brought_nothing_is_poor_and_can_be_shown() -> None:
    figures = LinkBench(CLIP).figures()
    assert figures.notifications == 0
    assert math.isnan(figures.lost_ratio)
    assert worst([]) == "poor"
    assert lines(figures, judge(figures))


def test_every_limit_judges_a_figure_that_is_measured_and_grows_with_the_fault() -> None:
    names = {field.name for field in fields(Figures)}
    for limit in LIMITS:
        assert limit.figure in names
        assert limit.good <= limit.usable
        beyond = 2 * limit.usable + 1
        assert [limit.mark(value) for value in (limit.good, beyond)] == ["good", "poor"]
    assert set(MEANING) == {"good", "usable", "poor"}


# ---------------------------------------------------------------- the command


def test_the_link_of_a_recording_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    recording = Path(__file__).parents[1] / "recordings" / "easy.mcap"
    assert call(["bench-link", str(recording)]) == 0
    told = capsys.readouterr().out
    assert "26.0 packets" in told
    assert "good: everything can be measured" in told


def test_a_recording_without_a_radio_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, recording = tmp_path / "foreign.csv", tmp_path / "foreign.mcap"
    assert call(["simulate", "--minutes", "0.1", "--csv", str(table)]) == 0
    assert call(["import", str(table), "-o", str(recording)]) == 0
    capsys.readouterr()
    assert call(["bench-link", str(recording)]) == 3
    assert "no radio link to judge" in capsys.readouterr().err


async def test_a_live_link_is_judged_with_its_drop_and_its_broken_packets(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec(runs=True)) as bluetooth:
        command = (sys.executable, "-m", "sensor_host.cli", "bench-link", "--for", "4s", "--json")
        bench = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        await bluetooth.until(0, "streaming")
        await bluetooth.drop(0)
        await bluetooth.until(0, "streaming")
        await bluetooth.tamper(0, "cut", 20)
        told, said = await bench.communicate()
    assert b"lost" in said
    figures = json.loads(told)
    assert figures["drops"] == 1
    assert figures["bad_notifications"] >= 1
    # each packet that was cut is known by the counter to be missing
    assert figures["lost_samples"] >= 8 * figures["bad_notifications"]
    assert figures["rate_off_ratio"] < 0.05
    assert figures["queued_p99_s"] is not None
    assert figures["verdict"] in ("usable", "poor")
    assert bench.returncode == (figures["verdict"] == "poor")


async def test_a_dense_link_has_a_sample_in_each_packet(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec(runs=True)):
        command = (sys.executable, "-m", "sensor_host.cli", "bench-link", "--for", "3s", "--dense", "--json")
        bench = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        told, _ = await bench.communicate()
    figures = json.loads(told)
    assert figures["packet_s"] == 0.0
    assert figures["notifications_hz"] == pytest.approx(figures["samples_hz"])
    assert figures["lost_samples"] == 0
