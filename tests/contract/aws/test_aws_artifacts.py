"""Artifacts in S3: the build stores what is missing, a release reads it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from botocore.exceptions import ClientError

from contract.ports.artifacts import ArtifactsContract, Overwrite
from tidegate.aws.artifacts import S3Artifacts
from tidegate.aws.session import Clients
from tidegate.build.artifact import build_and_upload, build_artifact, upload
from tidegate.core.errors import ArtifactError, InputError
from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.workflow.release.artifacts import (
    check_packages,
    check_source,
    read_contents,
    read_template,
    require_versions,
)
from tidegate_embedded.cloud import DEFAULT_REGION

pytestmark = pytest.mark.cloud

FILES = {
    "tidegate.yaml": (
        "version: 1\n"
        "application: shop\n"
        'stages: [{name: prod, account: "111111111111", regions: [eu-west-1]}]\n'
    ),
    "template.yaml": (
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  Greeter:\n"
        "    Type: AWS::Serverless::Function\n"
        "    Properties:\n"
        "      {CodeUri: code, Handler: app.handler, Runtime: python3.12, AutoPublishAlias: live}\n"
    ),
    "code/app.py": "def handler(event, context): return 'hello'\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small application."""
    for name, text in FILES.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "shop"


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    return client("s3")


@pytest.fixture
def artifacts(clients: Clients) -> S3Artifacts:
    return S3Artifacts(clients.make("s3"))


class TestS3Artifacts(ArtifactsContract):
    @pytest.fixture
    def stored(self, s3: Any, bucket: str) -> tuple[str, str]:
        s3.put_object(Bucket=bucket, Key="a/key", Body=b"built", ChecksumAlgorithm="SHA256")
        return bucket, "a/key"

    @pytest.fixture
    def overwrite(self, s3: Any, stored: tuple[str, str]) -> Overwrite:
        def overwrite(content: bytes) -> str:
            bucket, key = stored
            put = s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")
            return str(put["VersionId"])

        return overwrite

    def test_trusts_no_object_that_was_stored_in_another_way(
        self, s3: Any, bucket: str, artifacts: S3Artifacts
    ) -> None:
        s3.put_object(Bucket=bucket, Key="crc", Body=b"built", ChecksumAlgorithm="CRC32")
        with pytest.raises(ArtifactError, match=r"S3 has no SHA-256 of s3://.*/crc"):
            artifacts.sha256(bucket, "crc")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="SHA256")
        of_it = {"Bucket": bucket, "Key": "parts", "UploadId": upload["UploadId"]}
        part = s3.upload_part(**of_it, PartNumber=1, Body=b"built", ChecksumAlgorithm="SHA256")
        parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
        s3.complete_multipart_upload(**of_it, MultipartUpload={"Parts": parts})
        with pytest.raises(ArtifactError, match=r"S3 has no SHA-256 of s3://.*/parts"):
            artifacts.sha256(bucket, "parts")

    def test_says_when_there_is_no_such_bucket(self, artifacts: S3Artifacts) -> None:
        with pytest.raises(ArtifactError, match="s3://no-such-bucket/key"):
            artifacts.read("no-such-bucket", "key")


def test_a_release_reads_what_the_build_stored(
    shop: Path, s3: Any, bucket: str, artifacts: S3Artifacts
) -> None:
    reference = build_and_upload(shop, bucket=bucket, s3=s3, revision={"commit": "c0ffee"})

    contents = read_contents(artifacts, reference)

    require_versions(reference, contents)
    assert read_template(artifacts, reference, contents)["Resources"]["Greeter"]
    check_packages(artifacts, reference, contents, [DEFAULT_REGION])
    check_source(artifacts, reference, contents)
    assert reference.versions.keys() == {bucket}
    assert contents.aliases[0].function == "Greeter"


def test_the_release_file_names_artifact_and_commit(shop: Path, s3: Any, bucket: str) -> None:
    release_file = shop / "release.json"
    environment = {
        "CODEBUILD_RESOLVED_SOURCE_VERSION": "c0ffee",
        "TIDEGATE_AUTHOR": "Ada",
        "TIDEGATE_SUBJECT": 'Say "hello"',
    }

    reference = build_and_upload(
        shop, bucket=bucket, s3=s3, release_file=release_file, environment=environment
    )

    assert ArtifactRef.model_validate_json(release_file.read_text()) == reference
    assert (reference.commit, reference.author, reference.subject) == (
        "c0ffee",
        "Ada",
        'Say "hello"',
    )
    assert (reference.bucket, reference.application) == (bucket, "shop")


def test_what_a_build_states_lies_beside_the_artifact_build_by_build(
    shop: Path, s3: Any, bucket: str
) -> None:
    def build(number: int) -> str:
        arn = f"arn:aws:codebuild:eu-west-1:111111111111:build/shop-build:{number}"
        environment = {"CODEBUILD_BUILD_ARN": arn}
        revision = {"commit": "c0ffee"}
        of = {"bucket": bucket, "s3": s3, "environment": environment, "revision": revision}
        return build_and_upload(shop, **of).prefix

    prefix = build(1)
    assert build(2) == build(1) == prefix
    stored = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/provenance/")["Contents"]
    stated = [json.load(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"]) for one in stored]
    runs = [one["predicate"]["runDetails"]["metadata"]["invocationId"] for one in stated]
    assert sorted(run.rpartition(":")[2] for run in runs) == ["1", "2"]
    bill = s3.get_object(Bucket=bucket, Key=f"{prefix}/sbom.cdx.json")["Body"]
    assert json.load(bill)["bomFormat"] == "CycloneDX"


def test_sends_nothing_twice(shop: Path, s3: Any, bucket: str) -> None:
    def stored() -> int:
        return len(s3.list_object_versions(Bucket=bucket)["Versions"])

    first = build_artifact(shop)
    versions = upload(first, bucket, s3)
    assert versions.keys() == first.files.keys()
    assert stored() == len(first.files) == 5
    assert upload(build_artifact(shop), bucket, s3) == versions
    assert stored() == 5

    (shop / "tests.py").write_text("# the code stays as it is\n")
    upload(build_artifact(shop), bucket, s3)
    assert stored() == 9  # source, bill and description


def test_two_builds_at_once_store_the_same_once(shop: Path, s3: Any, bucket: str) -> None:
    artifact = build_artifact(shop)

    class Late:
        """The other build stores each object between this one's look and its upload."""

        looked: ClassVar[set[str]] = set()

        def head_object(self, **request: Any) -> Any:
            if (key := request["Key"]) not in self.looked:
                self.looked.add(key)
                _store(s3, bucket, key, artifact.files[key].read_bytes())
                raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
            return s3.head_object(**request)

        def put_object(self, **request: Any) -> Any:
            return s3.put_object(**request)

    versions = upload(artifact, bucket, cast("Any", Late()))

    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == len(versions) == 5


def _store(s3: Any, bucket: str, key: str, content: bytes) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")


def test_refuses_a_bucket_that_keeps_no_versions(shop: Path, s3: Any, account: str) -> None:
    where = {"LocationConstraint": DEFAULT_REGION}
    s3.create_bucket(Bucket=f"plain-{account}", CreateBucketConfiguration=where)
    with pytest.raises(ArtifactError, match=f"plain-{account} keeps no versions"):
        upload(build_artifact(shop), f"plain-{account}", s3)


def test_says_where_it_could_not_store(shop: Path, s3: Any) -> None:
    with pytest.raises(ArtifactError, match=r"s3://no-such-bucket/.* cannot be stored"):
        upload(build_artifact(shop), "no-such-bucket", s3)


def test_an_artifact_that_can_be_read_is_there_as_a_whole(
    shop: Path, s3: Any, bucket: str, artifacts: S3Artifacts
) -> None:
    artifact = build_artifact(shop)
    missing = next(key for key in artifact.files if key.endswith(".zip"))
    artifact.files[missing].unlink()

    with pytest.raises(FileNotFoundError):
        upload(artifact, bucket, s3)

    with pytest.raises(ArtifactError):
        artifacts.read(bucket, f"{artifact.prefix}/artifact.json")
    assert isinstance(artifact.contents, ArtifactContents)


FAR = """
version: 1
application: shop
stages:
  - name: prod
    account: "111111111111"
    waves: [[REGION], [us-east-1]]
"""


@pytest.fixture
def far_shop(shop: Path) -> Path:
    """An application with a stage in another region, too."""
    (shop / "tidegate.yaml").write_text(FAR.replace("REGION", DEFAULT_REGION))
    return shop


def test_packages_lie_in_a_bucket_of_every_region(
    far_shop: Path, s3: Any, bucket: str, clients: Clients, artifacts: S3Artifacts
) -> None:
    far = Clients(clients.session, "us-east-1").make("s3")
    far.create_bucket(Bucket=f"{bucket}-us-east-1")
    far.put_bucket_versioning(
        Bucket=f"{bucket}-us-east-1", VersioningConfiguration={"Status": "Enabled"}
    )

    reference = build_and_upload(
        far_shop,
        bucket=bucket,
        s3=s3,
        region_bucket=f"{bucket}-{{region}}",
        s3_in=lambda region: Clients(clients.session, region).make("s3"),
        revision={"commit": "c0ffee"},
    )

    code, _ = read_contents(artifacts, reference).packages
    assert reference.packages_in(DEFAULT_REGION) == bucket
    assert reference.packages_in("us-east-1") == f"{bucket}-us-east-1"
    there = far.list_objects_v2(Bucket=f"{bucket}-us-east-1")["Contents"]
    assert [entry["Key"] for entry in there] == [code.key]
    require_versions(reference, read_contents(artifacts, reference))
    check_packages(
        artifacts, reference, read_contents(artifacts, reference), [DEFAULT_REGION, "us-east-1"]
    )


def test_refuses_a_region_whose_functions_would_find_no_code(
    far_shop: Path, s3: Any, bucket: str
) -> None:
    with pytest.raises(
        InputError,
        match=r"prod deploys to us-east-1.*own region.*artifact-region\.yaml in us-east-1",
    ):
        build_and_upload(far_shop, bucket=bucket, s3=s3, revision={"commit": "c0ffee"})


def test_says_which_bucket_of_a_region_is_missing(far_shop: Path, s3: Any, bucket: str) -> None:
    with pytest.raises(ArtifactError, match=r"s3://nowhere-us-east-1/.*cannot be stored"):
        build_and_upload(
            far_shop,
            bucket=bucket,
            s3=s3,
            region_bucket="nowhere-{region}",
            revision={"commit": "c0ffee"},
        )


def test_says_that_the_region_of_a_bucket_is_not_known(far_shop: Path, s3: Any) -> None:
    with pytest.raises(
        ArtifactError, match=r"region of the bucket no-such-bucket.*GetBucketLocation"
    ):
        build_and_upload(far_shop, bucket="no-such-bucket", s3=s3, revision={"commit": "c0ffee"})


def test_an_application_without_packages_needs_no_bucket_of_a_region(
    far_shop: Path, s3: Any, bucket: str
) -> None:
    template = (far_shop / "template.yaml").read_text()
    inline = "InlineCode: 'def handler(event, context): return 1'"
    (far_shop / "template.yaml").write_text(re.sub(r"CodeUri: \w+", inline, template))

    reference = build_and_upload(far_shop, bucket=bucket, s3=s3, revision={"commit": "c0ffee"})

    assert reference.buckets == {}
