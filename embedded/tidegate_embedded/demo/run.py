"""The demonstration from start to end: set up, four commits, a summary, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from tidegate.cli.backend import Settings, connect
from tidegate.core.model.manifest import parse_manifest
from tidegate.core.model.record import Live
from tidegate.core.ports import AliasRef
from tidegate.web.server import Page, serving
from tidegate_embedded import process
from tidegate_embedded.demo.repository import Repository
from tidegate_embedded.demo.scenario import CHAPTERS, PAYLOADS, REQUESTS_PER_SECOND, adapt
from tidegate_embedded.demo.story import Ending, Story
from tidegate_embedded.demo.summary import Served, differences, print_summary, read_served
from tidegate_embedded.demo.traffic import Traffic
from tidegate_embedded.install import (
    CONTROLLER_ACCOUNT,
    CONTROLLER_STACK,
    Installer,
    find_checkout,
    target_accounts,
)
from tidegate_embedded.process import LocalAws

_METRICS_WITHIN_SECONDS: Final = 60.0
_EVERY_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Shown:
    """What was shown, and what of it was not as it had to be."""

    endings: list[Ending]
    served: list[Served]
    problems: list[str]


@dataclass(frozen=True)
class Demo:
    """What the user asked for."""

    folder: Path
    console: Console
    interactive: bool = False
    keep: bool = False

    def run(self) -> Shown:
        """Show everything, from an empty machine to a summary."""
        started = time.monotonic()
        with self._aws() as aws, ExitStack() as stack:
            story = self._set_up(aws)
            if self.keep:
                page = aws.serve_page(CONTROLLER_ACCOUNT)
            else:
                here = Page(story.backend, lambda: datetime.now(UTC))
                page = stack.enter_context(serving(here)).address()
            self.console.print(f"The same in a browser: {page}", soft_wrap=True)
            self.console.print()
            begun = datetime.now(UTC)
            first = story.tell(CHAPTERS[0])
            prod = first.live["prod"]
            ref, account = _alias_of(prod), prod.target.partition("/")[0]
            users = partial(aws.client, "lambda", account)
            with Traffic(users, ref, rate=REQUESTS_PER_SECOND, payloads=PAYLOADS) as traffic:
                self.console.print(
                    f"From now on users send {REQUESTS_PER_SECOND:.0f} requests a second to prod."
                )
                endings = [first, *(story.tell(chapter) for chapter in CHAPTERS[1:])]
            metrics = aws.client("cloudwatch", account)
            served = _settled(
                lambda: read_served(metrics, ref, traffic.counts(), begun, datetime.now(UTC))
            )
            print_summary(self.console, endings, served)
            alias = users().get_alias(FunctionName=ref.function, Name=ref.alias)
            problems = list(differences(endings, served, alias))
            self._conclude(problems, time.monotonic() - started)
            if self.keep:
                self._tell_how_to_go_on(story, page)
        return Shown(endings, served, problems)

    @contextmanager
    def _aws(self) -> Iterator[LocalAws]:
        """The embedded AWS, stopped at the end with all that it started unless it is to be kept."""
        if process.find(self.folder) is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        aws = process.start(self.folder, keep=self.keep)
        finished = False
        try:
            os.environ.update(aws.environment(CONTROLLER_ACCOUNT))
            yield aws
            finished = True
        finally:
            if not (finished and self.keep):
                aws.stop()

    def _set_up(self, aws: LocalAws) -> Story:
        console, checkout = self.console, find_checkout()
        installer = Installer(aws, checkout, self.folder / "install.log")
        manifest = parse_manifest((checkout / "tidegate.yaml").read_text("utf-8"))
        console.print(f"The embedded AWS answers at {aws.endpoint}.")
        with console.status("Installing Tidegate: sam build, sam deploy"):
            installer.controller(target_accounts(manifest))
        with console.status("Preparing the accounts and the pipeline"):
            repository_id = f"example/{manifest.application}"
            repository = Repository.create(
                self.folder,
                checkout,
                full_repository_id=repository_id,
                variables=aws.environment(CONTROLLER_ACCOUNT),
            )
            adapt(repository.clone / "tidegate.yaml")
            installer.application(manifest, repository_id)
        console.print(f"Tidegate is installed, with a pipeline for {manifest.application}.")
        return Story(
            application=manifest.application,
            repository=repository,
            backend=connect(Settings(stack=CONTROLLER_STACK)),
            pipelines=aws.client("codepipeline", CONTROLLER_ACCOUNT),
            console=console,
            interactive=self.interactive,
        )

    def _conclude(self, problems: list[str], seconds: float) -> None:
        self.console.print()
        if problems:
            self.console.print("✖ Not as it had to be:", style="bold red")
            for problem in problems:
                self.console.print(f"  {problem}")
            return
        said = Text("✔ All as it had to be.", style="bold green")
        said.append(
            f" Both bad commits were stopped; what users saw and what Lambda recorded agree."
            f" {seconds:.0f} s in all.",
            style="not bold default",
        )
        self.console.print(said)

    def _tell_how_to_go_on(self, story: Story, page: str) -> None:
        application, clone = story.application, story.repository.clone
        lines = f"""
It stays up. To go on, in this folder:
  eval "$(.venv/bin/tidegate local env)"
  tidegate local traffic {application} prod &      # users, so that there is something to judge
  cd {clone}
  git revert --no-edit HEAD HEAD~1         # back to what is live; then edit, git commit, git push
  tidegate get {application} --watch               # or in a browser: {page}
  tidegate approve {application}
To stop it: tidegate local down"""
        for line in lines.splitlines():
            self.console.print(line, soft_wrap=True)


def _settled(read: Callable[[], list[Served]]) -> list[Served]:
    """What was served, as soon as Lambda's metrics tell of all that users saw, or after a while."""
    deadline = time.monotonic() + _METRICS_WITHIN_SECONDS
    served = read()
    while not all(one.agrees for one in served) and time.monotonic() < deadline:
        time.sleep(_EVERY_SECONDS)
        served = read()
    return served


def _alias_of(live: Live) -> AliasRef:
    """The alias that users call: the only one of the example."""
    function, _, alias = next(iter(live.versions)).rpartition(":")
    return AliasRef(function, alias)
