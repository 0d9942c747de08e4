"""Where a build puts what it made: one S3 object, or one per file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tidegate_embedded.codebuild import files
from tidegate_embedded.codebuild.buildspec import Files


@dataclass(frozen=True, slots=True)
class Destination:
    """The place of one artifact in S3."""

    bucket: str
    key: str
    """Of the archive, or the prefix of the files."""
    is_archive: bool
    encryption_key: str | None
    """KMS key, or `None` for no encryption by KMS."""
    identifier: str = ""
    """Names a secondary artifact; the primary one has none."""

    @classmethod
    def of(cls, artifact: Mapping[str, Any], *, build_id: str, encryption_key: str) -> Self | None:
        """Read `ProjectArtifacts`; nothing for a build that keeps no artifact.

        Raises ValueError for a type that is not S3.
        """
        kind = artifact.get("type", "NO_ARTIFACTS")
        if kind == "NO_ARTIFACTS":
            return None
        if kind != "S3":
            raise ValueError(f"artifacts type {kind}: expected S3 or NO_ARTIFACTS")
        by_build = artifact.get("namespaceType") == "BUILD_ID"
        parts = [
            artifact.get("path", ""),
            build_id.rpartition(":")[2] if by_build else "",
            artifact.get("name", ""),
        ]
        return cls(
            bucket=artifact["location"],
            key="/".join(part.strip("/") for part in parts if part.strip("/")),
            is_archive=artifact.get("packaging", "NONE") == "ZIP",
            encryption_key=None if artifact.get("encryptionDisabled") else encryption_key,
            identifier=artifact.get("artifactIdentifier", ""),
        )

    def describe(self) -> dict[str, Any]:
        """The `BuildArtifacts` of the API."""
        described: dict[str, Any] = {
            "location": f"arn:aws:s3:::{self.bucket}/{self.key}",
            "encryptionDisabled": self.encryption_key is None,
        }
        if self.identifier:
            described["artifactIdentifier"] = self.identifier
        return described

    def put(
        self, s3: Any, selection: Files, source_dir: Path, environment: Mapping[str, str]
    ) -> dict[str, Any]:
        """Upload the selected files and return the `BuildArtifacts`, with hashes of an archive.

        Raises `FilesError` when a pattern matches nothing.
        """
        members = files.select(selection, source_dir, environment)
        if not self.is_archive:
            for name, path in members:
                self._put_object(s3, f"{self.key}/{name}".lstrip("/"), path.read_bytes())
            return self.describe()
        archive = files.pack(members)
        self._put_object(s3, self.key, archive)
        return self.describe() | {
            "sha256sum": hashlib.sha256(archive).hexdigest(),
            "md5sum": hashlib.md5(archive, usedforsecurity=False).hexdigest(),
        }

    def _put_object(self, s3: Any, key: str, body: bytes) -> None:
        encryption = {}
        if self.encryption_key is not None:
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.encryption_key}
        s3.put_object(Bucket=self.bucket, Key=key, Body=body, **encryption)
