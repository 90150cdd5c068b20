"""What this computer has and lacks for hipdrive, each check with what to do about it.

No check raises and none hangs: every one has a thread and a time of its own, and all run at once.
"""

from __future__ import annotations

import asyncio
import importlib
import platform
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from sensor_host import places
from sensor_host.config import Config, SoundConfig
from sensor_host.errors import ConfigError, HipdriveError, LinkError

if TYPE_CHECKING:
    from rich.console import RenderableType

# 20 s: a cold start of the player with a slow voice; everything else answers in a second
CHECK_TIMEOUT_S = 20.0

# 3 s: what a broker elsewhere may need to answer
CONNECT_TIMEOUT_S = 3.0

# 0.3 s of listening is enough to be told that there is no adapter, that it is off or that it is denied
LISTEN_S = 0.3

# 200 MB: about ten hours of recording
FREE_BYTES = 200_000_000
BYTES_PER_HOUR = 20_000_000

NEWER_THAN_TESTED = (3, 14)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``advice`` says in one line what to do, also where it works but could be better."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def examine(timeout_s: float = CHECK_TIMEOUT_S) -> list[Check]:
    """Look at everything at once and return the checks in a fixed order."""
    config = _config()
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("python", check_python),
        ("packages", check_packages),
        ("configuration", check_configuration),
        ("folders", lambda: check_folders(config)),
        ("bluetooth", check_bluetooth),
        ("broker", lambda: check_broker(config)),
        ("sound", lambda: check_sound(config)),
        ("speech", lambda: check_speech(config)),
    ]
    if sys.platform == "linux":
        looks.insert(4, ("d-bus", check_dbus))
    return in_time(looks, timeout_s)


def in_time(looks: list[tuple[str, Callable[[], Check]]], timeout_s: float) -> list[Check]:
    """Run all of them side by side; one that fails to look or to end is itself a failed check."""
    answers: queue.SimpleQueue[tuple[str, Check]] = queue.SimpleQueue()

    def look_once(name: str, look: Callable[[], Check]) -> None:
        try:
            answers.put((name, look()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks are still wanted
            told = f"could not be checked: {type(error).__name__}: {error}"
            answers.put(
                (name, Check(name, ok=False, detail=told, advice="report this line, it is a fault of hipdrive"))
            )

    for name, look in looks:
        # Daemons: a check that hangs in a driver must not keep the command from ending.
        threading.Thread(target=look_once, args=(name, look), daemon=True).start()
    found: dict[str, Check] = {}
    until_s = time.monotonic() + timeout_s
    while len(found) < len(looks):
        try:
            name, check = answers.get(timeout=max(until_s - time.monotonic(), 0.0))
        except queue.Empty:
            break
        found[name] = check
    late = f"did not answer within {timeout_s:g} s"
    return [
        found.get(name, Check(name, ok=False, detail=late, advice="see whether this part of the system hangs"))
        for name, _ in looks
    ]


def render(checks: list[Check]) -> RenderableType:
    """Return the checks for rich to print."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for check in checks:
        sign = Text("✓", style="green") if check.ok else Text("✗", style="bold red")
        told = Text(check.detail)
        if check.advice:
            told.append(f"\n→ {check.advice}", style="yellow" if check.ok else "bold")
        table.add_row(sign, Text(check.name, style="bold"), told)
    return table


# ---------------------------------------------------------------- the checks


def check_python() -> Check:
    """See which Python runs this, and on what."""
    detail = f"{platform.python_version()} on {platform.platform(terse=True)}, {platform.machine()}"
    advice = "hipdrive is tested with Python 3.11 to 3.13" if sys.version_info >= NEWER_THAN_TESTED else ""
    return Check("python", ok=True, detail=detail, advice=advice)


def check_packages() -> Check:
    """See that everything hipdrive needs can be imported."""
    try:
        required = metadata.requires("hipdrive") or []
    except metadata.PackageNotFoundError:
        return Check("packages", ok=False, detail="hipdrive is not installed", advice="run: pip install hipdrive")
    found: list[str] = []
    broken: list[str] = []
    for requirement in required:
        if "extra ==" in requirement:
            continue
        name = _distribution(requirement)
        try:
            importlib.import_module(name.replace("-", "_"))
            found.append(f"{name} {metadata.version(name)}")
        except Exception as error:  # noqa: BLE001 - a package may fail in its own way, and that is the finding
            broken.append(f"{name} ({type(error).__name__}: {error})")
    if broken:
        advice = "run: pip install --force-reinstall hipdrive"
        return Check("packages", ok=False, detail=f"cannot be imported: {', '.join(broken)}", advice=advice)
    return Check("packages", ok=True, detail=", ".join(found))


def check_configuration() -> Check:
    """See that the settings of the user and the environment are valid."""
    from sensor_host import settings

    try:
        problems = settings.check()
    except ConfigError as error:
        problems = [error]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = places.user_config_path()
        return Check(
            "configuration",
            ok=False,
            detail=f"{problems[0]}{more}",
            advice=f"mend {where} or the environment; 'hipdrive config check' lists everything",
        )
    path = places.user_config_path()
    return Check("configuration", ok=True, detail=f"valid ({path if path.exists() else 'defaults'})")


def check_folders(config: Config) -> Check:
    """See that sessions and settings can be written, and that there is room for them."""
    sessions = places.sessions_dir(config.recording.directory)
    for folder in (sessions, places.data_dir(), places.config_dir()):
        there = _nearest_existing(folder)
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            return Check(
                "folders",
                ok=False,
                detail=f"{folder} cannot be written: {error.strerror or error}",
                advice=f"make {there} writable for this user, or set recording.directory to another folder",
            )
    free_bytes = shutil.disk_usage(_nearest_existing(sessions)).free
    detail = f"{sessions}, {free_bytes / 1e9:.1f} GB free ({free_bytes / BYTES_PER_HOUR:,.0f} h of recording)"
    if free_bytes < FREE_BYTES:
        advice = "make room on this disk, or set recording.directory to a folder on another one"
        return Check("folders", ok=False, detail=detail, advice=advice)
    return Check("folders", ok=True, detail=detail)


def check_dbus() -> Check:
    """See that the system's D-Bus answers, over which Linux speaks to Bluetooth."""

    async def ask() -> str:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus

        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        return "the system bus answers"

    try:
        return Check("d-bus", ok=True, detail=asyncio.run(ask()))
    except Exception as error:  # noqa: BLE001 - the bus library raises a zoo of its own
        from sensor_host.scan import explain

        told, _, advice = str(explain(error)).partition(": ")
        return Check("d-bus", ok=False, detail=told, advice=advice)


def check_bluetooth() -> Check:
    """See that there is a Bluetooth adapter, that it is on, and that this user may use it."""
    from sensor_host import scan

    try:
        heard = asyncio.run(scan.scan(LISTEN_S))
    except LinkError as error:
        told, _, advice = str(error).partition(": ")
        if "D-Bus" in told:
            told, advice = "cannot be looked at without the system D-Bus", "see to d-bus first"
        return Check("bluetooth", ok=False, detail=told, advice=advice)
    ours = sum(bool(sighting.board) for sighting in heard)
    found = f"{ours} of them for hipdrive" if ours else "'hipdrive scan' listens for longer"
    return Check("bluetooth", ok=True, detail=f"the adapter listens ({len(heard)} devices at once, {found})")


def check_broker(config: Config) -> Check:
    """See that the configured broker answers, or that the embedded one starts."""
    wanted = config.mqtt.broker
    if wanted == "off":
        return Check("broker", ok=True, detail="switched off in the configuration")
    return asyncio.run(_check_embedded(config) if wanted == "embedded" else _check_elsewhere(wanted))


async def _check_embedded(config: Config) -> Check:
    from sensor_host.broker import EmbeddedBroker
    from sensor_host.runtime import find_broker

    running = find_broker()
    if running is not None:
        return Check("broker", ok=True, detail=f"{running.program} runs at {running.url}")
    try:
        async with EmbeddedBroker(config.mqtt) as broker:
            program = broker.program
    except HipdriveError as error:
        advice = "install Mosquitto (Debian: sudo apt-get install mosquitto) or name a broker with --broker"
        return Check("broker", ok=False, detail=str(error), advice=advice)
    better = ""
    if program != "mosquitto":
        better = "Mosquitto is sturdier and smaller (Debian: sudo apt-get install mosquitto)"
    return Check("broker", ok=True, detail=f"{program} starts", advice=better)


async def _check_elsewhere(wanted: str) -> Check:
    from sensor_host.broker_client import BrokerAddress

    try:
        address = BrokerAddress.parse(wanted)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
        writer.close()
    except ConfigError as error:
        return Check("broker", ok=False, detail=str(error), advice="mend mqtt.broker")
    except (OSError, TimeoutError) as error:
        told = f"{wanted} does not answer ({error or 'no answer in time'})"
        return Check("broker", ok=False, detail=told, advice="start it, or mend mqtt.broker; 'embedded' needs none")
    return Check("broker", ok=True, detail=f"{address} takes connections")


def check_sound(config: Config) -> Check:
    """See that sound can be heard, by the player's own account."""
    from sensor_host.player.orders import Ready, Setup, Silent
    from sensor_host.player.process import probe

    sound = config.sound
    if not sound.enabled:
        return Check("sound", ok=True, detail="switched off in the configuration")
    report = probe(Setup(sound.volume, sound.voice or config.cues.language, sound.device))
    if isinstance(report, Ready):
        return Check("sound", ok=True, detail=f"{report.output}, {report.device}{_late(sound, report.device)}")
    if isinstance(report, Silent):
        return Check("sound", ok=False, detail=report.reason, advice=report.advice)
    advice = 'reinstall the sound library: pip install --force-reinstall "hipdrive[sound]"'
    return Check("sound", ok=False, detail="the sound player does not start", advice=advice)


def _late(sound: SoundConfig, device: str) -> str:
    from sensor_host.sound_latency import latency_s

    try:
        late_s = latency_s(sound, device)
    except HipdriveError as error:
        return f"; {error}"
    return f"; heard {1000 * late_s:.0f} ms late" if late_s else ""


def check_speech(config: Config) -> Check:
    """See that something here speaks the configured voice."""
    from sensor_host.player.speech import find_engine

    voice = config.sound.voice or config.cues.language
    engine = find_engine(voice)
    if engine is not None:
        return Check("speech", ok=True, detail=engine.name)
    return Check(
        "speech",
        ok=False,
        detail=f"nothing here speaks {voice!r}; tones stand for words",
        advice='install a voice: sudo apt-get install espeak-ng, or anywhere: pip install "hipdrive[voice]"',
    )


# ---------------------------------------------------------------- small parts


def _config() -> Config:
    from sensor_host import settings

    try:
        return settings.load().config
    except HipdriveError:
        return Config()  # `check_configuration` tells what is wrong with it


def _distribution(requirement: str) -> str:
    """Return the name at the head of a requirement."""
    end = next((i for i, sign in enumerate(requirement) if not (sign.isalnum() or sign in "-_.")), len(requirement))
    return requirement[:end]


def _nearest_existing(folder: Path) -> Path:
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)
