"""The front door of the embedded AWS: one ASGI app that keeps web pages and strangers out, offers
each request to the plug-ins' routes in order and leaves the rest to ministack."""

import asyncio
import contextvars
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qs

from ministack.core import responses
from ministack.core.router import extract_access_key_id, extract_region
from ministack.core.sigv4 import decode_header_value

from tidegate.web import loopback

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_CROSS_ORIGIN: Final = b"access-control-"
_POLICY_VIOLATION: Final = 1008


@dataclass(frozen=True)
class Request:
    """One HTTP request, with the account and region that its signature names."""

    method: str
    path: str
    raw_path: str
    """As it was sent, without the query."""
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


class Admission(Protocol):
    """Decides who is answered, of those whom no web page can have sent."""

    def refusal(self, request: Request) -> Response | None:
        """What to answer instead, if the request must not be served."""
        ...

    def public(self, request: Request) -> Callable[[Send, Receive], Awaitable[None]] | None:
        """How to answer what is for everybody, past all routes; nothing for any other request."""
        ...


class Gateway:
    """ASGI app on ``port`` in front of `fallback`: the first route that matches, on `executor`."""

    def __init__(
        self,
        fallback: AsgiApp,
        routes: Sequence[Route],
        executor: Executor,
        *,
        port: int,
        admission: Admission,
    ) -> None:
        self._fallback = fallback
        self._routes = routes
        self._executor = executor
        self._port = port
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, as ASGI asks."""
        if scope["type"] == "lifespan":
            await self._fallback(scope, receive, send)
        elif scope["type"] == "websocket":  # nothing here needs one, and browsers open them freely
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif refused := loopback.refusal(scope["method"], _pairs(scope), self._port):
            answer = Response.json({"message": refused.message}, refused.status)
            await _send(send, answer, scope["method"])
        elif (body := await _read(receive)) is not None:
            send = _without_cross_origin_headers(send)
            await self._serve(scope, _request(scope, body), _replay(body, receive), send)

    async def _serve(self, scope: Scope, request: Request, receive: Receive, send: Send) -> None:
        if answer := self._admission.public(request):
            await answer(send, receive)
            return
        if refused := self._admission.refusal(request):
            await _send(send, refused, request.method)
            return
        for route in self._routes:
            if route.matches(request):
                await _send(send, await self._answer(route, request), request.method)
                return
        await self._fallback(scope, receive, send)

    async def _answer(self, route: Route, request: Request) -> Response:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, context.run, route.handle, request)
        except Exception as failure:
            logger.exception("%s %s failed", request.method, request.target or request.path)
            return Response.error("InternalFailure", f"{type(failure).__name__}: {failure}", 500)


def _request(scope: Scope, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for name, value in _pairs(scope):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    responses.set_request_account_id(extract_access_key_id(headers, query))
    responses.set_request_region(extract_region(headers, query))
    return Request(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=query,
        headers=headers,
        body=body,
        account=responses.get_account_id(),
        region=responses.get_region(),
    )


def _pairs(scope: Scope) -> list[tuple[str, str]]:
    """The headers, their names in lower case."""
    return [
        (name.decode("latin-1").lower(), decode_header_value(value))
        for name, value in scope["headers"]
    ]


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


def _without_cross_origin_headers(send: Send) -> Send:
    """Leave out what lets pages of other origins read an answer: ministack adds it to all."""

    async def filtered(message: Message) -> None:
        if "headers" in message:
            kept = [h for h in message["headers"] if not h[0].lower().startswith(_CROSS_ORIGIN)]
            message = {**message, "headers": kept}
        await send(message)

    return filtered


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
