"""What every test may lean on: system programs, real data where it is installed, a home folder of its own.

Two environment variables rule what is skipped:

HIPDRIVE_NO_SKIP=1   a missing system program fails the test instead of skipping it
HIPDRIVE_DATA        folder with the public data sets that hold ground truth (rbds/, sisfall/, walking/, alcantara/)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bluetooth import Bluetooth, OpenBluetooth, Spec
from ear import Ear, NoEarError, open_ear
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from sensor_host.validation.measured import Measured

Needs = Callable[[str], str]

DATA_SETS = ("rbds", "sisfall", "walking", "alcantara")

# Debian keeps brokers and daemons where an ordinary user's PATH does not look.
PROGRAM_PATH = os.pathsep.join(
    (os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
)

# Windows are drawn where nobody sees them, on machines without a display too; a test that wants a real one asks for it.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# Time on a loaded machine says nothing about a property; the same examples everywhere make a failure repeatable.
settings.register_profile(
    "hipdrive", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("hipdrive")


def nothing_may_be_skipped() -> bool:
    return os.environ.get("HIPDRIVE_NO_SKIP", "") not in ("", "0")


def skip_or_fail(reason: str) -> None:
    """Skip with the reason, or fail with it where nothing may be skipped."""
    if nothing_may_be_skipped():
        pytest.fail(f"{reason} (HIPDRIVE_NO_SKIP is set)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def needs() -> Needs:
    """Return the path of a program, or skip: ``needs("mosquitto_sub")``."""

    def find(program: str) -> str:
        path = shutil.which(program, path=PROGRAM_PATH)
        if path is None:
            skip_or_fail(f"the program {program} is not installed")
        assert path is not None
        return path

    return find


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the public data sets with truth; skip where HIPDRIVE_DATA does not name one."""
    named = os.environ.get("HIPDRIVE_DATA", "")
    if not named:
        pytest.skip("HIPDRIVE_DATA names no folder with the public data sets")
    folder = Path(named)
    missing = [name for name in DATA_SETS if not (folder / name).is_dir()]
    if missing:
        skip_or_fail(f"HIPDRIVE_DATA={named} lacks {', '.join(missing)}")
    return folder


@pytest.fixture(scope="session")
def measured(data_dir: Path) -> Measured:
    """The accuracy on the public data sets; what one test has measured, the next finds."""
    from sensor_host.validation.measured import Measured

    return Measured(data_dir)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test, and the children it starts, an empty home: no test reads or writes the user's own files."""
    folder = tmp_path_factory.mktemp("home")
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    for name in [n for n in os.environ if n.startswith("HIPDRIVE_") and n not in ("HIPDRIVE_NO_SKIP", "HIPDRIVE_DATA")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("USERPROFILE", str(folder))  # Windows
    monkeypatch.setenv("APPDATA", str(folder / "config"))
    monkeypatch.setenv("LOCALAPPDATA", str(folder / "data"))
    # A width of its own for every screen, so that rich and click render the same everywhere.
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return folder


# ---------------------------------------------------------------- Bluetooth


@pytest.fixture
def open_bluetooth(
    needs: Needs, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> OpenBluetooth:
    """Return what opens a Bluetooth of its own with these sensors in reach, for this test and its children."""
    daemon = needs("dbus-daemon")
    if find_spec("bumble") is None:
        skip_or_fail("bumble is not installed (the extra virtual)")

    @contextlib.asynccontextmanager
    async def open_it(*sensors: Spec, **setting: Any) -> AsyncIterator[Bluetooth]:
        async with Bluetooth(tmp_path_factory.mktemp("dbus"), daemon, *sensors, **setting) as bluetooth:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
            yield bluetooth

    return open_it


# ---------------------------------------------------------------- sound


@pytest.fixture(scope="session")
def sound_server(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ear]:
    """Start PulseAudio with a null sink in a folder of its own; nothing of the user's is touched."""
    programs = [needs(name) for name in ("pulseaudio", "parec", "pactl")]
    try:
        with open_ear(tmp_path_factory.mktemp("pa"), *programs, PROGRAM_PATH) as ear:
            yield ear
    except NoEarError as error:
        skip_or_fail(str(error))


@pytest.fixture
def ear(sound_server: Ear, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Make the private sound server the only one this test and its children can find."""
    monkeypatch.setenv("PULSE_SERVER", sound_server.address)
    yield sound_server
    sound_server.plug_in()


@pytest.fixture
def no_sound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the sound server away; skip on a machine with a sound card, which cannot be hidden."""
    cards = Path("/proc/asound/cards")
    if sys.platform != "linux" or (cards.exists() and "no soundcards" not in cards.read_text(encoding="utf-8")):
        pytest.skip("this machine has a sound card")
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'nobody'}")
