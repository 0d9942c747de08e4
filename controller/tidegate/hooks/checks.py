"""Collects what a hook checks, all of it, and says how it came out."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any, Final

from tidegate.hooks.answer import Answer
from tidegate.hooks.callback import Callback
from tidegate.hooks.event import HookEvent
from tidegate.hooks.invocation import Invocation, invoke, why_not_invocable
from tidegate.hooks.text import shorten

_logger = logging.getLogger("tidegate.hooks")

_RESERVE_SECONDS: Final = 1.0  # to say how it came out
_ASKED_CHARACTERS: Final = 80
_REASONS_SHOWN: Final = 5
_MOST_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. ``detail`` says what was found instead."""

    name: str
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name


class Checks:
    """The checks of one run. A failed one is remembered and the run goes on: a person sees all."""

    def __init__(self, event: HookEvent) -> None:
        self._event = event
        self._checks: list[Check] = []
        self._later = False

    @property
    def made(self) -> tuple[Check, ...]:
        """All checks so far, in their order."""
        return tuple(self._checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that did not pass."""
        return tuple(check for check in self._checks if not check.passed)

    def that(self, name: str, passed: Any, detail: str = "") -> bool:
        """Collect a check of your own: what should be so, whether it is, what was found instead."""
        check = Check(shorten(name), bool(passed), "" if passed else shorten(detail))
        self._checks.append(check)
        level = logging.INFO if check.passed else logging.WARNING
        _logger.log(level, "%s: %s", "passed" if check.passed else "failed", check)
        return check.passed

    def invoke(
        self,
        arn: str,
        payload: Any = None,
        *,
        timeout_seconds: float = 30.0,
        expect_error: str = "",
    ) -> Answer:
        """Ask a function, and collect whether it answers.

        ``arn`` ends with a version or an alias. It has ``timeout_seconds``, or what is left of the
        run. With ``expect_error``, a type such as ``ValueError``, failing that way is what passes.
        """
        asked = f"{_short_name(arn)} asked {_asked(payload)}"
        allowed = min(timeout_seconds, self._event.seconds_left() - _RESERVE_SECONDS)
        if allowed > 0:
            came = invoke(arn, payload, allowed)
        else:
            came = Invocation(None, "the hook had no time left to ask", "NoTimeLeft")
        if expect_error:
            found = came.error or "it answered"
            self.that(f"{asked}: fails by {expect_error}", came.error_type == expect_error, found)
        else:
            self.that(f"{asked}: answers", not came.error, came.error)
        if came.error and came.log_tail:
            _logger.warning("the end of its log:\n%s", came.log_tail)
        return Answer(asked, came, self.that)

    def is_invocable(self, arn: str) -> bool:
        """Collect whether a function is there and may be invoked. It does not run."""
        problem = why_not_invocable(arn)
        return self.that(f"{_short_name(arn)} can be invoked", not problem, problem)

    def later(self) -> Callback:
        """Let the hook return without a verdict: whoever has this callback answers for it.

        A check that has failed already ends the run all the same. Raises ``LookupError`` when the
        manifest gives the hook no ``heartbeat``.
        """
        if self._event.callback is None:
            raise LookupError(
                "this hook may not answer later. Give it a `heartbeat` in the manifest."
            )
        self._later = True
        return self._event.callback

    def result(self) -> dict[str, Any]:
        """What the hook answers: read by the state machine, and by people in the record."""
        failed = self.failed
        listed = [asdict(check) for check in self._checks[:_MOST_LISTED]]
        if self._later and not failed:
            return {"status": "InProgress", "checks": listed}
        if not self._checks:
            return {"status": "Failed", "reason": "it checked nothing", "checks": []}
        if failed:
            return {"status": "Failed", "reason": self._reason(failed), "checks": listed}
        count = len(self._checks)
        return {"status": "Succeeded", "summary": _checks(count, "passed"), "checks": listed}

    def _reason(self, failed: tuple[Check, ...]) -> str:
        shown = "; ".join(map(str, failed[:_REASONS_SHOWN]))
        more = len(failed) - _REASONS_SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        return f"{len(failed)} of {_checks(len(self._checks), 'failed')}: {shown}{rest}"


def _checks(count: int, verb: str) -> str:
    return f"{count} check{'' if count == 1 else 's'} {verb}"


def _short_name(arn: str) -> str:
    """``hello-prod:42``, of an ARN."""
    return arn.partition(":function:")[2] or arn


def _asked(payload: Any) -> str:
    return shorten(json.dumps(payload, ensure_ascii=False, default=str), _ASKED_CHARACTERS)
