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


_CONFLICT: Final[Errors] = (RecordConflict,)
_WRITES: Final[Errors] = (ServiceUnavailable, RecordConflict)
_ALIASES: Final[Errors] = (*_WRITES, AliasConflict)
_ANYTHING: Final[Errors] = (Exception, Crash)

_DIED: Final = Retrier((Crash,), first=2, longest=10, attempts=2)
_RECORD: Final = (Retrier(_WRITES), _DIED)
_RECORD_AND_ALIASES: Final = (Retrier(_ALIASES), _DIED)
_BY_ALL_MEANS: Final = Retrier(_ANYTHING, first=2)
_HOOK_RUNS: Final = Retrier(_CONFLICT, first=5, rate=1.5, attempts=80)


def _final(*errors: type[BaseException]) -> Retrier:
    return Retrier(errors, attempts=0)


def _stack_busy(attempts: int) -> Retrier:
    return Retrier((StackBusy,), first=5, rate=1.5, longest=60, attempts=attempts)


RETRIES: Final[Mapping[str, tuple[Retrier, ...]]] = {
    "Plan the release": _RECORD,
    "Take the lock": _RECORD,
    "Record the tests": _RECORD,
    "Settle the release": (Retrier(_WRITES), _BY_ALL_MEANS),
    "Begin the stage": _RECORD,
    "Preview the changes": (Retrier(_WRITES), _stack_busy(30), _DIED),
    "Review the changes": _RECORD,
    "Wait for approval": _RECORD,
    "Settle the stage": (Retrier(_WRITES), _BY_ALL_MEANS),
    "Deploy the stack": (Retrier(_ALIASES), _stack_busy(30), _DIED),
    "Find the candidates": (Retrier((*_ALIASES, StackBusy)), _DIED),
    "Warm the candidates": _RECORD_AND_ALIASES,
    "Run the pre-traffic hook": (Retrier((ServiceUnavailable,)), _HOOK_RUNS, _DIED),
    "Wait for the pre-traffic hook": (Retrier((*_WRITES, Crash)),),
    "Conclude the pre-traffic hook": _RECORD,
    "Shift traffic": (
        Retrier((*_ALIASES, StackBusy), longest=20, attempts=6),
        Retrier((Crash,), longest=5, attempts=2),
    ),
    "Watch the candidate": (Retrier(_ALIASES, longest=20, attempts=6),),
    "Run the post-traffic hook": (
        Retrier((ServiceUnavailable,), attempts=8),
        _HOOK_RUNS,
        _DIED,
    ),
    "Wait for the post-traffic hook": (Retrier((*_WRITES, Crash), attempts=8),),
    "Conclude the post-traffic hook": (Retrier(_WRITES, attempts=8), _DIED),
    "Finish the stack": (
        _final(FinishFailed, AliasChangedByOthers, LockLost),
        Retrier(_ALIASES),
        _stack_busy(30),
        _BY_ALL_MEANS,
    ),
    "Release the old capacity": _RECORD_AND_ALIASES,
    "Restore traffic": (
        _final(AliasChangedByOthers, LockLost, FinishFailed),
        Retrier(_ALIASES, rate=1.5, longest=20, attempts=100),
        _BY_ALL_MEANS,
    ),
    "Release the new capacity": _RECORD_AND_ALIASES,
    "Restore the stack": (
        Retrier(_ALIASES),
        _stack_busy(60),
        Retrier((StackFailed,), first=5, longest=60, attempts=4),
        _BY_ALL_MEANS,
    ),
    "Declare the rollout stuck": (Retrier(_ALIASES), _BY_ALL_MEANS),
}
"""The ``Retry`` of every task that is one of the controller's, by the name of its state.

Whatever passes within ten minutes is waited for. Where users are on a candidate that nobody judges,
a minute is enough, and the traffic goes back: the looks, their bakes, the hooks after the traffic.
"""
