"""From what Step Functions reports of a failure to the error and the sentence that people need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.core import errors
from tidegate.core.model.record import ReleasePhase

UNKNOWN = "Unknown"

_PHASES: Mapping[str, ReleasePhase] = {
    errors.ApprovalRejected.__name__: ReleasePhase.REJECTED,
    errors.ApprovalExpired.__name__: ReleasePhase.REJECTED,
    errors.Aborted.__name__: ReleasePhase.ABORTED,
    errors.Superseded.__name__: ReleasePhase.SUPERSEDED,
    **{error.__name__: ReleasePhase.STUCK for error in errors.NeedsOperator.__subclasses__()},
}

# What a nested execution says when it ended without an error of its own.
_ENDINGS = {
    "TIMED_OUT": ("States.Timeout", "ran out of time"),
    "ABORTED": (errors.Aborted.__name__, "was stopped"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The name of an error and one sentence about it."""

    error: str
    cause: str


def root_cause(error_output: Mapping[str, Any]) -> Failure:
    """The innermost failure of an ``{"Error", "Cause"}`` that a Catch has received.

    Unwraps the JSON that Step Functions puts into ``Cause``: a Lambda function's error
    (``errorType``, ``errorMessage``) and a nested execution's description (``Status``, ``Error``,
    ``Cause``), as deep as they go. Never raises.
    """
    error, cause = error_output.get("Error"), error_output.get("Cause")
    while inner := _inside(_as_mapping(cause)):
        error, cause = inner[0] or error, inner[1]
    return Failure(_text(error) or UNKNOWN, _text(cause))


def release_phase(error: str) -> ReleasePhase:
    """Where a release is after this error ended it."""
    return _PHASES.get(error, ReleasePhase.FAILED)


def _inside(cause: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The error and cause that this parsed cause wraps; None when it wraps nothing that we know."""
    if "errorType" in cause or "errorMessage" in cause:
        return cause.get("errorType"), cause.get("errorMessage", "")
    default_error, ending = _ENDINGS.get(str(cause.get("Status")), ("", ""))
    error = cause.get("Error") or default_error
    reason = cause.get("Cause") or (ending and f"execution {_execution(cause)} {ending}")
    return (error, reason) if error or reason else None


def _execution(description: Mapping[str, Any]) -> str:
    return _text(description.get("Name") or description.get("ExecutionArn") or "without a name")


def _as_mapping(cause: Any) -> Mapping[str, Any]:
    if isinstance(cause, Mapping):
        return cause
    if not isinstance(cause, str) or not cause.lstrip().startswith("{"):
        return {}
    try:
        parsed = json.loads(cause)
    except (ValueError, RecursionError):  # a sentence that only looks like JSON
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
