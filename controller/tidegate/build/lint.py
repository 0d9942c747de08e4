"""Asks cfn-lint what CloudFormation would refuse of an expanded template.

Its rules of references, conditions, outputs and schemas; not its advice. A rule that is mistaken is
switched off where cfn-lint itself looks for that: ``Metadata.cfn-lint.config.ignore_checks``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from tidegate.build.references import shared_exports
from tidegate.build.template import Template
from tidegate.core.errors import TemplateError

if TYPE_CHECKING:
    from cfnlint.rules import Match

INSTALL: Final = "pip install 'tidegate[lint]'"
_ADVICE: Final = ["W", "I"]
_OF_INTRINSICS: Final = ("Fn::", "Ref")
_ABOUT_NAMES: Final = ("E1", "E3005", "E3015", "E6", "E8")
_NOT_ONE_OF: Final = re.compile(r"'(?P<name>.*?)' is not one of \[(?P<known>[^\]]*)\]", re.DOTALL)


class NoLinter(Exception):  # noqa: N818  # no error: what it would have found is not known
    """cfn-lint is not installed."""

    def __str__(self) -> str:
        return f"What CloudFormation would refuse of the template is not looked for: {INSTALL}."


def find_faults(template: Template, regions: Sequence[str]) -> Iterator[str]:
    """A sentence for each fault, with its place in the template. Raises ``NoLinter``."""
    try:
        from cfnlint.api import ManualArgs, lint  # noqa: PLC0415  # an extra, and slow to load
        from cfnlint.helpers import REGIONS  # noqa: PLC0415
    except ImportError as error:
        raise NoLinter from error
    listed = [region for region in regions if region in REGIONS]  # others may be newer
    arguments = ManualArgs(regions=listed, ignore_checks=[*_ADVICE, *_switched_off(template)])
    found = (
        f"{_place(match.path or [])}: {_said(match)} (cfn-lint {match.rule.id})"
        for match in lint(json.dumps(template), config=arguments)
    )
    yield from dict.fromkeys(found)
    if shared := shared_exports(template):
        yield f"Outputs: several are exported as {', '.join(shared)}"


def check_faults(template: Template, path: str, regions: Sequence[str]) -> None:
    """Raises ``TemplateError`` with all that CloudFormation would refuse, and ``NoLinter``."""
    faults = list(find_faults(template, regions))
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise TemplateError(
            f"{path}: CloudFormation would refuse it:{listed}\n",
            remedy="A rule that is mistaken is left out by `Metadata: {cfn-lint: {config:"
            " {ignore_checks: [RULE]}}}` in the template.",
        )


def _switched_off(template: Template) -> list[str]:
    """The rules that the template itself wants to be left out."""
    config = ((template.get("Metadata") or {}).get("cfn-lint") or {}).get("config") or {}
    return [str(rule) for rule in config.get("ignore_checks") or []]


def _place(path: Sequence[Any]) -> str:
    """The dotted path, up to the function that is there."""
    names = [str(part) for part in path]
    inside = next((at for at, name in enumerate(names) if name.startswith(_OF_INTRINSICS)), None)
    return ".".join(names[:inside])


def _said(match: Match) -> str:
    message = str(match.message)
    found = _NOT_ONE_OF.match(message)
    if found is None:
        return message
    name = found["name"]
    known = re.findall(r"'([^']*)'", found["known"])
    near = difflib.get_close_matches(name, known, n=1)
    said = (
        f"there is no {name}" if _is_about_names(match) else f"{name} is not among what it may be"
    )
    return f'{said}, did you mean "{near[0]}"?' if near else said


def _is_about_names(match: Match) -> bool:
    """Of resources, conditions or mappings, and not of values."""
    return str(match.rule.id).startswith(_ABOUT_NAMES)
