"""An application in memory: its builds are artifacts that the twins can deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.core.artifact import ArtifactContents, TemplateDefaults
from tidegate.core.manifest import parse_manifest
from tidegate.core.plan import ArtifactRef, ManagedAlias, Provisioned
from tidegate.testing.memory import MemoryArtifacts

BUCKET = "tidegate-hello-111111111111-eu-west-1"  # as its pipeline names it
_Resources = dict[str, dict[str, Any]]


@dataclass
class MemoryApplication:
    """Builds artifacts of an application whose functions all have the alias ``live``.

    ``functions`` are managed; ``hooks`` are functions without an alias; ``provisioned`` is what
    functions are to have of provisioned concurrency.
    """

    artifacts: MemoryArtifacts
    manifest: str
    functions: tuple[str, ...] = ("Hello",)
    hooks: tuple[str, ...] = ()
    author: str = "Ada <ada@example.org>"
    provisioned: dict[str, int] = field(default_factory=dict)

    def build(self, code: str, *, role: str = "role", commit: str = "") -> ArtifactRef:
        """Store what a build of this code would make. The same code makes the same artifact."""
        template = json.dumps(self._template(code, role), sort_keys=True).encode()
        manifest = parse_manifest(self.manifest)
        contents = ArtifactContents(
            application=manifest.application,
            manifest=manifest,
            template_sha256=hashlib.sha256(template).hexdigest(),
            aliases=self._aliases(code, role),
            functions=(*self.functions, *self.hooks),
            defaults=TemplateDefaults(provisioned=tuple(self._capacities())),
        )
        digest = contents.digest()
        prefix = f"applications/{manifest.application}/artifacts/{digest.removeprefix('sha256:')}"
        self.artifacts.store(BUCKET, f"{prefix}/artifact.json", contents.model_dump_json().encode())
        self.artifacts.store(BUCKET, f"{prefix}/{contents.template}", template)
        return ArtifactRef(
            application=manifest.application,
            digest=digest,
            bucket=BUCKET,
            prefix=prefix,
            commit=commit or hashlib.sha256(code.encode()).hexdigest()[:12],
            branch="main",
            author=self.author,
            subject=f"Make it {code}",
        )

    def _aliases(self, code: str, role: str) -> tuple[ManagedAlias, ...]:
        aliases = (_alias(function, code, role) for function in self.functions)
        return tuple(
            alias.model_copy(update={"capacity_parameter": _capacity_parameter(alias.function)})
            if alias.function in self.provisioned
            else alias
            for alias in aliases
        )

    def _capacities(self) -> Iterator[Provisioned]:
        for function, executions in self.provisioned.items():
            yield Provisioned(alias_logical_id=f"{function}Aliaslive", executions=executions)

    def _template(self, code: str, role: str) -> Mapping[str, Any]:
        aliases = self._aliases(code, role)
        resources: _Resources = {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {}}}
        for alias in aliases:
            resources |= _managed(alias, code, role)
        for hook in self.hooks:
            resources[hook] = _function("hook", role)
        names = ["TidegateArtifactBucket", "Stage", *(alias.pin_parameter for alias in aliases)]
        names += [_capacity_parameter(function) for function in self.provisioned]
        return {
            "Parameters": {name: {"Type": "String", "Default": ""} for name in names},
            "Resources": resources,
        }


def _alias(function: str, code: str, role: str) -> ManagedAlias:
    """The names that SAM gives: a version's logical id changes with what is published."""
    published = hashlib.sha256(f"{code} {role}".encode()).hexdigest()[:10]
    return ManagedAlias(
        function=function,
        alias="live",
        alias_logical_id=f"{function}Aliaslive",
        version_logical_id=f"{function}Version{published}",
        pin_parameter=f"TidegatePinnedVersion{function}Aliaslive",
    )


def _capacity_parameter(function: str) -> str:
    return f"TidegateProvisioned{function}Aliaslive"


def _function(code: str, role: str) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::Function", "Properties": {"Code": code, "Role": role}}


def _managed(alias: ManagedAlias, code: str, role: str) -> _Resources:
    pin = {"Ref": alias.pin_parameter}
    published = {"Fn::GetAtt": [alias.version_logical_id, "Version"]}
    of = {"FunctionName": {"Ref": alias.function}}
    return {
        alias.function: _function(code, role),
        alias.version_logical_id: {"Type": "AWS::Lambda::Version", "Properties": of},
        alias.alias_logical_id: {
            "Type": "AWS::Lambda::Alias",
            "Properties": {
                **of,
                "Name": alias.alias,
                "FunctionVersion": {"Fn::If": [f"{alias.pin_parameter}Is", pin, published]},
            },
        },
    }
