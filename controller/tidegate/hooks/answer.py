"""An answer and what is expected of it. Expectations are collected, none of them raises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tidegate.hooks.invocation import Invocation
from tidegate.hooks.schema import mismatches, same
from tidegate.hooks.text import shorten

_MISSING: Final = object()
_PROBLEMS_SHOWN: Final = 3

Collect = Callable[[str, bool, str], object]


class Answer:
    """What a function answered.

    Each expectation is one check and gives the answer back, so that they can be chained. ``at`` is
    a path into the JSON, ``body.items.0.id``; JSON within a text, as in the ``body`` of a web
    answer, is read on the way. Where the invocation itself failed, nothing more is checked: that is
    one failure, not ten.
    """

    def __init__(self, asked: str, invocation: Invocation, collect: Collect) -> None:
        self.asked = asked
        self.payload = invocation.payload
        self.error = invocation.error
        self.version = invocation.version
        self.seconds = invocation.seconds
        self.log_tail = invocation.log_tail
        self._collect = collect

    def has_status(self, expected: int) -> Answer:
        """Its ``statusCode``, or ``status`` where it has none, is the expected one."""
        found = self._find("statusCode")
        found = self._find("status") if found is _MISSING else found
        return self._check(f"status is {expected}", same(found, expected), f"found {_said(found)}")

    def has(self, at: str, expected: Any) -> Answer:
        """What stands there is equal to the expected value."""
        found = self._find(at)
        return self._check(
            f"{at} is {_said(expected)}", same(found, expected), f"found {_said(found)}"
        )

    def matches(self, pattern: str, at: str = "") -> Answer:
        """The text there, or the whole answer as JSON, matches the regular expression somewhere."""
        found = self._find(at)
        text = found if isinstance(found, str) else "" if found is _MISSING else _json(found)
        what = f"{at or 'the answer'} matches {pattern!r}"
        return self._check(what, bool(re.search(pattern, text)), f"found {_said(found)}")

    def fits(self, schema: Mapping[str, Any], at: str = "") -> Answer:
        """What stands there, or the JSON in the text there, fits the JSON Schema.

        Known are the keywords of ``tidegate.hooks.schema``. Raises ``SchemaError`` for any other.
        """
        found = self._find(at)
        inner = _parsed(found)
        found = inner if isinstance(inner, dict | list) else found
        problems = (
            ["there is nothing"] if found is _MISSING else mismatches(found, schema, at or "$")
        )
        detail = "; ".join(problems[:_PROBLEMS_SHOWN])
        return self._check(f"{at or 'the answer'} fits its schema", not problems, detail)

    def within(self, seconds: float) -> Answer:
        """The answer came in this time, as the hook sees it: a cold start counts."""
        what = f"answers within {seconds:g} s"
        return self._check(what, self.seconds <= seconds, f"took {self.seconds:.2f} s")

    def came_from(self, version: str) -> Answer:
        """This version answered."""
        return self._check(
            f"version {version} answers", self.version == version, f"version {self.version} did"
        )

    def value(self, at: str = "") -> Any:
        """What stands there, for a check of your own; None when there is nothing."""
        found = self._find(at)
        return None if found is _MISSING else found

    def _check(self, what: str, passed: bool, found: str) -> Answer:
        if not self.error:
            self._collect(f"{self.asked}: {what}", passed, "" if passed else found)
        return self

    def _find(self, at: str) -> Any:
        value = self.payload
        for key in at.split(".") if at else ():
            value = _step(_parsed(value), key)
        return value


def _step(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, _MISSING)
    if isinstance(value, Sequence) and not isinstance(value, str) and key.isdecimal():
        return value[int(key)] if int(key) < len(value) else _MISSING
    return _MISSING


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _said(value: Any) -> str:
    return "nothing" if value is _MISSING else shorten(_json(value))
