"""The traffic that an alias has now is read from CloudWatch, for simulations and plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner, Result

from tidegate.aws.profile import SLOT_SECONDS, read_course
from tidegate.aws.session import Clients
from tidegate.cli.app import app
from tidegate.cli.backend import Context
from tidegate.core.errors import ServiceRefused
from tidegate.core.ports import Counts

pytestmark = pytest.mark.cloud

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
NOW = HOUR + timedelta(hours=1, minutes=4)
MANIFEST = """
version: 1
application: hello
stages:
  - name: prod
    account: "333333333333"
    regions: [eu-west-1]
    strategy:
      steps: [{weight: 10%, until: {samples: 500, at_most: 30m}}]
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): return {}"
      Handler: index.handler
      Runtime: python3.12
      AutoPublishAlias: live
"""


@pytest.fixture
def served(client: Callable[[str], Any]) -> None:
    """Ten requests a second for an hour, a hundredth fails; another alias has its own."""
    for alias, share in (("live", 1.0), ("beta", 9.0)):
        dimensions = {"FunctionName": "hello-prod", "Resource": f"hello-prod:{alias}"}
        for minute in range(60):
            client("cloudwatch").put_metric_data(
                Namespace="AWS/Lambda",
                MetricData=[
                    {
                        "MetricName": name,
                        "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                        "Timestamp": HOUR + timedelta(minutes=minute),
                        "Value": value * share,
                    }
                    for name, value in (("Invocations", 600), ("Errors", 6))
                ],
            )


@pytest.mark.usefixtures("served")
def test_is_counted_slot_by_slot_and_quiet_slots_are_slots_too(clients: Clients) -> None:
    cloudwatch = clients.make("cloudwatch")
    since = HOUR - timedelta(minutes=10)

    seconds, counts = read_course(cloudwatch, "hello-prod", "live", since, NOW)

    assert seconds == SLOT_SECONDS
    assert counts == [Counts()] * 2 + [Counts(3000, 30)] * 12


def test_leaves_out_a_slot_that_is_not_over(clients: Clients) -> None:
    cloudwatch = clients.make("cloudwatch")
    for until, slots in ((65, 12), (66, 13), (70.9, 13)):
        end = HOUR + timedelta(minutes=until)
        assert len(read_course(cloudwatch, "hello-prod", "live", HOUR, end)[1]) == slots


def test_what_may_not_be_seen_is_not_taken_for_quiet(clients: Clients) -> None:
    cloudwatch = clients.make("cloudwatch")
    result = {"Id": "invocations", "StatusCode": "Forbidden", "Timestamps": [], "Values": []}
    with Stubber(cloudwatch) as answers:
        answers.add_response("get_metric_data", {"MetricDataResults": [result]})
        with pytest.raises(ServiceRefused, match="GetMetricData"):
            read_course(cloudwatch, "hello-prod", "live", HOUR, NOW)


class TestVerbs:
    @pytest.fixture
    def run(self, session: boto3.Session, tmp_path: Path) -> Callable[..., Result]:
        (tmp_path / "template.yaml").write_text(TEMPLATE)
        (tmp_path / "tidegate.yaml").write_text(MANIFEST)

        def connect() -> Any:
            raise AssertionError("no controller is needed")

        context = Context(connect, lambda: session, now=lambda: NOW)
        manifest = str(tmp_path / "tidegate.yaml")
        return lambda verb, *arguments: CliRunner().invoke(
            app, [verb, manifest, *arguments], obj=context
        )

    @pytest.mark.usefixtures("served")
    def test_simulate_takes_it_from_the_live_function(self, run: Callable[..., Result]) -> None:
        few = ("--runs", "10", "--processes", "1", "--regression", "100%")
        result = run("simulate", "--live", "hello-prod:live", *few, "--output", "json")
        assert result.exit_code == 0, result.output
        profile = json.loads(result.stdout)["profile"]
        assert len(profile["requests_per_second"]) == 24 * 12
        assert sum(profile["requests_per_second"]) == pytest.approx(12 * 10)
        assert profile["error_rate"] == pytest.approx(0.01)

    def test_simulate_says_when_nobody_called_it(self, run: Callable[..., Result]) -> None:
        result = run("simulate", "--live", "hello-prod:live")
        assert result.exit_code == 2
        assert "no requests to hello-prod:live in the last day" in result.stderr

    @pytest.mark.usefixtures("served")
    def test_plan_expects_the_samples_of_the_live_function(
        self, run: Callable[..., Result]
    ) -> None:
        result = run("plan", "--live", "hello-prod:live", "--output", "json")
        assert result.exit_code == 0, result.output
        expected = json.loads(result.stdout)["expected"]["prod"]
        assert expected["requests_per_second"] == pytest.approx(10 / 24)
        assert expected["steps"][0]["samples_after"] == pytest.approx(500 / (10 / 24 * 0.1) + 120)
