"""Walks executions through the stages and actions of their pipelines."""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from botocore.exceptions import ClientError

from tidegate_embedded.codepipeline.actions import AbandonedError, ActionError, Job, Provider
from tidegate_embedded.codepipeline.gate import Gate
from tidegate_embedded.codepipeline.records import ActionRun, Execution
from tidegate_embedded.codepipeline.store import ArtifactStore
from tidegate_embedded.codepipeline.variables import UnknownVariableError, resolve_all
from tidegate_embedded.delays import Delays

logger = logging.getLogger(__name__)

ActionKey = tuple[str, str]
"""Category and provider of an action type."""

_ENDED: Final = frozenset({"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"})


class Walk:
    """Takes one execution through its pipeline, on a thread of its own.

    `client` gives the client of a service in a region of the pipeline's account; `on_change` is
    called when the status of the execution has changed.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        gate: Gate,
        store: ArtifactStore,
        providers: Mapping[ActionKey, Provider],
        client: Callable[[str, str], Any],
        region: str,
        delays: Callable[[], Delays],
        on_change: Callable[[Execution], None],
    ) -> None:
        self._execution = execution
        self._gate = gate
        self._store = store
        self._providers = providers
        self._client = client
        self._region = region
        self._delays = delays
        self._on_change = on_change
        self._thread = threading.Thread(target=self._run, name=execution.id, daemon=True)

    def start(self) -> None:
        """Stand before the first stage, and go on from there in the background."""
        self._gate.arrive(self._execution, self._stages[0]["name"])
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait until the walk is over."""
        self._thread.join(timeout_seconds)

    @property
    def _stages(self) -> list[dict[str, Any]]:
        stages: list[dict[str, Any]] = self._execution.definition["stages"]
        return stages

    def _run(self) -> None:
        execution = self._execution
        self._on_change(execution)
        status = self._walk()
        if execution.status not in _ENDED:
            execution.set_status(status)
            self._on_change(execution)

    def _walk(self) -> str:
        """Go through the stages and return the status in which the execution ends."""
        execution = self._execution
        previous: str | None = None
        for stage in self._stages:
            name: str = stage["name"]
            if previous is not None:
                self._gate.arrive(execution, name)
                self._gate.leave(execution, previous)
            if not self._gate.enter(execution, name):
                return "Superseded" if execution.is_superseded else "Stopped"
            previous = name
            execution.set_stage(name, "InProgress")
            status = self._run_stage(stage)
            execution.set_stage(name, status)
            if status != "Succeeded":
                self._gate.leave(execution, name)
                return status
        if previous is not None:
            self._gate.leave(execution, previous)
        return "Succeeded"

    def _run_stage(self, stage: Mapping[str, Any]) -> str:
        ordered = sorted(stage["actions"], key=itemgetter("runOrder"))
        for _, together in groupby(ordered, key=itemgetter("runOrder")):
            if self._execution.stopping.is_set():
                return "Stopped"
            runs = [self._new_run(stage["name"], action) for action in together]
            self._run_together(runs)
            failed = [run.name for run in runs if run.status == "Failed"]
            if failed:
                self._execution.summary = f"Action {', '.join(failed)} failed"
                return "Failed"
            if any(run.status == "Abandoned" for run in runs):
                return "Stopped"
        return "Succeeded"

    def _new_run(self, stage: str, action: Mapping[str, Any]) -> ActionRun:
        run = ActionRun(
            id=str(uuid.uuid4()),
            stage=stage,
            declaration=action,
            inputs=[
                self._execution.artifacts[artifact["name"]]
                for artifact in action.get("inputArtifacts", [])
            ],
        )
        self._execution.actions.append(run)
        return run

    def _run_together(self, runs: Sequence[ActionRun]) -> None:
        threads = [
            threading.Thread(target=self._run_action, args=(run,), name=run.id, daemon=True)
            for run in runs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run_action(self, run: ActionRun) -> None:
        try:
            self._carry_out(run)
        except AbandonedError:
            run.end("Abandoned")
        except ActionError as error:
            self._fail(run, error.code, str(error))
        except UnknownVariableError as error:
            self._fail(run, "ConfigurationError", str(error))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            self._fail(run, "JobFailed", f"{code}: {error.response['Error'].get('Message', '')}")
        except Exception as error:
            logger.exception("action %s of execution %s", run.name, self._execution.id)
            self._fail(run, "JobFailed", f"{type(error).__name__}: {error}")
        else:
            run.end("Succeeded")

    @staticmethod
    def _fail(run: ActionRun, code: str, message: str) -> None:
        run.error = {"code": code, "message": message}
        run.end("Failed")

    def _carry_out(self, run: ActionRun) -> None:
        execution = self._execution
        run.settings = resolve_all(run.declaration.get("configuration", {}), execution.namespaces)
        kind = run.declaration["actionTypeId"]
        provider = self._providers.get((kind["category"], kind["provider"]))
        if provider is None:
            raise ActionError(
                "ConfigurationError",
                f"The embedded AWS has no {kind['category']} provider {kind['provider']}",
            )
        region = run.declaration.get("region", self._region)
        job = Job(
            run,
            execution,
            self._store,
            lambda name: self._client(name, region),
            region,
            self._delays().action_interval_seconds,
        )
        provider(job)
        execution.artifacts |= {artifact.name: artifact for artifact in run.outputs}
        if namespace := run.declaration.get("namespace"):
            execution.namespaces[namespace] = run.variables
