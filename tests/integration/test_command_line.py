"""The command line finds a controller by its stack and reads its record, as a person would."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from support.waiting import stack_status
from tidegate.aws.ledger import DynamoLedger
from tidegate.cli.app import app
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Application, Release, ReleasePhase
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

TEMPLATE = {
    "Resources": {
        "Record": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        }
    },
    "Outputs": {"TableName": {"Value": {"Ref": "Record"}}},
}


@pytest.fixture
def controller(aws: EmbeddedAws, account: str, monkeypatch: pytest.MonkeyPatch) -> DynamoLedger:
    """A stack that has the record of one finished release."""
    for name, value in aws.environment(account=account).items():
        monkeypatch.setenv(name, value)
    cloudformation = aws.client("cloudformation", account=account)
    cloudformation.create_stack(StackName="delivery", TemplateBody=json.dumps(TEMPLATE))
    assert stack_status(cloudformation, "delivery") == "CREATE_COMPLETE"
    outputs = cloudformation.describe_stacks(StackName="delivery")["Stacks"][0]["Outputs"]
    ledger = DynamoLedger(aws.client("dynamodb", account=account), outputs[0]["OutputValue"])
    artifact = ArtifactRef(
        application="shop", digest="sha256:1", bucket="b", prefix="p", commit="abc1234"
    )
    ledger.put(Application(name="shop", last_number=1))
    ledger.put(
        Release(
            application="shop",
            number=1,
            phase=ReleasePhase.SUCCEEDED,
            artifact=artifact,
            execution_arn="arn",
            started_at=datetime(2026, 3, 1, tzinfo=UTC),
            ended_at=datetime(2026, 3, 1, 1, tzinfo=UTC),
        )
    )
    return ledger


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["--stack", "delivery", *arguments])


@pytest.mark.usefixtures("controller")
def test_reads_come_from_the_record_of_the_named_stack() -> None:
    listed = run("list", "--output", "json")
    assert listed.exit_code == 0, listed.output
    assert [row["id"] for row in json.loads(listed.stdout)] == ["shop-1"]
    got = run("get", "shop")
    assert (got.exit_code, got.stdout.splitlines()[0]) == (0, "shop-1  ✔ succeeded  1h00m")
    assert run("history", "shop").stdout.startswith("shop-1  ✔ succeeded  abc1234")
    assert run("get", "shop-2").exit_code == 2


@pytest.mark.usefixtures("controller")
def test_a_stack_that_is_not_there_is_an_input_error() -> None:
    result = CliRunner().invoke(app, ["--stack", "nowhere", "list"])
    assert result.exit_code == 2
    assert "There is no stack 'nowhere' in eu-west-1." in result.stderr
