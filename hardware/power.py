"""How long a cell lasts: the parts of the current, each with its source, added up for the tables of power.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

# 8 samples at 208 Hz
SAMPLES_PER_PACKET = 8
PACKETS_PER_S = 208.0 / SAMPLES_PER_PACKET
INTERVAL_MS = 15.0
EVENTS_PER_S = 1e3 / INTERVAL_MS

# nRF52840 Product Specification 1.7, 3 V, DC/DC converter, typical
PROCESSOR_MA = 3.3  # CoreMark from flash, cache on, 64 MHz (52 uA/MHz)
RECEIVE_MA = 4.6
SEND_MA = 4.8  # 0 dBm
CRYSTAL_MA = 0.25  # HFXO
ASLEEP_MA = 0.003  # System ON, all RAM kept, 32 kHz crystal and RTC
# LSM6DS3TR-C data sheet, table 4: both sensors, high-performance mode
SENSOR_MA = 0.90

# at 1 Mbit/s a byte takes 8 us
US_PER_BYTE = 8
# preamble 1, access address 4, header 2, check sum 3
AIR_BYTES = 10
# length and channel of L2CAP 4, opcode and handle of ATT 3
NOTIFICATION_BYTES = 7
RAMP_MS = 0.04

CELLS_MAH = (50, 100, 150)
# what is left of the printed capacity when the cell is a year old, cool, and not drained to the end
USABLE_RATIO = 0.8


def air_ms(payload_bytes: int) -> float:
    """Return how long a packet of the link layer is on the air."""
    return US_PER_BYTE * (AIR_BYTES + payload_bytes) / 1e3


@dataclass(frozen=True, slots=True)
class Part:
    """``current_ma`` flows for ``each_ms``, ``per_s`` times a second."""

    what: str
    current_ma: float
    per_s: float
    each_ms: float
    source: str

    @property
    def mean_ma(self) -> float:
        return self.current_ma * self.per_s * self.each_ms / 1e3

    @property
    def when(self) -> str:
        return "always" if self.per_s == 1.0 and self.each_ms == 1e3 else f"{self.per_s:.1f} × {self.each_ms:.2f} ms"


def always(what: str, current_ma: float, source: str) -> Part:
    """Return a part that flows all the time."""
    return Part(what, current_ma, 1.0, 1e3, source)


_ESTIMATE = "; duration estimated"
_SENSOR = always("sensor, both halves", SENSOR_MA, "ST")
_BASE = always("board: sleep, flash, regulator, battery divider", ASLEEP_MA + 0.02, "Nordic; rest estimated")
_RADIO = (
    Part("radio: receive, each connection event", RECEIVE_MA, EVENTS_PER_S, 0.30, "Nordic" + _ESTIMATE),
    Part("radio: send, each event, empty", SEND_MA, EVENTS_PER_S, RAMP_MS + air_ms(0), "Nordic, bytes"),
    Part(
        "radio: what a notification of 104 bytes adds",
        SEND_MA,
        PACKETS_PER_S,
        air_ms(NOTIFICATION_BYTES + 104) - air_ms(0),
        "Nordic, bytes",
    ),
    Part("radio stack: processor, each event", PROCESSOR_MA, EVENTS_PER_S, 1.0, "Nordic" + _ESTIMATE),
    Part("32 MHz crystal, each event", CRYSTAL_MA, EVENTS_PER_S, 1.5, "Nordic" + _ESTIMATE),
)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one firmware draws while it streams, part by part."""

    firmware: str
    parts: tuple[Part, ...]

    @property
    def total_ma(self) -> float:
        return math.fsum(part.mean_ma for part in self.parts)

    def hours(self, cell_mah: float) -> float:
        """Return how long a cell lasts."""
        return USABLE_RATIO * cell_mah / self.total_ma


BUDGETS = (
    Budget(
        "Arduino, C",
        (
            _SENSOR,
            *_RADIO,
            Part("processor: FIFO and packet, 3 ms each", PROCESSOR_MA, PACKETS_PER_S, 3.0, "Nordic, bus" + _ESTIMATE),
            _BASE,
        ),
    ),
    Budget(
        "CircuitPython, if it sleeps between its tasks",
        (
            _SENSOR,
            *_RADIO,
            Part("processor: interpreter, 5 ms each packet", PROCESSOR_MA, PACKETS_PER_S, 5.0, "Nordic" + _ESTIMATE),
            _BASE,
        ),
    ),
    Budget(
        "CircuitPython, as others measured it",
        (
            _SENSOR,
            always("processor and radio, connected", 7.0, "measured, see below"),
            _RADIO[2],
        ),
    ),
)


def parts_table(budget: Budget = BUDGETS[0]) -> str:
    """Return the parts of one budget."""
    rows = [
        f"| {part.what} | {part.current_ma:.3g} | {part.when} | {part.mean_ma:.2f} | {part.source} |"
        for part in budget.parts
    ]
    head = ["| Part | mA | when, each second | on average, mA | source |", "|---|---:|---|---:|---|"]
    return "\n".join([*head, *rows, f"| **together** | | | **{budget.total_ma:.2f}** | |"])


def hours_table() -> str:
    """Return how long each cell lasts with each firmware."""
    head = " | ".join(f"{cell} mAh" for cell in CELLS_MAH)
    rows = [
        f"| {budget.firmware} | {budget.total_ma:.1f} | "
        + " | ".join(f"{budget.hours(cell):.0f} h" for cell in CELLS_MAH)
        + " |"
        for budget in BUDGETS
    ]
    return "\n".join([f"| Firmware | mA | {head} |", "|---|---:|---:|---:|---:|", *rows])


def stiffness_n_per_mm(mass_g: float, natural_hz: float) -> float:
    """Return how stiffly a sensor must be held to swing no slower than this: k = m (2 pi f)^2."""
    return mass_g / 1e3 * (2.0 * math.pi * natural_hz) ** 2 / 1e3
