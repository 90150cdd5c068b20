"""Which of this computer's addresses a phone can reach: a laptop has several, and most are of no use to it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# Networks inside the computer and tunnels out of it, as Linux, macOS and Windows name them: no phone is in there.
_ELSEWHERE: Final = re.compile(
    r"^(docker|br-|veth|virbr|vmnet|vboxnet|vnet|lxc|lxd|cni|podman|tun|tap|utun|ipsec|ppp|wg|zt|tailscale|awdl|llw)"
    r"|virtual|vmware|hyper-v|vethernet|\bvpn\b|wireguard|tailscale|zerotier|tunnel|docker|bluetooth",
    re.IGNORECASE,
)
# RFC 1918: what routers and a phone's own hotspot give out
_HOME: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@dataclass(frozen=True, slots=True)
class Interface:
    """One IPv4 address of this computer, and the name of what has it."""

    name: str
    address: str


def interfaces() -> list[Interface]:
    """Return every IPv4 address of this computer."""
    import ifaddr

    return [
        Interface(adapter.nice_name, str(ip.ip))
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if ip.is_IPv4
    ]


def way_out() -> str:
    """Return the address by which this computer would leave its network, empty if by none; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # an address of documentation (RFC 5737): the system chooses the way, and with it the own address
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def for_phones(known: Iterable[Interface], out: str) -> Sequence[Interface]:
    """Return where phones may reach this computer, the likeliest first.

    1. Never loopback, nor an address that the computer gave itself because nobody else did (169.254.0.0/16).
    2. Tunnels and networks inside the computer only where there is nothing else, even when all leaves through them.
    3. Addresses that routers and hotspots give out come before others, then ``out`` before the rest.

    Parameters
    ----------
    known
        In any order, which decides where all else is equal.
    out
        The address of the way out (`way_out`).
    """

    def rank(one: Interface) -> tuple[bool, bool]:
        address = ipaddress.IPv4Address(one.address)
        return not any(address in network for network in _HOME), one.address != out

    addresses = ((one, ipaddress.IPv4Address(one.address)) for one in known)
    usable = [one for one, ip in addresses if not (ip.is_loopback or ip.is_link_local or ip.is_unspecified)]
    return sorted([one for one in usable if not _ELSEWHERE.search(one.name)] or usable, key=rank)
