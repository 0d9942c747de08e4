"""Answers to task tokens, through Step Functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidegate.aws.errors import calling, error_code

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_GONE: Final = {"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"}
_LONGEST_ERROR: Final = 256  # Step Functions' limits, in characters
_LONGEST_CAUSE: Final = 32_768


class StepFunctionsCallbacks:
    """Answers a token once; a token that is gone is False, not an error."""

    def __init__(self, client: SFNClient) -> None:
        self._client = client

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Let the waiting state go on with this output; False when it waits no more."""
        with calling("answer a task token"):
            try:
                self._client.send_task_success(taskToken=token, output=json.dumps(dict(output)))
            except ClientError as error:
                return _gone(error)
        return True

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Let the waiting state fail; False when it waits no more."""
        with calling("answer a task token"):
            try:
                self._client.send_task_failure(
                    taskToken=token, error=error[:_LONGEST_ERROR], cause=cause[:_LONGEST_CAUSE]
                )
            except ClientError as refusal:
                return _gone(refusal)
        return True

    def heartbeat(self, token: str) -> bool:
        """Begin the waiting state's `HeartbeatSeconds` anew; False when it waits no more."""
        with calling("prolong a task token"):
            try:
                self._client.send_task_heartbeat(taskToken=token)
            except ClientError as refusal:
                return _gone(refusal)
        return True


def _gone(error: ClientError) -> bool:
    """False for a token that is gone. Raises any other error again."""
    if error_code(error) not in _GONE:
        raise error
    return False
