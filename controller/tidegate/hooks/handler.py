"""Makes a Lambda handler of a validation."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from tidegate.hooks.checks import Checks
from tidegate.hooks.event import HookEvent

_logger = logging.getLogger("tidegate.hooks")

Validation = Callable[[HookEvent, Checks], None]
Handler = Callable[..., dict[str, Any]]


def hook(validation: Validation) -> Handler:
    """Let Lambda call a validation: it gets the event and what collects its checks.

    The hook passes when at least one check was made and none failed. What the validation raises is
    a failed check, after those that it made before. Decorators for handlers, those of Powertools
    say, go above this one.
    """

    @functools.wraps(validation)
    def handler(event: Any, context: Any = None) -> dict[str, Any]:
        given = HookEvent.read(event, context)
        checks = Checks(given)
        try:
            validation(given, checks)
        except Exception as error:
            _logger.exception("the hook did not get to its end")
            checks.that("the hook gets to its end", False, f"{type(error).__name__}: {error}")
        return checks.result()

    return handler
