"""The CodePipeline API over the pipelines."""

import threading
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from tidegate_embedded.codepipeline import views
from tidegate_embedded.codepipeline.definition import declared_variables
from tidegate_embedded.codepipeline.pipelines import Pipeline, Pipelines
from tidegate_embedded.codepipeline.records import Execution
from tidegate_embedded.gateway import Request
from tidegate_embedded.jsonservice import ApiError, JsonService


class PipelineApi:
    """The operations; `route` answers them."""

    def __init__(self, pipelines: Pipelines) -> None:
        self._pipelines = pipelines
        self._lock = threading.Lock()
        self.route = JsonService(
            "CodePipeline_20150709",
            {
                "CreatePipeline": self._create_pipeline,
                "GetPipeline": self._get_pipeline,
                "ListPipelines": self._list_pipelines,
                "UpdatePipeline": self._update_pipeline,
                "DeletePipeline": self._delete_pipeline,
                "StartPipelineExecution": self._start_pipeline_execution,
                "StopPipelineExecution": self._stop_pipeline_execution,
                "GetPipelineExecution": self._get_pipeline_execution,
                "ListPipelineExecutions": self._list_pipeline_executions,
                "ListActionExecutions": self._list_action_executions,
                "GetPipelineState": self._get_pipeline_state,
            },
        )

    def _named(self, request: Request, member: str = "pipelineName") -> Pipeline:
        return self._pipelines.get(request.account, request.region, request.json()[member])

    def _execution(self, request: Request) -> tuple[Pipeline, Execution]:
        pipeline = self._named(request)
        identifier = request.json()["pipelineExecutionId"]
        execution = pipeline.executions.get(identifier)
        if execution is None:
            raise ApiError(
                "PipelineExecutionNotFoundException",
                f"Pipeline '{pipeline.name}' has no execution '{identifier}'",
            )
        return pipeline, execution

    def _create_pipeline(self, request: Request) -> dict[str, Any]:
        pipeline = self._pipelines.create(
            request.account, request.region, request.json()["pipeline"]
        )
        return {"pipeline": pipeline.describe()}

    def _update_pipeline(self, request: Request) -> dict[str, Any]:
        pipeline = self._pipelines.update(
            request.account, request.region, request.json()["pipeline"]
        )
        return {"pipeline": pipeline.describe()}

    def _delete_pipeline(self, request: Request) -> dict[str, Any]:
        self._pipelines.delete(request.account, request.region, request.json()["name"])
        return {}

    def _get_pipeline(self, request: Request) -> dict[str, Any]:
        pipeline = self._named(request, "name")
        return {
            "pipeline": pipeline.describe(),
            "metadata": {
                "pipelineArn": pipeline.arn,
                "created": pipeline.created,
                "updated": pipeline.updated,
            },
        }

    def _list_pipelines(self, request: Request) -> dict[str, Any]:
        return {
            "pipelines": [
                {
                    "name": pipeline.name,
                    "version": pipeline.version,
                    "pipelineType": pipeline.declaration["pipelineType"],
                    "executionMode": pipeline.declaration["executionMode"],
                    "created": pipeline.created,
                    "updated": pipeline.updated,
                }
                for pipeline in self._pipelines.of(request.account, request.region)
            ]
        }

    def _start_pipeline_execution(self, request: Request) -> dict[str, Any]:
        pipeline, order = self._named(request, "name"), request.json()
        token = order.get("clientRequestToken", "")
        with self._lock:
            if token in pipeline.tokens:
                return {"pipelineExecutionId": pipeline.tokens[token]}
            execution = self._pipelines.start(
                pipeline,
                "StartPipelineExecution",
                f"arn:aws:iam::{request.account}:root",
                variables=_variables(pipeline.declaration, order),
                revisions={
                    item["actionName"]: item["revisionValue"]
                    for item in order.get("sourceRevisions", [])
                },
            )
            if token:
                pipeline.tokens[token] = execution.id
        return {"pipelineExecutionId": execution.id}

    def _stop_pipeline_execution(self, request: Request) -> dict[str, Any]:
        pipeline, execution = self._execution(request)
        order = request.json()
        if execution.status not in {"InProgress", "Stopping"}:
            raise ApiError(
                "PipelineExecutionNotStoppableException",
                f"Execution '{execution.id}' is {execution.status}",
            )
        if execution.stopping.is_set() and not order.get("abandon"):
            raise ApiError(
                "DuplicatedStopRequestException",
                f"Execution '{execution.id}' is already stopping",
            )
        execution.stop_reason = order.get("reason", "")
        execution.set_status("Stopping")
        pipeline.publish(execution)
        if order.get("abandon"):
            pipeline.abandon(execution)
        else:
            pipeline.stop(execution)
        return {"pipelineExecutionId": execution.id}

    def _get_pipeline_execution(self, request: Request) -> dict[str, Any]:
        _, execution = self._execution(request)
        return {"pipelineExecution": views.pipeline_execution(execution)}

    def _list_pipeline_executions(self, request: Request) -> dict[str, Any]:
        limit = request.json().get("maxResults", 100)
        newest = islice(_newest_first(self._named(request)), limit)
        return {
            "pipelineExecutionSummaries": [
                views.execution_summary(execution) for execution in newest
            ]
        }

    def _list_action_executions(self, request: Request) -> dict[str, Any]:
        filters = request.json().get("filter", {})
        latest = filters.get("latestInPipelineExecution", {}).get("pipelineExecutionId")
        wanted = filters.get("pipelineExecutionId", latest)
        return {
            "actionExecutionDetails": [
                views.action_detail(execution, run)
                for execution in _newest_first(self._named(request))
                if wanted in {None, execution.id}
                for run in reversed(execution.actions)
            ]
        }

    def _get_pipeline_state(self, request: Request) -> dict[str, Any]:
        pipeline = self._named(request, "name")
        executions = list(pipeline.executions.values())
        return {
            "pipelineName": pipeline.name,
            "pipelineVersion": pipeline.version,
            "stageStates": views.stage_states(pipeline.declaration, executions, pipeline.gate),
            "created": pipeline.created,
            "updated": pipeline.updated,
        }


def _variables(declaration: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, str]:
    """The values that the caller gives to the pipeline's variables."""
    given = {item["name"]: item["value"] for item in order.get("variables", [])}
    declared = {item["name"] for item in declaration.get("variables", [])}
    unknown = given.keys() - declared
    missing = declared - given.keys() - declared_variables(declaration).keys()
    for problem, names in (("not declared", unknown), ("without a value", missing)):
        if names:
            raise ApiError(
                "ValidationException", f"Variables {problem}: {', '.join(sorted(names))}"
            )
    return given


def _newest_first(pipeline: Pipeline) -> Iterator[Execution]:
    return reversed(list(pipeline.executions.values()))
