"""The sound sink: hands cues, the metronome and the sound of steps to the player process and keeps it alive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from pelvis.cues import THROUGH_MUTE
from pelvis.data import Command, Cue, ProvisionalContact, Side, Step, Stride
from sensor_host.config import SoundConfig
from sensor_host.errors import InputError
from sensor_host.outbox import Outbox, Policy
from sensor_host.phrases import words_for, words_of
from sensor_host.player.orders import (
    Beat,
    Cadence,
    Dropped,
    Late,
    Mute,
    Play,
    Played,
    Ready,
    Report,
    Setup,
    Silent,
    SoundName,
)
from sensor_host.player.process import ORDERS_WAITING, PLAYER_COMMAND, PlayerProcess
from sensor_host.player.tempo import CADENCE_LASTS_S
from sensor_host.ports import Said, SessionInfo, SessionState, SinkState
from sensor_host.sonification import CONTACTS, Pace, Sonification
from sensor_host.sound_latency import latency_s

# 0.2 s: later than this a tick belongs to no step any more
TICK_EXPIRES_S = 0.2

# 0.02: who steps within 2 % of the coach's beat has found it
SILENT_WITHIN_RATIO = 0.02

# 0.7: the other ear still hears it, 12 dB softer, so that a single earphone misses nothing
PAN = {Side.LEFT: -0.7, Side.RIGHT: 0.7, Side.UNKNOWN: 0.0}

# A player that crashed is started again after 1, 2, 4 ... 30 s: at once would load a machine that is in trouble.
RESTART_MIN_S = 1.0
RESTART_MAX_S = 30.0

# 60 s: a player that lived this long had no trouble starting; its next crash begins at the shortest pause again
STEADY_S = 60.0


class SoundSink:
    """Plays what the coach says, in the ear.

    A cue is dropped when it is older than its ``expires_s``, counted from the moment of `put`; nothing is queued
    for long, so this sink never holds a replay back. Without a device it says so once and stays silent.

    Parameters
    ----------
    config
        Volume, voice, device, earcon, metronome, and what is made audible.
    session
        Unused but for symmetry with the other sinks.
    words
        Those of every phrase by its id (without: English); they are rendered ahead.
    language
        Of the voice, where none is configured.
    now_s
        Says the session time of this moment, so that contacts are placed in time; without: the metronome's beats do
        not begin with a step.
    report
        Called in the event loop with this sink's state whenever it changes.
    command
        How to start the player.
    restart_min_s
        The first pause before a crashed player is started again.
    """

    name = "sound"

    def __init__(
        self,
        config: SoundConfig,
        session: SessionInfo,
        *,
        words: Mapping[str, str] | None = None,
        language: str = "en",
        now_s: Callable[[], float] | None = None,
        report: Callable[[SinkState], None] | None = None,
        command: Sequence[str] = PLAYER_COMMAND,
        restart_min_s: float = RESTART_MIN_S,
    ) -> None:
        self._session = session
        self._ticks = config.sonify == CONTACTS
        self._sonification = Sonification(config.sonify) if config.sonify not in ("", CONTACTS) else None
        self._sonify_as: SoundName = config.sonify_as
        self._lasting = Beat(config.metronome_spm)
        self._mute = Mute(muted=False)
        self._passing: tuple[Beat, float] | None = None
        self._pace = Pace()
        self._cadence: tuple[Cadence, float] | None = None
        self._now_s = now_s
        self._words = words_of() if words is None else words
        ahead = tuple(dict.fromkeys(text for text in self._words.values() if "{" not in text))
        self._setup = Setup(config.volume, config.voice or language, config.device, ahead, config.earcon)
        self._config = config
        self._report = report
        self._command = command
        self._restart_min_s = restart_min_s
        # None stands for "the player ended". More than the pipe takes would be stale before it is played.
        self._outbox = Outbox[Play | Beat | Cadence | Mute | None](self.name, ORDERS_WAITING, Policy.DROP_OLDEST, _rank)
        self._closing = asyncio.Event()
        self._current: object | None = None
        self._ended = ""
        self._stale = 0
        self._played = 0
        self._state = SinkState(self.name, "waiting", "starting")

    @property
    def state(self) -> SinkState:
        return self._state

    @property
    def played(self) -> int:
        """How many cues were heard."""
        return self._played

    def put(self, item: Said) -> None:
        match item:
            case Cue(kind="metronome"):
                passing = _passing(item)
                self._passing = (passing, time.monotonic() + passing.duration_s) if passing else None
                self._outbox.put(passing or self._lasting)
            case Command(name="metronome"):
                self._lasting, self._passing = _lasting(item), None
                self._outbox.put(self._lasting)
            case Cue():
                self._outbox.put(
                    Play(
                        "chime" if item.kind == "chime" else "cue",
                        time.monotonic() + item.expires_s,
                        words="" if item.kind == "chime" else words_for(item, self._words),
                        pan=PAN[item.side],
                        priority=item.priority,
                        through_mute=item.rule in THROUGH_MUTE,
                        order_id=item.cue_id,
                    )
                )
            case SessionState(muted=muted) if muted is not self._mute.muted:
                self._mute = Mute(muted=muted)
                self._outbox.put(self._mute)
            case ProvisionalContact() if self._ticks:
                self._outbox.put(Play("tick", time.monotonic() + TICK_EXPIRES_S, pan=PAN[item.side]))
            case Step() | Stride():
                self._hear(item)
            case _:
                pass

    def _hear(self, item: Step | Stride) -> None:
        if isinstance(item, Step) and (rhythm := self._pace.hear(item)) is not None:
            age_s = None if self._now_s is None else self._now_s() - rhythm.contact_s
            now_s = time.monotonic()
            self._cadence = Cadence(rhythm.cadence_spm, None if age_s is None else now_s - age_s), now_s
            self._outbox.put(self._cadence[0])
        if self._sonification is not None and (height := self._sonification.hear(item)) is not None:
            expires_s = time.monotonic() + TICK_EXPIRES_S
            self._outbox.put(Play(self._sonify_as, expires_s, pan=PAN[item.side], height=height))

    async def room(self) -> None:
        """Return at once: sound never holds anything back."""

    async def run(self) -> None:
        pause_s = self._restart_min_s
        while not self._outbox.closed:
            started_s = time.monotonic()
            await self._play()
            if self._outbox.closed:
                break
            if time.monotonic() - started_s > STEADY_S:
                pause_s = self._restart_min_s
            self._say("failed", f"the sound player ended ({self._ended}); it starts again in {pause_s:g} s")
            try:
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
            except TimeoutError:
                pause_s = min(2 * pause_s, RESTART_MAX_S)
        self._outbox.discard()
        self._say("closed", "")

    def close(self) -> None:
        self._closing.set()
        self._outbox.close()

    async def _play(self) -> None:
        """Run one player until it or the session ends."""
        loop = asyncio.get_running_loop()
        current = object()
        self._current = current

        def tell(report: Report) -> None:
            trouble = self._tell_latency(player, report) if isinstance(report, Ready) else ""
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
                loop.call_soon_threadsafe(self._heard, report, trouble)

        def ended(code: int, complaint: str) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._player_ended, current, code, complaint)

        try:
            player = PlayerProcess(tell, ended, self._command)
        except OSError as error:
            self._ended = str(error)
            return
        try:
            player.send(self._setup)
            for standing in self._standing():
                player.send(standing)
            while orders := await self._outbox.take():
                for order in orders:
                    if order is None:
                        return
                    if player.send(order):
                        continue
                    self._stale += 1
                    if isinstance(order, Mute | Beat):
                        # What lasts must not be missed: a new player is told all of it.
                        self._ended = "it took no more orders"
                        return
        finally:
            self._current = None
            await asyncio.to_thread(player.close)

    def _standing(self) -> Iterator[Mute | Cadence | Beat]:
        """Yield what was ordered before and still holds."""
        now_s = time.monotonic()
        yield self._mute
        if self._cadence is not None and now_s < self._cadence[1] + CADENCE_LASTS_S:
            yield self._cadence[0]
        yield self._lasting
        if self._passing is not None and now_s < self._passing[1]:
            yield msgspec.structs.replace(self._passing[0], duration_s=self._passing[1] - now_s)

    def _tell_latency(self, player: PlayerProcess, ready: Ready) -> str:
        """Let the player know how late its device is heard; return why that cannot be known, or nothing. May wait."""
        try:
            player.send(Late(latency_s(self._config, ready.device)))
        except InputError as error:
            return str(error)
        return ""

    def _player_ended(self, player: object, code: int, complaint: str) -> None:
        if player is self._current:
            self._ended = complaint or f"exit code {code}"
            self._outbox.put(None)

    def _heard(self, report: Report, trouble: str = "") -> None:
        match report:
            case Ready():
                said = [f"{report.output}, {report.device}", report.voice, report.advice, trouble]
                self._say("ready", "; ".join(part for part in said if part))
            case Silent():
                self._say("waiting", f"{report.reason}: {report.advice}")
            case Dropped():
                self._stale += report.reason == "stale"
            case Played():
                self._played += report.sound in ("cue", "chime")

    def _say(self, state: str, detail: str) -> None:
        self._state = SinkState(self.name, state, detail, self._outbox.dropped + self._stale)
        if self._report is not None:
            self._report(self._state)


def _lasting(command: Command) -> Beat:
    """Return the order that a command "metronome" is; none where its value is no number."""
    try:
        return Beat(float(command.value))
    except ValueError:
        return Beat(0.0)


def _passing(cue: Cue) -> Beat | None:
    """Return the order that a cue of kind "metronome" is, None where it ends the coach's metronome."""
    given = cue.parameters
    if float(given.get("seconds", 0.0)) <= 0:
        return None
    return Beat(
        float(given["target_spm"]),
        float(given["seconds"]),
        float(given.get("silent_within_ratio", SILENT_WITHIN_RATIO)),
    )


def _rank(order: Play | Beat | Cadence | Mute | None) -> int:
    """Let what belongs to a step go first when there are too many orders; that the player ended is never lost."""
    match order:
        case None | Mute():
            return 3
        case Beat():
            return 2
        case Play(sound="cue" | "chime"):
            return 1
        case _:
            return 0
