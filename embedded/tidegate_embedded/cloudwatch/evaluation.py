"""Whether an alarm's datapoints breach its threshold: values in, state out.

See https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class AlarmState(StrEnum):
    """What an alarm says."""

    OK = "OK"  # enough datapoints are within the threshold
    ALARM = "ALARM"  # enough datapoints breach it
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"  # there are no datapoints to judge by


COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
}
_GROWING: Final = frozenset({"Sum", "SampleCount", "Maximum"})


@dataclass(frozen=True, slots=True)
class Criterion:
    """When an alarm goes off."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: str
    """`missing`, `ignore`, `breaching` or `notBreaching`."""

    @classmethod
    def of(cls, alarm: Mapping[str, Any]) -> "Criterion":
        """The criterion in the settings of an alarm."""
        periods = int(alarm.get("EvaluationPeriods") or 1)
        return cls(
            comparison=str(alarm["ComparisonOperator"]),
            threshold=float(alarm.get("Threshold") or 0.0),
            evaluation_periods=periods,
            datapoints_to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
            treat_missing_data=str(alarm.get("TreatMissingData") or "missing"),
        )

    def breached_by(self, value: float) -> bool:
        """Whether one datapoint breaches the threshold."""
        return COMPARISONS[self.comparison][0](value, self.threshold)

    def final_when_breached(self, stat: str) -> bool:
        """Whether a breach by a period that is not over yet will last until its end.

        Sums, counts and maxima of what is counted only grow.
        """
        return stat in _GROWING and self.comparison.startswith("Greater")


def evaluate(criterion: Criterion, values: Sequence[float | None]) -> AlarmState | None:
    """The state that datapoints lead to, or nothing if the alarm keeps the one that it has.

    Parameters
    ----------
    values
        Oldest first, with nothing for a period without data. May be more than the criterion's
        periods: the older ones stand in for missing ones.
    """
    known = [value for value in values if value is not None][-criterion.evaluation_periods :]
    missing = criterion.evaluation_periods - len(known)
    breaching = sum(criterion.breached_by(value) for value in known)
    treatment = criterion.treat_missing_data
    if treatment == "breaching":
        breaching += missing
    elif treatment == "ignore" and missing:
        return AlarmState.ALARM if breaching >= criterion.datapoints_to_alarm else None
    elif treatment == "missing" and not known:
        return AlarmState.INSUFFICIENT_DATA
    needed = criterion.datapoints_to_alarm
    if treatment == "missing":
        needed = min(needed, len(known))
    return AlarmState.ALARM if breaching >= needed else AlarmState.OK
