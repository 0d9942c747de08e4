"""CodeBuild of the embedded AWS runs builds as CodeBuild does."""

import importlib.util
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.waiting import alive, messages, wait_until
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws
from tidegate_embedded.git import CloneReference

pytestmark = pytest.mark.cloud

BUILDSPEC = """
version: 0.2
env:
  variables:
    GREETING: hello
  exported-variables: [ANSWER]
phases:
  build:
    commands:
      - export ANSWER=42
      - mkdir -p out/deep && echo "$GREETING" > out/deep/greeting.txt
artifacts:
  base-directory: out
  files: ['**/*']
"""


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


class Builds:
    """A project in an account of its own, and the moves of a person who uses it."""

    def __init__(self, aws: EmbeddedAws, account: str) -> None:
        self.aws = aws
        self.account = account
        self.bucket = f"builds-{account}"
        self.codebuild = aws.client("codebuild", account=account)
        self.s3 = aws.client("s3", account=account)
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": DEFAULT_REGION}
        )
        self.codebuild.create_project(
            name="app",
            source={"type": "CODEPIPELINE", "buildspec": "buildspec.yml"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{"name": "FROM_PROJECT", "value": "project"}],
            },
            serviceRole=f"arn:aws:iam::{account}:role/build",
        )

    def start(self, files: Mapping[str, str], **options: Any) -> str:
        self.s3.put_object(Bucket=self.bucket, Key="source.zip", Body=zipped(files))
        build = self.codebuild.start_build(
            projectName="app",
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{self.bucket}/source.zip",
            **options,
        )["build"]
        assert build["buildStatus"] == "IN_PROGRESS"
        identifier: str = build["id"]
        return identifier

    def get(self, identifier: str) -> dict[str, Any]:
        build: dict[str, Any] = self.codebuild.batch_get_builds(ids=[identifier])["builds"][0]
        return build

    def wait(self, identifier: str) -> dict[str, Any]:
        wait_until(lambda: self.get(identifier)["buildComplete"])
        return self.get(identifier)

    def run(self, files: Mapping[str, str], **options: Any) -> dict[str, Any]:
        return self.wait(self.start(files, **options))

    def log(self, build: Mapping[str, Any]) -> str:
        events = self.aws.client("logs", account=self.account).get_log_events(
            logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"]
        )["events"]
        return "".join(event["message"] for event in events)


@pytest.fixture
def builds(aws: EmbeddedAws, account: str) -> Builds:
    return Builds(aws, account)


def statuses(build: Mapping[str, Any]) -> dict[str, str]:
    return {
        phase["phaseType"]: phase["phaseStatus"]
        for phase in build["phases"]
        if "phaseStatus" in phase
    }


def problems(build: Mapping[str, Any]) -> list[str]:
    """What the phases that did not succeed say."""
    return [
        context["message"]
        for phase in build["phases"]
        if phase.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED"
        for context in phase["contexts"]
    ]


def spec(*commands: str, **sections: Any) -> str:
    """A build specification in JSON, which is YAML too."""
    return json.dumps(
        {"version": 0.2, "phases": {"build": {"commands": list(commands)}}, **sections}, indent=1
    )


def test_runs_the_source_and_uploads_the_artifact(builds: Builds) -> None:
    build = builds.run(
        {"buildspec.yml": BUILDSPEC},
        artifactsOverride={
            "type": "S3",
            "location": builds.bucket,
            "path": "made",
            "name": "out.zip",
            "packaging": "ZIP",
        },
    )
    assert problems(build) == []
    assert build["exportedEnvironmentVariables"] == [{"name": "ANSWER", "value": "42"}]
    assert build["artifacts"]["location"] == f"arn:aws:s3:::{builds.bucket}/made/out.zip"
    body = builds.s3.get_object(Bucket=builds.bucket, Key="made/out.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.read("deep/greeting.txt") == b"hello\n"
    assert list(statuses(build)) == [
        *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD"),
        *("BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING"),
    ]
    assert build["phases"][-1]["phaseType"] == "COMPLETED"


def test_post_build_runs_after_a_failed_build_and_knows_of_it(builds: Builds) -> None:
    build = builds.run(
        {},
        buildspecOverride=spec(
            phases={
                "build": {"commands": ["echo first", "sh -c 'exit 3'", "echo never"]},
                "post_build": {"commands": ['echo "succeeding=$CODEBUILD_BUILD_SUCCEEDING"']},
            }
        ),
    )
    assert build["buildStatus"] == "FAILED"
    phases = {phase["phaseType"]: phase for phase in build["phases"]}
    assert phases["BUILD"]["contexts"] == [
        {
            "statusCode": "COMMAND_EXECUTION_ERROR",
            "message": "Error while executing command: sh -c 'exit 3'. Reason: exit status 3",
        }
    ]
    assert phases["POST_BUILD"]["phaseStatus"] == "SUCCEEDED"
    log = builds.log(build)
    assert "succeeding=0" in log
    assert "Running command echo never" not in log


@pytest.mark.parametrize("phase", ["install", "pre_build"])
def test_nothing_more_runs_after_a_failed_preparation(builds: Builds, phase: str) -> None:
    build = builds.run(
        {},
        buildspecOverride=spec(
            phases={phase: {"commands": ["false"]}, "post_build": {"commands": ["echo never"]}}
        ),
    )
    assert build["buildStatus"] == "FAILED"
    assert "POST_BUILD" not in statuses(build)


def test_on_failure_abort_skips_post_build_but_not_finally(builds: Builds) -> None:
    phase = {"commands": ["exit 1"], "finally": ["echo cleaned"], "on-failure": "ABORT"}
    build = builds.run({}, buildspecOverride=spec(phases={"build": phase}))
    assert "POST_BUILD" not in statuses(build)
    assert "\ncleaned\n" in builds.log(build)


def test_environment_and_folder_carry_on_from_phase_to_phase(builds: Builds) -> None:
    build = builds.run(
        {"folder/file": "found"},
        buildspecOverride=spec(
            env={"shell": "bash"},
            phases={
                "install": {"commands": ["cd folder", "export NOTE='two\nlines'"]},
                "build": {"commands": ['[[ "$NOTE" == *lines ]] && cat file']},
            },
        ),
    )
    assert problems(build) == []
    assert "\nfound" in builds.log(build)


def test_variables_of_the_caller_win_and_parameters_are_read(builds: Builds) -> None:
    ssm = builds.aws.client("ssm", account=builds.account)
    ssm.put_parameter(Name="/app/token", Value="s3cret", Type="SecureString")
    build = builds.run(
        {},
        buildspecOverride=spec(
            'echo "$ONE $TWO $THREE $FOUR"',
            env={
                "variables": {"ONE": "spec", "TWO": "spec"},
                "parameter-store": {"FOUR": "/app/token"},
            },
        ),
        environmentVariablesOverride=[
            {"name": "TWO", "value": "caller"},
            {"name": "FROM_PROJECT", "value": "caller"},
            {"name": "THREE", "value": "/app/token", "type": "PARAMETER_STORE"},
        ],
    )
    assert "\nspec caller s3cret s3cret\n" in builds.log(build)


def test_secrets_are_read_whole_or_by_key(builds: Builds) -> None:
    secrets = builds.aws.client("secretsmanager", account=builds.account)
    arn = secrets.create_secret(Name="app", SecretString='{"user": "ada"}')["ARN"]
    build = builds.run(
        {},
        buildspecOverride=spec(
            'echo "$USER_NAME $WHOLE"', env={"secrets-manager": {"USER_NAME": "app:user"}}
        ),
        environmentVariablesOverride=[{"name": "WHOLE", "value": arn, "type": "SECRETS_MANAGER"}],
    )
    assert '\nada {"user": "ada"}\n' in builds.log(build)


def test_a_source_that_is_not_there_fails_the_build(builds: Builds) -> None:
    started = builds.codebuild.start_build(
        projectName="app",
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{builds.bucket}/none.zip",
    )
    [message] = problems(builds.wait(started["build"]["id"]))
    assert message.startswith(f"source s3://{builds.bucket}/none.zip")


def test_a_commit_that_cannot_be_cloned_fails_the_build(builds: Builds, tmp_path: Path) -> None:
    reference = CloneReference("team/app", str(tmp_path / "gone.git"), "c0ffee")
    builds.s3.put_object(
        Bucket=builds.bucket,
        Key="reference",
        Body=reference.encode(),
        ContentType=CloneReference.CONTENT_TYPE,
    )
    started = builds.codebuild.start_build(
        projectName="app",
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{builds.bucket}/reference",
    )
    build = builds.wait(started["build"]["id"])
    assert problems(build) == [
        "source team/app at c0ffee: git ended with exit status 128, see the log"
    ]
    assert "gone.git' does not exist" in builds.log(build)


def test_a_build_is_in_no_repository_that_happens_to_be_around_it(builds: Builds) -> None:
    around = builds.aws.cloud.state_dir
    subprocess.run(["git", "init", "--quiet", str(around)], check=True)
    build = builds.run({}, buildspecOverride=spec("! git rev-parse --show-toplevel"))
    shutil.rmtree(around / ".git")
    assert problems(build) == []


def test_a_project_for_pipelines_needs_a_source_to_be_built_alone(builds: Builds) -> None:
    with pytest.raises(ClientError, match="start the build with sourceTypeOverride S3"):
        builds.codebuild.start_build(projectName="app")


def test_a_missing_parameter_fails_the_build_before_its_commands(builds: Builds) -> None:
    build = builds.run(
        {}, buildspecOverride=spec("true", env={"parameter-store": {"KEY": "/app/none"}})
    )
    assert statuses(build)["DOWNLOAD_SOURCE"] == "FAILED"
    assert "INSTALL" not in statuses(build)


def test_the_environment_is_codebuilds_and_nothing_of_ours(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "leak")
    monkeypatch.setenv("PYTHONPATH", "/leak")
    build = builds.run({}, buildspecOverride=spec("env", "pwd", "command -v python3"))
    log = builds.log(build)
    assert "leak" not in log
    assert f"CODEBUILD_BUILD_ID={build['id']}" in log
    assert f"AWS_ENDPOINT_URL={builds.aws.endpoint}" in log
    assert f"AWS_ACCESS_KEY_ID={builds.account}" in log
    assert f"HOME={Path.home()}\n" not in log


def test_commands_reach_the_cloud_as_the_project_s_account(builds: Builds) -> None:
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    build = builds.run({}, buildspecOverride=spec(f'python3 -c "{script}"'))
    assert f"\n{builds.account}\n" in builds.log(build)


def wheel(directory: Path, name: str) -> Path:
    """A package with one module, as pip installs it."""
    path = directory / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    members = {
        f"{name}.py": "SAID = 'installed'",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    path.write_bytes(zipped(members))
    return path


def test_what_a_build_installs_stays_in_the_build(builds: Builds, tmp_path: Path) -> None:
    name = "tidegate_toy"
    build = builds.run(
        {},
        buildspecOverride=spec(
            f"pip install --quiet --no-index --no-warn-conflicts {wheel(tmp_path, name)}",
            f"python -c 'import {name}, boto3; print({name}.SAID)'",
        ),
    )
    assert problems(build) == []
    assert "\ninstalled\n" in builds.log(build)
    assert importlib.util.find_spec(name) is None


def test_says_what_is_wrong_with_a_build_specification(builds: Builds) -> None:
    text = "version: 0.2\nphases: {built: {commands: [a]}}\n"
    build = builds.run({}, buildspecOverride=text)
    phase = next(p for p in build["phases"] if p["phaseType"] == "DOWNLOAD_SOURCE")
    assert phase["contexts"][0]["statusCode"] == "YAML_FILE_ERROR"
    assert "unknown phase built" in phase["contexts"][0]["message"]


def test_reports_are_counted_even_when_the_tests_fail(builds: Builds) -> None:
    junit = """<testsuites><testsuite>
      <testcase classname="t" name="good" time="0.5"/>
      <testcase classname="t" name="bad" time="0.25"><failure message="1 != 2"/></testcase>
      <testcase classname="t" name="later"><skipped/></testcase>
    </testsuite></testsuites>"""
    build = builds.run(
        {"results.xml": junit},
        buildspecOverride=spec(
            "false", reports={"unit": {"files": ["*.xml"], "file-format": "JUNITXML"}}
        ),
    )
    assert build["buildStatus"] == "FAILED"
    [report] = builds.codebuild.batch_get_reports(reportArns=build["reportArns"])["reports"]
    assert (report["name"], report["status"]) == ("unit", "FAILED")
    assert report["testSummary"]["total"] == 3
    assert report["testSummary"]["statusCounts"] == {
        "SUCCEEDED": 1,
        "FAILED": 1,
        "SKIPPED": 1,
        "ERROR": 0,
        "UNKNOWN": 0,
    }
    [failed] = builds.codebuild.describe_test_cases(
        reportArn=report["arn"], filter={"status": "FAILED"}
    )["testCases"]
    assert (failed["name"], failed["message"]) == ("bad", "1 != 2")


def test_an_artifact_that_matches_nothing_fails_a_build_that_succeeded(builds: Builds) -> None:
    build = builds.run(
        {},
        buildspecOverride=spec("true", artifacts={"files": ["nothing.*"]}),
        artifactsOverride={"type": "S3", "location": builds.bucket, "name": "x"},
    )
    assert build["buildStatus"] == "FAILED"
    assert statuses(build)["UPLOAD_ARTIFACTS"] == "FAILED"


def test_secondary_artifacts_go_each_to_its_own_place(builds: Builds) -> None:
    build = builds.run(
        {"a.txt": "a", "b.txt": "b"},
        buildspecOverride=spec(
            "true", artifacts={"secondary-artifacts": {"docs": {"files": ["b.txt"]}}}
        ),
        secondaryArtifactsOverride=[
            {
                "type": "S3",
                "location": builds.bucket,
                "name": "docs",
                "packaging": "NONE",
                "artifactIdentifier": "docs",
            }
        ],
    )
    assert problems(build) == []
    assert builds.s3.get_object(Bucket=builds.bucket, Key="docs/b.txt")["Body"].read() == b"b"


def wait_for_file(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def test_stopping_a_build_kills_what_it_started(builds: Builds, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    identifier = builds.start({}, buildspecOverride=spec(f"sleep 60 & echo $! > {pid_file}; wait"))
    child = wait_for_file(pid_file)
    build = builds.codebuild.stop_build(id=identifier)["build"]
    assert build["buildStatus"] == "STOPPED"
    assert statuses(build)["BUILD"] == "STOPPED"
    assert not alive(child)
    assert os.getpgrp() != child


def test_a_build_that_takes_too_long_is_ended(builds: Builds) -> None:
    impatient = boto3.client(
        "codebuild",
        endpoint_url=builds.aws.endpoint,
        aws_access_key_id=builds.account,
        aws_secret_access_key=builds.aws.cloud.secret,
        region_name=DEFAULT_REGION,
        config=Config(parameter_validation=False),
    )
    started = impatient.start_build(
        projectName="app",
        sourceTypeOverride="NO_SOURCE",
        buildspecOverride=spec("sleep 60"),
        timeoutInMinutesOverride=0.005,  # AWS wants five at least
    )
    build = builds.wait(started["build"]["id"])
    assert build["buildStatus"] == "TIMED_OUT"
    assert statuses(build)["BUILD"] == "TIMED_OUT"


def test_builds_run_side_by_side(builds: Builds, tmp_path: Path) -> None:
    fifo = tmp_path / "meeting"
    os.mkfifo(fifo)
    reader = builds.start({}, buildspecOverride=spec(f"cat {fifo}"))
    writer = builds.start({}, buildspecOverride=spec(f"echo met > {fifo}"))
    assert "\nmet\n" in builds.log(builds.wait(reader))
    assert builds.wait(writer)["buildStatus"] == "SUCCEEDED"
    assert builds.codebuild.list_builds_for_project(projectName="app")["ids"] == [writer, reader]


def test_the_same_token_starts_one_build(builds: Builds) -> None:
    first, second = (
        builds.codebuild.start_build(
            projectName="app",
            sourceTypeOverride="NO_SOURCE",
            buildspecOverride=spec("true"),
            idempotencyToken="once",
        )["build"]["id"]
        for _ in range(2)
    )
    assert first == second


def test_an_unknown_project_cannot_be_built(builds: Builds) -> None:
    with pytest.raises(ClientError, match="Project cannot be found"):
        builds.codebuild.start_build(projectName="none")


def test_the_bus_hears_of_the_build_s_end(builds: Builds) -> None:
    events = builds.aws.client("events", account=builds.account)
    sqs = builds.aws.client("sqs", account=builds.account)
    queue = sqs.create_queue(QueueName="ends")["QueueUrl"]
    pattern = {"source": ["aws.codebuild"], "detail": {"build-status": ["FAILED"]}}
    events.put_rule(Name="ends", EventPattern=json.dumps(pattern))
    arn = f"arn:aws:sqs:{DEFAULT_REGION}:{builds.account}:ends"
    events.put_targets(Rule="ends", Targets=[{"Id": "1", "Arn": arn}])
    build = builds.run({}, buildspecOverride=spec("false"))
    [message] = messages(sqs, queue)
    event = json.loads(message["Body"])
    assert event["detail-type"] == "CodeBuild Build State Change"
    assert event["detail"]["build-id"] == build["arn"]
