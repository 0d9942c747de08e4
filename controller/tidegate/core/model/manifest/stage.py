"""Tests, hooks, notifications, approvals, and the stages that have them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from tidegate.core.model.manifest.checks import ChecksSpec
from tidegate.core.model.manifest.fields import Name, Path, check_distinct, pattern
from tidegate.core.model.plan import Trigger
from tidegate.core.model.strategy import Spec, StrategySpec
from tidegate.core.text.quantities import (
    Duration,
    between,
    matching,
    problem,
    read_duration,
    write_duration,
)


def _check_account(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise problem(
            f"expected 12 digits in quotes, found the number {value}.",
            f'Write "{value:012d}": a number would lose its leading zeros.',
        )
    return value


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


def _read_trigger(value: Any) -> Any:
    """Each by CodeDeploy's name too: `DeploymentFailure`."""
    if isinstance(value, str) and value.startswith("Deployment"):
        return value.removeprefix("Deployment").lower()
    return value


_ACCOUNT = r"^[0-9]{12}$"
_REGION = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$"
_STACK = r"^[A-Za-z][A-Za-z0-9-]{0,127}$"
_ROLE = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"
TOPIC_ARN: Final = r"arn:\S+:sns:\S+:[A-Za-z0-9_-]{1,256}"
"""Of a topic that is not FIFO. It may have the pseudo parameters of its target."""
_TOPIC = rf"^({TOPIC_ARN}|[A-Za-z0-9]{{1,255}})$"
_PARAMETER = r"^[A-Za-z0-9]{1,255}$"
_LONGEST_INVOCATION = timedelta(minutes=15)  # by Lambda's own limit
Account = Annotated[
    str,
    BeforeValidator(_check_account),
    matching(_ACCOUNT, "the 12 digits of an AWS account"),
    pattern(_ACCOUNT),
]
Region = Annotated[str, matching(_REGION, "a region such as eu-west-1"), pattern(_REGION)]
StackName = Annotated[
    str,
    matching(_STACK, "a stack name of at most 128 letters, digits and hyphens"),
    pattern(_STACK),
]
RoleArn = Annotated[str, matching(_ROLE, "the ARN of an IAM role"), pattern(_ROLE)]
Topic = Annotated[
    str,
    matching(_TOPIC, "the ARN of an SNS topic that is not FIFO, or a logical id in the template"),
    pattern(_TOPIC),
]
Parameter = Annotated[
    str,
    BeforeValidator(_read_parameter),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
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
            check_distinct("hooks called", "Name each once.", names)
        return self


TriggerName: TypeAlias = Annotated[
    Trigger, BeforeValidator(_read_trigger, json_schema_input_type=Trigger | str)
]


class NotificationSpec(Spec):
    """People who are told, through an SNS topic."""

    topic: Topic
    """ARN of a topic, which may have `${AWS::Region}` and the like, or its logical id."""
    events: tuple[TriggerName, ...] = Field(default=tuple(Trigger), min_length=1)
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
        check_distinct("regions", "A stage deploys once to each region.", self.places())
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
