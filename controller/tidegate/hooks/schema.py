"""Checks values against JSON Schemas, with the keywords that answers of functions need.

``type``, ``enum``, ``const``, ``properties``, ``required``, ``additionalProperties``, ``items``,
``minItems``, ``maxItems``, ``minLength``, ``maxLength``, ``pattern``, ``minimum``, ``maximum``,
``anyOf``. ``title``, ``description``, ``examples``, ``default``, ``$schema``, ``$id`` and
``$comment`` say nothing about values. Any other keyword is refused: a check that is not made must
not pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_SILENT: Final = {"title", "description", "examples", "default", "$schema", "$id", "$comment"}


class SchemaError(ValueError):
    """A schema has a keyword that is not known here, or a type that does not exist."""


def mismatches(value: Any, schema: Mapping[str, Any] | bool, at: str = "$") -> list[str]:
    """Where the value does not fit, each with its place; empty when it fits."""
    return list(_mismatches(value, schema, at))


def _mismatches(value: Any, schema: Mapping[str, Any] | bool, at: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{at} is not allowed"
        return
    for keyword, argument in schema.items():
        if keyword in _SILENT:
            continue
        if keyword == "additionalProperties":
            yield from _additional(value, argument, at, schema.get("properties", {}))
        elif keyword in _KEYWORDS:
            yield from _KEYWORDS[keyword](value, argument, at)
        else:
            known = ", ".join(sorted([*_KEYWORDS, "additionalProperties"]))
            raise SchemaError(f"`{keyword}` is not known here; known are {known}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value % 1 == 0,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
}


def _type(value: Any, wanted: Any, at: str) -> Iterator[str]:
    names = wanted if isinstance(wanted, list) else [wanted]
    for name in names:
        if name not in _TYPES:
            raise SchemaError(f"{name!r} is no type; there are {', '.join(_TYPES)}.")
    if not any(_TYPES[name](value) for name in names):
        yield f"{at} is no {' or '.join(names)}"


def _enum(value: Any, wanted: Any, at: str) -> Iterator[str]:
    if not any(same(value, one) for one in wanted):
        yield f"{at} is {value!r}, none of {wanted!r}"


def _const(value: Any, wanted: Any, at: str) -> Iterator[str]:
    if not same(value, wanted):
        yield f"{at} is {value!r}, not {wanted!r}"


def same(one: Any, other: Any) -> bool:
    """Equal as JSON is: ``true`` is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _properties(value: Any, schemas: Any, at: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, schema in schemas.items():
            if name in value:
                yield from _mismatches(value[name], schema, f"{at}.{name}")


def _required(value: Any, names: Any, at: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (f"{at}.{name} is missing" for name in names if name not in value)


def _additional(value: Any, schema: Any, at: str, named: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name in value.keys() - named.keys():
            yield from _mismatches(value[name], schema, f"{at}.{name}")


def _items(value: Any, schema: Any, at: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mismatches(item, schema, f"{at}.{index}")


def _any_of(value: Any, schemas: Any, at: str) -> Iterator[str]:
    if not any(not mismatches(value, schema, at) for schema in schemas):
        yield f"{at} fits none of {len(schemas)} schemas"


def _pattern(value: Any, pattern: Any, at: str) -> Iterator[str]:
    if isinstance(value, str) and not re.search(pattern, value):
        yield f"{at} does not match {pattern!r}"


def _bound(
    concerns: Callable[[Any], bool], size: Callable[[Any], Any], is_least: bool, what: str
) -> Callable[[Any, Any, str], Iterator[str]]:
    def check(value: Any, bound: Any, at: str) -> Iterator[str]:
        if concerns(value) and (size(value) < bound if is_least else size(value) > bound):
            yield f"{at} has {what} {size(value)}, {'least' if is_least else 'most'} is {bound}"

    return check


_KEYWORDS: Final[Mapping[str, Callable[[Any, Any, str], Iterator[str]]]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "pattern": _pattern,
    "minItems": _bound(_TYPES["array"], len, True, "length"),
    "maxItems": _bound(_TYPES["array"], len, False, "length"),
    "minLength": _bound(_TYPES["string"], len, True, "length"),
    "maxLength": _bound(_TYPES["string"], len, False, "length"),
    "minimum": _bound(_is_number, lambda value: value, True, "value"),
    "maximum": _bound(_is_number, lambda value: value, False, "value"),
}
