"""Python handlers as the code of functions in memory, and a Lambda client that invokes them."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tidegate.core.errors import InputError, NotFound
from tidegate.core.ports import AliasRef
from tidegate.hooks import using
from tidegate.testing.functions import MemoryFunctions

Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler gets of Lambda's context."""

    function_name: str
    function_version: str
    seconds: float = 300.0
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"
    memory_limit_in_mb: int = 128

    @property
    def invoked_function_arn(self) -> str:
        """The ARN that was invoked."""
        name, version = self.function_name, self.function_version
        return f"arn:aws:lambda:eu-west-1:111111111111:function:{name}:{version}"

    def get_remaining_time_in_millis(self) -> int:
        """All of it: in memory nothing takes time."""
        return round(self.seconds * 1000)


def load_handler(file: Path | str, name: str = "handler") -> Handler:
    """The handler in a file, imported under a name of its own: many files are called ``app.py``."""
    path = Path(file).resolve()
    spec = importlib.util.spec_from_file_location(f"handler_in_{path.parent.name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"{path} is no Python file.", remedy="Name the file of the handler.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = getattr(module, name)
    return handler


class MemoryLambda:
    """``invoke`` of boto3's Lambda client, on handlers: ``code`` finds one by function and version.

    A handler that raises answers as Lambda does. A function without a handler answers ``None``.
    """

    def __init__(
        self, functions: MemoryFunctions, code: Callable[[str, str], Handler | None]
    ) -> None:
        self._functions = functions
        self._code = code

    def invoke(self, **request: Any) -> dict[str, Any]:
        """Run the handler of the version that the ARN names, or that its alias serves."""
        function, version = self._resolve(request["FunctionName"])
        if request.get("InvocationType") == "DryRun":
            return {"StatusCode": 204}
        handler = self._code(function, version)
        response: dict[str, Any] = {"StatusCode": 200, "ExecutedVersion": version}
        try:
            event = json.loads(request.get("Payload") or b"null")
            answer = handler(event, Context(function, version)) if handler else None
        except Exception as error:
            response["FunctionError"] = "Unhandled"
            answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return response | {"Payload": io.BytesIO(json.dumps(answer, default=str).encode())}

    def _resolve(self, arn: str) -> tuple[str, str]:
        """Function and version. Raises what boto3 raises for a function that is not there."""
        function, _, qualifier = arn.partition(":function:")[2].partition(":")
        try:
            if qualifier in {"", "$LATEST"}:
                return function, "$LATEST"
            if qualifier.isdecimal():
                self._functions.check_version(function, qualifier)
                return function, qualifier
            return function, self._functions.aliases.read(AliasRef(function, qualifier)).version
        except NotFound as error:
            raise _missing(arn) from error


def as_hook(
    handler: Handler, client: MemoryLambda, name: str
) -> Callable[[Mapping[str, Any]], Any]:
    """A hook's handler as the code of a function in memory; what it invokes is in memory, too."""

    def run(payload: Mapping[str, Any]) -> Any:
        with using(client):
            return handler(payload, Context(name, "$LATEST", payload["timeout_seconds"]))

    return run


def invoke_hook(
    handler: Handler, event: Mapping[str, Any], functions: Mapping[str, Handler]
) -> Any:
    """What a hook answers to an event, when the functions of the event do as these handlers do.

    ``functions`` are named as in the event. Those that are not given are not there.
    """
    twins = MemoryFunctions()
    for described in event["functions"]:
        name, candidate = described["function"], described["candidate_version"]
        if name in functions:
            twins.deploy(name, {})
            for _ in range(int(candidate)):
                twins.publish(name)
            twins.aliases.set(name, described["alias"], candidate)
    client = MemoryLambda(twins, lambda name, _version: functions.get(name))
    return as_hook(handler, client, "hook")(event)


def _missing(arn: str) -> ClientError:
    said = f"Function not found: {arn}"
    return ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": said}}, "Invoke")
