"""Every option of the host, declared once: name, type, range, default.

Order of precedence: defaults (here) < user file < runner's file < environment < flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

Port: TypeAlias = Annotated[int, Meta(ge=0, le=65535)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0.0)]
Level: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the configuration."""


class SensorConfig(Section, frozen=True):
    """Which sensor to look for and how to judge its silence.

    `board` is "auto" (any that is recognised) or a key of BOARDS; `which` is a nickname, a name or an address, or
    empty: then it is the one used last, else the nearest.
    """

    board: str = "auto"
    which: str = ""
    placement: Literal["sacrum", "waist_front", "waist_side"] = "sacrum"
    # use a sensor that cannot measure running; its runs say so
    force: bool = False
    scan_timeout_s: Annotated[float, Meta(gt=0, le=600)] = 30.0
    # 3 s: ten times the longest pause a healthy link shows between notifications of 8 samples
    watchdog_s: Annotated[float, Meta(gt=0, le=60)] = 3.0
    reconnect_min_s: Annotated[float, Meta(gt=0, le=60)] = 0.5
    reconnect_max_s: Annotated[float, Meta(gt=0, le=300)] = 8.0


class HeartRateConfig(Section, frozen=True):
    """A heart-rate strap beside the sensor.

    `which` is "off", "any" (the one used last; before there is one, the nearest), or a nickname, a name or an address.
    """

    which: str = "off"
    # 10 s: a strap says something every second, and less often while it searches for the heart
    watchdog_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    # 5 s of listening, then a pause: listening costs the radio time, which belongs to the sensor at the pelvis
    scan_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    reconnect_min_s: Annotated[float, Meta(gt=0, le=60)] = 2.0
    reconnect_max_s: Annotated[float, Meta(gt=0, le=300)] = 30.0


class SimulationConfig(Section, frozen=True):
    """The simulated runner of `demo` and `simulate`."""

    speed_mps: Annotated[float, Meta(ge=2.0, le=6.5)] = 3.2
    seed: Annotated[int, Meta(ge=0)] = 1
    standing_s: Annotated[float, Meta(ge=0, le=60)] = 5.0


class RecordingConfig(Section, frozen=True):
    """Where and how sessions are kept. An empty directory means the platform's place for user data."""

    enabled: bool = True
    directory: str = ""
    flush_s: Annotated[float, Meta(gt=0, le=1.0)] = 1.0
    fsync_s: Annotated[float, Meta(gt=0, le=600)] = 10.0


class MqttConfig(Section, frozen=True):
    """The broker and what is published. `broker` is "embedded", "off" or mqtt(s)://[user@]host[:port]."""

    broker: str = "embedded"
    bind: str = "127.0.0.1"
    port: Port = 0
    topic_root: Level = "hipdrive"
    password_env: str = "HIPDRIVE_MQTT_PASSWORD"  # noqa: S105 - the name of a variable, no password
    samples: Literal["auto", "on", "off"] = "auto"
    outbox_items: Annotated[int, Meta(ge=16, le=1_000_000)] = 2048
    history_s: Annotated[float, Meta(ge=0, le=3600)] = 300.0


class SoundConfig(Section, frozen=True):
    """What is heard on the host. An empty ``voice`` is one that speaks ``cues.language``.

    ``latency_ms`` is how late the device is heard; 0: as `hipdrive doctor --audio` measured it.
    ``sonify`` is "contacts" (a tick for each), a metric (a sound for each step), or empty; `sensor_host.sonification`.
    """

    enabled: bool = True
    volume: Annotated[float, Meta(ge=0, le=1)] = 0.6
    voice: str = ""
    device: str = ""
    latency_ms: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    earcon: Literal["short", "long"] = "short"
    metronome_spm: Annotated[float, Meta(ge=0, le=300)] = 0.0
    sonify: str = ""
    sonify_as: Literal["note", "rustle"] = "note"


class PageConfig(Section, frozen=True):
    """The phone page: off, for this computer alone, or for its network; with a certificate and its key over HTTPS.

    ``host`` is the address or name that stands in the link; empty: one that phones can probably reach.
    """

    serve: Literal["off", "local", "lan"] = "off"
    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]*$", max_length=253)] = ""
    port: Port = 0
    certificate: str = ""
    key: str = ""

    @property
    def tls(self) -> bool:
        """Whether it is served over HTTPS."""
        return bool(self.certificate)


class ConsoleConfig(Section, frozen=True):
    """The live table."""

    enabled: bool = True
    refresh_hz: Annotated[float, Meta(gt=0, le=30)] = 4.0


class RunnerConfig(Section, frozen=True):
    """Who runs; the profile file of that name holds the rest. ``calibrated``: the profile's calibrations are used."""

    name: Level = "runner"
    calibrated: bool = True


class CueTerm(Section, frozen=True):
    """A change of one metric; stands in ``when`` of a rule. Semantics: `pelvis.rules.Term`."""

    metric: str
    direction: Literal["above", "below"]
    threshold: Annotated[float, Meta(gt=0)]
    relative: bool = False
    target: Annotated[float, Meta(ge=0)] = 0.0


class CueRule(Section, frozen=True):
    """One fault the coach listens for; a table [[cues.rules]] in TOML. Semantics: `pelvis.rules.CueRule`."""

    name: str
    when: tuple[CueTerm, ...]
    phrase: str = ""
    alternate: str = ""
    needs: Literal["all", "any", "mean"] = "all"
    dwell_s: Annotated[float, Meta(ge=0, le=600)] = 20.0
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    per_side: bool = False
    within_run: bool = False
    metronome_s: Annotated[float, Meta(ge=0, le=600)] = 0.0
    enter_z: Annotated[float, Meta(ge=0, le=10)] = 0.0
    same_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0


class CuesConfig(Section, frozen=True):
    """When the coach may speak; no rules mean the built-in ones. Semantics: `pelvis.rules.CueSettings`.

    ``min_runs`` goes up to `pelvis.baselines.RUNS_KEPT`, ``rep_s`` to `pelvis.blocks.REP_S`.
    ``plan`` lets the cues fade over eight runs. ``language`` is that of all phrases (`sensor_host.phrases`);
    ``phrases`` are words to use in place of its own, by the phrases' ids.
    """

    enabled: bool = True
    language: Literal["en", "de"] = "en"
    phrases: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    warm_up_s: Seconds = 480.0
    learn_s: Seconds = 300.0
    settle_s: Seconds = 5.0
    dwell_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0
    exit_s: Seconds = 10.0
    enter_z: Annotated[float, Meta(ge=0, le=10)] = 1.5
    exit_z: Annotated[float, Meta(ge=0, le=10)] = 0.75
    second_z: Annotated[float, Meta(ge=0, le=10)] = 2.5
    between_s: Seconds = 90.0
    same_s: Seconds = 180.0
    chime_every_s: Seconds = 180.0
    per_hour: Annotated[int, Meta(ge=0, le=60)] = 12
    window_steps: Annotated[int, Meta(ge=4, le=400)] = 25
    min_quality: Annotated[float, Meta(ge=0, le=1)] = 0.8
    min_runs: Annotated[int, Meta(ge=1, le=8)] = 4
    expires_s: Annotated[float, Meta(gt=0, le=30)] = 4.0
    plan: bool = False
    rep_s: Annotated[float, Meta(ge=0, le=150)] = 0.0
    heart_rate_max_bpm: Annotated[float, Meta(ge=0, le=250)] = 0.0
    split_m: Annotated[float, Meta(ge=0, le=50_000)] = 0.0
    rules: tuple[CueRule, ...] = ()


class GuideConfig(Section, frozen=True):
    """The voice that leads through the start of a run and says how the sensor stands; a replay is without it."""

    enabled: bool = True


class Config(Section, frozen=True):
    """The whole configuration."""

    runner: RunnerConfig = RunnerConfig()
    sensor: SensorConfig = SensorConfig()
    heart_rate: HeartRateConfig = HeartRateConfig()
    simulation: SimulationConfig = SimulationConfig()
    recording: RecordingConfig = RecordingConfig()
    mqtt: MqttConfig = MqttConfig()
    sound: SoundConfig = SoundConfig()
    page: PageConfig = PageConfig()
    console: ConsoleConfig = ConsoleConfig()
    cues: CuesConfig = CuesConfig()
    guide: GuideConfig = GuideConfig()


def words_in_use(config: Config) -> Mapping[str, str]:
    """Return the words of every phrase by its id: the language's, and the user's own over them."""
    from sensor_host.phrases import words_of

    return {**words_of(config.cues.language), **config.cues.phrases}
