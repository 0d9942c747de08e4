"""The functions that `sam build` left, served on the embedded AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.core.errors import InputError
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws
from tidegate_embedded.endpoint.application import create_functions, read_application


@dataclass(frozen=True, slots=True)
class LambdaEndpoint:
    """A served application, in an account of its own. Each function runs as processes."""

    aws: EmbeddedAws
    account: str

    @property
    def url(self) -> str:
        """What boto3's ``endpoint_url`` takes."""
        return self.aws.endpoint

    def client(self, service: str = "lambda") -> Any:
        """A boto3 client of the account."""
        return self.aws.client(service, account=self.account)

    def arn(self, function: str, qualifier: str) -> str:
        """The ARN of a version or an alias."""
        name = f"{function}:{qualifier}"
        return f"arn:aws:lambda:{DEFAULT_REGION}:{self.account}:function:{name}"

    def invoke(self, function: str, payload: Any = None, qualifier: str = "$LATEST") -> Any:
        """What a function answers. Raises ``AssertionError`` with its error when it fails."""
        response = self.client().invoke(
            FunctionName=function, Qualifier=qualifier, Payload=json.dumps(payload)
        )
        answer = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise AssertionError(f"{function}:{qualifier} failed: {answer}")
        return answer


def serve(
    aws: EmbeddedAws, account: str, build_dir: Path, parameters: Mapping[str, str] | None = None
) -> LambdaEndpoint:
    """Serve the Python functions in ``build_dir``, as `sam build` left them there.

    One with `AutoPublishAlias` has version 1 behind its alias. Raises ``InputError``.
    """
    functions = [f for f in read_application(build_dir, parameters) if f.is_python]
    if not functions:
        raise InputError(
            f"{build_dir} has no Python function.", remedy="Others run at `sam local start-lambda`."
        )
    endpoint = LambdaEndpoint(aws, account)
    create_functions(endpoint.client(), functions, account)
    return endpoint
