"""CodePipeline of the embedded AWS executes pipelines, and a git push starts them."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from repositories import WorkingCopy

from support.waiting import messages, wait_until
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws

pytestmark = pytest.mark.cloud

CONNECTION = "arn:aws:codeconnections:eu-west-1:{account}:connection/c0ffee00-1111"
RELEASE = '{"who": "a \\"quoted\\" name",\n  "commit": "$COMMIT_ID"}'
BUILDSPEC = """
version: 0.2
env: {exported-variables: [MOOD]}
phases:
  build:
    commands:
      - export MOOD=$(cat mood.txt)
      - test "$MOOD" != bad
      - |
        cat > release.json <<END
        {"commit": "$COMMIT_ID", "resolved": "$CODEBUILD_RESOLVED_SOURCE_VERSION"}
        END
artifacts: {files: [release.json]}
"""


class Pipelines:
    """An account with a repository, a build project and a state machine."""

    def __init__(self, aws: EmbeddedAws, account: str, directory: Path) -> None:
        self.aws = aws
        self.account = account
        self.repository = f"team-{account}/app"
        self.bucket = f"pipeline-{account}"
        self.codepipeline = self.client("codepipeline")
        self.copy = WorkingCopy(directory, aws.environment(account=account), self.repository)
        self.client("s3").create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": DEFAULT_REGION}
        )

    def client(self, service: str) -> Any:
        return self.aws.client(service, account=self.account)

    def make_project(self, name: str = "app-build") -> None:
        self.client("codebuild").create_project(
            name=name,
            source={"type": "CODEPIPELINE", "buildspec": "buildspec.yml"},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=f"arn:aws:iam::{self.account}:role/build",
        )

    def make_machine(self, state: Mapping[str, Any]) -> str:
        definition = {"StartAt": "Only", "States": {"Only": state}}
        arn: str = self.client("stepfunctions").create_state_machine(
            name="release",
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{self.account}:role/release",
        )["stateMachineArn"]
        return arn

    def create(
        self, *stages: dict[str, Any], output_format: str = "CODE_ZIP", **options: Any
    ) -> None:
        self.codepipeline.create_pipeline(
            pipeline={
                "name": "app",
                "roleArn": f"arn:aws:iam::{self.account}:role/pipeline",
                "pipelineType": "V2",
                "artifactStore": {"type": "S3", "location": self.bucket},
                "stages": [self.source(OutputArtifactFormat=output_format), *stages],
                **options,
            }
        )

    def source(self, **settings: str) -> dict[str, Any]:
        configuration = {
            "ConnectionArn": CONNECTION.format(account=self.account),
            "FullRepositoryId": self.repository,
            "BranchName": "main",
            **settings,
        }
        return stage("Source", "Source", "CodeStarSourceConnection", configuration, makes="Code")

    def executions(self) -> list[dict[str, Any]]:
        """Newest first."""
        found: list[dict[str, Any]] = self.codepipeline.list_pipeline_executions(
            pipelineName="app"
        )["pipelineExecutionSummaries"]
        return found

    def wait(self, number: int = 1) -> dict[str, Any]:
        """Wait until there are `number` executions and all have ended; return the newest."""

        def have_ended() -> bool:
            found = self.executions()
            ended = all(e["status"] not in {"InProgress", "Stopping"} for e in found)
            return len(found) == number and ended

        wait_until(have_ended)
        return self.executions()[0]

    def actions(self, execution: str) -> dict[str, dict[str, Any]]:
        details = self.codepipeline.list_action_executions(
            pipelineName="app", filter={"pipelineExecutionId": execution}
        )["actionExecutionDetails"]
        return {detail["actionName"]: detail for detail in details}


def stage(
    name: str,
    category: str,
    provider: str,
    configuration: Mapping[str, str],
    *,
    takes: str | None = None,
    makes: str | None = None,
) -> dict[str, Any]:
    action = {
        "name": name,
        "namespace": f"{name}Variables",
        "actionTypeId": {
            "category": category,
            "owner": "AWS",
            "provider": provider,
            "version": "1",
        },
        "configuration": dict(configuration),
        "inputArtifacts": [{"name": takes}] if takes else [],
        "outputArtifacts": [{"name": makes}] if makes else [],
    }
    return {"name": name, "actions": [action]}


def build_stage(**settings: str) -> dict[str, Any]:
    variables = [{"name": "COMMIT_ID", "value": "#{SourceVariables.CommitId}"}]
    configuration = {
        "ProjectName": "app-build",
        "EnvironmentVariables": json.dumps(variables),
        **settings,
    }
    return stage("Build", "Build", "CodeBuild", configuration, takes="Code", makes="Built")


def release_stage(machine: str, **settings: str) -> dict[str, Any]:
    configuration = {"StateMachineArn": machine, "ExecutionNamePrefix": "app", **settings}
    takes = "Code" if settings.get("InputType") == "FilePath" else None
    return stage("Release", "Invoke", "StepFunctions", configuration, takes=takes)


@pytest.fixture
def pipelines(aws: EmbeddedAws, account: str, tmp_path: Path) -> Pipelines:
    return Pipelines(aws, account, tmp_path)


def test_a_push_travels_through_build_to_the_state_machine(pipelines: Pipelines) -> None:
    pipelines.make_project()
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({"README": "empty"})
    release = stage(
        "Release",
        "Invoke",
        "StepFunctions",
        {
            "StateMachineArn": machine,
            "ExecutionNamePrefix": "app",
            "InputType": "FilePath",
            "Input": "release.json",
        },
        takes="Built",
    )
    pipelines.create(build_stage(), release)
    assert pipelines.wait()["status"] == "Failed"  # created before there was anything to build

    said = pipelines.copy.push({"buildspec.yml": BUILDSPEC, "mood.txt": "good"}, message="Good one")
    commit = pipelines.copy.commit
    execution = pipelines.wait(2)
    identifier = execution["pipelineExecutionId"]
    assert f"execution {identifier} started" in said
    assert execution["status"] == "Succeeded"
    assert execution["trigger"]["triggerType"] == "WebhookV2"
    assert execution["sourceRevisions"][0]["revisionId"] == commit
    actions = pipelines.actions(identifier)
    assert list(actions) == ["Release", "Build", "Source"]
    source = actions["Source"]["output"]["outputVariables"]
    assert source["CommitMessage"] == "Good one"
    assert source["FullRepositoryName"] == pipelines.repository
    assert actions["Build"]["output"]["outputVariables"] == {"MOOD": "good"}
    arn = actions["Release"]["output"]["executionResult"]["externalExecutionId"]
    assert arn.rpartition(":")[2] == f"app-{actions['Release']['actionExecutionId']}"
    started = pipelines.client("stepfunctions").describe_execution(executionArn=arn)
    assert started["input"] == f'{{"commit": "{commit}", "resolved": "{commit}"}}\n'


def test_a_failed_build_ends_the_execution_and_nothing_is_released(pipelines: Pipelines) -> None:
    pipelines.make_project()
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({"buildspec.yml": BUILDSPEC, "mood.txt": "bad"})
    pipelines.create(build_stage(), release_stage(machine))
    execution = pipelines.wait()
    assert execution["status"] == "Failed"
    actions = pipelines.actions(execution["pipelineExecutionId"])
    assert "Release" not in actions
    error = actions["Build"]["output"]["executionResult"]["errorDetails"]
    assert error["code"] == "JobFailed"
    assert 'Error while executing command: test "$MOOD" != bad' in error["message"]
    state = pipelines.codepipeline.get_pipeline_state(name="app")["stageStates"]
    assert [item.get("latestExecution", {}).get("status") for item in state] == [
        *("Succeeded", "Failed", None)
    ]
    executions = pipelines.client("stepfunctions").list_executions(stateMachineArn=machine)
    assert executions["executions"] == []


def test_the_state_machine_gets_the_file_character_by_character(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({"release.json": RELEASE})
    pipelines.create(release_stage(machine, InputType="FilePath", Input="release.json"))
    [execution] = started_executions(pipelines, machine)
    assert execution["input"] == RELEASE


def test_a_literal_input_has_its_variables_replaced(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({})
    text = (
        '{"id": "#{codepipeline.PipelineExecutionId}", "branch": "#{SourceVariables.BranchName}"}'
    )
    pipelines.create(release_stage(machine, Input=text))
    [execution] = started_executions(pipelines, machine)
    identifier = pipelines.executions()[0]["pipelineExecutionId"]
    assert execution["input"] == f'{{"id": "{identifier}", "branch": "main"}}'


def test_no_input_is_an_empty_object(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({})
    pipelines.create(release_stage(machine))
    [execution] = started_executions(pipelines, machine)
    assert execution["input"] == "{}"


def started_executions(pipelines: Pipelines, machine: str) -> list[dict[str, Any]]:
    assert pipelines.wait()["status"] == "Succeeded"
    client = pipelines.client("stepfunctions")
    found = client.list_executions(stateMachineArn=machine)["executions"]
    return [client.describe_execution(executionArn=item["executionArn"]) for item in found]


def test_a_failed_state_machine_fails_the_action_with_its_error(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine(
        {"Type": "Fail", "Error": "TestsFailed", "Cause": "2 of 3 tests failed"}
    )
    pipelines.copy.push({})
    pipelines.create(release_stage(machine))
    execution = pipelines.wait()
    assert execution["status"] == "Failed"
    result = pipelines.actions(execution["pipelineExecutionId"])["Release"]["output"]
    message = result["executionResult"]["errorDetails"]["message"]
    assert message == "State machine execution ended as FAILED: TestsFailed: 2 of 3 tests failed"


FROM_FILE = {"InputType": "FilePath", "Input": "none.json"}


@pytest.mark.parametrize(
    ("output_format", "settings", "said"),
    [
        ("CODE_ZIP", {"Input": "#{SourceVariables.Nothing}"}, "not set by an earlier action"),
        ("CODE_ZIP", FROM_FILE, "none.json is not in artifact Code"),
        ("CODEBUILD_CLONE_REF", FROM_FILE, "Code is a CODEBUILD_CLONE_REF, which only CodeBuild"),
        ("TARBALL", {}, "OutputArtifactFormat TARBALL: expected CODE_ZIP or"),
    ],
)
def test_says_what_is_wrong_with_an_action(
    pipelines: Pipelines, output_format: str, settings: dict[str, str], said: str
) -> None:
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({})
    pipelines.create(release_stage(machine, **settings), output_format=output_format)
    details = failure(pipelines, pipelines.wait())
    assert details["code"] == "ConfigurationError"
    assert said in details["message"]


def failure(pipelines: Pipelines, execution: Mapping[str, Any]) -> dict[str, str]:
    """Why the last action of a failed execution failed."""
    last = next(iter(pipelines.actions(execution["pipelineExecutionId"]).values()))
    found: dict[str, str] = last["output"]["executionResult"]["errorDetails"]
    return found


def waiting_machine(pipelines: Pipelines) -> str:
    """A state machine that waits until it is stopped."""
    return pipelines.make_machine({"Type": "Wait", "Seconds": 600, "End": True})


def let_go(pipelines: Pipelines, machine: str) -> None:
    """End all executions of a state machine."""
    client = pipelines.client("stepfunctions")
    running = client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    for execution in running["executions"]:
        client.stop_execution(executionArn=execution["executionArn"])


def is_releasing(pipelines: Pipelines, execution: str) -> Callable[[], bool]:
    return lambda: bool(
        pipelines.actions(execution)
        .get("Release", {})
        .get("output", {})
        .get("executionResult", {})
        .get("externalExecutionId")
    )


def has_inbound(pipelines: Pipelines, *executions: str) -> Callable[[], bool]:
    """Whether exactly these executions wait before the release."""

    def check() -> bool:
        state = pipelines.codepipeline.get_pipeline_state(name="app")["stageStates"][1]
        inbound = [item["pipelineExecutionId"] for item in state["inboundExecutions"]]
        return inbound == list(executions)

    return check


def start_three(pipelines: Pipelines, mode: str) -> tuple[str, list[str]]:
    """Start three executions, of which the first is in its release; return them, oldest first."""
    machine = waiting_machine(pipelines)
    pipelines.copy.push({})
    pipelines.create(release_stage(machine), executionMode=mode)
    first = pipelines.executions()[0]["pipelineExecutionId"]
    wait_until(is_releasing(pipelines, first))
    started = [first]
    for _ in range(2):
        start = pipelines.codepipeline.start_pipeline_execution(name="app")
        started.append(start["pipelineExecutionId"])
        if mode != "PARALLEL":
            expected = started[1:] if mode == "QUEUED" else started[-1:]
            wait_until(has_inbound(pipelines, *expected))
    return machine, started


def statuses(pipelines: Pipelines) -> dict[str, str]:
    return {item["pipelineExecutionId"]: item["status"] for item in pipelines.executions()}


def test_a_newer_execution_supersedes_the_one_that_waits(pipelines: Pipelines) -> None:
    machine, (first, second, third) = start_three(pipelines, "SUPERSEDED")
    wait_until(lambda: statuses(pipelines)[second] == "Superseded")
    assert statuses(pipelines)[first] == "InProgress"
    let_go(pipelines, machine)
    wait_until(is_releasing(pipelines, third))
    let_go(pipelines, machine)
    pipelines.wait(3)
    assert "Release" not in pipelines.actions(second)


def test_queued_executions_go_one_by_one_in_order(pipelines: Pipelines) -> None:
    machine, (_, second, third) = start_three(pipelines, "QUEUED")
    let_go(pipelines, machine)
    wait_until(is_releasing(pipelines, second))
    assert has_inbound(pipelines, third)()
    let_go(pipelines, machine)
    wait_until(is_releasing(pipelines, third))
    let_go(pipelines, machine)
    pipelines.wait(3)


def test_parallel_executions_do_not_wait_for_each_other(pipelines: Pipelines) -> None:
    machine, started = start_three(pipelines, "PARALLEL")
    for execution in started:
        wait_until(is_releasing(pipelines, execution))
    let_go(pipelines, machine)
    pipelines.wait(3)


def test_an_abandoned_execution_leaves_its_state_machine_running(pipelines: Pipelines) -> None:
    machine = waiting_machine(pipelines)
    pipelines.copy.push({})
    pipelines.create(release_stage(machine))
    identifier = pipelines.executions()[0]["pipelineExecutionId"]
    wait_until(is_releasing(pipelines, identifier))
    pipelines.codepipeline.stop_pipeline_execution(
        pipelineName="app", pipelineExecutionId=identifier, abandon=True, reason="never mind"
    )
    assert pipelines.wait()["status"] == "Stopped"
    assert pipelines.executions()[0]["stopTrigger"]["reason"] == "never mind"
    assert pipelines.actions(identifier)["Release"]["status"] == "Abandoned"
    client = pipelines.client("stepfunctions")
    running = client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    assert len(running["executions"]) == 1
    let_go(pipelines, machine)


def test_triggers_replace_the_branch_of_the_action(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({})
    push = {"branches": {"includes": ["release/*"], "excludes": ["release/old"]}}
    pipelines.create(
        release_stage(machine),
        triggers=[
            {
                "providerType": "CodeStarSourceConnection",
                "gitConfiguration": {"sourceActionName": "Source", "push": [push]},
            }
        ],
    )
    pipelines.wait()
    assert "started" not in pipelines.copy.push({"a": "1"})
    pipelines.copy.run("switch", "--quiet", "-c", "release/old")
    assert "started" not in pipelines.copy.push({"a": "2"})
    pipelines.copy.run("switch", "--quiet", "-c", "release/new")
    assert "started" in pipelines.copy.push({"a": "3"})
    execution = pipelines.wait(2)
    assert execution["sourceRevisions"][0]["revisionId"] == pipelines.copy.commit


def test_variables_of_the_pipeline_reach_the_actions(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine({"Type": "Succeed"})
    pipelines.copy.push({})
    pipelines.create(
        release_stage(machine, Input='{"who": "#{variables.Who}"}'),
        variables=[{"name": "Who", "defaultValue": "nobody"}],
    )
    pipelines.wait()
    pipelines.codepipeline.start_pipeline_execution(
        name="app", variables=[{"name": "Who", "value": "Ada"}]
    )
    pipelines.wait(2)
    inputs = {item["input"] for item in started_executions_of(pipelines, machine)}
    assert inputs == {'{"who": "nobody"}', '{"who": "Ada"}'}
    with pytest.raises(ClientError, match="not declared: What"):
        pipelines.codepipeline.start_pipeline_execution(
            name="app", variables=[{"name": "What", "value": "x"}]
        )


def started_executions_of(pipelines: Pipelines, machine: str) -> list[dict[str, Any]]:
    client = pipelines.client("stepfunctions")
    found = client.list_executions(stateMachineArn=machine)["executions"]
    return [client.describe_execution(executionArn=item["executionArn"]) for item in found]


def test_the_bus_hears_of_the_executions(pipelines: Pipelines) -> None:
    events, sqs = pipelines.client("events"), pipelines.client("sqs")
    queue = sqs.create_queue(QueueName="states")["QueueUrl"]
    events.put_rule(Name="states", EventPattern=json.dumps({"source": ["aws.codepipeline"]}))
    arn = f"arn:aws:sqs:{DEFAULT_REGION}:{pipelines.account}:states"
    events.put_targets(Rule="states", Targets=[{"Id": "1", "Arn": arn}])
    pipelines.create(release_stage(pipelines.make_machine({"Type": "Succeed"})))
    identifier = pipelines.wait()["pipelineExecutionId"]
    states: list[str] = []
    for message in messages(sqs, queue, 2):
        detail = json.loads(message["Body"])["detail"]
        assert (detail["pipeline"], detail["execution-id"]) == ("app", identifier)
        states.append(detail["state"])
    assert sorted(states) == ["FAILED", "STARTED"]


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([], "at least 2 are needed"),
        ([stage("More", "Source", "S3", {})], "the first stage holds the Source actions"),
        ([stage("Build", "Build", "CodeBuild", {}, takes="None")], "no earlier action makes"),
    ],
)
def test_refuses_a_pipeline_that_cannot_run(
    pipelines: Pipelines, stages: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        pipelines.create(*stages)


def test_the_source_artifact_has_the_files_and_no_history(pipelines: Pipelines) -> None:
    pipelines.copy.push({"file.txt": "text"})
    pipelines.create(release_stage(pipelines.make_machine({"Type": "Succeed"})))
    source = pipelines.actions(pipelines.wait()["pipelineExecutionId"])["Source"]
    [artifact] = source["output"]["outputArtifacts"]
    location = artifact["s3location"]
    answer = pipelines.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])
    with zipfile.ZipFile(io.BytesIO(answer["Body"].read())) as archive:
        assert archive.namelist() == ["file.txt"]


CLONED = """
version: 0.2
phases:
  build:
    commands:
      - test "$(git rev-parse HEAD)" = "$CODEBUILD_RESOLVED_SOURCE_VERSION"
      - test -z "$(git status --porcelain)" && ! git symbolic-ref --quiet HEAD
      - git log --format='%an <%ae> %s' > history.txt
artifacts: {files: [history.txt]}
"""


def test_a_build_of_a_reference_works_in_a_clone_of_the_commit(pipelines: Pipelines) -> None:
    pipelines.make_project()
    pipelines.copy.push({"buildspec.yml": CLONED}, message="First")
    pipelines.copy.push({"more.txt": "more"}, message="Second")
    commit = pipelines.copy.commit
    pipelines.copy.push({"more.txt": "still more"}, message="Third")
    pipelines.create(build_stage(), output_format="CODEBUILD_CLONE_REF")
    pipelines.codepipeline.start_pipeline_execution(
        name="app",
        sourceRevisions=[
            {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": commit}
        ],
    )
    execution = pipelines.wait(2)
    build = pipelines.actions(execution["pipelineExecutionId"])["Build"]["output"]
    identifier = build["executionResult"]["externalExecutionId"]
    [record] = pipelines.client("codebuild").batch_get_builds(ids=[identifier])["builds"]
    assert (record["buildStatus"], record["resolvedSourceVersion"]) == ("SUCCEEDED", commit)
    location = build["outputArtifacts"][0]["s3location"]
    answer = pipelines.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])
    with zipfile.ZipFile(io.BytesIO(answer["Body"].read())) as archive:
        history = archive.read("history.txt").decode().splitlines()
    assert history == ["Ada <ada@example.com> Second", "Ada <ada@example.com> First"]


def test_the_output_of_the_state_machine_is_the_output_artifact(pipelines: Pipelines) -> None:
    machine = pipelines.make_machine({"Type": "Pass", "End": True})
    pipelines.copy.push({})
    settings = {"StateMachineArn": machine, "Input": '{"passed": true}'}
    pipelines.create(stage("Release", "Invoke", "StepFunctions", settings, makes="Outcome"))
    details = pipelines.actions(pipelines.wait()["pipelineExecutionId"])["Release"]
    [artifact] = details["output"]["outputArtifacts"]
    location = artifact["s3location"]
    answer = pipelines.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])
    with zipfile.ZipFile(io.BytesIO(answer["Body"].read())) as archive:
        [name] = archive.namelist()
        assert json.loads(archive.read(name)) == {"passed": True}


def test_each_of_several_outputs_is_a_secondary_artifact_of_the_build(pipelines: Pipelines) -> None:
    pipelines.make_project()
    files = {name: {"files": [f"{name}.txt"]} for name in ("One", "Two")}
    buildspec = {
        "version": 0.2,
        "phases": {"build": {"commands": ["echo 1 > One.txt", "echo 2 > Two.txt"]}},
        "artifacts": {"secondary-artifacts": files},
    }
    pipelines.copy.push({"buildspec.yml": json.dumps(buildspec)})
    build = build_stage()
    build["actions"][0]["outputArtifacts"] = [{"name": "One"}, {"name": "Two"}]
    pipelines.create(build)
    details = pipelines.actions(pipelines.wait()["pipelineExecutionId"])["Build"]
    assert details["status"] == "Succeeded"
    assert [item["name"] for item in details["output"]["outputArtifacts"]] == ["One", "Two"]


def test_a_stopped_execution_finishes_its_action_and_begins_no_other(pipelines: Pipelines) -> None:
    machine = waiting_machine(pipelines)
    pipelines.copy.push({})
    after = {**release_stage(machine), "name": "After"}
    pipelines.create(release_stage(machine), after)
    identifier = pipelines.executions()[0]["pipelineExecutionId"]
    wait_until(is_releasing(pipelines, identifier))
    stop = {"pipelineName": "app", "pipelineExecutionId": identifier}
    pipelines.codepipeline.stop_pipeline_execution(**stop)
    assert pipelines.executions()[0]["status"] == "Stopping"
    with pytest.raises(ClientError, match="already stopping"):
        pipelines.codepipeline.stop_pipeline_execution(**stop)
    let_go(pipelines, machine)
    assert pipelines.wait()["status"] in {"Failed", "Stopped"}
    state = pipelines.codepipeline.get_pipeline_state(name="app")["stageStates"]
    assert "latestExecution" not in state[2]
    with pytest.raises(ClientError, match="NotStoppable"):
        pipelines.codepipeline.stop_pipeline_execution(**stop)
