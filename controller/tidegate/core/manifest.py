"""The manifest, ``tidegate.yaml``: how an application is tested, where it goes, and how carefully.

Each class is a part of the file; the text below each key is its description in the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from tidegate.core.compare import PLACEHOLDERS, placeholders
from tidegate.core.errors import ManifestError
from tidegate.core.manifest_errors import explain
from tidegate.core.plan import (
    Checks,
    ComparedPolicy,
    ErrorPolicy,
    LatencyPolicy,
    MetricStat,
    Occasion,
    OnFirstFailure,
    TooFew,
    WhenFiringBefore,
    WhenLocked,
    WhenNotCanaryable,
    WorseWhen,
)
from tidegate.core.quantities import (
    Duration,
    Share,
    between,
    between_shares,
    describe,
    matching,
    problem,
    read_duration,
    write_duration,
)
from tidegate.core.regions import Partition, RegionProblem, region_problems
from tidegate.core.strategy import Spec, StrategySpec
from tidegate.core.yamltext import YamlDocument, dotted, read_yaml


def _check_account(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise problem(
            f"expected 12 digits in quotes, found the number {value}.",
            f'Write "{value:012d}": a number would lose its leading zeros.',
        )
    return value


def _check_path(path: str) -> str:
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        raise problem(
            f"expected a path inside the repository, found {describe(path)}.",
            "Name the file relative to the root of the source.",
        )
    return path


def _read_parameter(value: Any) -> Any:
    """CloudFormation parameters are text; a number or a truth value is clear enough to take."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


def _read_approval(value: Any) -> Any:
    if value is False:
        return None
    return {} if value is True else value


def _read_hook(value: Any) -> Any:
    return {"function": value} if isinstance(value, str) else value


_TOO_FEW = {"extend": TooFew.RESTORE, "promote-after-hooks": TooFew.PROMOTE}


def _read_too_few(value: Any) -> Any:
    """Each by the longer name too that says what has been done until then."""
    return _TOO_FEW.get(value, value) if isinstance(value, str) else value


def _read_occasion(value: Any) -> Any:
    """Each by CodeDeploy's name too: `DeploymentFailure`."""
    if isinstance(value, str) and value.startswith("Deployment"):
        return value.removeprefix("Deployment").lower()
    return value


def _check_distinct(
    what: str, mend: str, names: Iterable[tuple[str, tuple[str | int, ...]]]
) -> None:
    """Raise for the first name that was there before; each comes with the path that leads to it."""
    seen: set[str] = set()
    for name, at in names:
        if name in seen:
            raise problem(f"there are two {what} {describe(name)}.", mend, at)
        seen.add(name)


def _pattern(pattern: str) -> FieldInfo:
    """The pattern in the JSON Schema; `matching` checks it with a better message."""
    info: FieldInfo = Field(json_schema_extra={"pattern": pattern})
    return info


_NAME = r"^[a-z][a-z0-9-]{0,39}$"
_ACCOUNT = r"^[0-9]{12}$"
_REGION = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$"
_STACK = r"^[A-Za-z][A-Za-z0-9-]{0,127}$"
_ROLE = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"
TOPIC_ARN: Final = r"arn:\S+:sns:\S+:[A-Za-z0-9_-]{1,256}"
"""Of a topic that is not FIFO. It may have the pseudo parameters of its target."""
_TOPIC = rf"^({TOPIC_ARN}|[A-Za-z0-9]{{1,255}})$"
_METRIC_ID = r"^[a-z][A-Za-z0-9_]{0,100}$"
_PARAMETER = r"^[A-Za-z0-9]{1,255}$"
_LONGEST_INVOCATION = timedelta(minutes=15)  # by Lambda's own limit

Name = Annotated[
    str,
    matching(_NAME, "a name of at most 40 of a-z, 0-9 and hyphens that begins with a letter"),
    _pattern(_NAME),
]
Account = Annotated[
    str,
    BeforeValidator(_check_account),
    matching(_ACCOUNT, "the 12 digits of an AWS account"),
    _pattern(_ACCOUNT),
]
Region = Annotated[str, matching(_REGION, "a region such as eu-west-1"), _pattern(_REGION)]
StackName = Annotated[
    str,
    matching(_STACK, "a stack name of at most 128 letters, digits and hyphens"),
    _pattern(_STACK),
]
RoleArn = Annotated[str, matching(_ROLE, "the ARN of an IAM role"), _pattern(_ROLE)]
Topic = Annotated[
    str,
    matching(_TOPIC, "the ARN of an SNS topic that is not FIFO, or a logical id in the template"),
    _pattern(_TOPIC),
]
Path = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_check_path)]
Parameter = Annotated[
    str,
    BeforeValidator(_read_parameter),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
MetricId = Annotated[
    str,
    matching(_METRIC_ID, "an id of letters, digits and _ that begins with a small letter"),
    _pattern(_METRIC_ID),
]
ParameterName = Annotated[
    str,
    matching(_PARAMETER, "a parameter's name of letters and digits"),
]


class TestSpec(Spec):
    """One test: a CodeBuild build that runs in parallel with the others, before any stage."""

    __test__ = False

    name: Name
    """What the test is called in reports."""
    commands: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        default=None, min_length=1
    )
    """Shell commands, run in the root of the source; the first that fails fails the test."""
    buildspec: Path | None = None
    """A buildspec file in the source, instead of `commands`."""
    timeout: Annotated[Duration, between("5m", "36h")] = read_duration("30m")
    """How long the build may take (5m to 36h)."""

    @model_validator(mode="after")
    def _has_one_recipe(self) -> Self:
        if (self.commands is None) == (self.buildspec is None):
            found = "neither" if self.commands is None else "both"
            raise problem(
                f"expected either `commands` or `buildspec`, found {found}.",
                "Write the commands here, or name a buildspec file.",
            )
        return self


class HookSpec(Spec):
    """A validation Lambda."""

    function: Annotated[str, Field(min_length=1, max_length=256)]
    """Logical id of a function in the template, or a function's ARN."""
    timeout: Annotated[Duration, between("1s", "24h")] = read_duration("5m")
    """How long it may take (1s to 15m; to 24h with a `heartbeat`)."""
    heartbeat: Annotated[Duration, between("10s", "1h")] | None = None
    """It may answer later, and shows at least this often that it works (10s to 1h)."""

    @model_validator(mode="after")
    def _shows_that_it_works(self) -> Self:
        if self.heartbeat is None and self.timeout > _LONGEST_INVOCATION:
            raise problem(
                f"a hook that may take {write_duration(self.timeout)} needs a `heartbeat`.",
                "An invocation lasts 15 minutes at most. Write `heartbeat: 5m`, and let the hook"
                " answer later: docs/hooks.md.",
            )
        if self.heartbeat is not None and self.heartbeat >= self.timeout:
            raise problem(
                f"expected a `heartbeat` shorter than the `timeout` of"
                f" {write_duration(self.timeout)}, found {write_duration(self.heartbeat)}.",
                "Write how often it says that it works, such as `heartbeat: 5m`.",
            )
        return self


Hook: TypeAlias = Annotated[
    HookSpec,
    BeforeValidator(
        _read_hook, json_schema_input_type=HookSpec | Annotated[str, Field(min_length=1)]
    ),
]


class Hooks(Spec):
    """Validation Lambdas. A list that is left out falls back; an empty one means none."""

    pre_traffic: tuple[Hook, ...] | None = None
    """Run against the candidate before it gets any traffic."""
    post_traffic: tuple[Hook, ...] | None = None
    """Run after the candidate has all traffic."""

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        lists = {"pre_traffic": self.pre_traffic, "post_traffic": self.post_traffic}
        for key, hooks in lists.items():
            names = ((hook.function, (key, index)) for index, hook in enumerate(hooks or ()))
            _check_distinct("hooks called", "Name each once.", names)
        return self


_CHECKS = Checks()
_ERRORS = ErrorPolicy()


class ProbeSpec(Spec):
    """Requests of Tidegate's own to both versions, where users send too few to judge."""

    payloads: dict[str, tuple[JsonValue, ...]] = Field(default_factory=dict)
    """Events by the function's logical id; each version gets them in turn."""
    function: str | None = Field(default=None, min_length=1)
    """Instead: a function of the template that returns them as `payloads`."""
    per_minute: int = Field(default=30, ge=1, le=600)
    """How many are sent to each version in a minute."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.payloads) == (self.function is not None):
            found = "both" if self.payloads else "neither"
            raise problem(
                f"expected either `payloads` or `function`, found {found}.",
                "Write the events, or name a function that returns them.",
            )
        if empty := [name for name, events in self.payloads.items() if not events]:
            raise problem(f"{empty[0]} has no payload.", "Write at least one event.")
        return self


WhenTooFew: TypeAlias = Annotated[
    TooFew,
    BeforeValidator(
        _read_too_few, json_schema_input_type=TooFew | Literal["extend", "promote-after-hooks"]
    ),
]


class ErrorChecks(Spec):
    """When errors make a candidate unhealthy."""

    max_increase: Share = _ERRORS.max_increase
    """How far the candidate's error rate may lie above the stable version's, in points."""
    min_samples: int = Field(default=_ERRORS.min_samples, ge=1, le=1_000_000)
    """Requests that the candidate must have served before it is judged."""
    extend: Duration = read_duration(_ERRORS.extend_seconds)
    """How long a bake may be extended to get them."""
    probe: ProbeSpec | None = None
    """What to send when `when_too_few` is `probe`."""
    when_too_few: WhenTooFew = _ERRORS.when_too_few
    """And then: `restore`; `promote`, as the hooks have passed; `hold`; or `probe` meanwhile."""
    proof: bool = _ERRORS.proof
    """Whether a step also waits until the candidate is proven to be no worse."""

    @model_validator(mode="after")
    def _has_what_it_sends(self) -> Self:
        if (self.when_too_few is TooFew.PROBE) != (self.probe is not None):
            raise problem(
                "`when_too_few: probe` and `probe` belong together.",
                "Write for example `probe: {payloads: {HelloFunction: [{}]}}`.",
            )
        return self


_LATENCY = LatencyPolicy()


class LatencyChecks(Spec):
    """When durations make a candidate unhealthy."""

    tolerance: Annotated[Share, between_shares(0.01, 1)] = _LATENCY.tolerance
    """By how much longer the candidate's requests may take (1% to 100%)."""
    warm_up: Duration = read_duration(_LATENCY.warm_up_seconds)
    """How long durations do not count after each new weight: cold starts are no regression."""


class MetricStatSpec(Spec):
    """One statistic of one metric in CloudWatch."""

    namespace: Annotated[str, Field(min_length=1, max_length=255)]
    """The namespace, such as `AWS/Lambda`."""
    metric: Annotated[str, Field(min_length=1, max_length=255)]
    """The metric's name."""
    dimensions: dict[str, str] = Field(default_factory=dict, max_length=30)
    """Its dimensions; a value may be a logical id in the template."""
    statistic: Annotated[str, Field(min_length=1, max_length=50)] = "Sum"
    """`Sum`, `Average`, `Maximum`, `p99` and so on."""


def _check_placeholder(value: str) -> str:
    for name in placeholders(value):
        if name not in PLACEHOLDERS:
            raise problem(
                f"there is no placeholder {describe(name)}.",
                f"There are {', '.join(f'{{{known}}}' for known in PLACEHOLDERS)}.",
            )
    return value


class CountSpec(Spec):
    """What CloudWatch counts of one metric, for one version."""

    namespace: Annotated[str, Field(min_length=1, max_length=255)]
    """The namespace, such as that of your embedded metrics."""
    metric: Annotated[str, Field(min_length=1, max_length=255)]
    """The metric's name."""
    dimensions: dict[str, Annotated[str, AfterValidator(_check_placeholder)]] = Field(
        min_length=1, max_length=30
    )
    """Its dimensions; values may have `{version}`, `{function}` and `{alias}` in them."""
    statistic: Literal["Sum", "SampleCount"] = "Sum"
    """`Sum`, or `SampleCount` for the number of values."""

    @model_validator(mode="after")
    def _tells_versions_apart(self) -> Self:
        if not any("version" in placeholders(value) for value in self.dimensions.values()):
            raise problem(
                "no dimension tells stable and candidate apart.",
                'Write the one with the version, such as `version: "{version}"`.',
                ("dimensions",),
            )
        return self


_COMPARED = ComparedPolicy(name="", events=MetricStat(namespace="", metric=""))


class CompareSpec(Spec):
    """Events of the candidate against those of stable, by the test that judges errors."""

    events: CountSpec
    """What is counted, for each version by itself."""
    of: CountSpec | None = None
    """The total that the events are among; left out, the requests to the function."""
    function: str | None = Field(default=None, min_length=1)
    """Logical id of the function whose versions are meant; left out, each by its own."""
    worse_when: WorseWhen = _COMPARED.worse_when
    """Whether `more` events are worse, or `fewer`."""
    max_increase: Share = _COMPARED.max_increase
    """How far the candidate's share of what is bad may lie above stable's, in points."""
    min_samples: int = Field(default=_COMPARED.min_samples, ge=1, le=1_000_000)
    """Total of the candidate before it is judged."""


class MetricCheck(Spec):
    """A metric of yours: within bounds, or by version."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What it is called in reasons."""
    compare: CompareSpec | None = None
    """The candidate's against stable's; no bound is needed."""
    stat: MetricStatSpec | None = None
    """One statistic of one metric."""
    expression: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Instead of `stat`: CloudWatch metric math over `stats`."""
    stats: dict[MetricId, MetricStatSpec] = Field(default_factory=dict, max_length=10)
    """What the expression computes with, by the names that it uses."""
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    """Upper bound."""
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """Lower bound."""
    periods: int = Field(default=3, ge=1, le=60)
    """How many minutes in a row beyond a bound make the candidate unhealthy."""
    missing: float | None = Field(default=None, allow_inf_nan=False)
    """What a minute without data is taken for; left out, no data is no health."""
    or_before: bool = False
    """Whether what it reached in the hour before the shift is allowed too, above `at_most`."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.compare is not None:
            self._check_compared()
            return self
        if (self.stat is None) == (self.expression is None):
            raise problem(
                "expected one of `compare`, `stat` and `expression`.",
                "Compare versions, name one metric, or compute with some.",
            )
        if (self.expression is None) == bool(self.stats):
            raise problem("`expression` and `stats` belong together.", "Write both, or `stat`.")
        if self.at_most is None and self.at_least is None:
            raise problem(f"{self.name} has no bound.", "Write `at_most`, `at_least`, or both.")
        return self

    def _check_compared(self) -> None:
        """What is compared has neither bounds nor a value of its own."""
        others = [
            name
            for name, field in type(self).model_fields.items()
            if name not in {"name", "compare"}
            and getattr(self, name) != field.get_default(call_default_factory=True)
        ]
        if others:
            raise problem(
                f"`compare` and `{others[0]}` do not go together.",
                "Stable says what is right; for a bound, make it a metric of its own.",
            )


class ChecksSpec(Spec):
    """What is watched while traffic shifts."""

    errors: ErrorChecks = ErrorChecks()
    """The candidate's error rate against the stable version's."""
    alpha: Annotated[Share, between_shares(1e-6, 0.2)] = _CHECKS.alpha
    """Chance that a rollout of a candidate that is no worse is ever taken back by these tests."""
    latency: LatencyChecks | None = None
    """The candidate's durations against the stable version's; left out, they are not compared."""
    metrics: tuple[MetricCheck, ...] = Field(default=(), max_length=20)
    """Metrics of your own, with bounds or compared by version."""
    events: bool = True
    """Whether dead letters and iterator age of functions that events call are watched."""
    alarms: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] | None = None
    """CloudWatch alarms: logical ids in the template, or names."""
    when_firing_before: WhenFiringBefore = _CHECKS.when_firing_before
    """An alarm that fires before the shift: `ignore` it in this rollout, or `refuse` to begin."""

    @model_validator(mode="after")
    def _has_distinct_metrics(self) -> Self:
        names = ((one.name, ("metrics", index, "name")) for index, one in enumerate(self.metrics))
        _check_distinct("metrics called", "Give each a name of its own.", names)
        return self


OccasionName: TypeAlias = Annotated[
    Occasion, BeforeValidator(_read_occasion, json_schema_input_type=Occasion | str)
]


class NotificationSpec(Spec):
    """People who are told, through an SNS topic."""

    topic: Topic
    """ARN of a topic, which may have `${AWS::Region}` and the like, or its logical id."""
    events: tuple[OccasionName, ...] = Field(default=tuple(Occasion), min_length=1)
    """Of what: `start`, `ready`, `success`, `rollback`, `failure`, `stop`; default all."""


class ApprovalSpec(Spec):
    """Who must agree before the stage is deployed to."""

    timeout: Annotated[Duration, between("1s", "7d")] = read_duration("1d")
    """How long people are asked; after that the release ends."""
    approvers: int = Field(default=1, ge=1, le=20)
    """How many distinct people must approve."""
    author_may_approve: bool = True
    """Whether authors of what is not live yet are among them."""


class StageSpec(Spec):
    """An account and one or more regions."""

    name: Name
    """What the stage is called."""
    account: Account
    """The account's 12 digits, in quotes."""
    regions: tuple[Region, ...] | None = Field(default=None, min_length=1)
    """Where the stack is deployed, all at the same time."""
    waves: tuple[Annotated[tuple[Region, ...], Field(min_length=1)], ...] | None = Field(
        default=None, min_length=1
    )
    """Regions in groups, instead of `regions`: a wave starts when the one before has succeeded."""
    stack: StackName | None = None
    """Name of the stack; default `<application>-<stage>`."""
    role: RoleArn | None = None
    """Role that Tidegate assumes; default `tidegate-target` in the account."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """Parameters of the template."""
    approval: Annotated[
        ApprovalSpec | None,
        BeforeValidator(_read_approval, json_schema_input_type=bool | ApprovalSpec | None),
    ] = None
    """Ask people before deploying: `true`, or the settings."""
    strategy: StrategySpec | None = None
    """How traffic shifts; default what the template's `DeploymentPreference` says, else at once."""
    checks: ChecksSpec = ChecksSpec()
    """What is watched while traffic shifts."""
    hooks: Hooks = Hooks()
    """Validation Lambdas of this stage, instead of the application's."""
    notifications: tuple[NotificationSpec, ...] | None = Field(default=None, max_length=10)
    """Who is told of this stage, instead of the application's."""

    @property
    def region_waves(self) -> tuple[tuple[str, ...], ...]:
        """The regions in waves, however they were written."""
        return self.waves or (self.regions or (),)

    def places(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Each region with the path that leads to it."""
        for index, region in enumerate(self.regions or ()):
            yield region, ("regions", index)
        for number, wave in enumerate(self.waves or ()):
            for index, region in enumerate(wave):
                yield region, ("waves", number, index)

    @model_validator(mode="after")
    def _has_distinct_regions(self) -> Self:
        if (self.regions is None) == (self.waves is None):
            found = "neither" if self.regions is None else "both"
            raise problem(
                f"expected either `regions` or `waves`, found {found}.",
                "Write `regions: [eu-west-1]`, or `waves: [[eu-west-1], [us-east-1]]`.",
            )
        _check_distinct("regions", "A stage deploys once to each region.", self.places())
        return self

    @model_validator(mode="after")
    def _stays_in_its_account(self) -> Self:
        entered = self.role.split(":")[4] if self.role else self.account
        if entered != self.account:
            raise problem(
                f"`role` is of account {entered}, and the stage of {self.account}.",
                "Name a role of the stage's account; without `role` it is tidegate-target there.",
            )
        return self


class Manifest(Spec):
    """How Tidegate tests and releases an application."""

    version: Literal[1]
    """Version of this format."""
    application: Name
    """Name of the application; its stacks, releases and records are named after it."""
    template: Path = "template.yaml"
    """The SAM or CloudFormation template."""
    tests: tuple[TestSpec, ...] = ()
    """Run in parallel before the first stage; all must pass."""
    stages: tuple[StageSpec, ...] = Field(min_length=1)
    """Where the application goes, in this order."""
    hooks: Hooks = Hooks()
    """Validation Lambdas of every stage; default those of the template's `DeploymentPreference`."""
    notifications: tuple[NotificationSpec, ...] | None = Field(default=None, max_length=10)
    """Who is told; default what the template's `DeploymentPreference` says. None: `[]`."""
    on_first_failure: OnFirstFailure = OnFirstFailure.DELETE
    """What becomes of a first deployment that fails its hooks: `delete` or `keep`."""
    when_not_canaryable: WhenNotCanaryable = WhenNotCanaryable.REFUSE
    """When an alias cannot serve both versions (a changed role, say): `refuse` or `all-at-once`."""
    forbid_irreversible: bool = False
    """Refuse a release that would remove or replace what holds data: a table, a bucket, a queue."""
    keep_versions: int = Field(default=5, ge=1, le=1000)
    """How many versions of each function to keep, besides those in use."""

    when_locked: WhenLocked = WhenLocked.SUPERSEDE
    """When another release of the application is under way: `supersede`, `queue` or `reject`."""

    @model_validator(mode="after")
    def _has_distinct_names(self) -> Self:
        named: Mapping[str, tuple[TestSpec | StageSpec, ...]]
        named = {"tests": self.tests, "stages": self.stages}
        for key, items in named.items():
            names = ((item.name, (key, index, "name")) for index, item in enumerate(items))
            _check_distinct(f"{key} called", "Give each a name of its own.", names)
        return self


def parse_manifest(
    text: str, path: str = "tidegate.yaml", partitions: Sequence[Partition] = ()
) -> Manifest:
    """The manifest in this YAML text; ``path`` is for messages.

    Its regions must be of one of these ``partitions``; without any they are not checked. Raises
    ``ManifestError`` for the first thing that is wrong, by line; it lists all others.
    """
    document = read_yaml(text, path)
    try:
        manifest = Manifest.model_validate(document.data)
    except ValidationError as error:
        problems = explain(error, document, Manifest)
    else:
        found = region_problems(manifest, partitions) if partitions else ()
        problems = [_region_error(one, document) for one in found]
        if not problems:
            return manifest
    raise ManifestError.first_of(problems)


def _region_error(found: RegionProblem, document: YamlDocument) -> ManifestError:
    return ManifestError(
        found.message,
        path=document.path,
        line=document.line(found.at),
        key=dotted(found.at),
        mend=found.mend,
    )


class _SchemaWriter(GenerateJsonSchema):
    """Writes defaults as the manifest does, and no titles that only repeat the keys."""

    def encode_default(self, dft: Any) -> Any:
        return write_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of the manifest, for editors."""
    schema = Manifest.model_json_schema(schema_generator=_SchemaWriter)
    return {"$schema": _SchemaWriter.schema_dialect, **schema}
