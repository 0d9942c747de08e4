"""Follows what CloudFormation does to a stack, and keeps what people need of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tidegate.core.errors import ServiceRefused, Transient
from tidegate.core.model.record import StackLine, StackLog
from tidegate.core.ports import StackEvent
from tidegate.core.workflow.events import publish_stack
from tidegate.core.workflow.records import find
from tidegate.core.workflow.target.context import RolloutContext

NEWEST: Final = 30
FAILURES: Final = 20  # the first ones: what comes later mostly follows from them
UNDER_WAY: Final = 10
_LONGEST_REASON: Final = 800


def follow(context: RolloutContext, operation: str, retries: int = 0) -> None:
    """Keep what the operation has done since the last look, and tell how the stack stands.

    ``operation`` and ``retries`` are those of the token that it was begun with. What is kept has a
    bound, however large the stack is. All of this is for people: that CloudFormation does not tell
    is said and stops nothing, and the next look goes on from the last event that is kept.
    """
    log = _log(context, operation)
    try:
        news = context.world.stacks.events(
            context.target.stack_name, context.token(operation, retries), log.newest
        )
    except (Transient, ServiceRefused) as error:
        _keep(context, log, log.model_copy(update={"unread": str(error)}))
        return
    grown = _grown(log, [_line(event) for event in news])
    _keep(context, log, grown)
    for event in news:
        if event.of_stack:
            publish_stack(context.ports.bus, context.ref.release, grown, event)


def _log(context: RolloutContext, operation: str) -> StackLog:
    key = {
        "release_id": context.ref.release.id,
        "stage": context.ref.stage,
        "target": context.ref.target,
        "operation": operation,
    }
    known = find(context.ports.ledger, StackLog, **key)
    return known or StackLog(**key, since=context.ports.clock.now())


def _keep(context: RolloutContext, before: StackLog, after: StackLog) -> None:
    """Write it, unless the look has seen nothing new."""
    if after != before:
        context.ports.ledger.put(after)


def _grown(log: StackLog, news: Sequence[StackLine]) -> StackLog:
    """The log with what is new in it, within its bounds."""
    of_stack = [line.status for line in news if line.of_stack]
    failures = (*log.failures, *(line for line in news if line.failed))
    return log.model_copy(
        update={
            "newest": news[-1].id if news else log.newest,
            "status": of_stack[-1] if of_stack else log.status,
            "seen": log.seen + len(news),
            "events": (*log.events, *news)[-NEWEST:],
            "under_way": _under_way((*log.under_way, *news)),
            "failures": failures[:FAILURES],
            "unread": "",
        }
    )


def _under_way(lines: Iterable[StackLine]) -> tuple[StackLine, ...]:
    """The resources whose last event says that CloudFormation works on them."""
    last: dict[str, StackLine] = {}
    for line in lines:
        if not line.of_stack:
            last.pop(line.logical_id, None)
            last[line.logical_id] = line
    return tuple(line for line in last.values() if line.moving)[-UNDER_WAY:]


def _line(event: StackEvent) -> StackLine:
    return StackLine(
        id=event.id,
        at=event.at,
        logical_id=event.logical_id,
        type=event.type,
        status=event.status,
        reason=event.reason[:_LONGEST_REASON],
        of_stack=event.of_stack,
    )
