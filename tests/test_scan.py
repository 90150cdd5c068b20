"""What is said when the radio, the bus or the sensor lets one down: errors as they were caught, and the words for them.

Names and texts of the errors come from bluetoothd 5.66 and dbus-daemon 1.14 through bleak 3.1 (docs/bluez.md says in
which situation); those that only systemd gives are marked.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak_retry_connector import BleakConnectionError, BleakNotFoundError

from sensor_host.errors import LinkError
from sensor_host.scan import explain, scan

FREEDESKTOP = "org.freedesktop.DBus.Error"
POLICY = 'Rejected send message, 3 matched rules; type="method_call", sender=":1.5" (uid=65534 pid=132 comm="python")'


def wrapped(kind: type[Exception], error: Exception) -> Exception:
    """Return what bleak-retry-connector makes of an error after its last attempt."""
    made = kind(f"RIMU 7A - C0:FF:EE:00:00:7A: Failed to connect after 2 attempt(s): {error}")
    made.__cause__ = error
    return made


def unavailable(reason: str, said: str) -> Exception:
    return BleakBluetoothNotAvailableError(said, BleakBluetoothNotAvailableReason[reason])


CAUGHT: list[tuple[str, Exception, str]] = [
    ("no D-Bus", FileNotFoundError(2, "No such file or directory"), "no system D-Bus.*apt install dbus bluez"),
    ("D-Bus ended", ConnectionRefusedError(111, "Connection refused"), "no system D-Bus"),
    ("D-Bus ends in mid-run", EOFError(), "no system D-Bus"),
    (
        "no BlueZ installed",
        BleakDBusError(f"{FREEDESKTOP}.ServiceUnknown", ["The name org.bluez was not provided by any .service files"]),
        "service does not run: install and start it.*apt install bluez",
    ),
    (
        "BlueZ ended, no systemd",
        BleakDBusError(f"{FREEDESKTOP}.Spawn.ChildExited", ["Launch helper exited with unknown return code 1"]),
        "service does not run",
    ),
    (  # systemd, blueman-project/blueman#836
        "BlueZ switched off in systemd",
        BleakDBusError("org.freedesktop.systemd1.NoSuchUnit", ["Unit dbus-org.bluez.service not found."]),
        "systemctl enable --now bluetooth",
    ),
    (
        "BlueZ does not start, as with systemd where there is no adapter",
        BleakDBusError(
            f"{FREEDESKTOP}.TimedOut",
            ["Failed to activate service 'org.bluez': timed out (service_start_timeout=25000ms)"],
        ),
        "no Bluetooth adapter.*systemctl status bluetooth",
    ),
    ("denied by a policy", BleakDBusError(f"{FREEDESKTOP}.AccessDenied", [POLICY]), "join the group bluetooth"),
    ("no adapter", unavailable("NO_BLUETOOTH", "No Bluetooth adapters found."), "no Bluetooth adapter was found"),
    (
        "switched off",
        unavailable("POWERED_OFF", "No powered Bluetooth adapters found. Turn on Bluetooth and try again."),
        "switched off: switch it on.*rfkill unblock bluetooth",
    ),
    (
        "a scan at work",
        BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"]),
        "wait a moment",
    ),
    ("out of reach", wrapped(BleakNotFoundError, TimeoutError()), "heard but does not answer: bring it near"),
    (
        "forgotten",
        wrapped(BleakNotFoundError, BleakError("device 'dev_C0_FF_EE_00_00_7A' not found")),
        "out of reach or was switched off",
    ),
    ("forgotten, later", BleakDeviceNotFoundError("C0:FF:EE:00:00:7A", "Device not found"), "out of reach"),
    (
        "forgotten in mid-run",
        BleakDBusError(
            f"{FREEDESKTOP}.UnknownObject",
            ['Method "Disconnect" with signature "" on interface "org.bluez.Device1" doesn\'t exist\n'],
        ),
        "out of reach",
    ),
    (
        "dropped while connecting",
        wrapped(BleakConnectionError, BleakError("failed to discover services, device disconnected")),
        "dropped while it was made",
    ),
    ("connected anew before the drop was over", BleakError("Client is already connected"), "dropped"),
    ("dropped before a write", BleakError("Service Discovery has not been performed yet"), "dropped"),
    (
        "held by another program",
        BleakDBusError("org.bluez.Error.NotPermitted", ["Notify acquired"]),
        "another program on this computer holds",
    ),
    (
        "a command refused",
        BleakGATTProtocolError(0x80),
        r"refuses what it is asked for \(ATT error 0x80, Application-specific Error 0x80\): switch it off and on",
    ),
    ("a wrong length", BleakGATTProtocolError(0x0D), r"ATT error 0x0d, Invalid Attribute Value Length"),
    ("wants to be paired", BleakGATTProtocolError(0x08), "paired first"),
]


@pytest.mark.parametrize(("error", "says"), [each[1:] for each in CAUGHT], ids=[each[0] for each in CAUGHT])
def test_every_error_that_was_caught_has_words_that_say_what_to_do(error: Exception, says: str) -> None:
    told = explain(error)
    assert told.exit_code == 5
    with pytest.raises(LinkError, match=says):
        raise told


@pytest.mark.parametrize("error", [each[1] for each in CAUGHT], ids=[each[0] for each in CAUGHT])
def test_no_words_are_those_of_a_program(error: Exception) -> None:
    told = str(explain(error))
    assert "\n" not in told
    for inside in ("org.", "Bleak", "Error.", "exception", "(s)", "<", "dev_"):
        assert inside not in told


def test_an_error_never_seen_is_told_as_it_is_in_one_line() -> None:
    strange = BleakDBusError("org.bluez.Error.Failed", ["Something\nnew"])
    assert str(explain(strange)) == "the Bluetooth service refused: [org.bluez.Error.Failed] Something new"
    for reason in BleakBluetoothNotAvailableReason:
        assert "\n" not in str(explain(BleakBluetoothNotAvailableError("said\nso", reason)))
    for error in (PermissionError(), OSError("gone\nfor good"), asyncio.IncompleteReadError(b"", 4)):
        assert "\n" not in str(explain(error))


async def test_on_windows_subsystem_for_linux_the_line_sends_to_windows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platform.release", lambda: "5.15.153.1-microsoft-standard-WSL2")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    with pytest.raises(LinkError, match="WSL has no Bluetooth: install and run hipdrive on Windows itself"):
        await scan(0.1)
