"""Events cross accounts as the templates want it: a target's alarms reach the controller's bus."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.decode.cfn_yaml import loads
from statemachines import eventually

from tidegate.local.cloud import EmbeddedAws
from tidegate.local.eventbridge import allows

pytestmark = pytest.mark.cloud

ROOT = Path(__file__).parents[3]
BUS = "tidegate"
ALARM = {"Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change"}


class Crossing:
    """The controller's bus, and what pipeline/target-region.yaml makes in another account."""

    def __init__(self, aws: EmbeddedAws, controller: str, target: str) -> None:
        self.aws, self.controller, self.target = aws, controller, target
        self.deploy(controller, "controller", json.dumps(self.bus([target])))
        self.hears()
        self.deploy(
            target,
            "tidegate-alarms",
            (ROOT / "pipeline" / "target-region.yaml").read_text(),
            ControllerBusArn=f"arn:aws:events:eu-west-1:{controller}:event-bus/{BUS}",
            ApplicationPrefix="shop",
        )

    def bus(self, accounts: list[str]) -> dict[str, Any]:
        """The bus of template.yaml, alone."""
        template = json.loads(json.dumps(loads((ROOT / "template.yaml").read_text())))
        bus = template["Resources"]["Bus"]
        bus["Properties"]["Name"] = BUS
        statements = bus["Properties"]["Policy"]["Statement"]
        for statement in statements:
            statement["Principal"] = {"AWS": accounts}
        return {"Resources": {"Bus": bus}}

    def deploy(self, account: str, stack: str, body: str, **parameters: str) -> None:
        client = self.aws.client("cloudformation", account=account)
        client.create_stack(
            StackName=stack,
            TemplateBody=body,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        client.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    def hears(self) -> None:
        """A queue takes the place of the function that hears alarms, by the same pattern."""
        queue = self.aws.client("sqs", account=self.controller)
        self.url = queue.create_queue(QueueName="heard")["QueueUrl"]
        functions = yaml.safe_load(
            json.dumps(loads((ROOT / "template.yaml").read_text()))  # as sam reads it
        )["Resources"]
        rule = functions["HearAlarmFunction"]["Properties"]["Events"]["AlarmFires"]["Properties"]
        events = self.aws.client("events", account=self.controller)
        events.put_rule(Name="heard", EventBusName=BUS, EventPattern=json.dumps(rule["Pattern"]))
        arn = f"arn:aws:sqs:eu-west-1:{self.controller}:heard"
        events.put_targets(Rule="heard", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])

    def fire(self, alarm: str, account: str = "") -> None:
        client = self.aws.client("cloudwatch", account=account or self.target)
        client.put_metric_alarm(
            AlarmName=alarm,
            Namespace="Shop",
            MetricName="Errors",
            Statistic="Sum",
            Period=10,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
        )
        client.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="drill")

    def next_event(self, seconds: int = 10) -> dict[str, Any] | None:
        queue = self.aws.client("sqs", account=self.controller)
        answer = queue.receive_message(QueueUrl=self.url, WaitTimeSeconds=seconds)
        if not answer.get("Messages"):
            return None
        message = answer["Messages"][0]
        queue.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        event: dict[str, Any] = json.loads(message["Body"])
        return event


@pytest.fixture
def crossing(aws: EmbeddedAws, account: str) -> Crossing:
    return Crossing(aws, account, str(int(account) + 500_000_000_000))


def test_an_alarm_of_a_target_is_heard_by_the_controller(crossing: Crossing) -> None:
    crossing.fire("shop-prod-errors")
    event = eventually(crossing.next_event)
    assert (event["account"], event["region"]) == (crossing.target, "eu-west-1")
    assert event["detail"]["alarmName"] == "shop-prod-errors"
    assert event["detail"]["state"]["value"] == "ALARM"


def test_alarms_of_other_applications_and_recoveries_are_not_told(crossing: Crossing) -> None:
    crossing.fire("other-prod-errors")
    crossing.fire("shop-prod-errors")
    assert eventually(crossing.next_event)["detail"]["alarmName"] == "shop-prod-errors"
    client = crossing.aws.client("cloudwatch", account=crossing.target)
    client.set_alarm_state(AlarmName="shop-prod-errors", StateValue="OK", StateReason="drill")
    assert crossing.next_event(seconds=1) is None


@pytest.mark.parametrize(
    ("principal", "event", "let_in"),
    [
        ({"AWS": ["222222222222", "333333333333"]}, ALARM, True),
        ({"AWS": "arn:aws:iam::333333333333:root"}, ALARM, True),
        ("*", ALARM, True),
        ("333333333333", ALARM, True),
        ({"AWS": "222222222222"}, ALARM, False),
        ({"AWS": "333333333333"}, {**ALARM, "Source": "shop"}, False),
        ({"Service": "events.amazonaws.com"}, ALARM, False),
    ],
)
def test_the_policy_of_a_bus_says_who_may_put_what_on_it(
    principal: Any, event: dict[str, str], let_in: bool
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "events:PutEvents",
        "Resource": "*",
        "Condition": {"StringEquals": {"events:source": "aws.cloudwatch"}},
    }
    assert allows({"Statement": [statement]}, "333333333333", event) is let_in
    assert not allows({}, "333333333333", event)
