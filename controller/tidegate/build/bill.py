"""The bill of materials of what is packaged: CycloneDX 1.6, the same for the same packages.

It lists what the installers of Python and Node leave in a package. What a compiler or bundler has
made one file of is not told apart.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote

BILL_FILE: Final = "sbom.cdx.json"

_DISTRIBUTION: Final = re.compile(r"([A-Za-z0-9._]+)-([^/-]+)\.dist-info/METADATA$")
_MODULE: Final = re.compile(r"(?:^|/)node_modules/((?:@[^/]+/)?[^/@]+)/package\.json$")
_LONGEST: Final = 1 << 20  # bytes of a package.json that is read


def bill_of_materials(application: str, packages: Mapping[str, Path]) -> dict[str, Any]:
    """The bill of these packages, by their keys: "<...>/<SHA-256>.<suffix>".

    Without a time or a serial number, which the format does not ask for ("CycloneDX v1.6 JSON
    Reference").
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": application, "bom-ref": application}
        },
        "components": [_package(key, packages[key]) for key in sorted(packages)],
    }


def _package(key: str, path: Path) -> dict[str, Any]:
    file: dict[str, Any] = {
        "type": "file",
        "bom-ref": key,
        "name": key,
        "hashes": [{"alg": "SHA-256", "content": PurePosixPath(key).stem}],
    }
    found = sorted(set(_libraries(path))) if zipfile.is_zipfile(path) else []
    if found:
        file["components"] = [_library(key, *library) for library in found]
    return file


def _library(key: str, kind: str, name: str, version: str) -> dict[str, Any]:
    address = f"pkg:{kind}/{quote(name, safe='/')}" + (f"@{quote(version)}" if version else "")
    component = {"type": "library", "bom-ref": f"{key}#{address}", "name": name, "purl": address}
    return component | ({"version": version} if version else {})


def _libraries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Kind, name and version of each, as package URLs have them ("Package URL Types")."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if python := _DISTRIBUTION.search(entry.filename):
                yield "pypi", re.sub(r"[-_.]+", "-", python[1]).lower(), python[2]
            elif node := _MODULE.search(entry.filename):
                yield "npm", node[1], _version(archive, entry)


def _version(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    """What a module's package.json says; "" when it says none."""
    with archive.open(entry) as file:
        try:
            said = json.loads(file.read(_LONGEST))
        except ValueError:
            return ""
    return str(said.get("version", "")) if isinstance(said, Mapping) else ""
