"""The front door of the embedded AWS: one ASGI app that offers each request to the plug-ins' routes
in order and leaves the rest to ministack."""

import asyncio
import contextvars
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self
from urllib.parse import parse_qs

from ministack.core import responses
from ministack.core.router import extract_access_key_id, extract_region
from ministack.core.sigv4 import decode_header_value

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """One HTTP request, with the account and region that its signature names."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes
    account: str
    """Twelve digits, also for the credentials of an assumed role."""
    region: str

    @property
    def target(self) -> str:
        """The operation of a JSON protocol, such as `AWSStepFunctions.StartExecution`, or empty."""
        return self.headers.get("x-amz-target", "")

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The fields of a query protocol's form, empty for any other body."""
        if "x-www-form-urlencoded" not in self.headers.get("content-type", ""):
            return {}
        fields = parse_qs(self.body.decode(), keep_blank_values=True)
        return {name: values[-1] for name, values in fields.items()}

    def json(self) -> dict[str, Any]:
        """The body as a JSON object, an empty one if there is no body."""
        parsed: dict[str, Any] = json.loads(self.body or b"{}")
        return parsed


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(
        cls, payload: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Self:
        """An answer in the AWS JSON protocol."""
        content = {"content-type": "application/x-amz-json-1.0", **(headers or {})}
        return cls(status, content, json.dumps(payload, default=str).encode())

    @classmethod
    def error(cls, code: str, message: str, status: int = 400) -> Self:
        """A failure in the AWS JSON protocol."""
        return cls.json({"__type": code, "message": message}, status, {"x-amzn-errortype": code})


class Route(Protocol):
    """Takes over the requests that ministack does not answer as AWS does."""

    def matches(self, request: Request) -> bool:
        """Whether this route answers the request. Called on the event loop: must be quick."""
        ...

    def handle(self, request: Request) -> Response:
        """Answer the request. Called on a worker thread in the request's account and region."""
        ...


class Gateway:
    """ASGI app in front of `fallback`: the first route that matches answers, on `executor`."""

    def __init__(self, fallback: AsgiApp, routes: Sequence[Route], executor: Executor) -> None:
        self._fallback = fallback
        self._routes = routes
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, as ASGI asks."""
        if scope["type"] != "http":
            await self._fallback(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        request = _request(scope, body)
        for route in self._routes:
            if route.matches(request):
                await _send(send, await self._answer(route, request), request.method)
                return
        await self._fallback(scope, _replay(body, receive), send)

    async def _answer(self, route: Route, request: Request) -> Response:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, context.run, route.handle, request)
        except Exception as failure:
            logger.exception("%s %s failed", request.method, request.target or request.path)
            return Response.error("InternalFailure", f"{type(failure).__name__}: {failure}", 500)


def _request(scope: Scope, body: bytes) -> Request:
    headers = {
        name.decode("latin-1").lower(): decode_header_value(value)
        for name, value in scope["headers"]
    }
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    responses.set_request_account_id(extract_access_key_id(headers, query))
    responses.set_request_region(extract_region(headers, query))
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=query,
        headers=headers,
        body=body,
        account=responses.get_account_id(),
        region=responses.get_region(),
    )


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or nothing when the caller went away."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


async def _send(send: Send, response: Response, method: str) -> None:
    headers = {
        "content-length": str(len(response.body)),
        "x-amzn-requestid": str(uuid.uuid4()),
        **response.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    body = b"" if method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})
