"""Objects that a build puts into buckets: each once, under a key that nothing else ever gets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidegate.build.package import sha256_of
from tidegate.core.errors import ArtifactError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_UPLOADS_AT_ONCE: Final = 8
_BY_ANOTHER_BUILD: Final = {"PreconditionFailed", "ConditionalRequestConflict"}
_PERHAPS_MISSING: Final = {"404", "403"}  # 403: it is not there, and we may not list the bucket


def send_all(files: Mapping[str, Path], bucket: str, s3: S3Client) -> dict[str, str]:
    """Send what the bucket lacks, several at a time; the S3 version of every object."""

    def sent(key: str) -> str:
        return send(files[key], bucket, key, s3)

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        return dict(zip(files, pool.map(sent, files), strict=True))


def send(path: Path, bucket: str, key: str, s3: S3Client) -> str:
    """Store the file under this key unless it is there; the object's S3 version.

    Raises ``ArtifactError`` when something else is there.
    """
    return _stored(path, bucket, key, s3) or _put(path, bucket, key, s3)


def _stored(path: Path, bucket: str, key: str, s3: S3Client) -> str:
    """The version of what is there; "" when nothing is."""
    try:
        found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _PERHAPS_MISSING:
            raise _refused(bucket, key, error) from error
        return ""
    if found.get("ChecksumSHA256") != base64.b64encode(bytes.fromhex(sha256_of(path))).decode():
        raise ArtifactError(
            f"s3://{bucket}/{key} is there already, with other bytes than this build's (version"
            f" {found.get('VersionId', 'null')} of {found['LastModified']:%Y-%m-%d %H:%M}).",
            remedy="Find out who has stored it, for no build overwrites anything; then delete that"
            " object and build again.",
        )
    return _version(found, bucket)


def _put(path: Path, bucket: str, key: str, s3: S3Client) -> str:
    """Store what is not there yet, and never in place of something."""
    try:
        with path.open("rb") as body:
            made = s3.put_object(
                Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256", IfNoneMatch="*"
            )
    except ClientError as error:
        found = ""
        if error.response["Error"]["Code"] in _BY_ANOTHER_BUILD:
            found = _stored(path, bucket, key, s3)
        if not found:
            raise _refused(bucket, key, error) from error
        return found
    return _version(made, bucket)


def _version(answer: Mapping[str, Any], bucket: str) -> str:
    version: str = answer.get("VersionId", "null")
    if version == "null":
        raise ArtifactError(
            f"The bucket {bucket} keeps no versions, so a release could not name the very objects"
            " that this build has stored.",
            remedy="Turn its versioning on, as pipeline/template.yaml does, and build again.",
        )
    return version


def _refused(bucket: str, key: str, error: ClientError) -> ArtifactError:
    return ArtifactError(
        f"s3://{bucket}/{key} cannot be stored: {error}",
        remedy="See that the bucket exists, and that the build may read and write in it.",
    )
