"""Write validation hooks: Lambda functions that say whether a candidate may go on.

Needs nothing but Python; boto3, which Lambda brings, is imported with the first invocation. ::

    from tidegate.hooks import Checks, HookEvent, hook


    @hook
    def handler(event: HookEvent, checks: Checks) -> None:
        for function in event.functions:
            answer = checks.invoke(function.candidate_arn, {"name": "Ada"})
            answer.has_status(200).matches(r"^Hello\\b.*\\bAda\\b", at="message").within(seconds=1)
"""

from tidegate.hooks.answer import Answer
from tidegate.hooks.callback import Callback, NotDeliveredError
from tidegate.hooks.checks import Check, Checks
from tidegate.hooks.client import using
from tidegate.hooks.event import HookEvent, NotAHookEventError, ReleasedFunction
from tidegate.hooks.handler import hook
from tidegate.hooks.schema import SchemaError

__all__ = [
    "Answer",
    "Callback",
    "Check",
    "Checks",
    "HookEvent",
    "NotAHookEventError",
    "NotDeliveredError",
    "ReleasedFunction",
    "SchemaError",
    "hook",
    "using",
]
