"""Inserts lines into a YAML template and changes no other: comments and layout are people's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from tidegate.build.shape import LOOP
from tidegate.core.errors import InputError

_AS_DOCUMENTED: Final = "add by hand what docs/hooks.md shows"


@dataclass(frozen=True, slots=True)
class Insertion:
    """Lines to put before the line with this number, counted from 0."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class WrittenResource:
    """A resource as it stands in the text; in a loop's body its name has the identifier in it."""

    name: str
    node: Node


class TemplateText:
    """A template as text, with the places of its resources."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self._path = path
        root = YAML(typ="safe", pure=True).compose(text)
        self._resources = self._block(_value(root, "Resources"), "Resources")

    def add_resource(self, text: str) -> Insertion:
        """At the end of the resources; ``text`` begins in the first column."""
        lines = self.text.splitlines()
        line = min(self._resources.end_mark.line, len(lines))
        if self._resources.end_mark.column:  # the file ends without a line break
            line = len(lines)
        while not lines[line - 1].strip() or lines[line - 1].startswith("#"):
            line -= 1
        return Insertion(line, "\n" + indent(text, " " * self._column))

    def of_type(self, resource_type: str) -> list[WrittenResource]:
        """The resources of this type, with those that the bodies of loops repeat."""
        return [
            resource
            for resource in _resources(self._resources)
            if getattr(_value(resource.node, "Type"), "value", None) == resource_type
        ]

    def add_property(self, to: WrittenResource, text: str) -> Insertion:
        """As the first property of a resource. Raises ``InputError``."""
        by_hand = f"add `{text}` to the Properties of {to.name} by hand"
        resource = self._block(to.node, to.name, by_hand)
        properties = _value(resource, "Properties")
        if properties is None:
            key = resource.value[0][0]
            column = key.start_mark.column
            return Insertion(
                key.start_mark.line, indent(f"Properties:\n  {text}", " " * column) + "\n"
            )
        block = self._block(properties, f"{to.name}.Properties", by_hand)
        first = block.value[0][0].start_mark
        return Insertion(first.line, indent(text, " " * first.column) + "\n")

    def with_all(self, insertions: Iterable[Insertion]) -> str:
        """The text with the lines in it."""
        lines = self.text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        for insertion in sorted(insertions, key=lambda i: i.line, reverse=True):
            lines.insert(insertion.line, insertion.text)
        return "".join(lines)

    @property
    def _column(self) -> int:
        column: int = self._resources.value[0][0].start_mark.column
        return column

    def _block(self, node: Node | None, name: str, by_hand: str = _AS_DOCUMENTED) -> MappingNode:
        """The mapping, if lines can be put into it. Raises ``InputError``."""
        if isinstance(node, MappingNode) and not node.flow_style and node.value:
            return node
        raise InputError(
            f"{self._path}: {name} is not written line by line, so nothing can be added to it.",
            remedy=f"Write it as block YAML, or {by_hand}.",
        )


def _resources(section: Node) -> Iterator[WrittenResource]:
    if not isinstance(section, MappingNode):
        return
    for key, value in section.value:
        if not key.value.startswith(LOOP):
            yield WrittenResource(key.value, value)
        elif isinstance(value, SequenceNode) and value.value:
            yield from _resources(value.value[-1])


def _value(node: Node | None, key: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)
