"""The manifest as a whole: reading it, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema

from tidegate.core.errors import ManifestError
from tidegate.core.model.manifest.fields import Name, Path, check_distinct
from tidegate.core.model.manifest.messages import explain
from tidegate.core.model.manifest.stage import Hooks, NotificationSpec, StageSpec, TestSpec
from tidegate.core.model.plan import OnFirstFailure, WhenLocked, WhenNotCanaryable
from tidegate.core.model.regions import Partition, RegionProblem, region_problems
from tidegate.core.model.strategy import Spec
from tidegate.core.text.quantities import write_duration
from tidegate.core.text.yaml_document import YamlDocument, dotted, read_yaml


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
            check_distinct(f"{key} called", "Give each a name of its own.", names)
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
        remedy=found.remedy,
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
