"""Tasks of state machines where moto's interpreter differs from the service.

Member names of requests and results, tokens of retried tasks, waiting for jobs, error names.
"""

import base64
import datetime
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import botocore.session
from botocore.exceptions import HTTPClientError
from moto.stepfunctions.parser.api import (
    HistoryEventType,
    TaskFailedEventDetails,
    TaskTimedOutEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import (
    ErrorEqualsDecl,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import (
    LambdaFunctionErrorException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service as service_module,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (  # noqa: E501
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (  # noqa: E501
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcomeTimedOut,
    HeartbeatEndpoint,
    HeartbeatTimedOut,
    HeartbeatTimeoutError,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from tidegate_embedded.delays import Delays
from tidegate_embedded.patching import Patches
from tidegate_embedded.stepfunctions.jsonata import timestamp

StateTaskService = service_module.StateTaskService
Original = Callable[..., Any]

_TIMEOUT: Final = "States.Timeout"
_HEARTBEAT: Final = "States.HeartbeatTimeout"
_UNCATCHABLE: Final = ("States.DataLimitExceeded", "States.Runtime")
"""Errors that only their own names match."""


@dataclass(frozen=True)
class Job:
    """What a `.sync` task started: looked at until it ends, called off if the task is aborted."""

    poll: Callable[[], Any | None]
    """Its result, or nothing while it runs; raises when it failed."""
    cancel: Callable[[], None]
    ended: threading.Event | None = None
    """Set at its end, where this process can know."""


def install(patches: Patches, delays: Callable[[], Delays]) -> None:
    """Mend the tasks of moto's interpreter."""
    patches.replace(StateTaskService, "_normalise_parameters", _normalise_parameters)
    patches.replace(StateTaskService, "_normalise_response", _normalise_response)
    patches.replace(StateTaskServiceCallback, "_eval_execution", _fresh_token)
    patches.replace(StateTaskServiceCallback, "_eval_sync", lambda _original: _wait_for_job(delays))
    patches.replace(StateTaskServiceCallback, "_eval_wait_for_task_token", heed_both_clocks)
    for ending in ("set_ended", "set_error", "set_stop", "set_timed_out"):
        patches.replace(Environment, ending, _closing_token)
    patches.replace(StateTask, "_from_error", _timeout_or_abort)
    patches.replace(ErrorEqualsDecl, "_eval_body", lambda _original: _match_error)
    patches.replace(StateTaskServiceLambda, "_from_error", _lambda_error)
    patches.replace(StateTaskServiceAwsSdk, "_normalise_service_error_name", _java_name)
    patches.replace(StateTaskService, "_SERVICE_NAME_SFN_TO_BOTO_OVERRIDES", _with_more_names)


def heed_both_clocks(original: Original, clock: Callable[[], float] = time.monotonic) -> Original:
    """With a heartbeat, moto forgets the state's time limit and an answer that is there already."""

    def wait(
        self: Any,
        env: Environment,
        timeout_seconds: int,
        callback_endpoint: CallbackEndpoint,
        heartbeat_endpoint: HeartbeatEndpoint | None,
    ) -> Any:
        if heartbeat_endpoint is None:
            return original(self, env, timeout_seconds, callback_endpoint, heartbeat_endpoint)
        deadline = clock() + timeout_seconds
        heard = heartbeat_endpoint._next_heartbeat_event
        while env.is_running() and callback_endpoint.get_outcome() is None:
            left = deadline - clock()
            if left <= 0:
                return CallbackOutcomeTimedOut(callback_id=callback_endpoint.callback_id)
            patience = heartbeat_endpoint._heartbeat_seconds
            if not heard.wait(timeout=min(left, patience)) and patience < left:
                return HeartbeatTimedOut()
            heard.clear()
        return callback_endpoint.get_outcome()

    return wait


def failed_job(task: Any, env: Environment, result: Any) -> FailureEvent:
    """The failure of a `.sync` task whose job failed: `States.TaskFailed`, the job as cause."""
    name = StatesErrorNameType.StatesTaskFailed
    return failed_task(task, env, StatesErrorName(typ=name), json.dumps(result, default=str))


def failed_task(task: Any, env: Environment, error: Any, cause: str) -> FailureEvent:
    """The failure of a task with this error name and cause."""
    return FailureEvent(
        env=env,
        error_name=error,
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(
            taskFailedEventDetails=TaskFailedEventDetails(
                error=error.error_name,
                cause=cause,
                resource=task._get_sfn_resource(),
                resourceType=task._get_sfn_resource_type(),
            )
        ),
    )


def _normalise_parameters(_original: Original) -> Original:
    def normalise(
        self: Any,
        parameters: dict[str, Any],
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        operation = _operation(self, boto_service_name, service_action_name)
        if operation.input_shape:
            self._to_boto_request(parameters, operation.input_shape)

    return normalise


def _normalise_response(_original: Original) -> Original:
    def normalise(
        self: Any,
        response: Any,
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        operation = _operation(self, boto_service_name, service_action_name)
        if operation.output_shape:
            self._from_boto_response(response, operation.output_shape)
        if isinstance(response, dict):
            moment = timestamp if self.resource.service_name == "aws-sdk" else _milliseconds
            response.update(_as_json(response, moment))

    return normalise


_session: Final = botocore.session.Session()
_models_lock: Final = threading.Lock()
_models: Final[dict[str, Any]] = {}


def _model(service_name: str) -> Any:
    with _models_lock:
        if service_name not in _models:
            _models[service_name] = _session.get_service_model(service_name)
        return _models[service_name]


def _operation(task: Any, service: str | None, action: str | None) -> Any:
    """botocore's model of the operation that a task calls."""
    service_name = task._get_boto_service_name(service)
    method = task._get_boto_service_action(action)
    model = _model(service_name)
    wanted = method.replace("_", "").lower()
    name = next((name for name in model.operation_names if name.lower() == wanted), None)
    if name is None:
        raise ValueError(f"{service_name} has no operation {method}")
    return model.operation_model(name)


def _with_more_names(known: Any) -> Any:
    """Services that Step Functions and boto3 call by different names."""
    return {**known, "eventbridge": "events", "cloudwatchlogs": "logs"}


def _java_name(_original: Original) -> Any:
    """Errors of `aws-sdk` tasks begin with the service as the SDK for Java 2 calls it."""

    def name(service_name: str) -> str:
        boto_name = StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES.get(service_name)
        service_id = _model(boto_name or service_name).service_id.replace(" ", "")
        cased: str = StateTaskService._to_sfn_cased(service_id)
        return cased

    return staticmethod(name)


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _as_json(value: Any, moment: Callable[[datetime.datetime], Any]) -> Any:
    """`value` of a boto3 response with times and bytes as Step Functions shows them."""
    match value:
        case datetime.datetime():
            return moment(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case dict():
            return {key: _as_json(item, moment) for key, item in value.items()}
        case list():
            return [_as_json(item, moment) for item in value]
        case _:
            return value


def _fresh_token(original: Original) -> Original:
    """Each attempt of a task has a token of its own, so an old answer cannot end a retry."""

    def evaluate(self: Any, env: Environment) -> None:
        if self.resource.condition == ResourceCondition.WaitForTaskToken:
            token = env.states.context_object.update_task_token()
            env.token_endpoint = env.callback_pool_manager.add(token)
        original(self, env)

    return evaluate


def _closing_token(original: Original) -> Original:
    """The end of a task, however it comes, is the end of its token."""

    def end(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        if endpoint := vars(self).get("token_endpoint"):
            endpoint.interrupt_all()

    return end


def _wait_for_job(delays: Callable[[], Delays]) -> Original:
    """Stands in for `_eval_sync`: looks soon and then less often, and calls off what is aborted."""

    def wait(
        _task: Any,
        env: Environment,
        sync_resolver: Job | Callable[[], Any | None],
        **_endpoints: Any,
    ) -> Any:
        job = sync_resolver if isinstance(sync_resolver, Job) else Job(sync_resolver, lambda: None)
        intervals = delays().job_interval_seconds
        for seconds in itertools.chain(intervals, itertools.repeat(intervals[-1])):
            if not env.is_running():
                job.cancel()
                return None
            result = job.poll()
            if result is not None:
                return result
            (job.ended or env.program_state_event).wait(seconds)
        raise AssertionError("unreachable: the waits never end")

    return wait


class _TaskAborted(Exception):  # noqa: N818 - no error of the state machine
    """A task was called off, as its branch or execution ended: that is no failure of its own."""


def _timeout_or_abort(original: Original) -> Original:
    def from_error(self: Any, env: Environment, ex: Exception) -> FailureEvent:
        if not env.is_running():
            raise _TaskAborted from ex
        if not isinstance(ex, HeartbeatTimeoutError):
            return original(self, env=env, ex=ex)
        error = StatesErrorName(typ=StatesErrorNameType.StatesHeartbeatTimeout)
        return FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.TaskTimedOut,
            event_details=EventDetails(
                taskTimedOutEventDetails=TaskTimedOutEventDetails(
                    resourceType=self._get_sfn_resource_type(),
                    resource=self._get_sfn_resource(),
                    error=error.error_name,
                )
            ),
        )

    return from_error


def _match_error(self: Any, env: Environment) -> None:
    """Stands in for `ErrorEqualsDecl._eval_body`: whether a Retry or Catch is for the error."""
    error = env.stack.pop()
    wanted = {name.error_name for name in self.error_names}
    env.stack.append(_matches(error.error_name if error else None, wanted))


def _matches(error: str | None, wanted: set[str]) -> bool:
    if error in wanted or (error == _HEARTBEAT and _TIMEOUT in wanted):
        return True
    if error in _UNCATCHABLE:
        return False
    return "States.ALL" in wanted or (
        "States.TaskFailed" in wanted and error not in (_TIMEOUT, _HEARTBEAT)
    )


def _lambda_error(original: Original) -> Original:
    def from_error(self: Any, env: Environment, ex: Exception) -> FailureEvent:
        if isinstance(ex, HTTPClientError):
            return failed_task(self, env, CustomErrorName("Lambda.SdkClientException"), str(ex))
        if isinstance(ex, LambdaFunctionErrorException) and not _has_error_type(ex.payload):
            return failed_task(self, env, CustomErrorName("Lambda.Unknown"), ex.payload)
        return original(self, env=env, ex=ex)

    return from_error


def _has_error_type(payload: str) -> bool:
    error = json.loads(payload)
    return isinstance(error, dict) and bool(error.get("errorType"))
