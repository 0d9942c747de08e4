"""The action providers: each does with an action what the provider of that name does on AWS."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from tidegate_embedded.codepipeline.records import ZIP, ActionRun, Artifact, Execution
from tidegate_embedded.codepipeline.store import ArtifactStore
from tidegate_embedded.git import CloneReference, Commit, GitError, GitHost, Repository

_LITERAL_DEFAULT: Final = "{}"


class ActionError(Exception):
    """An action failed: the code and message of its error details."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AbandonedError(Exception):
    """The execution was stopped, and nobody waits for the action any more."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a provider is given: the run to carry out, and the means."""

    run: ActionRun
    execution: Execution
    store: ArtifactStore
    client: Callable[[str], Any]
    """Gives the client of a service in the pipeline's account and the action's region."""
    region: str
    interval_seconds: float
    """Between two polls of what the action started."""

    def setting(self, name: str) -> str:
        """A required setting."""
        value = self.run.settings.get(name)
        if not value:
            raise ActionError("ConfigurationError", f"The configuration needs {name}")
        return value

    def outputs(self) -> list[str]:
        """The names of the output artifacts."""
        return [artifact["name"] for artifact in self.run.declaration.get("outputArtifacts", [])]

    def pause(self) -> None:
        """Wait before looking again; raise `AbandonedError` when nobody waits for the result."""
        if self.execution.abandoned.wait(self.interval_seconds):
            raise AbandonedError


Provider = Callable[[Job], None]
"""Carries a job out and notes what came of it in the run; raises `ActionError`."""


def code_star_source(git: GitHost) -> Provider:
    """The provider that fetches a commit through a connection."""

    def fetch(job: Job) -> None:
        full_id, branch = job.setting("FullRepositoryId"), job.setting("BranchName")
        revision = job.execution.revisions.get(job.run.name, f"refs/heads/{branch}")
        try:
            repository = git.repository(full_id)
            commit = repository.head(revision)
            body, content_type = _source_artifact(job, repository, commit)
        except GitError as error:
            raise ActionError(
                "ConfigurationError", f"{full_id}, branch {branch}: {error}"
            ) from error
        job.run.variables = {
            "CommitId": commit.id,
            "BranchName": branch,
            "FullRepositoryName": full_id,
            "ConnectionArn": job.setting("ConnectionArn"),
            "CommitMessage": commit.message,
            "AuthorDate": commit.author_date,
        }
        job.run.external_id = commit.id
        job.run.summary = commit.message.partition("\n")[0]
        for name in job.outputs():
            artifact = job.store.place(
                name, revision=commit.id, summary=job.run.summary, content_type=content_type
            )
            job.store.put(artifact, body)
            job.run.outputs.append(artifact)

    return fetch


def _source_artifact(job: Job, repository: Repository, commit: Commit) -> tuple[bytes, str]:
    """The artifact in the format that the action asks for, and its content type."""
    match job.run.settings.get("OutputArtifactFormat", "CODE_ZIP"):
        case "CODE_ZIP":
            return repository.archive(commit.id), ZIP
        case "CODEBUILD_CLONE_REF":
            full_id = job.setting("FullRepositoryId")
            reference = CloneReference(full_id, str(repository.path), commit.id)
            return reference.encode(), CloneReference.CONTENT_TYPE
        case other:
            raise ActionError(
                "ConfigurationError",
                f"OutputArtifactFormat {other}: expected CODE_ZIP or CODEBUILD_CLONE_REF",
            )


def code_build(job: Job) -> None:
    """Run a build of the input artifact and wait for its end."""
    client = job.client("codebuild")
    primary = _primary_input(job)
    outputs = [job.store.place(name, revision=primary.revision) for name in job.outputs()]
    build = client.start_build(
        projectName=job.setting("ProjectName"),
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{primary.bucket}/{primary.key}",
        environmentVariablesOverride=_build_variables(job, primary),
        idempotencyToken=job.run.id,
        **_artifact_overrides(job, outputs),
    )["build"]
    job.run.external_id = build["id"]
    job.run.external_url = build["logs"]["deepLink"]
    while not build["buildComplete"]:
        job.pause()
        build = client.batch_get_builds(ids=[build["id"]])["builds"][0]
    if build["buildStatus"] != "SUCCEEDED":
        raise ActionError("JobFailed", _build_problem(build))
    exported = build.get("exportedEnvironmentVariables", [])
    job.run.variables = {item["name"]: item["value"] for item in exported}
    job.run.outputs = outputs


def step_functions(job: Job) -> None:
    """Start an execution of a state machine and wait for its end."""
    client = job.client("stepfunctions")
    machine = job.setting("StateMachineArn")
    prefix = job.run.settings.get("ExecutionNamePrefix")
    arn: str = client.start_execution(
        stateMachineArn=machine,
        name=f"{prefix}-{job.run.id}" if prefix else job.run.id,
        input=_state_machine_input(job),
    )["executionArn"]
    job.run.external_id = arn
    job.run.external_url = (
        f"https://console.aws.amazon.com/states/home?region={job.region}"
        f"#/executions/details/{quote(arn, safe=':')}"
    )
    job.run.variables = {"StateMachineArn": machine, "ExecutionArn": arn}
    if client.describe_state_machine(stateMachineArn=machine)["type"] == "EXPRESS":
        return  # the action does not learn how it ends
    while (execution := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        job.pause()
    if execution["status"] != "SUCCEEDED":
        raise ActionError("JobFailed", _execution_problem(execution))
    for name in job.outputs():
        artifact = job.store.place(name)
        job.store.put(artifact, _zipped("output.json", execution.get("output", _LITERAL_DEFAULT)))
        job.run.outputs.append(artifact)


def _primary_input(job: Job) -> Artifact:
    if not job.run.inputs:
        raise ActionError("ConfigurationError", "The action needs an input artifact")
    wanted = job.run.settings.get("PrimarySource", job.run.inputs[0].name)
    for artifact in job.run.inputs:
        if artifact.name == wanted:
            return artifact
    raise ActionError("ConfigurationError", f"PrimarySource {wanted} is no input artifact")


def _build_variables(job: Job, primary: Artifact) -> list[dict[str, str]]:
    """The action's variables, and what CodeBuild learns from a pipeline beside them."""
    try:
        variables: list[dict[str, str]] = json.loads(
            job.run.settings.get("EnvironmentVariables", "[]")
        )
    except json.JSONDecodeError as error:
        raise ActionError("ConfigurationError", f"EnvironmentVariables: {error}") from error
    told = {"CODEBUILD_INITIATOR": f"codepipeline/{job.execution.definition['name']}"}
    if primary.revision:
        told["CODEBUILD_RESOLVED_SOURCE_VERSION"] = primary.revision
    return variables + [{"name": name, "value": value} for name, value in told.items()]


def _artifact_overrides(job: Job, outputs: list[Artifact]) -> dict[str, Any]:
    """One output is the primary artifact of the build; several are its secondary ones."""
    places = [
        {
            "type": "S3",
            "location": artifact.bucket,
            "name": artifact.key,
            "packaging": "ZIP",
            "artifactIdentifier": artifact.name,
        }
        for artifact in outputs
    ]
    overrides: dict[str, Any] = {"artifactsOverride": {"type": "NO_ARTIFACTS"}}
    if len(places) == 1:
        del places[0]["artifactIdentifier"]
        overrides["artifactsOverride"] = places[0]
    elif places:
        overrides["secondaryArtifactsOverride"] = places
    if job.store.encryption_key:
        overrides["encryptionKeyOverride"] = job.store.encryption_key
    return overrides


def _build_problem(build: Mapping[str, Any]) -> str:
    problem = f"Build terminated with state: {build['buildStatus']}."
    for phase in build["phases"]:
        if phase.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED":
            context = phase["contexts"][0]
            said = f"{context['statusCode']}: {context['message']}"
            return f"{problem} Phase: {phase['phaseType']}, Code: {said}"
    return problem


def _state_machine_input(job: Job) -> str:
    """The input of the execution, character by character what the action was given."""
    kind = job.run.settings.get("InputType", "Literal")
    if kind == "Literal":
        return job.run.settings.get("Input", _LITERAL_DEFAULT)
    if kind != "FilePath":
        raise ActionError("ConfigurationError", f"InputType {kind}: expected Literal or FilePath")
    path, artifact = job.setting("Input"), _primary_input(job)
    if artifact.content_type == CloneReference.CONTENT_TYPE:
        raise ActionError(
            "ConfigurationError",
            f"Artifact {artifact.name} is a CODEBUILD_CLONE_REF, which only CodeBuild can take",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(job.store.get(artifact))) as archive:
            return archive.read(path).decode()
    except KeyError:
        raise ActionError(
            "ConfigurationError", f"Input {path} is not in artifact {artifact.name}"
        ) from None


def _execution_problem(execution: Mapping[str, Any]) -> str:
    problem = f"State machine execution ended as {execution['status']}"
    told = [execution[name] for name in ("error", "cause") if execution.get(name)]
    return ": ".join([problem, *told])


def _zipped(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, time.gmtime()[:6]), text)
    return buffer.getvalue()
