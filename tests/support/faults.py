"""Crashes at chosen calls: the part of the fault layer that most stories need."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from tidegate.testing.faults import Fault, Faults, Way
from tidegate.testing.retries import Crash


def crashes(at: Iterable[int] = (), *, after: bool = False) -> Faults:
    """The process dies at each of these calls: before it, or when it has had its effect."""
    way = Way.KILLED_AFTER if after else Way.KILLED_BEFORE
    return Faults(Fault(call, way) for call in at)


def crash_after(calls: int) -> Faults:
    """The process dies at the call after so many, whichever it is, and at every one since."""
    made, faults = count(), Faults()

    def die(name: str, _: object) -> None:
        if next(made) >= calls:
            raise Crash(name)

    faults.before_call.append(die)
    return faults
