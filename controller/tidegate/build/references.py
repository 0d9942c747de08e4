"""Who refers to whom inside a CloudFormation template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.build.template import Template, shown, walk

_VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")


def references(value: Any) -> Iterator[str]:
    """The logical ids and parameters that this part of a template refers to."""
    for part in walk(value):
        if not isinstance(part, Mapping):
            continue
        if isinstance(name := part.get("Ref"), str):
            yield name
        if "Fn::GetAtt" in part:
            yield _first(part["Fn::GetAtt"])
        if "Fn::Sub" in part:
            yield from _substituted(part["Fn::Sub"])
        if "DependsOn" in part:
            yield from _names(part["DependsOn"])


def target_of(value: Any) -> str:
    """The logical id of which this value is a ``Ref``, ``GetAtt`` or bare ``Sub``, or ""."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return ""
    found = list(references({key: value[key] for key in ("Ref", "Fn::GetAtt") if key in value}))
    if isinstance(text := value.get("Fn::Sub"), str) and (match := _VARIABLE.fullmatch(text)):
        found.append(match[1].partition(".")[0])
    return found[0] if found else ""


def used_conditions(template: Template) -> set[str]:
    """The names of the conditions that something in the template asks."""
    sections = ("Resources", "Outputs", "Conditions", "Rules")
    return {name for section in sections for name in conditions_in(template.get(section, {}))}


def conditions_in(value: Any) -> Iterator[str]:
    """The names of the conditions that this part of a template asks."""
    for part in walk(value):
        if isinstance(part, Mapping):
            if isinstance(name := part.get("Condition"), str):
                yield name
            if isinstance(choice := part.get("Fn::If"), list) and choice:
                yield str(choice[0])


def shared_exports(template: Template) -> list[str]:
    """The names under which more than one output is exported, as far as the template tells."""
    outputs = (template.get("Outputs") or {}).values()
    found = (output.get("Export") for output in outputs if isinstance(output, Mapping))
    exports = (export for export in found if isinstance(export, Mapping) and "Name" in export)
    names = Counter(shown(export["Name"]) for export in exports)
    return sorted(name for name, times in names.items() if times > 1)


def _first(attribute: Any) -> str:
    if isinstance(attribute, str):
        return attribute.partition(".")[0]
    return str(attribute[0]) if isinstance(attribute, list) and attribute else ""


def _substituted(argument: Any) -> Iterator[str]:
    text, local = argument, set()
    if isinstance(argument, list) and argument:
        text, local = argument[0], {name for part in argument[1:2] for name in _keys(part)}
    for match in _VARIABLE.finditer(str(text)):
        name = match[1].strip().partition(".")[0]
        if name not in local:
            yield name


def _keys(value: Any) -> Iterator[str]:
    return iter(value if isinstance(value, Mapping) else ())


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    return [name for name in names if isinstance(name, str)]
