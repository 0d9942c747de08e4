"""The bill of materials of what is packaged: CycloneDX 1.6, the same for the same packages.

It lists what the installers of Python and Node leave in a package, and what the
``package-lock.json`` beside bundled code names. What else a compiler or bundler has made one file
of is not told apart.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote

_DISTRIBUTION: Final = re.compile(r"([A-Za-z0-9._]+)-([^/-]+)\.dist-info/METADATA$")
_MODULE: Final = re.compile(r"(?:^|/)node_modules/((?:@[^/]+/)?[^/@]+)/package\.json$")
_LOCK: Final = re.compile(r"(?:^|.*/)package-lock\.json$")
_LONGEST: Final = 16 << 20  # bytes of a file that is read
_BROKEN: Final = (ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a file of an archive raises: by its JSON, its compression, its encryption."""


class _Unreadable(Exception):  # noqa: N818 - it never leaves this module
    """A file that should name libraries is broken, or too long."""


def bill_of_materials(
    application: str, packages: Mapping[str, Path]
) -> tuple[dict[str, Any], list[str]]:
    """The bill of these packages, and which of their files cannot be read.

    The packages are those of their keys: "<...>/<SHA-256>.<suffix>".
    Without a time or a serial number, which the format does not ask for ("CycloneDX v1.6 JSON
    Reference").
    """
    unread: list[str] = []
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": application, "bom-ref": application}
        },
        "components": [_package(key, packages[key], unread) for key in sorted(packages)],
    }
    return bill, unread


def _package(key: str, path: Path, unread: list[str]) -> dict[str, Any]:
    file: dict[str, Any] = {
        "type": "file",
        "bom-ref": key,
        "name": key,
        "hashes": [{"alg": "SHA-256", "content": PurePosixPath(key).stem}],
    }
    found = _found(key, path, unread) if zipfile.is_zipfile(path) else set()
    if found:
        file["components"] = [_library(key, *library) for library in sorted(found)]
    return file


def _library(key: str, kind: str, name: str, version: str) -> dict[str, Any]:
    address = f"pkg:{kind}/{quote(name, safe='/')}"
    address += f"@{quote(version, safe='')}" if version else ""
    component = {"type": "library", "bom-ref": f"{key}#{address}", "name": name, "purl": address}
    return component | ({"version": version} if version else {})


def _found(key: str, path: Path, unread: list[str]) -> set[tuple[str, str, str]]:
    """Kind, name and version of each library, as package URLs have them ("Package URL Types")."""
    found: set[tuple[str, str, str]] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for name in names:
                try:
                    found |= set(_libraries(archive, name, names))
                except _Unreadable:
                    unread.append(f"{key}: {name}")
    except zipfile.BadZipFile:
        unread.append(key)
    return found


def _libraries(
    archive: zipfile.ZipFile, name: str, names: list[str]
) -> Iterator[tuple[str, str, str]]:
    """What this file of the archive says."""
    if python := _DISTRIBUTION.search(name):
        yield "pypi", re.sub(r"[-_.]+", "-", python[1]).lower(), python[2]
    elif node := _MODULE.search(name):
        yield "npm", node[1], str(_json(archive, name).get("version") or "")
    elif _LOCK.match(name) and not _is_installed(name, names):
        yield from _locked(_json(archive, name))


def _is_installed(lock: str, names: list[str]) -> bool:
    """Whether what the lock names lies beside it, and is listed by that."""
    modules = lock.removesuffix("package-lock.json") + "node_modules/"
    return any(name.startswith(modules) for name in names)


def _locked(lock: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What is not for development alone, by a lock of npm 7 or later."""
    listed = lock.get("packages")
    if not isinstance(listed, Mapping):
        raise _Unreadable
    for path, entry in listed.items():
        _, inside, name = path.rpartition("node_modules/")
        if inside and isinstance(entry, Mapping) and not (entry.get("dev") or entry.get("link")):
            yield "npm", str(entry.get("name") or name), str(entry.get("version") or "")


def _json(archive: zipfile.ZipFile, name: str) -> Mapping[str, Any]:
    """What the file says, however well it was compressed. Raises ``_Unreadable``."""
    try:
        with archive.open(name) as file:
            content = file.read(_LONGEST + 1)
        said = json.loads(content) if len(content) <= _LONGEST else None
    except _BROKEN as error:
        raise _Unreadable from error
    if not isinstance(said, Mapping):
        raise _Unreadable
    return said
