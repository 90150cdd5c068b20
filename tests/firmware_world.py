"""A world that can be planned around the firmware's core: its driver for PC and Cortex-M4, scenarios, packets."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensor_host.boards.rimu import encode_packet
from sensor_host.boards.rimu_profile import ACC_CLIP, FIRST_PACKET, GYR_CLIP, OVERRUN

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "hardware" / "firmware"
CORE = sorted((FIRMWARE / "core").glob("*.c"))
DRIVER = [FIRMWARE / "driver" / name for name in ("driver.c", "fake_chip.c")]

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wpedantic", f"-I{FIRMWARE / 'core'}")
SANITISERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CORTEX_M4 = ("-O2", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft", "--specs=rdimon.specs")

# a run on an emulated processor, on a machine that is busy with other things
PATIENCE_S = 100

Counts = NDArray[np.int16]
Play = Callable[[bytes], list[tuple[str, bytes]]]

SAMPLE = np.dtype([("at_us", "<u4"), ("values", "<i2", 6)])


def build_for_host(gcc: str, folder: Path) -> list[str]:
    """Compile the driver for this computer and return the command that runs it."""
    program = folder / "driver"
    command = [gcc, *WARNINGS, *SANITISERS, "-o", str(program), *map(str, (*DRIVER, *CORE))]
    _compile(command)
    return [str(program), "scenario", "output"]


def build_for_cortex_m4(gcc: str, qemu: str, folder: Path) -> list[str]:
    """Compile the very same for a Cortex-M4 and return the command that runs it on an emulated one."""
    program = folder / "driver.elf"
    script = FIRMWARE / "driver" / "mps2_an386.ld"
    sources = (*DRIVER, FIRMWARE / "driver" / "start_mps2.c", *CORE)
    _compile([gcc, *WARNINGS, *CORTEX_M4, "-T", str(script), "-o", str(program), *map(str, sources)])
    semihosting = "enable=on,target=native,arg=driver,arg=scenario,arg=output"
    machine = ["-M", "mps2-an386", "-display", "none", "-serial", "none", "-monitor", "none"]
    return [qemu, *machine, "-semihosting-config", semihosting, "-kernel", str(program)]


def build_sketch(gcc: str, gxx: str, folder: Path) -> list[str]:
    """Compile the whole sketch against stand-ins for its board package and return the command that runs it."""
    program, stand_ins = folder / "driver_xiao", FIRMWARE / "driver" / "stand_ins"
    objects = []
    for source in (FIRMWARE / "driver" / "fake_chip.c", *CORE):
        objects.append(str(folder / f"{source.stem}.o"))
        _compile([gcc, *WARNINGS, *SANITISERS, "-c", "-o", objects[-1], str(source)])
    folders = [f"-I{FIRMWARE / name}" for name in ("core", "driver", "driver/stand_ins", "xiao")]
    # gnu++11: what the board package compiles sketches with
    style = ["-std=gnu++11", "-Wall", "-Wextra", "-Werror", *SANITISERS, *folders]
    _compile([gxx, *style, "-o", str(program), str(stand_ins / "driver_xiao.cpp"), *objects])
    return [str(program), "scenario", "output"]


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(command: list[str], scenario: bytes, folder: Path) -> bytes:
    """Play a scenario and return the driver's whole output."""
    (folder / "scenario").write_bytes(scenario)
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # nothing allocates, and a leak check needs ptrace
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    return (folder / "output").read_bytes()


def records(output: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what the driver said: D data, A answer, I info, and so on."""
    at = 0
    while at < len(output):
        end = at + 2 + output[at + 1]
        yield chr(output[at]), output[at + 2 : end]
        at = end


# ---------------------------------------------------------------- scenarios


class Scenario:
    """Writes what the driver is to play; its clock counts on where the device's wraps."""

    def __init__(self, now_us: int = 0) -> None:
        self._parts: list[bytes] = []
        self.now_us = 0
        self.op("B")
        self.until(now_us)

    def op(self, letter: str, layout: str = "", *values: int) -> None:
        self._parts.append(letter.encode() + struct.pack("<" + layout, *values))

    def until(self, now_us: int) -> None:
        while now_us - self.now_us > 1 << 30:
            self.now_us += 1 << 30
            self.op("T", "I", self.now_us % (1 << 32))
        self.now_us = max(now_us, self.now_us)
        self.op("T", "I", self.now_us % (1 << 32))

    def control(self, data: bytes) -> None:
        self.op("W", f"B{len(data)}s", len(data), data)  # type: ignore[arg-type]

    def connect(self, mtu: int = 247) -> None:
        self.op("C", "H", mtu)
        self.op("S", "B", 1)

    def start(self, samples: int = 0, rate_dhz: int = 0) -> None:
        self.control(struct.pack("<BBH", 1, samples, rate_dhz))

    def samples(self, at_us: NDArray[np.int64], raw: Counts, *, letter: str = "N") -> None:
        """Plan samples (acceleration, angular rate) at these times; letter "s" hands them to the packetiser at once."""
        for start in range(0, len(raw), 4096):
            part = np.empty(len(raw[start : start + 4096]), SAMPLE)
            part["at_us"] = at_us[start : start + 4096] % (1 << 32)
            part["values"] = raw[start : start + 4096]
            self.op(letter, "H", len(part))
            self._parts.append(part.tobytes())

    def bytes(self) -> bytes:
        return b"".join(self._parts)


# ---------------------------------------------------------------- what has to come


def flags_of(raw: Counts) -> int:
    """Return the clip flags of a packet's samples: either end of int16."""
    ends = np.abs(raw.astype(np.int32)) >= 32767
    return (ACC_CLIP if ends[:, :3].any() else 0) | (GYR_CLIP if ends[:, 3:].any() else 0)


@dataclass
class Expected:
    """The profile's rules once more, over arrays: which packets a stream has to become, and which wait for how long.

    ``raw`` (n, 6) every sample that gets an index, in order. A packet is (first, last + 1) of them.
    """

    raw: Counts
    size: int
    stream: int
    room_bytes: int = 16384
    index: int = 0
    first: bool = True
    lost: bool = False
    open_from: int | None = None
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, count: int) -> None:
        """Let the next samples through."""
        for _ in range(count):
            if self.open_from is None:
                self.open_from = self.index
            self.index += 1
            if self.index - self.open_from >= self.size:
                self.close()

    def lose(self) -> None:
        self.close()
        self.lost = True

    def close(self) -> None:
        if self.open_from is None:
            return
        raw = self.raw[self.open_from : self.index]
        flags = flags_of(raw) | (FIRST_PACKET if self.first else 0) | (OVERRUN if self.lost else 0)
        data = encode_packet(raw, index=self.open_from, device_us=0, flags=flags, stream=self.stream)
        self.first = self.lost = False
        self.waiting.append((self.open_from, data))
        self.open_from = None
        while sum(len(packet) + 1 for _, packet in self.waiting) > self.room_bytes:
            del self.waiting[0]

    def send(self, packets: int = 1 << 30) -> None:
        self.sent += self.waiting[:packets]
        del self.waiting[:packets]
