"""Who asks: a signed STS request that only the caller can make, and only STS can read.

The operator's side signs a ``GetCallerIdentity`` request without sending it; the controller sends
it to STS and learns from the answer who signed. What it was signed for stands in a signed header,
so that a proof for one decision is none for another. Nothing secret changes hands, and STS takes a
signature only for some minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError, create_parser

from tidegate.core.errors import NotAllowedNow

SUBJECT_HEADER: Final = "x-tidegate-subject"
_BODY: Final = "Action=GetCallerIdentity&Version=2011-06-15"
_CONTENT_TYPE: Final = "application/x-www-form-urlencoded; charset=utf-8"
_SENT: Final = frozenset(
    {"authorization", "content-type", "x-amz-date", "x-amz-security-token", SUBJECT_HEADER}
)
_SCOPE: Final = re.compile(r"Credential=[^/,\s]+/\d{8}/([a-z]{2}(?:-[a-z]+)+-\d)/sts/aws4_request")
_SIGNED: Final = re.compile(r"SignedHeaders=([a-z0-9;-]+)")
_TIMEOUT_SECONDS: Final = 5
_AGAIN: Final = "Sign in to AWS again, look at the clock of this machine, and repeat the command."


class Proof(TypedDict):
    """A signed request: its headers. Body and address are the same for all."""

    headers: dict[str, str]


def prove(session: boto3.Session, subject: str) -> Proof:
    """Sign, as the session's identity, that it asks for ``subject``.

    Raises ``NotAllowedNow`` when the session has no credentials.
    """
    credentials = session.get_credentials()
    if credentials is None:
        raise NotAllowedNow("There are no AWS credentials to sign with.", remedy=_AGAIN)
    client = session.client("sts")
    request = AWSRequest(
        method="POST",
        url=client.meta.endpoint_url,
        data=_BODY,
        headers={"Content-Type": _CONTENT_TYPE, SUBJECT_HEADER: subject},
    )
    SigV4Auth(credentials.get_frozen_credentials(), "sts", client.meta.region_name).add_auth(
        request
    )
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Proof(headers={name: headers[name] for name in sorted(_SENT & headers.keys())})


def verify(session: boto3.Session, proof: Mapping[str, Any], subject: str) -> str:
    """The ARN of whoever signed for ``subject``, as STS names it.

    The request goes to the endpoint that we know for the signature's region, never to an address
    that the caller gives. Raises ``NotAllowedNow`` when it proves nothing.
    """
    headers = _checked(proof, subject)
    scope = _SCOPE.search(headers["authorization"])
    if scope is None:
        raise _refusal("it is not signed for STS")
    client = session.client("sts", region_name=scope.group(1))
    request = AWSRequest(method="POST", url=client.meta.endpoint_url, data=_BODY, headers=headers)
    status, answer = _send(request.prepare())
    shape: Any = client.meta.service_model.operation_model("GetCallerIdentity").output_shape
    try:
        parsed = create_parser("query").parse(answer, shape)
    except ResponseParserError as error:
        raise _refusal(f"STS answered {status} and no identity") from error
    if status != 200 or not parsed.get("Arn"):  # noqa: PLR2004
        said = parsed.get("Error", {}).get("Message") or f"it answered {status}"
        raise _refusal(f"STS does not accept it: {said}")
    return str(parsed["Arn"])


def _checked(proof: Mapping[str, Any], subject: str) -> dict[str, str]:
    """The headers that are sent on, if they are signed and for this subject."""
    given = proof.get("headers")
    if not isinstance(given, Mapping):
        raise _refusal("it has no headers")
    headers = {str(name).lower(): str(value) for name, value in given.items()}
    headers = {name: value for name, value in headers.items() if name in _SENT}
    signed = _SIGNED.search(headers.get("authorization", ""))
    if signed is None or SUBJECT_HEADER not in signed.group(1).split(";"):
        raise _refusal("what it is for is not signed")
    if headers.get(SUBJECT_HEADER) != subject:
        raise _refusal(f"it is for {headers.get(SUBJECT_HEADER)!r}, and {subject!r} was asked")
    return headers


def _send(request: AWSPreparedRequest) -> tuple[int, dict[str, Any]]:
    http = URLLib3Session(timeout=_TIMEOUT_SECONDS)
    try:
        response = http.send(request)
    except BotoCoreError as error:
        raise _refusal(f"STS cannot be asked: {error}") from error
    finally:
        http.close()
    status = response.status_code
    return status, {
        "headers": response.headers,
        "body": response.content,
        "status_code": status,
    }


def _refusal(why: str) -> NotAllowedNow:
    return NotAllowedNow(f"The proof of identity is not valid: {why}.", remedy=_AGAIN)
