"""What one build has made: the content of ``artifact.json`` beside the packages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from tidegate.core.model.base import Model
from tidegate.core.model.manifest import Manifest
from tidegate.core.model.plan import ManagedAlias, MetricPolicy, NotificationPlan, Provisioned, Step

CONFIGURATIONS_PARAMETER: Final = "TidegateConfigurations"
"""Tells a stack which values its functions' parameters have: a change publishes a version."""
FINGERPRINT_LENGTH: Final = 12
_IMAGE_DIGEST: Final = re.compile(r"@(sha256:[0-9a-f]{64})\b")
PACKAGE_VERSION_PARAMETER: Final = "TidegatePackageVersion"
"""Begins the names of the parameters that tell a stack which S3 version of a package to take."""
CONTENTS_FILE: Final = "artifact.json"
SOURCE_FILE: Final = "source.zip"
BILL_FILE: Final = "sbom.cdx.json"
"""The bill of materials, under the artifact's prefix."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Package(Model):
    """A code package in the artifact bucket."""

    key: str  # that of the source is ``SOURCE_FILE``, under the artifact's prefix
    sha256: Sha256


class TemplateDefaults(Model):
    """What the template said of releases; the manifest wins over its ``DeploymentPreference``."""

    strategy: str = ""  # the ``Type``; "" when the template says nothing
    steps: tuple[Step, ...] | None = None  # where the template itself has the configuration
    pre_traffic: tuple[str, ...] = ()  # logical ids or ARNs
    post_traffic: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()  # logical ids or names
    notifications: tuple[NotificationPlan, ...] = ()
    enabled: bool = True  # False: a ``DeploymentPreference`` is there, and switched off
    provisioned: tuple[Provisioned, ...] = ()  # by ``ProvisionedConcurrencyConfig``


class Commit(Model):
    """A commit as git has it. Its authors are one line each, of characters that print."""

    id: str
    parents: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()  # co-authors, too


class Revision(Model):
    """The commit that was built. Its texts are one line each, of characters that print."""

    commit: str
    branch: str = ""
    author: str = ""
    subject: str = ""
    history: tuple[Commit, ...] = ()  # it and those before it, the newest first; () without git


class ArtifactContents(Model):
    """Everything that a release deploys, by content, and who wrote it."""

    schema_version: Literal[1] = 1
    application: str
    manifest: Manifest
    template: str = "template.json"  # key under the artifact's prefix
    template_sha256: Sha256
    packages: tuple[Package, ...] = ()
    bill_sha256: Sha256 | None = None  # of the bill of materials, under the artifact's prefix
    aliases: tuple[ManagedAlias, ...] = ()
    functions: tuple[str, ...] = ()  # logical ids of all functions
    defaults: TemplateDefaults = TemplateDefaults()
    stage_defaults: Mapping[str, TemplateDefaults] = {}  # where parameters make a stage differ
    event_metrics: tuple[MetricPolicy, ...] = ()  # of functions that streams and queues call
    notices: tuple[str, ...] = ()  # what of the template cannot be taken over, and why
    revision: Revision | None = None  # none: an older Tidegate has built it

    @property
    def announced(self) -> dict[str, str]:
        """What ``release.json`` repeats of the commit."""
        said = self.revision or Revision(commit="")
        return said.model_dump(include={"commit", "branch", "author", "subject"})

    def defaults_of(self, stage: str) -> TemplateDefaults:
        """What the template said of releases in this stage."""
        return self.stage_defaults.get(stage, self.defaults)

    def digest(self) -> str:
        """``sha256:<hex>``: the same for the same contents, in whatever order they were listed."""
        return contents_digest(self.model_dump(mode="json"))


def contents_digest(data: Mapping[str, Any]) -> str:
    """The digest of contents as they are stored.

    What a later Tidegate would add by default is not in them, so its digest of an old artifact is
    the one that was announced.
    """
    listings = {"packages", "aliases", "functions", "notices"} & data.keys()
    ordered = {name: sorted(data[name], key=canonical_json) for name in listings}
    return sha256_digest({**data, **ordered})


def named_code(location: Any, packages: Iterable[Package]) -> str:
    """Digest of the code or content that a template has here, ``sha256:<hex>``.

    "" when it names none: code that is written in the template itself, an image that is named by a
    tag, a package in somebody else's bucket.
    """
    if not isinstance(location, Mapping):
        return ""
    sha256 = {package.key: package.sha256 for package in packages}
    if package := sha256.get(str(location.get("S3Key"))):
        return f"sha256:{package}"
    images = set(_IMAGE_DIGEST.findall(str(location.get("ImageUri"))))
    return images.pop() if len(images) == 1 else ""


def is_inline(code: Any) -> bool:
    """The function's code is written in the template itself."""
    return not isinstance(code, Mapping) or "ZipFile" in code


def package_version_parameter(key: str) -> str:
    """The parameter that tells a stack the S3 version of the package with this key."""
    return f"{PACKAGE_VERSION_PARAMETER}{fingerprint(key)}"


def configurations(aliases: Iterable[ManagedAlias], parameters: Mapping[str, str]) -> str:
    """The value of ``CONFIGURATIONS_PARAMETER``: for each alias, which values its inputs have."""
    return ",".join(
        fingerprint({name: parameters.get(name) for name in alias.inputs}) for alias in aliases
    )


def fingerprint(data: Any) -> str:
    """A short name for plain data, to tell whether it is the same as before."""
    return sha256_digest(data).removeprefix("sha256:")[:FINGERPRINT_LENGTH]


def canonical_json(data: Any) -> str:
    """One text for one value: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256_digest(data: Any) -> str:
    """``sha256:<hex>`` over the canonical JSON of plain data."""
    return "sha256:" + hashlib.sha256(canonical_json(data).encode()).hexdigest()
