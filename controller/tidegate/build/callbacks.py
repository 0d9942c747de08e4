"""Finds hooks that were written for CodeDeploy and report to it, which nobody listens to now."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tidegate.build.package import PackageStore
from tidegate.build.template import Template

_CALL: Final = re.compile(
    r"put_lifecycle_event_hook_execution_status|PutLifecycleEventHookExecutionStatus", re.IGNORECASE
)
_CODE: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb")
_DEPENDENCIES: Final = "node_modules/"


def find_callbacks(template: Template, hooks: Iterable[str], store: PackageStore) -> Iterator[str]:
    """One sentence for each hook whose code reports to CodeDeploy."""
    for hook in dict.fromkeys(hooks):
        properties = template["Resources"].get(hook, {}).get("Properties", {})
        for place, text in _sources(properties.get("Code"), store):
            if match := _CALL.search(text):
                line = text.count("\n", 0, match.start()) + 1
                yield (
                    f"{hook} reports to CodeDeploy ({place}:{line}: {match[0]}), and there is no"
                    " CodeDeploy deployment: its run will fail. Write in place of the call:"
                    ' `return {"status": status}`.'
                )
                break


def _sources(code: Any, store: PackageStore) -> Iterator[tuple[str, str]]:
    """The code that the build itself packaged, or that is in the template."""
    if not isinstance(code, Mapping):
        return
    if isinstance(inline := code.get("ZipFile"), str):
        yield "inline", inline
    if code.get("S3Key") in store.digests:
        with zipfile.ZipFile(store.path(code["S3Key"])) as archive:
            for name in archive.namelist():
                if name.endswith(_CODE) and _DEPENDENCIES not in name:
                    yield name, archive.read(name).decode("utf-8", "replace")
