"""Pre-traffic hook: the candidate must answer correctly before it gets its first request.

Tidegate invokes it with the candidates of the release. It passes by returning and fails by raising.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from dataclasses import dataclass
from typing import Any

import boto3

logger = logging.getLogger()
logger.setLevel(logging.INFO)


class CandidateError(Exception):
    """The candidate does not answer as it should."""


@dataclass(frozen=True)
class Check:
    """A request, and what its answer must look like."""

    request: dict[str, Any]
    status: int
    message: str  # regular expression that the message must match


CHECKS = (
    Check({"name": "Ada"}, 200, r"^Hello\b.*\bAda\b"),
    Check({}, 200, r"^Hello\b.*\bworld\b"),
    Check({"name": " "}, 400, r"\bname must\b"),
)


@functools.cache
def lambda_client() -> Any:
    return boto3.client("lambda")


def ask(client: Any, function_arn: str, request: dict[str, Any]) -> Any:
    """The function's answer. Raises ``CandidateError`` when it crashed."""
    response = client.invoke(FunctionName=function_arn, Payload=json.dumps(request).encode())
    answer = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        what = f"{answer.get('errorType')}: {answer.get('errorMessage')}"
        raise CandidateError(f"{function_arn} crashed on {json.dumps(request)}: {what}")
    return answer


def verify(client: Any, function_arn: str, check: Check) -> None:
    """Raise ``CandidateError`` unless the function answers as the check says."""
    answer = ask(client, function_arn, check.request)
    asked = f"{function_arn} asked {json.dumps(check.request)}"
    if answer.get("status") != check.status:
        raise CandidateError(f"{asked}: status {answer.get('status')}, expected {check.status}")
    if not re.search(check.message, str(answer.get("message"))):
        raise CandidateError(
            f"{asked}: message {answer.get('message')!r} does not match {check.message!r}"
        )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ask each candidate everything. Returning passes the hook, an exception fails it."""
    candidates = [function["candidate_arn"] for function in event["functions"]]
    for candidate in candidates:
        for check in CHECKS:
            verify(lambda_client(), candidate, check)
        logger.info("candidate answers as expected", extra={"candidate": candidate})
    return {"candidates": len(candidates), "checks": len(CHECKS)}
