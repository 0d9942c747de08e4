"""Events that one account puts on the bus of another."""

import json
from typing import Any

import pytest

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

SENDER = "765432109876"


@pytest.fixture
def bus(aws: EmbeddedAws, account: str) -> str:
    """The ARN of a bus of the account; the queue `heard` gets what is from the other account."""
    events, sqs = (aws.client(name, account=account) for name in ("events", "sqs"))
    arn: str = events.create_event_bus(Name="ours")["EventBusArn"]
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {"source": ["theirs"], "account": [SENDER]}
    events.put_rule(Name="theirs", EventBusName="ours", EventPattern=json.dumps(pattern))
    target = {"Id": "heard", "Arn": attributes["Attributes"]["QueueArn"]}
    events.put_targets(Rule="theirs", EventBusName="ours", Targets=[target])
    return arn


def entry(bus: str) -> dict[str, Any]:
    return {"EventBusName": bus, "Source": "theirs", "DetailType": "Said", "Detail": '{"a": 1}'}


def test_event_for_another_accounts_bus_arrives_there_and_says_whose_it_is(
    aws: EmbeddedAws, account: str, bus: str
) -> None:
    put = aws.client("events", account=SENDER).put_events(Entries=[entry(bus), entry("default")])
    assert put["FailedEntryCount"] == 0
    sqs = aws.client("sqs", account=account)
    queue = sqs.get_queue_url(QueueName="heard")["QueueUrl"]
    messages = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    (heard,) = (json.loads(message["Body"]) for message in messages)
    assert (heard["account"], heard["detail-type"], heard["detail"]) == (SENDER, "Said", {"a": 1})


def test_bus_of_another_region_is_not_found(aws: EmbeddedAws, bus: str) -> None:
    elsewhere = aws.client("events", account=SENDER, region="us-east-1")
    put = elsewhere.put_events(Entries=[entry(bus)])
    assert put["FailedEntryCount"] == 1
    assert put["Entries"][0]["ErrorCode"] == "ResourceNotFoundException"
