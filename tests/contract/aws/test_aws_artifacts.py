"""Artifacts in S3: the build stores what is missing, a release reads it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.ports.artifacts import ArtifactsContract
from tidegate.aws.artifacts import S3Artifacts
from tidegate.aws.session import Clients
from tidegate.build.artifact import build_and_upload, build_artifact, upload
from tidegate.core.artifact import ArtifactContents
from tidegate.core.errors import ArtifactError, InputError
from tidegate.core.plan import ArtifactRef
from tidegate.core.workflow.artifacts import check_template, read_contents
from tidegate.local.cloud import DEFAULT_REGION

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
        s3.put_object(Bucket=bucket, Key="a/key", Body=b"built")
        return bucket, "a/key"

    def test_says_when_there_is_no_such_bucket(self, artifacts: S3Artifacts) -> None:
        with pytest.raises(ArtifactError, match="s3://no-such-bucket/key"):
            artifacts.read("no-such-bucket", "key")


def test_a_release_reads_what_the_build_stored(
    shop: Path, s3: Any, bucket: str, artifacts: S3Artifacts
) -> None:
    reference = build_and_upload(shop, bucket=bucket, s3=s3, revision={"commit": "c0ffee"})

    contents = read_contents(artifacts, reference)

    check_template(artifacts, reference, contents)
    code, source = contents.packages
    assert artifacts.read(bucket, code.key)
    assert artifacts.read(bucket, f"{reference.prefix}/{source.key}")
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


def test_sends_nothing_twice(shop: Path, s3: Any, bucket: str) -> None:
    first = build_artifact(shop)
    assert upload(first, bucket, s3) == len(first.files) == 4
    assert upload(build_artifact(shop), bucket, s3) == 0

    (shop / "tests.py").write_text("# the code stays as it is\n")
    assert upload(build_artifact(shop), bucket, s3) == 3


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
