"""A session: one runner, one run, from arrivals to everything that is said.

The path of an arrival: source -> recorder -> the sensor's chain -> pipeline -> sinks, by direct
calls in the order of arrival. Only the outboxes in front of the sinks are queues.

1. What arrives is handed to the recorder before anything else looks at it.
2. A sink that fails is taken out and said to the others; the run goes on. A recorder that fails
   ends the run; what it had written stays.
3. Nothing here reads a clock but, in a live run, `inject`, `now_s` and what is timed for the summary. Link health
   goes by the receipt times: a replay says what the live run said.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from pelvis.data import Command, CoreInput, HeartRate, Marker, Motion, Notice, ProvisionalContact, Samples, Speed
from pelvis.pipeline import Pipeline, Settings
from sensor_host.boards import unfit
from sensor_host.chain import SensorChain
from sensor_host.errors import HipdriveError
from sensor_host.guide import Guide
from sensor_host.ports import (
    Arrival,
    Injected,
    LinkHealth,
    LinkState,
    Mode,
    Notification,
    Role,
    Said,
    SessionInfo,
    SessionState,
    Sink,
    SinkState,
    Source,
)
from sensor_host.routing import Router
from sensor_host.summary import Tally

# how often a link's figures are said
HEALTH_PERIOD_S = 1.0
# 10 s: the longest cue is spoken, a slow disk has written; what has not finished by then hangs
CLOSING_S = 10.0

_log = logging.getLogger(__name__)


class Recorder(Protocol):
    """Keeps arrivals. Like a sink, but what leaves its ``run`` as an exception ends the session."""

    def put(self, arrival: Arrival) -> None: ...

    async def room(self) -> None: ...

    async def run(self) -> None: ...

    def close(self) -> None: ...


class Session:
    """Runs one session until its source is exhausted or `stop` is called.

    Parameters
    ----------
    info
        What identifies it.
    source
        Where arrivals come from; opened by the caller, who also closes it.
    settings
        What the core is told.
    recorder
        Keeps the arrivals; None: nothing is recorded.
    openings
        The heads of the streams when a replay begins behind them.
    guide
        Leads through the start and says how the sensor stands; None: nobody does.
    """

    def __init__(
        self,
        info: SessionInfo,
        source: Source,
        settings: Settings,
        recorder: Recorder | None = None,
        openings: Sequence[Notification] = (),
        guide: Guide | None = None,
    ) -> None:
        self.info = info
        self._guide = guide
        self.tally = Tally()
        self._source = source
        self._recorder = recorder
        self._pipeline = Pipeline(settings)
        self._router = Router(info.sensors)
        for role, chain in self._router.chains.items():
            chain.start_behind([opening for opening in openings if opening.role == role])
        self._sinks: list[Sink] = []
        self._motion_sinks: list[Sink] = []
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False
        self._failure: HipdriveError | None = None
        self._last_host_s = 0.0
        self._next_health_s = 0.0
        self._muted = False

    @property
    def muted(self) -> bool:
        """Whether the runner wants to hear nothing."""
        return self._muted

    def now_s(self) -> float:
        """Return the session time of this moment: in a replay, of the arrival it has come to."""
        return max(0.0, self._router.session_from_host(self._now_host_s()))

    def _now_host_s(self) -> float:
        return time.monotonic() if self.info.mode is Mode.LIVE else self._last_host_s

    def add(self, sink: Sink, *, motion: bool = False) -> None:
        """Let ``sink`` hear the session, `Motion` included if ``motion``. Before `run`."""
        self._sinks.append(sink)
        if motion:
            self._motion_sinks.append(sink)

    def inject(self, item: Marker | Command | Speed | HeartRate) -> None:
        """Take a core input that no sensor gave: it is recorded, fed to the core and said like any other.

        To be called in the session's event loop, from a task or a callback, never from within a sink's ``put``.
        """
        self._take(Injected(item, self._now_host_s()))

    def stop(self) -> None:
        """End the run as if the source were exhausted; what was said and recorded so far is completed."""
        self._stopped = True
        if self._reader is not None:
            self._reader.cancel()

    def report(self, state: SinkState) -> None:
        """Say how a sink stands."""
        self._say(state)

    # ------------------------------------------------------------ the run

    async def run(self) -> Tally:
        """Run to the end.

        Returns
        -------
        Tally
            Everything that was said, counted.

        Raises
        ------
        OutputError
            When the recorder failed; the session was ended in order before.
        """
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work(sink), name=sink.name) for sink in self._sinks]
            recording = group.create_task(self._record(), name="recorder")
            self._say(SessionState("online"))
            self._say_unfit()
            self._reader = group.create_task(self._read(), name="source")
            if self._stopped:
                self._reader.cancel()
            await asyncio.wait([self._reader])
            self._finish()
            await self._close([recording, *workers])
        if self._failure is not None:
            raise self._failure
        return self.tally

    async def _read(self) -> None:
        try:
            async for arrival in self._source:
                if self._recorder is not None:
                    await self._recorder.room()
                for sink in tuple(self._sinks):
                    await sink.room()
                self._take(arrival)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        except HipdriveError as error:
            # the source cannot go on; what came so far is kept, then the error is told
            self._failure = error

    def _take(self, arrival: Arrival) -> None:
        self._last_host_s = arrival.t_host_s
        if self._recorder is not None:
            self._recorder.put(arrival)
        for item in self._router.take(arrival):
            self._feed(item, arrival.t_host_s)
        if isinstance(arrival, LinkState) or arrival.t_host_s >= self._next_health_s:
            self._say_health(arrival.t_host_s)

    def _feed(self, item: CoreInput, t_host_s: float) -> None:
        if isinstance(item, Samples):
            self.tally.span(item)
        else:
            self._say(item)
            if isinstance(item, Command) and item.name in ("mute", "unmute"):
                self._mute(muted=item.name == "mute")
        for said in self._pipeline.feed(item):
            self._say(said)
            if isinstance(said, ProvisionalContact):
                self._time_contact(said, t_host_s)

    def _mute(self, *, muted: bool) -> None:
        if muted is not self._muted:
            self._muted = muted
            self._say(SessionState("online", muted=muted))

    def _time_contact(self, contact: ProvisionalContact, t_host_s: float) -> None:
        """Count how old a contact was when it was received, and how long until its tone was ordered."""
        self.tally.contact_ages.take(t_host_s - self._router.host_from_session(contact.initial_contact_s))
        if self.info.mode is Mode.LIVE:
            self.tally.order_ages.take(time.monotonic() - t_host_s)

    def _say(self, said: Said) -> None:
        if isinstance(said, Motion):
            for sink in self._motion_sinks:
                sink.put(said)
            return
        self.tally.take(said)
        for sink in self._sinks:
            sink.put(said)
        if self._guide is not None:
            for cue in self._guide.consider(said):
                self._say(cue)

    def _say_unfit(self) -> None:
        """Say of a sensor that cannot measure running that it is used all the same."""
        for text in unfit(sensor.board for sensor in self.info.sensors):
            self.tally.warnings.append(text)
            self._say(Notice(0.0, "sensor_unfit", text, 0.0))

    def _say_health(self, t_host_s: float) -> None:
        self._next_health_s = t_host_s + HEALTH_PERIOD_S
        t_s = self._router.session_from_host(t_host_s)
        for chain in self._router.chains.values():
            self._say(self._health(chain, t_s))

    def _health(self, chain: SensorChain, t_s: float) -> LinkHealth:
        health = chain.health(t_s)
        ages = self.tally.contact_ages
        if chain.info.role != Role.PELVIS or not ages.n:
            return health
        return replace(health, contact_age_p50_s=ages.quantile_s(0.5), contact_age_p95_s=ages.quantile_s(0.95))

    def _finish(self) -> None:
        for said in self._pipeline.finish():
            self._say(said)
        for chain in self._router.chains.values():
            self._say(self._health(chain, self.tally.last_s))
        self.tally.finish()
        self._say(SessionState("offline", muted=self._muted))

    # ------------------------------------------------------------ sinks

    async def _work(self, sink: Sink) -> None:
        try:
            await sink.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the run
            self._drop(sink, error)
        finally:
            # whoever waits for room in an outbox that nobody empties any more goes on
            sink.close()

    def _drop(self, sink: Sink, error: Exception) -> None:
        if isinstance(error, HipdriveError):
            detail = str(error)
        else:
            detail = f"{type(error).__name__}: {error}"
            _log.error("the sink %s failed", sink.name, exc_info=error)
        self._sinks = [other for other in self._sinks if other is not sink]
        self._motion_sinks = [other for other in self._motion_sinks if other is not sink]
        self.tally.failures.append(error)
        self._say(SinkState(sink.name, "failed", detail))

    async def _record(self) -> None:
        if self._recorder is None:
            return
        try:
            await self._recorder.run()
        except HipdriveError as error:
            self._failure = error
            self._recorder.close()
            self.stop()

    async def _close(self, workers: Sequence[asyncio.Task[None]]) -> None:
        if self._recorder is not None:
            self._recorder.close()
        for sink in self._sinks:
            sink.close()
        _, hanging = await asyncio.wait(workers, timeout=CLOSING_S)
        for worker in hanging:
            self.tally.warnings.append(f"{worker.get_name()} did not finish within {CLOSING_S:g} s and was ended")
            worker.cancel()
