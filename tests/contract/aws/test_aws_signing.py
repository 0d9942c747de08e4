"""Packages are signed by AWS Signer, whose requests are held against its service model."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from support.applications import make_application
from tidegate.build.artifact import build_and_upload
from tidegate.build.signing import PackageSigner
from tidegate.core.errors import ArtifactError
from tidegate.core.model.plan import ArtifactRef

pytestmark = pytest.mark.cloud

SIGNATURE = "META-INF/signature"
COMMIT = {"commit": "c0ffee"}


class Signer:
    """Signs as the service does: the same token is the same job."""

    def __init__(self, session: boto3.Session, s3: Any) -> None:
        self._s3 = s3
        self.jobs: dict[str, str] = {}  # by their tokens, the key of the signed object
        self.refusal = ""
        self.client = session.client("signer")
        for operation in ("StartSigningJob", "DescribeSigningJob"):
            hear = getattr(self, f"_{operation}")
            self.client.meta.events.register(f"before-parameter-build.signer.{operation}", hear)
            answer = self._answers(operation)
            self.client.meta.events.register(f"before-call.signer.{operation}", answer)

    def _answers(self, operation: str) -> Callable[..., Any]:
        return lambda **_: (SimpleNamespace(status_code=200), self._answer[operation])

    def _StartSigningJob(self, params: Any, **_: Any) -> None:  # noqa: N802
        token = params["clientRequestToken"]
        self._answer = {"StartSigningJob": {"jobId": token, "ResponseMetadata": {}}}
        if token not in self.jobs and not self.refusal:
            source, to = params["source"]["s3"], params["destination"]["s3"]
            place = {"Bucket": source["bucketName"], "Key": source["key"]}
            found = self._s3.get_object(**place, VersionId=source["version"])["Body"].read()
            self.jobs[token] = f"{to['prefix']}{len(self.jobs)}.zip"
            self._s3.put_object(
                Bucket=to["bucketName"], Key=self.jobs[token], Body=signed(found, len(self.jobs))
            )

    def _DescribeSigningJob(self, params: Any, **_: Any) -> None:  # noqa: N802
        answer: dict[str, Any] = {"status": "Failed", "statusReason": self.refusal}
        if not self.refusal:
            made = {"s3": {"key": self.jobs[params["jobId"]]}}
            answer = {"status": "Succeeded", "signedObject": made}
        self._answer = {"DescribeSigningJob": {**answer, "ResponseMetadata": {}}}


def signed(package: bytes, serial: int) -> bytes:
    """The package with a signature, another one each time."""
    content = io.BytesIO(package)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(SIGNATURE, str(serial))
    return content.getvalue()


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    return client("s3")


@pytest.fixture
def signer(session: boto3.Session, s3: Any) -> Signer:
    return Signer(session, s3)


@pytest.fixture
def build(tmp_path: Path, s3: Any, bucket: str, signer: Signer) -> Callable[[], ArtifactRef]:
    folder = make_application(tmp_path / "shop", "plain")

    def build() -> ArtifactRef:
        return build_and_upload(
            folder,
            bucket=bucket,
            s3=s3,
            revision=COMMIT,
            environment={},
            signer=PackageSigner(signer.client, s3, bucket, "shop"),
        )

    return build


def test_what_functions_run_is_what_was_signed(
    build: Callable[[], ArtifactRef], s3: Any, bucket: str
) -> None:
    reference = build()
    packages = [key for key in reference.versions[bucket] if "/packages/" in key]
    for key in packages:
        content = io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        assert SIGNATURE in zipfile.ZipFile(content).namelist()
    assert packages


def test_the_same_code_is_signed_once(build: Callable[[], ArtifactRef], signer: Signer) -> None:
    first = build()
    jobs = len(signer.jobs)
    assert build().digest == first.digest
    assert len(signer.jobs) == jobs


def test_what_is_not_signed_is_not_stored(
    build: Callable[[], ArtifactRef], signer: Signer, s3: Any, bucket: str
) -> None:
    signer.refusal = "the archive is signed already"
    with pytest.raises(ArtifactError, match="the archive is signed already"):
        build()
    stored = s3.list_objects_v2(Bucket=bucket, Prefix="applications/")
    assert stored["KeyCount"] == 0


def test_says_that_signer_cannot_be_asked(tmp_path: Path, s3: Any, bucket: str) -> None:
    package = tmp_path / "package.zip"
    package.write_bytes(b"PK")
    nobody = boto3.client(
        "signer",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    asked = PackageSigner(nobody, s3, bucket, "shop")
    with pytest.raises(ArtifactError, match=r"was not signed with shop: .*SigningProfileName"):
        asked.sign("shop", package)
