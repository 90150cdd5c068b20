"""What `demo`, `run` and `replay` share: bring source, session and sinks together, end in order, say how it was."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import click
import msgspec

from sensor_host import places
from sensor_host.baselines import added, learn
from sensor_host.boards import unfit
from sensor_host.broker_client import hush_clients
from sensor_host.calibration import calibrations_in_use
from sensor_host.commands.options import SessionOptions
from sensor_host.config import Config, words_in_use
from sensor_host.errors import BrokerError, ConfigError, HipdriveError
from sensor_host.guide import Guide
from sensor_host.keyboard import Keyboard, open_keyboard
from sensor_host.keys import press
from sensor_host.outbox import Policy
from sensor_host.ports import Mode, Notification, SessionInfo, Source
from sensor_host.recording.writer import RecordingWriter
from sensor_host.runners import Profile
from sensor_host.runners import encode as encode_profile
from sensor_host.runners import load as load_profile
from sensor_host.runners import save as save_profile
from sensor_host.session import Session
from sensor_host.settings import core_settings, encode
from sensor_host.sinks.recorder import Recorder
from sensor_host.summary import Tally

EMBEDDED, OFF = "embedded", "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a run is to be conducted.

    ``paced`` says that it takes the time a real run takes: then sinks drop what they cannot keep up with, else
    they hold the source back. ``for_s`` ends it after so many seconds of this computer's time.
    """

    config: Config
    profile: Profile
    record: bool
    shared: SessionOptions = field(default_factory=SessionOptions)
    paced: bool = True
    guide: bool = True
    for_s: float | None = None
    replay_of: str = ""
    openings: tuple[Notification, ...] = ()

    @property
    def console(self) -> bool:
        """Whether a live table is shown, as far as the configuration agrees."""
        return not (self.shared.no_console or self.shared.as_json)


@dataclass(slots=True)
class Outcome:
    """What became of a run."""

    info: SessionInfo
    tally: Tally
    recording: Path | None = None
    broker: str = ""
    profile: str = ""
    failures: list[HipdriveError] = field(default_factory=list[HipdriveError])


def conduct(source: Source, plan: Plan) -> None:
    """Run a session on ``source`` until it is exhausted, time is up or the user ends it; then print the summary.

    Raises
    ------
    HipdriveError
        When it could not begin, and, after the summary, when the recorder or a sink failed.
    KeyboardInterrupt
        When the user ended it before it began, or twice.
    """
    logging.basicConfig(level=logging.WARNING, format="hipdrive: warning: %(message)s", stream=sys.stderr)
    # what bleak warns of is said by the link, in words for people
    logging.getLogger("bleak").setLevel(logging.ERROR)
    with EndRequest() as end, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            outcome = runner.run(_conduct(source, plan, end))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    keep_run(outcome, plan)
    _tell(outcome, plan)
    if outcome.failures:
        raise outcome.failures[0]


def keep_run(outcome: Outcome, plan: Plan) -> None:
    """Note in the profile what a live run adds: what was usual in it, and a run of the plan whose cues fade.

    The latter where the run outlasted the warm-up. What goes wrong here is told after the summary.
    """
    if outcome.info.mode is not Mode.LIVE:
        return
    info, tally, cues = outcome.info, outcome.tally, plan.config.cues
    try:
        # as it is now: it may have been changed during the run
        profile = load_profile(plan.profile.runner)
        following = learn(profile, info.session_id, info.start_utc, tally.baselines)
        outcome.profile = added(following, info.session_id)
        if cues.enabled and cues.plan and tally.activity_s.get("running", 0.0) > cues.warm_up_s:
            following = msgspec.structs.replace(following, coached_runs=following.coached_runs + 1)
        if following != profile:
            save_profile(following)
    except HipdriveError as error:
        outcome.profile = "this run could not be kept in it"
        if outcome.failures:
            # of several failures the first is told at the end
            tally.warnings.append(str(error))
        outcome.failures.append(error)


class EndRequest:
    """The user's wish to end (Ctrl-C, or SIGTERM from a service manager): the first is passed on, the second aborts."""

    def __init__(self) -> None:
        self._end: Callable[[], object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = False
        self._before: dict[int, signal.Handlers | int | Callable[[int, FrameType | None], object] | None] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def call(self, end: Callable[[], object]) -> None:
        """Let ``end`` be called in the running loop when the user wants to end; in place of what was to be called."""
        self._end, self._loop = end, asyncio.get_running_loop()

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the system's signature
        if self._asked or self._loop is None or self._end is None:
            raise KeyboardInterrupt
        self._asked = True
        self._loop.call_soon_threadsafe(self._end)


async def _conduct(source: Source, plan: Plan, end: EndRequest) -> Outcome:
    config = plan.config
    hush_clients(asyncio.get_running_loop())
    task = asyncio.current_task()
    assert task is not None
    end.call(task.cancel)
    async with AsyncExitStack() as stack:
        # the sensor first, for without one there is nothing to do; the file last, for it must not stay behind empty
        await stack.enter_async_context(source)
        _refuse_unfit(source, config)
        outcome = Outcome(_describe(source, plan), Tally())
        url = await _open_broker(stack, outcome, config)
        recorder = _open_recorder(outcome, plan) if plan.record else None
        motion = url is not None and config.mqtt.samples != "off"
        settings = core_settings(config, plan.profile, motion=motion)
        guide = Guide() if plan.guide and config.guide.enabled else None
        session = Session(outcome.info, source, settings, recorder, plan.openings, guide)
        session.tally.warnings += outcome.tally.warnings
        session.tally.calibrations = calibrations_in_use(plan.profile, calibrated=config.runner.calibrated)
        outcome.tally = session.tally
        session.tally.words = words_in_use(config)
        keyboard = _keyboard(session, plan)
        _add_sinks(session, plan, url, keys=keyboard is not None)
        end.call(session.stop)
        if plan.for_s is not None:
            asyncio.get_running_loop().call_later(plan.for_s, session.stop)
        if keyboard is not None:
            stack.enter_context(keyboard)
        try:
            await session.run()
        except HipdriveError as error:
            outcome.failures.append(error)
    outcome.failures += [error for error in session.tally.failures if isinstance(error, HipdriveError)]
    mqtt = session.tally.sinks.get("mqtt")
    if mqtt is not None and mqtt.state in ("waiting", "failed"):
        why = mqtt.detail.partition(";")[0]
        outcome.failures.append(BrokerError(f"{why}; {mqtt.dropped} messages of this run were not published"))
    return outcome


def _refuse_unfit(source: Source, config: Config) -> None:
    """Raise `ConfigError` for a sensor that cannot measure running, unless the user insists."""
    if source.mode is Mode.LIVE and not config.sensor.force:
        for text in unfit(sensor.board for sensor in source.sensors):
            raise ConfigError(
                f"{text}; use another sensor, or insist with --force (sensor.force = true)", path="sensor.force"
            )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    # Windows' default loop has no add_reader, which the MQTT client needs
    return asyncio.SelectorEventLoop if sys.platform == "win32" else None


def _describe(source: Source, plan: Plan) -> SessionInfo:
    start = datetime.now(UTC)
    offset = start.astimezone().utcoffset()
    runner = plan.config.runner.name
    return SessionInfo(
        # readable and in order of time; two computers that start in the same second differ in the last letters
        session_id=f"{start:%Y%m%dT%H%M%SZ}-{runner}-{secrets.token_hex(2)}",
        runner=runner,
        mode=source.mode,
        start_utc=f"{start:%Y-%m-%dT%H:%M:%S.%f}Z",
        utc_offset_s=int(offset.total_seconds()) if offset else 0,
        sensors=source.sensors,
        replay_of=plan.replay_of,
    )


def _open_recorder(outcome: Outcome, plan: Plan) -> Recorder:
    path = places.sessions_dir(plan.config.recording.directory) / f"{outcome.info.session_id}.mcap"
    writer = RecordingWriter(
        path,
        outcome.info,
        encode(plan.config),
        encode_profile(plan.profile),
        flush_s=None,
        anchor_host_s=time.monotonic() if outcome.info.mode is Mode.LIVE else None,
        config_type="application/json",
        profile_type="application/json",
    )
    outcome.recording = path
    return Recorder(
        writer,
        plan.config.recording.flush_s,
        plan.config.recording.fsync_s,
        policy=Policy.FAIL if plan.paced else Policy.WAIT,
        note_clock=plan.paced,
    )


async def _open_broker(stack: AsyncExitStack, outcome: Outcome, config: Config) -> str | None:
    """Return the broker's address; None where there is none: then the run goes on without MQTT and says so."""
    from sensor_host.broker import EmbeddedBroker
    from sensor_host.broker_client import BrokerAddress

    if config.mqtt.broker == OFF:
        return None
    if config.mqtt.broker != EMBEDDED:
        outcome.broker = str(BrokerAddress.parse(config.mqtt.broker))
        return config.mqtt.broker
    try:
        broker = await stack.enter_async_context(EmbeddedBroker(config.mqtt))
    except BrokerError as error:
        outcome.tally.warnings.append(f"no MQTT in this run: {error}")
        return None
    outcome.broker = f"{broker.url} ({broker.program})"
    return broker.url


def _keyboard(session: Session, plan: Plan) -> Keyboard | None:
    """Return the keyboard, where there is one and a screen that names its keys."""
    if not (plan.console and plan.config.console.enabled and sys.stdout.isatty()):
        return None
    return open_keyboard(lambda sign: press(sign, session))


def _add_sinks(session: Session, plan: Plan, url: str | None, *, keys: bool) -> None:
    config, words = plan.config, session.tally.words
    policy = Policy.DROP_OLDEST if plan.paced else Policy.WAIT
    if url is not None:
        from sensor_host.sinks.mqtt import MqttSink

        mqtt = MqttSink(
            config.mqtt,
            session.info,
            inject=session.inject,
            policy=policy,
            url=url,
            words=words,
            report=session.report,
        )
        session.add(mqtt, motion=config.mqtt.samples != "off")
    if config.page.serve != OFF:
        from sensor_host.commands.paging import add_page

        # a summary as JSON has standard output to itself
        add_page(session, config, url, aside=plan.shared.as_json)
    if plan.shared.view:
        _add_window(session, config, url)
    if not plan.shared.no_sound and config.sound.enabled:
        from sensor_host.sinks.sound import SoundSink

        sound = SoundSink(
            config.sound,
            session.info,
            words=words,
            language=config.cues.language,
            now_s=session.now_s,
            report=session.report,
        )
        session.add(sound)
    if plan.console and config.console.enabled:
        from sensor_host.sinks.console import ConsoleSink

        session.add(ConsoleSink(config.console, session.info, words=words, keys=keys))


def _add_window(session: Session, config: Config, url: str | None) -> None:
    if url is None:
        session.tally.warnings.append("no window in this run: it lives on MQTT, and there is none")
        return
    from sensor_host.sinks.window import WindowSink

    session.add(WindowSink(config.mqtt, url, session.info.runner, report=session.report))


def _tell(outcome: Outcome, plan: Plan) -> None:
    from sensor_host.commands.output import print_summary, write_summary

    info = outcome.info
    facts: dict[str, object] = {"session": info.session_id, "mode": str(info.mode), "runner": info.runner}
    if info.replay_of:
        facts["replay_of"] = info.replay_of
    if outcome.broker:
        facts["broker"] = outcome.broker
    if outcome.recording is not None:
        facts["recording"] = str(outcome.recording)
    if outcome.profile:
        facts["profile"] = outcome.profile
    if plan.shared.summary is not None:
        write_summary(plan.shared.summary, facts, outcome.tally)
    if not plan.shared.as_json:
        click.echo()
    print_summary(facts, outcome.tally, as_json=plan.shared.as_json)
