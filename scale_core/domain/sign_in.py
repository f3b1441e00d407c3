"""How long those who sign in wrongly have to wait."""

from __future__ import annotations

import ipaddress
from datetime import timedelta

FREE = {"account": 5, "address": 30}  # failures that cost nothing; many people may share an address
FORGOTTEN_AFTER = timedelta(minutes=15)  # without another failure
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0


def wait_s(kind: str, failures: int) -> float:
    """Seconds until the next try after so many failures: none at first, then twice as long each time."""
    beyond = failures - FREE[kind]
    return 0.0 if beyond < 0 else min(FIRST_WAIT_S * 2.0 ** min(beyond, 30), LONGEST_WAIT_S)


def keys(name: str, address: str) -> dict[str, str]:
    """What failures are counted under: kind -> key. Whoever has an IPv6 address has the whole /64 of it."""
    try:
        network = ipaddress.ip_address(address)
        if network.version == 6:
            address = str(ipaddress.ip_network((network, 64), strict=False))
    except ValueError:
        pass  # a name, or nothing: as it is
    return {"account": f"account {name.lower()[:150]}", "address": f"address {address[:64]}"}
