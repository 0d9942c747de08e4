"""Functions for tests of the Lambda data plane."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent
from typing import Any, Self

from tidegate_embedded.cloud import EmbeddedAws

MEETING = """
import os, time

def handler(event, context):
    open(event["makes"], "w").close()
    while not all(os.path.exists(path) for path in event["awaits"]):
        time.sleep(0.01)
    return os.getpid()
"""
"""Makes a file, and ends when others are there: what is to overlap does, however fast it runs."""
ROLE = "arn:aws:iam::123456789012:role/function"


def package(source: str | Mapping[str, str]) -> bytes:
    """A deployment package with one module `app`, or with the named files."""
    files = {"app.py": source} if isinstance(source, str) else source
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, dedent(text))
    return packed.getvalue()


@dataclass(frozen=True)
class Reply:
    """What `Invoke` answered."""

    payload: Any
    error: str | None
    version: str | None
    response: Mapping[str, Any]


class Function:
    """A function in an account of its own."""

    def __init__(self, aws: EmbeddedAws, account: str, name: str = "fn") -> None:
        self.aws, self.account, self.name = aws, account, name
        self.client = aws.client("lambda", account=account)

    @classmethod
    def create(
        cls,
        aws: EmbeddedAws,
        account: str,
        source: str | Mapping[str, str],
        *,
        name: str = "fn",
        **settings: Any,
    ) -> Self:
        """Create the function, with handler `app.handler` unless told otherwise."""
        function = cls(aws, account, name)
        defaults: dict[str, Any] = {"Handler": "app.handler", "Runtime": "python3.11", "Role": ROLE}
        function.client.create_function(
            FunctionName=name, Code={"ZipFile": package(source)}, **{**defaults, **settings}
        )
        return function

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:eu-west-1:{self.account}:function:{self.name}"

    def update(self, source: str) -> None:
        """Replace the code."""
        self.client.update_function_code(FunctionName=self.name, ZipFile=package(source))

    def publish(self) -> str:
        """Publish a version; gives its number."""
        return str(self.client.publish_version(FunctionName=self.name)["Version"])

    def alias(self, name: str, version: str, weights: Mapping[str, float] | None = None) -> Any:
        """Create an alias."""
        routing = {"RoutingConfig": {"AdditionalVersionWeights": dict(weights)}} if weights else {}
        return self.client.create_alias(
            FunctionName=self.name, Name=name, FunctionVersion=version, **routing
        )

    def invoke(self, event: object = None, qualifier: str | None = None, **more: Any) -> Reply:
        """Invoke and wait for the answer."""
        if qualifier is not None:
            more["Qualifier"] = qualifier
        response = self.client.invoke(
            FunctionName=self.name, Payload=json.dumps(event if event is not None else {}), **more
        )
        payload = response["Payload"].read()
        return Reply(
            payload=json.loads(payload) if payload else None,
            error=response.get("FunctionError"),
            version=response.get("ExecutedVersion"),
            response=response,
        )
