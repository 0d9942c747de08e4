"""How the command line finds a controller and asks it, on AWS's wire."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import shop
from botocore.stub import ANY, Stubber

from tidegate.cli import backend
from tidegate.cli.backend import AwsBackend, Settings, connect, refusal
from tidegate.core.approval.identity import subject_of
from tidegate.core.errors import NotAllowedNow, NotFound, TidegateError
from tidegate.core.model.record import Pruning
from tidegate.core.workflow.operator.doctor import Finding

OUTPUTS = {
    "TableName": "record",
    "ReleaseStateMachineArn": "arn:aws:states:eu-west-1:111111111111:stateMachine:release",
    "OperateFunction": "tidegate-operate",
    "OperateFunctionArn": "arn:aws:lambda:eu-west-1:111111111111:function:tidegate-operate",
    "PruneFunction": "tidegate-prune",
    "DoctorFunction": "tidegate-examine",
}
LONGEST_SECONDS = 900  # that a function may run: until then nobody asks once more


class StubbedSession(boto3.Session):
    """A session whose clients answer what a test says."""

    def __init__(self) -> None:
        super().__init__("AKIAEXAMPLE", "secret", region_name="eu-west-1")
        self.stubs: dict[str, Stubber] = {}
        self.configs: dict[str, Any] = {}  # what each client was last asked for with
        self._clients: dict[str, Any] = {}

    def client(self, service: str, *args: Any, **kwargs: Any) -> Any:
        self.configs[service] = kwargs.get("config")
        if service not in self._clients:
            self._clients[service] = super().client(service, *args, **kwargs)
        return self._clients[service]

    def stub(self, service: str) -> Stubber:
        if service not in self.stubs:
            self.stubs[service] = Stubber(self.client(service))
            self.stubs[service].activate()
        return self.stubs[service]


@pytest.fixture
def session() -> Iterator[StubbedSession]:
    stubbed = StubbedSession()
    yield stubbed
    for stub in stubbed.stubs.values():
        stub.assert_no_pending_responses()


@pytest.fixture
def settings(session: StubbedSession, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(backend.Settings, "session", lambda _: session)
    return Settings(stack="delivery")


def answers(payload: Any, **more: Any) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(payload).encode()), **more}


def test_a_controller_is_found_by_its_stack(session: StubbedSession, settings: Settings) -> None:
    stack = {
        "StackName": "delivery",
        "CreationTime": shop.NOON,
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in OUTPUTS.items()],
    }
    session.stub("cloudformation").add_response(
        "describe_stacks", {"Stacks": [stack]}, {"StackName": "delivery"}
    )
    session.stub("dynamodb").add_response(
        "get_item", {}, {"TableName": "record", "Key": ANY, "ConsistentRead": True}
    )
    found = connect(settings)
    assert found.ledger.get(shop.Release, "APP#shop", "RELEASE#00000007") is None


def test_a_stack_that_is_not_there_is_named_with_the_mend(
    session: StubbedSession, settings: Settings
) -> None:
    session.stub("cloudformation").add_client_error("describe_stacks", "ValidationError")
    with pytest.raises(NotFound, match=r"no stack 'delivery' in eu-west-1\. .*--stack"):
        connect(settings)


def test_what_aws_refuses_is_passed_on(session: StubbedSession, settings: Settings) -> None:
    session.stub("cloudformation").add_client_error("describe_stacks", "AccessDenied")
    with pytest.raises(session.client("cloudformation").exceptions.ClientError):
        connect(settings)


def test_a_release_is_started_with_the_content_of_release_json(session: StubbedSession) -> None:
    session.stub("stepfunctions").add_response(
        "start_execution",
        {"executionArn": "arn:new", "startDate": shop.NOON},
        {
            "stateMachineArn": OUTPUTS["ReleaseStateMachineArn"],
            "input": shop.artifact().model_dump_json(),
        },
    )
    assert AwsBackend(session, OUTPUTS).start(shop.artifact()) == "arn:new"


def test_a_request_carries_a_proof_for_this_decision_only(session: StubbedSession) -> None:
    sent: list[dict[str, Any]] = []
    session.client("lambda").meta.events.register(
        "provide-client-params.lambda.Invoke",
        lambda params, **_: sent.append(json.loads(params["Payload"])),
    )
    session.stub("lambda").add_response(
        "invoke",
        answers({"message": "ana approved prod."}),
        {"FunctionName": "tidegate-operate", "Payload": ANY},
    )
    asked = {"argument": "", "reason": "looks good", "shown": "sha256:1"}
    message = AwsBackend(session, OUTPUTS).operate("approve", "shop-7", "prod", **asked)
    assert message == "ana approved prod."
    headers = sent[0]["identity_proof"]["headers"]
    controller = OUTPUTS["OperateFunctionArn"]
    subject = subject_of(controller, "approve", "shop-7", "prod", **asked)
    assert headers["x-tidegate-subject"] == subject
    assert sent[0]["shown"] == "sha256:1"
    assert "x-tidegate-subject" in headers["authorization"]
    assert session.configs["lambda"].read_timeout > LONGEST_SECONDS


def test_pruning_is_asked_of_the_function_that_reaches_the_targets(
    session: StubbedSession,
) -> None:
    pruning = Pruning(application="shop", stage="prod", target=shop.PROD, at=shop.NOON)
    session.stub("lambda").add_response(
        "invoke",
        answers({"prunings": [pruning.model_dump(mode="json")]}),
        {
            "FunctionName": "tidegate-prune",
            "Payload": json.dumps({"application": "shop", "dry_run": True}).encode(),
        },
    )
    assert AwsBackend(session, OUTPUTS).prune("shop", dry_run=True) == [pruning]


def test_the_targets_are_looked_at_by_the_function_that_reaches_them(
    session: StubbedSession,
) -> None:
    finding = Finding(place="prod", what="role", well=True, says="it lets us in")
    session.stub("lambda").add_response(
        "invoke",
        answers({"findings": [finding.model_dump()]}),
        {
            "FunctionName": "tidegate-examine",
            "Payload": json.dumps({"application": "shop"}).encode(),
        },
    )
    assert AwsBackend(session, OUTPUTS).diagnose("shop") == [finding]


def test_a_refusal_is_raised_as_what_it_was(session: StubbedSession) -> None:
    refused = {"errorType": "NotAllowedNow", "errorMessage": "shop-7 is over."}
    session.stub("lambda").add_response(
        "invoke",
        answers(refused, FunctionError="Unhandled"),
        {"FunctionName": "tidegate-operate", "Payload": ANY},
    )
    with pytest.raises(NotAllowedNow, match="shop-7 is over"):
        AwsBackend(session, OUTPUTS).operate("abort", "shop-7", "", "x")


@pytest.mark.parametrize("name", ["KeyError", "annotations", "None"])
def test_a_crash_of_the_controller_is_said_with_its_name(name: str) -> None:
    error = refusal({"errorType": name, "errorMessage": "'x'"})
    assert type(error) is TidegateError
    assert str(error) == f"the controller failed with {name}: 'x'"
