"""The same attacks on the embedded AWS, over the real adapters, by what S3 and Lambda really do."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.services import lambda_svc

from support.shops import MakeShop, Shop
from tidegate.build.artifact import build_artifact
from tidegate.build.template import read_template
from tidegate.core.errors import ArtifactError
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator

pytestmark = pytest.mark.cloud

PIPELINE = Path(__file__).parents[2] / "pipeline"
BOB = Operator("bob", "cli")


@pytest.fixture
def shop(make_shop: MakeShop) -> Shop:
    """Prod asks a person, and the first release is live."""
    shop = make_shop(", approval: {}")
    while_waiting(shop, lambda: None)
    assert shop.release("one") == "succeeded"
    return shop


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    return client("s3")


def while_waiting(shop: Shop, attack: Callable[[], object]) -> None:
    """The attack comes between the question and the answer."""

    def act(ref: Any, _: str) -> None:
        attack()
        approve(shop.ports, BOB, ref.id)

    shop.machines.while_waiting = act


def evil() -> bytes:
    """A package that answers as the attacker likes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return 'evil'\n")
    return content.getvalue()


def keys(s3: Any, bucket: str, prefix: str) -> set[str]:
    found = s3.list_object_versions(Bucket=bucket, Prefix=f"applications/shop/{prefix}")
    return {version["Key"] for version in found.get("Versions", [])}


def attack_packages(s3: Any, bucket: str, known: set[str], *, delete: bool = False) -> None:
    """Another commit's build writes under the packages of the one that waits."""
    for key in keys(s3, bucket, "packages/") - known:
        if delete:
            for version in s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]:
                s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
        s3.put_object(Bucket=bucket, Key=key, Body=evil(), ChecksumAlgorithm="SHA256")


def test_bytes_put_over_a_package_while_prod_waits_for_approval_do_not_run(
    shop: Shop, s3: Any, bucket: str
) -> None:
    known = keys(s3, bucket, "packages/")
    while_waiting(shop, lambda: attack_packages(s3, bucket, known))

    assert shop.release("two") == "succeeded", shop.ended().cause

    assert shop.answers() == ("two", "2")


def test_a_package_whose_version_was_deleted_is_not_replaced_by_the_newest(
    shop: Shop, s3: Any, bucket: str
) -> None:
    known = keys(s3, bucket, "packages/")
    while_waiting(shop, lambda: attack_packages(s3, bucket, known, delete=True))

    assert shop.release("two") == "failed"

    assert shop.ended().error == "ArtifactError"
    assert shop.answers() == ("one", "1")


def test_a_template_put_over_the_approved_one_opens_no_door(
    shop: Shop, s3: Any, bucket: str, client: Callable[[str], Any]
) -> None:
    known = keys(s3, bucket, "artifacts/")

    def attack() -> None:
        (key,) = (k for k in keys(s3, bucket, "artifacts/") - known if k.endswith("/template.json"))
        template = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        template["Resources"]["Door"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Principal": "*",
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Greeter"},
            },
        }
        content = json.dumps(template).encode()
        s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")

    while_waiting(shop, attack)
    assert shop.release("two") == "succeeded"

    assert shop.answers() == ("two", "2")
    listed = client("cloudformation").list_stack_resources(StackName="shop-prod")
    names = {one["LogicalResourceId"] for one in listed["StackResourceSummaries"]}
    assert names
    assert "Door" not in names


def test_a_candidate_whose_code_was_swapped_in_lambda_gets_no_traffic(
    shop: Shop, client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Lambda has published is not what S3 had: whoever is to blame, it is seen."""
    fetch = lambda_svc._fetch_code_from_s3
    monkeypatch.setattr(lambda_svc, "_fetch_code_from_s3", lambda *_, **__: evil())

    assert shop.release("two") == "failed"

    assert shop.ended().error == "CodeMismatch"
    assert "and the artifact names sha256:" in shop.ended().cause
    alias = client("lambda").list_aliases(FunctionName=shop.function)["Aliases"]
    assert [(one["FunctionVersion"], one.get("RoutingConfig")) for one in alias] == [("1", None)]
    monkeypatch.setattr(lambda_svc, "_fetch_code_from_s3", fetch)
    assert shop.release("three") == "succeeded"
    assert shop.answers()[0] == "three"


def test_bytes_put_under_the_key_of_a_future_package_stop_the_build(
    shop: Shop, s3: Any, bucket: str
) -> None:
    shop.write("three")
    (key,) = (k for k in build_artifact(shop.folder).files if "/packages/" in k)
    s3.put_object(Bucket=bucket, Key=key, Body=evil(), ChecksumAlgorithm="SHA256")

    with pytest.raises(ArtifactError, match=f"s3://{bucket}/{key} is there already, with other"):
        shop.build("three")

    assert shop.answers() == ("one", "1")


@pytest.mark.parametrize("template", ["template.yaml", "artifact-region.yaml"])
def test_the_bucket_lets_nobody_put_an_object_over_another(
    template: str, s3: Any, bucket: str
) -> None:
    declared = read_template(PIPELINE / template)["Resources"]["ArtifactBucketPolicy"]
    statements = declared["Properties"]["PolicyDocument"]["Statement"]
    (deny,) = (one for one in statements if one["Sid"] == "DenyOverwriting")
    assert deny["Resource"] == {"Fn::Sub": "${ArtifactBucket.Arn}/applications/*"}
    policy = {**deny, "Resource": f"arn:aws:s3:::{bucket}/applications/*"}
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    )
    key = "applications/shop/packages/a.zip"
    s3.put_object(Bucket=bucket, Key=key, Body=b"built", IfNoneMatch="*")

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key=key, Body=evil())
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key=key, Body=evil(), IfNoneMatch="*")
    source = {"Bucket": bucket, "Key": "shop/evil.zip"}
    s3.put_object(**source, Body=evil())  # where the pipeline keeps its own, nothing is denied
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.copy_object(Bucket=bucket, Key=key, CopySource=source)
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    of_it = {"Bucket": bucket, "Key": key, "UploadId": upload}
    part = s3.upload_part(**of_it, PartNumber=1, Body=evil())["ETag"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.complete_multipart_upload(
            **of_it, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
        )
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"built"
