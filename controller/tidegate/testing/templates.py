"""An application's own template and manifest, built in memory as often as a test wants."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tidegate.build.artifact import expand_for_stages, read_for_stages
from tidegate.build.package import PackageStore, package_code
from tidegate.build.regions import aws_partitions
from tidegate.build.source import source_root
from tidegate.build.template import Template
from tidegate.core.artifact import ArtifactContents
from tidegate.core.errors import InputError
from tidegate.core.manifest import Manifest, parse_manifest
from tidegate.core.plan import ArtifactRef
from tidegate.testing.memory import MemoryArtifacts

_BUCKET = "artifacts"


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
        contents, template = self._build(generation)
        digest = contents.digest()
        prefix = f"applications/{contents.application}/{digest.removeprefix('sha256:')}"
        artifacts.store(_BUCKET, f"{prefix}/artifact.json", contents.model_dump_json().encode())
        artifacts.store(_BUCKET, f"{prefix}/{contents.template}", template)
        return ArtifactRef(
            application=contents.application,
            digest=digest,
            bucket=_BUCKET,
            prefix=prefix,
            commit=contents.template_sha256[:12],
            author="author@example.org",
            subject=f"Change {generation}",
        )

    def _build(self, generation: int) -> tuple[ArtifactContents, bytes]:
        manifest = self._manifest()
        sam = read_for_stages(self.template, manifest)
        root = source_root(self.template.parent)
        package_code(sam, self.template, _NamedPackages(generation), root=root)
        _change_inline_code(sam, generation)
        expansion = expand_for_stages(sam, str(self.template), manifest)
        template = json.dumps(expansion.template, sort_keys=True).encode()
        contents = ArtifactContents(
            application=manifest.application,
            manifest=manifest,
            template_sha256=hashlib.sha256(template).hexdigest(),
            aliases=expansion.aliases,
            functions=expansion.functions,
            stage_defaults=expansion.defaults,
        )
        return contents, template

    def _manifest(self) -> Manifest:
        try:
            text = self.manifest.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.manifest} cannot be read: {error}.") from error
        return parse_manifest(text, str(self.manifest), aws_partitions())


class _NamedPackages(PackageStore):
    """Names packages without packing them: another generation is other code."""

    def __init__(self, generation: int) -> None:
        super().__init__(Path(), "packages")
        self._generation = generation

    def add_code(self, source: Path, **_options: object) -> str:
        return f"{self.prefix}/{source.name}-{self._generation}.zip"

    def add_file(self, source: Path, *, suffix: str = "") -> str:
        return f"{self.prefix}/{source.name}{suffix}"


def _change_inline_code(template: Template, generation: int) -> None:
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if isinstance(code := properties.get("InlineCode"), str):
            properties["InlineCode"] = f"{code}\n# {generation}\n"
