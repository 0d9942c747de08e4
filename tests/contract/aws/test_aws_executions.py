"""How executions stand, asked of the embedded Step Functions."""

from __future__ import annotations

import json

import pytest

from tidegate.aws.executions import StepFunctionsExecutions
from tidegate.local.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud


def test_tells_what_runs_what_ended_and_what_is_unknown(aws: EmbeddedAws, account: str) -> None:
    client = aws.client("stepfunctions", account=account)
    machine = client.create_state_machine(
        name="waits",
        definition=json.dumps(
            {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
        ),
        roleArn=f"arn:aws:iam::{account}:role/machine",
    )["stateMachineArn"]
    arn = client.start_execution(stateMachineArn=machine)["executionArn"]
    executions = StepFunctionsExecutions(client)
    assert executions.status(arn) == "RUNNING"
    client.stop_execution(executionArn=arn)
    assert executions.status(arn) == "ABORTED"
    assert executions.status(f"{arn}-unknown") == ""
