"""Invocations by other services of ministack: rules, topics, mappings, APIs, custom resources.

They all end in a few functions of ministack's Lambda module, which are replaced here.
"""

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack.services import eventbridge, lambda_svc, sns

from tidegate_embedded.lambdas.api import runs_here
from tidegate_embedded.lambdas.asynchronous import AsynchronousInvoker
from tidegate_embedded.lambdas.dataplane import DataPlane, ThrottledError
from tidegate_embedded.lambdas.functions import RandomSource, Target, pick
from tidegate_embedded.lambdas.runtime import Outcome
from tidegate_embedded.patching import Patches

Record = dict[str, Any]

_later: ContextVar[bool] = ContextVar("tidegate_invoke_later", default=False)
"""Whether the service that invokes does not want the result."""


def take_over(
    patches: Patches,
    dataplane: DataPlane,
    asynchronous: AsynchronousInvoker,
    chance: RandomSource,
) -> None:
    """Send ministack's own invocations of Python functions to the data plane."""
    patches.replace(
        lambda_svc, "_execute_function", lambda own: _execute(own, dataplane, asynchronous)
    )
    patches.replace(
        lambda_svc, "invoke_async_with_retry", lambda own: _execute_later(own, asynchronous)
    )
    patches.replace(lambda_svc, "_get_func_record_for_ref", lambda own: _resolve(own, chance))
    patches.replace(lambda_svc, "_run_sqs_batch", lambda own: _run_batch(own, chance))
    patches.replace(lambda_svc, "_emit_lambda_metrics", _skip_metrics)
    patches.replace(sns, "_deliver_to_lambda", _without_waiting)
    patches.replace(
        eventbridge, "_dispatch_to_lambda", lambda own: _deliver_event(own, asynchronous)
    )


def _execute(
    own: Callable[..., Record], dataplane: DataPlane, asynchronous: AsynchronousInvoker
) -> Callable[..., Record]:
    def execute(func: Record, event: object) -> Record:
        if not runs_here(_complete(func)):
            return own(func, event)
        target, payload = Target.of(_complete(func)), json.dumps(event).encode()
        if _later.get():
            asynchronous.submit(target, payload)
            return {"body": None, "log": ""}
        try:
            outcome = dataplane.invoke(target, payload)
        except ThrottledError as error:
            return lambda_svc._throttle_response(error.reason, str(error))  # type: ignore[no-any-return]
        return _result(outcome)

    return execute


def _execute_later(
    own: Callable[..., None], asynchronous: AsynchronousInvoker
) -> Callable[..., None]:
    def execute_later(func: Record, event: object) -> None:
        if runs_here(_complete(func)):
            asynchronous.submit(Target.of(_complete(func)), json.dumps(event).encode())
        else:
            own(func, event)

    return execute_later


def _resolve(own: Callable[..., Any], chance: RandomSource) -> Callable[..., Any]:
    """Let an alias's weights decide, and keep the alias in the record's ARN."""

    def resolve(function_ref: str) -> tuple[Record | None, Record | None, str]:
        record, config, name = own(function_ref)
        _, qualifier = lambda_svc._resolve_name_and_qualifier(function_ref)
        if config is None:
            return record, config, name
        weighted = _by_alias(config, qualifier, chance) or record
        return weighted, weighted["config"], name

    return resolve


def _run_batch(own: Callable[..., Any], chance: RandomSource) -> Callable[..., Any]:
    """Choose the version for each batch of a queue whose mapping names an alias."""

    def run_batch(esm: Record, func_rec: Record, *batch: object) -> Any:
        weighted = _by_alias(func_rec["config"], esm.get("Qualifier"), chance)
        return own(esm, weighted or func_rec, *batch)

    return run_batch


def _skip_metrics(own: Callable[..., None]) -> Callable[..., None]:
    """The data plane records the metrics of what it runs."""

    def emit(function_name: str, *measured: object, **more: object) -> None:
        function = lambda_svc._functions.get(function_name)
        if function is not None and not runs_here(function):
            own(function_name, *measured, **more)

    return emit


def _without_waiting(own: Callable[..., None]) -> Callable[..., None]:
    """SNS invokes asynchronously; its publisher must not wait for the function."""

    def deliver(*message: object) -> None:
        token = _later.set(True)
        try:
            own(*message)
        finally:
            _later.reset(token)

    return deliver


def _deliver_event(
    own: Callable[..., None], asynchronous: AsynchronousInvoker
) -> Callable[..., None]:
    """EventBridge invokes asynchronously: with retries and destinations."""

    def deliver(arn: str, payload: str) -> None:
        record, _, _ = lambda_svc._get_func_record_for_ref(arn)
        if record is None or not runs_here(record):
            own(arn, payload)
        else:
            asynchronous.submit(Target.of(record), payload.encode())

    return deliver


def _by_alias(
    config: Mapping[str, Any], qualifier: str | None, chance: RandomSource
) -> Record | None:
    """The record that serves the alias `qualifier`; nothing if that is not an alias."""
    *_, region, account, _, name = config["FunctionArn"].split(":")[:7]
    function = lambda_svc._functions.get_scoped(account, region, name)
    if function is None or qualifier not in function["aliases"]:
        return None
    picked = pick(function, qualifier, chance)
    if picked is None:
        return None
    alias_arn = function["aliases"][qualifier]["AliasArn"]
    return {**picked, "config": {**picked["config"], "FunctionArn": alias_arn}}


def _complete(record: Record) -> Record:
    """A record in one shape: some callers pass the configuration alone."""
    if "config" in record:
        return record
    base, _ = lambda_svc._get_func_record_for_qualifier(
        record["FunctionName"], record.get("Version")
    )
    return {**(base or {}), "config": record}


def _result(outcome: Outcome) -> Record:
    """The outcome as ministack's own executors tell it."""
    result: Record = {"body": json.loads(outcome.payload), "log": outcome.log_tail.decode()}
    if outcome.failed:
        result |= {"error": True, "function_error": "Unhandled"}
    return result
