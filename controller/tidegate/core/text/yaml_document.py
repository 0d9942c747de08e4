"""YAML text as plain data that still knows on which line each value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt

from tidegate.core.errors import ManifestError
from tidegate.core.text.quantities import describe

Path = tuple[str | int, ...]

_SURROGATE = re.compile(r"[\ud800-\udfff]")  # no text to store, to send or to print

DEEPEST = 20  # levels of nesting
MOST_CHARACTERS = 300_000  # a parser in Python takes a second or two for so many
MOST_DIGITS = 40  # of a whole number; Python refuses to write out those of some thousands
LARGEST = 20_000  # values, with each alias counted as often as it is used


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The data, and the 1-based line of each key and list item by its path."""

    path: str
    data: dict[str, Any]
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the value at this path, or of the nearest one that contains it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read_yaml(text: str, path: str) -> YamlDocument:
    """The mapping in this text. Raises ``ManifestError`` when it is not exactly one mapping."""
    root = _load(text, path)
    if root is None:
        raise ManifestError(
            "the file is empty.", path=path, line=1, remedy="Start with `version: 1`."
        )
    if not isinstance(root, CommentedMap):
        raise ManifestError(
            f"expected a mapping, found {describe(_plain_scalar(root))}.",
            path=path,
            line=1,
            remedy="Start with `version: 1`.",
        )
    reader = _Reader(path)
    return YamlDocument(path, reader.read(root, ()), reader.lines)


class _Constructor(RoundTripConstructor):
    def construct_yaml_int(self, node: ScalarNode) -> Any:
        if len(node.value) > MOST_DIGITS:
            problem = f"a number has more than {MOST_DIGITS} digits"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark)
        return super().construct_yaml_int(node)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)


def _load(text: str, path: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        raise ManifestError(
            f"the file has {len(text):,} characters, and at most {MOST_CHARACTERS:,} are read.",
            path=path,
            remedy="Shorten it.",
        )
    yaml = YAML()
    yaml.Constructor = _Constructor
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.load(text)
    except DuplicateKeyError as error:
        line, problem = _marked(error)
        raise ManifestError(
            f"{problem}.", path=path, line=line, remedy="Remove one of the two."
        ) from None
    except MarkedYAMLError as error:
        line, problem = _marked(error)
        raise ManifestError(
            f"this is not YAML: {problem}.", path=path, line=line, remedy=_remedy(problem)
        ) from None
    except Exception as error:  # on odd input the parser raises nearly anything
        raise ManifestError(
            f"this is not YAML: {' '.join(str(error).split())[:200]}.", path=path
        ) from None


def _marked(error: MarkedYAMLError) -> tuple[int, str]:
    mark = error.problem_mark or error.context_mark
    problem = (error.problem or error.context or "unreadable").splitlines()[0]
    if isinstance(error, DuplicateKeyError):
        problem = problem.partition(" with value")[0]
    problem = _SURROGATE.sub("?", problem)
    return (mark.line + 1 if mark else 0), problem


def _remedy(problem: str) -> str:
    if r"'\t'" in problem:
        return "Indent with spaces: YAML does not allow tabs."
    if "single document" in problem or "but found another document" in problem:
        return "A manifest is one document: remove the `---`."
    if "mapping values are not allowed" in problem:
        return "Check the indentation, and put text with a colon in quotes."
    if "digits" in problem:
        return "Put it in quotes if it is a text."
    return "Check the indentation, the quotes and the brackets above this line."


class _Reader:
    """Turns the parser's tree into plain data and notes the lines on the way."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: dict[Path, int] = {(): 1}
        self._count = 0

    def read(self, node: Any, at: Path) -> Any:
        self._count += 1
        if len(at) > DEEPEST or self._count > LARGEST:
            raise self._error("the file is nested too deeply or repeats itself too often.", at)
        if _tag(node):
            raise self._error(f"the tag {_tag(node)} means nothing here.", at, "Remove it.")
        if isinstance(node, CommentedMap):
            return {key: self.read(value, (*at, key)) for key, value in self._entries(node, at)}
        if isinstance(node, CommentedSeq):
            return [self._item(node, index, at) for index in range(len(node))]
        return self._checked(_plain_scalar(node), at)

    def _entries(self, node: CommentedMap, at: Path) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            self.lines[*at, str(key)] = self._line(node.lc.data, key, at)
            if not isinstance(key, str):
                found = describe(_plain_scalar(key))
                message = f"expected a text as key, found {found}."
                raise self._error(message, (*at, str(key)), "Put it in quotes.")
            yield self._checked(str(key), at), value

    def _checked(self, scalar: Any, at: Path) -> Any:
        if isinstance(scalar, str) and _SURROGATE.search(scalar):
            message = "a text has an escaped surrogate, which is half a character."
            raise self._error(message, at, "Write the character itself.")
        return scalar

    def _item(self, node: CommentedSeq, index: int, at: Path) -> Any:
        self.lines[*at, index] = self._line(node.lc.data, index, at)
        return self.read(node[index], (*at, index))

    def _line(self, positions: Mapping[Any, Any] | None, key: Any, at: Path) -> int:
        """A merged key (``<<``) has no position of its own: then it is its mapping's."""
        position = (positions or {}).get(key)
        return position[0] + 1 if position else self.lines[at]

    def _error(self, message: str, at: Path, remedy: str = "") -> ManifestError:
        line = self.lines[at]
        return ManifestError(message, path=self.path, line=line, key=dotted(at), remedy=remedy)


def dotted(path: Path) -> str:
    """A path as people write it: ``stages[1].strategy.canary.weight``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _tag(node: Any) -> str:
    tag = getattr(node, "tag", None)
    value = getattr(tag, "value", None)
    return value if isinstance(value, str) and value.startswith("!") else ""


def _plain_scalar(node: Any) -> Any:
    """The scalar without what the parser keeps for writing it back."""
    if isinstance(node, ScalarBoolean):
        return bool(node)
    for kind, plain in ((ScalarInt, int), (ScalarFloat, float), (str, str)):
        if isinstance(node, kind):
            return plain(node)
    return node
