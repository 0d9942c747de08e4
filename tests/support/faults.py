"""Ports that can die at any call: before it has its effect, or right after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tidegate.core.plan import Target
from tidegate.core.ports import Ports, TargetPorts


class Crash(BaseException):
    """The process is gone: nothing in it can catch that."""


@dataclasses.dataclass
class Faults:
    """Counts the calls of all ports, and crashes at the chosen ones."""

    at: frozenset[int] = frozenset()
    after: bool = False  # the call has its effect, and its answer is lost
    calls: int = 0
    crashed: list[str] = dataclasses.field(default_factory=list)

    def wrap(self, ports: Ports) -> Ports:
        return dataclasses.replace(
            ports,
            ledger=_Wrapped(ports.ledger, self),
            artifacts=_Wrapped(ports.artifacts, self),
            callbacks=_Wrapped(ports.callbacks, self),
            bus=_Wrapped(ports.bus, self),
            targets=_Targets(ports, self),
        )

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        dies = self.calls in self.at
        if dies:
            self.crashed.append(f"{self.calls} {name}")
        if dies and not self.after:
            raise Crash(name)
        answer = method(*args, **kwargs)
        if dies:
            raise Crash(name)
        return answer


class _Wrapped:
    def __init__(self, port: Any, faults: Faults) -> None:
        self._port, self._faults = port, faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        label = f"{type(self._port).__name__}.{name}"
        return lambda *args, **kwargs: self._faults.call(label, method, *args, **kwargs)


class _Targets:
    def __init__(self, ports: Ports, faults: Faults) -> None:
        self._ports, self._faults = ports, faults

    def open(self, target: Target) -> TargetPorts:
        opened = self._ports.targets.open(target)
        fields = {
            field.name: _Wrapped(getattr(opened, field.name), self._faults)
            for field in dataclasses.fields(opened)
        }
        return TargetPorts(**fields)
