"""Reading what a build made, and trusting it only when its digests agree."""

from __future__ import annotations

import hashlib
import json
import re

from pydantic import ValidationError

from tidegate.core.artifact import ArtifactContents, contents_digest
from tidegate.core.errors import ArtifactError
from tidegate.core.plan import ArtifactRef
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
                mend=f"Its pipeline stores them in tidegate-{name}-{account}-REGION.",
            )
    if not re.fullmatch(rf"applications/{re.escape(name)}/artifacts/[0-9a-f]+", artifact.prefix):
        raise ArtifactError(
            f"Artifacts of {name} do not lie under {artifact.prefix}.",
            mend=f"A build stores them under applications/{name}/artifacts/.",
        )


def read_contents(artifacts: Artifacts, artifact: ArtifactRef) -> ArtifactContents:
    """What the artifact holds. Raises ``ArtifactError`` unless it is what its digest names."""
    place = f"s3://{artifact.bucket}/{artifact.prefix}/artifact.json"
    raw = artifacts.read(artifact.bucket, f"{artifact.prefix}/artifact.json")
    try:
        contents = ArtifactContents.model_validate_json(raw)
    except ValidationError as invalid:
        raise ArtifactError(f"{place} is not an artifact: {invalid}", mend=_REBUILD) from invalid
    found = contents_digest(json.loads(raw))
    if found != artifact.digest:
        raise ArtifactError(
            f"{place} has the digest {found}, and {artifact.digest} was announced.",
            mend=_REBUILD,
        )
    if contents.application != artifact.application:
        raise ArtifactError(
            f"{place} is of {contents.application}, and {artifact.application} was announced.",
            mend=_REBUILD,
        )
    return contents


def check_template(artifacts: Artifacts, artifact: ArtifactRef, contents: ArtifactContents) -> None:
    """Raises ``ArtifactError`` unless the stored template is the one that was built."""
    key = template_key(artifact, contents)
    found = hashlib.sha256(artifacts.read(artifact.bucket, key)).hexdigest()
    if found != contents.template_sha256.removeprefix("sha256:"):
        raise ArtifactError(
            f"s3://{artifact.bucket}/{key} has the SHA-256 {found}, "
            f"and the artifact names {contents.template_sha256}.",
            mend=_REBUILD,
        )


def template_key(artifact: ArtifactRef, contents: ArtifactContents) -> str:
    """The template's key in the artifact bucket."""
    return f"{artifact.prefix}/{contents.template}"
