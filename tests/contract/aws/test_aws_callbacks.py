"""Answers through Step Functions keep the contract of their port."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.local.statemachines import StateMachines
from contract.ports.callbacks import CallbacksContract
from support.waiting import eventually
from tidegate.aws.callbacks import StepFunctionsCallbacks
from tidegate.aws.session import Clients
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud


@pytest.fixture
def machines(aws: EmbeddedAws, account: str) -> StateMachines:
    return StateMachines(aws, account)


@pytest.fixture
def execution(machines: StateMachines, client: Callable[[str], Any]) -> str:
    """An execution that waits with a token, which it told to the queue `tokens`."""
    queue = client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Arguments": {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"},
        "TimeoutSeconds": 60,
        "End": True,
    }
    return machines.start(machines.create({"Wait": wait}))


@pytest.fixture
def token(execution: str, client: Callable[[str], Any]) -> str:
    sqs = client("sqs")
    queue = sqs.get_queue_url(QueueName="tokens")["QueueUrl"]
    messages = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    body: str = messages[0]["Body"]
    return body


@pytest.fixture
def callbacks(clients: Clients) -> StepFunctionsCallbacks:
    return StepFunctionsCallbacks(clients.make("stepfunctions"))


class TestStepFunctionsCallbacks(CallbacksContract):
    def test_the_execution_goes_on_with_the_output(
        self,
        callbacks: StepFunctionsCallbacks,
        machines: StateMachines,
        execution: str,
        token: str,
    ) -> None:
        callbacks.succeed(token, {"answer": 42})

        assert json.loads(machines.wait(execution)["output"]) == {"answer": 42}

    def test_the_execution_fails_with_error_and_cause(
        self,
        callbacks: StepFunctionsCallbacks,
        machines: StateMachines,
        execution: str,
        token: str,
    ) -> None:
        callbacks.fail(token, "ApprovalRejected", "Not on a Friday.")

        ended = machines.wait(execution)
        assert (ended["error"], ended["cause"]) == ("ApprovalRejected", "Not on a Friday.")

    def test_takes_a_token_that_never_was_for_gone(self, callbacks: StepFunctionsCallbacks) -> None:
        assert not callbacks.succeed("no token of anybody", {})
