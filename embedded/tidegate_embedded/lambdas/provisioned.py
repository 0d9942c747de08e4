"""Provisioned concurrency and snapshots as Lambda has them.

Of provisioned concurrency ministack keeps only a number. Here it takes a while to be ready; a
version has one configuration, of its own or of an alias; an alias with weights cannot be given one;
and all of a function's fit into what is reserved for it, or into what the account has unreserved.
When an alias that has one is moved, it is allocated anew. For a snapshot ministack starts a worker
of its own; here the version only waits.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from ministack.core.responses import error_response_json, json_response
from ministack.services import lambda_svc

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.lambdas.functions import LATEST
from tidegate_embedded.patching import Patches

_UNRESERVED: Final = 1000 - 100  # of an account, and what Lambda keeps of it
_BEGUN: Final = "Begun"
_ACTIVE: Final = {
    "State": "Active",
    "StateReason": "",
    "StateReasonCode": "",
    "LastUpdateStatus": "Successful",
}
_CONFLICT: Final = 409
_BAD_REQUEST: Final = 400

Config = dict[str, Any]


Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def provision(patches: Patches, cloud: Cloud) -> None:
    """Replace ministack's operations, which CloudFormation's aliases call too."""
    patches.replace(lambda_svc, "_schedule_state_transition", _activation(cloud))
    patches.replace(lambda_svc, "_snapstart_provision_version_async", _snapshot(cloud))
    patches.replace(lambda_svc, "_put_provisioned_concurrency", _put(cloud))
    patches.replace(lambda_svc, "_get_provisioned_concurrency", _get(cloud))
    patches.replace(lambda_svc, "_delete_provisioned_concurrency", _delete)
    patches.replace(lambda_svc, "_update_alias", _moved(cloud))


def _activation(cloud: Cloud) -> Wrap:
    """A function that is made or changed is pending for a while."""

    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def begin(name: str, _seconds: float) -> None:
            own(name, cloud.delays.function_seconds)

        return begin

    return wrap


def _snapshot(cloud: Cloud) -> Wrap:
    """A version that is published with SnapStart is pending until its snapshot is taken."""

    def wrap(_own: Callable[..., Any]) -> Callable[..., Any]:
        def begin(_name: str, record: dict[str, Any]) -> None:
            timer = threading.Timer(
                cloud.delays.snapshot_seconds, record["config"].update, [_ACTIVE]
            )
            timer.daemon = True
            timer.start()

        return begin

    return wrap


def _put(cloud: Cloud) -> Wrap:
    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def put(func_name: str, qualifier: str, data: Mapping[str, Any]) -> Any:
            function = lambda_svc._functions.get(func_name)
            missing = lambda_svc._validate_function_qualifier_exists(func_name, qualifier)
            if function is None or missing:
                return missing or own(func_name, qualifier, data)
            wanted = int(data.get("ProvisionedConcurrentExecutions") or 0)
            refusal = _refusal(function, qualifier or LATEST, wanted)
            if refusal is not None:
                return refusal
            configs = _configs(function)
            known = configs.get(qualifier)
            if known is None or known["RequestedProvisionedConcurrentExecutions"] != wanted:
                configs[qualifier] = _begin(wanted, cloud)
            return json_response(_seen(function, qualifier, cloud), 202)

        return put

    return wrap


def _get(cloud: Cloud) -> Wrap:
    """GetProvisionedConcurrencyConfig; without a qualifier, ListProvisionedConcurrencyConfigs."""

    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def get(func_name: str, qualifier: str | None) -> Any:
            function = lambda_svc._functions.get(func_name)
            if function is None or (qualifier and qualifier not in _configs(function)):
                return own(func_name, qualifier)
            if qualifier:
                return json_response(_seen(function, qualifier, cloud))
            arn = lambda_svc._func_arn(func_name)
            listed = [
                {"FunctionArn": f"{arn}:{q}", **_seen(function, q, cloud)}
                for q in _configs(function)
            ]
            return json_response({"ProvisionedConcurrencyConfigs": listed})

        return get

    return wrap


def _delete(own: Callable[..., Any]) -> Callable[..., Any]:
    """Delete; what is not there, is no error, as long as the function is."""

    def delete(func_name: str, qualifier: str) -> Any:
        function = lambda_svc._functions.get(func_name)
        if function is not None:
            _configs(function).pop(qualifier, None)
        return own(func_name, qualifier)

    return delete


def _moved(cloud: Cloud) -> Wrap:
    """An alias takes its configuration along: refused, where the version has one of its own."""

    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def update(func_name: str, alias_name: str, data: Mapping[str, Any]) -> Any:
            function = lambda_svc._functions.get(func_name)
            held = _configs(function).get(alias_name) if function else None
            if function is None or held is None:
                return own(func_name, alias_name, data)
            before = function["aliases"][alias_name]["FunctionVersion"]
            version = str(data.get("FunctionVersion") or before)
            routing = data.get("RoutingConfig") or {}
            if {version, *(routing.get("AdditionalVersionWeights") or {})} & _configs(
                function
            ).keys():
                return _conflict(
                    "Alias can't be used for Provisioned Concurrency configuration on an already "
                    "Provisioned version"
                )
            answer = own(func_name, alias_name, data)
            if function["aliases"][alias_name]["FunctionVersion"] != before:
                held.update(_begin(held["RequestedProvisionedConcurrentExecutions"], cloud))
            return answer

        return update

    return wrap


def _configs(function: dict[str, Any]) -> dict[str, Config]:
    found: dict[str, Config] = function.setdefault("provisioned_concurrency", {})
    return found


def _begin(wanted: int, cloud: Cloud) -> Config:
    return {
        "RequestedProvisionedConcurrentExecutions": wanted,
        "LastModified": lambda_svc._now_iso(),
        _BEGUN: cloud.now(),
    }


def _seen(function: dict[str, Any], qualifier: str, cloud: Cloud) -> Config:
    """A configuration as the API shows it now."""
    config = _configs(function)[qualifier]
    shown = {name: value for name, value in config.items() if name != _BEGUN}
    wanted = config["RequestedProvisionedConcurrentExecutions"]
    version = _version_of(function, qualifier)
    record = function["versions"].get(version, {}).get("config", {})
    if record.get("State") == "Failed":
        nothing = {"Status": "FAILED", "StatusReason": "FUNCTION_ERROR_INIT_FAILURE"}
        return shown | _allocated(0) | nothing
    if cloud.now() < config[_BEGUN] + cloud.delays.capacity_seconds:
        return shown | _allocated(0) | {"Status": "IN_PROGRESS"}
    return shown | _allocated(wanted) | {"Status": "READY"}


def _allocated(number: int) -> Config:
    return {
        "AllocatedProvisionedConcurrentExecutions": number,
        "AvailableProvisionedConcurrentExecutions": number,
    }


def _version_of(function: Mapping[str, Any], qualifier: str) -> str:
    alias = function["aliases"].get(qualifier)
    return str(alias["FunctionVersion"]) if alias else qualifier


def _refusal(function: dict[str, Any], qualifier: str, wanted: int) -> Any:
    """The answer that refuses it, if Lambda would."""
    version = _version_of(function, qualifier)
    if version == LATEST:
        return _invalid(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
    if wanted < 1:
        return error_response_json(
            "ValidationException",
            f"1 validation error detected: Value '{wanted}' at 'provisionedConcurrentExecutions' "
            "failed to satisfy constraint: Member must have value greater than or equal to 1",
            _BAD_REQUEST,
        )
    return _conflicting(function, qualifier, version) or _too_many(function, qualifier, wanted)


def _conflicting(function: dict[str, Any], qualifier: str, version: str) -> Any:
    alias = function["aliases"].get(qualifier)
    if alias is not None:
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
        if weights:
            return _invalid("Alias with weights can not be used with Provisioned Concurrency")
        if version in _configs(function):
            return _conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already "
                "Provisioned version"
            )
    others = _configs(function).keys() - {qualifier, version}
    if any(_version_of(function, other) == version for other in others):
        return _conflict("Version is pointed by a Provisioned Concurrency alias")
    state = function["versions"][version]["config"].get("State")
    if state == "Pending":
        return _conflict(
            "The operation cannot be performed at this time. The function is currently in the "
            "following state: Pending"
        )
    return None


def _too_many(function: dict[str, Any], qualifier: str, wanted: int) -> Any:
    others = sum(
        config["RequestedProvisionedConcurrentExecutions"]
        for other, config in _configs(function).items()
        if other != qualifier
    )
    reserved = function.get("concurrency")
    if reserved is not None and others + wanted > int(reserved):
        return _invalid(
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function"
        )
    if reserved is None and others + wanted > _UNRESERVED:
        return _invalid(
            "Specified ConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [100]."
        )
    return None


def _invalid(message: str) -> Any:
    return error_response_json("InvalidParameterValueException", message, _BAD_REQUEST)


def _conflict(message: str) -> Any:
    return error_response_json("ResourceConflictException", message, _CONFLICT)
