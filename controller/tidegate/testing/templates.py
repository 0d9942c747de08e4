"""An application's own template and manifest, built in memory as often as a test wants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tidegate.build.artifact import expand_for_stages, read_for_stages
from tidegate.build.package import PackageStore, package_code
from tidegate.build.regions import aws_partitions
from tidegate.build.source import source_root
from tidegate.build.template import Template
from tidegate.core.errors import InputError
from tidegate.core.model.artifact import SOURCE_FILE, ArtifactContents, Commit, Revision
from tidegate.core.model.manifest import Manifest, parse_manifest
from tidegate.core.model.plan import ArtifactRef
from tidegate.testing.artifacts import packages_of, store_artifact
from tidegate.testing.memory import MemoryArtifacts

_AUTHOR: Final = "author@example.org"


@dataclass(frozen=True)
class TemplateApplication:
    """A template and a manifest. Each generation is a change of all code that they name."""

    template: Path
    manifest: Path

    def contents(self, generation: int) -> ArtifactContents:
        """What a build would say of it. Raises ``InputError`` as a build does."""
        return self._build(generation)[0]

    def store(self, generation: int, artifacts: MemoryArtifacts) -> ArtifactRef:
        """Put a generation's artifact where a release finds it."""
        contents, template, files = self._build(generation)
        return store_artifact(artifacts, contents, template, files)

    def _build(self, generation: int) -> tuple[ArtifactContents, bytes, Mapping[str, bytes]]:
        manifest = self._manifest()
        sam = read_for_stages(self.template, manifest)
        root = source_root(self.template.parent)
        store = _NamedPackages(generation)
        package_code(sam, self.template, store, root=root)
        _change_inline_code(sam, generation)
        expansion = expand_for_stages(sam, str(self.template), manifest)
        template = json.dumps(expansion.template, sort_keys=True).encode()
        files = {key: key.encode() for key in store.digests} | {SOURCE_FILE: template}
        contents = ArtifactContents(
            application=manifest.application,
            manifest=manifest,
            template_sha256=hashlib.sha256(template).hexdigest(),
            packages=packages_of(files),
            aliases=expansion.aliases,
            functions=expansion.functions,
            stage_defaults=expansion.defaults,
            revision=_revision(generation),
        )
        return contents, template, files

    def _manifest(self) -> Manifest:
        try:
            text = self.manifest.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.manifest} cannot be read: {error}.") from error
        return parse_manifest(text, str(self.manifest), aws_partitions())


def _revision(generation: int) -> Revision:
    """One commit for each generation, all by one author."""
    names = [f"generation-{number}" for number in range(generation, -1, -1)]
    history = tuple(
        Commit(id=name, parents=(parent,), authors=(_AUTHOR,)) for name, parent in pairwise(names)
    )
    last = Commit(id=names[-1], authors=(_AUTHOR,))
    return Revision(
        commit=names[0],
        author=_AUTHOR,
        subject=f"Change {generation}",
        history=(*history, last),
    )


class _NamedPackages(PackageStore):
    """Names packages without packing them: another generation is other code."""

    def __init__(self, generation: int) -> None:
        super().__init__(Path(), "packages")
        self._generation = generation

    def add_code(self, source: Path, **_options: object) -> str:
        return self._name(f"{source.name}-{self._generation}.zip")

    def add_file(self, source: Path, *, suffix: str = "") -> str:
        return self._name(f"{source.name}{suffix}")

    def _name(self, name: str) -> str:
        key = f"{self.prefix}/{name}"
        self.digests[key] = ""
        return key


def _change_inline_code(template: Template, generation: int) -> None:
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if isinstance(code := properties.get("InlineCode"), str):
            properties["InlineCode"] = f"{code}\n# {generation}\n"
