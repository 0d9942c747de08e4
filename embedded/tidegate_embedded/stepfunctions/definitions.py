"""Definitions of state machines: their text is JSON, down to the escapes of its strings."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.parse import preprocessor
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from tidegate_embedded.patching import Patches

_WHOLE_PERCENTAGE: Final = re.compile(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?=\s*[,}])')


@lru_cache(maxsize=64)
def parse(definition: str) -> Any:
    """The program that `definition` describes; the exception says what is wrong with it.

    Read once, as that takes far longer than to run it: executions share a program, which keeps what
    it works with in their environments.
    """
    # The interpreter's grammar wants a fraction there.
    program = AmazonStateLanguageParser.parse(_WHOLE_PERCENTAGE.sub(r"\1.0", definition))[0]
    _name_components(program, set())
    return program


def _name_components(part: Any, seen: set[int]) -> None:
    """Let every component choose its key in environments now, before executions do at once."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, EvalComponent):
        _ = part.heap_key
    match part:
        case Mapping():
            inner: Iterable[Any] = part.values()
        case list() | tuple() | set():
            inner = part
        case _ if type(part).__module__.startswith("moto."):
            inner = getattr(part, "__dict__", {}).values()
        case _:
            inner = ()
    for item in inner:
        _name_components(item, seen)


def install(patches: Patches) -> None:
    """Read every string of a definition as JSON does."""
    patches.replace(preprocessor, "from_string_literal", lambda _original: _text)
    patches.replace(preprocessor.Preprocessor, "_inner_string_of", _inner_string)


def _text(parser_rule_context: Any) -> str:
    source: str = parser_rule_context.getText()
    text: str = json.loads(source, strict=False) if source.startswith('"') else source
    return text


def _inner_string(original: Callable[..., str | None]) -> Any:
    def read(parser_rule_context: Any) -> str | None:
        source = parser_rule_context.getText()
        return (
            _text(parser_rule_context) if source.startswith('"') else original(parser_rule_context)
        )

    return staticmethod(read)
