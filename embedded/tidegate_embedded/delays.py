"""How long the embedded AWS takes of its own accord, all in one place.

What a caller asks for is none of this: a Wait state, a time limit, the interval of a Retry.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from tidegate.core.errors import InputError

VARIABLE: Final = "TIDEGATE_LOCAL_DELAYS"
"""The environment variable that holds a factor for all of them."""

_SHORTEST_INTERVAL_SECONDS: Final = 0.01
"""What is done again and again is not done without a pause."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Times in seconds. The defaults are short for a person who waits; AWS takes minutes."""

    function_seconds: float = 0.5
    """Until a function that was made or changed is active."""
    snapshot_seconds: float = 0.5
    """Until a version with SnapStart is active."""
    capacity_seconds: float = 0.5
    """Until provisioned concurrency is ready; Lambda takes one to five minutes."""
    event_retry_seconds: tuple[float, ...] = (1.0, 2.0)
    """Before each retry of an asynchronous event, the last repeats; Lambda waits 1 and 2 min."""
    throttled_event_seconds: float = 1.0
    """Before an asynchronous event that was throttled is tried again."""
    alarm_interval_seconds: float = 1.0
    """Between two evaluations of all alarms."""
    job_interval_seconds: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3)
    """Between two polls of what a `.sync` task started; the last repeats."""
    action_interval_seconds: float = 0.2
    """Between two polls of what an action of a pipeline started."""
    log_interval_seconds: float = 1.0
    """Between two deliveries of a build's log."""

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """The defaults, or so many times as long as ``TIDEGATE_LOCAL_DELAYS`` says.

        Raises ``InputError`` when that is no number from 0 up.
        """
        given = variables.get(VARIABLE) or "1"
        try:
            factor = float(given)
        except ValueError:
            factor = math.nan
        if not 0 <= factor < math.inf:
            raise InputError(
                f"{VARIABLE} is {given!r}, which is no factor.",
                remedy="Use a number from 0 up: 0.5.",
            )
        return cls().times(factor)

    def times(self, factor: float) -> Self:
        """All of them so many times as long; intervals never become nothing."""

        def interval(seconds: float) -> float:
            return max(seconds * factor, _SHORTEST_INTERVAL_SECONDS)

        return type(self)(
            function_seconds=self.function_seconds * factor,
            snapshot_seconds=self.snapshot_seconds * factor,
            capacity_seconds=self.capacity_seconds * factor,
            event_retry_seconds=tuple(each * factor for each in self.event_retry_seconds),
            throttled_event_seconds=interval(self.throttled_event_seconds),
            alarm_interval_seconds=interval(self.alarm_interval_seconds),
            job_interval_seconds=tuple(map(interval, self.job_interval_seconds)),
            action_interval_seconds=interval(self.action_interval_seconds),
            log_interval_seconds=interval(self.log_interval_seconds),
        )
