"""What becomes of a template that Tidegate takes over, without building or deploying anything."""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tidegate.build.callbacks import Callback, find_callbacks
from tidegate.build.expand import Expansion, Setting, expand_template
from tidegate.build.loops import expand_loops
from tidegate.build.package import PackageStore, package_code
from tidegate.build.sam import transform
from tidegate.build.sam_values import give_known_values
from tidegate.build.source import source_root
from tidegate.build.template import Template, read_template
from tidegate.core.model.artifact import TemplateDefaults
from tidegate.core.model.strategy import NAMED

_SECTIONS: Final = ("Parameters", "Conditions", "Resources")


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """How one resource of the expanded template differs from what SAM makes of it."""

    resource: str
    type: str
    change: str  # "modified" or "removed"
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookChange:
    """A hook that reports to CodeDeploy, and its file with the answer that it returns instead."""

    hook: str
    said: str
    path: Path | None
    before: str
    after: str | None  # None where a person must look

    @property
    def diff(self) -> str:
        """What ``write`` changes, as a unified diff; "" when a person must look."""
        if self.after is None:
            return ""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, f"{self.path}", f"{self.path}, mended"))

    def write(self) -> None:
        """Change the file."""
        if self.path is not None and self.after is not None:
            self.path.write_text(self.after, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Migration:
    """What Tidegate does with a template, in data; ``diff`` shows it."""

    aliases: tuple[str, ...]  # "Orders:live", with the function's logical id
    defaults: TemplateDefaults  # what ``DeploymentPreference`` comes to
    changes: tuple[ResourceChange, ...]
    notices: tuple[str, ...]
    diff: str
    hooks: tuple[HookChange, ...] = ()  # those that report to CodeDeploy

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "aliases": list(self.aliases),
            "defaults": self.defaults.model_dump(mode="json"),
            "changes": [
                {
                    "resource": change.resource,
                    "type": change.type,
                    "change": change.change,
                    "reasons": list(change.reasons),
                }
                for change in self.changes
            ],
            "notices": list(self.notices),
            "hooks": [
                {
                    "hook": change.hook,
                    "file": str(change.path or ""),
                    "diff": change.diff,
                    "said": change.said,
                }
                for change in self.hooks
            ],
            "diff": self.diff,
        }


def migrate_template(path: Path, parameters: Mapping[str, str]) -> Migration:
    """Take the template over, as a stage with these parameters would have it.

    Raises ``TemplateError``.
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        store = PackageStore(Path(folder) / "packages", "packages")
        template = expand_loops(read_template(path), str(path), [Setting("", parameters)])
        package_code(template, path, store, root=source_root(path.parent))
        template = give_known_values(template, str(path), {"": parameters})
        before = transform(template, str(path), parameters)
        expansion = expand_template(template, str(path), [Setting("", parameters)])
        defaults = expansion.defaults[""]
        hooks = (*defaults.pre_traffic, *defaults.post_traffic)
        callbacks = tuple(map(_hook_change, find_callbacks(expansion.template, hooks, store)))
    return Migration(
        aliases=tuple(f"{alias.function}:{alias.alias}" for alias in expansion.aliases),
        defaults=defaults,
        changes=tuple(_changes(before, expansion)),
        notices=(
            *expansion.report.notices,
            *_on_strategy(defaults),
            *(change.said for change in callbacks),
        ),
        diff="".join(_diff(before, expansion)),
        hooks=callbacks,
    )


def _hook_change(callback: Callback) -> HookChange:
    path = callback.path
    before = path.read_text(encoding="utf-8") if path else ""
    return HookChange(callback.hook, str(callback), path, before, callback.rewritten(before))


def _changes(before: Template, expansion: Expansion) -> Iterator[ResourceChange]:
    report = expansion.report
    for name, reasons in sorted(report.changed.items()):
        yield ResourceChange(name, before["Resources"][name]["Type"], "modified", tuple(reasons))
    for name, reason in sorted(report.removed.items()):
        yield ResourceChange(name, before["Resources"][name]["Type"], "removed", (reason,))


def _on_strategy(defaults: TemplateDefaults) -> Iterator[str]:
    if defaults.steps is None and defaults.strategy and defaults.strategy not in NAMED:
        yield (
            f"Only CodeDeploy knows the steps of {defaults.strategy}: give each stage a `strategy`"
            " in the manifest."
        )


def _diff(before: Template, expansion: Expansion) -> Iterator[str]:
    """A unified diff of the expanded templates, of what differs in them."""
    report = expansion.report
    touched = report.changed.keys() | report.removed.keys()
    return difflib.unified_diff(
        _lines(before, touched),
        _lines(expansion.template, touched),
        "as SAM expands it",
        "as Tidegate deploys it",
    )


def _lines(template: Template, resources: Iterable[str]) -> list[str]:
    sections = {section: template.get(section, {}) for section in _SECTIONS}
    sections["Resources"] = {
        name: resource for name, resource in template["Resources"].items() if name in resources
    }
    return (json.dumps(sections, indent=2, sort_keys=True) + "\n").splitlines(keepends=True)
