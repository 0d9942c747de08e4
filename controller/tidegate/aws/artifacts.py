"""What builds have stored, in S3."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from tidegate.aws.errors import calling
from tidegate.core.errors import ArtifactError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_REFUSALS: Final = (
    *("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "MethodNotAllowed", "AccessDenied"),
    *("400", "403", "404", "405"),  # of a HEAD, whose answer has no body to name the error
)
_MISSING: Final = dict.fromkeys(_REFUSALS, ArtifactError)
_REMEDY: Final = "See that the build stored it, and that Tidegate's role may read the bucket."


class S3Artifacts:
    """Reads objects of artifact buckets."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def read(self, artifact_bucket: str, key: str, version: str = "") -> bytes:
        """Raises ``ArtifactError`` when it is not there, or not for us to read."""
        with calling(f"read s3://{artifact_bucket}/{key}", _MISSING, remedy=_REMEDY):
            found = self._client.get_object(**_object(artifact_bucket, key, version))
            return found["Body"].read()

    def sha256(self, artifact_bucket: str, key: str, version: str = "") -> str:
        """As S3 computed it when the object was stored: a HEAD reads no byte of it.

        Raises ``ArtifactError`` when it is not there, or has none over all of its bytes.
        """
        place = f"s3://{artifact_bucket}/{key}"
        with calling(f"read the checksum of {place}", _MISSING, remedy=_REMEDY):
            found = self._client.head_object(
                **_object(artifact_bucket, key, version), ChecksumMode="ENABLED"
            )
        told = found.get("ChecksumSHA256", "")
        if not told or "-" in told:  # of an upload in parts it is a digest of their digests
            raise ArtifactError(
                f"S3 has no SHA-256 of {place}, so no Tidegate has stored it.",
                remedy="Build the commit again.",
            )
        return base64.b64decode(told).hex()


def _object(bucket: str, key: str, version: str) -> dict[str, Any]:
    """The arguments that name an object; "" is its present version."""
    named = {"Bucket": bucket, "Key": key}
    return {**named, "VersionId": version} if version else named
