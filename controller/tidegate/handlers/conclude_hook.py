"""Say what becomes of a hook that was to answer later, and of which nothing is heard."""

from __future__ import annotations

from tidegate.core.errors import HookFailed
from tidegate.core.workflow.hooks import asynchronous
from tidegate.handlers.task import Answer, Call, HookEvent, count, task


@task(HookEvent)
def handler(call: Call[HookEvent]) -> Answer:
    """It has failed, unless its answer came all the same; count it when it fails."""
    event = call.event
    try:
        return asynchronous.conclude_hook(call.ports, event.ref, event.when, event.function)
    except HookFailed:
        count("HooksFailed", when=event.when)
        raise
