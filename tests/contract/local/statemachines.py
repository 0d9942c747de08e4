"""Runs small state machines, and functions for their tasks, in an account of the embedded AWS."""

import io
import itertools
import json
import sys
import zipfile
from typing import Any

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws

ROLE_POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


class StateMachines:
    """State machines of one account, in the default region."""

    def __init__(self, aws: EmbeddedAws, account: str) -> None:
        self._aws = aws
        self.account = account
        self.client = aws.client("stepfunctions", account=account)
        self._names = (f"machine-{number}" for number in itertools.count())

    def create(self, states: dict[str, Any], **top: Any) -> str:
        """A JSONata state machine that starts at the first of `states`."""
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": next(iter(states)),
            "States": states,
            **top,
        }
        created = self.client.create_state_machine(
            name=next(self._names),
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{self.account}:role/states",
        )
        arn: str = created["stateMachineArn"]
        return arn

    def start(self, machine: str, value: Any = None) -> str:
        """The ARN of a new execution with `value` as input."""
        arn: str = self.client.start_execution(
            stateMachineArn=machine, input=json.dumps({} if value is None else value)
        )["executionArn"]
        return arn

    def wait(self, execution: str) -> dict[str, Any]:
        """The execution when it ended."""

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = self.client.describe_execution(executionArn=execution)
            return None if described["status"] == "RUNNING" else described

        return eventually(ended)

    def run(self, states: dict[str, Any], value: Any = None, **top: Any) -> dict[str, Any]:
        """How an execution of `states` ended."""
        return self.wait(self.start(self.create(states, **top), value))

    def output(self, states: dict[str, Any], value: Any = None, **top: Any) -> Any:
        """The output of an execution that succeeded."""
        ended = self.run(states, value, **top)
        assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
        return json.loads(ended["output"])

    def events(self, execution: str) -> list[str]:
        """The types of the events in its history."""
        history = self.client.get_execution_history(executionArn=execution)
        return [event["type"] for event in history["events"]]

    def function(self, name: str, code: str) -> str:
        """A function whose module `main` is `code`, with a `handler`."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("main.py", code)
        iam = self._aws.client("iam", account=self.account)
        role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=ROLE_POLICY)
        self._aws.client("lambda", account=self.account).create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Handler="main.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": archive.getvalue()},
            Timeout=10,
        )
        return name

    def token_table(self) -> None:
        """The table where `waiting_task` leaves its token."""
        self._aws.client("dynamodb", account=self.account).create_table(
            TableName="tokens",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def token(self, other_than: str = "") -> str:
        """The token that a waiting task left."""
        table = self._aws.client("dynamodb", account=self.account)

        def stored() -> str | None:
            item = table.get_item(TableName="tokens", Key={"id": {"S": "task"}}).get("Item")
            found: str | None = item["token"]["S"] if item else None
            return found if found != other_than else None

        return eventually(stored)


def invoke(function: str, **fields: Any) -> dict[str, Any]:
    """A task that invokes `function` with the state's input and hands on what it returns."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
    }
    return task | ({} if "Next" in fields else {"End": True}) | fields
