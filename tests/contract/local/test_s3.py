"""S3 of the embedded AWS serves CloudFormation and Lambda of other accounts as AWS does."""

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.waiting import stack_status
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws

pytestmark = pytest.mark.cloud

TARGET = "121212121212"
STRANGER = "131313131313"


@pytest.fixture
def bucket(aws: EmbeddedAws, account: str) -> str:
    """A bucket whose template and code the target account may read, over TLS only."""
    name = f"packages-{account}"
    s3 = aws.client("s3", account=account)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": DEFAULT_REGION})
    everything = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    read = {"Effect": "Allow", "Principal": {"AWS": [TARGET]}, "Action": "s3:GetObject"}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": plain}
    statements = [read | {"Resource": everything[1]}, deny | {"Resource": everything}]
    s3.put_bucket_policy(
        Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return 1")
    s3.put_object(Bucket=name, Key="code.zip", Body=code.getvalue())
    function = {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Role": f"arn:aws:iam::{TARGET}:role/function",
        "Code": {"S3Bucket": name, "S3Key": "code.zip"},
    }
    resources = {"Function": {"Type": "AWS::Lambda::Function", "Properties": function}}
    s3.put_object(Bucket=name, Key="template.json", Body=json.dumps({"Resources": resources}))
    return name


def deploy(aws: EmbeddedAws, account: str, bucket: str) -> dict[str, Any]:
    """Deploy the template of the bucket; return the description of its function."""
    client = aws.client("cloudformation", account=account)
    url = f"https://{bucket}.s3.{DEFAULT_REGION}.amazonaws.com/template.json"
    client.create_stack(StackName=bucket, TemplateURL=url)
    assert stack_status(client, bucket) == "CREATE_COMPLETE"
    resource = client.describe_stack_resource(StackName=bucket, LogicalResourceId="Function")
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    function: dict[str, Any] = aws.client("lambda", account=account).get_function(FunctionName=name)
    return function["Configuration"]


def test_a_target_account_deploys_template_and_code_from_the_bucket(
    aws: EmbeddedAws, account: str, bucket: str
) -> None:
    size = aws.client("s3", account=account).head_object(Bucket=bucket, Key="code.zip")
    assert deploy(aws, TARGET, bucket)["CodeSize"] == size["ContentLength"]


def test_an_account_that_the_policy_does_not_name_cannot(aws: EmbeddedAws, bucket: str) -> None:
    with pytest.raises(ClientError, match="Template not found"):
        deploy(aws, STRANGER, bucket)


def test_stacks_take_template_and_layer_in_the_version_that_is_asked_for(
    aws: EmbeddedAws, account: str, bucket: str
) -> None:
    s3 = aws.client("s3", account=account)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("python/shared.py", "ANSWER = 42")
    built = s3.put_object(Bucket=bucket, Key="layer.zip", Body=package.getvalue())["VersionId"]
    content = {"S3Bucket": bucket, "S3Key": "layer.zip", "S3ObjectVersion": built}
    resources = {"Layer": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": content}}}
    template = json.dumps({"Resources": resources})
    version = s3.put_object(Bucket=bucket, Key="template.json", Body=template)["VersionId"]
    for key in ("layer.zip", "template.json"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"swapped")

    client = aws.client("cloudformation", account=account)
    url = f"https://{bucket}.s3.{DEFAULT_REGION}.amazonaws.com/template.json?versionId="
    client.create_stack(StackName="versions", TemplateURL=url + version)

    assert stack_status(client, "versions") == "CREATE_COMPLETE"
    (layer,) = client.list_stack_resources(StackName="versions")["StackResourceSummaries"]
    functions = aws.client("lambda", account=account)
    found = functions.get_layer_version_by_arn(Arn=layer["PhysicalResourceId"])["Content"]
    digest = hashlib.sha256(package.getvalue()).digest()
    assert found["CodeSha256"] == base64.b64encode(digest).decode()
    with pytest.raises(ClientError, match="Template not found"):
        client.create_stack(StackName="none", TemplateURL=url + "another")


def test_a_template_sets_the_default_encryption_of_a_bucket(aws: EmbeddedAws, account: str) -> None:
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/packages"}
    rule = {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": by_default}
    properties = {
        "BucketName": f"encrypted-{account}",
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
    }
    resources = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}
    client = aws.client("cloudformation", account=account)
    client.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": resources}))
    assert stack_status(client, "s") == "CREATE_COMPLETE"
    s3 = aws.client("s3", account=account)
    answer = s3.put_object(Bucket=f"encrypted-{account}", Key="k", Body=b"")
    assert answer["ServerSideEncryption"] == "aws:kms"
    assert answer["SSEKMSKeyId"] == "alias/packages"
