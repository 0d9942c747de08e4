"""Which pipelines a push starts: branch and file filters of V2 triggers, or plain detection."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tidegate_embedded.codepipeline.definition import actions
from tidegate_embedded.git import Push


def triggered_source(pipeline: Mapping[str, Any], push: Push) -> str | None:
    """The name of the source action through which a push starts the pipeline, if it does."""
    sources = {
        action["name"]: action["configuration"]
        for action in actions(pipeline)
        if action["actionTypeId"]["provider"] == "CodeStarSourceConnection"
        and action["configuration"].get("FullRepositoryId") == push.repository
    }
    if triggers := pipeline.get("triggers"):
        # Triggers replace the detection of changes on the action's own branch.
        configurations = [trigger["gitConfiguration"] for trigger in triggers]
        for git in configurations:
            name: str = git["sourceActionName"]
            if name in sources and any(_accepts(item, push) for item in git.get("push", [])):
                return name
        return None
    for name, settings in sources.items():
        detects = settings.get("DetectChanges", "true").lower() != "false"
        if detects and settings.get("BranchName") == push.branch:
            return name
    return None


def _accepts(filters: Mapping[str, Any], push: Push) -> bool:
    if "tags" in filters:
        return False  # for pushes of tags, which are none of a branch
    return _passes(filters.get("branches"), [push.branch]) and _passes(
        filters.get("filePaths"), push.files
    )


def _passes(criteria: Mapping[str, list[str]] | None, values: Iterable[str]) -> bool:
    """Whether a value is included and not excluded; nothing to say means yes."""
    if not criteria:
        return True
    includes = criteria.get("includes", ["**"])
    excludes = criteria.get("excludes", [])
    return any(_matches(includes, value) and not _matches(excludes, value) for value in values)


def _matches(patterns: Iterable[str], value: str) -> bool:
    return any(re.fullmatch(_expression(pattern), value) for pattern in patterns)


def _expression(pattern: str) -> str:
    """A glob as a regular expression: `**` passes slashes, `*` and `?` do not."""
    replacements = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return "".join(replacements.get(part, re.escape(part)) for part in parts)
