"""Builds an application's artifact, and stores it where a release finds it.

An artifact is named by the SHA-256 of all that a release uses of it. Its objects never change: what
lies in the bucket under their names already must be the same, and is not sent again. The reference
names the S3 version of each, so that nothing that is stored later can take its place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidegate.build.bill import bill_of_materials
from tidegate.build.callbacks import Callback, find_callbacks
from tidegate.build.codedeploy import TOPIC
from tidegate.build.events import event_metrics
from tidegate.build.expand import Expansion, Setting, expand_template
from tidegate.build.lint import NoLinter, check_faults
from tidegate.build.loops import expand_loops
from tidegate.build.package import PackageStore, check_within, package_code, sha256_of, write_zip
from tidegate.build.provenance import provenance, statement_name
from tidegate.build.regions import aws_partitions
from tidegate.build.sending import send, send_all
from tidegate.build.signing import PackageSigner
from tidegate.build.slips import find_slips
from tidegate.build.source import (
    RELEASE_FILE,
    find_repository,
    find_revision,
    source_files,
    source_root,
)
from tidegate.build.template import Template, of_type, read_template, shown
from tidegate.core.errors import ArtifactError, InputError
from tidegate.core.model.artifact import (
    BILL_FILE,
    CONTENTS_FILE,
    SOURCE_FILE,
    ArtifactContents,
    Package,
    Revision,
    TemplateDefaults,
    canonical_json,
    is_inline,
    named_code,
)
from tidegate.core.model.manifest import Manifest, StageSpec, parse_manifest
from tidegate.core.model.plan import ArtifactRef, ReleaseRef
from tidegate.core.model.regions import partition_of, unlisted_regions
from tidegate.core.planning.release_plan import make_plan
from tidegate.core.template.clear_text import perhaps_secrets, refuse_secrets
from tidegate.core.text.yaml_document import dotted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OUTPUT_FOLDER: Final = ".tidegate/build"
MANIFEST: Final = "tidegate.yaml"
TEMPLATE_FILE: Final = "template.json"

_OLD_LOCATIONS: Final = {"": "us-east-1", "EU": "eu-west-1"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact on disk: what it holds, and the files by their keys in the artifact bucket."""

    contents: ArtifactContents
    files: Mapping[str, Path]
    warnings: tuple[str, ...] = ()
    """What may be wrong, by what the manifest or this machine says: no part of the artifact."""
    failing: tuple[str, ...] = ()
    """What a release of it is known to fail with: ``contents`` has it among its notices."""

    @property
    def digest(self) -> str:
        """Its name: ``sha256:<hex>``."""
        return self.contents.digest()

    @property
    def prefix(self) -> str:
        """Where its own objects lie in the bucket."""
        return artifact_prefix(self.contents)

    @property
    def template(self) -> Path:
        """The expanded template."""
        return self.files[f"{self.prefix}/{TEMPLATE_FILE}"]

    @property
    def packages(self) -> Mapping[str, Path]:
        """The files that functions of other regions need, too."""
        of_functions = {package.key for package in self.contents.packages}
        return {key: path for key, path in self.files.items() if key in of_functions}

    def reference(
        self,
        bucket: str,
        buckets: Mapping[str, str] | None = None,
        versions: Mapping[str, dict[str, str]] | None = None,
        provenance: str = "",
    ) -> ArtifactRef:
        """The content of ``release.json``; ``buckets`` are those of other regions.

        ``provenance`` is the key of the build's statement.
        """
        return ArtifactRef(
            application=self.contents.application,
            digest=self.digest,
            bucket=bucket,
            buckets=dict(buckets or {}),
            prefix=self.prefix,
            provenance=provenance,
            versions=dict(versions or {}),
            **self.contents.announced,
        )


def build_artifact(
    folder: Path,
    manifest: Path | None = None,
    *,
    template: Path | None = None,
    output: Path | None = None,
    revision: Revision | None = None,
    sign: Callable[[str, Path], None] | None = None,
) -> Artifact:
    """Expand and package the application in ``folder``.

    ``manifest`` is its ``tidegate.yaml``; ``template`` takes the place of the manifest's, as the
    output of ``sam build`` does; ``output`` is emptied, then holds the files. ``revision`` is what
    the folder has checked out: what is without it can be planned, and not released. ``sign`` puts
    a signed package in the place of the one in a file, for an application. Raises
    ``ManifestError`` and ``TemplateError``.
    """
    manifest = manifest or folder / MANIFEST
    output = output or folder / OUTPUT_FOLDER
    parsed = parse_manifest(_read_manifest(manifest), str(manifest), aws_partitions())
    root = source_root(folder)
    if template is None:
        template = folder / parsed.template
        check_within([root], template, f"{manifest}: template")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)

    store = PackageStore(output / "packages", f"applications/{parsed.application}/packages")
    if sign is not None:
        store.sign = partial(sign, parsed.application)
    sam = read_for_stages(template, parsed)
    package_code(sam, template, store, root=root)
    expansion = expand_for_stages(sam, str(template), parsed)
    _check_topics(parsed, expansion.template, str(template))
    _write_json(output / TEMPLATE_FILE, expansion.template)
    write_zip(output / SOURCE_FILE, source_files(folder, output=output))

    packages = tuple(_packages(store, output / SOURCE_FILE))
    paths = {key: store.path(key) for key in store.digests}
    bill, unread = bill_of_materials(parsed.application, paths)
    _write_json(output / BILL_FILE, bill)
    failing = tuple(map(str, _callbacks(expansion, parsed, store)))
    contents = ArtifactContents(
        schema_version=1,
        application=parsed.application,
        manifest=parsed,
        template=TEMPLATE_FILE,
        template_sha256=sha256_of(output / TEMPLATE_FILE),
        packages=packages,
        bill_sha256=sha256_of(output / BILL_FILE),
        aliases=expansion.aliases,
        functions=expansion.functions,
        defaults=expansion.defaults[parsed.stages[0].name],
        stage_defaults=_differing(expansion.defaults),
        event_metrics=event_metrics(expansion.template, expansion.aliases),
        notices=(
            *expansion.report.notices,
            *_unnamed_code(expansion, packages),
            *failing,
        ),
        revision=revision,
    )
    (output / CONTENTS_FILE).write_text(contents.model_dump_json(), encoding="utf-8")
    own = (TEMPLATE_FILE, SOURCE_FILE, BILL_FILE, CONTENTS_FILE)
    return Artifact(
        contents,
        paths | {f"{artifact_prefix(contents)}/{name}": output / name for name in own},
        (
            *(
                f"{manifest}: {one}"
                for one in (
                    *unlisted_regions(parsed, aws_partitions()),
                    *find_slips(parsed, expansion.template),
                    *perhaps_secrets(expansion.template, parsed),
                )
            ),
            *(_left_out(path) for path in dict.fromkeys(store.left_out)),
            *(_not_listed(file) for file in unread),
        ),
        failing,
    )


def upload(artifact: Artifact, bucket: str, s3: S3Client) -> dict[str, str]:
    """Send what the bucket lacks; the S3 version of each object. Raises ``ArtifactError``.

    The description goes last, so that an artifact which can be read is there as a whole.
    """
    description = f"{artifact.prefix}/{CONTENTS_FILE}"
    others = {key: path for key, path in artifact.files.items() if key != description}
    sent = send_all(others, bucket, s3)
    return {**sent, description: send(artifact.files[description], bucket, description, s3)}


def region_buckets(
    artifact: Artifact, bucket: str, region_bucket: str, s3: S3Client
) -> dict[str, str]:
    """The bucket of each region that needs its own; {} when the artifact has no packages.

    Lambda takes code only from a bucket of the function's own region (``S3Bucket`` of
    ``AWS::Lambda::Function``). Raises ``InputError`` when a region has none.
    """
    if not artifact.packages:
        return {}
    home = _region_of(bucket, s3)
    _check_partition(artifact.contents.manifest, bucket, home)
    buckets = {}
    for stage in artifact.contents.manifest.stages:
        for region in chain.from_iterable(stage.region_waves):
            if region == home:
                continue
            if "{region}" not in region_bucket:
                raise InputError(
                    f"Stage {stage.name} deploys to {region}, and the packages would lie in"
                    f" {bucket}, in {home}: Lambda takes code only from a bucket of the function's"
                    " own region.",
                    remedy=f"Deploy pipeline/artifact-region.yaml in {region}, and build with"
                    " `--region-bucket` (ARTIFACT_REGION_BUCKET), {region} in its name.",
                )
            buckets[region] = region_bucket.replace("{region}", region)
    return buckets


def build_and_upload(
    folder: Path,
    *,
    bucket: str,
    s3: S3Client,
    region_bucket: str = "",
    s3_in: Callable[[str], S3Client] | None = None,
    manifest: Path | None = None,
    template: Path | None = None,
    output: Path | None = None,
    release_file: Path | None = None,
    revision: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    signer: PackageSigner | None = None,
    tell: Callable[[str], None] | None = None,
) -> ArtifactRef:
    """Build the application in ``folder``, store the artifact, write and return ``release.json``.

    ``region_bucket`` names the bucket of every other region that stages deploy to, with
    ``{region}`` in it, and ``s3_in`` makes a client there.
    ``revision`` may name commit, branch, author and subject; the pipeline's environment (this
    process's unless given) wins over it, and git says the rest. ``signer`` signs the
    packages. ``tell`` hears what of the template is not taken over. Raises ``InputError`` for an
    artifact that no release could be planned of, and for a commit that is not the one checked out.
    """
    environment = os.environ if environment is None else environment
    built_from = find_revision(folder, environment, **(revision or {}))
    artifact = build_artifact(
        folder,
        manifest,
        template=template,
        output=output,
        revision=built_from,
        sign=signer.sign if signer else None,
    )
    _check(artifact, artifact.reference(bucket))
    unlooked = look_for_faults(artifact, template)
    buckets = region_buckets(artifact, bucket, region_bucket, s3)
    if tell is not None:
        for notice in (*artifact.warnings, *artifact.contents.notices, unlooked):
            if notice:
                tell(notice)
    versions = {
        there: send_all(artifact.packages, there, s3_in(region) if s3_in else s3)
        for region, there in buckets.items()
    }
    versions[bucket] = upload(artifact, bucket, s3)
    repository = find_repository(folder, environment)
    made = provenance(artifact.contents, built_from, repository, environment)
    statement = _state(made, artifact, bucket, s3)
    reference = artifact.reference(bucket, buckets, versions, statement)
    release_file = release_file or (output or folder / OUTPUT_FOLDER) / RELEASE_FILE
    release_file.write_text(reference.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return reference


def _state(statement: Mapping[str, Any], artifact: Artifact, bucket: str, s3: S3Client) -> str:
    """Store who built it from what, beside it; the key."""
    name = statement_name(statement)
    path = artifact.files[f"{artifact.prefix}/{CONTENTS_FILE}"].parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(canonical_json(statement), encoding="utf-8")
    key = f"{artifact.prefix}/{name}"
    send(path, bucket, key, s3)
    return key


def look_for_faults(artifact: Artifact, template: Path | None = None) -> str:
    """Whether CloudFormation would take the template, while its file is there.

    Returns a sentence when that cannot be looked for, else "". Raises ``TemplateError``.
    """
    manifest = artifact.contents.manifest
    regions = {region for stage in manifest.stages for region, _ in stage.places()}
    expanded = artifact.files[f"{artifact.prefix}/{TEMPLATE_FILE}"].read_text(encoding="utf-8")
    try:
        check_faults(json.loads(expanded), str(template or manifest.template), sorted(regions))
    except NoLinter as missing:
        return str(missing)
    return ""


def artifact_prefix(contents: ArtifactContents) -> str:
    """Where an artifact's own objects lie in the artifact bucket."""
    digest = contents.digest().removeprefix("sha256:")
    return f"applications/{contents.application}/artifacts/{digest}"


def read_for_stages(template: Path, manifest: Manifest) -> Template:
    """The template with its loops written out for the stages. Raises ``TemplateError``."""
    settings = [_setting(stage, manifest) for stage in manifest.stages]
    read = read_template(template)
    refuse_secrets(read, manifest)
    return expand_loops(read, str(template), settings)


def expand_for_stages(sam: Template, path: str, manifest: Manifest) -> Expansion:
    """Expand a template whose code is packaged for the stages of its manifest.

    Raises ``TemplateError``.
    """
    settings = [_setting(stage, manifest) for stage in manifest.stages]
    return expand_template(sam, path, settings)


def _check(artifact: Artifact, reference: ArtifactRef) -> None:
    """What no release can use is not stored."""
    application = artifact.contents.application
    release = ReleaseRef(id=f"{application}-0", application=application, number=0)
    make_plan(release, reference, artifact.contents)


def _left_out(path: Path) -> str:
    return (
        f"{path} is in no package: files of this name hold settings of one machine, often secrets."
        " If the code needs it, give it another name."
    )


def _not_listed(file: str) -> str:
    return f"{file} cannot be read, so {BILL_FILE} lists nothing by it."


def _check_topics(manifest: Manifest, template: Template, path: str) -> None:
    """A topic that the manifest names is an ARN, or there. Raises ``InputError``."""
    known = of_type(template, TOPIC)
    of_stages = [stage.notifications or () for stage in manifest.stages]
    for notification in chain(manifest.notifications or (), *of_stages):
        if not notification.topic.startswith("arn:") and notification.topic not in known:
            raise InputError(
                f'{path} has no topic "{notification.topic}" to tell people through.',
                remedy=f"Give an ARN, or a logical id: {', '.join(known) or 'there is none'}.",
            )


def _check_partition(manifest: Manifest, bucket: str, home: str) -> None:
    """The controller's partition, which is its bucket's, is the one of the stages."""
    partitions = aws_partitions()
    ours = partition_of(home, partitions)
    for number, stage in enumerate(manifest.stages):
        for region, at in stage.places():
            theirs = partition_of(region, partitions)
            if ours and theirs != ours:
                raise InputError(
                    f"tidegate.yaml: {dotted(('stages', number, *at))}: {region} is in partition"
                    f" {theirs}, and {bucket}, the controller's bucket, is in {home}, in {ours}.",
                    remedy=f"No role can be assumed across partitions: release to {theirs} with a"
                    " controller that is installed there.",
                )


def _read_manifest(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such manifest.", remedy="Write one with `tidegate init`."
        ) from None


def _setting(stage: StageSpec, manifest: Manifest) -> Setting:
    """What a template's ``DeploymentPreference`` depends on in this stage, and need not say."""
    said = {
        "strategy": (stage.strategy,),
        "alarms": (stage.checks.alarms,),
        "pre_traffic": (stage.hooks.pre_traffic, manifest.hooks.pre_traffic),
        "post_traffic": (stage.hooks.post_traffic, manifest.hooks.post_traffic),
    }
    decided = frozenset(field for field, by in said.items() if any(v is not None for v in by))
    return Setting(stage.name, stage.parameters, decided)


def _callbacks(expansion: Expansion, manifest: Manifest, store: PackageStore) -> Iterator[Callback]:
    """What to mend in hooks that were written for CodeDeploy."""
    defaults = expansion.defaults.values()
    by_template = [hook for d in defaults for hook in (*d.pre_traffic, *d.post_traffic)]
    lists = [
        hooks
        for by in (manifest.hooks, *(stage.hooks for stage in manifest.stages))
        for hooks in (by.pre_traffic, by.post_traffic)
    ]
    by_manifest = [hook.function for hooks in lists for hook in hooks or ()]
    return find_callbacks(expansion.template, [*by_template, *by_manifest], store)


def _unnamed_code(expansion: Expansion, packages: Sequence[Package]) -> Iterator[str]:
    """Whose bytes are known only when a stage has deployed them."""
    for function in expansion.functions:
        code = expansion.template["Resources"][function].get("Properties", {}).get("Code")
        if not is_inline(code) and not named_code(code, packages):
            yield (
                f"{function} takes {shown(code)}: nothing names the bytes that this is. The first"
                " stage deploys what it finds, and the others must find the same. Name an image by"
                " its digest (`repository@sha256:...`), or keep the code in this repository."
            )


def _differing(defaults: Mapping[str, TemplateDefaults]) -> Mapping[str, TemplateDefaults]:
    """Nothing when all stages have the same."""
    first, *others = defaults.values()
    return defaults if any(other != first for other in others) else {}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Canonical: the same value gives the same bytes."""
    path.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")), encoding="utf-8")


def _packages(store: PackageStore, source: Path) -> Iterator[Package]:
    """The code packages, and the source: a release tests exactly what it deploys."""
    for key in sorted(store.digests):
        yield Package(key=key, sha256=store.digests[key])
    yield Package(key=SOURCE_FILE, sha256=sha256_of(source))


def _region_of(bucket: str, s3: S3Client) -> str:
    """The bucket's region; the oldest regions are told in a way of their own."""
    try:
        said = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint")
    except ClientError as error:
        raise ArtifactError(
            f"The region of the bucket {bucket} is not known: {error}",
            remedy="See that it exists, and that the build may call s3:GetBucketLocation.",
        ) from error
    return _OLD_LOCATIONS.get(said or "", said or "")
