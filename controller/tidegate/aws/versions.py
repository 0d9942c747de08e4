"""Published versions, in Lambda."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidegate.aws.errors import calling, error_code
from tidegate.core.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_MISSING: Final = {"ResourceNotFoundException": NotFound}
_LATEST: Final = "$LATEST"
_HEXADECIMAL_DIGITS: Final = 64  # of a SHA-256
_ARN_PARTS: Final = 7  # of a function's ARN without a qualifier


class LambdaVersions:
    """Reads and deletes versions."""

    def __init__(self, client: LambdaClient) -> None:
        self._client = client

    def code(self, function: str, version: str) -> str:
        """Digest of the version's code, ``sha256:<hex>``. Raises ``NotFound``."""
        with calling(f"read version {version} of {function}", _MISSING):
            found = self._client.get_function(FunctionName=function, Qualifier=version)
        if image := found.get("Code", {}).get("ResolvedImageUri"):
            return image.partition("@")[2]
        return _digest(found["Configuration"]["CodeSha256"])

    def layers(self, function: str, version: str) -> list[str]:
        """ARNs of the layers that the version runs with. Raises ``NotFound``."""
        with calling(f"read version {version} of {function}", _MISSING):
            found = self._client.get_function(FunctionName=function, Qualifier=version)
        return [layer["Arn"] for layer in found["Configuration"].get("Layers", [])]

    def layer_code(self, layer: str) -> str:
        """Digest of a layer's content, ``sha256:<hex>``. Raises ``NotFound``."""
        with calling(f"read the layer {layer}", _MISSING):
            return _digest(
                self._client.get_layer_version_by_arn(Arn=layer)["Content"]["CodeSha256"]
            )

    def published(self, function: str) -> list[int]:
        """The numbers of all published versions, oldest first. Raises ``NotFound``."""
        with calling(f"list the versions of {function}", _MISSING):
            pages = self._pages("list_versions_by_function", FunctionName=function)
            names = [found["Version"] for page in pages for found in page["Versions"]]
        return sorted(int(name) for name in names if name != _LATEST)

    def in_use(self, function: str) -> frozenset[int]:
        """The versions that any alias of the function sends traffic to."""
        with calling(f"list the aliases of {function}", _MISSING):
            pages = self._pages("list_aliases", FunctionName=function)
            aliases = [alias for page in pages for alias in page["Aliases"]]
        return frozenset(int(v) for alias in aliases for v in _served(alias) if v != _LATEST)

    def bypasses(self, function: str) -> list[str]:
        """Who calls the function without an alias: event source mappings, and its own policy."""
        with calling(f"find who calls {function}", _MISSING):
            pages = self._pages("list_event_source_mappings", FunctionName=function)
            mappings = [
                f"the event source {m.get('EventSourceArn', m['UUID'])} calls it without the alias"
                for page in pages
                for m in page["EventSourceMappings"]
                if _is_bare(m["FunctionArn"])
            ]
            return [*mappings, *_allowed(self._policy(function))]

    def delete(self, function: str, version: int) -> None:
        """Delete one version; one that is gone is no error."""
        with calling(f"delete version {version} of {function}"):
            try:
                self._client.delete_function(FunctionName=function, Qualifier=str(version))
            except ClientError as error:
                if error_code(error) != "ResourceNotFoundException":
                    raise

    def _policy(self, function: str) -> Mapping[str, Any]:
        """The policy of the function itself; those of its aliases are others."""
        try:
            policy: Mapping[str, Any] = json.loads(
                self._client.get_policy(FunctionName=function)["Policy"]
            )
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return {}
        return policy

    def _pages(self, operation: Any, **request: str) -> Iterator[Any]:
        yield from self._client.get_paginator(operation).paginate(**request)


def _digest(encoded: str) -> str:
    """Lambda tells the SHA-256 of a zip as Base64, and that of an image as hexadecimal."""
    if len(encoded) == _HEXADECIMAL_DIGITS:
        return f"sha256:{encoded}"
    return "sha256:" + base64.b64decode(encoded).hex()


def _served(alias: Mapping[str, Any]) -> Iterator[str]:
    yield alias["FunctionVersion"]
    yield from (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def _is_bare(arn: str) -> bool:
    """The ARN has no qualifier, or one that means the unpublished code; so does a mere ``*``."""
    parts = arn.split(":")
    return len(parts) <= _ARN_PARTS or parts[_ARN_PARTS:] == [_LATEST]


def _allowed(policy: Mapping[str, Any]) -> Iterator[str]:
    """Whom the policy lets call the bare function. A statement that denies lets in nobody."""
    for statement in policy.get("Statement", ()):
        if statement["Effect"] == "Allow" and any(map(_is_bare, _resources(statement))):
            principal = statement["Principal"]
            who = (
                principal if isinstance(principal, str) else ", ".join(map(str, principal.values()))
            )
            yield f"its policy lets {who} call it without the alias"


def _resources(statement: Mapping[str, Any]) -> list[str]:
    """What a statement is for. One that does not say so is for all of the function."""
    named = statement.get("Resource", "*")
    return [named] if isinstance(named, str) else list(named)
