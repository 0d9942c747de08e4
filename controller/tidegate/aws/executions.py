"""How executions of the state machines stand, from Step Functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from tidegate.aws.errors import calling, error_code
from tidegate.core.model.plan import ArtifactRef

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_UNKNOWN: Final = {"ExecutionDoesNotExist", "InvalidArn"}


class StepFunctionsExecutions:
    """Asks Step Functions; it forgets an execution 90 days after its end."""

    def __init__(self, client: SFNClient, release_machine: str = "") -> None:
        self._client = client
        self._release_machine = release_machine

    def status(self, arn: str) -> str:
        """The service's word; "" for an execution that it does not know."""
        with calling(f"describe {arn}"):
            try:
                return self._client.describe_execution(executionArn=arn)["status"]
            except ClientError as error:
                if error_code(error) in _UNKNOWN:
                    return ""
                raise

    def start(self, artifact: ArtifactRef, name: str) -> str:
        """Start the release machine with this artifact.

        StartExecution is idempotent for a standard machine: name and input of one that runs give
        its answer again, those of one that is over are refused for 90 days.
        """
        with calling(f"start the release {name}"):
            try:
                started = self._client.start_execution(
                    stateMachineArn=self._release_machine,
                    name=name,
                    input=artifact.model_dump_json(),
                )
            except ClientError as error:
                if error_code(error) == "ExecutionAlreadyExists":
                    return ""
                raise
        return started["executionArn"]
