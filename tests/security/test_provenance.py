"""What a build says of its packages cannot be changed unseen, and tells no secret."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.applications import MANIFEST, make_application, write
from support.shops import MakeShop
from tidegate.build.artifact import build_artifact
from tidegate.build.source import find_repository, find_revision
from tidegate.core.errors import ArtifactError
from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import ArtifactRef

TOKEN = "ghp_correcthorsebatterystaple"
METADATA = "Name: requests\nVersion: 2.32.0\n"
DIST_INFO = "greeter/requests-2.32.0.dist-info/METADATA"


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    return client("s3")


def read(s3: Any, built: ArtifactRef, key: str) -> bytes:
    of = {"Bucket": built.bucket, "Key": key, "VersionId": built.version(built.bucket, key)}
    content: bytes = s3.get_object(**of)["Body"].read()
    return content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.cloud
def test_no_file_of_an_artifact_goes_without_a_digest_that_its_build_states(
    make_shop: MakeShop, s3: Any
) -> None:
    shop = make_shop()
    built = shop.build("one")
    content = read(s3, built, built.provenance)
    assert built.provenance == f"{built.prefix}/provenance/{sha256(content)}.intoto.json"
    stated = {one["name"]: one["digest"]["sha256"] for one in json.loads(content)["subject"]}
    stored = {
        key.removeprefix(f"{built.prefix}/"): sha256(read(s3, built, key))
        for key in built.versions[built.bucket]
    }
    assert stored.keys() >= {"artifact.json", "sbom.cdx.json", "source.zip", "template.json"}
    assert stated == {**stored, "artifact.json": built.digest.removeprefix("sha256:")}


@pytest.mark.cloud
def test_no_bill_of_materials_of_somebody_else_stands_for_that_of_the_build(
    make_shop: MakeShop, s3: Any, bucket: str
) -> None:
    shop = make_shop()
    write(shop.folder, {DIST_INFO: METADATA})
    shop.write("one")
    revision = find_revision(shop.folder, {}, commit="c1")
    artifact = build_artifact(shop.folder, revision=revision)
    key = f"{artifact.prefix}/sbom.cdx.json"
    s3.put_object(Bucket=bucket, Key=key, Body=b'{"components": []}', ChecksumAlgorithm="SHA256")

    with pytest.raises(ArtifactError, match="is there already, with other bytes"):
        shop.build("one")


def test_nobody_drops_a_package_from_the_bill_without_changing_the_artifact(tmp_path: Path) -> None:
    folder = make_application(tmp_path / "shop", "plain")
    write(folder, {DIST_INFO: METADATA})
    contents = build_artifact(folder).contents
    bill = (folder / ".tidegate/build/sbom.cdx.json").read_bytes()
    assert b"pkg:pypi/requests@2.32.0" in bill
    assert contents.bill_sha256 == sha256(bill)
    forged = contents.model_copy(update={"bill_sha256": sha256(bill.replace(b"2.32.0", b"2.33.0"))})
    assert forged.digest() != contents.digest()


def test_two_builds_of_a_commit_give_the_same_bill(tmp_path: Path) -> None:
    def bill(name: str) -> bytes:
        folder = make_application(tmp_path / name, "plain")
        write(folder, {"greeter/b-1.dist-info/METADATA": "Name: b\nVersion: 1\n"})
        write(folder, {"greeter/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n"})
        build_artifact(folder)
        return (folder / ".tidegate/build/sbom.cdx.json").read_bytes()

    assert bill("one") == bill("two")
    assert b"pkg:pypi/a@1" in bill("three")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"https://ada:{TOKEN}@example.com/acme/shop.git", "https://example.com/acme/shop.git"),
        (f"https://{TOKEN}@example.com:8443/shop.git", "https://example.com:8443/shop.git"),
        (f"https://example.com/shop.git?token={TOKEN}#{TOKEN}", "https://example.com/shop.git"),
        (f"https://[{TOKEN}/shop.git", ""),
        ("git@example.com:acme/shop.git", "git@example.com:acme/shop.git"),
    ],
)
@pytest.mark.parametrize("by", ["git", "the environment"])
def test_no_credentials_of_a_clone_get_into_what_is_stored(
    tmp_path: Path, address: str, shown: str, by: str
) -> None:
    environment = {"CODEBUILD_RESOLVED_SOURCE_VERSION": "c0ffee"}
    if by == "git":
        (tmp_path / "file").write_text("")
        for command in (
            ["init", "--quiet"],
            ["remote", "add", "origin", address],
            ["add", "file"],
            ["-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", "-C", tmp_path, *command], check=True)
        environment = {}
    else:
        environment["CODEBUILD_SOURCE_REPO_URL"] = address
    assert find_repository(tmp_path, environment) == shown


def test_no_package_keeps_a_build_busy_by_what_it_says_of_itself(tmp_path: Path) -> None:
    folder = make_application(tmp_path / "shop", "plain")
    (folder / "tidegate.yaml").write_text(MANIFEST)
    with zipfile.ZipFile(folder / "greeter.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dist-info/METADATA", "Name: a\nVersion: 1\n" + "X: y\n" * 20_000_000)
        archive.writestr("package-lock.json", "[" * 1_000_000)
    text = (folder / "template.yaml").read_text().replace("greeter/", "greeter.zip")
    (folder / "template.yaml").write_text(text)

    built = build_artifact(folder)

    (said,) = built.warnings
    assert "package-lock.json cannot be read, so sbom.cdx.json lists nothing by it" in said
    stored = (folder / ".tidegate/build/artifact.json").read_text()
    assert ArtifactContents.model_validate_json(stored).bill_sha256
