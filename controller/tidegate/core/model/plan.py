"""What a release is going to do, in full, before it does anything."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Any

from pydantic import Field, field_validator

from tidegate.core.model.base import AccountId, Model, Seconds, Weight


class ReleaseRef(Model):
    """The release that a task works for; small enough to travel through every state."""

    id: str  # "shop-418"
    application: str
    number: int


class ArtifactRef(Model):
    """Where one build's output lies: the content of ``release.json``, the release's input.

    What it says of the commit is repeated from the artifact, and compared with it before it counts.
    """

    application: str
    digest: str  # "sha256:<hex>" over everything that is deployed, and who wrote it
    bucket: str
    buckets: dict[str, str] = Field(default_factory=dict)  # of the packages, in other regions
    prefix: str  # "applications/<application>/artifacts/<hex>"
    commit: str
    branch: str = ""
    author: str = ""
    subject: str = ""  # first line of the commit message, for people
    provenance: str = ""  # key of the build's statement; "" by an older build
    versions: dict[str, dict[str, str]] = Field(default_factory=dict)  # S3's, by bucket and key

    def version(self, bucket: str, key: str) -> str:
        """The version of the object that the build has stored; "" when an older build did."""
        return self.versions.get(bucket, {}).get(key, "")

    def packages_in(self, region: str) -> str:
        """The bucket from which functions of this region take their code."""
        return self.buckets.get(region, self.bucket)


class Step(Model):
    """A weight to go to and how long to hold it while watching."""

    weight: Weight
    bake_seconds: Seconds
    samples: int = Field(default=0, ge=0)  # the bake ends early with so many candidate requests


class AdaptivePlan(Model):
    """Weights that follow the evidence, so that few users are harmed before a fault is found."""

    budget: float = Field(default=10.0, gt=0.0)  # user requests that may be harmed until then
    first_weight: Weight = 0.1  # at most, for the first
    highest_weight: Weight = 0.5  # from here on a proof that it is no worse promotes
    at_most_seconds: Seconds = 3600  # promoted then if it is healthy, proven or not


class StrategyPlan(Model):
    """The steps before the promotion to all traffic; none of them means all at once."""

    name: str  # as the user wrote it: "canary", "LambdaLinear10PercentEvery1Minute"
    steps: tuple[Step, ...] = ()
    adaptive: AdaptivePlan | None = None  # instead of steps

    @field_validator("steps")
    @classmethod
    def _weights_rise(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if any(after.weight <= before.weight for before, after in pairwise(steps)):
            raise ValueError("the weights of a strategy must rise")
        return steps

    @property
    def splits(self) -> bool:
        """Both versions serve for a while."""
        return bool(self.steps) or self.adaptive is not None


class TooFew(StrEnum):
    """What to do when a bake is over and its extension too, with too few samples to judge."""

    PROMOTE = "promote"  # go on: the hooks have passed
    RESTORE = "restore"  # go back: nothing was proven
    PROBE = "probe"  # meanwhile send probes; go back when even they are too few
    HOLD = "hold"  # keep the weight until there is enough traffic, or a person decides


class WhenFiringBefore(StrEnum):
    """What to do when an alarm fires before the candidate has any traffic."""

    IGNORE = "ignore"  # it does not count in this rollout, and people are told
    REFUSE = "refuse"  # no traffic moves


class ProbePlan(Model):
    """Requests of Tidegate's own to both versions, where users send too few to judge."""

    payloads: dict[str, tuple[Any, ...]] = Field(default_factory=dict)  # by function's logical id
    function: str = ""  # instead: logical id or name of a function that returns them
    per_minute: int = Field(default=30, ge=1, le=600)  # to each version, of all functions


class ErrorPolicy(Model):
    """When errors make a candidate unhealthy."""

    max_increase: float = Field(default=0.05, ge=0.0, le=1.0)  # over the stable rate, absolute
    min_samples: int = Field(default=50, ge=1)  # candidate requests before judging
    extend_seconds: Seconds = 1800  # how long a bake may be extended to get them
    when_too_few: TooFew = TooFew.RESTORE
    probe: ProbePlan | None = None
    proof: bool = False  # a step also waits for the proof that the candidate is no worse


class LatencyPolicy(Model):
    """When durations make a candidate unhealthy."""

    tolerance: float = Field(default=0.1, ge=0.0, le=10.0)  # share by which it may be slower
    warm_up_seconds: Seconds = 180  # after each new weight, for which durations do not count


class MetricStat(Model):
    """One statistic of one metric in CloudWatch."""

    namespace: str
    metric: str
    dimensions: dict[str, str] = Field(default_factory=dict)  # values may be logical ids
    statistic: str = "Sum"


class MetricQuery(Model):
    """A metric of the user: one statistic, or metric math over several by their ids."""

    name: str
    stats: dict[str, MetricStat]
    expression: str = ""  # none: the only statistic itself


class MetricPolicy(Model):
    """When a metric of the user makes a candidate unhealthy."""

    query: MetricQuery
    at_most: float | None = None
    at_least: float | None = None
    periods: int = Field(default=3, ge=1)  # so many in a row beyond a bound
    missing: float | None = None  # what a period without data is taken for; none: no health
    or_before: bool = False  # what it reached in the hour before the shift is allowed too


class WorseWhen(StrEnum):
    """Which way a metric that is compared tells harm."""

    MORE = "more"  # its events are bad ones
    FEWER = "fewer"  # its events are good ones


class ComparedPolicy(Model):
    """When a metric of the user that tells versions apart makes a candidate unhealthy.

    Its events are to the total what failures are to requests.
    """

    name: str
    events: MetricStat  # values of dimensions may have {function}, {alias} and {version} in them
    total: MetricStat | None = None  # what the events are among; none: the function's requests
    function: str = ""  # logical id of the one whose versions are compared; "": of each
    worse_when: WorseWhen = WorseWhen.MORE
    max_increase: float = Field(default=0.05, ge=0.0, le=1.0)  # over stable's share, absolute
    min_samples: int = Field(default=50, ge=1)  # of the candidate's total before judging


class Checks(Model):
    """What the analysis looks at."""

    errors: ErrorPolicy = ErrorPolicy()
    alpha: float = Field(default=0.01, gt=0.0, lt=1.0)  # chance of a false alarm, all tests in all
    latency: LatencyPolicy | None = None
    compared: tuple[ComparedPolicy, ...] = ()  # metrics of which stable says what is right
    metrics: tuple[MetricPolicy, ...] = ()  # metrics of which a bound says it
    alarms: tuple[str, ...] = ()  # CloudWatch alarm names in the target account and region
    when_firing_before: WhenFiringBefore = WhenFiringBefore.IGNORE

    @property
    def tests(self) -> int:
        """How many tests share ``alpha``: each may give a false alarm with that part of it."""
        return 1 + (self.latency is not None) + len(self.compared)


class ApprovalPlan(Model):
    """Who must agree, and for how long we ask."""

    approvers: int = Field(default=1, ge=1)
    timeout_seconds: int = Field(default=86_400, ge=1)
    author_may_approve: bool = True


class HookPlan(Model):
    """A validation Lambda: a logical id of the stack, or a function name or ARN."""

    function: str
    timeout_seconds: int = Field(default=300, ge=1, le=86_400)
    heartbeat_seconds: int = Field(default=0, ge=0, le=3600)  # 0: it answers when it returns


class Trigger(StrEnum):
    """What people may want to be told of; CodeDeploy's trigger events, by their last word."""

    START = "start"  # the stack is being deployed
    READY = "ready"  # people are asked to approve
    SUCCESS = "success"  # the candidate serves all traffic for good
    ROLLBACK = "rollback"  # traffic goes back
    FAILURE = "failure"  # what was live before is live, or a person must look
    STOP = "stop"  # an operator or a newer release ended it


class NotificationPlan(Model):
    """Whom to tell of what."""

    topic: str  # ARN of an SNS topic, with the target's pseudo parameters; or a logical id
    events: tuple[Trigger, ...] = tuple(Trigger)


class TestPlan(Model):
    """One CodeBuild build among the parallel tests."""

    __test__ = False

    name: str
    project: str
    buildspec: str  # inline YAML, or a path in the source
    timeout_minutes: int = Field(default=30, ge=5, le=2160)


class Target(Model):
    """One stack in one account and region."""

    account: AccountId
    region: str
    role_arn: str
    stack_name: str

    @property
    def id(self) -> str:
        """Key of the target within its stage: ``123456789012/eu-west-1``."""
        return f"{self.account}/{self.region}"


class ManagedAlias(Model):
    """An alias that Tidegate moves, by its names in the expanded template."""

    function: str  # logical id of the function
    alias: str  # name of the alias: "live"
    alias_logical_id: str
    version_logical_id: str
    pin_parameter: str  # "TidegatePinnedVersion..."
    inputs: tuple[str, ...] = ()  # parameters that the function's configuration depends on
    # "TidegateProvisioned...": leaves an alias what the template gave it; "" where it gave none
    capacity_parameter: str = ""


class Provisioned(Model):
    """What the version behind an alias has of provisioned concurrency, and of what size."""

    alias_logical_id: str
    executions: int = Field(ge=1)
    memory_mb: int = Field(default=128, ge=1)  # as the function says it; a stack may know more
    architecture: str = "x86_64"


class WhenNotCanaryable(StrEnum):
    """What to do when a weighted alias cannot serve both versions."""

    REFUSE = "refuse"
    ALL_AT_ONCE = "all-at-once"


class WhenLocked(StrEnum):
    """What a release does when another one of its application is under way."""

    SUPERSEDE = "supersede"  # the newest goes next, and others that could still stop make room
    QUEUE = "queue"  # one after the other, in the order of their numbers
    REJECT = "reject"  # it ends at once


class OnFirstFailure(StrEnum):
    """What to do with a first deployment that fails its hooks: there is nothing to go back to."""

    DELETE = "delete"
    KEEP = "keep"


class StagePlan(Model):
    """One stage: where, how, and who must agree."""

    name: str
    order: int
    waves: tuple[tuple[Target, ...], ...]
    strategy: StrategyPlan
    checks: Checks = Checks()
    pre_traffic: tuple[HookPlan, ...] = ()
    post_traffic: tuple[HookPlan, ...] = ()
    approval: ApprovalPlan | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    provisioned: tuple[Provisioned, ...] = ()
    when_not_canaryable: WhenNotCanaryable = WhenNotCanaryable.REFUSE
    on_first_failure: OnFirstFailure = OnFirstFailure.DELETE
    forbid_irreversible: bool = False
    keep_versions: int = Field(default=5, ge=1)  # of each function, that served well
    notifications: tuple[NotificationPlan, ...] = ()

    def target(self, target_id: str) -> Target:
        """The target with this id. Raises ``KeyError`` when the stage has none."""
        return {t.id: t for wave in self.waves for t in wave}[target_id]


class ReleasePlan(Model):
    """All that a release will do. Stored in the ledger; states carry references to it."""

    release: ReleaseRef
    artifact: ArtifactRef
    aliases: tuple[ManagedAlias, ...]
    tests: tuple[TestPlan, ...]
    stages: tuple[StagePlan, ...]
    when_locked: WhenLocked = WhenLocked.SUPERSEDE

    def stage(self, name: str) -> StagePlan:
        """The stage with this name. Raises ``KeyError`` when there is none."""
        return {s.name: s for s in self.stages}[name]
