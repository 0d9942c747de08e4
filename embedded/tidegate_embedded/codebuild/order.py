"""Reads the order for a build: the project, overlaid with what StartBuild overrides."""

from collections.abc import Mapping
from typing import Any

from tidegate_embedded.codebuild.artifacts import Destination
from tidegate_embedded.gateway import Request
from tidegate_embedded.jsonservice import ApiError


def build_fields(
    request: Request, order: Mapping[str, Any], project: Mapping[str, Any], build_id: str
) -> dict[str, Any]:
    """What a build's record says from the start; raise `ApiError` for a source it cannot have."""
    name, _, unique = build_id.partition(":")
    return {
        "id": build_id,
        "arn": f"arn:aws:codebuild:{request.region}:{request.account}:build/{build_id}",
        "projectName": name,
        "currentPhase": "SUBMITTED",
        "source": _source(order, project),
        "environment": _environment(order, project),
        "serviceRole": order.get("serviceRoleOverride", project.get("serviceRole", "")),
        "encryptionKey": _encryption_key(order, project),
        "timeoutInMinutes": order.get(
            "timeoutInMinutesOverride", project.get("timeoutInMinutes", 60)
        ),
        "queuedTimeoutInMinutes": order.get("queuedTimeoutInMinutesOverride", 480),
        "initiator": "root",
        "logs": _logs(request, name, unique),
        **_source_version(order, project),
    }


def _source(order: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
    source = dict(project["source"])
    if "sourceTypeOverride" in order:
        source["type"] = order["sourceTypeOverride"]
    if "sourceLocationOverride" in order:
        source["location"] = order["sourceLocationOverride"]
    if "buildspecOverride" in order:
        source["buildspec"] = order["buildspecOverride"]
    if source["type"] not in {"S3", "NO_SOURCE"}:
        raise ApiError(
            "InvalidInputException",
            f"Source type {source['type']} cannot be built on its own here: start the build with "
            "sourceTypeOverride S3 or NO_SOURCE, or by a pipeline",
        )
    if source["type"] == "S3" and "/" not in source.get("location", ""):
        raise ApiError("InvalidInputException", "Source location: expected bucket/key.zip")
    return source


def _source_version(order: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, str]:
    version = order.get("sourceVersion") or project.get("sourceVersion")
    return {"sourceVersion": version} if version else {}


def _environment(order: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
    environment = dict(project.get("environment", {}))
    variables = [
        *environment.get("environmentVariables", []),
        *order.get("environmentVariablesOverride", []),
    ]
    environment["environmentVariables"] = list({item["name"]: item for item in variables}.values())
    for name in ("image", "computeType", "environmentType", "privilegedMode"):
        if f"{name}Override" in order:
            environment["type" if name == "environmentType" else name] = order[f"{name}Override"]
    return environment


def artifact_destinations(
    order: Mapping[str, Any], project: Mapping[str, Any], build_id: str
) -> list[Destination]:
    """Where the build's artifacts go, the primary one first."""
    encryption_key = _encryption_key(order, project)
    artifacts = [
        order.get("artifactsOverride", project.get("artifacts", {})),
        *order.get("secondaryArtifactsOverride", project.get("secondaryArtifacts", [])),
    ]
    try:
        found = [
            Destination.of(artifact, build_id=build_id, encryption_key=encryption_key)
            for artifact in artifacts
        ]
    except ValueError as error:
        raise ApiError("InvalidInputException", str(error)) from error
    return [destination for destination in found if destination is not None]


def _encryption_key(order: Mapping[str, Any], project: Mapping[str, Any]) -> str:
    key: str = order.get("encryptionKeyOverride", project.get("encryptionKey", ""))
    return key


def _logs(request: Request, project: str, stream: str) -> dict[str, Any]:
    group = f"/aws/codebuild/{project}"
    scope = f"arn:aws:logs:{request.region}:{request.account}"
    return {
        "groupName": group,
        "streamName": stream,
        "deepLink": (
            f"https://console.aws.amazon.com/cloudwatch/home?region={request.region}"
            f"#logsV2:log-groups/log-group/{group.replace('/', '$252F')}/log-events/{stream}"
        ),
        "cloudWatchLogsArn": f"{scope}:log-group:{group}:log-stream:{stream}",
    }
