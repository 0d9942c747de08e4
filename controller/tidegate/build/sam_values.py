"""Gives SAM the values that it must know, where every stage has the same.

References to parameters stay references, but from some properties SAM makes decisions:
``RetentionPolicy``, ``EndpointConfiguration``, ``CreateUsagePlan``. There is no list of them; SAM
says so when it meets one. What it needs is found by trying, and nothing else is resolved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.build.references import references
from tidegate.build.sam import SAM_TRANSFORM, SamRefusal, macros, settle, try_transform
from tidegate.build.template import Template, shown, walk
from tidegate.core.errors import TemplateError
from tidegate.core.template.values import NO_VALUE, Values

_FUNCTIONS: Final = {"Ref", "Fn::If", "Fn::FindInMap", "Fn::Sub"}  # what ``Values`` works out
_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Site:
    """A place in the template where a function stands, and what it comes to in each stage."""

    path: _Path
    function: Any
    values: Mapping[str, Any]

    @property
    def is_known(self) -> bool:
        return not any(_is_function(part) for value in self.values.values() for part in walk(value))

    @property
    def differs(self) -> bool:
        first, *others = self.values.values()
        return any(value != first for value in others)

    @property
    def place(self) -> str:
        """As messages name it: ``Layer.RetentionPolicy``, ``Globals.Api.EndpointConfiguration``."""
        parts = self.path[1:] if self.path[0] == "Resources" else self.path
        names = [str(part) for part in parts if part != "Properties"]
        return ".".join(names)


def give_known_values(
    template: Template, path: str, parameters: Mapping[str, Mapping[str, str]]
) -> Template:
    """The template, with values where SAM must know them; ``parameters`` are those by stage.

    Raises ``TemplateError`` when stages differ in such a value, or have none, and when SAM cannot
    expand the template even so.
    """
    if SAM_TRANSFORM not in macros(template):
        return template
    first = next(iter(parameters.values()))
    refusal = try_transform(settle(template, first))
    if refusal is None:
        return template
    sites = list(_sites(template, refusal, parameters))
    known = [site for site in sites if site.is_known]

    def works(chosen: Sequence[_Site]) -> bool:
        return try_transform(settle(_with(template, chosen), first)) is None

    if known and works(known):
        needed = _least(known, [], works)
        for site in needed:
            if site.differs:
                raise _difference(path, site)
        return _with(template, needed)
    _refuse_missing(template, path, sites, parameters)
    truth = try_transform(settle(_with(template, known), first)) or refusal
    raise TemplateError(
        f"{path}: SAM cannot expand the template: {truth.cause}",
        remedy="Run `sam validate --lint` to see it in place.",
    )


def _least(
    sites: Sequence[_Site], others: Sequence[_Site], works: Callable[[Sequence[_Site]], bool]
) -> list[_Site]:
    """The fewest of these sites that SAM must know besides the others, by halving."""
    if works(others):
        return []
    if len(sites) == 1:
        return list(sites)
    middle = len(sites) // 2
    left, right = sites[:middle], sites[middle:]
    of_left = _least(left, [*others, *right], works)
    return of_left + _least(right, [*others, *of_left], works)


def _sites(
    template: Template, refusal: SamRefusal, parameters: Mapping[str, Mapping[str, str]]
) -> Iterator[_Site]:
    """Where functions stand in what SAM refused, and in what all resources share."""
    values = {stage: Values(template, of_stage) for stage, of_stage in parameters.items()}
    refused = [name for name in refusal.resources if name in template["Resources"]]
    for path, function in [
        *_functions(template.get("Globals"), ("Globals",)),
        *(
            found
            for name in refused or template["Resources"]
            for found in _functions(
                template["Resources"][name].get("Properties"), ("Resources", name, "Properties")
            )
        ),
    ]:
        yield _Site(path, function, {stage: v.resolve(function) for stage, v in values.items()})


def _functions(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """The outermost functions within the value."""
    if _is_function(value):
        if next(iter(value)) in _FUNCTIONS:
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _functions(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _functions(item, (*path, index))


def _is_function(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1 or value == NO_VALUE:
        return False
    (name,) = value
    return name in {"Ref", "Condition"} or name.startswith("Fn::")


def _with(template: Template, sites: Sequence[_Site]) -> Template:
    """The template with the first stage's values at these sites."""
    changed = copy.deepcopy(template)
    for site in sites:
        *way, last = site.path
        parent: Any = changed
        for part in way:
            parent = parent[part]
        value = next(iter(site.values.values()))
        if value == NO_VALUE and isinstance(parent, dict):
            del parent[last]
        else:
            parent[last] = copy.deepcopy(value)
    return changed


def _difference(path: str, site: _Site) -> TemplateError:
    said = ", ".join(
        f"{'nothing' if value == NO_VALUE else shown(value)} in {stage or 'the stack'}"
        for stage, value in site.values.items()
    )
    names = " and ".join(f"`{name}`" for name in dict.fromkeys(references(site.function)))
    return TemplateError(
        f"{path}: {site.place} is {shown(site.function)}, whose value SAM must know to expand the"
        f" template once for all stages, and they differ in it: {said}.",
        remedy=f"Give {names or 'it'} the same value in every stage (`parameters` of the stages in"
        " the manifest), or write the value out in the template.",
    )


def _refuse_missing(
    template: Template,
    path: str,
    sites: Sequence[_Site],
    parameters: Mapping[str, Mapping[str, str]],
) -> None:
    """Raise for a parameter that SAM may have to know, and that has no value in some stage."""
    declared = template.get("Parameters") or {}
    for site in sites:
        for name in references(site.function):
            lacking = [
                stage
                for stage, of_stage in parameters.items()
                if name in declared and name not in of_stage and "Default" not in declared[name]
            ]
            if lacking:
                where = f" in the stage {lacking[0]}" if lacking[0] else ""
                raise TemplateError(
                    f"{path}: {site.place} is {shown(site.function)}, whose value SAM must know to"
                    f" expand the template, and {name} has none{where}.",
                    remedy=f"Give it one: `parameters: {{{name}: ...}}` of the stage in the"
                    " manifest, or a `Default` in the template.",
                )
