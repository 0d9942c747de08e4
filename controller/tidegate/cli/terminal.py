"""What reaches a terminal: the only module that writes text to it; ``cli.screen`` draws.

Whatever is said passes ``printable`` once. Records hold what committers, hooks and AWS wrote, so
control characters become visible; signs that a terminal's encoding lacks become plain ones.
"""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any, Final

import typer

from tidegate.core.text.plaintext import visible

PLAIN_SIGNS: Final = {
    "✔": "+",
    "✖": "x",
    "⚠": "!",
    "◆": "#",
    "○": ".",
    "◌": "*",
    "◷": "@",
    "•": "-",
    "·": "-",
    "λ": "fn",
    "→": "->",
    "…": "~",
    "█": "#",
    "░": ".",
    "─": "-",
    "│": "|",
    "├": "|",
    "└": "`",
}
"""What stands for each sign of ours where the encoding has none."""

_PLAIN: Final = "tidegate.plain"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN_SIGNS.get(sign) or _escaped(sign) for sign in lost), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_PLAIN, _plain)


def encodable(text: str, encoding: str) -> str:
    """The text with what the encoding lacks replaced: a sign by a plain one, a letter escaped."""
    return text.encode(encoding, _PLAIN).decode(encoding)


def printable(text: str, encoding: str) -> str:
    """One line that any terminal with this encoding shows, and that does nothing to it."""
    return encodable(visible(text), encoding)


def say(*lines: str, err: bool = False, label: str = "") -> None:
    """Print each argument as a line of its own; none makes an empty line.

    ``label`` stands before the first, in a style of ours.
    """
    encoding = (sys.stderr if err else sys.stdout).encoding
    typer.echo(label + "\n".join(printable(line, encoding) for line in lines), err=err)


def say_json(value: Any) -> None:
    """Print a value as JSON that any terminal shows: all but ASCII is escaped."""
    written = json.dumps(value, indent=2).replace("\x7f", r"\u007f")
    say(*written.split("\n"))


def ask(question: str) -> str:
    """What the person types."""
    answer: str = typer.prompt(printable(question, sys.stdout.encoding))
    return answer
