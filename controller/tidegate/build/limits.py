"""What of a template no release can take over, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.build.report import Report
from tidegate.build.template import Template, shown, walk

_NESTED: Final = {"AWS::CloudFormation::Stack": "TemplateURL"}


def notice_limits(template: Template, report: Report) -> None:
    """Name each resource whose functions or properties a build cannot see."""
    for logical_id, resource in sorted(template["Resources"].items()):
        if location := _NESTED.get(resource["Type"]):
            where = shown(resource.get("Properties", {}).get(location))
            report.notice(
                f"{logical_id} is a stack of its own ({where}): functions in it are not shifted,"
                " their new code serves at once. Make it an application of its own."
            )
        if any(_is_macro(part) for part in walk(resource)):
            report.notice(
                f"{logical_id} uses `Fn::Transform`, which only CloudFormation can run: what it"
                " makes is deployed, but not packaged, pinned or fingerprinted. Write it out."
            )


def _is_macro(part: Any) -> bool:
    return isinstance(part, Mapping) and "Fn::Transform" in part
