"""Post-traffic hook: the live alias must answer correctly, and from the released version.

Tidegate invokes it when the candidate has all traffic. It passes by returning and fails by raising.
"""

from __future__ import annotations

import functools
import json
import logging
from http import HTTPStatus
from typing import Any

import boto3

REQUEST = {"name": "Grace"}

logger = logging.getLogger()
logger.setLevel(logging.INFO)


class LiveAliasError(Exception):
    """The live alias does not answer as it should."""


@functools.cache
def lambda_client() -> Any:
    return boto3.client("lambda")


def verify(client: Any, alias_arn: str, expected_version: str) -> None:
    """Raise ``LiveAliasError`` unless the alias greets, and from the expected version."""
    response = client.invoke(FunctionName=alias_arn, Payload=json.dumps(REQUEST).encode())
    answer = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        what = f"{answer.get('errorType')}: {answer.get('errorMessage')}"
        raise LiveAliasError(f"{alias_arn} crashed: {what}")
    version = response["ExecutedVersion"]
    if version != expected_version:
        raise LiveAliasError(f"{alias_arn} is served by {version}, expected {expected_version}")
    if answer.get("status") != HTTPStatus.OK or REQUEST["name"] not in str(answer.get("message")):
        raise LiveAliasError(f"{alias_arn} answered {json.dumps(answer)}")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ask each live alias once. Returning passes the hook, an exception fails it."""
    for function in event["functions"]:
        verify(lambda_client(), function["alias_arn"], function["candidate_version"])
        logger.info("alias answers as expected", extra={"alias_arn": function["alias_arn"]})
    return {"aliases": len(event["functions"])}
