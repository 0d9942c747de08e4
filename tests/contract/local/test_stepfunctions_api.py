"""The API: state machines, executions by name, histories, and events on the bus."""

import json

import pytest
from botocore.exceptions import ClientError
from statemachines import StateMachines

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

BAKE = {"Bake": {"Type": "Wait", "Seconds": 60, "End": True}}
SAY = {"Say": {"Type": "Pass", "Output": "said", "End": True}}


@pytest.fixture
def machines(aws: EmbeddedAws, account: str) -> StateMachines:
    return StateMachines(aws, account)


def test_the_same_name_and_input_is_the_same_execution(machines: StateMachines) -> None:
    bake = machines.create(BAKE)
    start = machines.client.start_execution
    first = start(stateMachineArn=bake, name="one", input='{"a": 1}')
    second = start(stateMachineArn=bake, name="one", input='{"a": 1}')

    assert second["executionArn"] == first["executionArn"]
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(stateMachineArn=bake, name="one", input='{"a": 2}')
    machines.client.stop_execution(executionArn=first["executionArn"])


def test_the_name_of_an_ended_execution_is_taken(machines: StateMachines) -> None:
    say = machines.create(SAY)
    machines.client.start_execution(stateMachineArn=say, name="one")
    machines.wait(f"{say.replace(':stateMachine:', ':execution:')}:one")

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        machines.client.start_execution(stateMachineArn=say, name="one")


def test_an_execution_goes_on_as_it_began_when_its_machine_changes(
    machines: StateMachines,
) -> None:
    machine = machines.create({"Wait": {"Type": "Wait", "Seconds": 1, "Next": "Say"}, **SAY})
    execution = machines.start(machine)
    definition = {"StartAt": "F", "States": {"F": {"Type": "Fail"}}}
    machines.client.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))

    assert machines.wait(execution)["output"] == '"said"'
    assert machines.wait(machines.start(machine))["status"] == "FAILED"


def test_an_unreadable_definition_is_refused(machines: StateMachines) -> None:
    with pytest.raises(ClientError, match="InvalidDefinition"):
        machines.create({"Say": {"Type": "Pass", "Unknown": 1, "End": True}})


def test_an_input_that_is_not_json_is_refused(machines: StateMachines) -> None:
    say = machines.create(SAY)

    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        machines.client.start_execution(stateMachineArn=say, input="{")


def test_what_does_not_exist_is_said(machines: StateMachines) -> None:
    arn = f"arn:aws:states:eu-west-1:{machines.account}:stateMachine:none"

    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        machines.client.start_execution(stateMachineArn=arn)
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        machines.client.describe_execution(
            executionArn=f"{arn.replace(':stateMachine:', ':execution:')}:none"
        )


def test_lists_executions_latest_first_in_pages(machines: StateMachines) -> None:
    say = machines.create(SAY)
    started = [machines.start(say) for _ in range(3)]
    for execution in started:
        machines.wait(execution)
    pages = machines.client.get_paginator("list_executions").paginate(
        stateMachineArn=say, statusFilter="SUCCEEDED", PaginationConfig={"PageSize": 2}
    )

    assert [item["executionArn"] for page in pages for item in page["executions"]] == started[::-1]


def test_history_can_be_read_from_its_end(machines: StateMachines) -> None:
    execution = machines.start(machines.create(SAY))
    machines.wait(execution)
    last = machines.client.get_execution_history(
        executionArn=execution, reverseOrder=True, maxResults=1
    )["events"]

    assert [event["type"] for event in last] == ["ExecutionSucceeded"]
    assert last[0]["executionSucceededEventDetails"]["output"] == '"said"'


def test_start_and_end_are_events_on_the_default_bus(
    aws: EmbeddedAws, machines: StateMachines
) -> None:
    queues = aws.client("sqs", account=machines.account)
    queue = queues.create_queue(QueueName="states")["QueueUrl"]
    arn = f"arn:aws:sqs:eu-west-1:{machines.account}:states"
    rules = aws.client("events", account=machines.account)
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
    }
    rules.put_rule(Name="states", EventPattern=json.dumps(pattern))
    rules.put_targets(Rule="states", Targets=[{"Id": "queue", "Arn": arn}])

    machine = machines.create({"Fail": {"Type": "Fail", "Error": "Stuck", "Cause": "no way"}})
    execution = machines.start(machine, {"stage": "prod"})

    def told() -> list[dict[str, object]] | None:
        answer = queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        events.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return events if len(events) == 2 else None

    events: list[dict[str, object]] = []
    started, ended = (event["detail"] for event in eventually(told))

    assert (started["status"], started["stopDate"]) == ("RUNNING", None)  # type: ignore[index]
    assert (ended["status"], ended["error"], ended["cause"]) == (  # type: ignore[index]
        "FAILED",
        "Stuck",
        "no way",
    )
    assert ended["executionArn"] == execution  # type: ignore[index]
    assert ended["stateMachineArn"] == machine  # type: ignore[index]
    assert ended["input"] == '{"stage": "prod"}'  # type: ignore[index]
    assert events[1]["resources"] == [execution]


def test_a_rule_can_start_a_state_machine(aws: EmbeddedAws, machines: StateMachines) -> None:
    say = machines.create(SAY)
    rules = aws.client("events", account=machines.account)
    rules.put_rule(Name="start", EventPattern=json.dumps({"source": ["test"]}))
    role = f"arn:aws:iam::{machines.account}:role/x"
    rules.put_targets(Rule="start", Targets=[{"Id": "machine", "Arn": say, "RoleArn": role}])
    rules.put_events(Entries=[{"Source": "test", "DetailType": "go", "Detail": '{"n": 1}'}])

    def execution() -> str | None:
        found = machines.client.list_executions(stateMachineArn=say)["executions"]
        return found[0]["executionArn"] if found else None

    described = machines.wait(eventually(execution))

    assert json.loads(described["input"])["detail"] == {"n": 1}


def test_a_rule_hands_the_end_of_an_execution_to_a_function(
    aws: EmbeddedAws, machines: StateMachines
) -> None:
    machines.token_table()
    machines.function(
        "guardian",
        "import boto3\n"
        "table = boto3.client('dynamodb')\n"
        "def handler(event, context):\n"
        "    item = {'id': {'S': 'task'}, 'token': {'S': event['detail']['status']}}\n"
        "    table.put_item(TableName='tokens', Item=item)\n",
    )
    arn = f"arn:aws:lambda:eu-west-1:{machines.account}:function:guardian"
    aws.client("lambda", account=machines.account).add_permission(
        FunctionName="guardian",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    rules = aws.client("events", account=machines.account)
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]}}
    rules.put_rule(Name="ended", EventPattern=json.dumps(pattern))
    rules.put_targets(Rule="ended", Targets=[{"Id": "guardian", "Arn": arn}])

    execution = machines.start(machines.create(BAKE))
    machines.client.stop_execution(executionArn=execution)

    assert machines.token() == "ABORTED"
