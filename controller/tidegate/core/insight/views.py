"""A release as people see it: values for the terminal, the page and programs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from tidegate.core.model.base import Model, named
from tidegate.core.model.plan import ArtifactRef, Trigger
from tidegate.core.model.record import (
    ChangeLine,
    Decision,
    FunctionLine,
    ParameterLine,
    ReleasePhase,
    Restored,
    RolloutPhase,
    SecurityLine,
    Shift,
    StackLine,
    StagePhase,
    TrafficRollback,
    Verdict,
    Vote,
    WarmLine,
)


class Severity(StrEnum):
    """How something stands, in the few ways that matter to a person who looks for ten seconds."""

    PENDING = "pending"  # has not begun
    RUNNING = "running"  # moves by itself
    WAITING = "waiting"  # waits for a person
    GOOD = "good"  # ended as it was meant to
    BAD = "bad"  # ended otherwise; what was live before is live
    ALERT = "alert"  # a person must look
    SECURITY = "security"  # opens something to others, or takes a guard away
    SKIPPED = "skipped"  # will not begin any more


class TestView(Model):
    """One of the parallel tests."""

    __test__ = False

    name: str
    severity: Severity = named("mood")
    seconds: float = 0.0
    url: str = ""
    cause: str = ""


class HookView(Model):
    """One validation hook."""

    function: str
    when: str  # pre-traffic, post-traffic
    severity: Severity = named("mood")
    seconds: float = 0.0
    cause: str = ""
    log_tail: str = ""
    answers_until: datetime | None = None  # of one that is waited for
    heard_at: datetime | None = None  # the last sign of life of one that is waited for


class ApprovalView(Model):
    """What people were asked, and what they said."""

    decision: Decision
    severity: Severity = named("mood")
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

    trigger: Trigger = named("occasion")
    topic: str
    at: datetime
    error: str = ""


class RolloutView(Model):
    """One stack of a stage, whether its rollout has begun or not."""

    target: str
    stack: str
    severity: Severity = named("mood")
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
    severity: Severity = named("mood")
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
    severity: Severity = named("mood")
    phase: ReleasePhase
    artifact: ArtifactRef
    at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    tests: tuple[TestView, ...] = ()
    stages: tuple[StageView, ...] = ()
    abort_wanted_by: str = ""
    traffic_rollback: TrafficRollback | None = named("retreat", None)  # only traffic was moved
    error: str = ""
    cause: str = ""

    @property
    def awaiting(self) -> tuple[StageView, ...]:
        """The stages that wait for people."""
        return tuple(stage for stage in self.stages if stage.severity is Severity.WAITING)
