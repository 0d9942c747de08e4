"""What builds have stored, in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.aws.errors import calling
from tidegate.core.errors import ArtifactError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = dict.fromkeys(("NoSuchKey", "NoSuchBucket", "404", "AccessDenied"), ArtifactError)


class S3Artifacts:
    """Reads objects of artifact buckets."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def read(self, artifact_bucket: str, key: str) -> bytes:
        """Raises ``ArtifactError`` when it is not there, or not for us to read."""
        with calling(
            f"read s3://{artifact_bucket}/{key}",
            _MISSING,
            mend="See that the build stored it, and that Tidegate's role may read the bucket.",
        ):
            return self._client.get_object(Bucket=artifact_bucket, Key=key)["Body"].read()
