"""The `.sync` integrations: nested executions and CodeBuild builds."""

import json
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
    ResourceRuntimePart,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (  # noqa: E501
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment

from tidegate_embedded.patching import Patches
from tidegate_embedded.stepfunctions.clients import TaskClients, TaskIdentity
from tidegate_embedded.stepfunctions.executions import Execution
from tidegate_embedded.stepfunctions.tasks import Job, failed_job, failed_task

FindExecution = Callable[[str], Execution | None]
_DETAILS: Final = {"Included": True}


def install(patches: Patches, clients: TaskClients, find_execution: FindExecution) -> None:
    """Teach moto's interpreter these integrations."""

    def make_service(original: Callable[..., Any]) -> Callable[..., Any]:
        def make(service_name: str) -> Any:
            return CodeBuild(clients) if service_name == "codebuild" else original(service_name)

        return make

    patches.replace(state_task_factory, "state_task_service_for", make_service)
    text = _nested_job(find_execution, lambda text: text)
    patches.replace(StateTaskServiceSfn, "_build_sync_resolver", lambda _original: text)
    parsed = _nested_job(find_execution, json.loads)
    patches.replace(StateTaskServiceSfn, "_build_sync2_resolver", lambda _original: parsed)


class CodeBuild(StateTaskServiceCallback):  # type: ignore[misc]
    """`codebuild:startBuild`, also `.sync`: the build when it ended."""

    def __init__(self, clients: TaskClients) -> None:
        # The interpreter sets up what a job waits with only for services that take tokens.
        super().__init__({ResourceCondition.Sync, ResourceCondition.WaitForTaskToken})
        self._clients = clients

    def _validate_service_integration_is_supported(self) -> None:
        if self.resource.api_action != "startBuild":
            raise ValueError(f"codebuild has no integration {self.resource.api_action} here")

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        error = CustomErrorName(f"CodeBuild.{ex.response['Error']['Code']}")
        return failed_task(self, env, error, ex.response["Error"]["Message"])

    def _client(self, part: ResourceRuntimePart, identity: TaskIdentity) -> Any:
        return self._clients.client(part.region, "codebuild", identity)

    def _eval_service_task(
        self,
        env: Environment,
        resource_runtime_part: ResourceRuntimePart,
        normalised_parameters: dict[str, Any],
        state_credentials: TaskIdentity,
    ) -> None:
        client = self._client(resource_runtime_part, state_credentials)
        response = client.start_build(**normalised_parameters)
        response.pop("ResponseMetadata")
        env.stack.append(response)

    def _build_sync_resolver(
        self,
        env: Environment,
        resource_runtime_part: ResourceRuntimePart,
        normalised_parameters: dict[str, Any],  # noqa: ARG002 - the interpreter's signature
        state_credentials: TaskIdentity,
    ) -> Job:
        client = self._client(resource_runtime_part, state_credentials)
        build_id = env.stack.pop()["Build"]["Id"]

        def poll() -> dict[str, Any] | None:
            (build,) = client.batch_get_builds(ids=[build_id])["builds"]
            if build["buildStatus"] == "IN_PROGRESS":
                return None
            result = {"build": build}
            self._normalise_response(result)
            if result["Build"]["BuildStatus"] != "SUCCEEDED":
                raise FailureEventException(failed_job(self, env, result))
            return result

        return Job(poll, cancel=lambda: client.stop_build(id=build_id))


def _nested_job(find_execution: FindExecution, read: Callable[[str], Any]) -> Callable[..., Job]:
    """What waits for a nested execution, and calls `read` on its input and output."""

    def build(task: Any, env: Environment, **_unused: Any) -> Job:
        arn = env.stack.pop()["ExecutionArn"]
        execution = find_execution(arn)
        if execution is None:
            raise ValueError(f"execution {arn} is not known here")

        def poll() -> dict[str, Any] | None:
            if not execution.finished.is_set():
                return None
            result = _describe(execution, read)
            if execution.status != "SUCCEEDED":
                raise FailureEventException(failed_job(task, env, result))
            return result

        return Job(poll, cancel=lambda: execution.stop(None, None), ended=execution.finished)

    return build


def _describe(execution: Execution, read: Callable[[str], Any]) -> dict[str, Any]:
    """DescribeExecution as Step Functions hands it to the parent."""
    started, stopped = execution.started, execution.stopped
    result = {
        "ExecutionArn": execution.arn,
        "Input": read(execution.input_text),
        "InputDetails": _DETAILS,
        "Name": execution.name,
        "StartDate": int(started.timestamp() * 1000),
        "StateMachineArn": execution.machine_arn,
        "Status": execution.status,
        "StopDate": int(stopped.timestamp() * 1000) if stopped else None,
    }
    if execution.output_text is not None:
        result |= {"Output": read(execution.output_text), "OutputDetails": _DETAILS}
    if execution.error is not None:
        result["Error"] = execution.error
    if execution.cause is not None:
        result["Cause"] = execution.cause
    return result
