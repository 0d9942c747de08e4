"""When an alarm changes: what its datapoints say, and when it is looked at."""

from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core import responses
from ministack.services import cloudwatch

from tidegate_embedded.cloudwatch.alarms import AlarmEvaluator
from tidegate_embedded.cloudwatch.evaluation import AlarmState, Criterion, evaluate
from tidegate_embedded.cloudwatch.store import Metric, Recorder

OK, ALARM, INSUFFICIENT = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    ("datapoints", "missing", "ignore", "breaching", "not_breaching"),
    # the table of AWS's documentation for 3 datapoints of 3, looking at 5 periods
    [
        ("0-X-X", OK, OK, OK, OK),
        ("----0", OK, None, OK, OK),
        ("-----", INSUFFICIENT, None, ALARM, OK),
        ("0XX-X", ALARM, ALARM, ALARM, ALARM),
        ("--X--", ALARM, None, ALARM, OK),
    ],
)
def test_missing_datapoints_count_as_the_alarm_says(
    datapoints: str,
    missing: AlarmState,
    ignore: AlarmState | None,
    breaching: AlarmState,
    not_breaching: AlarmState,
) -> None:
    values = [{"0": 0.0, "X": 9.0, "-": None}[each] for each in datapoints]
    expected = {
        "missing": missing,
        "ignore": ignore,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }

    found = {
        treatment: evaluate(Criterion("GreaterThanThreshold", 5.0, 3, 3, treatment), values)
        for treatment in expected
    }

    assert found == expected


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 5.0, OK),
        ("GreaterThanThreshold", 5.1, ALARM),
        ("GreaterThanOrEqualToThreshold", 5.0, ALARM),
        ("LessThanThreshold", 5.0, OK),
        ("LessThanThreshold", 4.9, ALARM),
        ("LessThanOrEqualToThreshold", 5.0, ALARM),
    ],
)
def test_compares_as_told(comparison: str, value: float, state: AlarmState) -> None:
    assert evaluate(Criterion(comparison, 5.0, 1, 1, "missing"), [value]) == state


def test_goes_off_when_enough_of_the_datapoints_breach() -> None:
    criterion = Criterion("GreaterThanThreshold", 5.0, 3, 2, "missing")

    assert evaluate(criterion, [9.0, 0.0, 9.0]) == ALARM
    assert evaluate(criterion, [9.0, 0.0, 0.0]) == OK


class RolloutContext:
    """An alarm on a sum over ten seconds, its metric, and a clock."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.evaluator = AlarmEvaluator(lambda: self.now)
        self.alarm: dict[str, Any] = {
            "AlarmName": "errors",
            "AlarmArn": "arn:aws:cloudwatch:eu-west-1:100000000001:alarm:errors",
            "Namespace": "Shop",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 10,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "StateValue": "INSUFFICIENT_DATA",
            "StateUpdatedTimestamp": self.now,
        }
        cloudwatch._alarms["errors"] = self.alarm
        self._metric = Metric.of("100000000001", "eu-west-1", "Shop", "Errors", {})
        self._recorder = Recorder()

    def record(self, value: float) -> None:
        self._recorder.add(self._metric, value, "Count", self.now)

    def state_after(self, seconds: float) -> str:
        self.now += seconds
        self.evaluator.look()
        return str(self.alarm["StateValue"])


@pytest.fixture
def context() -> Iterator[RolloutContext]:
    with responses.request_scope("100000000001", "eu-west-1"):
        yield RolloutContext()
        cloudwatch.reset()


def test_a_new_alarm_is_judged_at_once(context: RolloutContext) -> None:
    assert context.state_after(0) == "OK"


def test_a_breach_that_lasts_shows_before_its_period_is_over(context: RolloutContext) -> None:
    assert context.state_after(0) == "OK"
    context.record(6)

    assert context.state_after(1) == "ALARM"


def test_an_average_may_still_change_until_its_period_is_over(context: RolloutContext) -> None:
    context.alarm["Statistic"] = "Average"
    assert context.state_after(0) == "OK"
    context.record(6)

    assert context.state_after(1) == "OK"
    assert context.state_after(9) == "ALARM"


def test_recovers_at_the_end_of_a_period_within_the_threshold(context: RolloutContext) -> None:
    context.record(6)
    assert context.state_after(0) == "ALARM"
    context.now += 10
    context.record(1)

    assert context.state_after(9) == "ALARM"
    assert context.state_after(1) == "OK"


def test_a_state_set_by_hand_stays_for_a_period(context: RolloutContext) -> None:
    assert context.state_after(9) == "OK"
    context.alarm |= {"StateValue": "ALARM", "StateUpdatedTimestamp": context.now}

    assert context.state_after(1) == "ALARM"
    assert context.state_after(10) == "OK"
