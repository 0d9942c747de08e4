"""Puts artifacts where a release in memory finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from tidegate.core.model.artifact import CONTENTS_FILE, SOURCE_FILE, ArtifactContents, Package
from tidegate.core.model.plan import ArtifactRef
from tidegate.testing.memory import MemoryArtifacts

BUCKET: Final = "tidegate-hello-111111111111-eu-west-1"  # as a pipeline names it


def packages_of(files: Mapping[str, bytes]) -> tuple[Package, ...]:
    """What an artifact says of these files, by their keys; one of them is the source."""
    return tuple(
        Package(key=key, sha256=hashlib.sha256(content).hexdigest())
        for key, content in files.items()
    )


def store_artifact(
    artifacts: MemoryArtifacts,
    contents: ArtifactContents,
    template: bytes,
    files: Mapping[str, bytes],
    buckets: Mapping[str, str] | None = None,
) -> ArtifactRef:
    """Store it as a build does; its reference. ``buckets`` are by region."""
    prefix = f"applications/{contents.application}/artifacts/{contents.digest().partition(':')[2]}"
    own = {
        contents.template: template,
        SOURCE_FILE: files[SOURCE_FILE],
        CONTENTS_FILE: contents.model_dump_json().encode(),
    }
    code = {key: content for key, content in files.items() if key != SOURCE_FILE}
    here = {**code, **{f"{prefix}/{name}": content for name, content in own.items()}}
    everything = {BUCKET: here} | dict.fromkeys((buckets or {}).values(), code)
    return ArtifactRef(
        application=contents.application,
        digest=contents.digest(),
        bucket=BUCKET,
        buckets=dict(buckets or {}),
        prefix=prefix,
        **contents.announced,
        versions={
            bucket: {key: artifacts.keep(bucket, key, content) for key, content in of.items()}
            for bucket, of in everything.items()
        },
    )
