"""How a rollout is judged: errors, latency, metrics of the user, probes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from tidegate.core.model.manifest.fields import check_distinct, pattern
from tidegate.core.model.placeholders import PLACEHOLDERS, placeholders
from tidegate.core.model.plan import (
    Checks,
    ComparedPolicy,
    ErrorPolicy,
    LatencyPolicy,
    MetricStat,
    TooFew,
    WhenFiringBefore,
    WorseWhen,
)
from tidegate.core.model.strategy import Spec
from tidegate.core.text.quantities import (
    Duration,
    Share,
    between_shares,
    describe,
    matching,
    problem,
    read_duration,
)

_TOO_FEW = {"extend": TooFew.RESTORE, "promote-after-hooks": TooFew.PROMOTE}


def _read_too_few(value: Any) -> Any:
    """Each by the longer name too that says what has been done until then."""
    return _TOO_FEW.get(value, value) if isinstance(value, str) else value


_METRIC_ID = r"^[a-z][A-Za-z0-9_]{0,100}$"
MetricId = Annotated[
    str,
    matching(_METRIC_ID, "an id of letters, digits and _ that begins with a small letter"),
    pattern(_METRIC_ID),
]


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
        check_distinct("metrics called", "Give each a name of its own.", names)
        return self
