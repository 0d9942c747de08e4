"""Events cross accounts as the templates want it: a target's alarms reach the controller's bus."""

from typing import Any

import pytest
from crossing import Crossing

from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.eventbridge.crossing import allows

pytestmark = pytest.mark.cloud

ALARM = {"Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change"}


@pytest.fixture
def crossing(aws: EmbeddedAws, account: str) -> Crossing:
    crossing = Crossing(aws, account, str(int(account) + 500_000_000_000))
    crossing.hears()
    return crossing


def test_an_alarm_of_a_target_is_heard_by_the_controller(crossing: Crossing) -> None:
    crossing.fire("shop-prod-errors")
    event = crossing.next_event()
    assert (event["account"], event["region"]) == (crossing.target, "eu-west-1")
    assert event["detail"]["alarmName"] == "shop-prod-errors"
    assert event["detail"]["state"]["value"] == "ALARM"


def test_alarms_of_other_applications_and_recoveries_are_not_told(crossing: Crossing) -> None:
    crossing.fire("other-prod-errors")
    crossing.fire("shop-prod-errors")
    assert crossing.next_event()["detail"]["alarmName"] == "shop-prod-errors"
    client = crossing.aws.client("cloudwatch", account=crossing.target)
    client.set_alarm_state(AlarmName="shop-prod-errors", StateValue="OK", StateReason="drill")
    crossing.fire("shop-prod-latency")  # events come in the order of the changes
    assert crossing.next_event()["detail"]["alarmName"] == "shop-prod-latency"


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
