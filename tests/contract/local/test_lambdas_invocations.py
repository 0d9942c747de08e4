"""Ways to invoke: by the API and by other services, at once and later, and what is measured."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lambda_functions import MEETING, Function

from support.waiting import messages, stack_status, wait_until
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

WITNESS = """
import json

def handler(event, context):
    line = {"event": event, "arn": context.invoked_function_arn, "id": context.aws_request_id}
    with open(PATH, "a") as file:
        file.write(json.dumps({**line, "version": context.function_version}) + "\\n")
"""


class Witness:
    """A function that notes every invocation in a file."""

    def __init__(self, aws: EmbeddedAws, account: str, folder: Path) -> None:
        self._path = folder / "seen"
        self._path.touch()
        self._source = f"PATH = {str(self._path)!r}\n{WITNESS}"
        self.function = Function.create(aws, account, self._source)

    def fail(self) -> None:
        """Note, and fail, from now on."""
        self._source += "    raise ValueError('sold out')\n"
        self.function.update(self._source)

    def publish_two(self) -> None:
        """Publish versions 1 and 2 of the same code."""
        self.function.publish()
        self.function.update(self._source + "# changed\n")
        self.function.publish()

    def seen(self, count: int) -> list[dict[str, Any]]:
        """The first `count` invocations, once there are so many."""
        wait_until(lambda: len(self._lines()) >= count)
        return [json.loads(line) for line in self._lines()]

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines()


@pytest.fixture
def witness(aws: EmbeddedAws, account: str, tmp_path: Path) -> Witness:
    return Witness(aws, account, tmp_path)


def queue(aws: EmbeddedAws, account: str, name: str) -> tuple[str, str]:
    """The URL and the ARN of a new queue."""
    url = aws.client("sqs", account=account).create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:eu-west-1:{account}:{name}"


def message(aws: EmbeddedAws, account: str, url: str) -> dict[str, Any]:
    [found] = messages(aws.client("sqs", account=account), url)
    return found


# The API


def test_a_dry_run_runs_nothing(witness: Witness) -> None:
    reply = witness.function.invoke(InvocationType="DryRun")

    assert reply.response["StatusCode"] == 204
    witness.function.invoke("real")
    assert [each["event"] for each in witness.seen(1)] == ["real"]


@pytest.mark.parametrize(
    ("payload", "kind", "code"),
    [
        (b"{nope", "RequestResponse", "InvalidRequestContentException"),
        (b'"' + b"x" * 6_291_455 + b'"', "RequestResponse", "RequestTooLargeException"),
        (b'"' + b"x" * 1_048_575 + b'"', "Event", "RequestTooLargeException"),
    ],
)
def test_refuses_events_that_are_not_json_or_too_big(
    witness: Witness, payload: bytes, kind: str, code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        witness.function.client.invoke(FunctionName="fn", Payload=payload, InvocationType=kind)

    assert refused.value.response["Error"]["Code"] == code


def test_reserved_concurrency_throttles(aws: EmbeddedAws, account: str, tmp_path: Path) -> None:
    begun, may_end = tmp_path / "begun", tmp_path / "may end"
    function = Function.create(aws, account, MEETING, Timeout=900)
    function.client.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(1) as caller:
        first = caller.submit(function.invoke, {"makes": str(begun), "awaits": [str(may_end)]})
        wait_until(begun.exists)
        with pytest.raises(function.client.exceptions.TooManyRequestsException) as refused:
            function.client.invoke(FunctionName="fn")
        may_end.touch()

    assert first.result().error is None
    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert refused.value.response["Reason"] == reason


# Asynchronous


def test_an_event_is_run_later_with_the_invoked_alias(witness: Witness) -> None:
    witness.publish_two()
    witness.function.alias("live", "1", {"2": 1.0})

    reply = witness.function.invoke({"n": 1}, qualifier="live", InvocationType="Event")

    assert reply.response["StatusCode"] == 202
    [seen] = witness.seen(1)
    assert (seen["event"], seen["version"]) == ({"n": 1}, "2")
    assert seen["arn"] == f"{witness.function.arn}:live"


def test_a_failed_event_is_tried_three_times_and_goes_to_the_dead_letter_queue(
    aws: EmbeddedAws, account: str, witness: Witness
) -> None:
    url, arn = queue(aws, account, "dead")
    witness.function.client.update_function_configuration(
        FunctionName="fn", DeadLetterConfig={"TargetArn": arn}
    )
    witness.fail()

    witness.function.invoke({"n": 1}, InvocationType="Event")

    letter = message(aws, account, url)
    assert json.loads(letter["Body"]) == {"n": 1}
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "sold out"
    seen = witness.seen(3)
    assert len(seen) == 3
    assert len({each["id"] for each in seen}) == 1


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_the_end_of_an_event_goes_to_its_destination(
    aws: EmbeddedAws, account: str, witness: Witness, fails: bool
) -> None:
    url, arn = queue(aws, account, "ends")
    destination = {"OnFailure" if fails else "OnSuccess": {"Destination": arn}}
    witness.function.client.put_function_event_invoke_config(
        FunctionName="fn", MaximumRetryAttempts=0, DestinationConfig=destination
    )
    if fails:
        witness.fail()

    witness.function.invoke({"n": 1}, InvocationType="Event")

    record = json.loads(message(aws, account, url)["Body"])
    assert record["requestPayload"] == {"n": 1}
    assert record["requestContext"]["condition"] == ("RetriesExhausted" if fails else "Success")
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responseContext"].get("functionError") == ("Unhandled" if fails else None)


# Other services


def send_by_rule(aws: EmbeddedAws, account: str, arn: str) -> None:
    events = aws.client("events", account=account)
    events.put_rule(Name="sales", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="sales", Targets=[{"Id": "fn", "Arn": arn}])
    events.put_events(Entries=[{"Source": "shop", "DetailType": "sale", "Detail": "{}"}])


def send_by_topic(aws: EmbeddedAws, account: str, arn: str) -> None:
    topics = aws.client("sns", account=account)
    topic = topics.create_topic(Name="sales")["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    topics.publish(TopicArn=topic, Message="sale")


def send_by_queue(aws: EmbeddedAws, account: str, arn: str) -> None:
    url, queue_arn = queue(aws, account, "sales")
    client = aws.client("lambda", account=account)
    client.create_event_source_mapping(EventSourceArn=queue_arn, FunctionName=arn)
    aws.client("sqs", account=account).send_message(QueueUrl=url, MessageBody="sale")


@pytest.mark.parametrize("send", [send_by_rule, send_by_topic, send_by_queue])
def test_other_services_invoke_by_the_weights_of_an_alias(
    aws: EmbeddedAws,
    account: str,
    witness: Witness,
    send: Callable[[EmbeddedAws, str, str], None],
) -> None:
    witness.publish_two()
    arn = witness.function.alias("live", "1", {"2": 1.0})["AliasArn"]

    send(aws, account, arn)

    [seen] = witness.seen(1)
    assert (seen["version"], seen["arn"]) == ("2", arn)


def test_a_rules_failed_event_is_tried_again(
    aws: EmbeddedAws, account: str, witness: Witness
) -> None:
    witness.fail()

    send_by_rule(aws, account, witness.function.arn)

    assert len(witness.seen(2)) >= 2


CUSTOM_RESOURCE = """
import json, urllib.request

def handler(event, context):
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "thing",
        "Data": {"Greeting": "hello from " + context.function_name},
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), method="PUT"
    )
    urllib.request.urlopen(request).read()
"""


def test_a_topic_does_not_wait_for_a_function_that_calls_aws(
    aws: EmbeddedAws, account: str
) -> None:
    url, _ = queue(aws, account, "answers")
    function = Function.create(
        aws,
        account,
        f"""
        import boto3

        def handler(event, context):
            message = event["Records"][0]["Sns"]["Message"]
            boto3.client("sqs").send_message(QueueUrl={url!r}, MessageBody=message)
        """,
        Timeout=20,
    )

    send_by_topic(aws, account, function.arn)

    assert message(aws, account, url)["Body"] == "sale"


def test_a_custom_resource_is_made_by_its_function(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, CUSTOM_RESOURCE, Timeout=20)
    stacks = aws.client("cloudformation", account=account)
    template = {
        "Resources": {
            "Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": function.arn}}
        },
        "Outputs": {"Greeting": {"Value": {"Fn::GetAtt": ["Thing", "Greeting"]}}},
    }

    stacks.create_stack(StackName="things", TemplateBody=json.dumps(template))
    assert stack_status(stacks, "things") == "CREATE_COMPLETE"

    [stack] = stacks.describe_stacks(StackName="things")["Stacks"]
    assert stack["Outputs"][0]["OutputValue"] == "hello from fn"


def alias_template(code: str, pin: str | None) -> str:
    """A function with a version and an alias, as SAM writes them; the alias may be pinned."""
    version_id = f"Version{abs(hash(code))}"
    resources = {
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "fn",
                "Code": {"ZipFile": code},
                "Handler": "index.handler",
                "Runtime": "python3.11",
                "Role": "arn:aws:iam::123456789012:role/function",
            },
        },
        version_id: {
            "Type": "AWS::Lambda::Version",
            "DeletionPolicy": "Retain",
            "Properties": {"FunctionName": {"Ref": "Function"}},
        },
        "Alias": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "Name": "live",
                "FunctionVersion": pin or {"Fn::GetAtt": [version_id, "Version"]},
            },
        },
    }
    return json.dumps({"Resources": resources})


def test_cloudformation_moves_an_alias_to_a_new_version_and_keeps_a_pinned_one(
    aws: EmbeddedAws, account: str
) -> None:
    stacks = aws.client("cloudformation", account=account)
    function = Function(aws, account)
    new = "def handler(event, context): return 'new'"
    stacks.create_stack(
        StackName="app",
        TemplateBody=alias_template("def handler(event, context): return 'old'", None),
    )
    served = []
    for pin in ("1", None):
        wait_until(lambda: status(stacks).endswith("_COMPLETE"))
        served.append(function.invoke(qualifier="live").payload)
        stacks.update_stack(StackName="app", TemplateBody=alias_template(new, pin))
    wait_until(lambda: status(stacks) == "UPDATE_COMPLETE")

    assert [*served, function.invoke(qualifier="live").payload] == ["old", "old", "new"]


def status(stacks: Any) -> str:
    found: str = stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"]
    return found


# What is measured


def totals(
    aws: EmbeddedAws, account: str, name: str, stat: str = "Sum", **dimensions: str
) -> list[float]:
    client = aws.client("cloudwatch", account=account)
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    now = datetime.now(UTC)
    answer = client.get_metric_data(
        MetricDataQueries=[
            {"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": stat}}
        ],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
    )
    values: list[float] = answer["MetricDataResults"][0]["Values"]
    return values


def test_invocations_are_counted_under_each_set_of_dimensions(
    aws: EmbeddedAws, account: str
) -> None:
    source = "def handler(event, context): assert not event.get('fail')"
    function = Function.create(aws, account, source)
    function.publish()
    function.update(source + "  # changed")
    function.publish()
    function.alias("live", "1")
    for qualifier, count in ((None, 1), ("1", 2), ("live", 3)):
        for _ in range(count):
            function.invoke(qualifier=qualifier)
    routing = {"AdditionalVersionWeights": {"2": 1.0}}
    function.client.update_alias(FunctionName="fn", Name="live", RoutingConfig=routing)
    for _ in range(4):
        function.invoke({"fail": True}, qualifier="live")

    def counted(name: str, **dimensions: str) -> float:
        return sum(totals(aws, account, name, **dimensions))

    fn: Mapping[str, str] = {"FunctionName": "fn"}
    assert counted("Invocations") == 10
    assert counted("Invocations", **fn) == 10
    assert counted("Invocations", **fn, Resource="fn") == 1
    assert counted("Invocations", **fn, Resource="fn:1") == 2
    assert counted("Invocations", **fn, Resource="fn:live") == 7
    assert counted("Invocations", **fn, Resource="fn:live", ExecutedVersion="1") == 3
    assert counted("Invocations", **fn, Resource="fn:live", ExecutedVersion="2") == 4
    assert counted("Errors", **fn, Resource="fn:live", ExecutedVersion="2") == 4
    assert totals(aws, account, "Errors", **fn, Resource="fn:live", ExecutedVersion="1") in (
        [0.0],
        [0.0, 0.0],
    )
    listed = aws.client("cloudwatch", account=account).list_metrics(
        Namespace="AWS/Lambda", MetricName="Duration"
    )["Metrics"]
    assert {tuple(sorted(d["Name"] for d in each["Dimensions"])) for each in listed} == {
        (),
        ("FunctionName",),
        ("FunctionName", "Resource"),
        ("ExecutedVersion", "FunctionName", "Resource"),
    }


def test_an_alarm_on_the_errors_of_one_version_goes_off(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, "def handler(event, context): raise ValueError")
    function.publish()
    function.alias("live", "1")
    alarms = aws.client("cloudwatch", account=account)
    dimensions = {"FunctionName": "fn", "Resource": "fn:live", "ExecutedVersion": "1"}
    alarms.put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )

    function.invoke(qualifier="live")

    def state() -> str:
        found: str = alarms.describe_alarms(AlarmNames=["errors"])["MetricAlarms"][0]["StateValue"]
        return found

    wait_until(lambda: state() == "ALARM")


def test_durations_are_measured(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        """
        import time

        def handler(event, context):
            begun = time.monotonic()
            time.sleep(event)
            return time.monotonic() - begun
        """,
        Timeout=900,
    )
    function.invoke(0)
    inside = function.invoke(0.2).payload

    [longest] = totals(aws, account, "Duration", "Maximum", FunctionName="fn")
    [total] = totals(aws, account, "Duration", "Sum", FunctionName="fn")

    assert 200 <= inside * 1000 <= longest <= total
    assert totals(aws, account, "Duration", "PR(200:)", FunctionName="fn")[0] >= 50


def test_throttles_are_counted_and_are_no_invocations(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, "def handler(event, context): return 1")
    function.client.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError):
        function.client.invoke(FunctionName="fn")

    assert sum(totals(aws, account, "Throttles", FunctionName="fn")) >= 1
    assert totals(aws, account, "Invocations", FunctionName="fn") == []


def test_eight_callers_at_once_each_get_their_own_answers(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, "def handler(event, context): return event")
    function.publish()
    function.alias("live", "1")

    def call(caller: int) -> list[object]:
        return [function.invoke([caller, n], qualifier="live").payload for n in range(10)]

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(call, range(8)))

    assert answers == [[[caller, n] for n in range(10)] for caller in range(8)]
