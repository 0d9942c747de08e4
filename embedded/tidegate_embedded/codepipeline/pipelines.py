"""Pipelines and what starts and stops their executions."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.codepipeline.actions import Provider
from tidegate_embedded.codepipeline.definition import (
    StructureError,
    actions,
    artifact_store,
    declared_variables,
    normalize,
)
from tidegate_embedded.codepipeline.engine import ActionKey, Walk
from tidegate_embedded.codepipeline.gate import Gate
from tidegate_embedded.codepipeline.records import Execution
from tidegate_embedded.codepipeline.store import ArtifactStore
from tidegate_embedded.codepipeline.triggers import triggered_source
from tidegate_embedded.eventbridge.events import publish_service_event
from tidegate_embedded.git import Push
from tidegate_embedded.jsonservice import ApiError

_EVENT_STATES: Final = {
    "InProgress": "STARTED",
    "Succeeded": "SUCCEEDED",
    "Failed": "FAILED",
    "Stopping": "STOPPING",
    "Stopped": "STOPPED",
    "Superseded": "SUPERSEDED",
    "Cancelled": "CANCELED",
}


@dataclass(slots=True)
class Pipeline:
    """A pipeline, its executions, and the gate they go through."""

    account: str
    region: str
    declaration: dict[str, Any]
    version: int = 1
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    gate: Gate = field(default_factory=Gate)
    executions: dict[str, Execution] = field(default_factory=dict)
    """In order of start."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Execution id by the client token that asked for it."""

    @property
    def name(self) -> str:
        """The name, unique in account and region."""
        name: str = self.declaration["name"]
        return name

    @property
    def arn(self) -> str:
        """The ARN."""
        return f"arn:aws:codepipeline:{self.region}:{self.account}:{self.name}"

    def describe(self) -> dict[str, Any]:
        """The declaration with its version."""
        return {**self.declaration, "version": self.version}

    def publish(self, execution: Execution) -> None:
        """Tell the event bus the status of an execution."""
        publish_service_event(
            account=self.account,
            region=self.region,
            source="aws.codepipeline",
            detail_type="CodePipeline Pipeline Execution State Change",
            detail={
                "pipeline": self.name,
                "execution-id": execution.id,
                "state": _EVENT_STATES[execution.status],
                "version": float(execution.version),
                "start-time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(execution.started)),
                "execution-trigger": {
                    "trigger-type": execution.trigger_type,
                    "trigger-detail": execution.trigger_detail,
                },
            },
            resources=[self.arn],
        )

    def stop(self, execution: Execution) -> None:
        """Let nothing more of an execution begin."""
        execution.stopping.set()
        self.gate.wake()

    def abandon(self, execution: Execution) -> None:
        """Stop an execution without waiting for what it has begun."""
        execution.abandoned.set()
        self.stop(execution)


Place = tuple[str, str, str]
"""Account, region and name of a pipeline."""


class Pipelines:
    """All pipelines of all accounts and regions, and the walks of their executions."""

    def __init__(self, cloud: Cloud, providers: Mapping[ActionKey, Provider]) -> None:
        self._cloud = cloud
        self._providers = providers
        self._lock = threading.RLock()
        self._pipelines: dict[Place, Pipeline] = {}
        self._walks: list[Walk] = []

    def create(self, account: str, region: str, declaration: Mapping[str, Any]) -> Pipeline:
        """Make a pipeline and start it for the first time, as CodePipeline does."""
        pipeline = Pipeline(account, region, _normalized(declaration))
        with self._lock:
            if (account, region, pipeline.name) in self._pipelines:
                raise ApiError(
                    "PipelineNameInUseException",
                    f"A pipeline with the name '{pipeline.name}' already exists in account "
                    f"'{account}'",
                )
            self._pipelines[account, region, pipeline.name] = pipeline
            self.start(pipeline, "CreatePipeline", f"arn:aws:iam::{account}:root")
        return pipeline

    def update(self, account: str, region: str, declaration: Mapping[str, Any]) -> Pipeline:
        """Give a pipeline another declaration; executions under way keep theirs."""
        normalized = _normalized(declaration)
        with self._lock:
            pipeline = self.get(account, region, normalized["name"])
            pipeline.declaration = normalized
            pipeline.version += 1
            pipeline.updated = time.time()
        return pipeline

    def delete(self, account: str, region: str, name: str) -> None:
        """Forget a pipeline, and stop what it executes."""
        with self._lock:
            pipeline = self._pipelines.pop((account, region, name), None)
        if pipeline is not None:
            for execution in pipeline.executions.values():
                pipeline.abandon(execution)

    def of(self, account: str, region: str) -> list[Pipeline]:
        """The pipelines of an account and region, by name."""
        with self._lock:
            return [
                pipeline
                for place, pipeline in sorted(self._pipelines.items())
                if place[:2] == (account, region)
            ]

    def push(self, push: Push) -> list[dict[str, str]]:
        """Start the pipelines that read the branch; return their names and executions."""
        started = []
        with self._lock:
            for pipeline in list(self._pipelines.values()):
                source = triggered_source(pipeline.declaration, push)
                if source is not None:
                    execution = self.start(
                        pipeline,
                        "WebhookV2",
                        _connection_of(pipeline, source),
                        revisions={source: push.commit},
                    )
                    started.append({"pipeline": pipeline.name, "id": execution.id})
        return started

    def stop(self) -> None:
        """End everything that runs."""
        with self._lock:
            pipelines, walks = list(self._pipelines.values()), list(self._walks)
        for pipeline in pipelines:
            for execution in pipeline.executions.values():
                pipeline.abandon(execution)
        for walk in walks:
            walk.join(timeout_seconds=5)

    def start(
        self,
        pipeline: Pipeline,
        trigger_type: str,
        trigger_detail: str,
        *,
        variables: Mapping[str, str] | None = None,
        revisions: Mapping[str, str] | None = None,
    ) -> Execution:
        """Start an execution; values and commits that are not given are the declared ones."""
        execution = Execution(
            id=str(uuid.uuid4()),
            definition=pipeline.declaration,
            version=pipeline.version,
            trigger_type=trigger_type,
            trigger_detail=trigger_detail,
            variables=declared_variables(pipeline.declaration) | dict(variables or {}),
            revisions=revisions or {},
        )
        execution.namespaces = {
            "codepipeline": {"PipelineExecutionId": execution.id},
            "variables": execution.variables,
        }
        pipeline.executions[execution.id] = execution
        walk = Walk(
            execution,
            gate=pipeline.gate,
            store=ArtifactStore(
                self._client(pipeline)("s3", pipeline.region),
                pipeline.name,
                artifact_store(pipeline.declaration, pipeline.region),
            ),
            providers=self._providers,
            client=self._client(pipeline),
            region=pipeline.region,
            delays=lambda: self._cloud.delays,
            on_change=pipeline.publish,
        )
        self._walks.append(walk)
        walk.start()
        return execution

    def _client(self, pipeline: Pipeline) -> Callable[[str, str], Any]:
        return lambda service, region: self._cloud.client(
            service, account=pipeline.account, region=region
        )

    def get(self, account: str, region: str, name: str) -> Pipeline:
        """The pipeline of a name; raise `ApiError` if there is none."""
        with self._lock:
            found = self._pipelines.get((account, region, name))
        if found is None:
            raise ApiError(
                "PipelineNotFoundException",
                f"Account '{account}' does not have a pipeline with name '{name}'",
            )
        return found


def _normalized(declaration: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return normalize(declaration)
    except StructureError as error:
        raise ApiError("InvalidStructureException", str(error)) from error


def _connection_of(pipeline: Pipeline, source: str) -> str:
    """The connection of a source action, as the trigger's detail."""
    settings = next(a for a in actions(pipeline.declaration) if a["name"] == source)[
        "configuration"
    ]
    return json.dumps({"connectionArn": settings.get("ConnectionArn", "")})
