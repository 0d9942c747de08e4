"""The aliases that a release moves, and the pins that hold them.

A pin is a parameter. While it names a version, the alias stays there, whatever version the template
publishes; while it is empty, the alias serves what the template publishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tidegate.build.references import target_of
from tidegate.build.report import Report
from tidegate.build.template import Template, add, of_type, shown
from tidegate.core.errors import TemplateError
from tidegate.core.model.plan import ManagedAlias

_PARAMETER: Final = "TidegatePinnedVersion"
_CONDITION: Final = "TidegatePinned"


def find_aliases(template: Template, path: str, report: Report) -> Iterator[ManagedAlias]:
    """The aliases whose version is published by the template itself."""
    versions = set(of_type(template, "AWS::Lambda::Version"))
    for logical_id in of_type(template, "AWS::Lambda::Alias"):
        properties = template["Resources"][logical_id].get("Properties", {})
        version = target_of(properties.get("FunctionVersion"))
        if version not in versions:
            _notice_unmanaged(logical_id, properties.get("FunctionVersion"), report)
            continue
        if "RoutingConfig" in properties:
            raise TemplateError(
                f"{path}: {logical_id}.RoutingConfig gives weights, which a release sets.",
                remedy="Remove it.",
            )
        yield ManagedAlias(
            function=_function(template, logical_id, properties.get("FunctionName"), path),
            alias=_alias_name(template, logical_id, properties.get("Name"), path),
            alias_logical_id=logical_id,
            version_logical_id=version,
            pin_parameter=f"{_PARAMETER}{logical_id}",
        )


def pin(template: Template, alias: ManagedAlias, path: str, report: Report) -> None:
    """Let a parameter keep the alias where it is while its version is being published."""
    condition = f"{_CONDITION}{alias.alias_logical_id}"
    add(template, "Parameters", alias.pin_parameter, path, {
        "Type": "String",
        "Default": "",
        "Description": f"Version that {alias.alias_logical_id} stays on. Set by Tidegate.",
    })  # fmt: skip
    is_empty = {"Fn::Equals": [{"Ref": alias.pin_parameter}, ""]}
    add(template, "Conditions", condition, path, {"Fn::Not": [is_empty]})
    properties = template["Resources"][alias.alias_logical_id]["Properties"]
    properties["FunctionVersion"] = {
        "Fn::If": [condition, {"Ref": alias.pin_parameter}, properties["FunctionVersion"]]
    }
    version = template["Resources"][alias.version_logical_id]
    version["DeletionPolicy"] = version["UpdateReplacePolicy"] = "Retain"
    report.change(alias.alias_logical_id, f"{alias.pin_parameter} can hold it on a version")
    report.change(alias.version_logical_id, "it outlives its resource: a rollback needs it")


def _notice_unmanaged(logical_id: str, version: Any, report: Report) -> None:
    """An alias that no release moves serves what CloudFormation gives it, at once."""
    report.notice(
        f"{logical_id} stays with CloudFormation: its FunctionVersion is {shown(version)}, which is"
        " not one version that this template publishes. To release it, use"
        " `!GetAtt <version>.Version`."
    )


def _function(template: Template, alias: str, name: Any, path: str) -> str:
    """The logical id of the function that the alias belongs to."""
    functions = of_type(template, "AWS::Lambda::Function")
    if (target := target_of(name)) in functions:
        return target
    for logical_id in functions:
        properties = template["Resources"][logical_id].get("Properties", {})
        if name is not None and properties.get("FunctionName") == name:
            return logical_id
    raise TemplateError(
        f"{path}: {alias}.FunctionName is {name!r}, which is no function of this template.",
        remedy="Use `!Ref` with the function's logical id.",
    )


def _alias_name(template: Template, alias: str, name: Any, path: str) -> str:
    """The alias's name; a parameter stands for its default."""
    if isinstance(name, str):
        return name
    default = template.get("Parameters", {}).get(target_of(name), {}).get("Default")
    if not isinstance(default, str):
        raise TemplateError(
            f"{path}: {alias}.Name is {name!r}, and a release must know the alias's name.",
            remedy="Write the name out, or use a parameter with a default.",
        )
    return default
