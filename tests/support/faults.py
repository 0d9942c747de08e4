"""Crashes at chosen calls: the part of the fault layer that most stories need."""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.testing.faults import Fault, Faults, Way


def crashes(at: Iterable[int] = (), *, after: bool = False) -> Faults:
    """The process dies at each of these calls: before it, or when it has had its effect."""
    way = Way.KILLED_AFTER if after else Way.KILLED_BEFORE
    return Faults(Fault(call, way) for call in at)
