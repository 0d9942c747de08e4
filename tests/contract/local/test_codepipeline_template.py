"""The pipeline template deploys through CloudFormation and takes a commit to the state machine."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from repositories import WorkingCopy

from support.waiting import wait_until
from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import ArtifactRef
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws

pytestmark = pytest.mark.cloud

TEMPLATE = Path(__file__).parents[3] / "pipeline" / "template.yaml"
TARGET = "999988887777"
STRANGER = "999988886666"
BUILDSPEC = """
version: 0.2
phases:
  build:
    commands:
      - test "$PYTHON_RUNTIME $TIDEGATE_PACKAGE" = "python3.12 tidegate[build]==0"
      - tidegate build --bucket "$ARTIFACT_BUCKET"
artifacts: {files: [release.json]}
"""
MANIFEST = """
version: 1
application: shop
stages: [{name: prod, account: "999988887777", regions: [eu-west-1]}]
"""
TEMPLATE_OF_SHOP = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Shop:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: code/, AutoPublishAlias: live}
"""
APPLICATION = {
    "buildspec.yml": BUILDSPEC,
    "tidegate.yaml": MANIFEST,
    "template.yaml": TEMPLATE_OF_SHOP,
    "code/app.py": "def handler(event, context): return event\n",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed pipeline template, and its outputs."""

    client: Callable[[str], Any]
    account: str
    outputs: dict[str, str]
    machine: str

    @property
    def bucket(self) -> str:
        return self.outputs["ArtifactBucketName"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template")


@pytest.fixture(scope="module")
def copy(aws: EmbeddedAws, directory: Path) -> WorkingCopy:
    return WorkingCopy(directory, aws.environment(account=TARGET), "team/shop")


@pytest.fixture(scope="module")
def stack(aws: EmbeddedAws, copy: WorkingCopy) -> Iterator[Stack]:
    account = "555544443333"

    def client(service: str) -> Any:
        return aws.client(service, account=account)

    machine = client("stepfunctions").create_state_machine(
        name="release",
        definition=json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}),
        roleArn=f"arn:aws:iam::{account}:role/release",
    )["stateMachineArn"]
    parameters = {
        "Application": "shop",
        "ConnectionArn": f"arn:aws:codeconnections:eu-west-1:{account}:connection/1234-abcd",
        "FullRepositoryId": "team/shop",
        "ReleaseStateMachineArn": machine,
        "TargetAccounts": f"{TARGET},{account}",
        "TidegatePackage": "tidegate[build]==0",
    }
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName="shop-pipeline",
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )

    def described() -> dict[str, Any]:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName="shop-pipeline")["Stacks"][
            0
        ]
        return found

    wait_until(lambda: not described()["StackStatus"].endswith("_IN_PROGRESS"))
    assert described()["StackStatus"] == "CREATE_COMPLETE", described()
    outputs = {item["OutputKey"]: item["OutputValue"] for item in described()["Outputs"]}
    yield Stack(client, account, outputs, machine)
    cloudformation.delete_stack(StackName="shop-pipeline")


def test_names_can_be_derived_from_the_application(stack: Stack) -> None:
    assert stack.outputs["PipelineName"] == "shop"
    assert stack.outputs["BuildProjectName"] == "shop-build"
    assert stack.outputs["TestProjectName"] == "shop-tests"
    assert stack.bucket == f"tidegate-shop-{stack.account}-{DEFAULT_REGION}"


def test_a_push_is_built_uploaded_and_released(stack: Stack, copy: WorkingCopy) -> None:
    codepipeline = stack.client("codepipeline")

    def newest() -> dict[str, Any]:
        found: dict[str, Any] = codepipeline.list_pipeline_executions(pipelineName="shop")[
            "pipelineExecutionSummaries"
        ][0]
        return found

    before = newest()["pipelineExecutionId"]
    copy.push(APPLICATION, message='Sell "things"\n\nAt last.')
    assert newest()["pipelineExecutionId"] != before
    wait_until(lambda: newest()["status"] != "InProgress")
    details = codepipeline.list_action_executions(pipelineName="shop")["actionExecutionDetails"]
    assert newest()["status"] == "Succeeded", details[0]
    client = stack.client("stepfunctions")
    [execution] = client.list_executions(stateMachineArn=stack.machine)["executions"]
    assert execution["name"].startswith("shop-")
    started = client.describe_execution(executionArn=execution["executionArn"])
    release = ArtifactRef.model_validate_json(started["input"])
    assert (release.application, release.commit, release.branch) == ("shop", copy.commit, "main")
    assert (release.author, release.subject) == ("Ada <ada@example.com>", 'Sell "things"')
    source = stack.client("s3").get_object(Bucket=stack.bucket, Key=f"{release.prefix}/source.zip")
    assert source["ServerSideEncryption"] == "aws:kms"
    with zipfile.ZipFile(io.BytesIO(source["Body"].read())) as archive:
        assert set(archive.namelist()) == set(APPLICATION)


FORGING = BUILDSPEC.replace(
    "tidegate build",
    "CODEBUILD_RESOLVED_SOURCE_VERSION=c0ffee TIDEGATE_AUTHOR=Eve tidegate build --commit c0ffee"
    " --branch release --author Eve",
)


def test_a_buildspec_does_not_state_another_commit_than_the_source_action_fetched(
    stack: Stack, copy: WorkingCopy
) -> None:
    codepipeline = stack.client("codepipeline")
    copy.push({**APPLICATION, "buildspec.yml": FORGING})

    def newest() -> dict[str, Any]:
        found: dict[str, Any] = codepipeline.list_pipeline_executions(pipelineName="shop")[
            "pipelineExecutionSummaries"
        ][0]
        return found

    wait_until(lambda: newest()["status"] != "InProgress")
    assert newest()["status"] == "Succeeded"
    client = stack.client("stepfunctions")
    executions = client.list_executions(stateMachineArn=stack.machine)["executions"]
    started = client.describe_execution(executionArn=executions[0]["executionArn"])
    release = ArtifactRef.model_validate_json(started["input"])
    stored = stack.client("s3").get_object(
        Bucket=stack.bucket, Key=f"{release.prefix}/artifact.json"
    )
    built = ArtifactContents.model_validate_json(stored["Body"].read()).revision
    assert built
    assert (built.commit, built.branch) == (copy.commit, "main")
    assert (release.commit, release.branch) == (copy.commit, "main")
    assert {author for one in built.history for author in one.authors} == {"Ada <ada@example.com>"}


def test_the_test_project_runs_what_it_is_given_and_nothing_alone(stack: Stack) -> None:
    codebuild = stack.client("codebuild")
    spec = "version: 0.2\nphases: {build: {commands: ['true']}}\n"
    builds = [
        codebuild.start_build(projectName="shop-tests", **options)["build"]["id"]
        for options in ({}, {"buildspecOverride": spec})
    ]

    def described() -> list[dict[str, Any]]:
        found = {item["id"]: item for item in codebuild.batch_get_builds(ids=builds)["builds"]}
        return [found[identifier] for identifier in builds]

    wait_until(lambda: all(build["buildComplete"] for build in described()))
    assert [build["buildStatus"] for build in described()] == ["FAILED", "SUCCEEDED"]


def reader(aws: EmbeddedAws, account: str) -> Any:
    """An S3 client with the credentials of a role of the account, as CloudFormation has there."""
    aws.client("iam", account=account).create_role(RoleName="deploy", AssumeRolePolicyDocument="{}")
    credentials = aws.client("sts", account=account).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/deploy", RoleSessionName="deploy"
    )["Credentials"]
    return aws.cloud.new_client(
        "s3",
        region=DEFAULT_REGION,
        access_key=credentials["AccessKeyId"],
        secret_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
    )


def test_target_accounts_read_packages_and_nothing_else(aws: EmbeddedAws, stack: Stack) -> None:
    s3 = stack.client("s3")
    for key in ("applications/shop/code.zip", "shop/Source/abc"):
        s3.put_object(Bucket=stack.bucket, Key=key, Body=b"bytes", IfNoneMatch="*")
    target = reader(aws, TARGET)
    read = target.get_object(Bucket=stack.bucket, Key="applications/shop/code.zip")
    assert read["Body"].read() == b"bytes"
    for client, key in (
        (target, "shop/Source/abc"),
        (reader(aws, STRANGER), "applications/shop/code.zip"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.get_object(Bucket=stack.bucket, Key=key)
    with pytest.raises(ClientError, match="AccessDenied"):
        target.put_object(Bucket=stack.bucket, Key="applications/shop/code.zip", Body=b"other")


def test_what_a_build_has_stored_is_not_replaced_by_the_account_itself(stack: Stack) -> None:
    s3 = stack.client("s3")
    package = {"Bucket": stack.bucket, "Key": "applications/shop/packages/code.zip"}
    s3.put_object(**package, Body=b"built", IfNoneMatch="*")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(**package, Body=b"other")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(**package, Body=b"other", IfNoneMatch="*")
    s3.put_object(Bucket=stack.bucket, Key="shop/Source/abc", Body=b"the pipeline's own")


def test_only_pipeline_and_build_may_use_the_connection(stack: Stack) -> None:
    iam = stack.client("iam")
    resources = stack.client("cloudformation").list_stack_resources(StackName="shop-pipeline")
    allowed = {
        (resource["LogicalResourceId"], statement["Action"]): statement
        for resource in resources["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::IAM::Role"
        for statement in statements(iam, resource["PhysicalResourceId"])
        if "UseConnection" in str(statement["Action"])
    }
    services = ("codeconnections", "codestar-connections")
    roles = ("PipelineRole", "BuildRole")
    assert allowed.keys() == {
        (role, f"{name}:UseConnection") for role in roles for name in services
    }
    connection = f"arn:aws:codeconnections:eu-west-1:{stack.account}:connection/1234-abcd"
    for (_, action), statement in allowed.items():
        assert statement["Resource"] == connection
        only = {f"{action.partition(':')[0]}:FullRepositoryId": "team/shop"}
        assert statement["Condition"] == {"ForAllValues:StringEquals": only}


def statements(iam: Any, role: str) -> Iterator[dict[str, Any]]:
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)
        yield from policy["PolicyDocument"]["Statement"]


def test_the_bucket_is_private_versioned_and_encrypted(stack: Stack) -> None:
    s3 = stack.client("s3")
    assert s3.get_bucket_versioning(Bucket=stack.bucket)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=stack.bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    rotation = stack.client("kms").get_key_rotation_status(KeyId=stack.outputs["ArtifactKeyArn"])
    assert rotation["KeyRotationEnabled"]


def test_changing_the_stack_changes_the_pipeline(stack: Stack) -> None:
    cloudformation = stack.client("cloudformation")
    cloudformation.update_stack(
        StackName="shop-pipeline",
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": "ExecutionMode", "ParameterValue": "QUEUED"},
            *(
                {"ParameterKey": name, "UsePreviousValue": True}
                for name in (
                    *("Application", "ConnectionArn", "FullRepositoryId"),
                    *("ReleaseStateMachineArn", "TargetAccounts", "TidegatePackage"),
                )
            ),
        ],
    )
    codepipeline = stack.client("codepipeline")
    wait_until(
        lambda: codepipeline.get_pipeline(name="shop")["pipeline"]["executionMode"] == "QUEUED"
    )
    assert codepipeline.get_pipeline(name="shop")["pipeline"]["version"] == 2
