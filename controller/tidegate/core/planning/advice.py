"""What a person should know of a plan before it runs: allowed, but perhaps not what they want."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import HookPlan, ReleasePlan, StagePlan, TooFew
from tidegate.core.planning.ignored import unheeded

METRIC_PERIOD_SECONDS = 60  # the grain of Lambda's metrics: a shorter bake is judged by nothing


def advise(plan: ReleasePlan, contents: ArtifactContents) -> tuple[str, ...]:
    """One sentence for each thing worth a second look; none when there is nothing to say."""
    return (
        *contents.notices,
        *not_done(plan, contents),
        *_on_aliases(plan, contents),
        *_on_tests(plan),
        *_on_stages(plan),
    )


def not_done(plan: ReleasePlan, contents: ArtifactContents) -> Iterator[str]:
    """What the template asks for and the release will not do, stage by stage."""
    for stage in plan.stages:
        yield from unheeded(contents.defaults_of(stage.name), stage)


def _on_aliases(plan: ReleasePlan, contents: ArtifactContents) -> Iterator[str]:
    """Functions without a live alias serve new code as soon as the stack is updated."""
    managed = {alias.function for alias in plan.aliases}
    hooks = {hook.function for stage in plan.stages for hook in _hooks(stage)}
    for function in contents.functions:
        if function not in managed | hooks:
            yield (
                f"{function} has no alias that a release can move: its new code serves at once,"
                " in every stage. Give it `AutoPublishAlias: live`."
            )


def _on_tests(plan: ReleasePlan) -> Iterator[str]:
    if not plan.tests:
        yield "No tests: the first stage is the first to run the new code."


def _on_stages(plan: ReleasePlan) -> Iterator[str]:
    for stage in plan.stages:
        if not stage.pre_traffic:
            yield f"Stage {stage.name} has no pre-traffic hook: users are the first to call it."
        if any(step.bake_seconds < METRIC_PERIOD_SECONDS for step in stage.strategy.steps):
            yield (
                f"Stage {stage.name} bakes for less than {METRIC_PERIOD_SECONDS} s at a step:"
                " Lambda's metrics come by the minute, so that step cannot be judged."
            )
    *early, last = plan.stages
    yield from _on_traffic(early)
    if last.approval is None and not last.strategy.splits:
        yield f"Stage {last.name} goes all at once, and nobody is asked."


def _on_traffic(early: Iterable[StagePlan]) -> Iterator[str]:
    """Before the last stage there are mostly no users, and nothing comes of nothing."""
    for stage in early:
        errors = stage.checks.errors
        if stage.strategy.splits and errors.when_too_few is TooFew.RESTORE:
            yield (
                f"Stage {stage.name} goes back when a step ends with less than"
                f" {errors.min_samples} requests. Where no users call it, write `strategy:"
                " all-at-once`, or under `checks.errors` `when_too_few: promote` or `probe`."
            )


def _hooks(stage: StagePlan) -> tuple[HookPlan, ...]:
    return stage.pre_traffic + stage.post_traffic
