"""From pydantic's errors to one error with its line, its key, what was expected and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidegate.core.errors import ManifestError
from tidegate.core.text.quantities import PROBLEM, describe
from tidegate.core.text.yaml_document import Path, YamlDocument, dotted

# What was expected, by the type of pydantic's error; the braces are filled from its context.
_EXPECTED: Mapping[str, str] = {
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most {max_length} characters",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def explain(
    error: ValidationError, document: YamlDocument, model: type[BaseModel]
) -> list[ManifestError]:
    """One ``ManifestError`` for each of pydantic's, in the order of their lines.

    On one line a missing key comes last: often it is there, with a slip in it.
    """
    found = error.errors(include_url=False)
    telling = [details for details in found if not _only_follows(details, found)]
    telling.sort(key=lambda details: details["type"] == "missing")
    problems = [_explain(details, document, model) for details in telling]
    return sorted(problems, key=lambda problem: problem.line)


def _only_follows(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """A list with a wrong item counts as shorter than it is: that says nothing more."""
    place = details["loc"]
    return details["type"] == "too_short" and any(
        other["loc"][: len(place)] == place for other in found if other is not details
    )


def _explain(
    details: ErrorDetails, document: YamlDocument, model: type[BaseModel]
) -> ManifestError:
    path = _in_document(details, document)
    message, remedy = _words(details, path, model)
    return ManifestError(
        message, path=document.path, line=document.line(path), key=dotted(path), remedy=remedy
    )


def _in_document(details: ErrorDetails, document: YamlDocument) -> Path:
    """Where the error is, without what names no key: pydantic adds the branch of a union."""
    path: Path = ()
    for part in (*details["loc"], *details.get("ctx", {}).get("at", ())):
        if (*path, part) in document.lines:
            path = (*path, part)
    return (*path, details["loc"][-1]) if details["type"] == "missing" else path


def _words(details: ErrorDetails, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    """The message and the remedy."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == PROBLEM:
        return context["message"], context["remedy"]
    if kind == "missing":
        return "this key is missing.", f"Add `{path[-1]}: ...` here."
    if kind == "extra_forbidden":
        return "there is no such key.", _nearest(str(path[-1]), _keys_at(path[:-1], model))
    found = describe(details["input"])
    if kind not in _EXPECTED:
        return f"{details['msg']}, found {found}.", ""
    return f"expected {_EXPECTED[kind].format(**context)}, found {found}.", ""


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return f"{hint}Known keys here: {', '.join(known)}."


def _keys_at(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys that the mapping at this path may have."""
    models = [model]
    for part in path:
        if isinstance(part, str):
            fields = [m.model_fields[part] for m in models if part in m.model_fields]
            models = [found for field in fields for found in _models_in(field.annotation)]
    return [key for found in models for key in found.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
