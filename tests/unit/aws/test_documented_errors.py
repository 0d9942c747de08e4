"""Every error that AWS documents for a call of ours becomes an error of the port's contract.

The lists are botocore's own service models. No call leaves the process: an event handler of the
client answers in the service's place.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

import tidegate.aws
from tidegate.aws.aliases import LambdaAliases
from tidegate.aws.artifacts import S3Artifacts
from tidegate.aws.bus import EventBridgeBus
from tidegate.aws.callbacks import StepFunctionsCallbacks
from tidegate.aws.capacity import LambdaCapacity
from tidegate.aws.executions import StepFunctionsExecutions
from tidegate.aws.functions import LambdaFunctions
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.metrics import CloudWatchMetrics
from tidegate.aws.signals import CloudWatchSignals
from tidegate.aws.stacks import CloudFormationStacks
from tidegate.aws.targets import AssumedTargets
from tidegate.aws.topics import SnsTopics
from tidegate.aws.versions import LambdaVersions
from tidegate.aws.wiring import adapters
from tidegate.core.errors import TidegateError
from tidegate.core.model.plan import ArtifactRef, Target
from tidegate.core.model.record import Application
from tidegate.core.ports import AliasRef, Pair, StackSpec
from tidegate.testing.faults import RAISES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELLO = AliasRef("hello", "live")
STACK = {
    "StackName": "hello",
    "StackId": "arn:stack",
    "StackStatus": "UPDATE_COMPLETE",
    "CreationTime": NOW,
}
ALIAS = {"FunctionVersion": "1", "RevisionId": "r"}
SPEC = StackSpec("hello", "https://bucket/template.json", {})
BROKEN = {**STACK, "StackStatus": "UPDATE_ROLLBACK_COMPLETE"}
EMPTY = {"Status": "FAILED", "ChangeSetId": "arn:set", "StatusReason": "didn't contain changes"}
MADE = {"Status": "CREATE_COMPLETE", "ChangeSetId": "arn:set", "Changes": []}
RELEASE = ArtifactRef(application="hello", digest="sha256:0", bucket="b", prefix="p", commit="c")
THERE = Target(
    account="222222222222",
    region="eu-west-1",
    role_arn="arn:aws:iam::222222222222:role/target",
    stack_name="hello",
)
ANY_CALL = {
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InternalFailure": 500,
    "RequestExpired": 400,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "Throttling": 400,
    "ThrottlingException": 400,
    "UnrecognizedClientException": 403,
    "ValidationError": 400,
    "ValidationException": 400,
}
"""What any call of any service may say, whether its model lists it or not."""
BROKEN_LINES = (
    ConnectTimeoutError(endpoint_url="https://aws"),
    EndpointConnectionError(endpoint_url="https://aws"),
    ReadTimeoutError(endpoint_url="https://aws"),
)


@dataclass
class Service:
    """Answers every operation; the one that is to fail fails."""

    answers: Mapping[str, Any]
    fails: str = ""
    error: tuple[str, int] | Exception = ("", 0)
    made: set[str] = field(default_factory=set)

    def client(self, name: str) -> Any:
        client = boto3.client(
            name,
            region_name="eu-west-1",
            aws_access_key_id="id",
            aws_secret_access_key="key",
        )
        client.meta.events.register("before-call", self.answer)
        return client

    def answer(self, model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        operation = xform_name(model.name)
        self.made.add(operation)
        if operation != self.fails:
            return SimpleNamespace(status_code=200), dict(self.answers.get(operation, {}))
        if isinstance(self.error, Exception):
            raise self.error
        code, status = self.error
        said = {
            "Error": {"Code": code, "Message": "as documented"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        return SimpleNamespace(status_code=status), said


@dataclass(frozen=True)
class Call:
    """One method of a port: the service behind it, how it is made, what is answered to it."""

    port: str
    service: str
    act: Callable[[Any], object]
    answers: Mapping[str, Any]


def aliases(client: Any) -> LambdaAliases:
    return LambdaAliases(client)


def stacks(client: Any) -> CloudFormationStacks:
    templates: Any = SimpleNamespace(url=lambda location: location)
    return CloudFormationStacks(client, templates=templates)


def ledger(client: Any) -> DynamoLedger:
    return DynamoLedger(client, "record")


def functions(client: Any) -> LambdaFunctions:
    return LambdaFunctions(client, lambda seconds: client)


def targets(client: Any) -> AssumedTargets:
    return AssumedTargets(
        clients=SimpleNamespace(acting_as=lambda *_: SimpleNamespace(make=lambda *_: client)),
        sts=client,
        clock=SimpleNamespace(now=lambda: NOW),
        external_id="",
        open_ports=adapters(SimpleNamespace(), 60),
    )


PAIR = Pair(HELLO, "1", "2")
ROLE = {"Role": "arn:role"}
CREDENTIALS = {
    "Credentials": {
        "AccessKeyId": "a",
        "SecretAccessKey": "b",
        "SessionToken": "c",
        "Expiration": NOW + timedelta(hours=1),
    }
}
CALLS = [
    Call("aliases.read", "lambda", lambda c: aliases(c).read(HELLO), {"get_alias": ALIAS}),
    Call(
        "aliases.write",
        "lambda",
        lambda c: aliases(c).write(HELLO, version="1", routes={}, expected_revision="r"),
        {"update_alias": ALIAS},
    ),
    Call(
        "artifacts.read",
        "s3",
        lambda c: S3Artifacts(c).read("bucket", "key"),
        {"get_object": {"Body": io.BytesIO(b"")}},
    ),
    Call(
        "artifacts.sha256",
        "s3",
        lambda c: S3Artifacts(c).sha256("bucket", "key"),
        {"head_object": {"ChecksumSHA256": "aGVsbG8="}},
    ),
    Call(
        "bus.publish",
        "events",
        lambda c: EventBridgeBus(c, "bus").publish("Changed", {}),
        {"put_events": {"FailedEntryCount": 0, "Entries": []}},
    ),
    Call(
        "callbacks.succeed",
        "stepfunctions",
        lambda c: StepFunctionsCallbacks(c).succeed("token", {}),
        {},
    ),
    Call(
        "callbacks.fail",
        "stepfunctions",
        lambda c: StepFunctionsCallbacks(c).fail("token", "Aborted", ""),
        {},
    ),
    Call(
        "callbacks.heartbeat",
        "stepfunctions",
        lambda c: StepFunctionsCallbacks(c).heartbeat("token"),
        {},
    ),
    Call(
        "executions.status",
        "stepfunctions",
        lambda c: StepFunctionsExecutions(c, "arn:machine").status("arn:execution"),
        {"describe_execution": {"status": "RUNNING"}},
    ),
    Call(
        "executions.start",
        "stepfunctions",
        lambda c: StepFunctionsExecutions(c, "arn:machine").start(RELEASE, "retry-2"),
        {"start_execution": {"executionArn": "arn:execution"}},
    ),
    Call(
        "functions.invoke",
        "lambda",
        lambda c: functions(c).invoke("hook", {}, 5),
        {"invoke": {"StatusCode": 200, "Payload": io.BytesIO(b"")}},
    ),
    Call(
        "functions.canary_blockers",
        "lambda",
        lambda c: functions(c).canary_blockers("hello", "1", "2"),
        {"get_function": {"Configuration": ROLE}},
    ),
    Call("ledger.get", "dynamodb", lambda c: ledger(c).get(Application, "p", "s"), {}),
    Call("ledger.put", "dynamodb", lambda c: ledger(c).put(Application(name="a")), {}),
    Call("ledger.query", "dynamodb", lambda c: ledger(c).query("p"), {"query": {"Items": []}}),
    Call("ledger.delete", "dynamodb", lambda c: ledger(c).delete(Application(name="a")), {}),
    Call(
        "metrics.bins",
        "cloudwatch",
        lambda c: CloudWatchMetrics(c, 60).bins([PAIR], NOW, NOW + timedelta(minutes=5)),
        {"get_metric_data": {"MetricDataResults": []}},
    ),
    Call(
        "metrics.baselines",
        "cloudwatch",
        lambda c: CloudWatchMetrics(c, 60).baselines([HELLO], NOW, NOW + timedelta(minutes=5)),
        {"get_metric_data": {"MetricDataResults": []}},
    ),
    Call(
        "metrics.firing",
        "cloudwatch",
        lambda c: CloudWatchMetrics(c, 60).firing(["Alarm"]),
        {"describe_alarms": {"MetricAlarms": [{"AlarmName": "Alarm", "StateValue": "OK"}]}},
    ),
    Call(
        "stacks.preview",
        "cloudformation",
        lambda c: stacks(c).preview(SPEC, "token"),
        {"describe_stacks": {"Stacks": [STACK]}, "describe_change_set": EMPTY},
    ),
    Call("stacks.preview", "cloudformation", lambda c: new_stack(c).preview(SPEC, "token"), {}),
    Call(
        "stacks.events",
        "cloudformation",
        lambda c: stacks(c).events("hello", "token"),
        {"describe_stack_events": {"StackEvents": []}},
    ),
    Call(
        "stacks.execute",
        "cloudformation",
        lambda c: stacks(c).execute("arn:set", "token"),
        {"describe_change_set": {**MADE, "ExecutionStatus": "AVAILABLE"}},
    ),
    Call(
        "stacks.state",
        "cloudformation",
        lambda c: stacks(c).state("hello"),
        {
            "describe_stacks": {"Stacks": [BROKEN]},
            "list_stack_resources": {"StackResourceSummaries": []},
            "describe_stack_events": {"StackEvents": []},
        },
    ),
    Call(
        "stacks.update",
        "cloudformation",
        lambda c: stacks(c).update(SPEC, "token"),
        {
            "describe_stacks": {"Stacks": [STACK]},
            "describe_stack_events": {"StackEvents": []},
        },
    ),
    Call(
        "stacks.delete",
        "cloudformation",
        lambda c: stacks(c).delete("hello", "token"),
        {"describe_stacks": {"Stacks": [STACK]}},
    ),
    Call(
        "signals.alarms",
        "cloudwatch",
        lambda c: CloudWatchSignals(c).alarms(["Alarm"]),
        {"describe_alarms": {"MetricAlarms": []}},
    ),
    Call(
        "signals.requests",
        "cloudwatch",
        lambda c: CloudWatchSignals(c).requests(HELLO, "1", NOW, NOW + timedelta(days=1)),
        {"get_metric_statistics": {"Datapoints": []}},
    ),
    Call(
        "versions.code",
        "lambda",
        lambda c: LambdaVersions(c).code("hello", "1"),
        {"get_function": {"Configuration": {"CodeSha256": "aGVsbG8="}}},
    ),
    Call(
        "versions.layers",
        "lambda",
        lambda c: LambdaVersions(c).layers("hello", "1"),
        {"get_function": {"Configuration": {}}},
    ),
    Call(
        "versions.layer_code",
        "lambda",
        lambda c: LambdaVersions(c).layer_code("arn:layer"),
        {"get_layer_version_by_arn": {"Content": {"CodeSha256": "aGVsbG8="}}},
    ),
    Call(
        "versions.published",
        "lambda",
        lambda c: LambdaVersions(c).published("hello"),
        {"list_versions_by_function": {"Versions": []}},
    ),
    Call(
        "versions.in_use",
        "lambda",
        lambda c: LambdaVersions(c).in_use("hello"),
        {"list_aliases": {"Aliases": []}},
    ),
    Call(
        "versions.bypasses",
        "lambda",
        lambda c: LambdaVersions(c).bypasses("hello"),
        {
            "list_event_source_mappings": {"EventSourceMappings": []},
            "get_policy": {"Policy": '{"Statement": []}'},
        },
    ),
    Call("versions.delete", "lambda", lambda c: LambdaVersions(c).delete("hello", 1), {}),
    Call(
        "topics.publish",
        "sns",
        lambda c: SnsTopics(lambda _: c).publish("arn:aws:sns:eu-west-1:1:t", "subject", "text"),
        {},
    ),
    Call(
        "capacity.allocations",
        "lambda",
        lambda c: LambdaCapacity(c).allocations("hello"),
        {"list_provisioned_concurrency_configs": {"ProvisionedConcurrencyConfigs": []}},
    ),
    Call("capacity.allocate", "lambda", lambda c: LambdaCapacity(c).allocate("hello", "2", 3), {}),
    Call("capacity.release", "lambda", lambda c: LambdaCapacity(c).release("hello", "2"), {}),
    Call(
        "capacity.version",
        "lambda",
        lambda c: LambdaCapacity(c).version("hello", "2"),
        {"get_function": {"Configuration": {"State": "Active"}}},
    ),
    Call("targets.open", "sts", lambda c: targets(c).open(THERE), {"assume_role": CREDENTIALS}),
]


def new_stack(client: Any) -> CloudFormationStacks:
    """No stack and no change set is there yet, so that one is created."""
    adapter = stacks(client)
    adapter._stack = lambda name: None
    return adapter


def operations(call: Call) -> set[str]:
    """What the adapter calls when all goes well."""
    service = Service(call.answers)
    call.act(service.client(call.service))
    return service.made


def documented(client: Any, operation: str) -> dict[str, int]:
    """The errors that the service's model lists for the operation, with their HTTP status."""
    model = client.meta.service_model
    names = {xform_name(name): name for name in model.operation_names}
    shapes = model.operation_model(names[operation]).error_shapes
    return {
        shape.metadata.get("error", {}).get("code", shape.name): shape.metadata.get(
            "error", {}
        ).get("httpStatusCode", 400)
        for shape in shapes
    }


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.port)
def test_every_error_of_every_call_is_one_of_the_contract(call: Call) -> None:
    odd = []
    for operation in operations(call):
        listed = documented(Service({}).client(call.service), operation)
        errors: list[Any] = [*(listed | ANY_CALL).items(), *BROKEN_LINES]
        for error in errors:
            service = Service(call.answers, operation, error)
            try:
                call.act(service.client(call.service))
            except TidegateError as ours:
                if type(ours).__name__ not in RAISES[call.port]:
                    odd.append(f"{operation}: {error} becomes {type(ours).__name__}")
    assert odd == []


def test_no_call_of_an_adapter_is_left_out() -> None:
    source = "".join(path.read_text() for path in Path(tidegate.aws.__path__[0]).glob("*.py"))
    calls = re.compile(r"(?:_client|_sts|\(timeout_seconds\))\.(?!get_paginator)([a-z_]+)\(")
    written = {*calls.findall(source), *re.findall(r'get_paginator\("([a-z_]+)"\)', source)}
    assert written - set().union(*map(operations, CALLS)) == set()
