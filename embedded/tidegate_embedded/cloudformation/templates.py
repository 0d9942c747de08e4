"""Refuses the templates that AWS refuses: names that nothing has, exports that two outputs share.

In CloudFormation's own words, as people report them. ("How do I resolve template validation errors
or template format errors in CloudFormation?", AWS re:Post.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from tidegate.build.references import conditions_in, references, shared_exports
from tidegate.build.template import walk

Template = Mapping[str, Any]
Conditions = Mapping[str, bool]

_PSEUDO: Final = "AWS::"
_BLOCKS: Final = ("Resources", "Outputs")


def refuse_what_aws_refuses(template: Template, conditions: Conditions) -> None:
    """``conditions`` says which hold. A template that a macro still changes is not looked at.

    Raises ``ValueError`` with the message of the ``ValidationError``.
    """
    if template.get("Transform"):
        return
    _refuse_unknown_conditions(template)
    _refuse_unknown_names(template, conditions)
    _refuse_shared_exports(template)


def refuse_unknown_conditions_of_conditions(template: Template) -> None:
    """Before they are evaluated. Raises ``ValueError`` as the others."""
    known = template.get("Conditions") or {}
    lost = {one for part in known.values() for one in conditions_in(part) if one not in known}
    if lost:
        raise ValueError(
            f"Template format error: Unresolved condition dependencies {_listed(lost)} in the"
            " Conditions block of the template"
        )


def _refuse_unknown_conditions(template: Template) -> None:
    known = template.get("Conditions") or {}
    for block in _BLOCKS:
        for part in _parts(template, block).values():
            name = part.get("Condition")
            if isinstance(name, str) and name not in known:
                raise ValueError(
                    f"Template format error: Unresolved condition dependency {name} in the {block}"
                    " block of the template"
                )
            for choice in _choices(part):
                if choice not in known:
                    raise ValueError(
                        f"Template error: unresolved condition dependency {choice} in Fn::If"
                    )


def _refuse_unknown_names(template: Template, conditions: Conditions) -> None:
    parameters, resources = template.get("Parameters") or {}, _parts(template, "Resources")
    if found := set(references(template.get("Conditions") or {})) & resources.keys():
        raise ValueError(
            f"Template format error: Unresolved dependencies {_listed(found)}. Cannot reference"
            " resources in the Conditions block of the template"
        )
    there = {name for name, one in resources.items() if _holds(one, conditions)}
    for block in _BLOCKS:
        parts = _parts(template, block)
        holding = (part for part in parts.values() if _holds(part, conditions))
        present = [_as_chosen(part, conditions) for part in holding]
        for attribute in _attributes([*parts.values()]):
            if attribute not in resources:
                raise ValueError(
                    "Template error: instance of Fn::GetAtt references undefined resource"
                    f" {attribute}"
                )
        named = _unknown(references([*parts.values()]), {*parameters, *resources})
        named |= _unknown(references(present), {*parameters, *there})
        if named:
            raise ValueError(
                f"Template format error: Unresolved resource dependencies {_listed(named)} in the"
                f" {block} block of the template"
            )


def _refuse_shared_exports(template: Template) -> None:
    if shared := shared_exports(dict(template)):
        raise ValueError(
            "Template format error: The Outputs section contains duplicate Export names:"
            f" {_listed(shared)}. Specify a unique name for each export."
        )


def _parts(template: Template, block: str) -> dict[str, Mapping[str, Any]]:
    section = template.get(block) or {}
    return {name: part for name, part in section.items() if isinstance(part, Mapping)}


def _holds(part: Mapping[str, Any], conditions: Conditions) -> bool:
    return conditions.get(str(part.get("Condition")), True)


def _as_chosen(value: Any, conditions: Conditions) -> Any:
    """The value with the branch of each ``Fn::If`` that its condition chooses."""
    if isinstance(value, Mapping):
        choice = value.get("Fn::If")
        if isinstance(choice, list) and len(choice) == 3:  # noqa: PLR2004
            name, yes, no = choice
            return _as_chosen(yes if conditions.get(str(name), True) else no, conditions)
        return {key: _as_chosen(part, conditions) for key, part in value.items()}
    return [_as_chosen(part, conditions) for part in value] if isinstance(value, list) else value


def _choices(part: Any) -> Iterator[str]:
    for one in walk(part):
        if isinstance(one, Mapping) and isinstance(choice := one.get("Fn::If"), list) and choice:
            yield str(choice[0])


def _attributes(parts: Any) -> Iterator[str]:
    for one in walk(parts):
        if isinstance(one, Mapping) and "Fn::GetAtt" in one:
            yield from references({"Fn::GetAtt": one["Fn::GetAtt"]})


def _unknown(names: Iterable[str], known: Collection[str]) -> set[str]:
    return {name for name in names if name not in known and not name.startswith(_PSEUDO)}


def _listed(names: Iterable[str]) -> str:
    return f"[{', '.join(sorted(names))}]"
