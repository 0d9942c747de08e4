"""What a stack is to be made from: template, parameters, and the pins that hold its aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidegate.core.model.artifact import (
    CONFIGURATIONS_PARAMETER,
    ArtifactContents,
    configurations,
    package_version_parameter,
)
from tidegate.core.model.plan import ArtifactRef, ManagedAlias, StagePlan, Target
from tidegate.core.ports import Aliases, Capacity, StackSpec, StackState
from tidegate.core.workflow.release.artifacts import template_key
from tidegate.core.workflow.target.routing import alias_ref

BUCKET_PARAMETER = "TidegateArtifactBucket"


def stack_spec(
    *,
    artifact: ArtifactRef,
    contents: ArtifactContents,
    stage: str,
    target: Target,
    parameters: Mapping[str, str],
    pins: Mapping[str, str],
    held: Mapping[str, str] | None = None,
) -> StackSpec:
    """The stack of this artifact. ``pins`` maps pin parameters to versions; the others are off.

    ``held`` says, by parameter, what provisioned concurrency an alias keeps that has it itself.

    Nothing in it names the release: a tag that changed with every release would make every
    resource a change, and a release that changes nothing could not be told from one that does.
    """
    aliases = {alias.pin_parameter: pins.get(alias.pin_parameter, "") for alias in contents.aliases}
    capacities = [alias.capacity_parameter for alias in contents.aliases]
    kept = {parameter: (held or {}).get(parameter, "") for parameter in capacities if parameter}
    return StackSpec(
        stack_name=target.stack_name,
        template_url=_template_url(artifact, contents),
        parameters={
            **parameters,
            BUCKET_PARAMETER: artifact.packages_in(target.region),
            **_package_versions(artifact, contents, target.region),
            **_configurations(contents, parameters),
            **aliases,
            **kept,
        },
        tags={"tidegate:application": artifact.application, "tidegate:stage": stage},
    )


def deployed_spec(
    artifact: ArtifactRef,
    contents: ArtifactContents,
    stage: StagePlan,
    target: Target,
    pins: Mapping[str, str],
    *,
    held: Mapping[str, str] | None = None,
) -> StackSpec:
    """The stack as the stage's plan wants it."""
    return stack_spec(
        artifact=artifact,
        contents=contents,
        stage=stage.name,
        target=target,
        parameters=stage.parameters,
        pins=pins,
        held=held,
    )


def _template_url(artifact: ArtifactRef, contents: ArtifactContents) -> str:
    key = template_key(artifact, contents)
    version = artifact.version(artifact.bucket, key)
    return f"s3://{artifact.bucket}/{key}" + (f"?versionId={version}" if version else "")


def _package_versions(
    artifact: ArtifactRef, contents: ArtifactContents, region: str
) -> dict[str, str]:
    """Which S3 versions a stack of this region takes; none when an older build named none."""
    bucket = artifact.packages_in(region)
    versions = {p.key: artifact.version(bucket, p.key) for p in contents.packages}
    return {package_version_parameter(key): v for key, v in versions.items() if v}


def _configurations(contents: ArtifactContents, parameters: Mapping[str, str]) -> dict[str, str]:
    """What makes a change of a parameter publish a version; {} when no function has parameters."""
    if not any(alias.inputs for alias in contents.aliases):
        return {}
    return {CONFIGURATIONS_PARAMETER: configurations(contents.aliases, parameters)}


def live_versions(
    managed: Iterable[ManagedAlias], state: StackState, aliases: Aliases
) -> dict[str, str]:
    """Pins for the aliases that the stack has: what each serves now."""
    return {
        alias.pin_parameter: aliases.read(alias_ref(alias, state)).version
        for alias in managed
        if alias.alias_logical_id in state.resources
    }


def pins_in_force(managed: Iterable[ManagedAlias], state: StackState) -> dict[str, str]:
    """The pins that the stack was last deployed with; those that are off are left out."""
    pins = {alias.pin_parameter: state.parameters.get(alias.pin_parameter, "") for alias in managed}
    return {parameter: version for parameter, version in pins.items() if version}


def apart(managed: Iterable[ManagedAlias], state: StackState, pins: Mapping[str, str]) -> bool:
    """Whether an alias serves another version than the stack has published, with no pin for it.

    ``pins`` are what the aliases serve. Somebody moved traffic and left the stack: before the alias
    can be shifted, the stack has to be told to hold it there.
    """
    managed = tuple(managed)
    told = pins_in_force(managed, state)
    return any(
        pins[alias.pin_parameter] not in {published, told.get(alias.pin_parameter)}
        for alias in managed
        if alias.pin_parameter in pins
        and (published := state.resources.get(alias.version_logical_id, "").rpartition(":")[2])
    )


def held_by_aliases(
    managed: Iterable[ManagedAlias], state: StackState, capacity: Capacity
) -> dict[str, str]:
    """What aliases hold themselves, by the parameter with which a stack leaves it to them."""
    held = {}
    for alias in managed:
        if alias.capacity_parameter and alias.alias_logical_id in state.resources:
            found = capacity.allocations(alias_ref(alias, state).function).get(alias.alias)
            if found is not None:
                held[alias.capacity_parameter] = str(found.executions)
    return held


def held_in_force(managed: Iterable[ManagedAlias], state: StackState) -> dict[str, str]:
    """What the stack was last deployed with of the aliases that have provisioned concurrency."""
    names = [alias.capacity_parameter for alias in managed]
    return {name: state.parameters[name] for name in names if state.parameters.get(name)}


def held_back(managed: Iterable[ManagedAlias], state: StackState) -> bool:
    """Whether a pin still holds an alias on another version than the stack has published."""
    pins = pins_in_force(managed := tuple(managed), state)
    return any(
        pins.get(alias.pin_parameter, published) != published
        for alias in managed
        if (published := state.resources.get(alias.version_logical_id, "").rpartition(":")[2])
    )
