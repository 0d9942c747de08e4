"""Finds hooks that were written for CodeDeploy and report to it, which nobody listens to now."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tidegate.build.answers import rewrite
from tidegate.build.package import PackageStore
from tidegate.build.template import Template

_CALL: Final = re.compile(
    r"put_lifecycle_event_hook_execution_status|PutLifecycleEventHookExecutionStatus", re.IGNORECASE
)
_CODE: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb")
_DEPENDENCIES: Final = "node_modules/"


@dataclass(frozen=True, slots=True)
class Callback:
    """A call to CodeDeploy in a hook's code."""

    hook: str  # logical id
    place: str  # the file in the package, or "inline"
    line: int
    call: str
    path: Path | None = None  # the file on disk
    handler: str = ""  # the name of the handler, if the file has it

    def __str__(self) -> str:
        return (
            f"{self.hook} reports to CodeDeploy ({self.place}:{self.line}: {self.call}), and there"
            " is no CodeDeploy deployment: its run will fail. Write in place of the call:"
            ' `return {"status": status}`.'
        )

    def rewritten(self) -> str | None:
        """The file's text with the answer in place of the call; None where a person must look."""
        if self.path is None or not self.handler:
            return None
        return rewrite(self.path.read_text(encoding="utf-8"), self.path.suffix, self.handler)


def find_callbacks(
    template: Template, hooks: Iterable[str], store: PackageStore
) -> Iterator[Callback]:
    """The first call of each hook whose code reports to CodeDeploy."""
    for hook in dict.fromkeys(hooks):
        properties = template["Resources"].get(hook, {}).get("Properties", {})
        code = properties.get("Code")
        for place, text in _sources(code, store):
            if match := _CALL.search(text):
                line = text.count("\n", 0, match.start()) + 1
                path = _on_disk(code, place, store)
                handler = _handler_in(place, properties.get("Handler"))
                yield Callback(hook, place, line, match[0], path, handler)
                break


def _on_disk(code: Mapping[str, Any], place: str, store: PackageStore) -> Path | None:
    source = store.sources.get(str(code.get("S3Key")))
    if source is None:
        return None
    path = source / place if source.is_dir() else source
    return path if path.is_file() else None


def _handler_in(place: str, handler: Any) -> str:
    """``handler`` of ``src/app.handler`` for the file ``src/app.py``; "" for any other file."""
    module, _, name = str(handler).rpartition(".")
    return name if module and module in {place.rpartition(".")[0], _dotted(place)} else ""


def _dotted(place: str) -> str:
    return place.rpartition(".")[0].replace("/", ".")


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
