"""The record: what is kept of every release, item by item, and where each item lies.

Items live in one table. ``partition`` and ``sort`` are its keys; ``version`` is the optimistic lock
that every write checks; ``expires_at`` (epoch seconds) lets the table forget what need not last.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, model_validator

from tidegate.core.plan import ArtifactRef, Model, Occasion, ReleasePlan


class ReleasePhase(StrEnum):
    """Where a release is."""

    QUEUED = "queued"  # another release of the application holds the lock
    TESTING = "testing"  # the test tasks run; nothing is deployed
    PROGRESSING = "progressing"  # at a stage
    SUCCEEDED = "succeeded"  # live in every stage
    FAILED = "failed"  # ended without reaching every stage; what was live before is live
    REJECTED = "rejected"  # a person said no, or nobody said yes in time
    ABORTED = "aborted"  # an operator ended it
    SUPERSEDED = "superseded"  # a newer release took its place in the queue
    STUCK = "stuck"  # traffic could not be made safe: a person must look

    @property
    def over(self) -> bool:
        """The release will not move by itself any more."""
        return self not in _RELEASE_UNDER_WAY


_RELEASE_UNDER_WAY = {ReleasePhase.QUEUED, ReleasePhase.TESTING, ReleasePhase.PROGRESSING}


class StagePhase(StrEnum):
    """Where a stage is."""

    PREVIEWING = "previewing"  # change sets are being computed
    AWAITING_APPROVAL = "awaiting-approval"  # a task token waits for people
    ROLLING_OUT = "rolling-out"  # one or more rollouts run
    SUCCEEDED = "succeeded"  # every target serves the release
    FAILED = "failed"  # ended; every target serves what it served before, or says that it is stuck


class RolloutPhase(StrEnum):
    """Where one stack's rollout is."""

    DEPLOYING = "deploying"  # CloudFormation runs; the live alias is pinned
    VALIDATING = "validating"  # pre-traffic hooks run against the candidate; it has no traffic
    SHIFTING = "shifting"  # the candidate has a weight, or is about to get its first
    VERIFYING = "verifying"  # the candidate has all traffic; post-traffic hooks run
    FINISHING = "finishing"  # the pin is being taken off the stack
    SUCCEEDED = "succeeded"  # the candidate is the stable version
    RESTORING = "restoring"  # traffic goes back, then the stack
    RESTORED = "restored"  # the stable version has all traffic and the stack is as it was
    STUCK = "stuck"  # traffic could not be put back

    @property
    def over(self) -> bool:
        """The rollout will not move by itself any more."""
        return self in {RolloutPhase.SUCCEEDED, RolloutPhase.RESTORED, RolloutPhase.STUCK}


class Outcome(StrEnum):
    """How a test or a hook stands."""

    RUNNING = "running"
    WAITING = "waiting"  # a hook said that it answers later
    PASSED = "passed"
    FAILED = "failed"


class Judgement(StrEnum):
    """What the analysis says, worst last."""

    HEALTHY = "healthy"
    UNDECIDED = "undecided"
    INSUFFICIENT_TRAFFIC = "insufficient-traffic"
    UNHEALTHY = "unhealthy"


class Evidence(Model):
    """One test of the analysis: how much speaks against the candidate, and how much would do.

    ``log_e`` is the natural logarithm of an e-value: were the candidate no worse, the chance that
    it ever reaches ``log_bound`` is at most ``exp(-log_bound)``.
    """

    test: str  # "errors", "latency", or the name of a metric
    log_e: float
    log_bound: float

    @property
    def reached(self) -> bool:
        """The test says that the candidate is worse."""
        return self.log_e >= self.log_bound


class Verdict(Model):
    """A judgement with its reasons and the numbers behind it."""

    judgement: Judgement
    reasons: tuple[str, ...] = ()
    stable_invocations: int = 0
    stable_errors: int = 0
    candidate_invocations: int = 0
    candidate_errors: int = 0
    probes: int = 0  # of Tidegate's own to each version, not among the requests above
    stable_probe_errors: int = 0
    candidate_probe_errors: int = 0
    evidence: tuple[Evidence, ...] = ()  # one for each test that was made
    alpha: float = 0.0  # chance of a false alarm that these tests have in all
    no_worse: bool = False  # proven: not worse by more than the margins
    excess_errors: float | None = None  # upper bound of the share of requests that it harms
    requests_per_second: float = 0.0  # of all users, as it was seen last


class Item(Model):
    """One record in the table."""

    kind: ClassVar[str]
    place: ClassVar[tuple[str, str]]  # partition and sort key, as formats over the fields
    kinds: ClassVar[dict[str, type[Item]]] = {}

    version: int = 0
    expires_at: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Item.kinds[cls.kind] = cls

    @property
    def partition(self) -> str:
        """The partition key."""
        return self.place[0].format(**dict(self))

    @property
    def sort(self) -> str:
        """The sort key."""
        return self.place[1].format(**dict(self))

    def expired(self, now: datetime) -> bool:
        """Whether it need not be there: the table forgets some days late."""
        return self.expires_at is not None and self.expires_at <= now.timestamp()


def application_partition(application: str) -> str:
    """Where an application's releases, lock and live versions lie."""
    return f"APP#{application}"


def release_partition(release_id: str) -> str:
    """Where all that belongs to one release lies."""
    return f"RELEASE#{release_id}"


def token_partition(release_id: str) -> str:
    """Where the task tokens of a release lie."""
    return f"TOKENS#{release_id}"


def parse_item(kind: str, data: Mapping[str, Any]) -> Item:
    """The item of this kind from its stored form. Raises ``KeyError`` for an unknown kind."""
    return Item.kinds[kind].model_validate(data)


class Application(Item):
    """The counter that numbers an application's releases."""

    kind: ClassVar[str] = "application"
    place: ClassVar = ("APPLICATIONS", "{name}")

    name: str
    last_number: int = 0


class Execution(Item):
    """Which release an execution of the state machine carries: planning twice gives one release."""

    kind: ClassVar[str] = "execution"
    place: ClassVar = ("EXECUTION#{arn}", "EXECUTION")

    arn: str
    application: str
    number: int


class Retreat(Model):
    """A release that only moved traffic: the stacks stayed with the one that it went back from."""

    of: str  # the release that was live
    to: str  # the one whose versions serve since
    ended: str = ""  # the release that had the lock, and was aborted for it


class Release(Item):
    """One release, as `list` and `history` show it."""

    kind: ClassVar[str] = "release"
    place: ClassVar = ("APP#{application}", "RELEASE#{number:08d}")

    application: str
    number: int
    phase: ReleasePhase
    artifact: ArtifactRef
    execution_arn: str
    retreat: Retreat | None = None  # traffic only
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""  # name of the error that ended it
    cause: str = ""  # its message

    @property
    def id(self) -> str:
        """The name that people use: ``shop-418``."""
        return f"{self.application}-{self.number}"

    @property
    def left(self) -> str:
        """The release that traffic was taken back from, by this one; "" for an ordinary release."""
        if self.retreat is None or self.phase is ReleasePhase.ABORTED:
            return ""
        return self.retreat.of


class Plan(Item):
    """The plan of a release, by reference from every state."""

    kind: ClassVar[str] = "plan"
    place: ClassVar = ("RELEASE#{plan.release.id}", "PLAN")

    plan: ReleasePlan


class TestRun(Item):
    """One test task."""

    __test__ = False
    kind: ClassVar[str] = "test"
    place: ClassVar = ("RELEASE#{release_id}", "TEST#{name}")

    release_id: str
    name: str
    outcome: Outcome
    build_id: str = ""
    url: str = ""  # where the log is
    seconds: float = 0.0
    cause: str = ""


class Stage(Item):
    """One stage of a release."""

    kind: ClassVar[str] = "stage"
    place: ClassVar = ("RELEASE#{release_id}", "STAGE#{order:02d}#{name}")

    release_id: str
    name: str
    order: int
    phase: StagePhase
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    cause: str = ""


class ChangeLine(Model):
    """One resource of a preview."""

    logical_id: str
    type: str
    change: str  # Add, Modify, Replace, Remove
    properties: tuple[str, ...] = ()
    kept: bool = False  # leaves the stack and goes on existing
    irreversible: str = ""  # what no rollback would bring back, "" when there is nothing


class ParameterLine(Model):
    """One parameter that changes. Those that Tidegate sets itself are left out, and secrets."""

    name: str
    old: str = ""
    new: str = ""


class FunctionLine(Model):
    """One function of a preview. A version's number is known when it is published, not before."""

    function: str  # logical id
    alias: str = ""  # "" when no alias of it is managed
    old_version: str = ""  # what serves; "" when nothing does
    publishes: bool = False  # a new version
    old_code: str = ""  # "sha256:<hex>", "" when there is none or it is not known
    new_code: str = ""
    not_canaried: tuple[str, ...] = ()  # what the weights of the alias do not cover


class SecurityLine(Model):
    """What a deployment opens to others, or no longer guards, of one resource."""

    logical_id: str
    what: str


class WarmLine(Model):
    """Provisioned concurrency of one function in a preview. Prices are estimates."""

    function: str  # logical id
    alias: str
    before: int = 0  # what the version that serves has
    wanted: int = 0  # what the candidate gets
    together: int = 0  # allocated at once, until the rollout is over
    seconds: int = 0  # that the strategy takes
    extra_usd: float = 0.0  # for the second version in that time
    by_alias: bool = False  # the alias has it itself: it can move only in one step


class Preview(Item):
    """What would be deployed to one target: shown to people, and what an approval binds to."""

    kind: ClassVar[str] = "preview"
    place: ClassVar = ("RELEASE#{release_id}", "PREVIEW#{stage}#{target}")

    release_id: str
    stage: str
    target: str
    change_set: str = ""  # ARN; empty when there is nothing to deploy
    digest: str  # over template, parameters and changes
    first_deployment: bool = False
    held: bool = False  # the stack is as wanted already, but its aliases are held back
    changes: tuple[ChangeLine, ...] = ()
    parameters: tuple[ParameterLine, ...] = ()
    functions: tuple[FunctionLine, ...] = ()
    firing: tuple[str, ...] = ()  # alarms of the stage that fired then: no part of the digest
    warms: tuple[WarmLine, ...] = ()
    unheeded: tuple[str, ...] = ()  # what the template asks for and the release will not do
    gates: tuple[str, ...] = ()  # what the commit changes of its own gates, against what is live
    security: tuple[SecurityLine, ...] = ()  # what it opens to others or no longer guards

    @property
    def nothing_to_deploy(self) -> bool:
        """Neither a resource, nor an alias, nor what is kept warm would change."""
        warm = any(line.before != line.wanted for line in self.warms)
        return not self.change_set and not self.held and not warm


class Decision(StrEnum):
    """How an approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Vote(Model):
    """What one person said."""

    who: str  # IAM identity
    approve: bool
    reason: str = ""
    at: datetime
    source: str = ""  # address or tool it came from
    proof: str = ""  # what they signed before STS: controller, deed, and digest of what was shown
    seal: str = ""  # of the controller, over all of it and what it is about: made when it was cast


class Approval(Item):
    """A request to people, bound to what they were shown."""

    kind: ClassVar[str] = "approval"
    place: ClassVar = ("RELEASE#{release_id}", "APPROVAL#{stage}")

    release_id: str
    stage: str
    decision: Decision
    digest: str  # over the artifact's digest and the previews' digests
    approvers: int  # how many distinct people the manifest asks to agree
    authors: tuple[str, ...] = ()  # of all that is not live yet
    author_may_approve: bool = True
    doubts: tuple[str, ...] = ()  # why a voter may be an author all the same: one more must agree
    requested_at: datetime
    deadline: datetime
    votes: tuple[Vote, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_one_author(cls, data: Any) -> Any:
        """An older Tidegate knew the author of one commit."""
        if isinstance(data, dict) and "author" in data:
            rest = {key: value for key, value in data.items() if key != "author"}
            return {"authors": (data["author"],), **rest}
        return data

    @property
    def needed(self) -> int:
        """How many distinct people must agree."""
        return self.approvers + bool(self.doubts)


class Token(Item):
    """A task token that waits for an answer. It never leaves the table."""

    kind: ClassVar[str] = "token"
    place: ClassVar = (
        "TOKENS#{release_id}",
        "{purpose}",
    )  # which viewers of the record may not read

    release_id: str
    purpose: str  # "approval#<stage>", "bake#<stage>#<target>", "hook#<id of the run>"
    token: str = Field(repr=False)


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
    """The probes of one look at one function: so many to each of its versions."""

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
    foreign: str = ""  # an alias in a state that is not ours, as it was seen once
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
    heard: tuple[str, ...] = ()  # marks of the wishes and calls that the last look knew of
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


class StackLine(Model):
    """One thing that CloudFormation did."""

    id: str
    at: datetime
    logical_id: str
    type: str
    status: str  # CloudFormation's own word
    reason: str = ""
    of_stack: bool = False  # to the stack as a whole

    @property
    def failed(self) -> bool:
        """It went wrong."""
        return self.status.endswith("_FAILED")

    @property
    def moving(self) -> bool:
        """CloudFormation was at work with it then."""
        return self.status.endswith("_IN_PROGRESS")


class StackLog(Item):
    """What CloudFormation did to a stack in one operation of a rollout, as far as it was seen."""

    kind: ClassVar[str] = "stack-log"
    place: ClassVar = ("RELEASE#{release_id}", "STACK#{stage}#{target}#{operation}")

    release_id: str
    stage: str
    target: str
    operation: str  # deploy, finish, restore, delete
    since: datetime  # when it was first looked at
    newest: str = ""  # id of the last event that was seen: the next look goes on after it
    status: str = ""  # of the stack, as its events say
    seen: int = 0  # how many events
    events: tuple[StackLine, ...] = ()  # the newest of them, oldest first
    under_way: tuple[StackLine, ...] = ()  # resources that CloudFormation works on, newest last
    failures: tuple[StackLine, ...] = ()  # the first ones
    unread: str = ""  # why the last look saw nothing


class PairSeen(Model):
    """What a look saw of one alias that no look before had seen so."""

    function: str
    alias: str
    stable: str  # version
    candidate: str  # version
    # Start in epoch seconds; requests and errors of stable, then of the candidate.
    bins: tuple[tuple[int, int, int, int, int], ...] = ()
    # Start; requests and how many were slower than each edge, of stable, then of the candidate.
    latency: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...] = ()


class MetricSeen(Model):
    """What a look saw of a user's metric that no look before had seen so."""

    name: str
    values: tuple[tuple[int, float], ...] = ()  # start in epoch seconds, value


class ComparedSeen(Model):
    """What a look saw of a metric by version that no look before had seen so."""

    name: str
    pairs: tuple[PairSeen, ...] = ()


class WishSeen(Model):
    """An operator's wish, as a decision saw it."""

    verb: str
    who: str
    reason: str
    weight: float = 0.0  # of set-weight


class Seen(Model):
    """What a look adds to those before it: all of them together let its decision be taken again."""

    weight: float  # what the candidates had
    step: int  # index of the step that the rollout was at; -1 before the first
    step_started_at: datetime | None = None
    step_began_with: int = 0
    period_seconds: int = 60  # of the bins
    pairs: tuple[PairSeen, ...] = ()
    metrics: tuple[MetricSeen, ...] = ()
    compared: tuple[ComparedSeen, ...] = ()
    firing: tuple[str, ...] = ()  # alarms
    wishes: tuple[WishSeen, ...] = ()
    as_of: datetime | None = None  # the last look's time, when what was heard since decided


class Tick(Item):
    """One look at a rollout: what was seen, what was decided."""

    kind: ClassVar[str] = "tick"
    place: ClassVar = ("RELEASE#{release_id}", "TICK#{stage}#{target}#{number:06d}")

    release_id: str
    stage: str
    target: str
    number: int
    at: datetime
    action: str  # set-weight, hold, promote, restore
    weight: float
    why: str
    verdict: Verdict
    seen: Seen | None = None  # what ticks of earlier versions of Tidegate did not keep


class HookRun(Item):
    """One validation hook."""

    kind: ClassVar[str] = "hook"
    place: ClassVar = ("RELEASE#{release_id}", "HOOK#{stage}#{target}#{when}#{function}")

    release_id: str
    stage: str
    target: str
    when: str  # pre-traffic, post-traffic
    function: str
    outcome: Outcome
    attempt: int = 1  # rises when a run was lost before its outcome was known
    began_at: datetime | None = None
    seconds: float = 0.0
    cause: str = ""
    deadline: datetime | None = None  # until when it may answer later; none: it must at once
    heartbeat_seconds: int = 0  # it is given up when nothing is heard for so long
    heard_at: datetime | None = None  # the last sign of life of one that answers later
    secret_digest: str = ""  # of the secret that its answer must bring; kept nowhere itself

    @property
    def id(self) -> str:
        """What an answer calls the run by: it says nothing that is secret."""
        return f"{self.release_id}/{self.stage}/{self.target}/{self.when}/{self.function}"

    @model_validator(mode="before")
    @classmethod
    def _without_log(cls, data: dict[str, Any]) -> dict[str, Any]:
        """What runs of earlier versions of Tidegate kept for ever is not taken over."""
        return {name: value for name, value in data.items() if name != "log_tail"}


class HookLog(Item):
    """The end of what a hook logged, which may hold anything: the table forgets it."""

    kind: ClassVar[str] = "hook-log"
    place: ClassVar = ("RELEASE#{release_id}", "HOOKLOG#{stage}#{target}#{when}#{function}")

    release_id: str
    stage: str
    target: str
    when: str
    function: str
    text: str = Field(repr=False)


class Notification(Item):
    """A message to people that was sent, or that cannot be."""

    kind: ClassVar[str] = "notification"
    place: ClassVar = ("RELEASE#{release_id}", "NOTICE#{stage}#{target}#{occasion}#{topic}")

    release_id: str
    stage: str
    target: str
    occasion: Occasion
    topic: str  # as the plan names it
    at: datetime
    error: str = ""  # why it cannot be sent


class Wish(Item):
    """What an operator asked of a release under way."""

    kind: ClassVar[str] = "wish"
    place: ClassVar = ("RELEASE#{release_id}", "WISH#{verb}")

    release_id: str
    verb: str  # abort, pause, promote, promote-full, set-weight
    who: str
    reason: str
    at: datetime
    active: bool = True  # False: taken back, as a pause is by `resume`
    weight: float = 0.0  # of set-weight

    @property
    def mark(self) -> str:
        """Tells this wish from an earlier one with the same verb."""
        return f"{self.sort}#{self.version}"


class Call(Item):
    """Something that happened at a target and is worth a look now: an alarm that fires."""

    kind: ClassVar[str] = "call"
    place: ClassVar = ("RELEASE#{release_id}", "CALL#{stage}#{target}")

    release_id: str
    stage: str
    target: str
    why: str
    at: datetime

    @property
    def mark(self) -> str:
        """Tells this call from an earlier one."""
        return f"{self.sort}#{self.version}"


class Deed(Item):
    """What an operator did with a release; nothing overwrites it."""

    kind: ClassVar[str] = "deed"
    place: ClassVar = ("RELEASE#{release_id}", "DEED#{at:%Y-%m-%dT%H:%M:%S.%f}#{verb}")

    release_id: str
    verb: str
    who: str
    source: str = ""
    reason: str = ""
    at: datetime


class Lender(Model):
    """Who had the lock before traffic went back, and gets it again to come to its end."""

    owner: str
    release_number: int


class Lock(Item):
    """Who may deploy an application now. ``fence`` rises with every owner."""

    kind: ClassVar[str] = "lock"
    place: ClassVar = ("APP#{application}", "LOCK")

    application: str
    owner: str = ""  # execution ARN; empty when free
    release_number: int = 0
    fence: int = 0
    since: datetime | None = None
    guarded_at: datetime | None = None  # the guardian found the owner gone and fenced it off
    lender: Lender | None = None
    newest: int = 0  # release that took traffic back while another had the lock: none older follows


class Waiter(Item):
    """A release in the queue for the lock."""

    kind: ClassVar[str] = "waiter"
    place: ClassVar = ("APP#{application}", "WAITER#{number:08d}")

    application: str
    number: int
    since: datetime


class Live(Item):
    """What a target serves: the last good artifact, and what a rollback goes back to."""

    kind: ClassVar[str] = "live"
    place: ClassVar = ("APP#{application}", "LIVE#{stage}#{target}")

    application: str
    stage: str
    target: str
    release_id: str
    artifact: ArtifactRef
    parameters: dict[str, str]
    versions: dict[str, str]  # "function:alias" -> version
    # Provisioned concurrency, by the alias's logical id.
    provisioned: dict[str, int] = Field(default_factory=dict)
    since: datetime


class PrunedFunction(Model):
    """The versions of one function that nobody needs, and what became of them."""

    function: str  # physical name
    spare: tuple[int, ...]  # neither among those that served well last nor referred to
    kept: tuple[int, ...] = ()
    deleted: tuple[int, ...] = ()
    failed: dict[str, str] = Field(default_factory=dict)  # version -> why it is still there


class Pruning(Item):
    """The last time that old versions were deleted at a target."""

    kind: ClassVar[str] = "pruning"
    place: ClassVar = ("APP#{application}", "PRUNING#{stage}#{target}")

    application: str
    stage: str
    target: str
    at: datetime
    dry_run: bool = False
    functions: tuple[PrunedFunction, ...] = ()
    error: str = ""  # why nothing could be deleted here
