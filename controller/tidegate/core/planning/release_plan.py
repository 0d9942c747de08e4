"""The plan of a release, from its artifact: every default filled in, every name checked."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Sequence

from tidegate.core.analysis.queries import MOST_PAIRS
from tidegate.core.errors import InputError
from tidegate.core.model.artifact import ArtifactContents, TemplateDefaults
from tidegate.core.model.manifest import (
    ApprovalSpec,
    ChecksSpec,
    CompareSpec,
    CountSpec,
    HookSpec,
    LatencyChecks,
    MetricCheck,
    NotificationSpec,
    ProbeSpec,
    StageSpec,
    TestSpec,
)
from tidegate.core.model.placeholders import placeholders
from tidegate.core.model.plan import (
    ApprovalPlan,
    ArtifactRef,
    Checks,
    ComparedPolicy,
    ErrorPolicy,
    HookPlan,
    LatencyPolicy,
    MetricPolicy,
    MetricQuery,
    MetricStat,
    NotificationPlan,
    ProbePlan,
    ReleasePlan,
    ReleaseRef,
    StagePlan,
    StrategyPlan,
    Target,
    TestPlan,
)
from tidegate.core.model.strategy import ALL_AT_ONCE, NAMED, expand_strategy

# By what a region's name begins with; all others are in `aws`.
_PARTITIONS = {
    "cn": "aws-cn",
    "eusc-de": "aws-eusc",
    "us-gov": "aws-us-gov",
    "us-iso": "aws-iso",
    "us-isob": "aws-iso-b",
    "eu-isoe": "aws-iso-e",
    "us-isof": "aws-iso-f",
}


def make_plan(
    release: ReleaseRef, artifact: ArtifactRef, contents: ArtifactContents
) -> ReleasePlan:
    """All that this release will do. What the manifest says wins over what the template says.

    Raises ``InputError`` when the artifact is not the release's, no function has an alias, or a
    hook is not in the template.
    """
    _check_application(release, artifact, contents)
    _check_aliases(contents)
    manifest = contents.manifest
    return ReleasePlan(
        release=release,
        artifact=artifact,
        aliases=contents.aliases,
        tests=tuple(_test(test, manifest.application) for test in manifest.tests),
        stages=tuple(_stage(i, stage, contents) for i, stage in enumerate(manifest.stages)),
        when_locked=manifest.when_locked,
    )


def _check_application(
    release: ReleaseRef, artifact: ArtifactRef, contents: ArtifactContents
) -> None:
    named = {
        "the release": release.application,
        "release.json": artifact.application,
        "artifact.json": contents.application,
        "the manifest": contents.manifest.application,
    }
    if len(set(named.values())) > 1:
        said = ", ".join(f"{name} in {where}" for where, name in named.items())
        raise InputError(
            f"The artifact is not this application's: it is {said}.", remedy="Build it again."
        )


def _check_aliases(contents: ArtifactContents) -> None:
    if contents.aliases:
        return
    functions = ", ".join(contents.functions) or "it has none"
    raise InputError(
        f"{contents.manifest.template}: no function has an alias, so there is no traffic to shift"
        f" (functions: {functions}).",
        remedy="Add `AutoPublishAlias: live` to each function that serves traffic.",
    )


def _test(test: TestSpec, application: str) -> TestPlan:
    return TestPlan(
        name=test.name,
        project=f"{application}-tests",
        buildspec=test.buildspec or _inline_buildspec(test.commands or ()),
        timeout_minutes=math.ceil(test.timeout.total_seconds() / 60),
    )


def _inline_buildspec(commands: Iterable[str]) -> str:
    """A buildspec is YAML, and JSON is YAML that needs no quoting rules."""
    phases = {"build": {"commands": list(commands)}}
    return json.dumps({"version": "0.2", "phases": phases}, indent=2)


def _stage(order: int, stage: StageSpec, contents: ArtifactContents) -> StagePlan:
    manifest = contents.manifest
    defaults = _in_force(stage, contents)
    return StagePlan(
        name=stage.name,
        order=order,
        waves=tuple(
            tuple(_target(stage, region, manifest.application) for region in wave)
            for wave in stage.region_waves
        ),
        strategy=_strategy(stage, defaults, manifest.template),
        checks=_checks(stage.checks, defaults, contents),
        pre_traffic=_hooks(
            (stage.hooks.pre_traffic, manifest.hooks.pre_traffic), defaults.pre_traffic, contents
        ),
        post_traffic=_hooks(
            (stage.hooks.post_traffic, manifest.hooks.post_traffic), defaults.post_traffic, contents
        ),
        approval=_approval(stage.approval),
        parameters=stage.parameters,
        provisioned=defaults.provisioned,
        when_not_canaryable=manifest.when_not_canaryable,
        on_first_failure=manifest.on_first_failure,
        forbid_irreversible=manifest.forbid_irreversible,
        keep_versions=manifest.keep_versions,
        notifications=_notifications(
            (stage.notifications, manifest.notifications), defaults.notifications
        ),
    )


def _in_force(stage: StageSpec, contents: ArtifactContents) -> TemplateDefaults:
    """A ``DeploymentPreference`` that is switched off is as good as none.

    Raises ``InputError`` when a hook would vanish with it, and the manifest does not say so.
    """
    asked, manifest = contents.defaults_of(stage.name), contents.manifest
    if asked.enabled:
        return asked
    for key, hooks in (("pre_traffic", asked.pre_traffic), ("post_traffic", asked.post_traffic)):
        silent = all(getattr(by.hooks, key) is None for by in (stage, manifest))
        if hooks and silent:
            raise InputError(
                f"{manifest.template}: DeploymentPreference is switched off, and with it the hook"
                f" {hooks[0]} of stage {stage.name}.",
                remedy=f"If that is wanted, write `hooks: {{{key}: []}}` into the manifest.",
            )
    return TemplateDefaults(enabled=False, provisioned=asked.provisioned)


def _target(stage: StageSpec, region: str, application: str) -> Target:
    partition = _partition(region)
    return Target(
        account=stage.account,
        region=region,
        role_arn=stage.role or f"arn:{partition}:iam::{stage.account}:role/tidegate-target",
        stack_name=stage.stack or f"{application}-{stage.name}",
    )


def _partition(region: str) -> str:
    prefix = region.rsplit("-", 2)[0]
    return _PARTITIONS.get(prefix, "aws")


def _strategy(stage: StageSpec, defaults: TemplateDefaults, template: str) -> StrategyPlan:
    if stage.strategy is not None:
        return expand_strategy(stage.strategy)
    name = defaults.strategy or ALL_AT_ONCE
    if defaults.steps is not None:
        return StrategyPlan(name=name, steps=defaults.steps)
    if name not in NAMED:
        raise InputError(
            f'{template}: the DeploymentPreference has the type "{name}", whose steps only'
            " CodeDeploy knows.",
            remedy=f"Give the stage {stage.name} a `strategy` in the manifest.",
        )
    return expand_strategy(name)


def _checks(checks: ChecksSpec, defaults: TemplateDefaults, contents: ArtifactContents) -> Checks:
    errors = checks.errors
    return Checks(
        errors=ErrorPolicy(
            max_increase=errors.max_increase,
            min_samples=errors.min_samples,
            extend_seconds=round(errors.extend.total_seconds()),
            when_too_few=errors.when_too_few,
            probe=_probe(errors.probe, contents),
            proof=errors.proof,
        ),
        alpha=checks.alpha,
        latency=_latency(checks.latency),
        compared=tuple(_all_compared(checks.metrics, contents)),
        metrics=(
            *(_metric(metric) for metric in checks.metrics if metric.compare is None),
            *_event_metrics(checks, contents),
        ),
        alarms=defaults.alarms if checks.alarms is None else checks.alarms,
        when_firing_before=checks.when_firing_before,
    )


def _probe(probe: ProbeSpec | None, contents: ArtifactContents) -> ProbePlan | None:
    if probe is None:
        return None
    shifted = {alias.function for alias in contents.aliases}
    if unknown := [name for name in probe.payloads if name not in shifted]:
        raise InputError(
            f'{contents.manifest.template} has no function "{unknown[0]}" with an alias to probe.',
            remedy=f"There are {', '.join(sorted(shifted))}.",
        )
    return ProbePlan(
        payloads=probe.payloads,
        function=probe.function or "",
        per_minute=probe.per_minute,
    )


def _latency(latency: LatencyChecks | None) -> LatencyPolicy | None:
    if latency is None:
        return None
    return LatencyPolicy(
        tolerance=latency.tolerance, warm_up_seconds=round(latency.warm_up.total_seconds())
    )


def _all_compared(
    metrics: Iterable[MetricCheck], contents: ArtifactContents
) -> Iterator[ComparedPolicy]:
    """The metrics that are compared by version; all of them fit in an evaluation."""
    pairs = 0
    for metric in metrics:
        if metric.compare is not None:
            yield _compared(metric.name, metric.compare, contents)
            pairs += 1 if metric.compare.function else len(contents.aliases)
    if pairs > MOST_PAIRS:
        raise InputError(
            f"The metrics under `compare` count {pairs} pairs of versions, and at most"
            f" {MOST_PAIRS} can be looked at.",
            remedy="Name the `function` that each of them is about.",
        )


def _compared(name: str, compare: CompareSpec, contents: ArtifactContents) -> ComparedPolicy:
    functions = sorted({alias.function for alias in contents.aliases})
    _check_compared_function(name, compare, functions, contents.manifest.template)
    return ComparedPolicy(
        name=name,
        events=MetricStat(**dict(compare.events)),
        total=MetricStat(**dict(compare.of)) if compare.of else None,
        function=compare.function or "",
        worse_when=compare.worse_when,
        max_increase=compare.max_increase,
        min_samples=compare.min_samples,
    )


def _check_compared_function(
    name: str, compare: CompareSpec, functions: Sequence[str], template: str
) -> None:
    """A version's number means one function: the metric says which, or tells them apart."""
    if compare.function is not None:
        if compare.function not in functions:
            raise InputError(
                f'{template} has no function "{compare.function}" with an alias whose {name} could'
                " be compared.",
                remedy=f"There are {', '.join(functions)}.",
            )
        return
    counted = [compare.events, *([compare.of] if compare.of else [])]
    if len(functions) > 1 and not all(_tells_functions_apart(one) for one in counted):
        raise InputError(
            f"{name}: version 7 of which function? {template} has {len(functions)} with an alias.",
            remedy="Name the `function`, or write `{function}` into one of the dimensions.",
        )


def _tells_functions_apart(counted: CountSpec) -> bool:
    return any("function" in placeholders(value) for value in counted.dimensions.values())


def _metric(metric: MetricCheck) -> MetricPolicy:
    stats = {"value": metric.stat} if metric.stat else metric.stats
    return MetricPolicy(
        query=MetricQuery(
            name=metric.name,
            expression=metric.expression or "",
            stats={id_: MetricStat(**dict(stat)) for id_, stat in stats.items()},
        ),
        at_most=metric.at_most,
        at_least=metric.at_least,
        periods=metric.periods,
        missing=metric.missing,
        or_before=metric.or_before,
    )


def _event_metrics(checks: ChecksSpec, contents: ArtifactContents) -> Iterator[MetricPolicy]:
    """Those that the template calls for; the manifest's own of the same name wins."""
    taken = {metric.name for metric in checks.metrics}
    if checks.events:
        yield from (one for one in contents.event_metrics if one.query.name not in taken)


def _approval(approval: ApprovalSpec | None) -> ApprovalPlan | None:
    if approval is None:
        return None
    return ApprovalPlan(
        approvers=approval.approvers,
        timeout_seconds=round(approval.timeout.total_seconds()),
        author_may_approve=approval.author_may_approve,
    )


def _hooks(
    said: tuple[tuple[HookSpec, ...] | None, ...],
    default: tuple[str, ...],
    contents: ArtifactContents,
) -> tuple[HookPlan, ...]:
    """The hooks of the first who says any: the stage, the application, the template."""
    by_default = tuple(HookSpec(function=function) for function in dict.fromkeys(default))
    hooks = next((hooks for hooks in said if hooks is not None), by_default)
    return tuple(_hook(hook, contents) for hook in hooks)


def _notifications(
    said: tuple[tuple[NotificationSpec, ...] | None, ...], default: tuple[NotificationPlan, ...]
) -> tuple[NotificationPlan, ...]:
    """Those of the first who says any: the stage, the application, the template."""
    specs = next((specs for specs in said if specs is not None), None)
    if specs is None:
        return default
    return tuple(NotificationPlan(topic=spec.topic, events=spec.events) for spec in specs)


def _hook(hook: HookSpec, contents: ArtifactContents) -> HookPlan:
    if not hook.function.startswith("arn:") and hook.function not in contents.functions:
        near = difflib.get_close_matches(hook.function, contents.functions, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        raise InputError(
            f'{contents.manifest.template} has no function "{hook.function}" to be a hook.',
            remedy=f"{hint}Name a function of the template by its logical id, or any by its ARN.",
        )
    return HookPlan(
        function=hook.function,
        timeout_seconds=round(hook.timeout.total_seconds()),
        heartbeat_seconds=round(hook.heartbeat.total_seconds()) if hook.heartbeat else 0,
    )
