"""Where the source of a build comes from: an archive in S3, or a repository to clone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tidegate_embedded.codebuild import files
from tidegate_embedded.git import CloneReference

RunCommand = Callable[[Sequence[str]], int]
"""Runs a command of the build, its output to the log, and returns the exit status."""


class SourceError(Exception):
    """The source cannot be fetched."""


def fetch_source(s3: Any, location: str, version: str, folder: Path, run: RunCommand) -> str:
    """Put the source into an empty folder; return the version that it is, "" if it has none.

    `location` is `bucket/key` or its ARN, `version` that of the object, "" for the latest. An
    object that a pipeline left as a reference to a commit is cloned, the history included. Raises
    `SourceError`.
    """
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    try:
        answer = s3.get_object(
            Bucket=bucket, Key=key, **({"VersionId": version} if version else {})
        )
        body = answer["Body"].read()
        if answer.get("ContentType") == CloneReference.CONTENT_TYPE:
            return _clone(CloneReference.decode(body), folder, run)
        files.unpack(body, folder)
    except (ClientError, files.FilesError) as error:
        raise SourceError(f"source s3://{bucket}/{key}: {error}") from error
    return str(answer.get("VersionId", ""))


def _clone(reference: CloneReference, folder: Path, run: RunCommand) -> str:
    """Check the commit out as CodeBuild does: the whole history, and no branch."""
    commands = (
        ["git", "clone", "--quiet", "--no-checkout", reference.url, str(folder)],
        ["git", "-C", str(folder), "checkout", "--quiet", "--detach", reference.commit],
    )
    for command in commands:
        if status := run(command):
            raise SourceError(
                f"source {reference.repository} at {reference.commit}: git ended with exit status"
                f" {status}, see the log"
            )
    return reference.commit
