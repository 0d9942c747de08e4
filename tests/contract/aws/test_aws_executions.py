"""Executions of the embedded Step Functions keep the contract of their port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract.local.statemachines import StateMachines
from contract.ports.executions import RELEASE, ExecutionsContract, Stop
from tidegate.aws.executions import StepFunctionsExecutions
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud


@pytest.fixture
def machine(aws: EmbeddedAws, account: str) -> str:
    """A machine whose executions run until they are stopped."""
    wait = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
    return StateMachines(aws, account).create(wait)


@pytest.fixture
def executions(client: Callable[[str], Any], machine: str) -> StepFunctionsExecutions:
    return StepFunctionsExecutions(client("stepfunctions"), machine)


@pytest.fixture
def stop(client: Callable[[str], Any]) -> Stop:
    return lambda arn: client("stepfunctions").stop_execution(executionArn=arn)


class TestStepFunctionsExecutions(ExecutionsContract):
    def test_tells_what_is_unknown(self, executions: StepFunctionsExecutions) -> None:
        started = executions.start(RELEASE, "retry-1")
        assert executions.status(f"{started}-unknown") == ""

    def test_the_release_machine_gets_the_artifact(
        self, executions: StepFunctionsExecutions, client: Callable[[str], Any]
    ) -> None:
        started = executions.start(RELEASE, "retry-1")
        described = client("stepfunctions").describe_execution(executionArn=started)
        assert described["input"] == RELEASE.model_dump_json()
        assert described["name"] == "retry-1"
