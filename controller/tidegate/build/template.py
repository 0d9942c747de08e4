"""Reads CloudFormation templates: YAML with short tags, or JSON, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tidegate.build.shape import check_shape
from tidegate.core.errors import TemplateError
from tidegate.core.text.yaml_document import MOST_DIGITS

Template = dict[str, Any]

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_STANDARD: Final = "tag:yaml.org,2002:"
_TEXT: Final = "tag:yaml.org,2002:str"
_BOOLEAN: Final = "tag:yaml.org,2002:bool"
_LONGEST_SHOWN: Final = 80
_LONGEST: Final = 1 << 20  # what CloudFormation takes, in bytes
_INTEGER: Final = "tag:yaml.org,2002:int"
_WITHOUT_PREFIX: Final = {"Ref", "Condition"}


def read_template(path: Path) -> Template:
    """The template in this file. Raises ``TemplateError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TemplateError(
            f"{path}: there is no such template.",
            remedy="Name the template's file in the manifest: `template: <path>`.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: the template cannot be read: {error}.") from error
    return parse_template(text, str(path))


def parse_template(text: str, path: str = "template.yaml") -> Template:
    """The template in this text; ``path`` is for messages. Raises ``TemplateError``.

    Sections and resources are what ``check_shape`` says; loops are still in it.
    """
    if len(text) > _LONGEST:
        raise TemplateError(
            f"{path}: the template has {len(text):,} characters, and CloudFormation takes at most"
            f" {_LONGEST:,}.",
            remedy="Move a part of it into an application of its own.",
        )
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # CloudFormation's
    yaml.Constructor = _Constructor
    try:
        template = yaml.load(text)
    except Exception as error:  # on odd input the parser raises nearly anything
        raise TemplateError(
            f"{_place(path, error)}: the template is not valid YAML: {_problem(error)}.",
            remedy="Run `sam validate --lint` to see it in place.",
        ) from error
    check_shape(template, path)
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
            f"{path}: {section}.{name} is a name that Tidegate needs.", remedy="Rename yours."
        )
    template[section][name] = value


class _Constructor(SafeConstructor):
    """Makes intrinsic functions of short tags, and leaves keys and dates as they are written."""

    def flatten_mapping(self, node: Any) -> Any:
        """CloudFormation's keys are texts: ``200`` is no number there, ``on`` no truth value."""
        super().flatten_mapping(node)
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and str(key.tag).startswith(_STANDARD):
                key.tag = _TEXT


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


def _construct_integer(constructor: SafeConstructor, node: ScalarNode) -> int:
    if len(node.value) > MOST_DIGITS:
        problem = f"a number has more than {MOST_DIGITS} digits"
        raise ConstructorError(problem=problem, problem_mark=node.start_mark)
    number: int = constructor.construct_yaml_int(node)
    return number


_Constructor.add_constructor(_INTEGER, _construct_integer)
_Constructor.add_constructor(_BOOLEAN, _construct_boolean)
_Constructor.add_constructor(_TIMESTAMP, SafeConstructor.construct_yaml_str)


def _place(path: str, error: Exception) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f"{path}:{mark.line + 1}" if mark is not None else path


def _problem(error: Exception) -> str:
    problem = error.problem if isinstance(error, MarkedYAMLError) else None
    lines = (problem or str(error)).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
