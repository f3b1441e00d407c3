"""Mesos resources as values: scalars in fixed point (thousandths, as Mesos counts them) and ranges of ports.

Scalars that are reserved to a role (statically: by the agent) are other ones than those that are not, and are spelled
as in Mesos' texts: ``cpus`` and ``cpus(scale)``. Nothing that is asked of one is taken from the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCALARS = ("cpus", "mem", "disk", "gpus")
Range = tuple[int, int]  # first and last, both included

_MIN_CPUS = 10  # thousandths; with less of both, Mesos makes no offer
_MIN_MEM = 32_000


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of resources; scalars are integers of thousandths, so that sums are exact."""

    scalars: Mapping[str, int] = field(default_factory=dict)
    ports: tuple[Range, ...] = ()

    @classmethod
    def of(cls, cpus: float, mem: float, disk: float, ports: tuple[Range, ...] = ()) -> Resources:
        """From cpus and MiB."""
        return cls({"cpus": _fixed(cpus), "mem": _fixed(mem), "disk": _fixed(disk)}, ports)

    @classmethod
    def parse(cls, raw: Iterable[Mapping[str, Any]]) -> Resources:
        """From the `resources` of a TaskInfo or ExecutorInfo. Raises ValueError or TypeError for what is no number."""
        scalars: dict[str, int] = {}
        ports: tuple[Range, ...] = ()
        for resource in raw:
            if resource["type"] == "SCALAR":
                name = _spell(resource["name"], _role_of(resource))
                scalars[name] = scalars.get(name, 0) + _fixed(resource["scalar"]["value"])
            elif resource["type"] == "RANGES" and resource["name"] == "ports":
                ranges = resource["ranges"].get("range", ())
                ports = _join(ports, tuple((int(r["begin"]), int(r["end"])) for r in ranges))
        return cls(scalars, ports)

    def __add__(self, other: Resources) -> Resources:
        scalars = dict(self.scalars)
        for name, amount in other.scalars.items():
            scalars[name] = scalars.get(name, 0) + amount
        return Resources(scalars, _join(self.ports, other.ports))

    def __sub__(self, other: Resources) -> Resources:
        scalars = dict(self.scalars)
        for name, amount in other.scalars.items():
            scalars[name] = scalars.get(name, 0) - amount
        return Resources(scalars, _cut(self.ports, other.ports))

    def contains(self, other: Resources) -> bool:
        return all(self.scalars.get(name, 0) >= amount for name, amount in other.scalars.items()) and not _cut(
            other.ports, self.ports
        )

    @property
    def is_empty(self) -> bool:
        return not self.ports and not any(amount > 0 for amount in self.scalars.values())

    @property
    def is_offerable(self) -> bool:
        return (
            self.scalars.get("cpus", 0) >= _MIN_CPUS
            or self.scalars.get("mem", 0) >= _MIN_MEM
            or bool(self.roles and self._is_offerable_with_reserved())
        )

    def _is_offerable_with_reserved(self) -> bool:
        whole = self.by_name()
        return whole.get("cpus", 0) >= _MIN_CPUS or whole.get("mem", 0) >= _MIN_MEM

    @property
    def roles(self) -> list[str]:
        """To which something of it is reserved."""
        return sorted({_read(name)[1] for name in self.scalars if name[-1] == ")"})

    def by_name(self, role: str | None = None) -> dict[str, int]:
        """Thousandths by plain name: of all roles together, or what is reserved to one, "*" being what is not."""
        found: dict[str, int] = {}
        for spelled, amount in self.scalars.items():
            name, owner = _read(spelled)
            if role in (None, owner):
                found[name] = found.get(name, 0) + amount
        return found

    def offered_to(self, role: str) -> Resources:
        """What a framework of that role may be offered: all but what is reserved to others than it and its parents."""
        others = [name for name in self.scalars if name[-1] == ")" and not _is_for(_read(name)[1], role)]
        if not others:
            return self
        return Resources({name: amount for name, amount in self.scalars.items() if name not in others}, self.ports)

    def reserve(self, role: str, amounts: Resources) -> Resources:
        """The same, with so much of it reserved to a role. Raises ValueError: there is not as much."""
        if not self.contains(amounts):
            raise ValueError(f"{amounts.describe()} is more than {self.describe()}")
        return self - amounts + Resources({_spell(name, role): amount for name, amount in amounts.scalars.items()})

    def share_of(self, total: Resources) -> float:
        """The dominant share: the largest fraction of any resource of `total`."""
        return max((self.scalars.get(name, 0) / amount for name, amount in total.scalars.items() if amount), default=0)

    def to_message(self, extra: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """As `Resource` messages, ports first; `extra` fields (role, allocation_info) are added to each."""
        message: list[dict[str, Any]] = []
        if self.ports:
            ranges = [{"begin": begin, "end": end} for begin, end in self.ports]
            message.append({"name": "ports", "type": "RANGES", "ranges": {"range": ranges}})
        message += [
            {"name": name, "type": "SCALAR", "scalar": {"value": amount / 1000}}
            for name, amount in self.scalars.items()
            if amount > 0
        ]
        if self.roles:
            return [{**resource, **(extra or {}), **_reserved(resource["name"])} for resource in message]
        return [{**resource, **(extra or {})} for resource in message]

    def to_state(self) -> dict[str, Any]:
        """As the operator endpoints show them, reserved and not reserved together."""
        return self._state(self.by_name() if self.roles else self.scalars, self.ports)

    def to_state_by_role(self) -> dict[str, dict[str, Any]]:
        """As the operator endpoints show what is reserved."""
        return {role: self._state(self.by_name(role), ()) for role in self.roles}

    def to_messages_by_role(self) -> dict[str, list[dict[str, Any]]]:
        """As the operator endpoints show what is reserved, as `Resource` messages."""
        return {role: [message for message in self.to_message() if message.get("role") == role] for role in self.roles}

    def to_unreserved_state(self) -> dict[str, Any]:
        """As the operator endpoints show what is not reserved."""
        return self._state(self.by_name("*") if self.roles else self.scalars, self.ports)

    @staticmethod
    def _state(scalars: Mapping[str, int], ports: tuple[Range, ...]) -> dict[str, Any]:
        state: dict[str, Any] = {name: scalars.get(name, 0) / 1000 for name in ("disk", "mem", "gpus", "cpus")}
        if ports:
            state["ports"] = _ports_text(ports)
        return state

    def describe(self) -> str:
        """As Mesos writes them into messages: ``cpus(allocated: *):0.1; mem(allocated: *):32``."""
        parts = [f"ports(allocated: *):{_ports_text(self.ports)}"] if self.ports else []
        parts += [_describe(name, amount) for name, amount in self.scalars.items() if amount > 0]
        return "; ".join(parts)


def normalise(raw: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A client's `resources` as Mesos hands them on: scalars as doubles, allocated to a role."""
    return [_normalise_one(resource) for resource in raw]


def _normalise_one(resource: Mapping[str, Any]) -> dict[str, Any]:
    result = {"allocation_info": {"role": "*"}, **resource}
    if resource["type"] == "SCALAR":
        result["scalar"] = {"value": float(resource["scalar"]["value"])}
    return result


def _spell(name: str, role: str) -> str:
    return name if role == "*" else f"{name}({role})"


def _read(spelled: str) -> tuple[str, str]:
    """Name and role."""
    name, _, role = spelled.partition("(")
    return name, role[:-1] or "*"


def _role_of(resource: Mapping[str, Any]) -> str:
    """To which a Resource message says it is reserved: as before Mesos 1.4, or with RESERVATION_REFINEMENT."""
    stack = resource.get("reservations") or ()
    return str(stack[-1].get("role", "*") if stack else resource.get("role", "*"))


def _is_for(owner: str, role: str) -> bool:
    return role == owner or role.startswith(f"{owner}/")


def _reserved(spelled: str) -> dict[str, Any]:
    """What the message of a reserved resource says other than that of an unreserved one."""
    name, role = _read(spelled)
    return {} if role == "*" else {"name": name, "role": role}


def _describe(spelled: str, amount: int) -> str:
    name, role = _read(spelled)
    if role == "*":
        return f"{name}(allocated: *):{amount / 1000:g}"
    return f"{name}(allocated: {role})(reservations: [(STATIC,{role})]):{amount / 1000:g}"


def _fixed(value: Any) -> int:
    return round(float(value) * 1000)


def _ports_text(ports: tuple[Range, ...]) -> str:
    return "[" + ", ".join(f"{begin}-{end}" for begin, end in ports) + "]"


def _join(left: tuple[Range, ...], right: tuple[Range, ...]) -> tuple[Range, ...]:
    if not left or not right:
        return left or right
    joined: list[Range] = []
    for begin, end in sorted(left + right):
        if joined and begin <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


def _cut(ports: tuple[Range, ...], taken: tuple[Range, ...]) -> tuple[Range, ...]:
    for first, last in taken:
        rest = [(begin, min(end, first - 1)) for begin, end in ports if begin < first]
        rest += [(max(begin, last + 1), end) for begin, end in ports if end > last]
        ports = tuple(sorted(set(rest)))
    return ports
