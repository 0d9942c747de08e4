"""Run one validation hook."""

from __future__ import annotations

import secrets
from typing import Any

from tidegate.aws.idempotency import do_once
from tidegate.aws.settings import settings
from tidegate.core.errors import HookFailed
from tidegate.core.workflow.hooks import run as hook
from tidegate.handlers.task import Answer, Call, HookEvent, count, task

_ANSWER_SECONDS = 10  # for the record of how the hook ended
_SECRET_BYTES = 32


class RunHookEvent(HookEvent):
    """The rollout, the hook, and the execution that runs it, if it says so."""

    execution: str = ""

    @property
    def key(self) -> dict[str, str]:
        """What makes one run of a hook."""
        return {
            "release": self.release.id,
            "stage": self.stage,
            "target": self.target,
            "when": self.when,
            "function": self.function,
            "execution": self.execution,
        }


@task(RunHookEvent)
def handler(call: Call[RunHookEvent]) -> Answer:
    """Run the hook, once however often the task is tried; count it when it fails."""
    try:
        return do_once(call.event.key, call.context, lambda: _run(call))
    except HookFailed:
        count("HooksFailed", when=call.event.when)
        raise


def _run(call: Call[RunHookEvent]) -> dict[str, Any]:
    event = call.event
    terms = hook.Terms(
        bus=settings().bus_arn,
        secret=secrets.token_urlsafe(_SECRET_BYTES),
        most_seconds=call.seconds_left - _ANSWER_SECONDS,
    )
    return dict(hook.run_hook(call.ports, event.ref, event.when, event.function, terms))
