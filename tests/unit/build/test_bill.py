"""An artifact says which libraries are in it, and who built it from what."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from support.applications import MakeApplication
from tidegate.build.artifact import build_artifact
from tidegate.build.bill import bill_of_materials
from tidegate.build.provenance import provenance, statement_name
from tidegate.core.model.artifact import Revision

BUILD = "arn:aws:codebuild:eu-west-1:111111111111:build/shop-build:0a1b"
REVISION = Revision(commit="c" * 40, branch="main", author="Ada <ada@example.com>")


def package(folder: Path, **files: str) -> Path:
    path = folder / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def bill(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    found, unread = bill_of_materials("shop", {"packages/abc.zip": package(folder, **files)})
    assert unread == []
    return found


@pytest.mark.parametrize(
    ("file", "text", "address", "version"),
    [
        ("requests-2.32.0.dist-info/METADATA", "", "pkg:pypi/requests@2.32.0", "2.32.0"),
        ("lib/Ruamel.Yaml_x-0.18.dist-info/METADATA", "", "pkg:pypi/ruamel-yaml-x@0.18", "0.18"),
        ("a-1.0+cpu.dist-info/METADATA", "", "pkg:pypi/a@1.0%2Bcpu", "1.0+cpu"),
        ("node_modules/ms/package.json", '{"version": "2.1.3"}', "pkg:npm/ms@2.1.3", "2.1.3"),
        (
            "node_modules/debug/node_modules/@aws/sdk/package.json",
            '{"version": "3.0.0"}',
            "pkg:npm/%40aws/sdk@3.0.0",
            "3.0.0",
        ),
        ("node_modules/odd/package.json", "{}", "pkg:npm/odd", None),
    ],
)
def test_a_library_in_a_package_has_an_address(
    file: str, text: str, address: str, version: str | None, tmp_path: Path
) -> None:
    (part,) = bill(tmp_path, {"app.py": "", file: text})["components"]
    (library,) = part["components"]
    assert library["purl"] == address
    assert library.get("version") == version


@pytest.mark.parametrize(
    "file", ["app/package.json", "node_modules/.package-lock.json", "x.dist-info"]
)
def test_what_no_installer_left_is_no_library(file: str, tmp_path: Path) -> None:
    (part,) = bill(tmp_path, {file: "{}"})["components"]
    assert "components" not in part
    assert part["hashes"] == [{"alg": "SHA-256", "content": "abc"}]


def test_every_reference_in_a_bill_is_its_own(tmp_path: Path) -> None:
    files = {
        "a-1.dist-info/METADATA": "",
        "b-2.dist-info/METADATA": "",
        "x/a-1.dist-info/METADATA": "",
    }
    path = package(tmp_path, **files)
    found, _ = bill_of_materials("shop", {"p/1.zip": path, "p/2.zip": path})
    parts = [part for one in found["components"] for part in (one, *one["components"])]
    references = [part["bom-ref"] for part in parts]
    assert len(references) == len(set(references)) == 6


def test_an_artifact_is_named_for_its_bill_too(application: MakeApplication) -> None:
    artifact = build_artifact(application("plain"))
    stored = artifact.files[f"{artifact.prefix}/sbom.cdx.json"]
    named = {part["name"] for part in json.loads(stored.read_text())["components"]}
    assert named == set(artifact.packages)
    other = artifact.contents.model_copy(update={"bill_sha256": "0" * 64})
    assert other.digest() != artifact.digest


def test_a_statement_names_what_was_built_by_whom_from_what(application: MakeApplication) -> None:
    artifact = build_artifact(application("plain"))
    said = provenance(artifact.contents, REVISION, "", {"CODEBUILD_BUILD_ARN": BUILD})

    digests = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
    assert digests["artifact.json"] == artifact.digest.removeprefix("sha256:")
    assert {p.key: p.sha256 for p in artifact.contents.packages}.items() <= digests.items()
    assert digests["sbom.cdx.json"] == artifact.contents.bill_sha256
    built = said["predicate"]["buildDefinition"]
    assert built["resolvedDependencies"] == [{"digest": {"gitCommit": "c" * 40}}]
    run = said["predicate"]["runDetails"]
    assert run["builder"]["id"] == "arn:aws:codebuild:eu-west-1:111111111111:project/shop-build"
    assert run["metadata"] == {"invocationId": BUILD}


def test_another_build_of_the_same_makes_another_statement(application: MakeApplication) -> None:
    contents = build_artifact(application("plain")).contents
    here = provenance(contents, REVISION, "https://example.com/shop", {})
    assert here["predicate"]["runDetails"]["builder"]["id"] == "urn:tidegate:builder:unknown"
    (source,) = here["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["uri"] == "git+https://example.com/shop"
    again = provenance(contents, REVISION, "", {"CODEBUILD_BUILD_ARN": BUILD})
    assert statement_name(here) != statement_name(again) == statement_name(dict(again))


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


def test_the_lock_beside_bundled_code_says_what_is_in_it(tmp_path: Path) -> None:
    (part,) = bill(tmp_path, {"app.js": "", "package-lock.json": json.dumps(LOCK)})["components"]
    assert [library["purl"] for library in part["components"]] == [
        "pkg:npm/%40aws/client@3.1.0",
        "pkg:npm/b@2.0.0",
        "pkg:npm/real@1.0.0",
    ]


def test_a_lock_says_nothing_where_its_modules_lie(tmp_path: Path) -> None:
    files = {"package-lock.json": json.dumps(LOCK), "node_modules/b/package.json": "{}"}
    (part,) = bill(tmp_path, files)["components"]
    assert [library["purl"] for library in part["components"]] == ["pkg:npm/b"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("node_modules/odd/package.json", "no JSON"),
        ("node_modules/odd/package.json", "[]"),
        ("node_modules/odd/package.json", "[" * 200_000),
        ("package-lock.json", '{"lockfileVersion": 1, "dependencies": {}}'),
    ],
)
def test_what_cannot_be_read_is_named(file: str, text: str, tmp_path: Path) -> None:
    found, unread = bill_of_materials("shop", {"p/1.zip": package(tmp_path, **{file: text})})
    assert unread == [f"p/1.zip: {file}"]
    assert "components" not in found["components"][0]


def test_a_broken_archive_is_named_and_ends_no_build(tmp_path: Path) -> None:
    path = package(tmp_path, **{"node_modules/a/package.json": "{}"})
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"PK\x01\x02", b"XXXX", 1))
    assert bill_of_materials("shop", {"p/1.zip": path})[1] == ["p/1.zip"]
    path.write_bytes(whole.replace(b"PK\x03\x04", b"XXXX", 1))
    unread = bill_of_materials("shop", {"p/1.zip": path})[1]
    assert unread == ["p/1.zip: node_modules/a/package.json"]
