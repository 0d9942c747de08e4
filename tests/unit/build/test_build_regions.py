"""Regions are checked wherever a manifest is read to be built."""

from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from support.applications import MakeApplication
from tidegate.build.artifact import build_artifact, region_buckets
from tidegate.build.regions import aws_partitions
from tidegate.core.errors import InputError, ManifestError
from tidegate.core.model.regions import partition_of
from tidegate.core.planning.release_plan import _partition
from tidegate.testing.templates import TemplateApplication


def in_region(folder: Path, region: str) -> Path:
    manifest = folder / "tidegate.yaml"
    manifest.write_text(manifest.read_text().replace("eu-west-1", region))
    return folder


def test_every_region_of_the_list_is_in_its_partition() -> None:
    listed = {region: one.id for one in aws_partitions() for region in one.regions}

    assert {"eu-west-1", "cn-north-1", "us-gov-west-1"} <= listed.keys()
    assert "aws-global" not in listed
    assert {region: partition_of(region, aws_partitions()) for region in listed} == listed
    assert {region: _partition(region) for region in listed} == listed


def test_a_build_refuses_a_region_that_there_is_not(application: MakeApplication) -> None:
    folder = in_region(application("plain"), "xx-nowhere-9")

    with pytest.raises(ManifestError, match=r"tidegate\.yaml:5: stages\[0\]\.regions\[0\]: there"):
        build_artifact(folder)


def test_so_does_a_test_of_the_application(application: MakeApplication) -> None:
    folder = in_region(application("plain"), "xx-nowhere-9")
    tested = TemplateApplication(folder / "template.yaml", folder / "tidegate.yaml")

    with pytest.raises(ManifestError, match="there is no region"):
        tested.contents(1)


def test_a_build_warns_of_a_region_that_may_be_new(application: MakeApplication) -> None:
    folder = in_region(application("plain"), "eu-wets-1")

    artifact = build_artifact(folder)

    (warning,) = artifact.warnings
    assert warning.startswith(f"{folder / 'tidegate.yaml'}: stages[0].regions[0]: eu-wets-1 is not")
    assert "botocore" not in artifact.contents.model_dump_json()  # the digest says nothing of it


def test_the_controllers_bucket_is_in_the_partition_of_the_stages(
    application: MakeApplication,
) -> None:
    artifact = build_artifact(in_region(application("plain"), "cn-north-1"))
    s3 = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(s3) as answers:
        answers.add_response("get_bucket_location", {"LocationConstraint": "eu-west-1"})

        with pytest.raises(InputError) as caught:
            region_buckets(artifact, "artifacts", "artifacts-{region}", s3)

    assert str(caught.value).startswith(
        "tidegate.yaml: stages[0].regions[0]: cn-north-1 is in partition aws-cn, and artifacts,"
        " the controller's bucket, is in eu-west-1, in aws. No role can be assumed"
    )
