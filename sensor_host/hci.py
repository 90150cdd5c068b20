"""A Bluetooth controller of one's own, beside the system's Bluetooth: opened by name, or told in one line why not.

bumble (the extra ``virtual``) speaks HCI to it. Names are bumble's transports: ``usb:0``, ``hci-socket:0``,
``tcp-client:HOST:PORT``, ``serial:/dev/ttyACM0`` and others.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sensor_host.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from bumble.transport.common import Transport


@asynccontextmanager
async def open_controller(name: str) -> AsyncGenerator[Transport]:
    """Open a controller for as long as it is used.

    Raises
    ------
    ConfigError
        When bumble is not installed or the name is none.
    LinkError
        When there is no such controller, it may not be used, or something else uses it.
    """
    if find_spec("bumble") is None:
        raise ConfigError('a virtual board is played by bumble: pip install "hipdrive[virtual]"')
    from bumble.transport import open_transport
    from bumble.transport.common import TransportSpecError

    # bumble's own lines say the same in other words
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    try:
        transport = await open_transport(name)
    except (TransportSpecError, ValueError, AssertionError) as error:
        raise ConfigError(f"{name!r} names no Bluetooth controller; {_NAMES}") from error
    except Exception as error:
        raise _explained(name, error) from error
    async with transport:
        yield transport


_NAMES = "write usb:0 for the first USB adapter, hci-socket:0 for the system's hci0, or tcp-client:HOST:PORT"

_NONE = "no Bluetooth adapter {name}: plug one in, or name another with --ble; " + _NAMES

_BUSY = (
    "the adapter {name} is in use by the system: free it with 'sudo systemctl stop bluetooth'"
    " (a socket: and 'sudo btmgmt --index 0 power off'), or plug in a second one and name it with --ble usb:1"
)

_DENIED = (
    "the system denies access to the adapter {name}: run this command as root"
    " (a USB adapter: or allow its device file to your user by a udev rule)"
)

_BY_NUMBER = {
    errno.ENODEV: _NONE,
    errno.ENOENT: _NONE,
    errno.EBUSY: _BUSY,
    errno.EPERM: _DENIED,
    errno.EACCES: _DENIED,
    errno.ECONNREFUSED: "no Bluetooth controller listens at {name}: start it, or name another with --ble",
    errno.EAFNOSUPPORT: "this system has no Bluetooth sockets, so no {name}; a USB adapter needs none: --ble usb:0",
}

# by a word in what libusb or bumble says
_BY_WORD = {
    "LIBUSB_ERROR_BUSY": _BUSY,
    "LIBUSB_ERROR_ACCESS": _DENIED,
    "LIBUSB_ERROR_NO_DEVICE": _NONE,
    "LIBUSB_ERROR_OTHER": _NONE,  # no USB at all, as in a container
    "LIBUSB_ERROR_NOT_SUPPORTED": "the adapter {name} needs the driver WinUSB to be used beside Windows' own Bluetooth",
    "device not found": _NONE,
    "not supported on this platform": _BY_NUMBER[errno.EAFNOSUPPORT],
}


def _explained(name: str, error: Exception) -> LinkError:
    text = _BY_NUMBER.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    said = " ".join(str(error).split()) or type(error).__name__
    for word, by_word in _BY_WORD.items():
        if word in said:
            text = by_word
    return LinkError(text.format(name=name) if text else f"the adapter {name} cannot be used: {said}")
