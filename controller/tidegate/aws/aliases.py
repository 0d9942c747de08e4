"""The live aliases, in Lambda."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.aws.errors import calling
from tidegate.core.errors import AliasConflict, NotFound
from tidegate.core.ports import AliasRef, AliasState

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import AliasConfigurationResponseTypeDef


class LambdaAliases:
    """Reads and writes aliases. A write holds only for the revision that was read."""

    def __init__(self, client: LambdaClient) -> None:
        self._client = client

    def read(self, ref: AliasRef) -> AliasState:
        """Raises ``NotFound``."""
        with calling(
            f"read the alias {ref.function}:{ref.alias}", {"ResourceNotFoundException": NotFound}
        ):
            return _state(self._client.get_alias(FunctionName=ref.function, Name=ref.alias))

    def write(
        self, ref: AliasRef, *, version: str, routes: Mapping[str, float], expected_revision: str
    ) -> AliasState:
        """Set version and weights in one call. Raises ``AliasConflict`` when the revision moved.

        Empty ``routes`` are sent too: an alias keeps weights that a call does not mention.
        """
        with calling(
            f"move the alias {ref.function}:{ref.alias} to {version} with weights {dict(routes)}",
            {"PreconditionFailedException": AliasConflict, "ResourceNotFoundException": NotFound},
        ):
            return _state(
                self._client.update_alias(
                    FunctionName=ref.function,
                    Name=ref.alias,
                    FunctionVersion=version,
                    RoutingConfig={"AdditionalVersionWeights": dict(routes)},
                    RevisionId=expected_revision,
                )
            )


def _state(alias: AliasConfigurationResponseTypeDef) -> AliasState:
    routing = alias.get("RoutingConfig") or {}
    return AliasState(
        version=alias["FunctionVersion"],
        routes=dict(routing.get("AdditionalVersionWeights") or {}),
        revision=alias["RevisionId"],
    )
