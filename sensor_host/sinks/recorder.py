"""The recorder: keeps every arrival, as it came. The only sink that may end a run.

How it works
------------
1. The file is opened before the run begins: a folder that cannot be written ends nothing that has begun.
2. ``put`` never waits. The outbox has room for hours and fails loudly when it runs over.
3. Arrivals go into the open chunk at once and to the operating system before ``flush_s`` has passed: a killed process
   loses at most that. Writing happens in a thread, so that a slow card never holds up the radio.
4. Now and then the disk is made to keep it (``fsync_s``): a power cut loses at most that.
"""

from __future__ import annotations

import asyncio
import time

from sensor_host.outbox import Outbox, OutboxFullError, Policy
from sensor_host.ports import Arrival
from sensor_host.recording.writer import RecordingWriter

# 4 hours at 26 notifications a second; about 100 MB if a disk really stands still that long
CAPACITY = 400_000

# written before the promised time is over: the write itself takes some of it
FLUSH_SHARE = 0.7

# how often the wall clock is noted beside the host's own
CLOCK_PERIOD_S = 60.0


class Recorder:
    """Takes arrivals and writes them.

    Parameters
    ----------
    writer
        The open recording; the recorder closes it. Made with ``flush_s=None``: the recorder has the say.
    flush_s, fsync_s
        How much a killed process and a power cut may cost.
    policy
        FAIL in a live run; WAIT where the source can be held up.
    note_clock
        Whether the wall clock is noted once a minute (live runs).
    """

    name = "recorder"

    def __init__(
        self,
        writer: RecordingWriter,
        flush_s: float = 1.0,
        fsync_s: float = 10.0,
        *,
        policy: Policy = Policy.FAIL,
        capacity: int = CAPACITY,
        note_clock: bool = False,
    ) -> None:
        self.written = 0
        self._writer = writer
        self._flush_s = flush_s * FLUSH_SHARE
        self._fsync_s = fsync_s
        self._outbox: Outbox[Arrival] = Outbox("the recorder", capacity, policy)
        self._note_clock = note_clock
        self._writing = False

    def put(self, arrival: Arrival) -> None:
        """Take an arrival; never waits, never raises."""
        self._outbox.put(arrival)

    async def room(self) -> None:
        """Return at once, or, with policy WAIT, when there is room."""
        await self._outbox.room()

    def close(self) -> None:
        """Say that nothing more will come; `run` then finishes the file and returns."""
        self._outbox.close()

    async def run(self) -> None:
        """Write until closed.

        Raises
        ------
        OutputError
            When the file cannot be written any more. What was written before stays readable.
        OutboxFullError
            When more is waiting than there is room for.
        """
        try:
            await self._work()
            await asyncio.to_thread(self._writer.close)
        except OutboxFullError:
            # the disk fell behind but works: what was taken is worth a finished file
            await asyncio.to_thread(self._writer.close)
            raise
        except asyncio.CancelledError:
            if not self._writing:
                self._writer.flush()
            raise
        finally:
            self._writer.abandon()

    async def _write_out(self, *, sync: bool) -> None:
        self._writing = True
        await asyncio.to_thread(self._writer.sync if sync else self._writer.flush)
        self._writing = False

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        next_flush_s, next_sync_s, next_clock_s = now_s + self._flush_s, now_s + self._fsync_s, now_s
        while True:
            arrivals: list[Arrival] | None = None
            try:
                async with asyncio.timeout_at(next_flush_s):
                    arrivals = await self._outbox.take(1024)
            except TimeoutError:
                pass  # nothing came: time to flush what is there
            if arrivals is not None and not arrivals:
                return
            for arrival in arrivals or ():
                self._writer.write(arrival)
            self.written += len(arrivals or ())
            now_s = loop.time()
            if now_s < next_flush_s:
                continue
            if self._note_clock and now_s >= next_clock_s:
                self._writer.write_clock(time.monotonic(), time.time_ns())
                next_clock_s = now_s + CLOCK_PERIOD_S
            await self._write_out(sync=now_s >= next_sync_s)
            if now_s >= next_sync_s:
                next_sync_s = now_s + self._fsync_s
            next_flush_s = now_s + self._flush_s
