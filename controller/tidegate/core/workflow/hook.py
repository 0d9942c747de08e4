"""Validation hooks: Lambda functions of the team that say whether a candidate may go on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidegate.core.errors import HookFailed, NotFound
from tidegate.core.plan import HookPlan
from tidegate.core.ports import Invocation, Ports, StackState
from tidegate.core.record import HookRun, Outcome
from tidegate.core.workflow.deploy import candidate_version
from tidegate.core.workflow.items import find, heed_wishes, put_over
from tidegate.core.workflow.routing import alias_ref
from tidegate.core.workflow.scene import RolloutRef, Scene, open_scene

SCHEMA = 1
PRE_TRAFFIC = "pre-traffic"
POST_TRAFFIC = "post-traffic"

_CALLED_CODEDEPLOY = re.compile(
    r"calling the PutLifecycleEventHookExecutionStatus operation"
    r"|to perform: codedeploy:PutLifecycleEventHookExecutionStatus"
    r"|DeploymentDoesNotExistException|InvalidDeploymentIdException"
    r"|InvalidLifecycleEventHookExecutionIdException"
)
"""How SDKs report that CodeDeploy refused a hook's status, also when the hook ignores it."""
_CODEDEPLOY_IS_GONE = (
    "it reported its status to CodeDeploy, and there is no CodeDeploy deployment, so the status is"
    ' lost. Write in place of that call: return {"status": status}'
)


def run_hook(
    ports: Ports, ref: RolloutRef, when: str, function: str, most_seconds: int = 900
) -> None:
    """Invoke the hook, once, and store how it ended. ``most_seconds`` bounds its own timeout.

    A hook that has ended is not run again. Raises ``HookFailed`` with its error, ``Aborted``.
    """
    heed_wishes(ports, ref.release.id)
    scene = open_scene(ports, ref)
    run = _begin(scene, when, function)
    if run.outcome is Outcome.RUNNING:
        seconds = min(_plan(scene, when, function).timeout_seconds, most_seconds)
        run = _invoke(scene, run, seconds)
    if run.outcome is Outcome.FAILED:
        raise HookFailed(f"{when} hook {function} failed: {run.cause}")


def _begin(scene: Scene, when: str, function: str) -> HookRun:
    """The run as it stands; one that was lost on its way begins another attempt."""
    key = {
        "release_id": scene.ref.release.id,
        "stage": scene.ref.stage,
        "target": scene.ref.target,
        "when": when,
        "function": function,
    }
    earlier = find(scene.ports.ledger, HookRun, **key)
    if earlier is None:
        return scene.ports.ledger.put(HookRun(**key, outcome=Outcome.RUNNING))
    if earlier.outcome is Outcome.RUNNING:
        return scene.ports.ledger.put(earlier.model_copy(update={"attempt": earlier.attempt + 1}))
    return earlier


def _plan(scene: Scene, when: str, function: str) -> HookPlan:
    planned = scene.stage.pre_traffic if when == PRE_TRAFFIC else scene.stage.post_traffic
    for hook in planned:
        if hook.function == function:
            return hook
    raise NotFound(f"{scene.ref.stage} has no {when} hook {function}.")


def _invoke(scene: Scene, run: HookRun, seconds: int) -> HookRun:
    clock, state = scene.ports.clock, scene.state()
    physical = state.resources.get(run.function, run.function)
    began = clock.now()
    ended = scene.world.functions.invoke(physical, _payload(scene, run, state, seconds), seconds)
    cause = _why_failed(ended)
    over = {
        "outcome": Outcome.FAILED if cause else Outcome.PASSED,
        "seconds": (clock.now() - began).total_seconds(),
        "cause": cause,
        "log_tail": ended.log_tail,
    }
    return put_over(scene.ports.ledger, run.model_copy(update=over))


def _payload(scene: Scene, run: HookRun, state: StackState, seconds: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "release": scene.ref.release.model_dump(),
        "stage": scene.ref.stage,
        "target": scene.ref.target,
        "when": run.when,
        "functions": _functions(scene, state),
        "commit": scene.plan.artifact.commit,
        "attempt": run.attempt,
        "timeout_seconds": seconds,
        **_as_codedeploy_names_it(scene, run),
    }


def _as_codedeploy_names_it(scene: Scene, run: HookRun) -> dict[str, str]:
    """The keys that a hook written for CodeDeploy reads."""
    attempt = (scene.ref.release.id, run.stage, run.target, run.when, run.function, run.attempt)
    return {
        "DeploymentId": scene.ref.release.id,
        "LifecycleEventHookExecutionId": "/".join(str(part) for part in attempt),
    }


def _functions(scene: Scene, state: StackState) -> list[dict[str, str]]:
    return [
        {
            "function": alias_ref(alias, state).function,
            "alias": alias.alias,
            "stable_version": state.parameters.get(alias.pin_parameter, ""),
            "candidate_version": candidate_version(alias, state),
            "candidate_arn": state.resources[alias.version_logical_id],
            "alias_arn": f"{_unqualified(state.resources[alias.version_logical_id])}:{alias.alias}",
        }
        for alias in scene.plan.aliases
        if alias.alias_logical_id in state.resources
    ]


def _unqualified(arn: str) -> str:
    return arn.rpartition(":")[0]


def _why_failed(ended: Invocation) -> str:
    """The sentence that says why the hook did not pass; "" when it did."""
    payload = ended.payload if isinstance(ended.payload, Mapping) else {}
    if _CALLED_CODEDEPLOY.search(f"{ended.error} {payload.get('errorMessage')} {ended.log_tail}"):
        return _CODEDEPLOY_IS_GONE
    if ended.error:
        message = payload.get("errorMessage")
        return f"{ended.error}: {message}" if message else ended.error
    if str(payload.get("status", "")).lower() == "failed":
        return str(payload.get("reason") or "it said so and gave no reason")
    return ""
