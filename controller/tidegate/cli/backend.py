"""The controller that the command line talks to: found by its stack, read and asked through AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.core import errors

if TYPE_CHECKING:
    import boto3

    from tidegate.core.model.plan import ArtifactRef
    from tidegate.core.model.record import Pruning
    from tidegate.core.ports import Ledger
    from tidegate.core.workflow.operator.doctor import Finding


class Backend(Protocol):
    """What the verbs need of a controller."""

    @property
    def ledger(self) -> Ledger:
        """The record."""

    def start(self, artifact: ArtifactRef) -> str:
        """Start a release and return the ARN of its execution."""

    def operate(
        self,
        verb: str,
        release_id: str,
        stage: str,
        reason: str,
        argument: str = "",
        *,
        shown: str = "",
    ) -> str:
        """Ask the controller to do what an operator wants; returns what it did, in words.

        ``shown`` is the digest of what an approval was asked for, as the operator saw it.
        """

    def prune(self, application: str, *, dry_run: bool) -> list[Pruning]:
        """Have old versions deleted, or have it said which would be."""

    def diagnose(self, application: str) -> list[Finding]:
        """Have the targets looked at."""


@dataclass(frozen=True)
class Settings:
    """Where the controller is."""

    stack: str
    region: str | None = None
    profile: str | None = None

    def session(self) -> boto3.Session:
        """The AWS session of the person who types."""
        import boto3

        return boto3.Session(profile_name=self.profile, region_name=self.region)


@dataclass(frozen=True)
class Context:
    """What every verb is given. Tests put a backend and a clock of their own in."""

    connect: Callable[[], Backend]
    session: Callable[[], boto3.Session]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    pause: Callable[[float], None] = time.sleep


class AwsBackend:
    """A controller in AWS. ``outputs`` are those of its stack."""

    def __init__(self, session: boto3.Session, outputs: Mapping[str, str]) -> None:
        self._session = session
        self._outputs = outputs

    @cached_property
    def ledger(self) -> Ledger:
        """The record."""
        from tidegate.aws.ledger import DynamoLedger

        return DynamoLedger(self._session.client("dynamodb"), self._outputs["TableName"])

    def start(self, artifact: ArtifactRef) -> str:
        """Start a release and return the ARN of its execution."""
        response = self._session.client("stepfunctions").start_execution(
            stateMachineArn=self._outputs["ReleaseStateMachineArn"],
            input=artifact.model_dump_json(),
        )
        return response["executionArn"]

    def operate(
        self,
        verb: str,
        release_id: str,
        stage: str,
        reason: str,
        argument: str = "",
        *,
        shown: str = "",
    ) -> str:
        """Invoke the function that operators may invoke, with a proof of who asks."""
        from tidegate.aws.identity import prove
        from tidegate.core.approval.identity import subject_of

        subject = subject_of(
            self._outputs["OperateFunctionArn"],
            verb,
            release_id,
            stage,
            argument=argument,
            reason=reason,
            shown=shown,
        )
        request = {
            "verb": verb,
            "release_id": release_id,
            "stage": stage,
            "reason": reason,
            "argument": argument,
            "shown": shown,
            "identity_proof": prove(self._session, subject),
        }
        return str(self._invoke("OperateFunction", request)["message"])

    def prune(self, application: str, *, dry_run: bool) -> list[Pruning]:
        """Invoke the function that reaches the targets."""
        from tidegate.core.model.record import Pruning

        answer = self._invoke("PruneFunction", {"application": application, "dry_run": dry_run})
        return [Pruning.model_validate(pruning) for pruning in answer["prunings"]]

    def diagnose(self, application: str) -> list[Finding]:
        """Invoke the function that reaches the targets."""
        from tidegate.core.workflow.operator.doctor import Finding

        answer = self._invoke("DoctorFunction", {"application": application})
        return [Finding.model_validate(finding) for finding in answer["findings"]]

    def _invoke(self, output: str, request: Mapping[str, Any]) -> Any:
        """What the function of this output of the controller's stack answers."""
        from tidegate.aws.session import ASKING

        response = self._session.client("lambda", config=ASKING).invoke(
            FunctionName=self._outputs[output], Payload=json.dumps(request).encode()
        )
        answer = json.loads(response["Payload"].read())
        if response.get("FunctionError"):
            raise refusal(answer)
        return answer


def connect(settings: Settings) -> Backend:
    """Find the controller by its stack. Raises ``NotFound``."""
    from botocore.exceptions import ClientError

    session = settings.session()
    try:
        stacks = session.client("cloudformation").describe_stacks(StackName=settings.stack)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise errors.NotFound(
            f"There is no stack {settings.stack!r} in {session.region_name}.",
            remedy="Name the controller's stack with --stack and its region with --region.",
        ) from error
    outputs = stacks["Stacks"][0].get("Outputs", [])
    return AwsBackend(session, {o["OutputKey"]: o["OutputValue"] for o in outputs})


def refusal(answer: Mapping[str, Any]) -> errors.TidegateError:
    """The error that a function answered with, as the class that it names where we know it."""
    name, message = str(answer.get("errorType")), str(answer.get("errorMessage"))
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.TidegateError):
        return kind(message)
    return errors.TidegateError(f"the controller failed with {name}: {message}")
