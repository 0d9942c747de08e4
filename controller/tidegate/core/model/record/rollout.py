"""One stack's rollout: small, rewritten at each move, enough to go on after any crash."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from tidegate.core.model.base import Model, named
from tidegate.core.model.record.item import Item
from tidegate.core.model.record.phases import RolloutPhase
from tidegate.core.model.record.verdict import Verdict


class Shift(Model):
    """One alias on its way from one version to another, by physical names."""

    function: str
    alias: str
    stable: str
    candidate: str
    revision: str = ""  # of the alias when all of them were last where the rollout wanted them


class Warm(Model):
    """Provisioned concurrency of one alias's versions, by physical names."""

    function: str
    alias: str
    stable: str  # the same as the candidate when no version changes; "" when the alias is new
    candidate: str
    wanted: int  # of the candidate; 0: none
    before: int  # that the stable version had
    by_alias: bool = False  # the alias had it itself, as CloudFormation gives it


class ServedBefore(Model):
    """What an alias served before the shift."""

    invocations: int = 0
    errors: int = 0
    seconds: float = 0.0  # that the counts cover
    edges_ms: tuple[float, ...] = ()  # percentiles of the durations; none: no data

    @property
    def requests_per_second(self) -> float:
        """The traffic of that time."""
        return self.invocations / self.seconds if self.seconds else 0.0


class Probed(Model):
    """The probes of one evaluation at one function: so many to each of its versions."""

    function: str
    alias: str
    at: datetime
    sent: int
    stable_errors: int
    candidate_errors: int


class Restored(Model):
    """One thing that a restore has, or has not, brought back."""

    what: str  # "traffic of <function>:<alias>", "stack", or the logical id of a resource
    back: bool
    how: str


class Rollout(Item):
    """One stack's rollout: small, rewritten at each move, enough to go on after any crash."""

    kind: ClassVar[str] = "rollout"
    place: ClassVar = ("RELEASE#{release_id}", "ROLLOUT#{stage}#{target}")

    release_id: str
    stage: str
    target: str
    phase: RolloutPhase
    execution_arn: str = ""
    fence: int = 0  # the lock's when the rollout began: another one means that it is taken over
    guarded_at: datetime | None = None  # the guardian found the execution gone
    first_deployment: bool = False
    executing: bool = False  # the change set is about to be handed over: it may have been
    executed: bool = False  # the change set was handed to CloudFormation
    code: dict[str, str] = Field(default_factory=dict)  # logical id -> digest of what was deployed
    candidates: dict[str, str] = Field(
        default_factory=dict
    )  # "function:alias" -> to serve in the end
    shifts: tuple[Shift, ...] = ()  # the aliases whose version changes
    warms: tuple[Warm, ...] = ()  # the aliases that have, or had, provisioned concurrency
    warmed: bool = False  # every candidate is active, and what it is to have is allocated
    weight: float = 0.0  # what the candidates have, or are about to get
    left_weight: float = 0.0  # what they had before; `weight` once every alias is there
    # An alias in a state that is not ours, as it was seen once.
    changed_by_others: str = named("foreign", "")
    step: int = -1  # index of the step we are at; -1 before the first
    step_started_at: datetime | None = None
    step_began_with: int = 0  # requests that the candidate had served before this step
    moved_at: tuple[datetime, ...] = ()  # when the weight changed, the first time first
    before: tuple[ServedBefore, ...] = ()  # what each shift's alias served before
    metrics_before: dict[str, float] = Field(default_factory=dict)  # the highest of the hour before
    shifting_since: datetime | None = None
    probes: tuple[Probed, ...] = ()  # oldest first
    ticks: int = 0
    looked_at: datetime | None = None  # when the latest tick was
    verdict: Verdict | None = None  # the latest
    heard: tuple[str, ...] = ()  # marks of the requests and alarms that the last evaluation knew of
    alarms: tuple[str, ...] = ()  # that may ring, by their names there
    baseline_alarms: tuple[str, ...] = ()  # were firing before the candidate got any traffic
    all_at_once: str = ""  # why steps were skipped, if they were
    versions: dict[str, str] = Field(default_factory=dict)  # "function:alias" -> what serves since
    reverting: bool = False  # the stack is about to be taken back: CloudFormation may have begun
    reverted: bool = False  # CloudFormation has begun to take the stack back
    unpinning: int = 0  # attempts to take the pins off that were handed to CloudFormation
    retries: int = 0  # of what finishes the stack, takes it back, or deletes it
    retry_at: datetime | None = None  # when the next one is due
    restored: tuple[Restored, ...] = ()  # what is as it was before, and what is not
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    cause: str = ""

    @property
    def is_back(self) -> bool:
        """The candidate had traffic, and all of it is on the stable version again."""
        goes_back = self.phase in {RolloutPhase.RESTORING, RolloutPhase.RESTORED}
        return goes_back and self.ticks > 0 and self.left_weight <= 0.0
