"""Provisioned concurrency, and the states of versions, in Lambda.

Lambda's reference for PutProvisionedConcurrencyConfig and its relatives: a version has one
configuration at most, of its own or of an alias that points to it, and what an alias has cannot be
changed while the alias has weights. Tidegate gives it to versions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from tidegate.aws.errors import calling, error_code
from tidegate.core.errors import NotFound, WarmUpFailed
from tidegate.core.ports import Allocation, VersionState, Warmth

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import ProvisionedConcurrencyConfigListItemTypeDef

_MISSING: Final = "ResourceNotFoundException"
_NO_ROOM: Final = "InvalidParameterValueException"
_REMEDY: Final = (
    "During a shift both versions need it: raise the function's `ReservedConcurrentExecutions` or"
    " the account's limit to twice the number, or ask for less in `ProvisionedConcurrencyConfig`."
)


class LambdaCapacity:
    """Allocates provisioned concurrency, and looks whether versions are ready."""

    def __init__(self, client: LambdaClient) -> None:
        self._client = client

    def allocations(self, function: str) -> Mapping[str, Allocation]:
        """All provisioned concurrency of the function. Raises ``NotFound``."""
        with calling(f"list the provisioned concurrency of {function}", {_MISSING: NotFound}):
            pages = self._client.get_paginator("list_provisioned_concurrency_configs").paginate(
                FunctionName=function
            )
            found = [item for page in pages for item in page["ProvisionedConcurrencyConfigs"]]
        return {item["FunctionArn"].rpartition(":")[2]: _allocation(item) for item in found}

    def allocate(self, function: str, qualifier: str, executions: int) -> None:
        """Begin to allocate. Raises ``WarmUpFailed`` when there is no room for it, ``NotFound``."""
        with calling(
            f"allocate provisioned concurrency of {executions} to {function}:{qualifier}",
            {_MISSING: NotFound, _NO_ROOM: WarmUpFailed},
            remedy=_REMEDY,
        ):
            self._client.put_provisioned_concurrency_config(
                FunctionName=function,
                Qualifier=qualifier,
                ProvisionedConcurrentExecutions=executions,
            )

    def release(self, function: str, qualifier: str) -> None:
        """Release what is allocated; nothing, or a version that is gone, is no error."""
        with calling(f"release the provisioned concurrency of {function}:{qualifier}"):
            try:
                self._client.delete_provisioned_concurrency_config(
                    FunctionName=function, Qualifier=qualifier
                )
            except ClientError as error:
                if error_code(error) != _MISSING:
                    raise

    def version(self, function: str, version: str) -> VersionState:
        """Whether the version can be invoked. Raises ``NotFound``.

        ``Inactive`` is as good as active: the next invocation, or allocation, wakes it.
        """
        with calling(f"read version {version} of {function}", {_MISSING: NotFound}):
            found = self._client.get_function(FunctionName=function, Qualifier=version)[
                "Configuration"
            ]  # 100 calls a second, where its configuration alone would count among the 15
        state = found.get("State", "Active")
        return VersionState(
            active=state in {"Active", "Inactive"},
            failed=state == "Failed",
            reason=found.get("StateReason", ""),
        )


def _allocation(item: ProvisionedConcurrencyConfigListItemTypeDef) -> Allocation:
    return Allocation(
        executions=item["RequestedProvisionedConcurrentExecutions"],
        warmth=Warmth(item["Status"]),
        reason=item.get("StatusReason", ""),
    )
