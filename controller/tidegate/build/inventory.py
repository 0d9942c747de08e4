"""What is in the packages: a bill of materials, CycloneDX 1.6, of the distributions in them.

Only what lies in a package is listed: what pip has installed there (``*.dist-info``), what npm has
(``node_modules``), or, where code is bundled, what the ``package-lock.json`` beside it names. The
same packages give the same bytes: there is no time and no random number in it.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

_PYTHON: Final = re.compile(r"(?:^|/)[^/]+\.dist-info/METADATA$")
_NPM: Final = re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$")
_LOCK: Final = re.compile(r"(?:^|.*/)package-lock\.json$")
_MOST_BYTES: Final = 16 << 20  # of one file that is read


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """A distribution in a package; ``purl`` is its package URL."""

    purl: str
    name: str
    version: str


@dataclass(slots=True)
class Inventory:
    """The components of each package, by the package's key, and the files that say nothing."""

    components: dict[str, frozenset[Component]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


class _NothingSaid(Exception):  # noqa: N818 - it never leaves this module
    """A file that should name a distribution does not."""


def take_inventory(packages: Mapping[str, Path]) -> Inventory:
    """Look into the packages, by their keys; what is no archive holds nothing."""
    found = Inventory()
    for key, path in sorted(packages.items()):
        found.components[key] = frozenset()
        if zipfile.is_zipfile(path):
            try:
                with zipfile.ZipFile(path) as archive:
                    found.components[key] = frozenset(_components(archive, key, found.unread))
            except zipfile.BadZipFile:
                found.unread.append(key)
    return found


def make_sbom(
    application: str, digests: Mapping[str, str], inventory: Inventory
) -> Mapping[str, Any]:
    """The bill of materials of packages with these digests, by their keys."""
    by_key = sorted(inventory.components.items())
    libraries = {one.purl: one for _, components in by_key for one in sorted(components)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "tidegate"}]},
            "component": {"type": "application", "bom-ref": application, "name": application},
        },
        "components": [
            *(_package(key, digests[key]) for key, _ in by_key),
            *(_library(one) for _, one in sorted(libraries.items())),
        ],
        "dependencies": [
            {"ref": application, "dependsOn": [key for key, _ in by_key]},
            *({"ref": key, "dependsOn": sorted({one.purl for one in c})} for key, c in by_key),
            *({"ref": purl} for purl in sorted(libraries)),
        ],
    }


def _package(key: str, sha256: str) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": sha256}]
    return {"type": "file", "bom-ref": key, "name": key, "hashes": hashes}


def _library(one: Component) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
    }


def _components(archive: zipfile.ZipFile, key: str, unread: list[str]) -> Iterator[Component]:
    names = archive.namelist()
    for name in names:
        try:
            if _PYTHON.search(name):
                yield _of_python(_read(archive, name))
            elif _NPM.search(name):
                yield _of_npm(_json(archive, name))
            elif _LOCK.match(name) and not _is_installed(name, names):
                yield from _locked(_json(archive, name))
        except _NothingSaid:
            unread.append(f"{key}: {name}")


def _is_installed(lock: str, names: list[str]) -> bool:
    """Whether what the lock names lies beside it, to be listed itself."""
    beside = lock.removesuffix("package-lock.json") + "node_modules/"
    return beside.startswith("node_modules/.") or any(name.startswith(beside) for name in names)


def _of_python(metadata: bytes) -> Component:
    headers = BytesHeaderParser().parsebytes(metadata)
    name, version = _said(headers["Name"]), _said(headers["Version"])
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return Component(f"pkg:pypi/{quote(normal, safe='')}@{quote(version, safe='')}", name, version)


def _of_npm(package: Mapping[str, Any]) -> Component:
    return _npm(_said(package.get("name")), _said(package.get("version")))


def _npm(name: str, version: str) -> Component:
    path = "/".join(quote(part, safe="") for part in name.split("/", 1))
    return Component(f"pkg:npm/{path}@{quote(version, safe='')}", name, version)


def _locked(lock: Mapping[str, Any]) -> Iterator[Component]:
    """What is not for development alone, by a lock of npm 7 or later."""
    listed = lock.get("packages")
    if not isinstance(listed, Mapping):
        raise _NothingSaid
    for path, entry in listed.items():
        _, inside, name = path.rpartition("node_modules/")
        if inside and isinstance(entry, Mapping) and not (entry.get("dev") or entry.get("link")):
            yield _npm(_said(entry.get("name", name)), _said(entry.get("version")))


def _said(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise _NothingSaid
    return value


def _json(archive: zipfile.ZipFile, name: str) -> Mapping[str, Any]:
    try:
        read = json.loads(_read(archive, name))
    except (ValueError, RecursionError) as error:
        raise _NothingSaid from error
    if not isinstance(read, Mapping):
        raise _NothingSaid
    return read


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """The file's bytes, however well it was compressed."""
    try:
        with archive.open(name) as file:
            content = file.read(_MOST_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _NothingSaid from error
    if len(content) > _MOST_BYTES:
        raise _NothingSaid
    return content
