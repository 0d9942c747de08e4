"""Validation hooks: Lambda functions of the team that say whether a candidate may go on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NotRequired, TypedDict

from tidegate.core.errors import HookFailed, NotFound
from tidegate.core.model.plan import HookPlan
from tidegate.core.model.record import HookLog, HookRun, Outcome
from tidegate.core.ports import Invocation, Ports, StackState
from tidegate.core.workflow.records import find, put_over, raise_if_aborted
from tidegate.core.workflow.target.code import candidate_version
from tidegate.core.workflow.target.context import RolloutContext, RolloutRef, open_context
from tidegate.core.workflow.target.routing import alias_ref
from tidegate.core.workflow.task_tokens import failed_cause

SCHEMA = 1
PRE_TRAFFIC = "pre-traffic"
POST_TRAFFIC = "post-traffic"
_LOG_KEPT = timedelta(days=14)

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

_MAY_NOT_ANSWER_LATER = (
    "it wants to answer later, and its manifest does not let it. Write how often it shows that it"
    " works: `{function: ..., timeout: 2h, heartbeat: 5m}`"
)
_LEAST_WAIT_SECONDS = 2  # of a state whose heartbeat must be shorter, and a second at least


class HookState(TypedDict):
    """How a hook stands: ``passed``, or ``waiting`` with how long and how patiently."""

    outcome: str
    timeout_seconds: NotRequired[int]
    heartbeat_seconds: NotRequired[int]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long an invocation may take, and how a hook that answers later is to do so."""

    bus: str  # ARN of the controller's event bus
    secret: str = field(repr=False)  # new at each call; who brings it speaks for the hook
    most_seconds: int = 900


def run_hook(ports: Ports, ref: RolloutRef, when: str, function: str, terms: Terms) -> HookState:
    """Invoke the hook, once, and store how it ended, or that it answers later.

    A hook that has ended, or that is waited for, is not run again. Raises ``HookFailed`` with its
    error, ``Aborted``.
    """
    raise_if_aborted(ports, ref.release.id)
    context = open_context(ports, ref)
    plan = _plan(context, when, function)
    run = _begin(context, when, plan, terms)
    if run.outcome is Outcome.RUNNING:
        run = _invoke(context, run, plan, terms)
    return stands(run, ports.clock.now())


def stands(run: HookRun, now: datetime) -> HookState:
    """How the run stands, for the state machine. Raises ``HookFailed``."""
    if run.outcome is Outcome.FAILED:
        raise HookFailed(failed_cause(run))
    if run.outcome is not Outcome.WAITING or run.deadline is None:
        return HookState(outcome="passed")
    seconds = max(_LEAST_WAIT_SECONDS, ceil((run.deadline - now).total_seconds()))
    return HookState(
        outcome="waiting",
        timeout_seconds=seconds,
        heartbeat_seconds=min(run.heartbeat_seconds, seconds - 1),  # Step Functions wants it less
    )


def digest_of(secret: str) -> str:
    """What is kept of a secret: enough to know it again."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def _begin(context: RolloutContext, when: str, plan: HookPlan, terms: Terms) -> HookRun:
    """The run as it stands; one that was lost on its way begins another attempt."""
    key = {
        "release_id": context.ref.release.id,
        "stage": context.ref.stage,
        "target": context.ref.target,
        "when": when,
        "function": plan.function,
    }
    earlier = find(context.ports.ledger, HookRun, **key)
    if earlier is not None and earlier.outcome is not Outcome.RUNNING:
        return earlier
    now = context.ports.clock.now()
    run = HookRun(
        **key,
        outcome=Outcome.RUNNING,
        attempt=earlier.attempt + 1 if earlier else 1,
        began_at=now,
        version=earlier.version if earlier else 0,
    )
    if plan.heartbeat_seconds:
        later = {
            "deadline": now + timedelta(seconds=plan.timeout_seconds),
            "heartbeat_seconds": plan.heartbeat_seconds,
            "secret_digest": digest_of(terms.secret),
        }
        run = run.model_copy(update=later)
    return context.ports.ledger.put(run)


def _plan(context: RolloutContext, when: str, function: str) -> HookPlan:
    planned = context.stage.pre_traffic if when == PRE_TRAFFIC else context.stage.post_traffic
    for hook in planned:
        if hook.function == function:
            return hook
    raise NotFound(f"{context.ref.stage} has no {when} hook {function}.")


def _invoke(context: RolloutContext, run: HookRun, plan: HookPlan, terms: Terms) -> HookRun:
    clock, state = context.ports.clock, context.state()
    physical = state.resources.get(run.function, run.function)
    seconds = min(plan.timeout_seconds, terms.most_seconds)
    payload = {**_payload(context, run, state, seconds), **_callback(run, terms)}
    began = clock.now()
    ended = context.world.functions.invoke(physical, payload, seconds)
    over: dict[str, Any] = {"seconds": (clock.now() - began).total_seconds()}
    if _answers_later(ended) and run.deadline:
        kept = _wait(context, run, over)
    else:
        cause = _why_failed(ended)
        over |= {"outcome": Outcome.FAILED if cause else Outcome.PASSED, "cause": cause}
        kept = put_over(context.ports.ledger, run.model_copy(update=over))
    _keep_log(context, run, ended.log_tail)
    return kept


def _keep_log(context: RolloutContext, run: HookRun, tail: str) -> None:
    """For those who look why it failed, while they may still look."""
    if tail:
        names = run.model_dump(include={"release_id", "stage", "target", "when", "function"})
        until = int((context.ports.clock.now() + _LOG_KEPT).timestamp())
        put_over(context.ports.ledger, HookLog(**names, text=tail, expires_at=until))


def _wait(context: RolloutContext, run: HookRun, over: dict[str, Any]) -> HookRun:
    """Its answer may have been there before the hook itself returned."""
    present = context.ports.ledger.get(HookRun, run.partition, run.sort) or run
    if present.attempt != run.attempt or present.outcome is not Outcome.RUNNING:
        return present
    over |= {"outcome": Outcome.WAITING, "heard_at": context.ports.clock.now()}
    return context.ports.ledger.put(present.model_copy(update=over))


def _answers_later(ended: Invocation) -> bool:
    return not ended.error and _status(ended.payload) == "inprogress"


def _payload(
    context: RolloutContext, run: HookRun, state: StackState, seconds: int
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "release": context.ref.release.model_dump(),
        "stage": context.ref.stage,
        "target": context.ref.target,
        "when": run.when,
        "functions": _functions(context, state),
        "commit": context.plan.artifact.commit,
        "attempt": run.attempt,
        "timeout_seconds": seconds,
        **_as_codedeploy_names_it(context, run),
    }


def _callback(run: HookRun, terms: Terms) -> dict[str, Any]:
    """All that somebody needs to answer for this run later; nothing for a hook that may not."""
    if run.deadline is None:
        return {}
    callback = {
        "bus": terms.bus,
        "run": run.id,
        "secret": terms.secret,
        "deadline": run.deadline.isoformat(),
        "heartbeat_seconds": run.heartbeat_seconds,
    }
    return {"callback": callback}


def _as_codedeploy_names_it(context: RolloutContext, run: HookRun) -> dict[str, str]:
    """The keys that a hook written for CodeDeploy reads."""
    attempt = (context.ref.release.id, run.stage, run.target, run.when, run.function, run.attempt)
    return {
        "DeploymentId": context.ref.release.id,
        "LifecycleEventHookExecutionId": "/".join(str(part) for part in attempt),
    }


def _functions(context: RolloutContext, state: StackState) -> list[dict[str, str]]:
    return [
        {
            "function": alias_ref(alias, state).function,
            "alias": alias.alias,
            "stable_version": state.parameters.get(alias.pin_parameter, ""),
            "candidate_version": candidate_version(alias, state),
            "candidate_arn": state.resources[alias.version_logical_id],
            "alias_arn": f"{_unqualified(state.resources[alias.version_logical_id])}:{alias.alias}",
        }
        for alias in context.plan.aliases
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
    if _answers_later(ended):
        return _MAY_NOT_ANSWER_LATER
    return why_refused(payload)


def why_refused(answer: Mapping[str, Any]) -> str:
    """The reason of an answer that says no; "" of one that does not."""
    if _status(answer) != "failed":
        return ""
    return str(answer.get("reason") or "it said so and gave no reason")


def _status(answer: Any) -> str:
    return str(answer.get("status", "")).lower() if isinstance(answer, Mapping) else ""
