"""Whom the embedded AWS answers: who signs with its credentials, and whoever a public URL is for.

Function URLs and APIs without authorization are public, as on AWS: programs call them unsigned. Web
pages of another origin do not, see `tidegate.core.loopback`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from ministack import app as ministack
from ministack.core.router import detect_service

from tidegate.local.gateway import Receive, Request, Response, Send
from tidegate.local.signatures import Failure, failure, is_signed

_ONE_TIME_PATHS: Final = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
"""What a token follows that CloudFormation made up: on AWS, presigned addresses in S3."""


class Admission:
    """Lets in what is signed with ``secret``.

    What ``any_signature`` says true of needs a signature, whosever it is.
    """

    def __init__(self, secret: str, any_signature: Callable[[Request], bool]) -> None:
        self._secret = secret
        self._any_signature = any_signature

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request that nobody whom we know has signed."""
        if _has_token(request) or (is_signed(request) and self._any_signature(request)):
            return None
        found = failure(request, self._secret)
        return _refuse(request, found) if found else None

    def public(self, request: Request) -> Callable[[Send, Receive], Awaitable[None]] | None:
        """How a public URL answers; nothing if the request is for no such URL.

        Only the handler of that URL gets the request: its path must lead nowhere else.
        """
        host = request.headers.get("host", "")
        if _is_public_function(request, host):
            handle: Any = ministack._handle_lambda_url_request
        elif _is_public_api(request, host):
            handle = partial(ministack._handle_execute_api_request, raw_path=request.raw_path)
        else:
            return None

        async def answer(send: Send, receive: Receive) -> None:
            response = await handle(
                host,
                request.path,
                request.method,
                dict(request.headers),
                request.body,
                request.query,
            )
            await ministack._send_if_handled(send, response, receive)

        return answer


def _has_token(request: Request) -> bool:
    """Whether the path itself is the secret that a custom resource was given for its answer."""
    return request.method == "PUT" and request.path.startswith(_ONE_TIME_PATHS)


def _refuse(request: Request, failure: Failure) -> Response:
    """The refusal in the protocol of the service that is asked, so that its client can read it."""
    headers = dict(request.headers)
    service = detect_service(request.method, request.path, headers, request.query)
    status, answered, body = ministack._credential_failure(service, "", "", failure, headers)
    return Response(status, answered, body)


def _is_public_function(request: Request, host: str) -> bool:
    parsed = ministack._parse_lambda_url(host, request.path)
    if parsed is None:
        return False
    _, conditions, _ = ministack._function_url_auth_target(parsed[0])
    return conditions.get("lambda:FunctionUrlAuthType") == "NONE"  # type: ignore[no-any-return]


def _is_public_api(request: Request, host: str) -> bool:
    parsed = ministack._parse_execute_api_url(host, request.path)
    if parsed is None:
        return False
    api, first, rest = parsed
    stage, path = ministack._resolve_stage_and_path(api, first, rest)
    if rest.startswith("/@connections/"):
        return False
    asked = ministack._execute_api_authorization_type(api, stage, request.method, path)
    return asked != "AWS_IAM"  # type: ignore[no-any-return]
