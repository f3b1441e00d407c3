"""Which addresses remote workspaces may lie at: looked at in the moment of a connection, so that no name leads
elsewhere meanwhile."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network

# This machine, its links, everybody at once, and where clouds tell a machine its keys: no store of files is there.
_NEVER_MEANT = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
            "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
            "::/128", "::1/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128",
        ),
    )
)  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")


class Refused(OSError):
    """An address that no workspace may lie at; the message says which, and what to do."""


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a workspace may lie there: in one of `allowed`, or where that is empty anywhere that makes sense."""
    meant = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if allowed:
        return any(meant in network for network in allowed)
    return not any(meant in network for network in _NEVER_MEANT)


def require(address: str, allowed: Sequence[Network]) -> None:
    """Raises Refused."""
    if not is_allowed(address, allowed):
        raise Refused(
            f"no workspace may lie at {address}: if one is meant to, name its network in SCALE_REMOTE_NETWORKS"
        )


def require_host(host: str, allowed: Sequence[Network]) -> None:
    """Of a name this says nothing: it counts where it leads to when a connection is made. Raises Refused."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    require(host, allowed)


def resolve(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """The addresses that a name leads to now, if workspaces may lie at all of them. Raises OSError, Refused."""
    addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in addresses:
        require(address, allowed)
    return addresses


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one only wraps."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address
