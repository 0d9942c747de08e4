"""What people read of a failure is its root, not its wrapping."""

import json
from typing import Any

import pytest

from tidegate.core import errors
from tidegate.core.model.failure import Failure, release_phase, root_cause
from tidegate.core.model.record import ReleasePhase

HOOK_FAILED = {
    "Error": "HookFailed",
    "Cause": json.dumps(
        {
            "errorMessage": "PreTraffic failed: expected 200, found 500",
            "errorType": "HookFailed",
            "requestId": "5f1c",
            "stackTrace": [],
        }
    ),
}


def nested(**description: Any) -> dict[str, str]:
    execution = {"ExecutionArn": "arn:aws:states:eu-west-1:1:execution:rollout:x", "Name": "x"}
    return {"Error": "States.TaskFailed", "Cause": json.dumps({**execution, **description})}


def test_unwraps_the_error_of_a_function() -> None:
    assert root_cause(HOOK_FAILED) == Failure(
        "HookFailed", "PreTraffic failed: expected 200, found 500"
    )


def test_unwraps_executions_within_executions() -> None:
    rollout = nested(Status="FAILED", **HOOK_FAILED)
    stage = nested(Status="FAILED", **rollout)
    assert root_cause(stage) == root_cause(HOOK_FAILED)


def test_takes_a_cause_that_was_parsed_already() -> None:
    cause = json.loads(HOOK_FAILED["Cause"])
    assert root_cause({"Error": "HookFailed", "Cause": cause}) == root_cause(HOOK_FAILED)


def test_keeps_a_plain_sentence() -> None:
    assert root_cause({"Error": "States.Timeout", "Cause": "too slow"}) == Failure(
        "States.Timeout", "too slow"
    )


@pytest.mark.parametrize(
    "cause", ["{not json", '{"a": 1}', "[1]", '{"Build": {"Id": "b"}}', "{" * 9]
)
def test_keeps_what_it_does_not_know(cause: str) -> None:
    assert root_cause({"Error": "E", "Cause": cause}) == Failure("E", cause)


def test_keeps_json_that_is_too_deep_to_read() -> None:
    cause = '{"a":' + "[" * 100_000
    assert root_cause({"Error": "E", "Cause": cause}) == Failure("E", cause)


def test_says_that_an_execution_was_stopped_by_hand() -> None:
    assert root_cause(nested(Status="ABORTED")) == Failure("Aborted", "execution x was stopped")


def test_says_why_an_execution_was_stopped_when_that_was_given() -> None:
    stopped = nested(Status="ABORTED", Error="Stopped", Cause="by ada")
    assert root_cause(stopped) == Failure("Stopped", "by ada")


def test_says_that_an_execution_ran_out_of_time() -> None:
    assert root_cause(nested(Status="TIMED_OUT")) == Failure(
        "States.Timeout", "execution x ran out of time"
    )
    nameless = nested(Status="TIMED_OUT", Name=None, ExecutionArn=None, Error="States.Timeout")
    assert root_cause(nameless).cause == "execution without a name ran out of time"


def test_keeps_the_outer_error_when_the_inner_has_no_name() -> None:
    assert root_cause({"Error": "Outer", "Cause": '{"errorMessage": "m"}'}) == Failure("Outer", "m")


def test_nothing_is_an_unknown_failure() -> None:
    assert root_cause({}) == Failure("Unknown", "")


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        ("ApprovalRejected", ReleasePhase.REJECTED),
        ("ApprovalExpired", ReleasePhase.REJECTED),
        ("Aborted", ReleasePhase.ABORTED),
        ("Superseded", ReleasePhase.SUPERSEDED),
        ("AliasChangedByOthers", ReleasePhase.STUCK),
        ("LockLost", ReleasePhase.STUCK),
        ("RestoreFailed", ReleasePhase.STUCK),
        ("Unhealthy", ReleasePhase.FAILED),
        ("HookFailed", ReleasePhase.FAILED),
        ("TestsFailed", ReleasePhase.FAILED),
        ("States.Timeout", ReleasePhase.FAILED),
        ("", ReleasePhase.FAILED),
    ],
)
def test_the_error_says_where_the_release_is(error: str, phase: ReleasePhase) -> None:
    assert release_phase(error) is phase


@pytest.mark.parametrize("error", errors.NeedsOperator.__subclasses__())
def test_whatever_needs_an_operator_is_stuck(error: type[errors.NeedsOperator]) -> None:
    assert release_phase(error.__name__) is ReleasePhase.STUCK
