"""Whether a request is signed with credentials of this start, recomputed as AWS does it."""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ministack.core import sigv4
from ministack.core.router import extract_access_key_id
from ministack.services import sts

from tidegate_embedded.gateway import Request

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_REMEDY: Final = 'The credentials are made at each start: eval "$(tidegate local env)".'
_UNKNOWN: Final = ("InvalidClientTokenId", f"The access key id is not known here. {_REMEDY}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a signature proves nothing, as AWS's services say it."""

    code: str
    message: str


def is_signed(request: Request) -> bool:
    """Whether it has a signature in its headers, whosever: no web page can add that header."""
    authorization = request.headers.get("authorization", "")
    return authorization.startswith("AWS4-HMAC-SHA256 ") and isinstance(
        sigv4.parse_header_signature(request.headers), sigv4.HeaderSignature
    )


def failure(request: Request, secret: str) -> Failure | None:
    """Why the request is not signed with ``secret``, or by a session that our STS has made."""
    presigned = "authorization" not in request.headers
    if presigned and "X-Amz-Signature" not in request.query:
        return Failure(
            "MissingAuthenticationToken", f"The request has no signature of version 4. {_REMEDY}"
        )
    signature = (
        sigv4.parse_query_signature(request.query)
        if presigned
        else sigv4.parse_header_signature(request.headers)
    )
    if not isinstance(signature, sigv4.HeaderSignature):
        return Failure(*signature)
    wrong = (
        _unusual(request, signature)
        or _too_old(request, signature, presigned=presigned)
        or _untrue_digest(request)
    )
    if wrong:
        return Failure(*wrong)
    known = _secret_of(request, signature.access_key_id, secret, presigned=presigned)
    if not isinstance(known, str):
        return Failure(*known)
    mismatch = sigv4.header_signature_failure(
        signature,
        known,
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        request.body,
        presigned=presigned,
    )
    return Failure(*mismatch) if mismatch else None


Wrong = tuple[str, str]
"""A code and a message."""


def _unusual(request: Request, signature: Any) -> Wrong | None:
    """What would let one signer act as another, or a signature hold for another server."""
    algorithm = request.headers.get("authorization", "AWS4-HMAC-SHA256 ").partition(" ")[0]
    if algorithm != "AWS4-HMAC-SHA256" or signature.region_set is not None:
        return "IncompleteSignature", "Sign with AWS4-HMAC-SHA256."
    if extract_access_key_id(request.headers, request.query) != signature.access_key_id:
        return "IncompleteSignature", "The request names two access keys."
    if "host" not in signature.signed_headers.split(";"):
        return "SignatureDoesNotMatch", "The header Host has to be signed."
    return None


def _too_old(request: Request, signature: Any, *, presigned: bool) -> Wrong | None:
    if not presigned:
        found: Wrong | None = sigv4.request_time_failure(signature)
        return found
    expires = request.query.get("X-Amz-Expires", [""])[0]
    try:
        expired = sigv4.presigned_request_is_expired(signature.amz_date, expires)
    except ValueError:
        return "AuthorizationQueryParametersError", "X-Amz-Date or X-Amz-Expires is malformed."
    return ("AccessDenied", "Request has expired") if expired else None


def _untrue_digest(request: Request) -> Wrong | None:
    """A digest that is signed must be that of the body: else the body could be anything."""
    declared = request.headers.get("x-amz-content-sha256", "")
    if _DIGEST.fullmatch(declared) and hashlib.sha256(request.body).hexdigest() != declared:
        return "XAmzContentSHA256Mismatch", "x-amz-content-sha256 is not the digest of the body."
    return None


def _secret_of(request: Request, key: str, secret: str, *, presigned: bool) -> str | Wrong:
    """The secret that belongs to an access key id, or why there is none."""
    if _ACCOUNT.fullmatch(key):
        return secret
    session: Mapping[str, Any] | None = sts._sessions.get(key)
    if session is None:
        return _UNKNOWN
    token = (
        request.query.get("X-Amz-Security-Token", [""])[0]
        if presigned
        else request.headers.get("x-amz-security-token", "")
    )
    if not hmac.compare_digest(token.encode(), str(session.get("SessionToken", "")).encode()):
        return _UNKNOWN
    if time.time() > float(session.get("Expiration", "inf")):
        return "ExpiredToken", "The security token included in the request is expired"
    return str(session["SecretAccessKey"])
