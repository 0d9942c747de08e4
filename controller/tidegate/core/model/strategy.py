"""Strategies: how traffic moves to a candidate, from what people write to a list of steps."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from tidegate.core.errors import InputError
from tidegate.core.model.base import Model
from tidegate.core.model.plan import AdaptivePlan, Step, StrategyPlan
from tidegate.core.text.quantities import (
    Duration,
    Share,
    ShiftWeight,
    describe,
    problem,
    read_duration,
    weight_from,
    write_share,
)

ALL_AT_ONCE = "all-at-once"
ADAPTIVE = "adaptive"
MOST_STEPS = 100


class Spec(Model):
    """A part of the manifest; the text below each key is its description in the JSON Schema."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Until(Spec):
    """A bake that ends with its samples."""

    samples: int = Field(ge=1, le=1_000_000_000)
    """Requests that the candidate must have served at this weight."""
    at_most: Duration
    """When the step ends, or is extended, even with fewer."""


class Watched(Spec):
    """A step is watched for a time, or until there are enough samples."""

    bake: Duration | None = None
    """How long the step is watched."""
    until: Until | None = None
    """Instead of `bake`: watched until the candidate has served so many requests."""

    @model_validator(mode="after")
    def _has_one_end(self) -> Self:
        if (self.bake is None) == (self.until is None):
            found = "neither" if self.bake is None else "both"
            raise problem(
                f"expected either `bake` or `until`, found {found}.",
                "Write `bake: 10m`, or `until: {samples: 500, at_most: 30m}`.",
            )
        return self

    def step(self, weight: float) -> Step:
        """The step of this length at a weight."""
        if self.until is not None:
            longest = self.until.at_most.total_seconds()
            return Step(weight=weight, bake_seconds=round(longest), samples=self.until.samples)
        return _step(weight, self.bake.total_seconds() if self.bake else 0)


class Canary(Watched):
    """One step, then all traffic."""

    weight: ShiftWeight
    """Share of the traffic that the candidate gets first."""

    @model_validator(mode="after")
    def _leaves_traffic_to_stable(self) -> Self:
        if self.weight >= 1:
            raise problem(
                "a canary's weight must be below 100%.",
                f"Write `strategy: {ALL_AT_ONCE}`, or `steps` that end at 100%.",
            )
        return self


class Linear(Spec):
    """Equal steps, the first at once, until the candidate has all traffic."""

    step: Annotated[Share, weight_from(1 / MOST_STEPS)]
    """Share of the traffic that each step adds."""
    every: Duration
    """How long each step is watched."""


class Exponential(Spec):
    """Steps that grow by a factor up to a weight, then all traffic."""

    start: ShiftWeight
    """Share of the traffic that the candidate gets first."""
    factor: float = Field(default=2.0, ge=1.1, le=1000, allow_inf_nan=False)
    """What each weight is multiplied by to give the next."""
    every: Duration
    """How long each step is watched."""
    up_to: ShiftWeight = 0.5
    """The last weight before all traffic."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.up_to < self.start:
            raise problem(
                f"up_to ({write_share(self.up_to)}) is below start ({write_share(self.start)}).",
                "Weights must rise.",
            )
        return self


class StepSpec(Watched):
    """One explicit step."""

    weight: ShiftWeight
    """Share of the traffic that the candidate gets."""


class Adaptive(Spec):
    """Weights that follow the evidence, so that few users are harmed before a fault is found."""

    budget: float = Field(default=AdaptivePlan().budget, ge=0.1, le=1e6, allow_inf_nan=False)
    """How many requests of users may be harmed until a fault is found, on the average."""
    first_weight: ShiftWeight = AdaptivePlan().first_weight
    """The first weight is never higher, however little traffic there is."""
    at_most: Duration = read_duration(AdaptivePlan().at_most_seconds)
    """When a healthy candidate is promoted although it is not proven to be no worse."""


class CanaryStrategy(Spec):
    """One step, then all traffic."""

    canary: Canary


class LinearStrategy(Spec):
    """Equal steps until the candidate has all traffic."""

    linear: Linear


class ExponentialStrategy(Spec):
    """Steps that grow by a factor."""

    exponential: Exponential


class AdaptiveStrategy(Spec):
    """Weights that follow the evidence."""

    adaptive: Adaptive


class ExplicitStrategy(Spec):
    """Steps one by one; a last one of 100% watches the candidate under all traffic."""

    steps: tuple[StepSpec, ...] = Field(min_length=1, max_length=MOST_STEPS)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        weights = [step.weight for step in self.steps]
        for index, (before, after) in enumerate(itertools.pairwise(weights), start=1):
            if after <= before:
                raise problem(
                    f"the weights must rise, but {write_share(after)}"
                    f" comes after {write_share(before)}.",
                    "Put the steps in rising order, each weight once.",
                    ("steps", index, "weight"),
                )
        return self


def _canary_steps(canary: Canary) -> Iterator[Step]:
    yield canary.step(canary.weight)


def _linear_steps(linear: Linear) -> Iterator[Step]:
    weight, count = linear.step, 1
    while weight < 1:
        yield _step(weight, linear.every.total_seconds())
        count += 1
        weight = _tidy(linear.step * count)


def _exponential_steps(exponential: Exponential) -> Iterator[Step]:
    weight = exponential.start
    while weight < exponential.up_to:
        yield _step(weight, exponential.every.total_seconds())
        weight = _tidy(weight * exponential.factor)
    yield _step(exponential.up_to, exponential.every.total_seconds())


def _explicit_steps(strategy: ExplicitStrategy) -> Iterator[Step]:
    for step in strategy.steps:
        yield step.step(step.weight)


def _adaptive(adaptive: Adaptive) -> AdaptivePlan:
    return AdaptivePlan(
        budget=adaptive.budget,
        first_weight=adaptive.first_weight,
        at_most_seconds=round(adaptive.at_most.total_seconds()),
    )


def _step(weight: float, bake_seconds: float) -> Step:
    return Step(weight=weight, bake_seconds=round(bake_seconds))


def _tidy(weight: float) -> float:
    """Without the dust of binary fractions: 0.3, not 0.30000000000000004."""
    return round(weight, 6)


def _codedeploy_presets() -> dict[str, tuple[Step, ...]]:
    """The predefined configurations of CodeDeploy for Lambda, by each of their three names."""
    short: dict[str, tuple[Step, ...]] = {"AllAtOnce": ()}
    for minutes in (5, 10, 15, 30):
        short[f"Canary10Percent{minutes}Minutes"] = (_step(0.1, minutes * 60),)
    for minutes in (1, 2, 3, 10):
        unit = "Minute" if minutes == 1 else "Minutes"
        short[f"Linear10PercentEvery{minutes}{unit}"] = tuple(
            _step(tenth / 10, minutes * 60) for tenth in range(1, 10)
        )
    prefixes = ("", "Lambda", "CodeDeployDefault.Lambda")
    return {f"{prefix}{name}": steps for prefix in prefixes for name, steps in short.items()}


NAMED: Mapping[str, tuple[Step, ...]] = {ALL_AT_ONCE: (), **_codedeploy_presets()}
"""The strategies that have a name: ours, and the presets of CodeDeploy."""

SHAPES = ("canary", "linear", "exponential", "steps", ADAPTIVE)
"""The strategies that have settings: a mapping with one of these keys."""


def unknown_strategy(name: str) -> tuple[str, str]:
    """The message and the remedy for a strategy that does not exist."""
    near = difflib.get_close_matches(name, [*SHAPES, *NAMED], n=1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    names = [shown for shown in NAMED if "Lambda" not in shown]
    known = f"With settings: {', '.join(SHAPES)}. By name: {', '.join(names)}."
    return f"there is no strategy {describe(name)}.", hint + known


def _check_shape(value: Any) -> Any:
    if isinstance(value, str):
        if value not in NAMED and value != ADAPTIVE:
            raise _unknown_or_without_settings(value)
    elif isinstance(value, dict):
        if len(value) != 1:
            raise problem(
                f"expected exactly one of {', '.join(SHAPES)}, found {len(value)} keys.",
                "A stage has one strategy.",
            )
        (shape,) = value
        if shape not in SHAPES:
            raise problem(*unknown_strategy(str(shape)))
    elif not isinstance(value, Spec):
        raise problem(
            f"expected the name of a strategy, or one of {', '.join(SHAPES)} with its settings,"
            f" found {describe(value)}."
        )
    return value


def _unknown_or_without_settings(name: str) -> Exception:
    if name in SHAPES:
        return problem(
            f"the strategy {describe(name)} needs its settings.",
            "Write for example `strategy: {canary: {weight: 10%, bake: 5m}}`.",
        )
    return problem(*unknown_strategy(name))


def _shape_of(value: Any) -> str:
    if isinstance(value, str):
        return "name"
    shape: str = next(iter(value if isinstance(value, dict) else type(value).model_fields))
    return shape


_Name = Annotated[str, Tag("name"), WithJsonSchema({"enum": [ADAPTIVE, *NAMED], "type": "string"})]

StrategySpec: TypeAlias = Annotated[
    _Name
    | Annotated[CanaryStrategy, Tag("canary")]
    | Annotated[LinearStrategy, Tag("linear")]
    | Annotated[ExponentialStrategy, Tag("exponential")]
    | Annotated[ExplicitStrategy, Tag("steps")]
    | Annotated[AdaptiveStrategy, Tag(ADAPTIVE)],
    Discriminator(_shape_of),
    BeforeValidator(_check_shape),
]
"""A strategy as the manifest says it: a name, or a mapping with one key of ``SHAPES``."""


def expand_strategy(spec: StrategySpec) -> StrategyPlan:
    """The steps of a strategy. Raises ``InputError`` for a name that is not known."""
    match spec:
        case CanaryStrategy(canary=canary):
            return StrategyPlan(name="canary", steps=tuple(_canary_steps(canary)))
        case LinearStrategy(linear=linear):
            return StrategyPlan(name="linear", steps=tuple(_linear_steps(linear)))
        case ExponentialStrategy(exponential=exponential):
            return StrategyPlan(name="exponential", steps=tuple(_exponential_steps(exponential)))
        case ExplicitStrategy():
            return StrategyPlan(name="steps", steps=tuple(_explicit_steps(spec)))
        case AdaptiveStrategy(adaptive=adaptive):
            return StrategyPlan(name=ADAPTIVE, adaptive=_adaptive(adaptive))
    return _named(spec)


def _named(name: str) -> StrategyPlan:
    if name == ADAPTIVE:
        return StrategyPlan(name=name, adaptive=AdaptivePlan())
    if name not in NAMED:
        message, remedy = unknown_strategy(name)
        raise InputError(message, remedy=remedy)
    return StrategyPlan(name=name, steps=NAMED[name])
