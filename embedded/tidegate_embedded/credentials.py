"""Credentials of the embedded AWS: a secret made at each start, for every account.

The access key id says which account signs: it is the account's number. What proves that the signer
may is the secret, which only this start and what it hands it to know.
"""

import json
import os
import secrets
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SECRET_FILE: Final = "secret"  # noqa: S105 - the name of the file
_OWNER_ONLY: Final = 0o600
_TIMEOUT_SECONDS: Final = 30


def make_secret(folder: Path) -> str:
    """A new secret access key, kept in ``folder`` for whom the user is; replaces an earlier one."""
    secret = secrets.token_urlsafe(30)
    file = folder / SECRET_FILE
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with open(descriptor, "w", encoding="ascii") as sink:  # noqa: PTH123 - a descriptor
        sink.write(secret)
    return secret


def read_secret(folder: Path) -> str:
    """The secret that the embedded AWS with its files in ``folder`` has made."""
    return (folder / SECRET_FILE).read_text(encoding="ascii")


def environment(endpoint: str, secret: str, account: str, region: str) -> dict[str, str]:
    """The variables that point AWS clients at ``endpoint``, as ``account``."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


def post(variables: Mapping[str, str], path: str, body: object) -> Any:
    """Post JSON to a path of the endpoint that an `environment` names; the answer's JSON.

    Raises ``OSError`` when nothing answers there, or it refuses.
    """
    url, data = variables["AWS_ENDPOINT_URL"] + path, json.dumps(body).encode()
    signed = AWSRequest("POST", url, data=data, headers={"Content-Type": "application/json"})
    key = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(key, "tidegate", variables["AWS_REGION"]).add_auth(signed)
    request = urllib.request.Request(url, data, dict(signed.headers))  # noqa: S310 - it is ours
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        return json.load(answer)
