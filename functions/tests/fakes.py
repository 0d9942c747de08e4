"""Lambda and CloudWatch as far as the hooks use them."""

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

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.invoked.append(request["FunctionName"])
        response: dict[str, Any] = {"ExecutedVersion": self.version}
        try:
            body = self.answer(json.loads(request["Payload"]))
        except RuntimeError as error:
            response["FunctionError"] = "Unhandled"
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return response | {"Payload": io.BytesIO(json.dumps(body).encode())}


@dataclass
class FakeCloudWatch:
    """The same numbers for every function and time."""

    invocations: int = 100
    errors: int = 0

    def get_metric_statistics(self, **query: Any) -> dict[str, Any]:
        numbers = {"Invocations": self.invocations, "Errors": self.errors}
        return {"Datapoints": [{"Sum": float(numbers[query["MetricName"]])}]}
