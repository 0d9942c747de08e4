"""What a template asks of a release and the release will not do: the manifest says otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tidegate.core.model.artifact import TemplateDefaults
from tidegate.core.model.plan import HookPlan, StagePlan


def unheeded(asked: TemplateDefaults, stage: StagePlan) -> Iterator[str]:
    """A sentence for each hook, alarm, message and strategy of the template that is left out."""
    here = f"in stage {stage.name}"
    if asked.strategy not in {"", stage.strategy.name}:
        yield f"The template's {asked.strategy} is not followed {here}: {stage.strategy.name} is."
    for when, names, hooks in (
        ("before", asked.pre_traffic, stage.pre_traffic),
        ("after", asked.post_traffic, stage.post_traffic),
    ):
        for name in _missing(names, {hook.function for hook in hooks}):
            yield f"The template's hook {name} does not run {when} traffic {here}{_rather(hooks)}."
    for name in _missing(asked.alarms, stage.checks.alarms):
        yield f"The template's alarm {name} is not watched {here}."
    told = {notification.topic for notification in stage.notifications}
    for topic in _missing([one.topic for one in asked.notifications], told):
        yield f"The template's topic {topic} is told nothing {here}."


def _missing(names: Collection[str], present: Collection[str]) -> Iterator[str]:
    return (name for name in names if name not in present)


def _rather(hooks: Collection[HookPlan]) -> str:
    return f": {', '.join(hook.function for hook in hooks)} does" if hooks else ""
