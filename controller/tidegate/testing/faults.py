"""A layer around every port, in which any call can go wrong in each way that a call can.

The calls of a run are counted from 1. A `Fault` names the call that it befalls and the way in which
it goes wrong; ``RAISES`` is the whole list of what each call may raise by its contract.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from tidegate.core import errors
from tidegate.core.errors import ServiceRefused, ServiceUnavailable, TidegateError
from tidegate.core.model.plan import Target
from tidegate.core.ports import Ports, TargetPorts
from tidegate.testing.memory import SettableClock
from tidegate.testing.retries import Crash

_ANY_CALL: Final = ("ServiceUnavailable", "ServiceRefused")

RAISES: Final[Mapping[str, tuple[str, ...]]] = {
    "aliases.read": (*_ANY_CALL, "NotFound"),
    "aliases.write": (*_ANY_CALL, "AliasConflict", "NotFound"),
    "artifacts.read": (*_ANY_CALL, "ArtifactError"),
    "artifacts.sha256": (*_ANY_CALL, "ArtifactError"),
    "bus.publish": _ANY_CALL,
    "callbacks.fail": _ANY_CALL,
    "callbacks.heartbeat": _ANY_CALL,
    "callbacks.succeed": _ANY_CALL,
    "capacity.allocate": (*_ANY_CALL, "NotFound", "WarmUpFailed"),
    "capacity.allocations": (*_ANY_CALL, "NotFound"),
    "capacity.release": _ANY_CALL,
    "capacity.version": (*_ANY_CALL, "NotFound"),
    "executions.start": _ANY_CALL,
    "executions.status": _ANY_CALL,
    "functions.canary_blockers": (*_ANY_CALL, "NotFound"),
    "functions.invoke": (*_ANY_CALL, "NotFound"),
    "ledger.delete": (*_ANY_CALL, "RecordConflict"),
    "ledger.get": _ANY_CALL,
    "ledger.put": (*_ANY_CALL, "RecordConflict"),
    "ledger.query": _ANY_CALL,
    "metrics.baselines": _ANY_CALL,
    "metrics.bins": _ANY_CALL,
    "metrics.firing": (*_ANY_CALL, "NotFound"),
    "metrics.series": _ANY_CALL,
    "seals.holds": _ANY_CALL,
    "seals.seal": _ANY_CALL,
    "signals.alarms": _ANY_CALL,
    "signals.requests": _ANY_CALL,
    "stacks.delete": (*_ANY_CALL, "StackBusy"),
    "stacks.events": _ANY_CALL,
    "stacks.execute": (*_ANY_CALL, "ChangeSetStale", "StackBusy"),
    "stacks.preview": (*_ANY_CALL, "ChangeSetFailed", "StackBusy", "StackFailed"),
    "stacks.state": _ANY_CALL,
    "stacks.update": (*_ANY_CALL, "NotFound", "StackBusy", "StackFailed"),
    "targets.open": _ANY_CALL,
    "topics.publish": (*_ANY_CALL, "NotFound"),
    "versions.bypasses": (*_ANY_CALL, "NotFound"),
    "versions.code": (*_ANY_CALL, "NotFound"),
    "versions.delete": _ANY_CALL,
    "versions.in_use": (*_ANY_CALL, "NotFound"),
    "versions.layer_code": (*_ANY_CALL, "NotFound"),
    "versions.layers": (*_ANY_CALL, "NotFound"),
    "versions.published": (*_ANY_CALL, "NotFound"),
}
"""What each call of a port may raise, by the names of the classes in ``core.errors``."""


class Way(StrEnum):
    """How a call goes wrong."""

    RAISES = "raises"  # an error of its contract, without having had an effect
    THROTTLED = "throttled"  # it, and the same call for some time, is turned away
    DENIED = "denied"  # it is refused, and the same call from now on
    LOST_REQUEST = "lost-request"  # it times out, and has had no effect
    LOST_ANSWER = "lost-answer"  # it times out, and has had its effect
    LATE = "late"  # it times out, and has its effect some calls later
    SLOW = "slow"  # its answer takes long
    TWICE = "twice"  # it has its effect twice: the first answer was lost, the second counts
    KILLED_BEFORE = "killed-before"  # the process dies before it
    KILLED_AFTER = "killed-after"  # the process dies after it, before the answer is read
    STOPPED = "stopped"  # somebody stops the whole execution before it: nothing follows


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What befalls one call. ``str`` and ``parse`` are each other's inverse: ``17:late:9``."""

    at: int  # number of the call, from 1
    way: Way
    error: str = ""  # for ``RAISES``: name of the class
    much: int = 0  # seconds for ``THROTTLED`` and ``SLOW``, calls for ``LATE``

    def __str__(self) -> str:
        detail = self.error or str(self.much or "")
        return ":".join(part for part in (str(self.at), self.way, detail) if part)

    @property
    def lasts(self) -> float:
        """Seconds after which it has passed: 0 when the next call may go well already."""
        if self.way is Way.DENIED:
            return math.inf
        return self.much if self.way in {Way.THROTTLED, Way.SLOW} else 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The fault that is written so. Raises ``ValueError``."""
        at, way, *detail = text.split(":")
        last = detail[0] if detail else ""
        if last.isdecimal():
            return cls(int(at), Way(way), much=int(last))
        return cls(int(at), Way(way), error=last)


class Stopped(BaseException):
    """The execution is over: no state machine catches or repeats that."""


Listener = Callable[[str, tuple[Any, ...]], None]


class Faults:
    """Counts the calls of all ports, and lets the chosen ones go wrong.

    ``before_call`` hears of each call, by its name and arguments, before anything befalls it.
    """

    def __init__(self, faults: Iterable[Fault] = (), clock: SettableClock | None = None) -> None:
        self._faults = {fault.at: fault for fault in faults}
        self._clock = clock or SettableClock()
        self._throttled: dict[str, float] = {}  # until so many seconds have passed
        self._denied: set[str] = set()
        self._late: list[tuple[int, Callable[[], object]]] = []
        self.calls: list[str] = []
        self.happened: list[str] = []
        self.before_call: list[Listener] = []

    def wrap(self, ports: Ports) -> Ports:
        """The ports, with this layer around them."""
        return dataclasses.replace(
            ports,
            ledger=_Layer("ledger", ports.ledger, self),
            artifacts=_Layer("artifacts", ports.artifacts, self),
            callbacks=_Layer("callbacks", ports.callbacks, self),
            bus=_Layer("bus", ports.bus, self),
            executions=_Layer("executions", ports.executions, self),
            seals=_Layer("seals", ports.seals, self),
            targets=_Targets(ports, self),
        )

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make the call, or let it go wrong."""
        for hear in self.before_call:
            hear(name, args)
        self.calls.append(name)
        self._deliver(len(self.calls))
        act = _Act(name, lambda: method(*args, **kwargs))
        if name in self._denied:
            raise ServiceRefused(f"{name} is denied.")
        if self._clock.elapsed < self._throttled.get(name, 0.0):
            raise ServiceUnavailable(f"{name} is throttled.")
        fault = self._faults.get(len(self.calls))
        if fault is None:
            return act.do()
        self.happened.append(f"{fault} {name}")
        return self._befall(fault, act)

    def befall_next(self, way: Way, *, error: str = "", much: int = 0) -> None:
        """Let the next call go wrong, whatever it is."""
        at = len(self.calls) + 1
        self._faults[at] = Fault(at, way, error, much)

    def deliver_all(self) -> None:
        """Let everything that is still on its way arrive."""
        self._deliver(max((due for due, _ in self._late), default=0))

    def permit_all(self) -> bool:
        """Somebody mends the permissions. False: nothing was denied."""
        denied, self._denied = self._denied, set()
        return bool(denied)

    def _befall(self, fault: Fault, act: _Act) -> Any:
        match fault.way:
            case Way.RAISES:
                raise getattr(errors, fault.error)(f"{act.name} went wrong, as it may.")
            case Way.THROTTLED:
                self._throttled[act.name] = self._clock.elapsed + fault.much
                raise ServiceUnavailable(f"{act.name} is throttled.")
            case Way.DENIED:
                self._denied.add(act.name)
                raise ServiceRefused(f"{act.name} is denied.")
            case Way.LOST_REQUEST:
                raise act.timed_out()
            case Way.LOST_ANSWER:
                act.do()
                raise act.timed_out()
            case Way.LATE:
                self._late.append((fault.at + fault.much, act.do))
                raise act.timed_out()
            case Way.SLOW:
                answer = act.do()
                self._clock.advance(fault.much)
                return answer
            case Way.TWICE:
                act.do()
                return act.do()
            case Way.KILLED_BEFORE:
                raise Crash(act.name)
            case Way.KILLED_AFTER:
                act.do()
                raise Crash(act.name)
            case Way.STOPPED:
                raise Stopped(act.name)

    def _deliver(self, now: int) -> None:
        """What was on its way takes effect; nobody hears what the service has to say to it."""
        due = [effect for at, effect in self._late if at <= now]
        self._late = [entry for entry in self._late if entry[0] > now]
        for effect in due:
            try:
                effect()
            except TidegateError as refusal:
                self.happened.append(f"a late call was refused: {refusal}")


def possible_faults(at: int, name: str) -> Iterator[Fault]:
    """Everything that can befall this call."""
    yield from (Fault(at, Way.RAISES, error=error) for error in RAISES[name])
    yield from (Fault(at, Way.THROTTLED, much=seconds) for seconds in (5, 60, 600))
    yield from (Fault(at, Way.LATE, much=calls) for calls in (1, 4, 20))
    yield Fault(at, Way.SLOW, much=600)
    plain = (
        Way.DENIED,
        Way.LOST_REQUEST,
        Way.LOST_ANSWER,
        Way.TWICE,
        Way.KILLED_BEFORE,
        Way.KILLED_AFTER,
        Way.STOPPED,
    )
    yield from (Fault(at, way) for way in plain)


@dataclasses.dataclass(frozen=True, slots=True)
class _Act:
    """A call that may be made, once, twice or never."""

    name: str
    do: Callable[[], Any]

    def timed_out(self) -> ServiceUnavailable:
        return ServiceUnavailable(f"{self.name} did not answer.")


class _Layer:
    """Any port: its methods go through the faults."""

    def __init__(self, name: str, port: Any, faults: Faults) -> None:
        self._name, self._port, self._faults = name, port, faults

    def __getattr__(self, method: str) -> Callable[..., Any]:
        act = getattr(self._port, method)
        label = f"{self._name}.{method}"
        return lambda *args, **kwargs: self._faults.call(label, act, *args, **kwargs)


class _Targets:
    """The way into targets: opening one is a call, and so is all that happens there."""

    def __init__(self, ports: Ports, faults: Faults) -> None:
        self._targets, self._faults = ports.targets, faults

    def open(self, target: Target) -> TargetPorts:
        opened = self._faults.call("targets.open", self._targets.open, target)
        names = [field.name for field in dataclasses.fields(TargetPorts)]
        return TargetPorts(
            **{name: _Layer(name, getattr(opened, name), self._faults) for name in names}
        )
