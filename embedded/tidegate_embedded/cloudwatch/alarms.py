"""Evaluates the metric alarms of all accounts and tells their changes to EventBridge."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from tidegate_embedded.cloudwatch.evaluation import COMPARISONS, AlarmState, Criterion, evaluate
from tidegate_embedded.cloudwatch.expressions import ExpressionError
from tidegate_embedded.cloudwatch.queries import Queries
from tidegate_embedded.cloudwatch.statistics import InvalidStatisticError, Reader, Series
from tidegate_embedded.delays import Delays
from tidegate_embedded.eventbridge.events import publish_service_event
from tidegate_embedded.patching import Patches

logger = logging.getLogger(__name__)

Alarm = dict[str, Any]

_LONGEST_CADENCE_SECONDS: Final = 60
_EXTRA_PERIODS: Final = 2
"""CloudWatch looks a little further back than the evaluation periods when datapoints are missing.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an evaluation came to."""

    state: AlarmState
    reason: str
    reason_data: str
    """JSON."""


class AlarmEvaluator:
    """Looks at every alarm again and again, on a thread of its own.

    An alarm changes at the end of its periods, as in CloudWatch, and at once when what has come in
    so far decides: it was without data, or is breached for good. A state stays for a period, also
    one that `SetAlarmState` gave.

    Parameters
    ----------
    clock
        Seconds since the epoch.
    interval_seconds
        How long to wait until the next evaluation.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        interval_seconds: Callable[[], float] = lambda: Delays().alarm_interval_seconds,
    ) -> None:
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._due: dict[str, float] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="alarm-evaluator", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look now rather than at the end of the interval."""
        self._wake.set()

    def close(self) -> None:
        """Look no more."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=5)

    def look(self) -> None:
        """Evaluate every alarm once."""
        for (account, region, _), alarm in cloudwatch._alarms.all_items():
            with responses.request_scope(account, region):
                try:
                    self._look_at(alarm)
                except Exception:
                    logger.exception("alarm %s was not evaluated", alarm.get("AlarmArn"))

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._interval_seconds())
            self._wake.clear()
            self.look()

    def _look_at(self, alarm: Alarm) -> None:
        now = self._clock()
        arn, state = alarm["AlarmArn"], alarm["StateValue"]
        cadence = min(period_of(alarm), _LONGEST_CADENCE_SECONDS)
        next_period = now // cadence * cadence + cadence
        due = now >= self._due.setdefault(arn, next_period)
        if due:
            self._due[arn] = next_period
            due = now - alarm["StateUpdatedTimestamp"] >= cadence
        finding = find(alarm, now)
        if finding is None or finding.state == state:
            return
        if due or finding.state == AlarmState.ALARM or state == AlarmState.INSUFFICIENT_DATA:
            _change(alarm, finding, now)


def find(alarm: Mapping[str, Any], now: float) -> Finding | None:
    """What the alarm's state should be, or nothing if it stays whatever it is."""
    if alarm.get("ComparisonOperator") not in COMPARISONS:
        return None
    criterion = Criterion.of(alarm)
    period = period_of(alarm)
    newest_end = now // period * period
    span = (criterion.evaluation_periods + _EXTRA_PERIODS) * period
    series = _series(alarm, newest_end - span, newest_end + period)
    running = series.get(newest_end)
    if (
        running is not None
        and criterion.breached_by(running)
        and criterion.final_when_breached(_stat(alarm))
    ):
        newest_end += period
    starts = [newest_end - span + number * period for number in range(int(span // period))]
    state = evaluate(criterion, [series.get(start) for start in starts])
    if state is None:
        return None
    recent = {start: series[start] for start in starts if start in series}
    newest = dict(list(recent.items())[-criterion.evaluation_periods :])
    return Finding(state, _reason(criterion, newest, state), _reason_data(alarm, newest, now))


def period_of(alarm: Mapping[str, Any]) -> int:
    """The seconds of the alarm's periods."""
    for query in alarm.get("Metrics") or ():
        if "MetricStat" in query:
            return int(query["MetricStat"]["Period"])
    return int(alarm.get("Period") or _LONGEST_CADENCE_SECONDS)


def queries_of(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alarm's metric as queries; the one that is returned is compared with the threshold."""
    if alarm.get("Metrics"):
        return list(alarm["Metrics"])
    metric = {name: alarm.get(name) for name in ("Namespace", "MetricName", "Dimensions")}
    return [
        {
            "Id": "m1",
            "MetricStat": {"Metric": metric, "Period": period_of(alarm), "Stat": _stat(alarm)},
            "ReturnData": True,
        }
    ]


def _series(alarm: Mapping[str, Any], start: float, end: float) -> Series:
    queries = queries_of(alarm)
    compared = next(query["Id"] for query in queries if query.get("ReturnData", True))
    account, region = responses.get_account_id(), responses.get_region()
    try:
        return Queries(queries, Reader(start, end), account=account, region=region).series(compared)
    except (ExpressionError, InvalidStatisticError) as error:
        logger.warning("alarm %s: %s", alarm.get("AlarmName"), error)
        return {}


def _stat(alarm: Mapping[str, Any]) -> str:
    if alarm.get("Metrics"):
        return "Expression"
    return str(alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average")


def _reason(criterion: Criterion, recent: Series, state: AlarmState) -> str:
    if not recent:
        return "Insufficient Data: no datapoints were received for the last periods."
    words = COMPARISONS[criterion.comparison][1]
    shown = ", ".join(
        f"{value} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})"
        for at, value in reversed(list(recent.items()))
    )
    breaching = sum(criterion.breached_by(value) for value in recent.values())
    count = breaching if state == AlarmState.ALARM else len(recent) - breaching
    verb = "was" if state == AlarmState.ALARM else "was not"
    return (
        f"Threshold Crossed: {count} out of the last {len(recent)} datapoints [{shown}] "
        f"{verb} {words} the threshold ({criterion.threshold})."
    )


def _reason_data(alarm: Mapping[str, Any], recent: Series, now: float) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": _iso(now),
            "startDate": _iso(next(iter(recent), now)),
            "statistic": _stat(alarm),
            "period": period_of(alarm),
            "recentDatapoints": list(recent.values()),
            "threshold": float(alarm.get("Threshold") or 0.0),
        }
    )


def _change(alarm: Alarm, finding: Finding, now: float) -> None:
    old = alarm["StateValue"]
    alarm["StateValue"] = finding.state.value
    alarm["StateReason"] = finding.reason
    alarm["StateReasonData"] = finding.reason_data
    alarm["StateUpdatedTimestamp"] = now
    cloudwatch._record_history(alarm["AlarmName"], old, finding.state.value, finding.reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, finding.state.value, finding.reason)
    cloudwatch._evaluate_parent_alarms(alarm)


class ChangeEvents:
    """Publishes every change of an alarm's state, also of composite alarms and by `SetAlarmState`.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """

    def __init__(self) -> None:
        self._states: dict[str, Mapping[str, str]] = {}

    def publish(self, name: str, old_state: str) -> None:
        """Tell that the alarm `name` is no longer in `old_state`, in the current scope."""
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
        if alarm is None:
            return
        arn = alarm["AlarmArn"]
        before = self._states.get(arn) or {"timestamp": _iso(time.time())}
        state = self._states[arn] = _state(alarm)
        publish_service_event(
            account=responses.get_account_id(),
            region=responses.get_region(),
            source="aws.cloudwatch",
            detail_type="CloudWatch Alarm State Change",
            resources=[arn],
            detail={
                "alarmName": name,
                "state": state,
                "previousState": {**before, "value": old_state},
                "configuration": _configuration(alarm),
            },
        )


def evaluate_alarms(patches: Patches, evaluator: AlarmEvaluator, events: ChangeEvents) -> None:
    """Let `evaluator` decide in ministack's place, and `events` hear of every change."""

    def evaluate_soon(*_: object) -> None:
        evaluator.wake()

    patches.replace(cloudwatch, "_evaluate_alarm", lambda _: evaluate_soon)
    patches.replace(cloudwatch, "_evaluate_all_alarms", lambda _: evaluate_soon)
    patches.replace(cloudwatch, "_record_history", lambda own: _recording(own, events))
    patches.replace(cloudwatch, "_put_metric_alarm", _putting)
    patches.replace(provisioners, "_cw_metric_alarm_record", _reading_template)


def _recording(own: Callable[..., None], events: ChangeEvents) -> Callable[..., None]:
    def record(alarm_name: str, old_state: str, new_state: str, *more: Any) -> None:
        own(alarm_name, old_state, new_state, *more)
        if old_state != new_state:
            events.publish(alarm_name, old_state)

    return record


def _putting(own: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the queries of an alarm on metric math, which ministack drops."""

    def put(form: object, data: Mapping[str, Any], *protocol: bool) -> Any:
        answer = own(form, data, *protocol)
        alarm = cloudwatch._alarms.get(data.get("AlarmName"))
        if alarm is not None and data.get("Metrics"):
            _set_queries(alarm, data["Metrics"])
        return answer

    return put


def _reading_template(own: Callable[..., Alarm]) -> Callable[..., Alarm]:
    """Take metric math in templates, which ministack refuses."""

    def read(name: str, properties: Mapping[str, Any]) -> Alarm:
        queries = properties.get("Metrics")
        if not queries:
            return own(name, properties)
        single = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = own(name, {**single, "MetricName": "-", "Namespace": "-"})
        _set_queries(alarm, [_query_of_template(query) for query in queries])
        return alarm

    return read


def _query_of_template(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """A query with the types of the API: templates may write numbers and booleans as strings."""
    typed = {**query, "ReturnData": str(query.get("ReturnData", True)).lower() == "true"}
    if "MetricStat" in query:
        stat = query["MetricStat"]
        typed["MetricStat"] = {**stat, "Period": int(stat["Period"])}
    return typed


def _set_queries(alarm: Alarm, queries: Sequence[Mapping[str, Any]]) -> None:
    alarm["Metrics"] = list(queries)
    for single in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period"):
        alarm.pop(single, None)
    alarm.pop("Dimensions", None)


def _state(alarm: Mapping[str, Any]) -> Mapping[str, str]:
    state = {
        "value": alarm["StateValue"],
        "reason": alarm.get("StateReason", ""),
        "timestamp": _iso(float(alarm.get("StateUpdatedTimestamp") or time.time())),
    }
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    return state


def _configuration(alarm: Mapping[str, Any]) -> Mapping[str, Any]:
    described = {"description": alarm["AlarmDescription"]} if alarm.get("AlarmDescription") else {}
    if "AlarmRule" in alarm:
        return {**described, "alarmRule": alarm["AlarmRule"]}
    return {**described, "metrics": [_event_query(query) for query in queries_of(alarm)]}


def _event_query(query: Mapping[str, Any]) -> Mapping[str, Any]:
    returned = bool(query.get("ReturnData", True))
    if "Expression" in query:
        expression = {"id": query["Id"], "expression": query["Expression"]}
        return {**expression, "returnData": returned}
    wanted = query["MetricStat"]
    metric = wanted["Metric"]
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()}
    return {
        "id": query["Id"],
        "metricStat": {
            "metric": {
                "namespace": metric["Namespace"],
                "name": metric["MetricName"],
                "dimensions": dimensions,
            },
            "period": wanted["Period"],
            "stat": wanted["Stat"],
        },
        "returnData": returned,
    }


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.{int(at % 1 * 1000):03d}+0000"
