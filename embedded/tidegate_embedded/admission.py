"""Whom the embedded AWS answers: who signs with its credentials, and whoever a public URL is for.

Function URLs and APIs without authorization are public, as on AWS: programs call them unsigned. Web
pages of another origin do not, see `tidegate.web.loopback`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from ministack import app as ministack
from ministack.core.responses import request_scope
from ministack.core.router import detect_service
from ministack.services import apigateway, apigateway_v1, lambda_svc

from tidegate_embedded.gateway import Receive, Request, Response, Send
from tidegate_embedded.signatures import Failure, failure, is_signed

_ONE_TIME_PATHS: Final = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
"""What a token follows that CloudFormation made up: on AWS, presigned addresses in S3."""

_CALL_FUNCTION: Final = ministack._handle_lambda_url_request

Owner = tuple[str, str]
"""An account and a region."""
Public = tuple[Owner, Callable[..., Awaitable[Any]]]
"""Whose a public URL is, and what answers there."""


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
        found = _public_function(request) or _public_api(request)
        if found is None:
            return None
        owner, handle = found

        async def answer(send: Send, receive: Receive) -> None:
            with request_scope(*owner):
                response = await handle(
                    request.headers["host"],
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


def _public_function(request: Request) -> Public | None:
    parsed = ministack._parse_lambda_url(request.headers["host"], request.path)
    function = lambda_svc.resolve_function_url(parsed[0]) if parsed else None
    if function is None:
        return None
    account, region, *_, url = function
    return ((account, region), _CALL_FUNCTION) if url.get("AuthType") == "NONE" else None


def _public_api(request: Request) -> Public | None:
    parsed = ministack._parse_execute_api_url(request.headers["host"], request.path)
    owner = _owner(parsed[0]) if parsed else None
    if parsed is None or owner is None or parsed[2].startswith("/@connections/"):
        return None
    api, first, rest = parsed
    with request_scope(*owner):
        stage, path = ministack._resolve_stage_and_path(api, first, rest)
        asked = ministack._execute_api_authorization_type(api, stage, request.method, path)
    if asked == "AWS_IAM":
        return None
    return owner, partial(ministack._handle_execute_api_request, raw_path=request.raw_path)


def _owner(api: str) -> Owner | None:
    """Whose API this is: unlike ministack, AWS finds it whoever calls."""
    for apis in (apigateway._apis, apigateway_v1._rest_apis):
        for account, region, identifier in dict(apis.all_items()):
            if identifier == api:
                return account, region
    return None
