"""How metric math is written: text to a tree, by the precedence of its operators.

Python's own parser is no help here: up to 3.12 it fails in one thread when another uses it at the
same moment, and the embedded AWS evaluates in many.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)
      |(?P<name>[A-Za-z_]\w*)
      |"(?P<text>[^"]*)"|'(?P<quoted>[^']*)'
      |(?P<sign>&&|\|\||[<>=!]=|[-+*/^<>(),\[\]]))""",
    re.VERBOSE,
)
_SPELLINGS: Final = {"&&": "AND", "||": "OR"}
_PRECEDENCE: Final = {
    "OR": 1,
    "AND": 2,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys("*/", 5),
    "^": 7,
}
_NEGATION: Final = 6


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes."""

    value: str

    def __str__(self) -> str:
        return f'"{self.value}"'


@dataclass(frozen=True, slots=True)
class Name:
    """The id of a query."""

    id: str

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class Items:
    """A list of series."""

    items: Sequence["Node"]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


@dataclass(frozen=True, slots=True)
class Call:
    """A function and what it is given."""

    function: str
    arguments: Sequence["Node"]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what combines them."""

    sign: str
    left: "Node"
    right: "Node"

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


Node = Number | Text | Name | Items | Call | Binary


def parse(text: str) -> Node:
    """Read an expression.

    Raises
    ------
    ValueError
        It is not well-formed.
    """
    parser = _Parser(_tokens(text))
    tree = parser.expression()
    parser.take("end")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each token; a sign's kind is the sign itself."""
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if not match:
            raise ValueError(f"what begins at {text[at:]!r} is no part of an expression")
        kind, value = match.lastgroup or "", match[match.lastgroup or 0]
        word = _SPELLINGS.get(value, value.upper())
        if kind == "sign" or (kind == "name" and word in _PRECEDENCE):
            kind = word
        found.append((kind, value))
        at = match.end()
    return [*found, ("end", "")]


class _Parser:
    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def _next(self) -> str:
        return self._tokens[self._at][0]

    def take(self, *kinds: str) -> tuple[str, str]:
        """The next token, which must be one of these kinds."""
        if self._next not in kinds:
            raise ValueError(f"{self._next} where {' or '.join(kinds)} is due")
        self._at += 1
        return self._tokens[self._at - 1]

    def expression(self, above: int = 0) -> Node:
        """What binds tighter than `above`; operators of one precedence go from left to right."""
        left = self._operand()
        while (precedence := _PRECEDENCE.get(self._next, 0)) > above:
            sign, _ = self.take(self._next)
            left = Binary(sign, left, self.expression(precedence))
        return left

    def _operand(self) -> Node:
        kind, value = self.take("number", "name", "text", "quoted", "-", "(", "[")
        match kind:
            case "number":
                return Number(float(value))
            case "name":
                return self._called(value)
            case "-":
                return Binary("-", Number(0.0), self.expression(_NEGATION))
            case "[":
                return Items(self._arguments("]"))
            case "(":
                inner = self.expression()
                self.take(")")
                return inner
        return Text(value)

    def _called(self, name: str) -> Node:
        if self._next != "(":
            return Name(name)
        self.take("(")
        return Call(name.upper(), self._arguments(")"))

    def _arguments(self, closing: str) -> Sequence[Node]:
        found: list[Node] = []
        while self._next != closing:
            found.append(self.expression())
            if self._next != closing:
                self.take(",")
        self.take(closing)
        return found
