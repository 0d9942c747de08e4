"""What the core needs from the world, as narrow protocols. No boto3 on this side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from tidegate.core.plan import ArtifactRef, MetricQuery, Target
from tidegate.core.record import Item

ItemT = TypeVar("ItemT", bound=Item)


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime:
        """The present moment, aware of its zone."""


@dataclass(frozen=True, slots=True)
class AliasRef:
    """An alias by its physical names."""

    function: str  # function name
    alias: str


@dataclass(frozen=True, slots=True)
class AliasState:
    """An alias as it is: the version that gets the residual weight, and the weighted one."""

    version: str
    routes: Mapping[str, float]  # version -> weight, empty or one entry
    revision: str  # RevisionId, the optimistic lock


class Aliases(Protocol):
    """The routing of live aliases in one account and region."""

    def read(self, ref: AliasRef) -> AliasState:
        """Raises ``NotFound``."""

    def write(
        self, ref: AliasRef, *, version: str, routes: Mapping[str, float], expected_revision: str
    ) -> AliasState:
        """Set version and weights in one call. Raises ``AliasConflict`` when the revision moved."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An alias with the two versions that are compared."""

    ref: AliasRef
    stable: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one version in the window."""

    invocations: int = 0
    errors: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.invocations + other.invocations, self.errors + other.errors)


@dataclass(frozen=True, slots=True)
class Bin:
    """What both versions served in one period, usually a minute that is complete."""

    start: datetime
    stable: Counts
    candidate: Counts


@dataclass(frozen=True, slots=True)
class Slower:
    """How many of a version's requests took longer than each edge, in one period."""

    invocations: int
    slower: tuple[int, ...]  # one count per edge, in the order of the edges


@dataclass(frozen=True, slots=True)
class LatencyBin:
    """The durations of both versions in one period, as exceedances of the pair's edges."""

    start: datetime
    stable: Slower
    candidate: Slower  # counted at edges that are higher by the tolerance


@dataclass(frozen=True, slots=True)
class PairBins:
    """What the metrics say of one pair, period by period. Periods without requests are left out."""

    pair: Pair
    bins: tuple[Bin, ...] = ()
    period_seconds: int = 60  # the length of a bin
    before: Counts = Counts()  # what the alias served before the shift
    edges_ms: tuple[float, ...] = ()  # none: durations were not asked for, or cannot be compared
    latency: tuple[LatencyBin, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an alias served before the shift began."""

    served: Counts = Counts()
    seconds: float = 0.0  # that the counts cover
    edges_ms: tuple[float, ...] = ()  # percentiles of the durations, lowest first; none: no data


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric of the user in one period, summed over it, or as its statistic says."""

    start: datetime
    value: float


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """A metric of the manifest, by its name, and its complete periods."""

    name: str
    values: tuple[MetricValue, ...] = ()
    before: float | None = None  # the highest in the hour before the shift, where it is asked for


@dataclass(frozen=True, slots=True)
class Compared:
    """A metric of the manifest by version: its total as invocations, its events as errors."""

    name: str
    pairs: tuple[PairBins, ...] = ()  # none: the function whose versions it counts does not shift


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one look at a rollout saw: what ``judge`` judges."""

    pairs: tuple[PairBins, ...] = ()
    metrics: tuple[MetricSeries, ...] = ()
    compared: tuple[Compared, ...] = ()
    probes: tuple[PairBins, ...] = ()  # what Tidegate itself asked of both versions
    firing: tuple[str, ...] = ()  # the alarms that fire now
    baseline: tuple[str, ...] = ()  # those that fired before the candidate had any traffic
    moved_at: tuple[datetime, ...] = ()  # when the weight changed, the first time first
    requests_per_second: float = 0.0  # of the aliases, before the shift began

    @property
    def period(self) -> timedelta:
        """The length of a bin."""
        return timedelta(seconds=self.pairs[0].period_seconds if self.pairs else 60)


class Metrics(Protocol):
    """Lambda's metrics and CloudWatch's alarms in one account and region."""

    def bins(
        self,
        pairs: Sequence[Pair],
        since: datetime,
        until: datetime,
        edges_ms: Sequence[Sequence[float]] = (),
        tolerance: float = 0.0,
    ) -> list[PairBins]:
        """The periods that are complete, oldest first, from the one in which ``since`` lies.

        That first one is mixed: for a part of it the candidate had no traffic yet. Durations come
        where there are edges.
        ``edges_ms`` has one tuple per pair, or is empty. The candidate's edges are higher by the
        share ``tolerance``.
        """

    def baselines(
        self, refs: Sequence[AliasRef], since: datetime, until: datetime
    ) -> list[Baseline]:
        """What each alias served from about ``since`` to ``until``, whatever its versions were."""

    def series(
        self, queries: Sequence[MetricQuery], since: datetime, until: datetime
    ) -> list[MetricSeries]:
        """The same periods of the user's metrics. Raises ``ServiceRefused`` for a bad one."""

    def firing(self, alarms: Sequence[str]) -> list[str]:
        """The alarms among these that are in ALARM. Raises ``NotFound`` for an unknown one."""


class Change(StrEnum):
    """What a change set does to a resource."""

    ADD = "Add"
    MODIFY = "Modify"
    REPLACE = "Replace"
    REMOVE = "Remove"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One line of a preview."""

    logical_id: str
    type: str
    change: Change
    properties: tuple[str, ...] = ()
    may_replace: bool = False  # only when it is executed CloudFormation knows
    policy_action: str = ""  # what becomes of what is replaced or removed: "Delete", "Retain", ...


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that CloudFormation has computed. ``id`` is its ARN."""

    id: str
    stack_name: str
    first_deployment: bool
    changes: tuple[ResourceChange, ...]


@dataclass(frozen=True, slots=True)
class StackSpec:
    """What a stack is to be made from."""

    stack_name: str
    template_url: str  # s3://<bucket>/<key>[?versionId=<id>]; adapters make CloudFormation's of it
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack as it is. ``resources`` maps logical to physical ids, ``parameters`` are in force."""

    exists: bool
    status: str = ""  # CloudFormation's own word, "" when there is no stack
    reason: str = ""  # first failure of the last operation, for people
    parameters: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """An operation is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One thing that happened to a stack, or to a resource of it."""

    id: str
    at: datetime
    logical_id: str
    type: str
    status: str  # CloudFormation's own word
    reason: str = ""
    of_stack: bool = False  # it happened to the stack as a whole


class Stacks(Protocol):
    """CloudFormation in one account and region. Every call may be repeated with the same token."""

    def preview(self, spec: StackSpec, token: str) -> ChangeSet | None:
        """Make the change set once and describe it; None while it is being computed.

        Raises ``ChangeSetFailed`` with CloudFormation's reason, ``StackBusy``. A change set without
        changes is a ``ChangeSet`` with an empty ``changes``.
        """

    def execute(self, change_set: str, token: str) -> None:
        """Execute the change set with this ARN. Raises ``ChangeSetStale``."""

    def state(self, stack_name: str) -> StackState:
        """The stack as it is."""

    def events(self, stack_name: str, token: str, after: str = "") -> list[StackEvent]:
        """What the operation with this token has done so far, oldest first.

        ``after`` is the id of an event: only what came later. A stack that is not there has none.
        """

    def update(self, spec: StackSpec, token: str) -> bool:
        """Begin a direct update; False when there was nothing to update. Raises ``StackBusy``."""

    def delete(self, stack_name: str, token: str) -> None:
        """Begin to delete the stack; a stack that is not there is no error."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How an invocation ended. ``error`` is the error type that Lambda reports, "" on success."""

    payload: Any
    error: str = ""
    log_tail: str = ""


class Functions(Protocol):
    """Lambda functions and versions in one account and region."""

    def invoke(
        self,
        function: str,
        payload: Any,
        timeout_seconds: int,
        mark: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """Invoke and wait. A timeout is an ``Invocation`` with ``error``.

        The function finds ``mark`` in its client context, under ``custom``.
        """

    def canary_blockers(self, function: str, stable: str, candidate: str) -> list[str]:
        """Why a weighted alias cannot serve both versions (role, dead letters); often none."""


class Versions(Protocol):
    """Published versions in one account and region: what they are, who uses them, their end."""

    def code(self, function: str, version: str) -> str:
        """Digest of the version's package or image, ``sha256:<hex>``. Raises ``NotFound``.

        ``$LATEST`` is a version, too.
        """

    def layers(self, function: str, version: str) -> list[str]:
        """ARNs of the layers that the version runs with, in their order. Raises ``NotFound``."""

    def layer_code(self, layer: str) -> str:
        """Digest of the content of the layer with this ARN. Raises ``NotFound``."""

    def published(self, function: str) -> list[int]:
        """The numbers of all published versions, oldest first. Raises ``NotFound``."""

    def in_use(self, function: str) -> frozenset[int]:
        """The versions that any alias of the function sends traffic to."""

    def bypasses(self, function: str) -> list[str]:
        """Who calls the function without an alias: one phrase for each."""

    def delete(self, function: str, version: int) -> None:
        """Delete one version; one that is gone is no error."""


class Warmth(StrEnum):
    """How an allocation of provisioned concurrency stands, in Lambda's words."""

    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Provisioned concurrency of a version, or of an alias. ``reason`` says why it failed."""

    executions: int  # as they were asked for
    warmth: Warmth
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VersionState:
    """Whether a version can be invoked. One with SnapStart cannot until its snapshot is taken."""

    active: bool
    failed: bool = False
    reason: str = ""  # Lambda's, of a version that is not active


class Capacity(Protocol):
    """What keeps versions warm in one account and region: provisioned concurrency and snapshots."""

    def allocations(self, function: str) -> Mapping[str, Allocation]:
        """All provisioned concurrency of the function, by version or name of the alias.

        Raises ``NotFound``.
        """

    def allocate(self, function: str, qualifier: str, executions: int) -> None:
        """Begin to allocate, or change what is allocated.

        Raises ``WarmUpFailed`` when there is no room for it, ``NotFound``.
        """

    def release(self, function: str, qualifier: str) -> None:
        """Release what is allocated; nothing, or a version that is gone, is no error."""

    def version(self, function: str, version: str) -> VersionState:
        """Raises ``NotFound``."""


class Signals(Protocol):
    """Whether alarms and metrics tell anything at all, in one account and region."""

    def alarms(self, names: Sequence[str]) -> dict[str, str]:
        """CloudWatch's word for each alarm: OK, ALARM, INSUFFICIENT_DATA; missing ones are out."""

    def requests(self, ref: AliasRef, version: str, since: datetime, until: datetime) -> int:
        """How often the alias sent a request to this version."""


class Topics(Protocol):
    """SNS topics, as one account reaches them."""

    def publish(self, topic: str, subject: str, text: str) -> None:
        """Send a message to the topic with this ARN. Raises ``NotFound``."""


class Artifacts(Protocol):
    """What builds have stored."""

    def read(self, artifact_bucket: str, key: str, version: str = "") -> bytes:
        """The object in this version; "" is the present one.

        Raises ``ArtifactError`` when it is not there.
        """

    def sha256(self, artifact_bucket: str, key: str, version: str = "") -> str:
        """The SHA-256 of those bytes, hexadecimal, as the store itself has computed it.

        Raises ``ArtifactError`` when the object is not there, or was stored without one.
        """


class Ledger(Protocol):
    """The record. All writes are conditional on the version that was read."""

    def get(self, kind: type[ItemT], partition: str, sort: str) -> ItemT | None:
        """A strongly consistent read."""

    def put(self, item: ItemT) -> ItemT:
        """Write and return the item with its next version.

        An item with version 0 must not exist yet. Raises ``RecordConflict``.
        """

    def query(
        self, partition: str, prefix: str = "", *, newest_first: bool = False, limit: int = 0
    ) -> list[Item]:
        """The items of a partition in the order of their sort keys."""

    def delete(self, item: Item) -> None:
        """Raises ``RecordConflict`` when the item is not at this version; none is no error."""


class Callbacks(Protocol):
    """Answers to task tokens. All return False when the token is gone: a late answer is normal."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Let the waiting task succeed with this output."""

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Let the waiting task fail with this error."""

    def heartbeat(self, token: str) -> bool:
        """Let the waiting task wait on: whoever is to answer is alive."""


class Seals(Protocol):
    """Marks that the controller alone can make: whoever writes to the record cannot."""

    def seal(self, text: str) -> str:
        """The seal of this text."""

    def holds(self, text: str, seal: str) -> bool:
        """Whether it is the seal of this text; False for what is no seal at all."""


class Executions(Protocol):
    """Executions of the state machines."""

    def status(self, arn: str) -> str:
        """``RUNNING``, or the service's word for how it ended; "" when there is none (any more)."""

    def start(self, artifact: ArtifactRef, name: str) -> str:
        """Start a release of this artifact, as a pipeline does, and return the execution's ARN.

        The one that runs by this name with this artifact is not started twice. "" when one of this
        name is over: a name can be used once.
        """


class Bus(Protocol):
    """Where changes are told."""

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Tell everybody who listens."""


@dataclass(frozen=True, slots=True)
class TargetPorts:
    """What there is in one account and region that we deploy to."""

    aliases: Aliases
    metrics: Metrics
    stacks: Stacks
    functions: Functions
    versions: Versions
    signals: Signals
    topics: Topics
    capacity: Capacity


class Targets(Protocol):
    """The way into the accounts and regions that we deploy to."""

    def open(self, target: Target) -> TargetPorts:
        """Assume the target's role. Raises ``TidegateError`` when it refuses."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that the workflow needs from the world."""

    ledger: Ledger
    artifacts: Artifacts
    callbacks: Callbacks
    bus: Bus
    targets: Targets
    clock: Clock
    executions: Executions
    seals: Seals
    look_seconds: int = 60  # how often a baking rollout is looked at
