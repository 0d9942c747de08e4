"""JSONata as Step Functions evaluates it: with its functions, its errors, and values as data."""

import datetime
import hashlib
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import jsonata
from jsonata.utils import Utils
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from tidegate_embedded.patching import Patches

_NULL: Final = Utils.NULL_VALUE
_VARIABLE: Final = re.compile(r"\$([A-Za-z_]\w*)")
_HASHES: Final = {
    "MD5": hashlib.md5,
    "SHA-1": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}


class EvaluationError(Exception):
    """An expression has no value that JSON can hold."""


def install(patches: Patches) -> None:
    """Evaluate the `{% %}` expressions of moto's interpreter here."""
    patches.replace(StringJSONata, "_eval_body", lambda _original: _eval_body)


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The value of `expression`, whose `$name` are `variables`, as plain JSON.

    Raises
    ------
    EvaluationError
        If the expression is wrong, fails, or returns nothing or a function.
    """
    referenced = set(_VARIABLE.findall(expression)) & variables.keys()
    bindings = _FUNCTIONS | {name: _to_jsonata(variables[name]) for name in referenced}
    try:
        compiled = jsonata.Jsonata(expression)
        compiled.output_convert_nulls = False
        result = compiled.evaluate(None, bindings)
    except Exception as error:
        raise EvaluationError(
            f"The JSONata expression '{expression}' threw an error during evaluation: {error}"
        ) from error
    if result is None:
        raise EvaluationError(
            f"The JSONata expression '{expression}' returned nothing (undefined)."
        )
    try:
        return _to_json(result)
    except TypeError:
        raise EvaluationError(
            f"The JSONata expression '{expression}' returned an unsupported result type."
        ) from None


def _eval_body(self: Any, env: Environment) -> None:
    """Stands in for `StringJSONata._eval_body`: pushes the expression's value."""
    store = env.variable_store
    states = {
        name: value
        for name, value in env.states._states_data.items()
        if value is not None or name == "input"
    }
    variables = {**store._outer_scope, **store._inner_scope, "states": states}
    try:
        env.stack.append(evaluate(self.expression, variables))
    except EvaluationError as error:
        raise _failure(env, str(error)) from error


def _failure(env: Environment, cause: str) -> FailureEventException:
    """The failure of a state whose expression has no value, as its history tells it."""
    error = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(cause=cause, error=error.error_name)
    failure = FailureEventException(
        FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(evaluationFailedEventDetails=details),
        )
    )
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.EvaluationFailed,
        event_details=EventDetails(
            evaluationFailedEventDetails=failure.get_evaluation_failed_event_details()
        ),
    )
    return failure


def _to_jsonata(value: Any) -> Any:
    """JSON for jsonata-python, in which `None` is "no value" and null has an object of its own."""
    match value:
        case None:
            return _NULL
        case dict():
            return {key: _to_jsonata(item) for key, item in value.items()}
        case list() | tuple():
            return [_to_jsonata(item) for item in value]
        case datetime.datetime():
            return timestamp(value)
        case _:
            return value


def _to_json(value: Any) -> Any:
    if value is _NULL or value is None:
        return None
    match value:
        case bool() | int() | str():
            return value
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {key: _to_json(item) for key, item in value.items()}
        case list() | range():
            return [_to_json(item) for item in value]
        case _:
            raise TypeError(type(value).__name__)


def timestamp(moment: datetime.datetime) -> str:
    """ISO 8601 with milliseconds, as the context object has it."""
    utc = moment.astimezone(datetime.UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _partition(array: list[Any], size: int) -> list[list[Any]]:
    if size < 1:
        raise ValueError("$partition: the size must be positive")
    return [array[start : start + size] for start in range(0, len(array), int(size))]


def _range(first: float, last: float, step: float = 1) -> list[float]:
    if step == 0:
        raise ValueError("$range: the step must not be zero")
    count = math.floor((last - first) / step) + 1
    return [first + index * step for index in range(max(count, 0))]


def _hash(content: str, algorithm: str) -> str:
    if algorithm not in _HASHES:
        raise ValueError(f"$hash: the algorithm must be one of {', '.join(_HASHES)}")
    return _HASHES[algorithm](content.encode()).hexdigest()


def _random(seed: float | None = None) -> float:
    return random.Random(seed).random()  # noqa: S311 - not for secrets


def _uuid() -> str:
    return str(uuid.uuid4())


def _parse(text: str) -> Any:
    return _to_jsonata(json.loads(text))


def _eval(*_arguments: Any) -> NoReturn:
    raise ValueError("$eval is not supported, use $parse to read JSON")


def _function(implementation: Callable[..., Any]) -> Any:
    return jsonata.Jsonata.JLambda(implementation)


_FUNCTIONS: Final[dict[str, Any]] = {
    "partition": _function(_partition),
    "range": _function(_range),
    "hash": _function(_hash),
    "random": _function(_random),
    "uuid": _function(_uuid),
    "parse": _function(_parse),
    "eval": _function(_eval),
}
