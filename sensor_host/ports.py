"""The shapes at which the parts of the host meet: what arrives, who gives it, who takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from pelvis.clock import TimeBase
from pelvis.data import Command, CoreOutput, Gap, HeartRate, Marker, Samples, Speed


class Mode(StrEnum):
    """Where a session's bytes come from; stands in its state and in every cue."""

    LIVE = "live"
    REPLAY = "replay"
    SIMULATED = "simulated"


class Role(StrEnum):
    """What a sensor is for."""

    PELVIS = "pelvis"
    HEART_RATE = "heart_rate"


# ---------------------------------------------------------------- what arrives


@dataclass(frozen=True, slots=True)
class Notification:
    """The bytes of one radio notification, verbatim, and when the callback had them.

    ``t_host_s`` is the host's monotonic clock, taken in the radio callback and nowhere else.
    """

    role: str
    data: bytes
    t_host_s: float


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the link to one sensor stands: ``state`` is searching, connecting, connected, lost or closed.

    ``detail`` says in one line why, where that helps. ``firmware`` and ``model`` are what the sensor says of itself.
    """

    role: str
    state: str
    t_host_s: float
    rssi_dbm: int | None = None
    battery_ratio: float | None = None
    detail: str = ""
    firmware: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Injected:
    """A core input that did not come from a sensor (a marker, a command, a speed)."""

    item: Speed | HeartRate | Marker | Command
    t_host_s: float


@dataclass(frozen=True, slots=True)
class TimedBlock:
    """Foreign data (a CSV, a public data set) that enters one step later: already stamped."""

    role: str
    samples: Samples
    t_host_s: float


Arrival: TypeAlias = Notification | LinkState | Injected | TimedBlock


# ---------------------------------------------------------------- who and what


@dataclass(frozen=True, slots=True)
class SensorInfo:
    """One sensor of a session: its role, its board (a key of BOARDS, or "timed" for foreign data), where it sits."""

    role: str
    board: str
    placement: str = "sacrum"
    name: str = ""
    address: str = ""
    rate_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What identifies a session. ``start_utc`` is ISO 8601 with Z; the only wall-clock time in it."""

    session_id: str
    runner: str
    mode: Mode
    start_utc: str
    utc_offset_s: int
    sensors: tuple[SensorInfo, ...]
    replay_of: str = ""


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """Link figures of one sensor since the start, said about once a second.

    ``loss_known_by`` says what ``lost_samples`` rests on; None where nothing tells. ``reboots`` are those of the
    ``restarts`` with which the device's clock began anew. ``warning`` is what a user should do something
    about, ``detail`` belongs to the state. ``contact_age_p50_s`` and ``contact_age_p95_s``: how long ago the feet had
    touched down when what told so was received, counted from when the sample of that moment could have been here.
    """

    role: str
    state: str
    t_s: float
    notifications: int
    samples: int
    lost_samples: int
    duplicates: int
    bad_notifications: int
    drift_ppm: float | None = None
    rssi_dbm: int | None = None
    battery_ratio: float | None = None
    loss_known_by: TimeBase | None = None
    restarts: int = 0
    reboots: int = 0
    warning: str = ""
    detail: str = ""
    firmware: str = ""
    model: str = ""
    contact_age_p50_s: float | None = None
    contact_age_p95_s: float | None = None

    @property
    def lost_text(self) -> str:
        """How many samples were lost, as people read it: an estimate says that it is one."""
        about = "about " if self.lost_samples and self.loss_known_by is TimeBase.ARRIVAL else ""
        return f"{about}{self.lost_samples:,}".replace(",", " ")


@dataclass(frozen=True, slots=True)
class SinkState:
    """How a sink stands: ``state`` is ready, waiting, failed or closed; ``dropped`` counts what its outbox let go."""

    sink: str
    state: str
    detail: str = ""
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class SessionState:
    """The session began, goes on or ended: ``state`` is online, lost or offline.

    ``muted``: the runner wants to hear nothing. Said anew whenever that changes.
    """

    state: str
    detail: str = ""
    muted: bool = False


Said: TypeAlias = CoreOutput | Gap | Marker | HeartRate | Speed | Command | LinkHealth | SinkState | SessionState
"""What a sink other than the recorder can be handed."""


class Source(Protocol):
    """Gives arrivals. Opened with ``async with``; the iteration ends when the source is exhausted."""

    @property
    def mode(self) -> Mode: ...

    @property
    def sensors(self) -> tuple[SensorInfo, ...]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __aiter__(self) -> AsyncIterator[Arrival]: ...


class Sink(Protocol):
    """Takes what the session says; its ``run`` lives in the session's TaskGroup.

    ``put`` never waits and never raises. ``room`` returns at once in a live run and, where the outbox's policy is
    WAIT (replay, batch), waits until there is room: the session awaits it before it reads the next arrival.

    ``run`` opens what it needs, works its outbox off until ``close`` was called and the outbox is empty, then returns.
    An exception that leaves ``run`` is the sink's failure: the session isolates it; only the recorder's ends the run.
    """

    @property
    def name(self) -> str: ...

    def put(self, item: Said) -> None: ...

    async def room(self) -> None: ...

    async def run(self) -> None: ...

    def close(self) -> None: ...
