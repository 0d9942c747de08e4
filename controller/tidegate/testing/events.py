"""What a hook is sent, for tests that call one."""

from __future__ import annotations

from typing import Any

_ARN = "arn:aws:lambda:eu-west-1:111111111111:function"


def make_hook_event(
    *functions: str,
    alias: str = "live",
    stable: str = "1",
    candidate: str = "2",
    **over: Any,
) -> dict[str, Any]:
    """The event of a hook that validates these functions, named as they are in the account.

    ``over`` replaces keys of the event: ``when="post-traffic"``, ``stage="prod"``, ``attempt=2``,
    and ``callback=make_callback()`` for a hook that may answer later.
    """
    return {
        "schema": 1,
        "release": {"id": "application-2", "application": "application", "number": 2},
        "stage": "test",
        "target": "111111111111/eu-west-1",
        "when": "pre-traffic",
        "functions": [
            {
                "function": function,
                "alias": alias,
                "stable_version": stable,
                "candidate_version": candidate,
                "candidate_arn": f"{_ARN}:{function}:{candidate}",
                "alias_arn": f"{_ARN}:{function}:{alias}",
            }
            for function in functions
        ],
        "commit": "0000000000000000000000000000000000000000",
        "attempt": 1,
        "timeout_seconds": 300,
        **over,
    }


def make_callback(**over: Any) -> dict[str, Any]:
    """The callback in the event of a hook that may answer later. ``over`` replaces keys of it."""
    return {
        "bus": "arn:aws:events:eu-west-1:999999999999:event-bus/tidegate",
        "run": "application-2/test/111111111111/eu-west-1/pre-traffic/Hook",
        "secret": "known to nobody else",
        "deadline": "2100-01-01T00:00:00+00:00",
        "heartbeat_seconds": 300,
        **over,
    }
