"""Topics in SNS keep the contract of their port: a queue that subscribes gets the message."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.ports.topics import Received, TopicsContract
from support.waiting import messages
from tidegate.aws.session import Clients
from tidegate.aws.topics import SnsTopics

pytestmark = pytest.mark.cloud


class TestSnsTopics(TopicsContract):
    @pytest.fixture
    def topics(self, clients: Clients) -> SnsTopics:
        return SnsTopics(lambda region: Clients(clients.session, region).make("sns"))

    @pytest.fixture
    def topic(self, client: Callable[[str], Any]) -> str:
        arn: str = client("sns").create_topic(Name="releases")["TopicArn"]
        return arn

    @pytest.fixture
    def received(self, client: Callable[[str], Any], topic: str) -> Received:
        queue = client("sqs").create_queue(QueueName="people")["QueueUrl"]
        of_queue = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=of_queue["Attributes"]["QueueArn"]
        )

        def receive() -> list[tuple[str, str]]:
            bodies = [json.loads(message["Body"]) for message in messages(client("sqs"), queue)]
            return [(body["Subject"], body["Message"]) for body in bodies]

        return receive
