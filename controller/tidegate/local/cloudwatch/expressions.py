"""Metric math: the part of CloudWatch's expressions that rates, ratios and conditions need.

An expression works on time series, numbers, and lists of time series. Where an operand has no
value at some time, neither has the result.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, reduce
from itertools import pairwise
from statistics import fmean
from typing import Final

from tidegate.local.cloudwatch.statistics import Series

Value = float | Series | Sequence[Series]


class ExpressionError(Exception):
    """An expression that cannot be evaluated; says which and why."""


def _truth(test: Callable[[float, float], bool]) -> Callable[[float, float], float]:
    return lambda left, right: float(test(left, right))


_OPERATORS: Final[Mapping[type[ast.AST], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: _truth(operator.lt),
    ast.LtE: _truth(operator.le),
    ast.Gt: _truth(operator.gt),
    ast.GtE: _truth(operator.ge),
    ast.Eq: _truth(operator.eq),
    ast.NotEq: _truth(operator.ne),
    ast.And: _truth(lambda left, right: bool(left and right)),
    ast.Or: _truth(lambda left, right: bool(left or right)),
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
_PYTHON_SPELLING: Final = (("&&", " and "), ("||", " or "), ("^", "**"))
_KEYWORD: Final = re.compile(r"\b(AND|OR)\b")


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
        text = _KEYWORD.sub(lambda word: word[0].lower(), self._text.strip())
        for cloudwatch_spelling, python_spelling in _PYTHON_SPELLING:
            text = text.replace(cloudwatch_spelling, python_spelling)
        try:
            value = self._value(ast.parse(text, mode="eval").body)
        except SyntaxError as error:
            raise self._error("it is not well-formed") from error
        if not isinstance(value, Mapping):
            raise self._error("its result must be a time series")
        return value

    def _value(self, node: ast.expr) -> Value:
        value: Value
        match node:
            case ast.Constant(value=int() | float() as number):
                value = float(number)
            case ast.Name(id=name):
                value = self._lookup(name)
            case ast.List(elts=elements):
                value = [self._series(element) for element in elements]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._combine(operator.sub, 0.0, self._value(operand))
            case ast.BinOp(left=left, op=operation, right=right):
                value = self._operate(operation, left, right)
            case ast.Compare(left=left, ops=[operation], comparators=[right]):
                value = self._operate(operation, left, right)
            case ast.BoolOp(op=operation, values=operands):
                apply = partial(self._combine, _OPERATORS[type(operation)])
                value = reduce(apply, map(self._value, operands))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                value = self._call(name.upper(), arguments)
            case _:
                raise self._error(f"{ast.unparse(node)} is not supported")
        return value

    def _operate(self, operation: ast.AST, left: ast.expr, right: ast.expr) -> Value:
        if type(operation) not in _OPERATORS:
            raise self._error(f"{type(operation).__name__} is not supported")
        return self._combine(_OPERATORS[type(operation)], self._value(left), self._value(right))

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

    def _call(self, name: str, arguments: list[ast.expr]) -> Value:
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

    def _fill(self, series: ast.expr, filler: ast.expr) -> Value:
        known = self._series(series)
        if isinstance(filler, ast.Name) and filler.id.upper() == "REPEAT":
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

    def _if(self, test: ast.expr, yes: ast.expr, no: ast.expr | None = None) -> Value:
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

    def _all_metrics(self, part: ast.expr | None = None) -> Value:
        wanted = str(part.value) if isinstance(part, ast.Constant) else ""
        return [self._lookup(name) for name in self._metrics if wanted in name]

    def _metric_count(self, metrics: ast.expr) -> Value:
        value = self._value(metrics)
        return float(len(value)) if isinstance(value, Sequence) else 1.0

    def _period(self, _metric: ast.expr) -> Value:
        return self._period_seconds()

    def _rate(self, series: ast.expr) -> Value:
        known = sorted(self._series(series).items())
        return {
            at: (value - before) / (at - past) for (past, before), (at, value) in pairwise(known)
        }

    def _running_sum(self, series: ast.expr) -> Value:
        total = 0.0
        summed = {}
        for at, value in sorted(self._series(series).items()):
            total += value
            summed[at] = total
        return summed

    def _time_series(self, number: ast.expr) -> Value:
        value = self._value(number)
        found = {at: self._at(value, at) for at in self._periods}
        return {at: each for at, each in found.items() if each is not None}

    def _period_seconds(self) -> float:
        return float(self._periods[1] - self._periods[0]) if len(self._periods) > 1 else 60.0

    def _series(self, node: ast.expr) -> Series:
        value = self._value(node)
        if not isinstance(value, Mapping):
            raise self._error(f"{ast.unparse(node)} must be a time series")
        return value

    def _error(self, why: str) -> ExpressionError:
        return ExpressionError(f"Error in expression '{self._text}': {why}")


def _times(*values: Value) -> list[float]:
    """The times at which any of the series has a value, in order."""
    return sorted({at for value in values if isinstance(value, Mapping) for at in value})
