"""What every part of a template must be for the build to read it: maps where maps belong.

Past this check no section is a list, no key is anything but a text, and no resource lacks a type.
Whether CloudFormation knows the type and its properties is not asked here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from tidegate.core.errors import TemplateError

LOOP: Final = "Fn::ForEach::"
_WITH_LOOPS: Final = {"Conditions", "Resources", "Outputs"}
_LONGEST_ID: Final = 255
_DEEPEST: Final = 100  # CloudFormation takes far less
_LARGEST: Final = 500_000  # values, with each alias counted as often as it is used

# How deep each section is made of maps: 1, its entries may be anything; 2, each is a map, too.
_LEVELS: Final = {
    "Globals": 2,
    "Parameters": 2,
    "Mappings": 3,
    "Conditions": 2,
    "Resources": 2,
    "Outputs": 2,
    "Metadata": 1,
}
_ATTRIBUTES: Final[Mapping[str, tuple[type, ...]]] = {
    "Properties": (dict,),
    "Metadata": (dict,),
    "UpdatePolicy": (dict,),
    "Condition": (str,),
    "DependsOn": (str, list),
}
_NAMES: Final[Mapping[type, str]] = {dict: "a map", str: "a text", list: "a list"}


def check_shape(template: Any, path: str) -> None:
    """Raises ``TemplateError`` for the first part that is not what the build must find there."""
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise TemplateError(
            f"{path}: the template has no `Resources`.",
            remedy="Name a SAM or CloudFormation template in the manifest: `template: <path>`.",
        )
    _check_values(template, path)
    for section, levels in _LEVELS.items():
        if template.get(section) is not None:
            loops = section in _WITH_LOOPS
            _check_maps(template[section], f"{path}: {section}", levels, loops=loops)
    for logical_id, resource in template["Resources"].items():
        if not logical_id.startswith(LOOP):
            _check_resource(logical_id, resource, f"{path}: Resources.{logical_id}")
    for name, parameter in (template.get("Parameters") or {}).items():
        _check_parameter(parameter, f"{path}: Parameters.{name}")


def _check_maps(value: Any, place: str, levels: int, *, loops: bool) -> None:
    if not isinstance(value, dict):
        raise _unknown(place, "a map")
    for key, item in value.items():
        if levels > 1 and not (loops and key.startswith(LOOP)):
            _check_maps(item, f"{place}.{key}", levels - 1, loops=False)


def _check_resource(logical_id: str, resource: Mapping[str, Any], place: str) -> None:
    if not (logical_id.isascii() and logical_id.isalnum() and len(logical_id) <= _LONGEST_ID):
        raise TemplateError(
            f"{place}: a logical id is made of at most {_LONGEST_ID} letters and digits.",
            remedy="Rename it; in a loop, `&{...}` leaves out all else.",
        )
    if not isinstance(resource.get("Type"), str):
        raise TemplateError(
            f"{place} is not what CloudFormation knows: a resource has a `Type`.",
            remedy="Write one, such as `Type: AWS::Serverless::Function`, or mend its indentation.",
        )
    for attribute, types in _ATTRIBUTES.items():
        if attribute in resource and not isinstance(resource[attribute], types):
            named = " or ".join(_NAMES[one] for one in types)
            raise _unknown(f"{place}.{attribute}", named)


def _check_parameter(parameter: Mapping[str, Any], place: str) -> None:
    if not isinstance(parameter.get("Type"), str):
        raise TemplateError(
            f"{place} is not what CloudFormation knows: a parameter has a `Type`.",
            remedy="Write one, such as `Type: String`.",
        )
    if isinstance(parameter.get("Default"), dict | list):
        raise _unknown(f"{place}.Default", "a text or a number")
    if not isinstance(parameter.get("AllowedValues", []), list):
        raise _unknown(f"{place}.AllowedValues", "a list")


def _check_values(template: Any, path: str) -> None:
    """All that JSON can say, no deeper and no larger than a template can be."""
    left = [(template, "", 0)]
    count = 0
    while left:
        value, place, depth = left.pop()
        count += 1
        where = f"{path}: {place.removeprefix('.') or 'the template'}"
        if depth > _DEEPEST or count > _LARGEST:
            raise TemplateError(
                f"{path}: the template is nested too deeply or repeats itself too often.",
                remedy="See to its anchors: none may contain itself.",
            )
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise TemplateError(
                        f"{where} has the key {key!r}, which is not a text.",
                        remedy="Put it in quotes.",
                    )
                left.append((item, f"{place}.{key}", depth + 1))
        elif isinstance(value, list):
            left.extend((item, f"{place}[{n}]", depth + 1) for n, item in enumerate(value))
        elif not isinstance(value, str | int | float | None) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise _unknown(where, "a text, a number, true, false, a list or a map")


def _unknown(place: str, expected: str) -> TemplateError:
    return TemplateError(
        f"{place} is not what CloudFormation knows: it must be {expected}.",
        remedy="See to its indentation.",
    )
