"""Packages local code: deterministic zips, named by the SHA-256 of their bytes.

The same files give the same zip whatever their order on disk, their times and their owner: a
package's name changes only when what Lambda would run changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tidegate.build.template import Template, shown
from tidegate.core.errors import TemplateError
from tidegate.core.model.artifact import package_version_parameter

BUCKET_PARAMETER: Final = "TidegateArtifactBucket"
IGNORED: Final = frozenset({".git", ".aws-sam", ".tidegate", "__pycache__", ".DS_Store"})
"""Left out of every zip: they are not code, or change without it (bytecode carries times)."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644
_BLOCK: Final = 1 << 20
_APPLICATION: Final = "AWS::Serverless::Application"
_NESTED: Final = {
    "AWS::CloudFormation::Stack": "TemplateURL",
    _APPLICATION: "Location",
}


@dataclass(frozen=True, slots=True)
class Location:
    """A property that may name local files, and how it names an object in a bucket instead."""

    property: str
    bucket: str
    key: str
    version: str
    zipped: bool

    def to(self, key: str) -> dict[str, Any]:
        """The property's value for an object of the artifact bucket, in the version stored."""
        return {
            self.bucket: {"Ref": BUCKET_PARAMETER},
            self.key: key,
            self.version: {"Ref": package_version_parameter(key)},
        }


_SAM: Final = ("Bucket", "Key", "Version")
_LAMBDA: Final = ("S3Bucket", "S3Key", "S3ObjectVersion")
_LOCATIONS: Final = {
    "AWS::Serverless::Function": Location("CodeUri", *_SAM, zipped=True),
    "AWS::Serverless::LayerVersion": Location("ContentUri", *_SAM, zipped=True),
    "AWS::Serverless::StateMachine": Location("DefinitionUri", *_SAM, zipped=False),
    "AWS::Serverless::Api": Location("DefinitionUri", *_SAM, zipped=False),
    "AWS::Serverless::HttpApi": Location("DefinitionUri", *_SAM, zipped=False),
    "AWS::Lambda::Function": Location("Code", *_LAMBDA, zipped=True),
    "AWS::Lambda::LayerVersion": Location("Content", *_LAMBDA, zipped=True),
    "AWS::StepFunctions::StateMachine": Location("DefinitionS3Location", *_SAM, zipped=False),
}


@dataclass(slots=True)
class PackageStore:
    """A folder of packages, and the keys that they get in the bucket under ``prefix``."""

    folder: Path
    prefix: str  # "applications/<application>/packages"
    digests: dict[str, str] = field(default_factory=dict)  # key -> SHA-256, hexadecimal
    left_out: list[Path] = field(default_factory=list)
    """Files of code folders that are in no package: see ``is_dotenv``."""
    sources: dict[str, Path] = field(default_factory=dict)  # key -> the folder or file of code
    sign: Callable[[Path], None] | None = None
    """Puts a signed package in the place of the one in this file."""

    def add_code(self, source: Path, *, within: Sequence[Path] = ()) -> str:
        """Store a folder or file of code as a zip; the key.

        Raises ``TemplateError`` for a link that leads out of ``within``.
        """
        partial = self._partial()
        zipped = source.is_file() and zipfile.is_zipfile(source)
        if zipped:
            shutil.copyfile(source, partial)
        else:
            write_zip(partial, self._tree(source, within))
        if self.sign is not None:
            self.sign(partial)
        key = self._keep(partial, ".zip")
        if not zipped:
            self.sources[key] = source
        return key

    def add_file(self, source: Path) -> str:
        """Store a file as it is; the key."""
        partial = self._partial()
        shutil.copyfile(source, partial)
        return self._keep(partial, source.suffix)

    def path(self, key: str) -> Path:
        """Where the package with this key lies."""
        return self.folder / key.removeprefix(f"{self.prefix}/")

    def _tree(self, source: Path, within: Sequence[Path]) -> Iterable[tuple[str, Path]]:
        if source.is_file():
            return [(source.name, source)]
        return files_under(
            source, within=within, ignored_folder=self.folder.parent, left_out=self.left_out
        )

    def _partial(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / ".partial"

    def _keep(self, partial: Path, suffix: str) -> str:
        digest = sha256_of(partial)
        key = f"{self.prefix}/{digest}{suffix}"
        partial.replace(self.path(key))
        self.digests[key] = digest
        return key


def package_code(
    template: Template, path: Path, store: PackageStore, *, root: Path | None = None
) -> None:
    """Store all local code that the template names, and make the template name the packages.

    ``path`` is the template's: local code is looked for from its folder, and has to lie in it or in
    ``root``. Raises ``TemplateError`` when code is missing or lies elsewhere.
    """
    within = [path.parent, *([root] if root else [])]
    code_of_all = (template.get("Globals", {}).get("Function") or {}).get("CodeUri")
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        _refuse_nested(resource["Type"], properties, f"{path}: {logical_id}")
        location = _LOCATIONS.get(resource["Type"])
        if location is None or _needs_no_package(resource["Type"], properties):
            continue
        value = properties.get(location.property)
        if value is None and resource["Type"] == "AWS::Serverless::Function":
            value = code_of_all
        if isinstance(value, str) and "://" not in value:
            place = f"{path}: {logical_id}.{location.property}"
            source = _source(path.parent, value, place)
            check_within(within, source, place)
            if location.zipped:
                key = store.add_code(source, within=within)
            else:
                key = store.add_file(source)
            resource["Properties"] = {**properties, location.property: location.to(key)}


def write_zip(target: Path, files: Iterable[tuple[str, Path]]) -> None:
    """Write a zip of these files, each with its name in the zip. Raises ``TemplateError``."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted((_utf8(name), path) for name, path in files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            executable = path.stat().st_mode & stat.S_IXUSR
            entry.create_system = 3  # Unix, wherever this runs
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (_EXECUTABLE if executable else _PLAIN)) << 16
            with path.open("rb") as source, archive.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, _BLOCK)


def files_under(
    folder: Path,
    *,
    within: Sequence[Path] = (),
    ignored_folder: Path | None = None,
    left_out: list[Path] | None = None,
) -> Iterator[tuple[str, Path]]:
    """All files below a folder with their names in it, without what is ``IGNORED``.

    Links are followed, as Lambda would find what they point to, as long as that lies in one of the
    folders ``within`` (by default this one). ``left_out`` gets what ``is_dotenv``. Raises
    ``TemplateError`` for a link that leads nowhere, or elsewhere.
    """
    within = within or [folder]
    ignored = ignored_folder.resolve() if ignored_folder else None
    for path, folders, names in os.walk(folder, followlinks=True):
        parent = Path(path)
        folders[:] = [
            name
            for name in folders
            if name not in IGNORED
            and (parent / name).resolve() != ignored
            and not _leads_upwards(parent / name)
        ]
        for name in folders:
            check_within(within, parent / name)
        for name in names:
            if name in IGNORED:
                continue
            if not (file := parent / name).exists():
                raise TemplateError(
                    f"{file}: the link leads nowhere.", remedy="Remove or repair it."
                )
            check_within(within, file)
            if is_dotenv(name):
                if left_out is not None:
                    left_out.append(file)
                continue
            yield file.relative_to(folder).as_posix(), file


def check_within(folders: Iterable[Path], path: Path, place: str = "") -> None:
    """What is packaged leaves this machine, so it has to lie in one of these folders, links or not.

    ``place`` says who names the path. Raises ``TemplateError``.
    """
    if not place and not path.is_symlink():
        return
    target, allowed = path.resolve(), [folder.resolve() for folder in folders]
    if not any(target.is_relative_to(folder) for folder in allowed):
        raise TemplateError(
            f"{place or path}: it leads to {target}, which is not in {allowed[-1]}.",
            remedy="Keep the code in the application's checkout.",
        )


def is_dotenv(name: str) -> bool:
    """Whether a file of this name is for the settings of one machine, often secrets.

    They are in no package, whether git tracks them or not: a package is the same everywhere.
    """
    return name == ".env" or name.startswith(".env.")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _utf8(name: str) -> str:
    """A file's name as it is on disk, whatever the locale is: a zip is the same everywhere."""
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError(f"{name}: its name is not UTF-8.", remedy="Rename it.") from error


def _leads_upwards(folder: Path) -> bool:
    """Following this link would never end."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _source(base: Path, value: str, place: str) -> Path:
    source = base / value
    if not source.exists():
        raise TemplateError(
            f"{place}: there is no {value} in {base.resolve()}.",
            remedy="Correct the path, or run `sam build` first if it makes that code.",
        )
    return source


def _needs_no_package(resource_type: str, properties: dict[str, Any]) -> bool:
    """The code is in the template, or in a container registry."""
    return "InlineCode" in properties or (
        resource_type == "AWS::Serverless::Function" and properties.get("PackageType") == "Image"
    )


def _refuse_nested(resource_type: str, properties: dict[str, Any], place: str) -> None:
    name = _NESTED.get(resource_type)
    value = properties.get(name) if name else None
    if resource_type == _APPLICATION and isinstance(value, dict) and "ApplicationId" in value:
        raise TemplateError(
            f"{place}.Location: SAM asks the Serverless Application Repository for the template of"
            f" {shown(value['ApplicationId'])}, with credentials, for one account and region; a"
            " build has neither.",
            remedy="Store that template in a bucket (`aws serverlessrepo"
            " create-cloud-formation-template` gives a link to it), and write its address:"
            " `Location: https://...`. Or deploy it as a stack of its own.",
        )
    if isinstance(value, str) and "://" not in value:
        raise TemplateError(
            f"{place}.{name}: the template inside the template, {value}, is not released with it.",
            remedy="Make it an application of its own, or name a template in a bucket.",
        )
