"""Wait for a hook that answers later."""

from __future__ import annotations

from pydantic import Field

from tidegate.core.workflow.hooks import asynchronous
from tidegate.handlers.task import Answer, Call, HookEvent, task


class AwaitHookEvent(HookEvent):
    """The hook, and the task token that its answer is for."""

    token: str = Field(repr=False)


@task(AwaitHookEvent)
def handler(call: Call[AwaitHookEvent]) -> Answer:
    """Keep the token; what is heard of the hook answers it."""
    event = call.event
    asynchronous.await_answer(call.ports, event.ref, event.when, event.function, event.token)
    return {}
