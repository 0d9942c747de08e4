"""What Lambda refuses when an alias is written, and ministack accepts."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc

from tidegate_embedded.lambdas.functions import LATEST
from tidegate_embedded.patching import Patches

_MAX_ADDITIONAL_VERSIONS: Final = 1
_NOT_FOUND: Final = 404
_BAD_REQUEST: Final = 400


class _RefusedError(Exception):
    """An alias cannot be as asked; carries the service's answer."""

    def __init__(self, code: str, message: str, status: int = _BAD_REQUEST) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def validate_aliases(patches: Patches) -> None:
    """Check aliases before ministack stores them, by API or by CloudFormation's update."""
    patches.replace(lambda_svc, "_create_alias", _checked_create)
    patches.replace(lambda_svc, "_update_alias", _checked_update)


def _checked_create(own: Callable[..., Any]) -> Callable[..., Any]:
    def create(func_name: str, data: Mapping[str, Any]) -> Any:
        function = lambda_svc._functions.get(func_name)
        return _refusal(function, {}, data) or own(func_name, data)

    return create


def _checked_update(own: Callable[..., Any]) -> Callable[..., Any]:
    def update(func_name: str, alias_name: str, data: Mapping[str, Any]) -> Any:
        function = lambda_svc._functions.get(func_name)
        alias = function["aliases"].get(alias_name) if function else None
        stale = alias is not None and lambda_svc._check_revision(alias, data)
        refusal = None if alias is None or stale else _refusal(function, alias, data)
        return refusal or own(func_name, alias_name, data)

    return update


def _refusal(
    function: Mapping[str, Any] | None, alias: Mapping[str, Any], data: Mapping[str, Any]
) -> Any:
    """The answer that refuses `data` as a change of `alias`, if it is wrong."""
    if function is None:
        return None
    wanted = {**alias, **data}
    routing = wanted.get("RoutingConfig") or {}
    try:
        _check(function, wanted["FunctionVersion"], routing.get("AdditionalVersionWeights") or {})
    except _RefusedError as refused:
        return error_response_json(refused.code, str(refused), refused.status)
    return None


def _check(function: Mapping[str, Any], version: str, weights: Mapping[str, Any]) -> None:
    _check_exists(function, version)
    if not weights:
        return
    if len(weights) > _MAX_ADDITIONAL_VERSIONS:
        raise _invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for other, weight in weights.items():
        _check_weight(other, weight)
        if LATEST in (version, other):
            raise _invalid(
                f"{LATEST} is not supported for an alias pointing to more than 1 version"
            )
        if other == version:
            raise _invalid(
                f"Invalid function version {other}. Function version {other} is already included "
                "in routing configuration."
            )
        _check_exists(function, other)
        _check_alike(function["versions"][version], function["versions"][other])


def _check_weight(version: str, weight: object) -> None:
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1:
        raise _invalid(f"Weight {weight} of version {version} is not between 0.0 and 1.0")


def _check_exists(function: Mapping[str, Any], version: str) -> None:
    if version != LATEST and version not in function["versions"]:
        arn = lambda_svc._func_arn(function["config"]["FunctionName"])
        message = f"Function not found: {arn}:{version}"
        raise _RefusedError("ResourceNotFoundException", message, _NOT_FOUND)


def _check_alike(stable: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Both versions of a weighted alias run as the same role and fail to the same place."""
    ours, theirs = stable["config"], other["config"]
    if ours.get("Role") != theirs.get("Role"):
        raise _invalid("Both versions of a weighted alias must have the same execution role")
    if _dead_letter(ours) != _dead_letter(theirs):
        raise _invalid("Both versions of a weighted alias must have the same dead-letter queue")


def _dead_letter(config: Mapping[str, Any]) -> str:
    return str((config.get("DeadLetterConfig") or {}).get("TargetArn") or "")


def _invalid(message: str) -> _RefusedError:
    return _RefusedError("InvalidParameterValueException", message)
