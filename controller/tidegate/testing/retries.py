"""How often the state machines repeat each task, and how long they wait: their ``Retry`` as data.

A test compares this with the definitions, state by state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.core.errors import (
    AliasChangedByOthers,
    AliasConflict,
    FinishFailed,
    LockLost,
    RecordConflict,
    ServiceUnavailable,
    StackBusy,
    StackFailed,
)

Errors = tuple[type[BaseException], ...]


class Crash(BaseException):
    """The process that ran a task is gone: nothing in it can catch that."""


@dataclass(frozen=True, slots=True)
class Retrier:
    """One entry of a ``Retry``: for which errors, the first pause in seconds, how it grows."""

    errors: Errors
    first: float = 1.0
    rate: float = 2.0
    longest: float = 30.0
    attempts: int = 60

    def pause(self, number: int) -> float:
        """Seconds before this attempt, from 1: the mean of what full jitter may choose."""
        return min(self.first * self.rate ** (number - 1), self.longest) / 2


_BUSY_ERRORS: Final[Errors] = (ServiceUnavailable, RecordConflict, AliasConflict)

# The policies of statemachine/source/policies.yaml, by their names there.
_BUSY: Final = Retrier(_BUSY_ERRORS)
_BUSY_UNDER_TRAFFIC: Final = Retrier((*_BUSY_ERRORS, StackBusy), longest=20, attempts=6)
_BUSY_AFTER_TRAFFIC: Final = Retrier(_BUSY_ERRORS, attempts=8)
_BUSY_WHILE_RESTORING: Final = Retrier(_BUSY_ERRORS, rate=1.5, longest=20, attempts=100)
_DIED: Final = Retrier((Crash,), first=2, longest=10, attempts=2)
_DIED_UNDER_TRAFFIC: Final = Retrier((Crash,), longest=5, attempts=2)
_ANYTHING: Final = Retrier((Exception, Crash), first=2)
_NEVER: Final = Retrier((FinishFailed, AliasChangedByOthers, LockLost), attempts=0)
_STACK_BUSY: Final = Retrier((StackBusy,), first=5, rate=1.5, longest=60, attempts=30)
_STACK_BUSY_WHILE_RESTORING: Final = Retrier(
    (StackBusy,), first=5, rate=1.5, longest=60, attempts=60
)
_STACK_REFUSED: Final = Retrier((StackFailed,), first=5, longest=60, attempts=4)
_HOOK_RUNS: Final = Retrier((RecordConflict,), first=5, rate=1.5, attempts=80)

RETRIES: Final[Mapping[str, tuple[Retrier, ...]]] = {
    "Plan the release": (_BUSY, _DIED),
    "Take the lock": (_BUSY, _DIED),
    "Record the tests": (_BUSY, _DIED),
    "Settle the release": (_BUSY, _ANYTHING),
    "Begin the stage": (_BUSY, _DIED),
    "Preview the changes": (_BUSY, _STACK_BUSY, _DIED),
    "Review the changes": (_BUSY, _DIED),
    "Wait for approval": (_BUSY, _DIED),
    "Settle the stage": (_BUSY, _ANYTHING),
    "Deploy the stack": (_BUSY, _STACK_BUSY, _DIED),
    "Find the candidates": (_BUSY, _STACK_BUSY, _DIED),
    "Warm the candidates": (_BUSY, _DIED),
    "Run the pre-traffic hook": (_HOOK_RUNS, _BUSY, _DIED),
    "Wait for the pre-traffic hook": (_BUSY, _DIED),
    "Conclude the pre-traffic hook": (_BUSY, _DIED),
    "Shift traffic": (_BUSY_UNDER_TRAFFIC, _DIED_UNDER_TRAFFIC),
    "Watch the candidate": (_BUSY_UNDER_TRAFFIC,),
    "Run the post-traffic hook": (_HOOK_RUNS, _BUSY_AFTER_TRAFFIC, _DIED),
    "Wait for the post-traffic hook": (_BUSY_AFTER_TRAFFIC, _DIED),
    "Conclude the post-traffic hook": (_BUSY_AFTER_TRAFFIC, _DIED),
    "Finish the stack": (_NEVER, _BUSY, _STACK_BUSY, _ANYTHING),
    "Release the old capacity": (_BUSY, _DIED),
    "Restore traffic": (_NEVER, _BUSY_WHILE_RESTORING, _ANYTHING),
    "Release the new capacity": (_BUSY, _DIED),
    "Restore the stack": (_BUSY, _STACK_BUSY_WHILE_RESTORING, _STACK_REFUSED, _ANYTHING),
    "Declare the rollout stuck": (_BUSY, _ANYTHING),
}
"""The ``Retry`` of every task that is one of the controller's, by the name of its state.

Whatever passes within ten minutes is waited for. Where users are on a candidate that nobody judges,
a minute is enough, and traffic is restored: evaluations, their bakes, the hooks after traffic.
"""
