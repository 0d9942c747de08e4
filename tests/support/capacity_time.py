"""A clock for the provisioned concurrency of the embedded AWS."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from tidegate_embedded.cloud import EmbeddedAws

_LONG_SECONDS = 3600.0


class CapacityTime:
    """Nothing becomes ready before `passes` is called, and then everything that was begun."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def passes(self) -> None:
        self._now += _LONG_SECONDS


@contextmanager
def capacity_by_hand(aws: EmbeddedAws) -> Iterator[CapacityTime]:
    """Provisioned concurrency takes what the test lets pass, and no time of the machine."""
    cloud, clock = aws.cloud, CapacityTime()
    before = cloud.now, cloud.delays
    cloud.now = clock.now
    cloud.delays = dataclasses.replace(cloud.delays, capacity_seconds=_LONG_SECONDS)
    try:
        yield clock
    finally:
        cloud.now, cloud.delays = before
