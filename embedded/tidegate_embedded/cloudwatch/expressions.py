"""Metric math: the part of CloudWatch's expressions that rates, ratios and conditions need.

An expression works on time series, numbers, and lists of time series. Where an operand has no
value at some time, neither has the result.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final

from tidegate_embedded.cloudwatch.statistics import Series
from tidegate_embedded.cloudwatch.syntax import Binary, Call, Items, Name, Node, Number, Text, parse

Value = float | Series | Sequence[Series]


class ExpressionError(Exception):
    """An expression that cannot be evaluated; says which and why."""


def _truth(test: Callable[[float, float], bool]) -> Callable[[float, float], float]:
    return lambda left, right: float(test(left, right))


_OPERATORS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "<": _truth(operator.lt),
    "<=": _truth(operator.le),
    ">": _truth(operator.gt),
    ">=": _truth(operator.ge),
    "==": _truth(operator.eq),
    "!=": _truth(operator.ne),
    "AND": _truth(lambda left, right: bool(left and right)),
    "OR": _truth(lambda left, right: bool(left or right)),
}
_FOLDS: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {
    "SUM": math.fsum,
    "MIN": min,
    "MAX": max,
    "AVG": fmean,
}
_MAPS: Final[Mapping[str, Callable[[float], float]]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
}


class Expression:
    """One expression of a query.

    Parameters
    ----------
    lookup
        The series of another query, by its id.
    metrics
        The ids of the queries that are metrics, for `METRICS()`.
    periods
        The starts of all periods that were asked for, for `FILL` and `TIME_SERIES`.
    """

    def __init__(
        self,
        text: str,
        *,
        lookup: Callable[[str], Series],
        metrics: Sequence[str],
        periods: Sequence[float],
    ) -> None:
        self._text = text
        self._lookup = lookup
        self._metrics = metrics
        self._periods = periods

    def evaluate(self) -> Series:
        """The time series that the expression stands for.

        Raises
        ------
        ExpressionError
            It has no such meaning.
        """
        try:
            tree = parse(self._text)
        except ValueError as error:
            raise self._error(f"it is not well-formed, {error}") from error
        value = self._value(tree)
        if not isinstance(value, Mapping):
            raise self._error("its result must be a time series")
        return value

    def _value(self, node: Node) -> Value:
        value: Value
        match node:
            case Number(value=value):
                pass
            case Name(id=name):
                value = self._lookup(name)
            case Items(items=items):
                value = [self._series(item) for item in items]
            case Binary(sign=sign, left=left, right=right):
                value = self._combine(_OPERATORS[sign], self._value(left), self._value(right))
            case Call(function=name, arguments=arguments):
                value = self._call(name, arguments)
            case Text():
                raise self._error(f"{node} has no value of its own")
        return value

    def _combine(
        self, operation: Callable[[float, float], float], left: Value, right: Value
    ) -> Value:
        """Apply `operation` at each time; a division by zero gives no value."""
        if isinstance(left, float) and isinstance(right, float):
            return operation(left, right)
        found = {at: self._defined(operation, left, right, at) for at in _times(left, right)}
        return {at: value for at, value in found.items() if value is not None}

    def _defined(
        self, operation: Callable[[float, float], float], left: Value, right: Value, at: float
    ) -> float | None:
        operands = self._at(left, at), self._at(right, at)
        try:
            return None if None in operands else operation(*operands)  # type: ignore[arg-type]
        except ZeroDivisionError:
            return None

    def _at(self, value: Value, at: float) -> float | None:
        if isinstance(value, Mapping):
            return value.get(at)
        if isinstance(value, float):
            return value
        raise self._error("a list of time series is for functions such as SUM")

    def _call(self, name: str, arguments: Sequence[Node]) -> Value:
        if name in _FOLDS and len(arguments) == 1:
            return self._fold(_FOLDS[name], self._value(arguments[0]))
        if name in _MAPS and len(arguments) == 1:
            apply = _MAPS[name]
            return {at: apply(value) for at, value in self._series(arguments[0]).items()}
        own: Mapping[str, Callable[..., Value]] = {
            "FILL": self._fill,
            "IF": self._if,
            "METRICS": self._all_metrics,
            "METRIC_COUNT": self._metric_count,
            "PERIOD": self._period,
            "RATE": self._rate,
            "RUNNING_SUM": self._running_sum,
            "TIME_SERIES": self._time_series,
        }
        if name not in own:
            raise self._error(f"the function {name} is not supported")
        try:
            return own[name](*arguments)
        except TypeError as error:
            raise self._error(f"{name} does not take {len(arguments)} arguments") from error

    def _fold(self, fold: Callable[[Iterable[float]], float], value: Value) -> Value:
        """One number of a series; one series, time by time, of a list."""
        if isinstance(value, float):
            return value
        if isinstance(value, Mapping):
            return float(fold(value.values())) if value else 0.0
        times = sorted({at for series in value for at in series})
        return {at: float(fold([each[at] for each in value if at in each])) for at in times}

    def _fill(self, series: Node, filler: Node) -> Value:
        known = self._series(series)
        if isinstance(filler, Name) and filler.id.upper() == "REPEAT":
            return self._repeat(known)
        value = self._value(filler)
        filled = {at: known.get(at, self._at(value, at)) for at in self._periods}
        return {at: found for at, found in filled.items() if found is not None}

    def _repeat(self, known: Series) -> Series:
        filled: dict[float, float] = {}
        last: float | None = None
        for at in self._periods:
            last = known.get(at, last)
            if last is not None:
                filled[at] = last
        return filled

    def _if(self, test: Node, yes: Node, no: Node | None = None) -> Value:
        condition, chosen = self._value(test), self._value(yes)
        other: Value = self._value(no) if no is not None else {}
        if isinstance(condition, float):
            return chosen if condition else other
        picked = {
            at: self._at(chosen if holds else other, at)
            for at in _times(condition)
            if (holds := self._at(condition, at)) is not None
        }
        return {at: value for at, value in picked.items() if value is not None}

    def _all_metrics(self, part: Node | None = None) -> Value:
        wanted = part.value if isinstance(part, Text) else ""
        return [self._lookup(name) for name in self._metrics if wanted in name]

    def _metric_count(self, metrics: Node) -> Value:
        value = self._value(metrics)
        return float(len(value)) if isinstance(value, Sequence) else 1.0

    def _period(self, _metric: Node) -> Value:
        return self._period_seconds()

    def _rate(self, series: Node) -> Value:
        known = sorted(self._series(series).items())
        return {
            at: (value - before) / (at - past) for (past, before), (at, value) in pairwise(known)
        }

    def _running_sum(self, series: Node) -> Value:
        total = 0.0
        summed = {}
        for at, value in sorted(self._series(series).items()):
            total += value
            summed[at] = total
        return summed

    def _time_series(self, number: Node) -> Value:
        value = self._value(number)
        found = {at: self._at(value, at) for at in self._periods}
        return {at: each for at, each in found.items() if each is not None}

    def _period_seconds(self) -> float:
        return float(self._periods[1] - self._periods[0]) if len(self._periods) > 1 else 60.0

    def _series(self, node: Node) -> Series:
        value = self._value(node)
        if not isinstance(value, Mapping):
            raise self._error(f"{node} must be a time series")
        return value

    def _error(self, why: str) -> ExpressionError:
        return ExpressionError(f"Error in expression '{self._text}': {why}")


def _times(*values: Value) -> list[float]:
    """The times at which any of the series has a value, in order."""
    return sorted({at for value in values if isinstance(value, Mapping) for at in value})
