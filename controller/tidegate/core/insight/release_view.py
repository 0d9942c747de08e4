"""What the record says of a release, arranged for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tidegate.core.insight.views import (
    ApprovalView,
    HookView,
    NotificationView,
    OperationView,
    ReleaseView,
    RolloutView,
    Severity,
    StageView,
    TestView,
)
from tidegate.core.model.plan import ReleasePlan, StagePlan, StrategyPlan, Target, WhenFiringBefore
from tidegate.core.model.record import (
    Approval,
    Decision,
    HookLog,
    HookRun,
    Item,
    Notification,
    OperatorRequest,
    Outcome,
    Plan,
    Preview,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    StackLog,
    Stage,
    StagePhase,
    TestRun,
)
from tidegate.core.ports import ItemT

RELEASE_SEVERITY = {
    ReleasePhase.QUEUED: Severity.PENDING,
    ReleasePhase.TESTING: Severity.RUNNING,
    ReleasePhase.PROGRESSING: Severity.RUNNING,
    ReleasePhase.SUCCEEDED: Severity.GOOD,
    ReleasePhase.FAILED: Severity.BAD,
    ReleasePhase.REJECTED: Severity.BAD,
    ReleasePhase.ABORTED: Severity.BAD,
    ReleasePhase.SUPERSEDED: Severity.SKIPPED,
    ReleasePhase.STUCK: Severity.ALERT,
}
_STAGE_SEVERITY = {
    StagePhase.PREVIEWING: Severity.RUNNING,
    StagePhase.AWAITING_APPROVAL: Severity.WAITING,
    StagePhase.ROLLING_OUT: Severity.RUNNING,
    StagePhase.SUCCEEDED: Severity.GOOD,
    StagePhase.FAILED: Severity.BAD,
}
_ROLLOUT_SEVERITY = {
    RolloutPhase.DEPLOYING: Severity.RUNNING,
    RolloutPhase.VALIDATING: Severity.RUNNING,
    RolloutPhase.SHIFTING: Severity.RUNNING,
    RolloutPhase.VERIFYING: Severity.RUNNING,
    RolloutPhase.FINISHING: Severity.RUNNING,
    RolloutPhase.SUCCEEDED: Severity.GOOD,
    RolloutPhase.RESTORING: Severity.BAD,
    RolloutPhase.RESTORED: Severity.BAD,
    RolloutPhase.STUCK: Severity.ALERT,
}
_WAITS_FOR_STACK = {RolloutPhase.DEPLOYING, RolloutPhase.FINISHING, RolloutPhase.RESTORING}
_OUTCOME_SEVERITY = {
    Outcome.RUNNING: Severity.RUNNING,
    Outcome.WAITING: Severity.RUNNING,
    Outcome.PASSED: Severity.GOOD,
    Outcome.FAILED: Severity.BAD,
}
_DECISION_SEVERITY = {
    Decision.PENDING: Severity.WAITING,
    Decision.APPROVED: Severity.GOOD,
    Decision.REJECTED: Severity.BAD,
    Decision.EXPIRED: Severity.BAD,
}


def release_view(release: Release, items: Iterable[Item], now: datetime) -> ReleaseView:
    """Arrange what the record holds of one release."""
    known = tuple(item for item in items if not item.expired(now))
    plan = next((item.plan for item in items_of(Plan, known)), None)
    over = release.phase.over
    stages = () if plan is None else tuple(_stage(s, known, over) for s in plan.stages)
    request = next(
        (request for request in items_of(OperatorRequest, known) if request.verb == "abort"), None
    )
    return ReleaseView(
        id=release.id,
        application=release.application,
        number=release.number,
        severity=_release_severity(release.phase, stages),
        phase=release.phase,
        artifact=release.artifact,
        at=now,
        started_at=release.started_at,
        ended_at=release.ended_at,
        tests=_tests(plan, known, release.phase),
        stages=stages,
        abort_wanted_by=request.who if request and not over else "",
        traffic_rollback=release.traffic_rollback,
        error=release.error,
        cause=release.cause,
    )


def error_rate(invocations: int, errors: int) -> float | None:
    """The share of requests that failed; None when there were none to judge."""
    return errors / invocations if invocations else None


def items_of(kind: type[ItemT], items: Iterable[Item]) -> list[ItemT]:
    """The items of one kind, in their order."""
    return [item for item in items if isinstance(item, kind)]


def _release_severity(phase: ReleasePhase, stages: Sequence[StageView]) -> Severity:
    """A release that moves by itself waits for people when one of its stages does."""
    severity = RELEASE_SEVERITY[phase]
    if severity is Severity.RUNNING and any(stage.severity is Severity.WAITING for stage in stages):
        return Severity.WAITING
    return severity


def _not_begun(over: bool) -> Severity:
    return Severity.SKIPPED if over else Severity.PENDING


def _tests(
    plan: ReleasePlan | None, items: Iterable[Item], phase: ReleasePhase
) -> tuple[TestView, ...]:
    """The planned tests. All run at the same time; results are recorded when all have ended."""
    without_result = Severity.RUNNING if phase is ReleasePhase.TESTING else _not_begun(phase.over)
    runs = {run.name: run for run in items_of(TestRun, items)}
    names = [test.name for test in plan.tests] if plan else []
    return tuple(
        TestView(
            name=name,
            severity=_OUTCOME_SEVERITY[run.outcome],
            seconds=run.seconds,
            url=run.url,
            cause=run.cause,
        )
        if (run := runs.get(name))
        else TestView(name=name, severity=without_result)
        for name in names
    )


def _stage(plan: StagePlan, items: Sequence[Item], over: bool) -> StageView:
    stage = next((s for s in items_of(Stage, items) if s.name == plan.name), None)
    approval = next((a for a in items_of(Approval, items) if a.stage == plan.name), None)
    targets = [target for wave in plan.waves for target in wave]
    ended = over or (stage is not None and stage.phase in {StagePhase.SUCCEEDED, StagePhase.FAILED})
    rollouts = tuple(_rollout(plan, target, items, ended) for target in targets)
    view = StageView(
        name=plan.name,
        severity=_not_begun(over),
        strategy=plan.strategy.name,
        approval=_approval(approval) if approval else None,
        rollouts=rollouts,
    )
    if stage is None:
        return view
    return view.model_copy(
        update={
            "severity": _stage_severity(stage.phase, approval, rollouts),
            "phase": stage.phase,
            "started_at": stage.started_at,
            "ended_at": stage.ended_at,
            "error": stage.error,
            "cause": stage.cause,
        }
    )


def _stage_severity(
    phase: StagePhase, approval: Approval | None, rollouts: Sequence[RolloutView]
) -> Severity:
    """A stage with a stuck rollout needs a person, and one that people decided moves again."""
    if any(rollout.severity is Severity.ALERT for rollout in rollouts):
        return Severity.ALERT
    severity = _STAGE_SEVERITY[phase]
    if severity is Severity.WAITING and approval and approval.decision is not Decision.PENDING:
        return Severity.RUNNING
    return severity


def _approval(approval: Approval) -> ApprovalView:
    return ApprovalView(
        decision=approval.decision,
        severity=_DECISION_SEVERITY[approval.decision],
        digest=approval.digest,
        needed=approval.needed,
        author_may_approve=approval.author_may_approve,
        authors=approval.authors,
        doubts=approval.doubts,
        requested_at=approval.requested_at,
        deadline=approval.deadline,
        votes=approval.votes,
    )


def _rollout(plan: StagePlan, target: Target, items: Sequence[Item], ended: bool) -> RolloutView:
    here = (plan.name, target.id)
    rollout = next((r for r in items_of(Rollout, items) if (r.stage, r.target) == here), None)
    preview = next((p for p in items_of(Preview, items) if (p.stage, p.target) == here), None)
    refuses = plan.checks.when_firing_before is WhenFiringBefore.REFUSE
    if rollout is None:
        return RolloutView(
            target=target.id,
            stack=target.stack_name,
            severity=_not_begun(ended),
            firing_before=_firing_before(preview, rollout),
            refuses_firing=refuses,
            notifications=_told(plan.name, target.id, items),
            **_shown(preview),
        )
    verdict = rollout.verdict
    next_weight, next_at = _next_step(plan.strategy, rollout)
    return RolloutView(
        target=target.id,
        stack=target.stack_name,
        severity=_ROLLOUT_SEVERITY[rollout.phase],
        phase=rollout.phase,
        started_at=rollout.started_at,
        ended_at=rollout.ended_at,
        first_deployment=rollout.first_deployment,
        shifts=rollout.shifts,
        weight=rollout.weight,
        step=min(rollout.step + 1, len(plan.strategy.steps)),
        steps=len(plan.strategy.steps),
        next_weight=next_weight,
        next_at=next_at,
        samples=verdict.candidate_invocations if verdict else 0,
        samples_needed=plan.checks.errors.min_samples,
        adaptive=plan.strategy.adaptive is not None,
        **_samples(plan.strategy, rollout),
        verdict=verdict,
        all_at_once=rollout.all_at_once,
        firing_before=_firing_before(preview, rollout),
        refuses_firing=refuses,
        restored=rollout.restored,
        hooks=_hooks(here, rollout, items),
        notifications=_told(plan.name, target.id, items),
        operations=_operations(
            rollout, [log for log in items_of(StackLog, items) if (log.stage, log.target) == here]
        ),
        **_shown(preview),
        error=rollout.error,
        cause=rollout.cause,
    )


def _firing_before(preview: Preview | None, rollout: Rollout | None) -> tuple[str, ...]:
    """As the preview saw it, and once the shift has begun, as it was then."""
    if rollout is None or rollout.phase in {RolloutPhase.DEPLOYING, RolloutPhase.VALIDATING}:
        return preview.firing if preview else ()
    return rollout.baseline_alarms


_SHOWN = ("gates", "security", "unheeded", "changes", "parameters", "functions", "warms")


def _shown(preview: Preview | None) -> dict[str, Any]:
    """What the preview showed of its target."""
    if preview is None:
        return {}
    return {name: getattr(preview, name) for name in _SHOWN}


def _hooks(here: tuple[str, str], rollout: Rollout, items: Iterable[Item]) -> tuple[HookView, ...]:
    logs = [log for log in items_of(HookLog, items) if (log.stage, log.target) == here]
    runs = (run for run in items_of(HookRun, items) if (run.stage, run.target) == here)
    return tuple(_hook(run, logs, rollout) for run in runs)


def _hook(run: HookRun, logs: Iterable[HookLog], rollout: Rollout) -> HookView:
    """One that was still waited for when its rollout ended never answered."""
    log = next((one for one in logs if (one.when, one.function) == (run.when, run.function)), None)
    waits = run.outcome is Outcome.WAITING and not rollout.phase.over
    return HookView(
        function=run.function,
        when=run.when,
        severity=_OUTCOME_SEVERITY[run.outcome],
        seconds=run.seconds,
        cause=run.cause,
        log_tail=log.text if log else "",
        answers_until=run.deadline if waits else None,
        heard_at=run.heard_at if waits else None,
    )


def _told(stage: str, target: str, items: Iterable[Item]) -> tuple[NotificationView, ...]:
    return tuple(
        NotificationView(trigger=n.trigger, topic=n.topic, at=n.at, error=n.error)
        for n in items_of(Notification, items)
        if (n.stage, n.target) == (stage, target)
    )


def _operations(rollout: Rollout, logs: Iterable[StackLog]) -> tuple[OperationView, ...]:
    """The last one goes on while the rollout is in a phase that waits for CloudFormation."""
    in_order = sorted(logs, key=lambda log: log.since)
    waits = rollout.phase in _WAITS_FOR_STACK
    return tuple(
        OperationView(
            operation=log.operation,
            status=log.status,
            under_way=waits and log is in_order[-1],
            seen=log.seen,
            events=log.events,
            current=log.under_way,
            failures=log.failures,
            unread=log.unread,
        )
        for log in in_order
    )


def _next_step(strategy: StrategyPlan, rollout: Rollout) -> tuple[float | None, datetime | None]:
    """The weight after the present bake, and when that bake is over at the earliest."""
    if rollout.phase is not RolloutPhase.SHIFTING or rollout.step_started_at is None:
        return None, None
    if not 0 <= rollout.step < len(strategy.steps):
        return None, None
    bake = timedelta(seconds=strategy.steps[rollout.step].bake_seconds)
    weights = [*(step.weight for step in strategy.steps), 1.0]
    return weights[rollout.step + 1], rollout.step_started_at + bake


def _samples(strategy: StrategyPlan, rollout: Rollout) -> dict[str, Any]:
    """How far a bake is that ends with its samples."""
    verdict = rollout.verdict
    if verdict is None or not 0 <= rollout.step < len(strategy.steps):
        return {}
    wanted = strategy.steps[rollout.step].samples
    if not wanted or rollout.phase is not RolloutPhase.SHIFTING:
        return {}
    served = max(0, verdict.candidate_invocations - rollout.step_began_with)
    per_second = verdict.requests_per_second * rollout.weight
    return {
        "step_served": served,
        "step_samples": wanted,
        "samples_in_seconds": max(0, wanted - served) / per_second if per_second else None,
    }
