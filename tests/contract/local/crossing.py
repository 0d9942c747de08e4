"""The way of an alarm between two accounts of the embedded AWS, as the templates make it."""

import json
from pathlib import Path
from typing import Any

from support.own_templates import own_template
from support.waiting import messages, stack_status
from tidegate_embedded.cloud import EmbeddedAws

ROOT = Path(__file__).parents[3]
BUS = "tidegate"


class Crossing:
    """The controller's bus, and what pipeline/target-region.yaml makes in another account."""

    def __init__(self, aws: EmbeddedAws, controller: str, target: str) -> None:
        self.aws, self.controller, self.target = aws, controller, target
        self.deploy(controller, "controller", json.dumps(self.bus([target])))
        self.deploy(
            target,
            "tidegate-alarms",
            (ROOT / "pipeline" / "target-region.yaml").read_text(),
            ControllerBusArn=f"arn:aws:events:eu-west-1:{controller}:event-bus/{BUS}",
            ApplicationPrefix="shop",
        )

    def bus(self, accounts: list[str]) -> dict[str, Any]:
        """The bus of template.yaml, alone."""
        template = own_template("template.yaml")
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
        assert stack_status(client, stack) == "CREATE_COMPLETE"

    def hears(self) -> None:
        """A queue takes the place of the function that hears alarms."""
        queue = self.aws.client("sqs", account=self.controller)
        self.url = queue.create_queue(QueueName="heard")["QueueUrl"]
        self.tell(f"arn:aws:sqs:eu-west-1:{self.controller}:heard")

    def tell(self, arn: str) -> None:
        """Let what hears alarms be this, by the pattern of template.yaml."""
        functions = own_template("template.yaml")["Resources"]
        rule = functions["OnAlarmFunction"]["Properties"]["Events"]["AlarmFires"]["Properties"]
        events = self.aws.client("events", account=self.controller)
        events.put_rule(Name="heard", EventBusName=BUS, EventPattern=json.dumps(rule["Pattern"]))
        events.put_targets(Rule="heard", EventBusName=BUS, Targets=[{"Id": "hears", "Arn": arn}])

    def watch(self, alarm: str) -> None:
        """Make the alarm in the target's account."""
        client = self.aws.client("cloudwatch", account=self.target)
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

    def fire(self, alarm: str) -> None:
        """Let it go off."""
        self.watch(alarm)
        client = self.aws.client("cloudwatch", account=self.target)
        client.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="drill")

    def next_event(self) -> dict[str, Any]:
        [message] = messages(self.aws.client("sqs", account=self.controller), self.url)
        event: dict[str, Any] = json.loads(message["Body"])
        return event
