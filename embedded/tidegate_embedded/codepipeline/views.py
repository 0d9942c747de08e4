"""Executions in the shapes of the CodePipeline API."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate_embedded.codepipeline.gate import Gate
from tidegate_embedded.codepipeline.records import ActionRun, Artifact, Execution


def pipeline_execution(execution: Execution) -> dict[str, Any]:
    """`PipelineExecution`."""
    return {
        "pipelineName": execution.definition["name"],
        "pipelineVersion": execution.version,
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "statusSummary": execution.summary,
        "artifactRevisions": [
            {
                "name": artifact.name,
                "revisionId": artifact.revision,
                "revisionSummary": artifact.summary,
            }
            for run in _sources(execution)
            for artifact in run.outputs
        ],
        "variables": [
            {"name": name, "resolvedValue": value} for name, value in execution.variables.items()
        ],
        "trigger": _trigger(execution),
        "executionMode": execution.mode,
        "executionType": "STANDARD",
    }


def execution_summary(execution: Execution) -> dict[str, Any]:
    """`PipelineExecutionSummary`."""
    summary: dict[str, Any] = {
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "statusSummary": execution.summary,
        "startTime": execution.started,
        "lastUpdateTime": execution.updated,
        "sourceRevisions": [
            {
                "actionName": run.name,
                "revisionId": run.external_id,
                "revisionSummary": run.summary,
            }
            for run in _sources(execution)
            if run.external_id
        ],
        "trigger": _trigger(execution),
        "executionMode": execution.mode,
        "executionType": "STANDARD",
    }
    if execution.stop_reason:
        summary["stopTrigger"] = {"reason": execution.stop_reason}
    return summary


def action_detail(execution: Execution, run: ActionRun) -> dict[str, Any]:
    """`ActionExecutionDetail`."""
    declaration = run.declaration
    result: dict[str, Any] = {
        "externalExecutionId": run.external_id,
        "externalExecutionSummary": run.summary,
        "externalExecutionUrl": run.external_url,
    }
    if run.error is not None:
        result["errorDetails"] = run.error
    return {
        "pipelineExecutionId": execution.id,
        "actionExecutionId": run.id,
        "pipelineVersion": execution.version,
        "stageName": run.stage,
        "actionName": run.name,
        "startTime": run.started,
        "lastUpdateTime": run.updated,
        "status": run.status,
        "input": {
            "actionTypeId": declaration["actionTypeId"],
            "configuration": declaration.get("configuration", {}),
            "resolvedConfiguration": run.settings,
            "inputArtifacts": [_artifact(artifact) for artifact in run.inputs],
            **({"namespace": declaration["namespace"]} if "namespace" in declaration else {}),
        },
        "output": {
            "outputArtifacts": [_artifact(artifact) for artifact in run.outputs],
            "executionResult": result,
            "outputVariables": run.variables,
        },
    }


def stage_states(
    pipeline: Mapping[str, Any], executions: Sequence[Execution], gate: Gate
) -> list[dict[str, Any]]:
    """The `StageState` of every stage; executions are in order of start."""
    return [_stage_state(stage, executions, gate) for stage in pipeline["stages"]]


def _stage_state(
    stage: Mapping[str, Any], executions: Sequence[Execution], gate: Gate
) -> dict[str, Any]:
    name = stage["name"]
    entered = [execution for execution in executions if name in execution.stages]
    latest = entered[-1] if entered else None
    state: dict[str, Any] = {
        "stageName": name,
        "inboundTransitionState": {"enabled": True},
        "actionStates": [
            _action_state(action["name"], name, latest) for action in stage["actions"]
        ],
        "inboundExecutions": [
            {"pipelineExecutionId": execution.id, "status": "InProgress"}
            for execution in gate.waiting(name)
        ],
    }
    if state["inboundExecutions"]:
        state["inboundExecution"] = state["inboundExecutions"][-1]
    if latest is not None:
        state["latestExecution"] = {
            "pipelineExecutionId": latest.id,
            "status": latest.stages[name],
            "type": "STANDARD",
        }
    return state


def _action_state(action: str, stage: str, execution: Execution | None) -> dict[str, Any]:
    runs = [
        run
        for run in (execution.actions if execution is not None else [])
        if (run.stage, run.name) == (stage, action)
    ]
    if not runs:
        return {"actionName": action}
    run = runs[-1]
    latest: dict[str, Any] = {
        "actionExecutionId": run.id,
        "status": run.status,
        "summary": run.summary,
        "lastStatusChange": run.updated,
        "externalExecutionId": run.external_id,
        "externalExecutionUrl": run.external_url,
    }
    if run.error is not None:
        latest["errorDetails"] = run.error
    return {"actionName": action, "latestExecution": latest}


def _artifact(artifact: Artifact) -> dict[str, Any]:
    location = {"bucket": artifact.bucket, "key": artifact.key}
    return {"name": artifact.name, "s3location": location}


def _trigger(execution: Execution) -> dict[str, str]:
    return {
        "triggerType": execution.trigger_type,
        "triggerDetail": execution.trigger_detail,
    }


def _sources(execution: Execution) -> list[ActionRun]:
    return [
        run for run in execution.actions if run.declaration["actionTypeId"]["category"] == "Source"
    ]
