"""Keeps calls within a rate that the whole account shares, so that others get through as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_COUNTED_APART: Final = {"GetFunction", "GetPolicy", "Invoke"}


class RateLimit:
    """A token bucket: ``burst`` calls at once, then ``per_second``. Safe for several threads.

    A call that must wait has its turn booked before it sleeps, so callers come out in order and
    together never exceed the rate.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1.0 / per_second
        self._slack = (burst - 1) * self._interval
        self._now, self._sleep = now, sleep
        self._next = float("-inf")  # when the bucket would be empty of bookings
        self._lock = Lock()

    def wait(self) -> None:
        """Return when the caller may make one call."""
        with self._lock:
            now = self._now()
            turn = max(self._next, now - self._slack)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)


def keep_rate(client: LambdaClient, rate_limit: RateLimit) -> None:
    """Let every request of the client wait for its turn, each retry too.

    Lambda counts all of its control plane together, but for the few calls that have limits of
    their own.
    """

    def wait(event_name: str, **_: Any) -> None:
        if event_name.rpartition(".")[2] not in _COUNTED_APART:
            rate_limit.wait()

    client.meta.events.register_first("before-send.lambda", wait)
