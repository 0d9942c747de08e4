"""Definitions of state machines: their text is JSON, down to the escapes of its strings."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from moto.stepfunctions.parser.asl.parse import preprocessor
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from tidegate.local.patching import Patches

_WHOLE_PERCENTAGE: Final = re.compile(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?=\s*[,}])')


def parse(definition: str) -> Any:
    """The program that `definition` describes; the exception says what is wrong with it."""
    # The interpreter's grammar wants a fraction there.
    return AmazonStateLanguageParser.parse(_WHOLE_PERCENTAGE.sub(r"\1.0", definition))[0]


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
