"""A Lambda client in memory: functions by ARN, and everything that can go wrong with them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:eu-west-1:333333333333:function"
CART = f"{ARN}:shop-prod-Cart"


class Lambda:
    def __init__(self, answer: Callable[[Any], Any], *, version: str = "42") -> None:
        self.answer = answer
        self.version = version
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        if "nothing" in request["FunctionName"]:
            details = {"Code": "ResourceNotFoundException", "Message": "Function not found"}
            raise ClientError({"Error": details}, "Invoke")
        if request["InvocationType"] == "DryRun":
            return {"StatusCode": 204}
        response: dict[str, Any] = {
            "ExecutedVersion": self.version,
            "LogResult": base64.b64encode(b"START\nlooking for the table").decode(),
        }
        try:
            body = self.answer(json.loads(request["Payload"]))
        except RuntimeError as error:
            response["FunctionError"] = "Unhandled"
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return response | {"Payload": io.BytesIO(text)}


def event(**over: Any) -> dict[str, Any]:
    """What the controller sends; `test_hook_events` holds it against the controller's own."""
    return {
        "schema": 1,
        "release": {"id": "shop-418", "application": "shop", "number": 418},
        "stage": "prod",
        "target": "333333333333/eu-west-1",
        "when": "pre-traffic",
        "functions": [
            {
                "function": "shop-prod-Cart",
                "alias": "live",
                "stable_version": "41",
                "candidate_version": "42",
                "candidate_arn": f"{CART}:42",
                "alias_arn": f"{CART}:live",
            }
        ],
        "commit": "4be2a1c",
        "attempt": 1,
        "timeout_seconds": 300,
    } | over
