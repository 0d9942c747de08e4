"""Tasks: functions, tokens, nested executions, other services, retries, and being called off."""

import json
import types
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from statemachines import StateMachines, invoke

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws

LONG_SECONDS = 3600
"""A time limit that no test sees the end of."""

pytestmark = pytest.mark.cloud

CALLER = "arn:aws:states:::aws-sdk:sts:getCallerIdentity"
START_NESTED = "arn:aws:states:::states:startExecution.sync:2"


@pytest.fixture
def machines(aws: EmbeddedAws, account: str) -> StateMachines:
    return StateMachines(aws, account)


def waiting(**fields: Any) -> dict[str, Any]:
    """A task that leaves its token in a table and waits for an answer to it."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {
            "FunctionName": "keep",
            "Payload": {"token": "{% $states.context.Task.Token %}"},
        },
        "End": True,
    } | fields


@pytest.fixture
def keeper(aws: EmbeddedAws, machines: StateMachines) -> StateMachines:
    """State machines of an account where the function `keep` stores the token it is given."""
    machines.token_table()
    machines.function(
        "keep",
        "import boto3\n"
        "table = boto3.client('dynamodb')\n"
        "def handler(event, context):\n"
        "    item = {'id': {'S': 'task'}, 'token': {'S': event['token']}}\n"
        "    table.put_item(TableName='tokens', Item=item)\n",
    )
    return machines


def test_hands_the_payload_of_a_function_on(machines: StateMachines) -> None:
    machines.function("double", "def handler(event, context):\n    return event['n'] * 2\n")

    output = machines.output(
        {
            "Double": invoke(
                "double", Assign={"twice": "{% $states.result.Payload %}"}, Next="Show"
            ),
            "Show": {
                "Type": "Pass",
                "Output": ["{% $twice %}", "{% $states.input %}"],
                "End": True,
            },
        },
        {"n": 21},
    )

    assert output == [42, 42]


def test_a_function_s_exception_is_the_name_of_the_error(machines: StateMachines) -> None:
    machines.function(
        "hook",
        "class HookFailed(Exception): pass\n"
        "def handler(event, context):\n"
        "    raise HookFailed('not today')\n",
    )

    output = machines.output(
        {
            "Hook": invoke(
                "hook",
                Catch=[
                    {
                        "ErrorEquals": ["HookFailed"],
                        "Output": "{% $states.errorOutput %}",
                        "Next": "Done",
                    }
                ],
            ),
            "Done": {"Type": "Succeed"},
        }
    )
    cause = json.loads(output["Cause"])

    assert output["Error"] == "HookFailed"
    assert (cause["errorType"], cause["errorMessage"]) == ("HookFailed", "not today")
    assert any("raise HookFailed" in line for line in cause["stackTrace"])


def test_a_missing_function_is_an_error_of_the_service(machines: StateMachines) -> None:
    ended = machines.run({"Invoke": invoke("missing")})

    assert ended["error"] == "Lambda.ResourceNotFoundException"


def test_a_throttled_function_is_retried_by_name(aws: EmbeddedAws, machines: StateMachines) -> None:
    machines.function("busy", "def handler(event, context):\n    return 'free'\n")
    functions = aws.client("lambda", account=machines.account)
    functions.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=0)
    execution = machines.start(
        machines.create(
            {
                "Invoke": invoke(
                    "busy",
                    Retry=[
                        {
                            "ErrorEquals": ["Lambda.TooManyRequestsException"],
                            "IntervalSeconds": 1,
                            "BackoffRate": 10,
                            "MaxDelaySeconds": 2,
                            "MaxAttempts": 5,
                            "JitterStrategy": "FULL",
                        }
                    ],
                )
            }
        )
    )
    eventually(lambda: "TaskFailed" in machines.events(execution) or None)
    functions.delete_function_concurrency(FunctionName="busy")

    assert machines.wait(execution)["output"] == '"free"'


def test_backs_off_between_attempts(
    machines: StateMachines, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(retrier_decl, "time", types.SimpleNamespace(sleep=slept.append))

    ended = machines.run(
        {
            "Invoke": invoke(
                "missing",
                Retry=[
                    {
                        "ErrorEquals": ["States.TaskFailed"],
                        "IntervalSeconds": 1,
                        "BackoffRate": 5,
                        "MaxDelaySeconds": 3,
                        "MaxAttempts": 3,
                    }
                ],
            )
        }
    )

    assert ended["status"] == "FAILED"
    assert slept == [1, 3, 3]  # not 1, 5 and 25


def test_silence_is_a_timeout_that_can_be_caught(keeper: StateMachines) -> None:
    output = keeper.output(
        {
            "Bake": waiting(
                TimeoutSeconds="{% $states.input.bake %}",
                Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Go on"}],
            ),
            "Go on": {"Type": "Succeed", "Output": "{% $states.input.Error %}"},
        },
        {"bake": 1},
    )

    assert output == "States.Timeout"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        keeper.client.send_task_success(taskToken=keeper.token(), output="{}")


def test_an_answer_ends_the_wait_at_once(keeper: StateMachines) -> None:
    execution = keeper.start(
        keeper.create(
            {"Bake": waiting(TimeoutSeconds=LONG_SECONDS, Output="{% $states.result.go %}")}
        )
    )
    token = keeper.token()
    keeper.client.send_task_success(taskToken=token, output='{"go": "on"}')

    assert keeper.wait(execution)["output"] == '"on"'
    with pytest.raises(ClientError, match="TaskTimedOut"):
        keeper.client.send_task_failure(taskToken=token, error="Late")


def test_a_failure_by_token_keeps_its_error_and_cause(keeper: StateMachines) -> None:
    execution = keeper.start(keeper.create({"Bake": waiting(TimeoutSeconds=60)}))
    keeper.client.send_task_failure(taskToken=keeper.token(), error="Aborted", cause="by an alarm")
    ended = keeper.wait(execution)

    assert (ended["error"], ended["cause"]) == ("Aborted", "by an alarm")


def test_each_attempt_has_a_token_of_its_own(keeper: StateMachines) -> None:
    retry = {"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}
    execution = keeper.start(
        keeper.create({"Bake": waiting(TimeoutSeconds=60, Retry=[retry])}),
    )
    first = keeper.token()
    keeper.client.send_task_failure(taskToken=first, error="Again")
    second = keeper.token(other_than=first)
    keeper.client.send_task_success(taskToken=second, output="2")

    assert keeper.wait(execution)["output"] == "2"


def test_a_heartbeat_is_heard_and_its_absence_is_an_error(keeper: StateMachines) -> None:
    execution = keeper.start(
        keeper.create(
            {
                "Bake": waiting(
                    TimeoutSeconds=LONG_SECONDS,
                    HeartbeatSeconds=1,
                    Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}],
                ),
                "Caught": {"Type": "Succeed"},
            }
        )
    )
    with suppress(ClientError):  # where the machine takes more than a second to come here
        keeper.client.send_task_heartbeat(taskToken=keeper.token())
    ended = keeper.wait(execution)

    assert json.loads(ended["output"])["Error"] == "States.HeartbeatTimeout"


def test_an_answer_ends_a_task_with_heartbeats_at_once(keeper: StateMachines) -> None:
    wait = waiting(TimeoutSeconds=LONG_SECONDS, HeartbeatSeconds=LONG_SECONDS - 1)
    execution = keeper.start(keeper.create({"Bake": wait}))
    keeper.client.send_task_success(taskToken=keeper.token(), output="2")

    assert keeper.wait(execution)["output"] == "2"


def test_an_unknown_token_is_refused(machines: StateMachines) -> None:
    with pytest.raises(ClientError, match="InvalidToken"):
        machines.client.send_task_success(taskToken="never", output="{}")


def test_an_answer_that_is_not_json_is_refused(machines: StateMachines) -> None:
    with pytest.raises(ClientError, match="InvalidOutput"):
        machines.client.send_task_success(taskToken="never", output="{")


def nested(machine: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": START_NESTED,
        "Arguments": {"StateMachineArn": machine, "Input": "{% $states.input %}"},
        "End": True,
    } | fields


def test_the_output_of_a_nested_execution_is_json(machines: StateMachines) -> None:
    child = machines.create(
        {"Add": {"Type": "Pass", "Output": {"sum": "{% $states.input.n + 1 %}"}, "End": True}}
    )
    output = machines.output(
        {"Stage": nested(child, Output="{% $states.result.Output.sum %}")}, {"n": 1}
    )

    assert output == 2


def test_a_failed_nested_execution_fails_its_parent_with_all_details(
    machines: StateMachines,
) -> None:
    child = machines.create({"Fail": {"Type": "Fail", "Error": "Stuck", "Cause": "no way"}})

    ended = machines.run({"Stage": nested(child)})
    cause = json.loads(ended["cause"])

    assert ended["error"] == "States.TaskFailed"
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "Stuck", "no way")


def test_stopping_a_parent_stops_its_nested_execution(machines: StateMachines) -> None:
    child = machines.create({"Bake": {"Type": "Wait", "Seconds": 60, "End": True}})
    parent = machines.start(machines.create({"Stage": nested(child)}))

    def running_child() -> str | None:
        found = machines.client.list_executions(stateMachineArn=child)["executions"]
        return found[0]["executionArn"] if found else None

    execution = eventually(running_child)
    machines.client.stop_execution(executionArn=parent, error="Superseded", cause="a newer one")
    stopped = machines.wait(parent)

    assert (stopped["status"], stopped["error"], stopped["cause"]) == (
        "ABORTED",
        "Superseded",
        "a newer one",
    )
    assert machines.wait(execution)["status"] == "ABORTED"
    assert machines.events(parent)[-1] == "ExecutionAborted"


def test_stopping_voids_the_token_that_it_waits_for(keeper: StateMachines) -> None:
    execution = keeper.start(keeper.create({"Bake": waiting(TimeoutSeconds=600)}))
    token = keeper.token()
    keeper.client.stop_execution(executionArn=execution)

    assert keeper.wait(execution)["status"] == "ABORTED"
    assert "TaskTimedOut" not in keeper.events(execution)
    with pytest.raises(ClientError, match="TaskTimedOut"):
        keeper.client.send_task_success(taskToken=token, output="{}")


def test_a_task_acts_in_the_account_of_its_execution(machines: StateMachines) -> None:
    output = machines.output(
        {"Who": {"Type": "Task", "Resource": CALLER, "Arguments": {}, "End": True}}
    )

    assert output["Account"] == machines.account


def test_a_task_with_credentials_acts_in_the_account_of_their_role(
    aws: EmbeddedAws, machines: StateMachines
) -> None:
    target = str(int(machines.account) + 500_000_000_000)
    aws.client("iam", account=target).create_role(
        RoleName="target", AssumeRolePolicyDocument=json.dumps({"Statement": []})
    )

    output = machines.output(
        {
            "Who": {
                "Type": "Task",
                "Resource": CALLER,
                "Arguments": {},
                "Credentials": {"RoleArn": "{% $states.input.role %}"},
                "End": True,
            }
        },
        {"role": f"arn:aws:iam::{target}:role/target"},
    )

    assert output["Account"] == target
    assert output["Arn"].startswith(f"arn:aws:sts::{target}:assumed-role/target/")


def test_calls_other_services_with_their_own_names(machines: StateMachines) -> None:
    machines.token_table()
    item = {"id": {"S": "1"}, "token": {"S": "{% $states.input.token %}"}}

    output = machines.output(
        {
            "Put": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:putItem",
                "Arguments": {"TableName": "tokens", "Item": item},
                "Output": "{% $states.input %}",
                "Next": "Put again",
            },
            "Put again": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem",
                "Arguments": {
                    "TableName": "tokens",
                    "Item": item,
                    "ConditionExpression": "attribute_not_exists(id)",
                },
                "Catch": [
                    {
                        "ErrorEquals": ["DynamoDb.ConditionalCheckFailedException"],
                        "Next": "Tell",
                    }
                ],
                "Next": "Tell",
            },
            "Tell": {
                "Type": "Task",
                "Resource": "arn:aws:states:::events:putEvents",
                "Arguments": {
                    "Entries": [{"Source": "test", "DetailType": "told", "Detail": {"a": 1}}]
                },
                "Output": "{% $states.result.FailedEntryCount %}",
                "End": True,
            },
        },
        {"token": "t"},
    )

    assert output == 0


def test_publishes_to_a_topic(aws: EmbeddedAws, machines: StateMachines) -> None:
    topic = aws.client("sns", account=machines.account).create_topic(Name="news")["TopicArn"]

    output = machines.output(
        {
            "Publish": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sns:publish",
                "Arguments": {"TopicArn": topic, "Message": {"stage": "prod"}},
                "End": True,
            }
        }
    )

    assert output["MessageId"]


def build(command: str, **fields: Any) -> dict[str, Any]:
    """A task that runs `command` in a build."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::codebuild:startBuild.sync",
        "Arguments": {
            "ProjectName": "tests",
            "BuildspecOverride": (
                f"version: 0.2\nphases:\n  build:\n    commands: [{json.dumps(command)}]\n"
            ),
            "EnvironmentVariablesOverride": [
                {"Name": "STAGE", "Value": "{% $states.input.stage %}", "Type": "PLAINTEXT"}
            ],
        },
        "TimeoutSeconds": 60,
        "End": True,
    } | fields


@pytest.fixture
def builder(aws: EmbeddedAws, machines: StateMachines) -> StateMachines:
    """State machines of an account with a project."""
    aws.client("codebuild", account=machines.account).create_project(
        name="tests",
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {}\n"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=f"arn:aws:iam::{machines.account}:role/build",
    )
    return machines


def test_a_build_that_succeeds_is_the_result(builder: StateMachines) -> None:
    output = builder.output({"Test": build('test "$STAGE" = prod')}, {"stage": "prod"})

    assert output["Build"]["BuildStatus"] == "SUCCEEDED"
    assert output["Build"]["ProjectName"] == "tests"
    assert output["Build"]["Id"].startswith("tests:")


def test_a_build_that_fails_is_the_cause(builder: StateMachines) -> None:
    output = builder.output(
        {
            "Test": build(
                'test "$STAGE" = prod',
                Catch=[
                    {
                        "ErrorEquals": ["States.TaskFailed"],
                        "Output": "{% $parse($states.errorOutput.Cause).Build.BuildStatus %}",
                        "Next": "Done",
                    }
                ],
            ),
            "Done": {"Type": "Succeed"},
        },
        {"stage": "test"},
    )

    assert output == "FAILED"


def test_stopping_an_execution_stops_its_build(aws: EmbeddedAws, builder: StateMachines) -> None:
    execution = builder.start(builder.create({"Test": build("sleep 60")}), {"stage": "test"})
    builds = aws.client("codebuild", account=builder.account)

    def started() -> str | None:
        ids = builds.list_builds_for_project(projectName="tests")["ids"]
        return ids[0] if ids and "TaskSubmitted" in builder.events(execution) else None

    build_id = eventually(started)
    builder.client.stop_execution(executionArn=execution)

    def stopped() -> bool | None:
        (found,) = builds.batch_get_builds(ids=[build_id])["builds"]
        return found["buildStatus"] == "STOPPED" or None

    assert eventually(stopped)


def test_a_build_of_no_project_is_an_error_of_the_service(machines: StateMachines) -> None:
    ended = machines.run({"Test": build("true")}, {"stage": "test"})

    assert ended["error"] == "CodeBuild.ResourceNotFoundException"


@pytest.mark.parametrize(
    ("call", "arguments", "error"),
    [
        ("lambda:getFunction", {"FunctionName": "no"}, "Lambda.ResourceNotFoundException"),
        (
            "cloudformation:describeStacks",
            {"StackName": "no"},
            "CloudFormation.CloudFormationException",
        ),
        ("ssm:getParameter", {"Name": "/no"}, "Ssm.ParameterNotFoundException"),
        ("s3:getObject", {"Bucket": "no-such", "Key": "k"}, "S3.NoSuchBucketException"),
        ("eventbridge:describeRule", {"Name": "no"}, "EventBridge.ResourceNotFoundException"),
    ],
)
def test_errors_of_other_services_have_the_names_of_the_java_sdk(
    machines: StateMachines, call: str, arguments: dict[str, str], error: str
) -> None:
    resource = f"arn:aws:states:::aws-sdk:{call}"

    ended = machines.run(
        {"Call": {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}}
    )

    assert ended["error"] == error


@pytest.mark.parametrize(
    ("error", "equals", "caught"),
    [
        ("Odd", "Odd", True),
        ("Odd", "States.TaskFailed", True),
        ("Odd", "States.ALL", True),
        ("Odd", "Other", False),
    ],
)
def test_catches_the_errors_that_the_names_stand_for(
    machines: StateMachines, error: str, equals: str, caught: bool
) -> None:
    branch = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": error}}}

    ended = machines.run(
        {
            "Try": {
                "Type": "Parallel",
                "Branches": [branch],
                "Catch": [{"ErrorEquals": [equals], "Next": "Caught"}],
                "End": True,
            },
            "Caught": {"Type": "Succeed"},
        }
    )

    assert (ended["status"] == "SUCCEEDED") == caught


def test_states_all_does_not_catch_what_the_interpreter_could_not_do(
    machines: StateMachines,
) -> None:
    ended = machines.run(
        {
            "Look": {
                "QueryLanguage": "JSONPath",
                "Type": "Task",
                "Resource": CALLER,
                "Parameters": {"Missing.$": "$.missing"},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
                "End": True,
            },
            "Caught": {"Type": "Succeed"},
        },
        QueryLanguage="JSONPath",
    )

    assert ended["error"] == "States.Runtime"


def test_a_timeout_is_not_a_failure_of_the_task(keeper: StateMachines) -> None:
    ended = keeper.run(
        {
            "Bake": waiting(
                TimeoutSeconds=1,
                Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}],
            ),
            "Caught": {"Type": "Succeed"},
        }
    )

    assert ended["error"] == "States.Timeout"


def test_a_failed_branch_calls_off_its_siblings(keeper: StateMachines) -> None:
    def branch(name: str, state: dict[str, Any]) -> dict[str, Any]:
        return {"StartAt": name, "States": {name: state}}

    fail = {
        "StartAt": "Pause",
        "States": {
            "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Fail"},
            "Fail": {"Type": "Fail", "Error": "Odd"},
        },
    }
    execution = keeper.start(
        keeper.create(
            {
                "Both": {
                    "Type": "Parallel",
                    "Branches": [branch("Bake", waiting(TimeoutSeconds=600)), fail],
                    "Catch": [{"ErrorEquals": ["Odd"], "Next": "Done"}],
                    "End": True,
                },
                "Done": {"Type": "Succeed"},
            }
        )
    )
    token = keeper.token()

    assert keeper.wait(execution)["status"] == "SUCCEEDED"
    assert "TaskTimedOut" not in keeper.events(execution)
    with pytest.raises(ClientError, match="TaskTimedOut"):
        keeper.client.send_task_success(taskToken=token, output="{}")
