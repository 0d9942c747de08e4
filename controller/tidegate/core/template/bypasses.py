"""Who calls a function of a template without its alias: a canary does not reach those callers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_PERMISSION: Final = "AWS::Lambda::Permission"
_CALLERS: Final = frozenset(
    f"AWS::{name}"
    for name in (
        "ApiGateway::Authorizer",
        "ApiGateway::Method",
        "ApiGateway::RestApi",
        "ApiGatewayV2::Api",
        "ApiGatewayV2::Authorizer",
        "ApiGatewayV2::Integration",
        "AppSync::DataSource",
        "Cognito::UserPool",
        "ElasticLoadBalancingV2::TargetGroup",
        "Events::Rule",
        "IoT::TopicRule",
        "KinesisFirehose::DeliveryStream",
        "Lambda::EventSourceMapping",
        "Lambda::Url",
        "Logs::SubscriptionFilter",
        "Pipes::Pipe",
        "S3::Bucket",
        "SES::ReceiptRule",
        "SNS::Subscription",
        "SNS::Topic",
        "Scheduler::Schedule",
        "StepFunctions::StateMachine",
    )
)


def template_bypasses(template: Mapping[str, Any], function: str) -> list[str]:
    """One phrase for each resource that calls this function, by logical id, without an alias.

    A permission counts only when no caller in the template explains it: it is for one outside.
    """
    resources: Mapping[str, Mapping[str, Any]] = template["Resources"]
    callers = [
        f"{name} ({resource['Type']}) calls it without the alias"
        for name, resource in resources.items()
        if resource["Type"] in _CALLERS and _calls(resource.get("Properties", {}), function)
    ]
    return callers or [
        f"{name} lets {_principal(resource)} call it without the alias"
        for name, resource in resources.items()
        if resource["Type"] == _PERMISSION
        and "Qualifier" not in resource["Properties"]
        and _names(resource["Properties"].get("FunctionName"), function)
    ]


def _calls(properties: Mapping[str, Any], function: str) -> bool:
    """A function URL says its alias beside the function."""
    return "Qualifier" not in properties and _names(properties, function)


def _names(value: Any, function: str) -> bool:
    """Somewhere in this value is the function without a qualifier."""
    return any(_is_bare(part, function) for part in _parts(value))


def _parts(value: Any) -> Iterator[Any]:
    """The value and all within it. A reference that a ``Fn::Join`` qualifies is left out."""
    yield value
    if isinstance(value, Mapping):
        joined = value.get("Fn::Join")
        for part in _joined(joined) if joined else value.values():
            yield from _parts(part)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from _parts(part)


def _joined(joined: Any) -> list[Any]:
    delimiter, parts = joined
    if not isinstance(parts, Sequence):
        return [parts]
    following = [*parts[1:], ""]
    return [
        part
        for part, after in zip(parts, following, strict=True)
        if isinstance(part, str) or not _qualifies(f"{delimiter}{after}" if after else "")
    ]


def _qualifies(text: str) -> bool:
    return text.startswith(":") and not text.startswith(":$LATEST")


def _is_bare(value: Any, function: str) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    ((kind, what),) = value.items()
    if kind == "Ref":
        return bool(what == function)
    if kind == "Fn::GetAtt":
        return what in ([function, "Arn"], f"{function}.Arn")
    if kind == "Fn::Sub":
        text = what if isinstance(what, str) else what[0]
        bare = rf"\$\{{{re.escape(function)}(\.Arn)?\}}(?!:(?!\$LATEST))"
        return re.search(bare, text) is not None
    return False


def _principal(permission: Mapping[str, Any]) -> str:
    principal = permission["Properties"].get("Principal")
    return principal if isinstance(principal, str) else "somebody"
