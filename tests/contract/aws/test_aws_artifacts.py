"""Artifacts in S3: the build stores what is missing, a release reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.ports.artifacts import ArtifactsContract
from tidegate.aws.artifacts import S3Artifacts
from tidegate.aws.session import Clients
from tidegate.build.artifact import build_and_upload, build_artifact, upload
from tidegate.core.artifact import ArtifactContents
from tidegate.core.errors import ArtifactError
from tidegate.core.plan import ArtifactRef
from tidegate.core.workflow.artifacts import check_template, read_contents

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
