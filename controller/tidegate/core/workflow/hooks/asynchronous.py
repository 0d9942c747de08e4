"""Hooks that answer later: what is heard of them, and what silence means.

Who answers runs in a target account, and a task token may be answered by its own account alone. So
the token stays in the table, the hook gets a secret, and whoever brings that secret over the event
bus speaks for the hook. Such an event may come late, twice, or before the hook itself has returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tidegate.core.errors import NotFound, RecordConflict
from tidegate.core.model.record import HookRun, Outcome, Rollout, Token
from tidegate.core.ports import Ports
from tidegate.core.text.quantities import write_duration
from tidegate.core.workflow.hooks.run import HookState, digest_of, stands, why_refused
from tidegate.core.workflow.records import find
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.core.workflow.task_tokens import answer_hook, hook_purpose, keep_token

_ATTEMPTS = 3  # at writing what was heard, while others write to the same run
_PARTS_OF_A_RUN = 6  # release, stage, account, region, when, function
_LONGEST_CAUSE = 2000


@dataclass(frozen=True, slots=True)
class Sender:
    """Who says that he speaks for a hook."""

    run: str
    secret: str = field(repr=False)


def await_answer(ports: Ports, ref: RolloutRef, when: str, function: str, token: str) -> None:
    """Keep the token that the hook's answer is for, and answer it if the answer is there already.

    Raises ``NotFound``.
    """
    run = _require_run(ports, ref, when, function)
    until = run.deadline or ports.clock.now()
    keep_token(ports, run.release_id, hook_purpose(run.id), token, until)
    answer_hook(ports, _require_run(ports, ref, when, function))


def conclude_hook(ports: Ports, ref: RolloutRef, when: str, function: str) -> HookState:
    """The wait is over without an answer: store that the hook failed, unless it did answer.

    Raises ``HookFailed``, ``NotFound``.
    """
    run = _require_run(ports, ref, when, function)
    if run.outcome is Outcome.WAITING:
        over = {"outcome": Outcome.FAILED, "cause": _why_given_up(ports, run)}
        run = ports.ledger.put(run.model_copy(update={**over, **_duration(ports, run)}))
    return stands(run, ports.clock.now())


def on_heartbeat(ports: Ports, sender: Sender) -> bool:
    """The hook works: let its state wait on. False for one that is not waited for (any more)."""
    for _ in range(_ATTEMPTS):
        run = _run_of(ports, sender)
        if run is None or _has_ended(run):
            return False
        try:
            ports.ledger.put(run.model_copy(update={"heard_at": ports.clock.now()}))
        except RecordConflict:
            continue
        _prolong(ports, run)
        return True
    raise RecordConflict(f"The run {sender.run} is written by others all the time.")


def on_answer(ports: Ports, sender: Sender, answer: Mapping[str, Any]) -> Outcome | None:
    """Store the hook's answer, the first one, and end the wait for it. None when it is too late.

    A repeated answer ends the wait once more, for it may be that the first one could not.
    """
    for _ in range(_ATTEMPTS):
        run = _run_of(ports, sender)
        if run is None:
            return None
        if not _has_ended(run):
            cause = why_refused(answer)[:_LONGEST_CAUSE]
            over = {"outcome": Outcome.FAILED if cause else Outcome.PASSED, "cause": cause}
            try:
                run = ports.ledger.put(run.model_copy(update={**over, **_duration(ports, run)}))
            except RecordConflict:
                continue
        answer_hook(ports, run)
        return run.outcome
    raise RecordConflict(f"The run {sender.run} is written by others all the time.")


def _run_of(ports: Ports, sender: Sender) -> HookRun | None:
    """The run that the sender may speak for, while somebody can still hear it."""
    parts = sender.run.split("/", _PARTS_OF_A_RUN - 1)
    if len(parts) != _PARTS_OF_A_RUN:
        return None
    release_id, stage, account, region, when, function = parts
    place = {"release_id": release_id, "stage": stage, "target": f"{account}/{region}"}
    run = find(ports.ledger, HookRun, **place, when=when, function=function)
    if run is None or run.deadline is None:
        return None
    knows = digest_of(sender.secret) == run.secret_digest  # how long it takes tells of digests only
    rollout = find(ports.ledger, Rollout, **place)
    over = rollout is None or rollout.phase.over or rollout.guarded_at is not None
    return run if knows and not over and ports.clock.now() < run.deadline else None


def _has_ended(run: HookRun) -> bool:
    return run.outcome in {Outcome.PASSED, Outcome.FAILED}


def _prolong(ports: Ports, run: HookRun) -> None:
    purpose = hook_purpose(run.id)
    token = find(ports.ledger, Token, release_id=run.release_id, purpose=purpose)
    if token:
        ports.callbacks.heartbeat(token.token)


def _why_given_up(ports: Ports, run: HookRun) -> str:
    silent = ports.clock.now() - (run.heard_at or run.began_at or ports.clock.now())
    patience = timedelta(seconds=run.heartbeat_seconds)
    if silent >= patience:
        return (
            f"nothing was heard of it for {write_duration(silent)}, and its heartbeat is"
            f" {write_duration(patience)}"
        )
    return "it did not answer within its timeout"


def _duration(ports: Ports, run: HookRun) -> dict[str, float]:
    began = run.began_at or ports.clock.now()
    return {"seconds": (ports.clock.now() - began).total_seconds()}


def _require_run(ports: Ports, ref: RolloutRef, when: str, function: str) -> HookRun:
    run = find(
        ports.ledger,
        HookRun,
        release_id=ref.release.id,
        stage=ref.stage,
        target=ref.target,
        when=when,
        function=function,
    )
    if run is None:
        raise NotFound(f"{ref.release.id} has not run the {when} hook {function}.")
    return run
