"""A Lambda client that answers from a function of ours."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeLambda:
    """Invokes ``answer``; what it raises becomes a function error, as in Lambda."""

    answer: Callable[[dict[str, Any]], Any]
    version: str = "2"
    invoked: list[str] = field(default_factory=list)

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.invoked.append(FunctionName)
        response: dict[str, Any] = {"ExecutedVersion": self.version}
        try:
            body = self.answer(json.loads(Payload))
        except RuntimeError as error:
            response["FunctionError"] = "Unhandled"
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return response | {"Payload": io.BytesIO(json.dumps(body).encode())}
