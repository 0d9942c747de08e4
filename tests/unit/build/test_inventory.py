"""The bill of materials lists what lies in the packages, in CycloneDX's form, always alike."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.applications import MakeApplication, write
from tidegate.build.artifact import build_artifact
from tidegate.build.inventory import make_sbom, take_inventory

METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nSummary: x\n\nNot: a header\n"
LOCK: dict[str, Any] = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop", "version": "1.0.0"},
        "node_modules/@aws/client": {"version": "3.1.0"},
        "node_modules/a/node_modules/b": {"version": "2.0.0"},
        "node_modules/alias": {"name": "real", "version": "1.0.0"},
        "node_modules/vitest": {"version": "3.0.0", "dev": True},
        "node_modules/local": {"resolved": "local", "link": True},
        "local": {"version": "1.0.0"},
    },
}

FILE = {
    "required": ["type", "bom-ref", "name", "hashes"],
    "properties": {
        "type": {"const": "file"},
        "hashes": {
            "items": {
                "required": ["alg", "content"],
                "properties": {
                    "alg": {"const": "SHA-256"},
                    "content": {"pattern": "^[a-fA-F0-9]{64}$"},
                },
                "additionalProperties": False,
            }
        },
    },
}
LIBRARY = {
    "required": ["type", "bom-ref", "name", "version", "purl"],
    "properties": {
        "type": {"const": "library"},
        "name": {"type": "string", "minLength": 1},
        "version": {"type": "string", "maxLength": 1024},
        "purl": {"pattern": "^pkg:(pypi|npm)/[^@]+@[^@]+$"},
    },
}
CYCLONEDX = {
    "required": ["bomFormat", "specVersion"],
    "additionalProperties": False,
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "version": {"type": "integer", "minimum": 1},
        "metadata": {
            "properties": {
                "tools": {
                    "properties": {"components": {"items": {"required": ["type", "name"]}}},
                    "additionalProperties": False,
                },
                "component": {"required": ["type", "name"]},
            },
            "additionalProperties": False,
        },
        "components": {"uniqueItems": True, "items": {"anyOf": [FILE, LIBRARY]}},
        "dependencies": {
            "uniqueItems": True,
            "items": {
                "required": ["ref"],
                "additionalProperties": False,
                "properties": {
                    "ref": {"type": "string", "minLength": 1},
                    "dependsOn": {"type": "array", "uniqueItems": True},
                },
            },
        },
    },
}
"""What of the published schema, bom-1.6.schema.json, speaks of the parts that a build writes."""

MakePackage = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def package(tmp_path: Path) -> MakePackage:
    def make(files: Mapping[str, str | bytes]) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return tmp_path / "a.zip"

    return make


def purls(package: Path) -> list[str]:
    found = take_inventory({"a": package})
    assert found.unread == []
    return sorted(one.purl for one in found.components["a"])


def unread(package: Path) -> list[str]:
    found = take_inventory({"a": package})
    assert found.components == {"a": frozenset()}
    return found.unread


def metadata(name: str, version: str = "1.0") -> str:
    return METADATA.format(name=name, version=version)


def test_lists_what_pip_has_installed(package: MakePackage) -> None:
    made = package(
        {
            "app.py": "",
            "Ruamel.Yaml-0.18.dist-info/METADATA": metadata("Ruamel.Yaml", "0.18"),
            "python/torch-2.dist-info/METADATA": metadata("torch", "2.0+cpu"),
            "docs/METADATA": metadata("no distribution"),
        }
    )
    assert purls(made) == ["pkg:pypi/ruamel-yaml@0.18", "pkg:pypi/torch@2.0%2Bcpu"]


def test_lists_what_npm_has_installed_and_not_what_it_might_have(package: MakePackage) -> None:
    made = package(
        {
            "package.json": json.dumps({"name": "shop", "version": "1.0.0"}),
            "package-lock.json": json.dumps(LOCK),
            "node_modules/.package-lock.json": "not looked at",
            "node_modules/a/package.json": json.dumps({"name": "a", "version": "1.0.0"}),
            "node_modules/a/lib/package.json": json.dumps({"type": "module"}),
            "node_modules/@s/b/package.json": json.dumps({"name": "@s/b", "version": "2.0.0"}),
        }
    )
    assert purls(made) == ["pkg:npm/%40s/b@2.0.0", "pkg:npm/a@1.0.0"]


def test_lists_what_the_lock_of_bundled_code_names(package: MakePackage) -> None:
    assert purls(package({"app.js": "", "package-lock.json": json.dumps(LOCK)})) == [
        "pkg:npm/%40aws/client@3.1.0",
        "pkg:npm/b@2.0.0",
        "pkg:npm/real@1.0.0",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.dist-info/METADATA", "Name: a\n"),
        ("a.dist-info/METADATA", b"\xff\xfe\x00"),
        ("node_modules/a/package.json", "{"),
        ("node_modules/a/package.json", "[]"),
        ("node_modules/a/package.json", '{"name": "a", "version": 1}'),
        ("package-lock.json", '{"lockfileVersion": 1, "dependencies": {}}'),
        ("package-lock.json", '{"packages": {"node_modules/a": {}}}'),
        ("package-lock.json", "[" * 100_000),
    ],
)
def test_says_which_file_does_not_tell(
    name: str, content: str | bytes, package: MakePackage
) -> None:
    assert unread(package({name: content})) == [f"a: {name}"]


def test_what_is_no_archive_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "flow.json").write_text("{}")
    assert purls(tmp_path / "flow.json") == []


def test_a_broken_archive_is_said(package: MakePackage) -> None:
    made = package({"a.dist-info/METADATA": metadata("a")})
    whole = made.read_bytes()
    start = whole.index(b"PK\x01\x02")
    made.write_bytes(whole[:start] + b"XX" + whole[start + 2 :])
    assert unread(made) == ["a"]
    made.write_bytes(whole.replace(b"PK\x03\x04", b"XXXX", 1))
    assert unread(made) == ["a: a.dist-info/METADATA"]


def test_the_bill_is_as_cyclonedx_wants_it(application: MakeApplication) -> None:
    folder = application("plain")
    write(folder, {"greeter/requests-2.32.0.dist-info/METADATA": metadata("requests", "2.32.0")})
    artifact = build_artifact(folder)

    sbom = json.loads(artifact.files[f"{artifact.prefix}/sbom.cdx.json"].read_text())

    jsonschema.validate(sbom, CYCLONEDX)
    packages = {p.key: p.sha256 for p in artifact.contents.packages if p.key != "source.zip"}
    listed = {c["name"]: c["hashes"][0]["content"] for c in sbom["components"] if "hashes" in c}
    assert listed == packages
    refs = [c["bom-ref"] for c in sbom["components"]]
    assert len(refs) == len(set(refs))
    (key,) = packages
    assert sbom["dependencies"] == [
        {"ref": "shop", "dependsOn": [key]},
        {"ref": key, "dependsOn": ["pkg:pypi/requests@2.32.0"]},
        {"ref": "pkg:pypi/requests@2.32.0"},
    ]


def test_a_distribution_in_two_packages_is_one(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.zip" for name in "ab"}
    for path in paths.values():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("c-1.dist-info/METADATA", metadata("c", "1"))
            archive.writestr("vendored/c-1.dist-info/METADATA", metadata("c", "1"))
    sbom = make_sbom("shop", dict.fromkeys(paths, "0" * 64), take_inventory(paths))
    assert [c["bom-ref"] for c in sbom["components"]] == ["a", "b", "pkg:pypi/c@1"]
    jsonschema.validate(sbom, CYCLONEDX)


def test_what_tells_nothing_is_a_warning_and_no_end(application: MakeApplication) -> None:
    folder = application("plain")
    write(folder, {"greeter/package-lock.json": "{"})
    (said,) = build_artifact(folder).warnings
    assert "package-lock.json does not say what it is of, so sbom.cdx.json lists nothing" in said
