"""Reading what a build made, and trusting it only when its digests agree."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from tidegate.core.errors import ArtifactError
from tidegate.core.model.artifact import (
    CONTENTS_FILE,
    SOURCE_FILE,
    ArtifactContents,
    contents_digest,
)
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.ports import Artifacts

_REBUILD = "Build the commit again, and let nothing but the build write to the artifact bucket."


def check_place(artifact: ArtifactRef, account: str) -> None:
    """Whether it lies where builds of its application store: in buckets that its pipeline made.

    ``account`` is the controller's. Raises ``ArtifactError``: another place is another team's.
    """
    name = artifact.application
    for bucket in (artifact.bucket, *artifact.buckets.values()):
        if not re.fullmatch(rf"tidegate-{re.escape(name)}-{account}-[a-z0-9-]+", bucket):
            raise ArtifactError(
                f"Artifacts of {name} do not lie in the bucket {bucket}.",
                remedy=f"Its pipeline stores them in tidegate-{name}-{account}-REGION.",
            )
    if not re.fullmatch(rf"applications/{re.escape(name)}/artifacts/[0-9a-f]+", artifact.prefix):
        raise ArtifactError(
            f"Artifacts of {name} do not lie under {artifact.prefix}.",
            remedy=f"A build stores them under applications/{name}/artifacts/.",
        )


def read_contents(artifacts: Artifacts, artifact: ArtifactRef) -> ArtifactContents:
    """What the artifact holds. Raises ``ArtifactError`` unless it is what its digest names."""
    key = f"{artifact.prefix}/{CONTENTS_FILE}"
    place = f"s3://{artifact.bucket}/{key}"
    raw = artifacts.read(artifact.bucket, key, artifact.version(artifact.bucket, key))
    try:
        contents, found = _parsed(raw)
    except ValidationError as invalid:
        raise ArtifactError(f"{place} is not an artifact: {invalid}", remedy=_REBUILD) from invalid
    if found != artifact.digest:
        raise ArtifactError(
            f"{place} has the digest {found}, and {artifact.digest} was announced.",
            remedy=_REBUILD,
        )
    if contents.application != artifact.application:
        raise ArtifactError(
            f"{place} is of {contents.application}, and {artifact.application} was announced.",
            remedy=_REBUILD,
        )
    if contents.revision is not None:
        _check_announced(place, artifact, contents)
    return contents


@lru_cache(maxsize=4)
def _parsed(raw: bytes) -> tuple[ArtifactContents, str]:
    """What these bytes hold, and their digest: a task reads them several times."""
    return ArtifactContents.model_validate_json(raw), contents_digest(json.loads(raw))


def read_template(
    artifacts: Artifacts, artifact: ArtifactRef, contents: ArtifactContents
) -> Mapping[str, Any]:
    """The expanded template. Raises ``ArtifactError`` unless it is the one that was built.

    Asked before each use: CloudFormation takes the same version of the object.
    """
    key = template_key(artifact, contents)
    raw = artifacts.read(artifact.bucket, key, artifact.version(artifact.bucket, key))
    _compare(artifact.bucket, key, hashlib.sha256(raw).hexdigest(), contents.template_sha256)
    template: Mapping[str, Any] = json.loads(raw)
    return template


def check_packages(
    artifacts: Artifacts, artifact: ArtifactRef, contents: ArtifactContents, regions: Iterable[str]
) -> None:
    """Raises ``ArtifactError`` unless functions of these regions would find what was built."""
    for bucket in dict.fromkeys(artifact.packages_in(region) for region in regions):
        for key, sha256 in _code_packages(contents):
            _check(artifacts, artifact, bucket, key, sha256)


def check_source(artifacts: Artifacts, artifact: ArtifactRef, contents: ArtifactContents) -> None:
    """Raises ``ArtifactError`` unless the source to be tested is the one that was built."""
    for package in contents.packages:
        if package.key == SOURCE_FILE:
            _check(artifacts, artifact, artifact.bucket, source_key(artifact), package.sha256)


def require_versions(artifact: ArtifactRef, contents: ArtifactContents) -> None:
    """Raises ``ArtifactError`` when the reference leaves open which S3 version some object has."""
    packages = [key for key, _ in _code_packages(contents)]
    own = [template_key(artifact, contents), source_key(artifact)]
    needed = [(artifact.bucket, key) for key in own]
    needed += [(b, k) for b in (artifact.bucket, *artifact.buckets.values()) for k in packages]
    for bucket, key in needed:
        if not artifact.version(bucket, key):
            raise ArtifactError(
                f"The artifact {artifact.digest} does not say which S3 version of"
                f" s3://{bucket}/{key} it means, so others could put another one in its place.",
                remedy="An older Tidegate has built it: build the commit again.",
            )


def require_revision(artifact: ArtifactRef, contents: ArtifactContents) -> None:
    """Raises ``ArtifactError`` when the artifact says neither its commit nor who wrote it."""
    if contents.revision is None:
        raise ArtifactError(
            f"The artifact {artifact.digest} does not say which commit it was built from and who"
            " wrote it, so anybody could say it in its place.",
            remedy="An older Tidegate has built it: build the commit again.",
        )


def template_key(artifact: ArtifactRef, contents: ArtifactContents) -> str:
    """The template's key in the artifact bucket."""
    return f"{artifact.prefix}/{contents.template}"


def source_key(artifact: ArtifactRef) -> str:
    """The key of the source that is tested."""
    return f"{artifact.prefix}/{SOURCE_FILE}"


def _check_announced(place: str, artifact: ArtifactRef, contents: ArtifactContents) -> None:
    """People are told what ``release.json`` says of the commit: it is what was built."""
    for name, built in contents.announced.items():
        announced = getattr(artifact, name)
        if announced != built:
            raise ArtifactError(
                f'{place} was built from the {name} "{built}", and "{announced}" was announced.',
                remedy="Release it with the release.json that its build wrote.",
            )


def _code_packages(contents: ArtifactContents) -> Iterator[tuple[str, str]]:
    """Key and SHA-256 of each package that the template names."""
    for package in contents.packages:
        if package.key != SOURCE_FILE:
            yield package.key, package.sha256


def _check(artifacts: Artifacts, artifact: ArtifactRef, bucket: str, key: str, sha256: str) -> None:
    _compare(bucket, key, artifacts.sha256(bucket, key, artifact.version(bucket, key)), sha256)


def _compare(bucket: str, key: str, found: str, named: str) -> None:
    if found != named:
        raise ArtifactError(
            f"s3://{bucket}/{key} has the SHA-256 {found}, and the artifact names {named}.",
            remedy=_REBUILD,
        )
