"""Runs the demonstration: pushes each commit and follows its release to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tidegate.cli.backend import Backend
from tidegate.cli.reading import newest_releases, read_again
from tidegate.cli.view import draw_release
from tidegate.cli.watch import follow
from tidegate.core.errors import TidegateError
from tidegate.core.insight.views import ReleaseView, StageView
from tidegate.core.model.record import Live, Release, application_partition
from tidegate.core.text.commands import command
from tidegate_embedded.demo.repository import Repository
from tidegate_embedded.demo.scenario import Chapter

_RELEASE_WITHIN_SECONDS: Final = 600.0  # only what hangs takes so long, on any machine
_OVER_WITHIN_SECONDS: Final = 1800.0
_EVERY_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Ending:
    """How one chapter ended: its release, and what was live in each stage right after it.

    ``live`` maps a stage to the record of what its target serves.
    """

    chapter: Chapter
    release: ReleaseView
    live: dict[str, Live]


@dataclass(frozen=True)
class Story:
    """The example application on its way, commit by commit."""

    application: str
    repository: Repository
    backend: Backend
    pipelines: Any  # a CodePipeline client
    console: Console
    interactive: bool

    def tell(self, chapter: Chapter) -> Ending:
        """Push the chapter's commit and follow its release until it is over.

        Raises ``TidegateError`` when no release starts, or when it does not end.
        """
        title = Text(f"{chapter.number}. {chapter.title}", style="bold")
        self.console.rule(title, align="left")
        if chapter.patch:
            self.repository.apply(chapter.patch)
        else:
            self.repository.commit_all("Add the hello application")
        commit = self.repository.head()
        self.repository.push()
        self.console.print(f"git push: {commit[:7]} {self.repository.subject()}")
        with self.console.status("The pipeline builds it, once for all stages"):
            release = self._await_release(commit)
        view = self._follow(release.id)
        return Ending(chapter, view, self._live())

    def _await_release(self, commit: str) -> Release:
        deadline = time.monotonic() + _RELEASE_WITHIN_SECONDS
        while time.monotonic() < deadline:
            for release in newest_releases(self.backend.ledger, self.application, limit=1):
                if release.artifact.commit == commit:
                    return release
            self._check_pipeline(commit)
            time.sleep(_EVERY_SECONDS)
        raise TidegateError(f"no release of {commit[:7]} began in {_RELEASE_WITHIN_SECONDS:.0f} s.")

    def _check_pipeline(self, commit: str) -> None:
        """Raise ``TidegateError`` with the reason when the commit's pipeline has failed."""
        executions = self.pipelines.list_pipeline_executions(pipelineName=self.application)
        for execution in executions["pipelineExecutionSummaries"]:
            revisions = [r.get("revisionId") for r in execution.get("sourceRevisions", ())]
            if commit in revisions and execution["status"] in {"Failed", "Stopped"}:
                raise TidegateError(self._why(execution["pipelineExecutionId"]))

    def _why(self, execution: str) -> str:
        actions = self.pipelines.list_action_executions(
            pipelineName=self.application, filter={"pipelineExecutionId": execution}
        )["actionExecutionDetails"]
        failed = next(action for action in actions if action["status"] == "Failed")
        result = failed.get("output", {}).get("executionResult", {})
        words = result.get("errorDetails", {}).get("message") or result
        return f"the pipeline failed in {failed['actionName']}: {words}"

    def _follow(self, release_id: str) -> ReleaseView:
        seen: set[str] = set()
        while True:
            view = self._watch(release_id, partial(_needs_attention, seen=seen))
            if view.phase.over:
                return view
            for stage in view.awaiting:
                seen.add(stage.name)
                self._decide(view, stage)

    def _watch(self, release_id: str, until: Callable[[ReleaseView], bool]) -> ReleaseView:
        def read(now: datetime) -> Sequence[ReleaseView]:
            return [read_again(self.backend.ledger, release_id, now)]

        (view,) = follow(
            read,
            lambda views: until(views[0]),
            console=self.console,
            draw=lambda views: Padding(draw_release(views[0]), (1, 0)),
            every_seconds=_EVERY_SECONDS,
            timeout_seconds=None if self.interactive else _OVER_WITHIN_SECONDS,
            now=lambda: datetime.now(UTC),
        )
        return view

    def _decide(self, view: ReleaseView, stage: StageView) -> None:
        """Approve for the user, who has seen above what it is about; or leave it to them."""
        approve = command("approve", view.id, stage=stage.name)
        if self.interactive:
            enter = 'eval "$(.venv/bin/tidegate local env)"'
            self.console.print(f"Your turn, in another terminal:  {enter}; {approve}")
            return
        self.console.print(Text.assemble(("$", "dim"), f" {approve}"))
        why = "as the demonstration does"
        answer = self.backend.operate("approve", view.id, stage.name, why, shown=stage.shown)
        self.console.print(answer)

    def _live(self) -> dict[str, Live]:
        items = self.backend.ledger.query(application_partition(self.application), "LIVE#")
        return {item.stage: item for item in items if isinstance(item, Live)}


def _needs_attention(view: ReleaseView, seen: set[str]) -> bool:
    return view.phase.over or any(stage.name not in seen for stage in view.awaiting)
