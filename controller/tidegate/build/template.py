"""Reads CloudFormation templates: YAML with short tags, or JSON, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tidegate.core.errors import TemplateError

Template = dict[str, Any]

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_BOOLEAN: Final = "tag:yaml.org,2002:bool"
_LONGEST_SHOWN: Final = 80
_WITHOUT_PREFIX: Final = {"Ref", "Condition"}


def read_template(path: Path) -> Template:
    """The template in this file. Raises ``TemplateError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TemplateError(
            f"{path}: there is no such template.",
            mend="Name the template's file in the manifest: `template: <path>`.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: the template cannot be read: {error}.") from error
    return parse_template(text, str(path))


def parse_template(text: str, path: str = "template.yaml") -> Template:
    """The template in this text; ``path`` is for messages. Raises ``TemplateError``."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # CloudFormation's
    yaml.Constructor = _Constructor
    try:
        template = yaml.load(text)
    except YAMLError as error:
        raise TemplateError(
            f"{_place(path, error)}: the template is not valid YAML: {_problem(error)}.",
            mend="Run `sam validate --lint` to see it in place.",
        ) from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise TemplateError(
            f"{path}: the template has no `Resources`.",
            mend="Name a SAM or CloudFormation template in the manifest: `template: <path>`.",
        )
    for logical_id, resource in template["Resources"].items():
        _check_resource(resource, f"{path}: Resources.{logical_id}")
    return {section: value for section, value in template.items() if value is not None}


def walk(value: Any) -> Iterator[Any]:
    """The value and all values within it."""
    yield value
    children = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    )
    for child in children:
        yield from walk(child)


def shown(value: Any) -> str:
    """A value of a template, on one line for a message."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def of_type(template: Template, resource_type: str) -> list[str]:
    """The logical ids of the resources of this type, sorted."""
    return sorted(id_ for id_, r in template["Resources"].items() if r.get("Type") == resource_type)


def add(template: Template, section: str, name: str, path: str, value: Template) -> None:
    """Give a section an entry of ours. Raises ``TemplateError`` when the name is taken."""
    if name in template.setdefault(section, {}):
        raise TemplateError(
            f"{path}: {section}.{name} is a name that Tidegate needs.", mend="Rename yours."
        )
    template[section][name] = value


class _Constructor(SafeConstructor):
    """Makes intrinsic functions of short tags, and leaves dates as they are written."""


def _construct_intrinsic(constructor: SafeConstructor, suffix: str, node: Node) -> dict[str, Any]:
    name = suffix if suffix in _WITHOUT_PREFIX else f"Fn::{suffix}"
    return {name: _argument(constructor, suffix, node)}


def _argument(constructor: SafeConstructor, function: str, node: Node) -> Any:
    if isinstance(node, SequenceNode):
        return constructor.construct_sequence(node, deep=True)
    if isinstance(node, MappingNode):
        return constructor.construct_mapping(node, deep=True)
    value = constructor.construct_scalar(cast("ScalarNode", node))
    return value.split(".", 1) if function == "GetAtt" else value


def _construct_boolean(constructor: SafeConstructor, node: ScalarNode) -> Any:
    """YAML 1.1, but for the single letters: like CloudFormation, read those as they are."""
    if len(node.value) == 1:
        return constructor.construct_scalar(node)
    return constructor.construct_yaml_bool(node)


_Constructor.add_multi_constructor("!", _construct_intrinsic)
_Constructor.add_constructor(_BOOLEAN, _construct_boolean)
_Constructor.add_constructor(_TIMESTAMP, SafeConstructor.construct_yaml_str)


def _check_resource(resource: Any, place: str) -> None:
    if isinstance(resource, dict) and isinstance(resource.get("Type"), str):
        if isinstance(resource.get("Properties", {}), dict):
            return
        place += ".Properties"
    raise TemplateError(
        f"{place} is not what CloudFormation knows: a resource has a `Type` and a map of"
        " `Properties`.",
        mend="See to its indentation; loops (`Fn::ForEach`) are not supported.",
    )


def _place(path: str, error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f"{path}:{mark.line + 1}" if mark is not None else path


def _problem(error: YAMLError) -> str:
    problem = error.problem if isinstance(error, MarkedYAMLError) else None
    return (problem or str(error)).strip().splitlines()[0].rstrip(".")
