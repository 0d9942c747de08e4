"""Lambda functions: their invocation, and what a weighted alias needs of their versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from tidegate.aws.errors import calling
from tidegate.core.errors import NotFound
from tidegate.core.ports import Invocation

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import InvocationResponseTypeDef

TIMED_OUT: Final = "InvocationTimedOut"
CONNECTION_LOST: Final = "ConnectionLost"

_MISSING: Final = {"ResourceNotFoundException": NotFound}


class LambdaFunctions:
    """Invokes functions, each once: a hook that ran twice might do its work twice.

    ``invoker`` makes a client that waits so many seconds for an answer and repeats no call.
    """

    def __init__(self, client: LambdaClient, invoker: Callable[[int], LambdaClient]) -> None:
        self._client = client
        self._invoker = invoker

    def invoke(
        self,
        function: str,
        payload: Any,
        timeout_seconds: int,
        mark: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """Invoke and wait. An answer that does not come is an ``Invocation`` with ``error``."""
        context = json.dumps({"custom": dict(mark or {})}).encode()
        with calling(f"invoke {function}", _MISSING):
            try:
                answer = self._invoker(timeout_seconds).invoke(
                    FunctionName=function,
                    InvocationType="RequestResponse",
                    LogType="Tail",
                    ClientContext=base64.b64encode(context).decode(),
                    Payload=json.dumps(payload).encode(),
                )
                return _invocation(answer)
            except ReadTimeoutError:
                cause = f"{function} did not answer within {timeout_seconds} seconds."
                return Invocation({"errorMessage": cause}, TIMED_OUT)
            except ConnectionClosedError:
                cause = f"The connection broke while {function} ran; how it ended is not known."
                return Invocation({"errorMessage": cause}, CONNECTION_LOST)

    def canary_blockers(self, function: str, stable: str, candidate: str) -> list[str]:
        """Why a weighted alias cannot serve both versions; often none."""
        before, after = (self._routing_facts(function, version) for version in (stable, candidate))
        return [
            f"its {name} changes from {before[name]} to {after[name]}"
            for name in before
            if before[name] != after[name]
        ]

    def _routing_facts(self, function: str, version: str) -> dict[str, str]:
        with calling(f"read version {version} of {function}", _MISSING):
            found = self._client.get_function(FunctionName=function, Qualifier=version)[
                "Configuration"
            ]  # 100 calls a second, where its configuration alone would count among the 15
        dead_letters = found.get("DeadLetterConfig") or {}
        return {
            "execution role": found["Role"],
            "dead-letter target": dead_letters.get("TargetArn") or "none",
        }


def _invocation(answer: InvocationResponseTypeDef) -> Invocation:
    payload = _decoded(answer["Payload"].read())
    error = answer.get("FunctionError", "")
    if error and isinstance(payload, Mapping):
        error = payload.get("errorType") or error
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    return Invocation(payload, error, log)


def _decoded(payload: bytes) -> Any:
    """The answer's JSON; text when it is none, as a custom runtime may answer."""
    if not payload:
        return None
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
