"""What the record says of a release, arranged for people: pure functions from items to values.

Every front end shows these values, so that a terminal, a page and ``--output json`` never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tidegate.core.plan import (
    ArtifactRef,
    Model,
    Occasion,
    ReleasePlan,
    StagePlan,
    StrategyPlan,
    Target,
    WhenFiringBefore,
)
from tidegate.core.ports import ItemT
from tidegate.core.record import (
    Approval,
    ChangeLine,
    Decision,
    FunctionLine,
    HookLog,
    HookRun,
    Item,
    Notification,
    Outcome,
    ParameterLine,
    Plan,
    Preview,
    Release,
    ReleasePhase,
    Restored,
    Retreat,
    Rollout,
    RolloutPhase,
    SecurityLine,
    Shift,
    StackLine,
    StackLog,
    Stage,
    StagePhase,
    TestRun,
    Verdict,
    Vote,
    WarmLine,
    Wish,
)


class Mood(StrEnum):
    """How something stands, in the few ways that matter to a person who looks for ten seconds."""

    PENDING = "pending"  # has not begun
    RUNNING = "running"  # moves by itself
    WAITING = "waiting"  # waits for a person
    GOOD = "good"  # ended as it was meant to
    BAD = "bad"  # ended otherwise; what was live before is live
    ALERT = "alert"  # a person must look
    SECURITY = "security"  # opens something to others, or takes a guard away
    SKIPPED = "skipped"  # will not begin any more


_RELEASE_MOODS = {
    ReleasePhase.QUEUED: Mood.PENDING,
    ReleasePhase.TESTING: Mood.RUNNING,
    ReleasePhase.PROGRESSING: Mood.RUNNING,
    ReleasePhase.SUCCEEDED: Mood.GOOD,
    ReleasePhase.FAILED: Mood.BAD,
    ReleasePhase.REJECTED: Mood.BAD,
    ReleasePhase.ABORTED: Mood.BAD,
    ReleasePhase.SUPERSEDED: Mood.SKIPPED,
    ReleasePhase.STUCK: Mood.ALERT,
}
_STAGE_MOODS = {
    StagePhase.PREVIEWING: Mood.RUNNING,
    StagePhase.AWAITING_APPROVAL: Mood.WAITING,
    StagePhase.ROLLING_OUT: Mood.RUNNING,
    StagePhase.SUCCEEDED: Mood.GOOD,
    StagePhase.FAILED: Mood.BAD,
}
_ROLLOUT_MOODS = {
    RolloutPhase.DEPLOYING: Mood.RUNNING,
    RolloutPhase.VALIDATING: Mood.RUNNING,
    RolloutPhase.SHIFTING: Mood.RUNNING,
    RolloutPhase.VERIFYING: Mood.RUNNING,
    RolloutPhase.FINISHING: Mood.RUNNING,
    RolloutPhase.SUCCEEDED: Mood.GOOD,
    RolloutPhase.RESTORING: Mood.BAD,
    RolloutPhase.RESTORED: Mood.BAD,
    RolloutPhase.STUCK: Mood.ALERT,
}
_WAITS_FOR_STACK = {RolloutPhase.DEPLOYING, RolloutPhase.FINISHING, RolloutPhase.RESTORING}
_OUTCOME_MOODS = {
    Outcome.RUNNING: Mood.RUNNING,
    Outcome.WAITING: Mood.RUNNING,
    Outcome.PASSED: Mood.GOOD,
    Outcome.FAILED: Mood.BAD,
}
_DECISION_MOODS = {
    Decision.PENDING: Mood.WAITING,
    Decision.APPROVED: Mood.GOOD,
    Decision.REJECTED: Mood.BAD,
    Decision.EXPIRED: Mood.BAD,
}


class TestView(Model):
    """One of the parallel tests."""

    __test__ = False

    name: str
    mood: Mood
    seconds: float = 0.0
    url: str = ""
    cause: str = ""


class HookView(Model):
    """One validation hook."""

    function: str
    when: str  # pre-traffic, post-traffic
    mood: Mood
    seconds: float = 0.0
    cause: str = ""
    log_tail: str = ""
    answers_until: datetime | None = None  # of one that is waited for
    heard_at: datetime | None = None  # the last sign of life of one that is waited for


class ApprovalView(Model):
    """What people were asked, and what they said."""

    decision: Decision
    mood: Mood
    digest: str  # of what was shown: an approval is bound to it
    needed: int  # how many distinct people must agree
    author_may_approve: bool
    authors: tuple[str, ...] = ()  # of all that is not live yet
    doubts: tuple[str, ...] = ()  # why one more must agree than the manifest asks
    requested_at: datetime
    deadline: datetime
    votes: tuple[Vote, ...] = ()

    @property
    def agreed(self) -> tuple[str, ...]:
        """Who said yes."""
        return tuple(vote.who for vote in self.votes if vote.approve)


class OperationView(Model):
    """What CloudFormation does to the stack, or did, in one operation of a rollout."""

    operation: str  # deploy, finish, restore, delete
    status: str  # CloudFormation's own word for the stack
    under_way: bool  # the rollout waits for it
    seen: int  # how many events there were
    events: tuple[StackLine, ...] = ()  # the newest, oldest first
    current: tuple[StackLine, ...] = ()  # the resources that it works on, newest last
    failures: tuple[StackLine, ...] = ()  # the first ones
    unread: str = ""  # why the last look saw nothing


class NotificationView(Model):
    """A message that was sent to people, or that cannot be."""

    occasion: Occasion
    topic: str
    at: datetime
    error: str = ""


class RolloutView(Model):
    """One stack of a stage, whether its rollout has begun or not."""

    target: str
    stack: str
    mood: Mood
    phase: RolloutPhase | None = None  # None before it begins
    started_at: datetime | None = None
    ended_at: datetime | None = None
    first_deployment: bool = False
    shifts: tuple[Shift, ...] = ()
    weight: float = 0.0
    step: int = 0  # 1-based; 0 before the first
    steps: int = 0  # before the promotion; 0 is all at once
    next_weight: float | None = None  # where it goes if all stays well
    next_at: datetime | None = None
    samples: int = 0  # candidate requests judged so far
    samples_needed: int = 0
    step_served: int = 0  # requests that the candidate has served at this step
    step_samples: int = 0  # that end the step early; 0: it ends with its time
    samples_in_seconds: float | None = None  # when they are expected, by the present traffic
    adaptive: bool = False  # the weights follow the evidence, not steps
    verdict: Verdict | None = None
    all_at_once: str = ""  # why steps were skipped, if they were
    hooks: tuple[HookView, ...] = ()
    operations: tuple[OperationView, ...] = ()  # oldest first
    restored: tuple[Restored, ...] = ()  # what is as it was before, and what is not
    notifications: tuple[NotificationView, ...] = ()
    gates: tuple[str, ...] = ()  # what the commit changes of its own gates
    security: tuple[SecurityLine, ...] = ()  # what it opens to others, and no longer guards
    unheeded: tuple[str, ...] = ()  # what the template asks for and the release will not do
    changes: tuple[ChangeLine, ...] = ()  # what the preview showed
    parameters: tuple[ParameterLine, ...] = ()
    functions: tuple[FunctionLine, ...] = ()
    warms: tuple[WarmLine, ...] = ()
    firing_before: tuple[str, ...] = ()  # alarms: at the preview, then when the shift began
    refuses_firing: bool = False  # and the manifest does not want to begin under one
    error: str = ""
    cause: str = ""


class StageView(Model):
    """One stage, whether it has begun or not."""

    name: str
    mood: Mood
    phase: StagePhase | None = None  # None before it begins
    strategy: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    approval: ApprovalView | None = None
    rollouts: tuple[RolloutView, ...] = ()
    error: str = ""
    cause: str = ""

    @property
    def shown(self) -> str:
        """The digest of what people are asked about; "" when nobody is asked."""
        return self.approval.digest if self.approval else ""


class ReleaseView(Model):
    """One release as it was ``at`` the moment of the look."""

    id: str
    application: str
    number: int
    mood: Mood
    phase: ReleasePhase
    artifact: ArtifactRef
    at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    tests: tuple[TestView, ...] = ()
    stages: tuple[StageView, ...] = ()
    abort_wanted_by: str = ""
    retreat: Retreat | None = None  # only traffic was moved
    error: str = ""
    cause: str = ""

    @property
    def awaiting(self) -> tuple[StageView, ...]:
        """The stages that wait for people."""
        return tuple(stage for stage in self.stages if stage.mood is Mood.WAITING)


class LiveSpan(Model):
    """From when to when a target served a release. ``until`` is None while it does."""

    stage: str
    target: str
    since: datetime
    until: datetime | None = None


class StageDecision(Model):
    """How the approval of a stage was decided, and by whom."""

    stage: str
    decision: Decision
    votes: tuple[Vote, ...] = ()


class HistoryEntry(Model):
    """One release in an application's history."""

    id: str
    mood: Mood
    phase: ReleasePhase
    artifact: ArtifactRef
    started_at: datetime
    ended_at: datetime | None = None
    live: tuple[LiveSpan, ...] = ()
    decisions: tuple[StageDecision, ...] = ()
    retreat: Retreat | None = None  # only traffic was moved
    error: str = ""
    cause: str = ""


def release_view(release: Release, items: Iterable[Item], now: datetime) -> ReleaseView:
    """Arrange what the record holds of one release."""
    known = tuple(item for item in items if not item.expired(now))
    plan = next((item.plan for item in _of(Plan, known)), None)
    over = release.phase.over
    stages = () if plan is None else tuple(_stage(s, known, over) for s in plan.stages)
    wish = next((wish for wish in _of(Wish, known) if wish.verb == "abort"), None)
    return ReleaseView(
        id=release.id,
        application=release.application,
        number=release.number,
        mood=_release_mood(release.phase, stages),
        phase=release.phase,
        artifact=release.artifact,
        at=now,
        started_at=release.started_at,
        ended_at=release.ended_at,
        tests=_tests(plan, known, release.phase),
        stages=stages,
        abort_wanted_by=wish.who if wish and not over else "",
        retreat=release.retreat,
        error=release.error,
        cause=release.cause,
    )


def history(
    releases: Sequence[Release], details: Mapping[str, Sequence[Item]]
) -> tuple[HistoryEntry, ...]:
    """What was live when, who agreed and why a release ended early; newest first.

    ``details`` maps the id of a release to its rollouts and approvals.
    """
    newest_first = sorted(releases, key=lambda release: release.number, reverse=True)
    spans = _live_spans(newest_first, details)
    return tuple(
        HistoryEntry(
            id=release.id,
            mood=_RELEASE_MOODS[release.phase],
            phase=release.phase,
            artifact=release.artifact,
            started_at=release.started_at,
            ended_at=release.ended_at,
            live=tuple(spans[release.id]),
            retreat=release.retreat,
            decisions=tuple(
                StageDecision(stage=a.stage, decision=a.decision, votes=a.votes)
                for a in _of(Approval, details.get(release.id, ()))
            ),
            error=release.error,
            cause=release.cause,
        )
        for release in newest_first
    )


def error_rate(invocations: int, errors: int) -> float | None:
    """The share of requests that failed; None when there were none to judge."""
    return errors / invocations if invocations else None


def _of(kind: type[ItemT], items: Iterable[Item]) -> list[ItemT]:
    return [item for item in items if isinstance(item, kind)]


def _release_mood(phase: ReleasePhase, stages: Sequence[StageView]) -> Mood:
    """A release that moves by itself waits for people when one of its stages does."""
    mood = _RELEASE_MOODS[phase]
    if mood is Mood.RUNNING and any(stage.mood is Mood.WAITING for stage in stages):
        return Mood.WAITING
    return mood


def _not_begun(over: bool) -> Mood:
    return Mood.SKIPPED if over else Mood.PENDING


def _tests(
    plan: ReleasePlan | None, items: Iterable[Item], phase: ReleasePhase
) -> tuple[TestView, ...]:
    """The planned tests. All run at the same time; results are recorded when all have ended."""
    without_result = Mood.RUNNING if phase is ReleasePhase.TESTING else _not_begun(phase.over)
    runs = {run.name: run for run in _of(TestRun, items)}
    names = [test.name for test in plan.tests] if plan else []
    return tuple(
        TestView(
            name=name,
            mood=_OUTCOME_MOODS[run.outcome],
            seconds=run.seconds,
            url=run.url,
            cause=run.cause,
        )
        if (run := runs.get(name))
        else TestView(name=name, mood=without_result)
        for name in names
    )


def _stage(plan: StagePlan, items: Sequence[Item], over: bool) -> StageView:
    stage = next((s for s in _of(Stage, items) if s.name == plan.name), None)
    approval = next((a for a in _of(Approval, items) if a.stage == plan.name), None)
    targets = [target for wave in plan.waves for target in wave]
    ended = over or (stage is not None and stage.phase in {StagePhase.SUCCEEDED, StagePhase.FAILED})
    rollouts = tuple(_rollout(plan, target, items, ended) for target in targets)
    view = StageView(
        name=plan.name,
        mood=_not_begun(over),
        strategy=plan.strategy.name,
        approval=_approval(approval) if approval else None,
        rollouts=rollouts,
    )
    if stage is None:
        return view
    return view.model_copy(
        update={
            "mood": _stage_mood(stage.phase, approval, rollouts),
            "phase": stage.phase,
            "started_at": stage.started_at,
            "ended_at": stage.ended_at,
            "error": stage.error,
            "cause": stage.cause,
        }
    )


def _stage_mood(
    phase: StagePhase, approval: Approval | None, rollouts: Sequence[RolloutView]
) -> Mood:
    """A stage with a stuck rollout needs a person, and one that people decided moves again."""
    if any(rollout.mood is Mood.ALERT for rollout in rollouts):
        return Mood.ALERT
    mood = _STAGE_MOODS[phase]
    if mood is Mood.WAITING and approval and approval.decision is not Decision.PENDING:
        return Mood.RUNNING
    return mood


def _approval(approval: Approval) -> ApprovalView:
    return ApprovalView(
        decision=approval.decision,
        mood=_DECISION_MOODS[approval.decision],
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
    rollout = next((r for r in _of(Rollout, items) if (r.stage, r.target) == here), None)
    preview = next((p for p in _of(Preview, items) if (p.stage, p.target) == here), None)
    refuses = plan.checks.when_firing_before is WhenFiringBefore.REFUSE
    if rollout is None:
        return RolloutView(
            target=target.id,
            stack=target.stack_name,
            mood=_not_begun(ended),
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
        mood=_ROLLOUT_MOODS[rollout.phase],
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
            rollout, [log for log in _of(StackLog, items) if (log.stage, log.target) == here]
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
    logs = [log for log in _of(HookLog, items) if (log.stage, log.target) == here]
    runs = (run for run in _of(HookRun, items) if (run.stage, run.target) == here)
    return tuple(_hook(run, logs, rollout) for run in runs)


def _hook(run: HookRun, logs: Iterable[HookLog], rollout: Rollout) -> HookView:
    """One that was still waited for when its rollout ended never answered."""
    log = next((one for one in logs if (one.when, one.function) == (run.when, run.function)), None)
    waits = run.outcome is Outcome.WAITING and not rollout.phase.over
    return HookView(
        function=run.function,
        when=run.when,
        mood=_OUTCOME_MOODS[run.outcome],
        seconds=run.seconds,
        cause=run.cause,
        log_tail=log.text if log else "",
        answers_until=run.deadline if waits else None,
        heard_at=run.heard_at if waits else None,
    )


def _told(stage: str, target: str, items: Iterable[Item]) -> tuple[NotificationView, ...]:
    return tuple(
        NotificationView(occasion=n.occasion, topic=n.topic, at=n.at, error=n.error)
        for n in _of(Notification, items)
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


def _live_spans(
    newest_first: Sequence[Release], details: Mapping[str, Sequence[Item]]
) -> dict[str, list[LiveSpan]]:
    """When each release was served: from its promotion to the next one's, target by target."""
    spans: dict[str, list[LiveSpan]] = {release.id: [] for release in newest_first}
    replaced_at: dict[tuple[str, str], datetime] = {}
    for release in newest_first:
        for rollout in _of(Rollout, details.get(release.id, ())):
            if rollout.phase is not RolloutPhase.SUCCEEDED or rollout.ended_at is None:
                continue
            here = (rollout.stage, rollout.target)
            spans[release.id].append(
                LiveSpan(
                    stage=rollout.stage,
                    target=rollout.target,
                    since=rollout.ended_at,
                    until=replaced_at.get(here),
                )
            )
            replaced_at[here] = rollout.ended_at
    return spans
