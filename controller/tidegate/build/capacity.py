"""Takes provisioned concurrency off aliases and versions, and keeps the numbers for releases.

A release gives it to the candidate's version before that gets traffic. What an alias has of its
own, from before, a parameter can leave to it until it moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.build.pins import find_aliases
from tidegate.build.references import references
from tidegate.build.report import Report
from tidegate.build.template import Template, add, of_type, shown
from tidegate.core.errors import TemplateError
from tidegate.core.model.plan import ManagedAlias, Provisioned
from tidegate.core.template.values import Values

_CONFIG: Final = "ProvisionedConcurrencyConfig"
_NUMBER: Final = "ProvisionedConcurrentExecutions"
_PARAMETER: Final = "TidegateProvisioned"  # and the condition that it is not empty
_TARGET: Final = "AWS::ApplicationAutoScaling::ScalableTarget"
_NO_VALUE: Final = {"Ref": "AWS::NoValue"}
_DEFAULT_MEMORY_MB: Final = 128  # Lambda's


def find_capacity(
    template: Template, values: Values, path: str, absent: Collection[str] = ()
) -> Iterator[Provisioned]:
    """What versions are to have where parameters have these values. Raises ``TemplateError``."""
    for alias in find_aliases(template, path, Report()):
        if alias.alias_logical_id in absent:
            continue
        if number := _number(template, alias, values, path):
            function = template["Resources"][alias.function].get("Properties", {})
            _refuse_snapshots(alias, values.resolve(function.get("SnapStart")), path)
            yield Provisioned(
                alias_logical_id=alias.alias_logical_id,
                executions=number,
                memory_mb=_memory(values.resolve(function.get("MemorySize"))),
                architecture=_architecture(values.resolve(function.get("Architectures"))),
            )


def take_capacity(
    template: Template, aliases: Sequence[ManagedAlias], path: str, report: Report
) -> tuple[ManagedAlias, ...]:
    """Take it off; the aliases, knowing the parameters that leave it to them.

    Raises ``TemplateError`` for what would set it all the same.
    """
    _refuse_scaling(template, aliases, path)
    return tuple(_take(template, alias, path, report) for alias in aliases)


def notice_small_reserves(
    template: Template, provisioned: Sequence[Provisioned], report: Report
) -> None:
    """Both versions need the number at once, and a function's own reserve bounds it."""
    for one in provisioned:
        function = _function_of(template, one.alias_logical_id)
        reserved = template["Resources"].get(function, {}).get("Properties", {})
        room = reserved.get("ReservedConcurrentExecutions")
        if str(room).isdecimal() and int(str(room)) < 2 * one.executions:
            report.notice(
                f"{function} reserves {room}, and during a shift two versions of it need"
                f" {one.executions} of provisioned concurrency each: Lambda will refuse the second."
                f" Raise `ReservedConcurrentExecutions` to {2 * one.executions} or more."
            )


def _take(template: Template, alias: ManagedAlias, path: str, report: Report) -> ManagedAlias:
    resources = template["Resources"]
    of_version = resources[alias.version_logical_id].get("Properties", {}).pop(_CONFIG, None)
    properties = resources[alias.alias_logical_id]["Properties"]
    if of_version is not None:
        report.change(alias.version_logical_id, "a release allocates its provisioned concurrency")
    if _CONFIG not in properties:
        return alias
    name = f"{_PARAMETER}{alias.alias_logical_id}"
    add(template, "Parameters", name, path, {
        "Type": "String",
        "Default": "",
        "Description": f"What {alias.alias_logical_id} keeps until it moves. Set by Tidegate.",
    })  # fmt: skip
    is_empty = {"Fn::Equals": [{"Ref": name}, ""]}
    add(template, "Conditions", name, path, {"Fn::Not": [is_empty]})
    properties[_CONFIG] = {"Fn::If": [name, {_NUMBER: {"Ref": name}}, _NO_VALUE]}
    report.change(
        alias.alias_logical_id,
        "its provisioned concurrency is allocated to versions by releases;"
        f" {name} leaves it what it has",
    )
    return alias.model_copy(update={"capacity_parameter": name})


def _number(template: Template, alias: ManagedAlias, values: Values, path: str) -> int:
    """What the alias or its version asks for; 0: nothing."""
    asked = {
        logical_id: config
        for logical_id in (alias.alias_logical_id, alias.version_logical_id)
        if (config := _config(template, logical_id, values)) is not None
    }
    if len(asked) > 1:
        raise TemplateError(
            f"{path}: {' and '.join(asked)} both have a `{_CONFIG}`; Lambda gives a version one.",
            remedy="Remove one.",
        )
    for logical_id, config in asked.items():
        number = config.get(_NUMBER) if isinstance(config, Mapping) else config
        if not str(number).isdecimal():
            raise TemplateError(
                f"{path}: {logical_id}.{_CONFIG} is {shown(number)}: known only in a stack.",
                remedy="A release must know it before: write the number out, or use a parameter"
                " that the manifest gives each stage.",
            )
        return int(str(number))
    return 0


def _config(template: Template, logical_id: str, values: Values) -> Any:
    """The resource's configuration with all in its place that is known; None: there is none."""
    config = template["Resources"][logical_id].get("Properties", {}).get(_CONFIG)
    resolved = values.resolve(config)
    return None if resolved == _NO_VALUE else resolved


def _refuse_snapshots(alias: ManagedAlias, snap_start: Any, path: str) -> None:
    if isinstance(snap_start, Mapping) and snap_start.get("ApplyOn") == "PublishedVersions":
        raise TemplateError(
            f"{path}: {alias.function} has SnapStart and a `{_CONFIG}`, and Lambda gives a version"
            " one of them.",
            remedy="Remove one.",
        )


def _memory(value: Any) -> int:
    return int(str(value)) if str(value).isdecimal() else _DEFAULT_MEMORY_MB


def _architecture(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) and value else "x86_64"


def _function_of(template: Template, alias: str) -> str:
    found = find_aliases(template, "", Report())
    return next((one.function for one in found if one.alias_logical_id == alias), "")


def _refuse_scaling(template: Template, aliases: Sequence[ManagedAlias], path: str) -> None:
    """Auto scaling sets the number on the alias, where a release cannot let it be."""
    for logical_id in of_type(template, _TARGET):
        resource = template["Resources"][logical_id]
        properties = resource.get("Properties", {})
        if properties.get("ServiceNamespace") != "lambda":
            continue
        for alias in aliases:
            if _scales(template, resource, alias):
                raise TemplateError(
                    f"{path}: {logical_id} scales the provisioned concurrency of"
                    f" {alias.alias_logical_id}. Application Auto Scaling sets it on the alias, and"
                    " Lambda refuses that while the alias has weights, or its version has its own.",
                    remedy=f"Remove {logical_id} and its policies, and give the function the number"
                    f" for its busy hours as `{_CONFIG}`.",
                )


def _scales(template: Template, target: Mapping[str, Any], alias: ManagedAlias) -> bool:
    """The target names the alias, or its function: by reference, or written out."""
    place = target.get("Properties", {}).get("ResourceId")
    named = {*references(place), *references({"DependsOn": target.get("DependsOn", [])})}
    function = template["Resources"][alias.function].get("Properties", {}).get("FunctionName")
    return bool(named & {alias.alias_logical_id, alias.function}) or (
        place == f"function:{function}:{alias.alias}"
    )
