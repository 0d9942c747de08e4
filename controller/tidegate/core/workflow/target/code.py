"""The bytes that functions run, compared with those that the artifact names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidegate.core.errors import CodeMismatch, StackBusy
from tidegate.core.model.artifact import ArtifactContents, is_inline, named_code
from tidegate.core.model.plan import ManagedAlias
from tidegate.core.model.record import Live, Rollout, application_partition
from tidegate.core.ports import StackState
from tidegate.core.workflow.records import find, rollouts_of
from tidegate.core.workflow.release.artifacts import read_contents, read_template
from tidegate.core.workflow.target.context import RolloutContext

_LATEST = "$LATEST"
_LAYER = "AWS::Lambda::LayerVersion"


def candidate_version(alias: ManagedAlias, state: StackState) -> str:
    """The version that this artifact published: the last part of the version's ARN.

    Raises ``StackBusy`` when the stack's description does not show it yet.
    """
    arn = state.resources.get(alias.version_logical_id)
    if arn is None:
        raise StackBusy(f"The stack does not show {alias.version_logical_id} yet.")
    return arn.rpartition(":")[2]


def check_code(context: RolloutContext, state: StackState) -> dict[str, str]:
    """What each function of the stack runs, by logical id, with the code that Lambda tells of it.

    Asked before any hook and any weight. Raises ``CodeMismatch`` when that, or the content of a
    layer, is not what the artifact names. What it does not name has to be what the stages before
    run. Code that is written in the template is the template's.
    """
    contents = read_contents(context.ports.artifacts, context.plan.artifact)
    template = read_template(context.ports.artifacts, context.plan.artifact, contents)
    found, differing = {}, list(_differing_layers(context, state, template, contents))
    for function in contents.functions:
        location = _property(template, function, "Code")
        if function not in state.resources or is_inline(location):
            continue
        expected = {"the artifact names": named_code(location, contents.packages)}
        if not all(expected.values()):
            expected = dict(_seen(context, function))
        for version in _versions(context, state, function):
            name = f"{state.resources[function]}:{version}"
            code = context.world.versions.code(state.resources[function], version)
            found[function] = code
            differing += [
                f"{name} runs {code}, and {who} {named}"
                for who, named in expected.items()
                if named != code
            ]
            differing += _without_layers(context, state, template, function, version)
    if differing:
        raise CodeMismatch(
            f"What was deployed at {context.place} is not what was built: {'; '.join(differing)}.",
            remedy="Nothing of it gets traffic. Find out who wrote to the artifact bucket or to the"
            " functions before anything else is released.",
        )
    return found


def _versions(context: RolloutContext, state: StackState, function: str) -> list[str]:
    """The candidates of the function; one without a managed alias serves what is not published."""
    candidates = [
        candidate_version(alias, state)
        for alias in context.plan.aliases
        if alias.function == function and alias.alias_logical_id in state.resources
    ]
    return list(dict.fromkeys(candidates)) or [_LATEST]


def _seen(context: RolloutContext, function: str) -> Iterator[tuple[str, str]]:
    """What else this release has deployed of the function, and what the stages before serve."""
    before = {stage.name for stage in context.plan.stages if stage.order < context.stage.order}
    ledger = context.ports.ledger
    lives = ledger.query(application_partition(context.plan.release.application), "LIVE#")
    rollouts = rollouts_of(ledger, context.plan.release.id)
    for live in lives:
        if isinstance(live, Live) and live.stage in before:
            place = {"stage": live.stage, "target": live.target}
            made = find(ledger, Rollout, release_id=live.release_id, **place)
            rollouts += [made] if made else []
    for rollout in rollouts:
        if code := rollout.code.get(function):
            yield f"{rollout.release_id} has at {rollout.stage} {rollout.target}", code


def _differing_layers(
    context: RolloutContext,
    state: StackState,
    template: Mapping[str, Any],
    contents: ArtifactContents,
) -> Iterator[str]:
    for layer in _layers(template, state):
        named = named_code(_property(template, layer, "Content"), contents.packages)
        if named and (code := context.world.versions.layer_code(state.resources[layer])) != named:
            yield f"{state.resources[layer]} holds {code}, and the artifact names {named}"


def _without_layers(
    context: RolloutContext,
    state: StackState,
    template: Mapping[str, Any],
    function: str,
    version: str,
) -> list[str]:
    """The layers of the stack that the template gives the function, and the version has not."""
    listed = _property(template, function, "Layers")
    asked = [part.get("Ref") for part in listed if isinstance(part, Mapping)]
    needed = [state.resources[layer] for layer in _layers(template, state) if layer in asked]
    has = context.world.versions.layers(state.resources[function], version) if needed else []
    name = f"{state.resources[function]}:{version}"
    return [f"{name} runs without the layer {layer}" for layer in needed if layer not in has]


def _layers(template: Mapping[str, Any], state: StackState) -> Iterable[str]:
    resources: Mapping[str, Any] = template["Resources"]
    return [
        name
        for name, resource in resources.items()
        if resource["Type"] == _LAYER and name in state.resources
    ]


def _property(template: Mapping[str, Any], logical_id: str, name: str) -> Any:
    """A property of a resource; nothing in it when it has none."""
    return template["Resources"][logical_id].get("Properties", {}).get(name) or {}
