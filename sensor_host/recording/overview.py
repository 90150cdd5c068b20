"""What is in a recording, at a glance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pelvis.data import Gap, HeartRate, Marker, Samples
from sensor_host.chain import SensorChain
from sensor_host.ports import Injected, LinkHealth, LinkState, SessionInfo, TimedBlock
from sensor_host.recording.reader import Batch, read
from sensor_host.routing import Router


@dataclass(frozen=True, slots=True)
class SensorSummary:
    """One sensor's share: its link figures, its breaks, and the kinds of notifications that made no sense."""

    board: str
    health: LinkHealth
    breaks: int
    longest_break_s: float
    bad_kinds: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """What `info` found. ``duration_s`` is session time; ``cut`` means the file ends in the middle."""

    path: Path
    size_bytes: int
    cut: bool
    session: SessionInfo
    versions: dict[str, str]
    duration_s: float
    sensors: tuple[SensorSummary, ...]
    markers: tuple[Marker, ...]
    has_config: bool
    has_profile: bool


@dataclass(slots=True)
class _Share:
    chain: SensorChain
    breaks: int = 0
    longest_break_s: float = 0.0
    end_s: float = 0.0

    def take(self, said: Samples | Gap | HeartRate) -> None:
        if isinstance(said, Gap):
            self.breaks += 1
            self.longest_break_s = max(self.longest_break_s, said.duration_s)
        elif isinstance(said, HeartRate):
            self.end_s = max(self.end_s, said.t_s)
        elif len(said.t_s):
            self.end_s = float(said.t_s[-1])


def info(path: Path) -> RecordingInfo:
    """Read a recording once and say what is in it.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    recording = read(path)
    shares = {role: _Share(chain) for role, chain in Router(recording.session.sensors).chains.items()}
    markers: list[Marker] = []
    begin_s: float | None = None
    for item in recording.batches():
        if isinstance(item, Batch):
            share = shares.get(item.role)
            said = share.chain.feed_bytes(item.data, item.t_host_s) if share else []
        elif isinstance(item, TimedBlock):
            share = shares.get(item.role)
            said = share.chain.feed_block(item) if share else []
        else:
            if isinstance(item, LinkState) and item.role in shares:
                shares[item.role].chain.take_link(item)
            elif isinstance(item, Injected) and isinstance(item.item, Marker):
                markers.append(item.item)
            continue
        for one in said:
            if share and isinstance(one, Samples | Gap | HeartRate):
                share.take(one)
                if begin_s is None and isinstance(one, Samples) and len(one.t_s):
                    begin_s = float(one.t_s[0])
    end_s = max((share.end_s for share in shares.values()), default=0.0)
    return RecordingInfo(
        path=path,
        size_bytes=recording.size_bytes,
        cut=recording.cut,
        session=recording.session,
        versions=recording.versions,
        duration_s=max(0.0, end_s - (begin_s or 0.0)),
        sensors=tuple(
            SensorSummary(
                board=share.chain.info.board,
                health=replace(share.chain.health(share.end_s), state="closed"),
                breaks=share.breaks,
                longest_break_s=share.longest_break_s,
                bad_kinds=tuple(sorted(share.chain.bad.items())),
            )
            for share in shares.values()
        ),
        markers=tuple(markers),
        has_config=bool(recording.config),
        has_profile=bool(recording.profile),
    )
