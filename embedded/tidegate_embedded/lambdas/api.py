"""The `Invoke` operation of the Lambda API."""

import base64
import json
import re
from http import HTTPStatus
from typing import Any, Final

from ministack.services import lambda_svc

from tidegate_embedded.gateway import Request, Response
from tidegate_embedded.lambdas.asynchronous import AsynchronousInvoker
from tidegate_embedded.lambdas.dataplane import DataPlane, ThrottledError
from tidegate_embedded.lambdas.functions import FunctionNotFoundError, RandomSource, Target, find
from tidegate_embedded.lambdas.packages import InvalidPackageError

MAX_REQUEST_BYTES: Final = 6_291_456
MAX_EVENT_BYTES: Final = 1_048_576
_PATH: Final = re.compile(r"/2015-03-31/functions/(?P<function>[^/]+)/invocations/?")


class InvokeRoute:
    """Answers `POST /2015-03-31/functions/{name}/invocations` for Python functions."""

    def __init__(
        self, dataplane: DataPlane, asynchronous: AsynchronousInvoker, chance: RandomSource
    ) -> None:
        self._dataplane = dataplane
        self._asynchronous = asynchronous
        self._chance = chance

    def matches(self, request: Request) -> bool:
        """Whether this is an invocation of a function whose code we can run, or of none at all."""
        match = _PATH.fullmatch(request.path) if request.method == "POST" else None
        if match is None:
            return False
        name = lambda_svc._resolve_name(match["function"])
        function = lambda_svc._functions.get_scoped(request.account, request.region, name)
        return function is None or runs_here(function)

    def handle(self, request: Request) -> Response:
        """Invoke the function."""
        try:
            return self._invoke(request)
        except FunctionNotFoundError as error:
            return _error("ResourceNotFoundException", str(error), HTTPStatus.NOT_FOUND)
        except InvalidPackageError as error:
            return _error("InvalidZipFileException", str(error), HTTPStatus.BAD_GATEWAY)
        except ThrottledError as error:
            return _throttled(error)

    def _invoke(self, request: Request) -> Response:
        match = _PATH.fullmatch(request.path)
        assert match is not None  # noqa: S101 - it matched before
        target = find(
            match["function"],
            request.query.get("Qualifier", [None])[0],
            account=request.account,
            region=request.region,
            chance=self._chance,
        )
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        refusal = _refusal(request.body, MAX_EVENT_BYTES if kind == "Event" else MAX_REQUEST_BYTES)
        if refusal is not None:
            return refusal
        if kind == "DryRun":
            return Response(HTTPStatus.NO_CONTENT)
        if kind == "Event":
            self._asynchronous.submit(target, request.body or b"{}")
            return Response(HTTPStatus.ACCEPTED)
        return self._run(target, request)

    def _run(self, target: Target, request: Request) -> Response:
        context = request.headers.get("x-amz-client-context")
        outcome = self._dataplane.invoke(
            target,
            request.body or b"{}",
            client_context=base64.b64decode(context).decode() if context else None,
            trace_header=request.headers.get("x-amzn-trace-id"),
        )
        headers = {
            "content-type": "application/json",
            "x-amz-executed-version": target.version.number,
            "x-amzn-requestid": outcome.request_id,
        }
        if outcome.failed:
            headers["x-amz-function-error"] = "Unhandled"
        if request.headers.get("x-amz-log-type") == "Tail":
            headers["x-amz-log-result"] = base64.b64encode(outcome.log_tail).decode()
        return Response(HTTPStatus.OK, headers, outcome.payload)


def runs_here(record: dict[str, Any]) -> bool:
    """Whether a function's code is ours to run; what is not Python stays with ministack."""
    config = record["config"]
    return str(config.get("Runtime", "")).startswith("python")


def _refusal(payload: bytes, limit: int) -> Response | None:
    """The answer to a payload that no function gets to see."""
    if len(payload) > limit:
        return _error(
            "RequestTooLargeException",
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        return _error(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            HTTPStatus.BAD_REQUEST,
        )
    return None


def _throttled(error: ThrottledError) -> Response:
    body = {"Reason": error.reason, "Type": "User", "message": str(error)}
    headers = {"x-amzn-errortype": "TooManyRequestsException", "retry-after": "1"}
    return Response.json(body, HTTPStatus.TOO_MANY_REQUESTS, headers)


def _error(code: str, message: str, status: HTTPStatus) -> Response:
    body = {"Type": "User", "Message": message, "message": message}
    return Response.json(body, status, {"x-amzn-errortype": code})
