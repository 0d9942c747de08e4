"""Resource-based policies as Lambda keeps them: one for the function, one for each qualifier.

Source: "Using resource-based policies for Lambda", and the API reference of `GetPolicy` and
`RemovePermission`: without `Qualifier` they are about the policy of the function itself. ministack
keeps the statements of all in one list.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc

from tidegate_embedded.patching import Patches

_OK: Final = 200
_NOT_FOUND: Final = 404


def separate_policies(patches: Patches) -> None:
    """Let a request without a qualifier meet the statements without one, and no others."""
    patches.replace(lambda_svc, "_get_policy", _get)
    patches.replace(lambda_svc, "_remove_permission", _remove)


def _get(own: Callable[..., Any]) -> Callable[..., Any]:
    def get(
        func_name: str,
        query_params: Mapping[str, Any] | None = None,
        path_qualifier: str | None = None,
    ) -> Any:
        answer = own(func_name, query_params, path_qualifier)
        status, headers, body = answer
        if status != _OK or _qualifier(query_params, path_qualifier):
            return answer
        told = json.loads(body)
        policy = json.loads(told["Policy"])
        policy["Statement"] = [
            one for one in policy["Statement"] if _is_unqualified(func_name, one)
        ]
        if not policy["Statement"]:
            return _nothing()
        return status, headers, json.dumps({**told, "Policy": json.dumps(policy)}).encode()

    return get


def _remove(own: Callable[..., Any]) -> Callable[..., Any]:
    def remove(
        func_name: str,
        sid: str,
        query_params: Mapping[str, Any],
        path_qualifier: str | None = None,
    ) -> Any:
        function = lambda_svc._functions.get(func_name)
        if function is not None and not _qualifier(query_params, path_qualifier):
            mine = (s for s in function["policy"]["Statement"] if _is_unqualified(func_name, s))
            if sid not in {one.get("Sid") for one in mine}:
                return _nothing()
        return own(func_name, sid, query_params, path_qualifier)

    return remove


def _qualifier(query_params: Mapping[str, Any] | None, path_qualifier: str | None) -> str | None:
    found: str | None = lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params)
    return found


def _is_unqualified(func_name: str, statement: Mapping[str, Any]) -> bool:
    return bool(statement.get("Resource") == lambda_svc._policy_resource_arn(func_name, None))


def _nothing() -> Any:
    """The answer of the service where no statement is."""
    return error_response_json(
        "ResourceNotFoundException", "No policy is associated with the given resource.", _NOT_FOUND
    )
