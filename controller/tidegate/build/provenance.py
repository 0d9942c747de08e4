"""Who built an artifact from what: a statement in the form that SLSA 1.0 describes, not signed.

("SLSA Provenance", "in-toto Statement v1".) It names the artifact by its digest, and lies beside it
under the name of its own bytes: two builds of one commit make one artifact and two statements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from tidegate.core.model.artifact import BILL_FILE, ArtifactContents, Revision, canonical_json

BUILD_TYPE: Final = "urn:tidegate:build:v1"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
_ELSEWHERE: Final = "urn:tidegate:builder:unknown"  # a machine that says nothing of itself


def provenance(
    contents: ArtifactContents,
    revision: Revision,
    repository: str,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The statement. CodeBuild names itself by ``CODEBUILD_BUILD_ARN``."""
    build = environment.get("CODEBUILD_BUILD_ARN", "")
    packages = {package.key: package.sha256 for package in contents.packages}
    subjects = {contents.template: contents.template_sha256, **packages}
    subjects["artifact.json"] = contents.digest().removeprefix("sha256:")
    if contents.bill_sha256:
        subjects[BILL_FILE] = contents.bill_sha256
    source: dict[str, Any] = {"digest": {"gitCommit": revision.commit}}
    if repository:
        source["uri"] = f"git+{repository}"
    return {
        "_type": _STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)
        ],
        "predicateType": _PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "application": contents.application,
                    "repository": repository,
                    "branch": revision.branch,
                },
                "resolvedDependencies": [source],
            },
            "runDetails": {
                "builder": {
                    "id": _project(build) if build else _ELSEWHERE,
                    "version": {"tidegate": version("tidegate")},
                },
                "metadata": {"invocationId": build} if build else {},
            },
        },
    }


def statement_name(statement: Mapping[str, Any]) -> str:
    """The file's name: that of its bytes, which are its canonical JSON."""
    digest = hashlib.sha256(canonical_json(statement).encode()).hexdigest()
    return f"provenance/{digest}.intoto.json"


def _project(build: str) -> str:
    """The ARN of the project of ``arn:...:build/<project>:<id>``."""
    return build.rpartition(":")[0].replace(":build/", ":project/")
