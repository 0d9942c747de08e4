"""JSON Schemas as hooks use them."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.hooks import SchemaError
from tidegate.hooks.schema import mismatches

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "lines"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^o-", "minLength": 3, "maxLength": 9},
        "lines": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"type": "integer", "minimum": 1, "maximum": 5},
        },
        "state": {"enum": ["open", None]},
        "kind": {"const": "order"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "secret": False,
    },
}
GOOD = {"id": "o-1", "lines": [1, 2.0], "state": None, "kind": "order", "note": None}


def test_fits() -> None:
    assert mismatches(GOOD, ORDER) == []
    assert mismatches("anything", {}) == []
    assert mismatches("anything", True) == []
    assert mismatches(None, {"type": ["string", "null"]}) == []


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"id": 7}, "$.id is no string"),
        ({"id": "x-1"}, "$.id does not match '^o-'"),
        ({"id": "o-"}, "$.id has length 2, least is 3"),
        ({"id": "o-12345678"}, "$.id has length 10, most is 9"),
        ({"lines": []}, "$.lines has length 0, least is 1"),
        ({"lines": [1, 1, 1]}, "$.lines has length 3, most is 2"),
        ({"lines": [0]}, "$.lines.0 has value 0, least is 1"),
        ({"lines": [1, 6]}, "$.lines.1 has value 6, most is 5"),
        ({"lines": [1.5]}, "$.lines.0 is no integer"),
        ({"lines": [True]}, "$.lines.0 is no integer"),
        ({"state": "shut"}, "$.state is 'shut', none of ['open', None]"),
        ({"kind": "bill"}, "$.kind is 'bill', not 'order'"),
        ({"note": 1}, "$.note fits none of 2 schemas"),
        ({"secret": 1}, "$.secret is not allowed"),
        ({"other": 1}, "$.other is not allowed"),
    ],
)
def test_says_where_and_why_a_value_does_not_fit(over: dict[str, Any], said: str) -> None:
    assert mismatches(GOOD | over, ORDER) == [said]


def test_says_what_is_missing() -> None:
    assert mismatches({}, ORDER) == ["$.id is missing", "$.lines is missing"]


def test_keywords_about_one_type_say_nothing_about_another() -> None:
    for keyword in ("properties", "required", "items", "pattern", "minimum", "minItems"):
        assert mismatches(None, {keyword: ORDER.get(keyword, 1)}) == []


@pytest.mark.parametrize("schema", [{"minimun": 1}, {"$ref": "#/x"}, {"type": "text"}])
def test_refuses_what_it_does_not_know(schema: dict[str, Any]) -> None:
    """A check that is not made must not pass."""
    with pytest.raises(SchemaError):
        mismatches(1, schema)
