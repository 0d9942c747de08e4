"""A hook answers later, end to end: a function of the target account, its event on the controller's
bus, the record in DynamoDB, and the state that waits with its token.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.local.lambda_functions import Function
from contract.local.statemachines import StateMachines
from support.waiting import eventually
from tidegate.aws.callbacks import StepFunctionsCallbacks
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.session import Clients
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import HookRun, Outcome, Rollout, RolloutPhase
from tidegate.core.ports import Ports
from tidegate.core.workflow.hooks.asynchronous import await_answer
from tidegate.core.workflow.hooks.run import digest_of
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.handlers.on_hook_answer import handler
from tidegate.testing.code import Context
from tidegate.testing.events import make_callback, make_hook_event
from tidegate.testing.memory import MemoryWorld, SettableClock
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

TARGET_ACCOUNT = "654321098765"
TARGET = f"{TARGET_ACCOUNT}/eu-west-1"
REF = RolloutRef(
    release=ReleaseRef(id="shop-2", application="shop", number=2), stage="prod", target=TARGET
)
RUN = f"shop-2/prod/{TARGET}/pre-traffic/Hook"
PLACE = {"release_id": "shop-2", "stage": "prod", "target": TARGET}
LIBRARY = Path(__file__).parents[3] / "controller" / "tidegate"
HOOK = """\
from tidegate.hooks import Checks, HookEvent

def handler(payload, context):  # what works on after the hook itself has returned
    event = HookEvent.read(payload, context)
    checks = Checks(event)
    checks.that("p99 is below 250 ms", payload["p99_ms"] < 250, f"{payload['p99_ms']} ms")
    with event.callback.beating():
        pass
    event.callback.answer(checks.result())
"""


@pytest.fixture
def bus(client: Callable[[str], Any]) -> str:
    """The controller's bus; what hooks say goes to the queue `said`."""
    arn: str = client("events").create_event_bus(Name="tidegate")["EventBusArn"]
    queue = client("sqs").create_queue(QueueName="said")["QueueUrl"]
    attributes = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = json.dumps({"source": ["tidegate.hook"]})
    client("events").put_rule(Name="hooks", EventBusName="tidegate", EventPattern=pattern)
    target = {"Id": "said", "Arn": attributes["Attributes"]["QueueArn"]}
    client("events").put_targets(Rule="hooks", EventBusName="tidegate", Targets=[target])
    return arn


@pytest.fixture
def waiting(aws: EmbeddedAws, account: str, client: Callable[[str], Any]) -> tuple[str, str]:
    """An execution that waits as the rollout does, and its token."""
    machines = StateMachines(aws, account)
    queue = client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Arguments": {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"},
        "TimeoutSeconds": 60,
        "HeartbeatSeconds": 30,
        "End": True,
    }
    execution = machines.start(machines.create({"Wait": wait}))
    messages = eventually(lambda: client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    return execution, messages[0]["Body"]


@pytest.fixture
def ports(client: Callable[[str], Any], clients: Clients) -> Ports:
    """The controller's ports, of which the record and the tokens are AWS's."""
    keys = {"pk": "HASH", "sk": "RANGE"}
    client("dynamodb").create_table(
        TableName="record",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return dataclasses.replace(
        MemoryWorld(clock=SettableClock(datetime.now(UTC))).ports(),
        ledger=DynamoLedger(clients.make("dynamodb"), "record"),
        callbacks=StepFunctionsCallbacks(clients.make("stepfunctions")),
    )


@pytest.fixture
def run(ports: Ports) -> HookRun:
    """The run of a hook that said that it answers later."""
    now = ports.clock.now()
    ports.ledger.put(Rollout(**PLACE, phase=RolloutPhase.VALIDATING, started_at=now))
    return ports.ledger.put(
        HookRun(
            **PLACE,
            when="pre-traffic",
            function="Hook",
            outcome=Outcome.WAITING,
            began_at=now,
            heard_at=now,
            deadline=now + timedelta(hours=6),
            heartbeat_seconds=30,
            secret_digest=digest_of("secret"),
        )
    )


@pytest.fixture
def worker(aws: EmbeddedAws, account: str) -> Function:
    """A function of the target account that works on and answers; named as no other test's."""
    files = {
        f"tidegate/{path.relative_to(LIBRARY)}": path.read_text()
        for path in [LIBRARY / "__init__.py", *(LIBRARY / "hooks").glob("*.py")]
    }
    name = f"worker-{account}"
    return Function.create(aws, TARGET_ACCOUNT, {"app.py": HOOK, **files}, name=name, Timeout=30)


@pytest.fixture
def hear(
    ports: Ports, client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Gives what is on the bus to `tidegate-on-hook-answer`, until an answer is among it."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tidegate")
    task = dataclasses.replace(handler, ports=lambda: ports)

    def listen() -> list[str]:
        sqs, heard = client("sqs"), list[str]()
        queue = sqs.get_queue_url(QueueName="said")["QueueUrl"]
        while "Hook Answer" not in heard:
            for message in eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages")):
                said = json.loads(message["Body"])
                assert said["account"] == TARGET_ACCOUNT
                assert task(said, Context("tidegate-on-hook-answer", "1")) == {"heard": True}
                heard.append(said["detail-type"])
        return heard

    return listen


@pytest.fixture
def wait(
    aws: EmbeddedAws, account: str, ports: Ports, run: HookRun, waiting: tuple[str, str]
) -> Callable[[], Any]:
    """How the execution ends that waits for the run."""
    execution, token = waiting
    await_answer(ports, REF, run.when, run.function, token)
    return lambda: StateMachines(aws, account).wait(execution)


def work(worker: Function, bus: str, p99_ms: int) -> None:
    callback = make_callback(bus=bus, run=RUN, secret="secret", heartbeat_seconds=30)
    reply = worker.invoke(make_hook_event("shop", callback=callback, p99_ms=p99_ms))
    assert reply.error is None, reply.payload


def test_good_answer_from_the_target_account_ends_the_wait(
    worker: Function, bus: str, hear: Callable[[], list[str]], wait: Callable[[], Any]
) -> None:
    work(worker, bus, p99_ms=200)
    assert "Hook Heartbeat" in hear()
    assert wait()["status"] == "SUCCEEDED"


def test_bad_answer_from_the_target_account_fails_the_wait_with_its_reason(
    worker: Function, bus: str, hear: Callable[[], list[str]], wait: Callable[[], Any]
) -> None:
    work(worker, bus, p99_ms=310)
    hear()
    ended = wait()
    assert (ended["status"], ended["error"]) == ("FAILED", "HookFailed")
    assert "p99 is below 250 ms (310 ms)" in ended["cause"]
