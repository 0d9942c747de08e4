"""One invocation of a function, and what it came to."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from tidegate.hooks.client import lambda_client

_ERROR_KEYS = {"errorType", "errorMessage", "requestId"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """What came back. ``error`` is "" unless the function failed or there was no answer."""

    payload: Any
    error: str = ""  # "TypeError: ..." as Lambda reports it
    error_type: str = ""
    version: str = ""  # that answered
    seconds: float = 0.0
    log_tail: str = ""  # up to 4 KB


def invoke(arn: str, payload: Any, timeout_seconds: float) -> Invocation:
    """Invoke a function, once. What goes wrong is in the outcome, nothing is raised for it."""
    began = time.monotonic()
    try:
        response = _ask(lambda_client(timeout_seconds), arn, json.dumps(payload).encode())
        body = _decoded(response["Payload"].read())
    except Exception as error:
        return _lost(error, time.monotonic() - began)
    seconds = time.monotonic() - began
    kind, message = _function_error(response, body)
    return Invocation(
        payload=body,
        error=message,
        error_type=kind,
        version=response.get("ExecutedVersion", ""),
        seconds=seconds,
        log_tail=base64.b64decode(response.get("LogResult", "")).decode(errors="replace"),
    )


def why_not_invocable(arn: str) -> str:
    """Ask Lambda whether this function is there and may be invoked, without running it."""
    try:
        lambda_client(timeout_seconds=10).invoke(FunctionName=arn, InvocationType="DryRun")
    except Exception as error:
        return _lost(error, 0.0).error
    return ""


def _ask(client: Any, arn: str, payload: bytes) -> Any:
    """The function's answer, with the end of its log where the endpoint knows it."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    request = {"FunctionName": arn, "InvocationType": "RequestResponse", "Payload": payload}
    try:
        return client.invoke(**request, LogType="Tail")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotImplemented":  # as `sam local` says
            raise
        return client.invoke(**request)


def _decoded(body: bytes) -> Any:
    """The answer's JSON; text when it is none, as a custom runtime may answer."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


def _function_error(response: Any, body: Any) -> tuple[str, str]:
    details = body if isinstance(body, dict) else {}
    unmarked = details.keys() >= _ERROR_KEYS  # `sam local` does not mark what has a request's id
    said = response.get("FunctionError", "Unhandled" if unmarked else "")
    if not said:
        return "", ""
    kind = details.get("errorType") or said
    message = details.get("errorMessage")
    return kind, f"{kind}: {message}" if message else kind


def _lost(error: Exception, seconds: float) -> Invocation:
    """There was no answer. Raises what is no failure of the network or of AWS."""
    from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError  # noqa: PLC0415

    if isinstance(error, ReadTimeoutError):
        said = f"no answer within {seconds:.1f} s"
        return Invocation(None, said, "InvocationTimedOut", seconds=seconds)
    if isinstance(error, ClientError):
        return Invocation(None, str(error), error.response["Error"]["Code"], seconds=seconds)
    if isinstance(error, BotoCoreError):
        return Invocation(None, str(error), type(error).__name__, seconds=seconds)
    raise error
