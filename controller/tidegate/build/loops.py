"""Expands ``Fn::ForEach`` at build time, as CloudFormation's AWS::LanguageExtensions does.

SAM and Tidegate must see the resources that a loop makes. One expansion serves every stage, so a
collection must be known here and be the same in all of them. Semantics: "Fn::ForEach" in the
CloudFormation Template Reference, and RFC 0009 of aws-cloudformation/cfn-language-discussion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.build.expand import Setting
from tidegate.build.sam import macros
from tidegate.build.shape import LOOP, check_shape
from tidegate.build.template import Template, shown, walk
from tidegate.core.errors import TemplateError
from tidegate.core.template.values import Values

LANGUAGE_EXTENSIONS: Final = "AWS::LanguageExtensions"
_SECTIONS: Final = ("Conditions", "Resources", "Outputs")  # conditions first: the others use them
_DEEPEST: Final = 5  # CloudFormation's limit of nested loops


def expand_loops(
    template: Template, path: str = "template.yaml", settings: Sequence[Setting] = (Setting(),)
) -> Template:
    """The template with its loops written out for these stages. Raises ``TemplateError``."""
    loops = [(section, key) for section in _SECTIONS for key in _keys(template.get(section))]
    if not loops:
        return template
    if LANGUAGE_EXTENSIONS not in macros(template):
        raise TemplateError(
            f"{path}: {'.'.join(loops[0])}: loops need the transform {LANGUAGE_EXTENSIONS}.",
            remedy=f"Write `Transform: [{LANGUAGE_EXTENSIONS}, AWS::Serverless-2016-10-31]`.",
        )
    expanded = dict(template)
    for section in _SECTIONS:
        if section in template:
            loop = _Loops(expanded, path, settings)
            expanded[section] = loop.expand(template[section], section, ())
    check_shape(expanded, path)
    return expanded


def _keys(value: Any) -> Iterator[str]:
    """The keys of the loops within this value."""
    for part in walk(value):
        if isinstance(part, Mapping):
            yield from (key for key in part if key.startswith(LOOP))


class _Loops:
    """Writes out the loops of one section."""

    def __init__(self, template: Template, path: str, settings: Sequence[Setting]) -> None:
        self._template, self._path = template, path
        self._values = {one.stage: Values(template, one.parameters) for one in settings}

    def expand(self, value: Any, place: str, outer: tuple[str, ...]) -> Any:
        """The value without loops; ``outer`` are the identifiers of the loops around it."""
        if isinstance(value, list):
            return [self.expand(item, place, outer) for item in value]
        if not isinstance(value, dict):
            return value
        expanded: dict[str, Any] = {}
        for key, item in value.items():
            where = f"{place}.{key}"
            if key.startswith(LOOP):
                for new_key, new_item in self._turns(item, where, outer):
                    self._put(expanded, new_key, new_item, where)
            else:
                self._put(expanded, key, self.expand(item, where, outer), where)
        return expanded

    def _turns(self, loop: Any, place: str, outer: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """What each turn of the loop adds to the mapping around it."""
        identifier, collection, body = self._parts(loop, place, outer)
        for item in self._items(collection, place):
            turn = self._filled(body, identifier, item)
            yield from self.expand(turn, place, (*outer, identifier)).items()

    def _parts(self, loop: Any, place: str, outer: tuple[str, ...]) -> tuple[str, Any, Any]:
        match loop:
            case [str(identifier), collection, dict(body)] if identifier.isalnum():
                pass
            case _:
                raise TemplateError(
                    f"{self._path}: {place} is not what CloudFormation knows: a loop is a list of"
                    " an identifier of letters and digits, a collection, and a map that is"
                    " repeated.",
                    remedy='Write for example `[Name, [Orders, Stock], {"${Name}Topic": {...}}]`.',
                )
        if identifier in outer or identifier in self._template.get("Parameters", {}):
            other = "a loop around it" if identifier in outer else "a parameter"
            raise TemplateError(
                f"{self._path}: {place}: its identifier {identifier} is also that of {other}.",
                remedy="Give it a name of its own.",
            )
        if len(outer) >= _DEEPEST:
            raise TemplateError(
                f"{self._path}: {place}: CloudFormation nests at most {_DEEPEST} loops.",
                remedy="Write one of them out.",
            )
        return identifier, collection, body

    def _items(self, collection: Any, place: str) -> list[str]:
        """The texts to go through, which are the same in every stage."""
        of_stages = {stage: values.resolve(collection) for stage, values in self._values.items()}
        for stage, items in of_stages.items():
            if not isinstance(items, list) or not all(map(_is_scalar, items)):
                raise TemplateError(
                    f"{self._path}: {place}: its collection {shown(collection)} is not known when"
                    f" the template is built{f' for the stage {stage}' if stage else ''}.",
                    remedy="Write the list out, or use a parameter of the type CommaDelimitedList"
                    " with a default, or with the same value in every stage of the manifest.",
                )
        first, *others = of_stages.values()
        if any(items != first for items in others):
            said = "; ".join(
                f"{stage}: {', '.join(map(_text, items))}" for stage, items in of_stages.items()
            )
            raise TemplateError(
                f"{self._path}: {place}: its collection {shown(collection)} differs between stages"
                f" ({said}), and one expansion serves them all.",
                remedy="Give it the same value in every stage, and a `Condition` to what a stage"
                " is not to have.",
            )
        return [_text(item) for item in first]

    def _filled(self, value: Any, identifier: str, item: str) -> Any:
        """The value with the item in place of the identifier, in keys and texts too."""
        if isinstance(value, str):
            plain = re.sub(r"[^A-Za-z0-9]", "", item)
            return value.replace(f"${{{identifier}}}", item).replace(f"&{{{identifier}}}", plain)
        if isinstance(value, list):
            return [self._filled(one, identifier, item) for one in value]
        if not isinstance(value, dict):
            return value
        if value == {"Ref": identifier}:
            return item
        filled: dict[str, Any] = {}
        for key, one in value.items():
            self._put(
                filled,
                self._filled(key, identifier, item),
                self._filled(one, identifier, item),
                identifier,
            )
        return self._simple(filled)

    def _simple(self, value: dict[str, Any]) -> Any:
        """What SAM and the build must know, such as the path of a function's code, as it is."""
        match value:
            case {"Fn::Sub": str(text)} if len(value) == 1 and "${" not in text:
                return text
            case {"Fn::FindInMap": [str(name), str(top), str(second), *rest]} if len(value) == 1:
                found = self._template.get("Mappings", {}).get(name, {}).get(top, {}).get(second)
                if found is None and rest and isinstance(rest[0], dict):
                    found = rest[0].get("DefaultValue")
                return value if found is None else found
        return value

    def _put(self, section: dict[str, Any], key: str, value: Any, place: str) -> None:
        if key in section:
            raise TemplateError(
                f"{self._path}: {place} makes {key} twice.",
                remedy="Write its identifier into the key: `${...}`, or `&{...}` for its letters"
                " and digits only.",
            )
        section[key] = value


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
