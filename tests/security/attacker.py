"""What an attacker sends: requests byte for byte as a browser, or another program, would."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

EVIL = "https://evil.example"
PAGE = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
"""What a browser adds for a page of another origin."""
SIMPLE = {"Content-Type": "text/plain;charset=UTF-8"}
"""With this type a browser sends a POST without asking first."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def lets_pages_read(self) -> list[str]:
        """The headers that would let a page of another origin read the answer, or ask on."""
        return [name for name in self.headers if name.startswith("access-control-")]


def send(
    endpoint: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: str | bytes = b"",
    *,
    host: str | None = None,
) -> Answer:
    """Send one request; ``host`` is what a page calls the server by."""
    address = urlsplit(endpoint).netloc
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        content = body.encode() if isinstance(body, str) else body
        named = {"Host": address if host is None else host, "Content-Length": str(len(content))}
        for name, value in (named | dict(headers or {})).items():
            connection.putheader(name, value)
        connection.endheaders(content)
        answer = connection.getresponse()
        return Answer(
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read(),
        )


def port_of(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def signed(
    endpoint: str,
    method: str,
    path: str,
    *,
    key: str,
    secret: str,
    service: str = "lambda",
    headers: Mapping[str, str] | None = None,
    body: str | bytes = b"",
    token: str | None = None,
) -> dict[str, str]:
    """The headers that a client with these credentials sends."""
    request = AWSRequest(method, endpoint + path, data=body, headers=dict(headers or {}))
    SigV4Auth(Credentials(key, secret, token), service, "eu-west-1").add_auth(request)
    return dict(request.headers)


def function(name: str, package: bytes, **more: Any) -> str:
    """The body of a CreateFunction."""
    return json.dumps(
        {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Handler": "app.handler",
            "Role": "arn:aws:iam::000000000000:role/any",
            "Code": {"ZipFile": base64.b64encode(package).decode()},
            **more,
        }
    )
