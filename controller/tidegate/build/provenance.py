"""Where an artifact comes from: an in-toto statement that holds SLSA's provenance, version 1.

It is what the build says of itself: nobody has signed it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from tidegate.build.source import Revision

BUILD_TYPE: Final = "urn:tidegate:build:1"
UNKNOWN_BUILDER: Final = "urn:tidegate:builder:unknown"

_BUILD_ARN: Final = re.compile(r"(arn:[^:]+:codebuild:[^:]+:\d{12}:)build/([^:]+):.+")


def make_provenance(
    application: str,
    subjects: Mapping[str, str],
    revision: Revision,
    environment: Mapping[str, str],
) -> Mapping[str, Any]:
    """The statement of a build of this commit; ``subjects`` are SHA-256 digests by key."""
    build = environment.get("CODEBUILD_BUILD_ARN", "")
    builder = _BUILD_ARN.fullmatch(build)
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": sha256}}
            for name, sha256 in sorted(subjects.items())
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "application": application,
                    "repository": revision.repository,
                    "branch": revision.branch,
                },
                "resolvedDependencies": [_source(revision)],
            },
            "runDetails": {
                "builder": {
                    "id": f"{builder[1]}project/{builder[2]}" if builder else UNKNOWN_BUILDER,
                    "version": {"tidegate": version("tidegate")},
                },
                "metadata": {"invocationId": build} if build else {},
            },
        },
    }


def _source(revision: Revision) -> dict[str, Any]:
    """The commit, and where it can be fetched as far as that is known."""
    source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": revision.commit}}
    if revision.repository:
        at = f"@refs/heads/{revision.branch}" if revision.branch else ""
        source["uri"] = f"git+{revision.repository}{at}"
    return source
