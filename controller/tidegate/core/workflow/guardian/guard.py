"""The guardian: makes traffic safe where an execution ended before its work did.

It looks at the record, never at an event alone, so one run that is lost costs a delay and nothing
else. An alias first, then the record, then the lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypedDict

from tidegate.core.errors import (
    AliasChangedByOthers,
    LockLost,
    RecordConflict,
    RestoreFailed,
    TidegateError,
)
from tidegate.core.model.failure import Failure, release_phase, root_cause
from tidegate.core.model.record import (
    Application,
    Lock,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Shift,
    Waiter,
    application_partition,
)
from tidegate.core.ports import Ports
from tidegate.core.workflow.events import publish_release
from tidegate.core.workflow.records import again_when, find, ref_of, rollouts_of
from tidegate.core.workflow.release.lock import free_lock, leave_queue, read_lock
from tidegate.core.workflow.release.unfinished import end_stages
from tidegate.core.workflow.rollout.warm import keep_warm_what_serves
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    open_context,
    write_every_alias,
)
from tidegate.core.workflow.target.live_versions import succeed
from tidegate.core.workflow.target.routing import restore_alias

GRACE = timedelta(seconds=90)
"""How long a task may outlive its execution: longer than any function that shifts may run."""

PATIENCE = timedelta(minutes=15)
"""How long the guardian tries by itself before it calls a person: longer than what passes."""

_NEWEST = 20  # releases of an application that may have been stopped since the last run
_RUNNING = {"RUNNING", "PENDING_REDRIVE"}


class Guarded(TypedDict):
    """What one run did."""

    secured: list[str]  # release, stage and target of each rollout that was taken over
    freed: list[str]  # releases whose lock is free again


@dataclass
class _Watch:
    """One run: what it works with, and what it has done so far."""

    ports: Ports
    ended: Mapping[str, str]
    secured: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def runs(self, execution: str, since: datetime) -> bool:
        """Whether it may still act; one that is unknown may have begun a moment ago."""
        status = self.status(execution)
        return status in _RUNNING or (not status and self.ports.clock.now() - since < GRACE)

    def status(self, execution: str) -> str:
        return self.ended.get(execution) or self.ports.executions.status(execution)

    def attempt(self, act: Callable[..., None], *subject: object) -> None:
        """Nothing that goes wrong here keeps the rest from being made safe.

        A task that writes at the same time is no reason to call a person: what it acts on is read
        again.
        """
        try:
            again_when(RecordConflict, partial(act, self, *subject))
        except Exception as error:
            self.failed.append(str(error))


def guard(ports: Ports, ended: Mapping[str, str] | None = None) -> Guarded:
    """Look at every application once; repeated, it goes on until all is safe.

    ``ended`` maps executions that were reported to be over to how they ended, whatever Step
    Functions says of them yet.
    Raises ``RestoreFailed`` with all that it could not do, after it has tried everything.
    """
    watch = _Watch(ports, ended or {})
    items = ports.ledger.query("APPLICATIONS")
    for name in [item.name for item in items if isinstance(item, Application)]:
        watch.attempt(_guard_lock, name)
        watch.attempt(_guard_queue, name)
        watch.attempt(_guard_newest, name)
    if watch.failed:
        raise RestoreFailed(
            f"The guardian could not do everything: {'; '.join(watch.failed)}",
            remedy="It tries again at its next run.",
        )
    return Guarded(secured=watch.secured, freed=watch.freed)


def _guard_lock(watch: _Watch, application: str) -> None:
    """The holder's rollouts first; then, if the holder is gone itself, its end and its lock."""
    ledger = watch.ports.ledger
    lock = read_lock(ledger, application)
    if not lock.owner:
        return
    release = find(ledger, Release, application=lock.application, number=lock.release_number)
    if release is None:
        return
    gone = not watch.runs(lock.owner, lock.since or release.started_at)
    if gone:
        lock = _fence_off(watch, lock)
    failed = len(watch.failed)
    for rollout in rollouts_of(ledger, release.id):
        if not rollout.phase.over and not _alive(watch, rollout, gone):
            watch.attempt(_secure, release, rollout)
    if gone and len(watch.failed) > failed:
        if _guarded_for(watch, lock, PATIENCE):
            _say_stuck(watch, release, Failure("RestoreFailed", " ".join(watch.failed[failed:])))
    elif gone and _guarded_for(watch, lock, GRACE):
        _settle(watch, release, lock.owner)


def _alive(watch: _Watch, rollout: Rollout, gone: bool) -> bool:
    """A rollout outlives the execution of its release, and goes back by itself, if its own runs."""
    if not rollout.execution_arn:
        return not gone
    return watch.runs(rollout.execution_arn, rollout.started_at)


def _guard_queue(watch: _Watch, application: str) -> None:
    """A release that was stopped while it waited makes room for those that still wait."""
    ledger = watch.ports.ledger
    items = ledger.query(application_partition(application), "WAITER#")
    for number in [item.number for item in items if isinstance(item, Waiter)]:
        release = find(ledger, Release, application=application, number=number)
        if release and not watch.runs(release.execution_arn, release.started_at):
            _settle(watch, release, release.execution_arn)


def _guard_newest(watch: _Watch, application: str) -> None:
    """A release that was stopped before it queued, or after it let go of the lock, is over."""
    ledger = watch.ports.ledger
    lock = read_lock(ledger, application)
    partition = application_partition(application)
    for item in ledger.query(partition, "RELEASE#", newest_first=True, limit=_NEWEST):
        if not isinstance(item, Release) or item.phase.over:
            continue
        holds = bool(lock.owner) and lock.release_number == item.number
        if not holds and not watch.runs(item.execution_arn, item.started_at):
            _settle(watch, item, item.execution_arn)


def _fence_off(watch: _Watch, lock: Lock) -> Lock:
    """From now on no task of the holder may write an alias, even if one still runs."""
    if lock.guarded_at:
        return lock
    fenced = {"fence": lock.fence + 1, "guarded_at": watch.ports.clock.now()}
    return watch.ports.ledger.put(lock.model_copy(update=fenced))


def _guarded_for(watch: _Watch, lock: Lock, time: timedelta) -> bool:
    """The holder was fenced off so long ago. After ``GRACE`` no task of it can still run."""
    return lock.guarded_at is not None and watch.ports.clock.now() - lock.guarded_at >= time


def _secure(watch: _Watch, release: Release, rollout: Rollout) -> None:
    """All traffic to one validated version: the stable one, or the candidate that was all but done.

    Takes the record over first, so that no task of the execution that is gone can write any more.
    """
    ref = RolloutRef(release=ref_of(release), stage=rollout.stage, target=rollout.target)
    context = open_context(watch.ports, ref)
    rollout = context.require_rollout()
    if rollout.phase.over:
        return
    why = _how_it_ended(watch, rollout.execution_arn or release.execution_arn)
    rollout = _take_over(context, rollout, why)
    strangers = write_every_alias(context, rollout.shifts, partial(_put, context, rollout.weight))
    if strangers:
        _leave_alone(context, rollout, "; ".join(strangers))
        return
    if rollout.left_weight != rollout.weight:
        rollout = context.note(rollout, left_weight=rollout.weight)
        context.tell(rollout)
        watch.secured.append(f"{release.id} {context.place}")
    guarded_at = rollout.guarded_at or watch.ports.clock.now()
    if watch.ports.clock.now() - guarded_at >= GRACE and not context.state().busy:
        _close(context, rollout)


def _take_over(context: RolloutContext, rollout: Rollout, why: Failure) -> Rollout:
    if rollout.guarded_at:
        return rollout
    now = context.ports.clock.now()
    if rollout.phase is RolloutPhase.FINISHING:
        return context.note(rollout, guarded_at=now, weight=1.0, left_weight=0.0)
    # LockLost only says that we fenced it off
    if rollout.error and rollout.error != LockLost.__name__:
        why = Failure(rollout.error, rollout.cause)
    return context.note(
        rollout,
        phase=RolloutPhase.RESTORING,
        guarded_at=now,
        weight=0.0,
        left_weight=1.0,
        error=why.error,
        cause=why.cause,
    )


def _put(context: RolloutContext, weight: float, shift: Shift) -> str:
    return restore_alias(context.world.aliases, shift, weight, rewrite=True)


def _leave_alone(context: RolloutContext, rollout: Rollout, said: str) -> None:
    """One look proves nothing: AWS shows weights of its own while a version changes."""
    if rollout.changed_by_others != said:
        context.note(rollout, changed_by_others=said)
        return
    context.save(
        rollout,
        phase=RolloutPhase.STUCK,
        ended_at=context.ports.clock.now(),
        error=AliasChangedByOthers.__name__,
        cause=f"{said}. The guardian left it alone.",
    )


def _close(context: RolloutContext, rollout: Rollout) -> None:
    """The rollout is over. Its stack keeps the pins until the next release takes them off."""
    cold = _cool(context, rollout)
    if rollout.phase is RolloutPhase.FINISHING:
        remark = f"The guardian left all traffic on the validated candidate.{cold}"
        succeed(context, rollout, remark)
        return
    now = context.ports.clock.now()
    remark = "The guardian put all traffic on the stable version; the stack was left as it is."
    remark += cold
    cause = f"{rollout.cause.rstrip('.')}. {remark}"
    context.save(rollout, phase=RolloutPhase.RESTORED, ended_at=now, cause=cause)


def _cool(context: RolloutContext, rollout: Rollout) -> str:
    """Provisioned concurrency costs, and endangers nobody: what cannot be released is said."""
    try:
        keep_warm_what_serves(context, rollout, promoted=rollout.phase is RolloutPhase.FINISHING)
    except TidegateError as error:
        return f" Provisioned concurrency is not where it should be: {error.message}"
    return ""


def _settle(watch: _Watch, release: Release, execution: str) -> None:
    """End the release and free its lock, unless a rollout needs time, or a person."""
    ports, ref = watch.ports, ref_of(release)
    rollouts = rollouts_of(ports.ledger, release.id)
    stuck = [r for r in rollouts if r.phase is RolloutPhase.STUCK]
    if stuck:
        _say_stuck(watch, release, Failure(stuck[0].error, stuck[0].cause))
        return
    if any(not rollout.phase.over for rollout in rollouts):
        return
    guarded = [r for r in rollouts if r.guarded_at and r.error]
    why = _how_it_ended(watch, execution)
    if guarded:
        why = Failure(guarded[0].error, guarded[0].cause)
    end_stages(ports, ref, why)
    if not release.phase.over or release.phase is ReleasePhase.STUCK:
        _end(watch, release, release_phase(why.error), why)
    leave_queue(ports.ledger, ref)
    free_lock(ports, ref)
    watch.freed.append(release.id)


def _say_stuck(watch: _Watch, release: Release, why: Failure) -> None:
    """Once, for a page: traffic may be split, and it takes more than another try."""
    if release.phase is not ReleasePhase.STUCK:
        _end(watch, release, ReleasePhase.STUCK, why)
        end_stages(watch.ports, ref_of(release), why)


def _end(watch: _Watch, release: Release, phase: ReleasePhase, why: Failure) -> None:
    ended = {
        "phase": phase,
        "ended_at": watch.ports.clock.now(),
        "error": why.error,
        "cause": why.cause,
    }
    said = release.model_copy(update=ended)
    if phase is ReleasePhase.STUCK:
        publish_release(watch.ports.bus, said)  # a page that comes twice is better than one too few
        watch.ports.ledger.put(said)
    else:
        publish_release(watch.ports.bus, watch.ports.ledger.put(said))


def _how_it_ended(watch: _Watch, execution: str) -> Failure:
    """The error and the sentence for an execution that ended before its work did."""
    status = watch.status(execution)
    if status in {"ABORTED", "TIMED_OUT"}:
        described = json.dumps({"Status": status, "ExecutionArn": execution})
        return root_cause({"Error": "States.TaskFailed", "Cause": described})
    return Failure("TookTooLong", f"execution {execution} ended before its work did")
