"""Characters that move a terminal's cursor, begin a line or turn text round, as text to be seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tidegate.core.errors import InputError

# C0 without the tab, delete, C1, the separators of lines, and what sets the direction of writing.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def visible(text: str) -> str:
    r"""The text as one line that does nothing to a terminal: an escape is shown as ``\x1b``."""
    return _CONTROLS.sub(lambda found: _escaped(found[0]), text)


def require_plain(file: str, fields: Mapping[str, object]) -> None:
    """What others wrote must be lines of plain text. Raises ``InputError`` naming the field."""
    for name, value in fields.items():
        if isinstance(value, str) and (found := _CONTROLS.search(value)):
            raise InputError(
                f"{file}: {name}: there is a control character in it, {_escaped(found[0])}.",
                remedy="Give what the build wrote: it takes such characters out.",
            )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
