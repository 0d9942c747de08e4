"""What a person sees of a deployment before it is made: resources, parameters, functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.core.errors import ChangeIrreversible
from tidegate.core.model.artifact import (
    PACKAGE_VERSION_PARAMETER,
    ArtifactContents,
    named_code,
    sha256_digest,
)
from tidegate.core.model.plan import ManagedAlias, Provisioned, StagePlan, Target
from tidegate.core.model.record import ChangeLine, FunctionLine, ParameterLine, Preview, WarmLine
from tidegate.core.planning.capacity import extra_usd, shift_seconds
from tidegate.core.ports import (
    Allocation,
    Change,
    ChangeSet,
    ResourceChange,
    StackSpec,
    StackState,
    TargetPorts,
)
from tidegate.core.template.bypasses import template_bypasses
from tidegate.core.template.clear_text import is_not_echoed
from tidegate.core.template.irreversible import irreversible, is_kept
from tidegate.core.template.security import Deployment
from tidegate.core.workflow.target.stack_spec import BUCKET_PARAMETER

# What a weighted alias needs alike in both of its versions.
_ALIKE = {"Role": "execution role", "DeadLetterConfig": "dead-letter target"}
_NEW = {Change.ADD, Change.REPLACE}


@dataclass(frozen=True)
class Prospect:
    """What is about to be deployed to one target, and what is there now."""

    stage: StagePlan
    target: Target
    contents: ArtifactContents
    template: Mapping[str, Any]
    spec: StackSpec
    before: StackState
    change_set: ChangeSet

    @property
    def changes(self) -> list[ResourceChange]:
        """The changes that somebody would see: a held alias is listed, and stays as it is."""
        pinned = {alias.alias_logical_id for alias in self.contents.aliases}
        return [change for change in self.change_set.changes if not _is_pin(change, pinned)]

    @property
    def deployment(self) -> Deployment:
        """The template, with what is known of the place that it goes to."""
        return Deployment(self.template, self.spec.parameters, self.target)

    def change_of(self, logical_id: str) -> ResourceChange | None:
        """What happens to this resource, if anything does."""
        return next((c for c in self.changes if c.logical_id == logical_id), None)


def make_preview(world: TargetPorts, release_id: str, prospect: Prospect) -> Preview:
    """Describe the prospect; nothing to describe when nothing changes."""
    lines = tuple(map(_line, prospect.changes))
    return Preview(
        release_id=release_id,
        stage=prospect.stage.name,
        target=prospect.target.id,
        change_set=prospect.change_set.id if lines else "",
        digest=_digest(prospect.contents.template_sha256, prospect.spec.parameters, lines),
        first_deployment=prospect.change_set.first_deployment,
        changes=lines,
        parameters=tuple(_parameters(prospect)) if lines else (),
        functions=tuple(_functions(world, prospect)) if lines else (),
    )


def preview_warms(
    world: TargetPorts, prospect: Prospect, live: Mapping[str, int]
) -> tuple[WarmLine, ...]:
    """Whose provisioned concurrency is allocated, twice while both versions need it, or released.

    ``live`` is what the last good artifact wanted, by the aliases' logical ids.
    """
    wanted = {one.alias_logical_id: one for one in prospect.stage.provisioned}
    return tuple(
        _warm(world, prospect, alias, wanted.get(alias.alias_logical_id))
        for alias in prospect.contents.aliases
        if alias.alias_logical_id in wanted or alias.alias_logical_id in live
    )


def _warm(
    world: TargetPorts, prospect: Prospect, alias: ManagedAlias, wanted: Provisioned | None
) -> WarmLine:
    serving = _version_served(prospect, alias)
    found: Mapping[str, Allocation] = {}
    if serving:
        found = world.capacity.allocations(prospect.before.resources[alias.function])
    held = found.get(alias.alias) or found.get(serving)
    before, after = held.executions if held else 0, wanted.executions if wanted else 0
    second = bool(serving) and alias.version_logical_id not in prospect.before.resources
    strategy = prospect.stage.strategy
    return WarmLine(
        function=alias.function,
        alias=alias.alias,
        before=before,
        wanted=after,
        together=before + after if second else after,
        seconds=shift_seconds(strategy),
        extra_usd=extra_usd(wanted, strategy) if wanted and second else 0.0,
        by_alias=alias.alias in found,
    )


def refuse_irreversible(preview: Preview) -> None:
    """Raises ``ChangeIrreversible`` for what no rollback would bring back."""
    said = [f"{c.logical_id} ({c.type}): {c.irreversible}" for c in preview.changes]
    lost = [line for line, c in zip(said, preview.changes, strict=True) if c.irreversible]
    if lost:
        raise ChangeIrreversible(
            f"{preview.stage} {preview.target} would lose data. {'; '.join(lost)}.",
            remedy="Keep the resource, or give it `DeletionPolicy: Retain` in a release of its own;"
            " to allow it, take `forbid_irreversible` out of the manifest.",
        )


def _line(change: ResourceChange) -> ChangeLine:
    return ChangeLine(
        logical_id=change.logical_id,
        type=change.type,
        change=change.change,
        properties=change.properties,
        kept=is_kept(change),
        irreversible=irreversible(change),
    )


def _is_pin(change: ResourceChange, pinned: set[str]) -> bool:
    """A managed alias that is held where it is: CloudFormation lists it, nobody would see it."""
    return (
        change.logical_id in pinned
        and change.change is Change.MODIFY
        and set(change.properties) <= {"FunctionVersion"}
    )


def _digest(template: str, parameters: Mapping[str, str], changes: tuple[ChangeLine, ...]) -> str:
    shown = [change.model_dump(mode="json") for change in changes]
    return sha256_digest({"template": template, "parameters": dict(parameters), "changes": shown})


def _parameters(prospect: Prospect) -> Iterator[ParameterLine]:
    """The parameters that change. CloudFormation tells no secret, so none can be compared."""
    aliases = prospect.contents.aliases
    ours = {BUCKET_PARAMETER, *(alias.pin_parameter for alias in aliases)}
    ours |= {alias.capacity_parameter for alias in aliases}
    declared: Mapping[str, Mapping[str, Any]] = prospect.template.get("Parameters", {})
    for name, declaration in sorted(declared.items()):
        old = prospect.before.parameters.get(name, "")
        new = prospect.spec.parameters.get(name, str(declaration.get("Default", "")))
        tells = name not in ours and not name.startswith(PACKAGE_VERSION_PARAMETER)
        if tells and old != new and not is_not_echoed(declaration):
            yield ParameterLine(name=name, old=old, new=new)


def _functions(world: TargetPorts, prospect: Prospect) -> Iterator[FunctionLine]:
    """The functions that a release moves, and those whose new code would serve at once."""
    managed = {alias.function: alias for alias in prospect.contents.aliases}
    hooks = {hook.function for hook in prospect.stage.pre_traffic + prospect.stage.post_traffic}
    for function in prospect.contents.functions:
        if alias := managed.get(function):
            yield _managed(world, prospect, alias)
        elif function not in hooks and prospect.change_of(function):
            why = "it has no alias: what is new serves at once"
            yield FunctionLine(
                function=function, new_code=_new_code(prospect, function), not_canaried=(why,)
            )


def _managed(world: TargetPorts, prospect: Prospect, alias: ManagedAlias) -> FunctionLine:
    function = alias.function
    old = _version_served(prospect, alias)
    physical = prospect.before.resources.get(function, "")
    publishes = alias.version_logical_id not in prospect.before.resources
    return FunctionLine(
        function=function,
        alias=alias.alias,
        old_version=old,
        publishes=publishes,
        old_code=world.versions.code(physical, old) if old else "",
        new_code=_new_code(prospect, function),
        not_canaried=tuple(_not_canaried(world, prospect, alias)) if publishes else (),
    )


def _version_served(prospect: Prospect, alias: ManagedAlias) -> str:
    """What the alias is held on; "" when it does not exist yet."""
    return prospect.spec.parameters.get(alias.pin_parameter, "")


def _not_canaried(world: TargetPorts, prospect: Prospect, alias: ManagedAlias) -> Iterator[str]:
    """What of this function's change the weights of its alias do not cover."""
    if not _version_served(prospect, alias):
        yield "nothing serves yet: the first version has all traffic at once"
    elif prospect.stage.strategy.splits:
        if prospect.spec.parameters.get(alias.capacity_parameter):
            yield "its alias has provisioned concurrency itself, which weights would freeze"
        for name in _changed_alike(prospect, alias.function):
            yield f"its {_ALIKE[name]} changes, which both versions of a weighted alias must share"
    from_template = template_bypasses(prospect.template, alias.function)
    yield from from_template
    physical = prospect.before.resources.get(alias.function)
    if physical and not from_template:
        yield from world.versions.bypasses(physical)


def _changed_alike(prospect: Prospect, function: str) -> list[str]:
    change = prospect.change_of(function)
    changed = change.properties if change else ()
    properties = prospect.template["Resources"][function].get("Properties", {})
    return [name for name in _ALIKE if name in changed and _is_new(prospect, properties.get(name))]


def _is_new(prospect: Prospect, value: Any) -> bool:
    """Whether a property that is listed as changed will be another.

    CloudFormation lists whatever refers to a resource that changes, though its name stays.
    """
    text = json.dumps(value)
    named = [change for change in prospect.changes if f'"{change.logical_id}' in text]
    return not named or any(change.change in _NEW for change in named)


def _new_code(prospect: Prospect, function: str) -> str:
    """Digest of the code that the template gives the function; "" when the artifact names none."""
    code = prospect.template["Resources"][function].get("Properties", {}).get("Code")
    return named_code(code, prospect.contents.packages)
