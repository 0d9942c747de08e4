"""An application in memory: its builds are artifacts that the twins can deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tidegate.core.model.artifact import (
    SOURCE_FILE,
    ArtifactContents,
    Commit,
    Revision,
    TemplateDefaults,
    package_version_parameter,
)
from tidegate.core.model.manifest import Manifest, parse_manifest
from tidegate.core.model.plan import ArtifactRef, ManagedAlias, Provisioned
from tidegate.testing.artifacts import BUCKET, packages_of, store_artifact
from tidegate.testing.memory import MemoryArtifacts

__all__ = ["BUCKET", "MemoryApplication", "key_of"]

_HOOK = "hook"
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
    author: str = "Ada <ada@example.org>"  # of the commits that come next
    commits: dict[str, Commit] = field(default_factory=dict)  # by their ids, the oldest first
    provisioned: dict[str, int] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)  # of other regions
    layers: tuple[str, ...] = ()  # with the same code; the managed functions run with all of them
    resources: _Resources = field(default_factory=dict)  # more of them, of any type

    def build(self, code: str, *, role: str = "role", commit: str = "") -> ArtifactRef:
        """Store what a build of this code would make. The same code makes the same artifact.

        The code is a commit of its own, on top of those that there are.
        """
        template = json.dumps(self._template(code, role), sort_keys=True).encode()
        manifest = _parsed(self.manifest)
        files = {key_of(of): of.encode() for of in (code, _HOOK)} | {SOURCE_FILE: code.encode()}
        contents = ArtifactContents(
            application=manifest.application,
            manifest=manifest,
            template_sha256=hashlib.sha256(template).hexdigest(),
            packages=packages_of(files),
            aliases=self._aliases(code, role),
            functions=(*self.functions, *self.hooks),
            defaults=TemplateDefaults(provisioned=tuple(self._capacities())),
            revision=self._revision(
                commit or hashlib.sha256(code.encode()).hexdigest()[:12], f"Make it {code}"
            ),
        )
        return store_artifact(self.artifacts, contents, template, files, self.buckets)

    def commit(self, name: str, *authors: str) -> None:
        """Put a commit on top of the others, unless it is there already."""
        if name not in self.commits:
            parents = tuple(self.commits)[-1:]
            by = authors or (self.author,)
            self.commits[name] = Commit(id=name, parents=parents, authors=by)

    def _revision(self, commit: str, subject: str) -> Revision:
        self.commit(commit)
        place = list(self.commits).index(commit)
        history = tuple(reversed(list(self.commits.values())[: place + 1]))
        author = history[0].authors[0]
        return Revision(
            commit=commit, branch="main", author=author, subject=subject, history=history
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
        resources |= self.resources
        for layer in self.layers:
            content = {"Content": _package(code)}
            resources[layer] = {"Type": "AWS::Lambda::LayerVersion", "Properties": content}
        for alias in aliases:
            resources |= _managed(alias, code, role, self.layers)
        for hook in self.hooks:
            resources[hook] = _function(_HOOK, role)
        names = ["TidegateArtifactBucket", "Stage", *(alias.pin_parameter for alias in aliases)]
        names += [_capacity_parameter(function) for function in self.provisioned]
        names += [package_version_parameter(key_of(of)) for of in (code, _HOOK)]
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


def key_of(code: str) -> str:
    """Where a build stores this code: a package is named by its SHA-256."""
    return f"applications/hello/packages/{hashlib.sha256(code.encode()).hexdigest()}.zip"


@lru_cache(maxsize=16)
def _parsed(manifest: str) -> Manifest:
    return parse_manifest(manifest)


def _package(code: str) -> dict[str, Any]:
    key = key_of(code)
    return {
        "S3Bucket": {"Ref": "TidegateArtifactBucket"},
        "S3Key": key,
        "S3ObjectVersion": {"Ref": package_version_parameter(key)},
    }


def _function(code: str, role: str, layers: Iterable[str] = ()) -> dict[str, Any]:
    listed = {"Layers": [{"Ref": layer} for layer in layers]} if layers else {}
    properties = {"Code": _package(code), "Role": role, **listed}
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def _managed(alias: ManagedAlias, code: str, role: str, layers: Iterable[str] = ()) -> _Resources:
    pin = {"Ref": alias.pin_parameter}
    published = {"Fn::GetAtt": [alias.version_logical_id, "Version"]}
    of = {"FunctionName": {"Ref": alias.function}}
    return {
        alias.function: _function(code, role, layers),
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
