"""Draws releases: values of ``core.view`` to rich renderables. Pure but for the drawing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidegate.cli import text
from tidegate.cli.tree import (
    ICONS,
    Node,
    elapsed_seconds,
    next_words,
    reason,
    release_status,
    said,
    stage_node,
)
from tidegate.core.insight.history import HistoryEntry, LiveSpan
from tidegate.core.insight.views import ReleaseView, Severity, TestView
from tidegate.core.model.artifact import BILL_FILE
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import TrafficRollback

STYLES = {
    Severity.PENDING: "dim",
    Severity.RUNNING: "bright_blue",
    Severity.WAITING: "yellow",
    Severity.GOOD: "green",
    Severity.BAD: "red",
    Severity.ALERT: "bold red",
    Severity.SECURITY: "bold magenta",
    Severity.SKIPPED: "dim",
}


# Columns below which names and what is said of them do not stand side by side.
_WIDE = 100


@dataclass(frozen=True)
class _Line:
    prefix: str
    below: str  # what stands before a line that belongs to it
    node: Node

    @property
    def name(self) -> Text:
        """With the branches of the tree before it."""
        name = Text(self.prefix, style="dim")
        return name.append(self.node.name, style="bold not dim" if not self.prefix else "not dim")

    @property
    def mark(self) -> Text:
        """How it stands."""
        return _mark(self.node.severity, self.node.status)

    @property
    def age(self) -> str:
        """For how long it went on; nothing when it has not begun."""
        seconds = self.node.age_seconds
        return "" if seconds is None else text.whole_duration(seconds)

    @property
    def info(self) -> Text:
        """What there is to say of it."""
        return Text("  ".join(part for part in (self.node.info, self.node.clock) if part))


def draw_release(view: ReleaseView) -> RenderableType:
    """One release in full: who and what, what is next, and the tree of its stages."""
    parts: list[RenderableType] = [_header(view), _facts(view)]
    if view.stages:
        parts.append(
            Padding(_Tree([*_lines([stage_node(stage, view.at) for stage in view.stages])]), (1, 0))
        )
    return Group(*parts)


def draw_releases(views: Sequence[ReleaseView]) -> RenderableType:
    """Several releases: those under way in full, the others as a line each."""
    return Group(*(_closed(view) if view.phase.over else draw_release(view) for view in views))


def draw_list(views: Sequence[ReleaseView]) -> RenderableType:
    """A line for each release."""
    table = _plain_table()
    for title in ("RELEASE", "STATUS", "COMMIT", "SUBJECT", "AUTHOR", "AGE", "TOOK"):
        table.add_column(title, no_wrap=title != "SUBJECT", overflow="ellipsis")
    for view in views:
        table.add_row(
            view.id,
            _mark(view.severity, release_status(view)),
            text.commit(view.artifact.commit),
            Text(view.artifact.subject),
            Text(text.person(view.artifact.author)),
            text.whole_duration((view.at - view.started_at).total_seconds()),
            text.whole_duration(elapsed_seconds(view.started_at, view.ended_at, view.at)),
        )
    return table


def draw_history(entries: Sequence[HistoryEntry]) -> RenderableType:
    """A block for each release: where it was live, who agreed, and why it ended early."""
    return Group(*(Padding(_entry(entry), (0, 0, 1, 0)) for entry in entries))


# --- the parts of a release


def _built(artifact: ArtifactRef) -> str:
    """Where its bill of materials lies, and what the build says of where it comes from."""
    statement = artifact.provenance.removeprefix(f"{artifact.prefix}/")
    return f"s3://{artifact.bucket}/{artifact.prefix}/ ({BILL_FILE}, {statement})"


def _header(view: ReleaseView) -> RenderableType:
    artifact = view.artifact
    took = elapsed_seconds(view.started_at, view.ended_at, view.at)
    words = Text(artifact.subject or "without a commit message")
    if artifact.author:
        words.append(f"  by {text.person(artifact.author)}", style="dim")
    if artifact.branch:
        words.append(f"  on {artifact.branch}", style="dim")
    return Group(
        _side_by_side(
            Text(view.id, style="bold"),
            _mark(view.severity, release_status(view)),
            Text(text.whole_duration(took), style="dim"),
        ),
        _side_by_side(Text(text.commit(artifact.commit), style="cyan"), words),
    )


def _facts(view: ReleaseView) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    if view.tests:
        facts.add_row("tests", _tests(view.tests))
    for test in view.tests:
        if test.severity is Severity.BAD:
            facts.add_row("", Text(f"{test.name}: {test.cause or 'failed'} {test.url}".strip()))
    if words := next_words(view):
        facts.add_row("next", Text(words, style=STYLES[view.severity]))
    if view.artifact.provenance:
        facts.add_row("built", Text(_built(view.artifact)))
    if view.traffic_rollback:
        facts.add_row("traffic", Text(_traffic_rollback(view.traffic_rollback)))
    if view.abort_wanted_by:
        facts.add_row("abort", Text(f"asked by {text.person(view.abort_wanted_by)}", style="red"))
    if view.error:
        facts.add_row("why", Text(reason(view.error, view.cause), style=STYLES[view.severity]))
    return facts


def _tests(tests: Sequence[TestView]) -> Text:
    marks = []
    for test in tests:
        mark = _mark(test.severity, test.name)
        if test.seconds:
            mark.append(f" {text.duration(test.seconds)}", style="dim")
        marks.append(mark)
    return Text("   ").join(marks)


def _closed(view: ReleaseView) -> RenderableType:
    words = Text(f"{text.commit(view.artifact.commit)} {view.artifact.subject}")
    took = elapsed_seconds(view.started_at, view.ended_at, view.at)
    words.append(f"  {text.whole_duration(took)}", style="dim")
    mark = _mark(view.severity, release_status(view))
    line = _side_by_side(Text(view.id, style="bold"), mark, words)
    if not view.error:
        return line
    why = Text(reason(view.error, view.cause), style="dim")
    return Group(line, Padding(why, (0, 0, 0, 2)))


# --- the tree as a table


@dataclass(frozen=True)
class _Tree:
    """A table where there is room for one; else what is said of each name stands below it."""

    lines: Sequence[_Line]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= _WIDE:
            yield self._table()
            return
        names = max(line.name.cell_len for line in self.lines)
        marks = max(line.mark.cell_len + len(line.age) for line in self.lines) + 2
        for line in self.lines:
            yield from _narrow(line, min(names, options.max_width - marks - 2))

    def _table(self) -> Table:
        table = _plain_table()
        table.add_column("NAME", no_wrap=True)
        table.add_column("STATUS", no_wrap=True)
        table.add_column("AGE", no_wrap=True, justify="right")
        table.add_column("INFO", overflow="fold")
        for line in self.lines:
            table.add_row(line.name, line.mark, line.age, line.info)
        return table


def _narrow(line: _Line, width: int) -> Iterator[Table]:
    first = Table.grid(padding=(0, 2, 0, 0))
    first.add_column(width=width, no_wrap=True, overflow="ellipsis")
    first.add_column(no_wrap=True)
    first.add_row(line.name, line.mark.append(f"  {line.age}" if line.age else "", style="dim"))
    yield first
    if line.info:
        second = Table.grid()
        second.add_column(style="dim", no_wrap=True)
        second.add_column(overflow="fold")
        second.add_row(line.below, line.info)
        yield second


def _lines(nodes: Sequence[Node], indent: str = "", depth: int = 0) -> Iterator[_Line]:
    for number, node in enumerate(nodes, start=1):
        last = number == len(nodes)
        branch = ("└─ " if last else "├─ ") if depth else ""
        deeper = ("   " if last else "│  ") if depth else ""
        yield _Line(indent + branch, indent + deeper + ("│  " if node.children else "   "), node)
        yield from _lines(node.children, indent + deeper, depth + 1)


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


# --- history


def _entry(entry: HistoryEntry) -> Group:
    words = Text(f"{text.commit(entry.artifact.commit)} {entry.artifact.subject}")
    if entry.artifact.author:
        words.append(f"  by {text.person(entry.artifact.author)}", style="dim")
    words.append(f"  {text.moment(entry.started_at)}", style="dim")
    mark = _mark(entry.severity, entry.phase.value)
    head = _side_by_side(Text(entry.id, style="bold"), mark, words)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for span in entry.live:
        facts.add_row("  live", Text(_span(span)))
    if entry.traffic_rollback:
        facts.add_row("  traffic", Text(_traffic_rollback(entry.traffic_rollback)))
    for decided in entry.decisions:
        votes = ", ".join(said(vote.who, vote.approve, vote.reason) for vote in decided.votes)
        how = f"{decided.stage} {decided.decision.value}" + (f" by {votes}" if votes else "")
        facts.add_row("  approval", Text(how))
    if entry.error:
        facts.add_row("  why", Text(reason(entry.error, entry.cause), style=STYLES[entry.severity]))
    return Group(head, facts)


def _traffic_rollback(traffic_rollback: TrafficRollback) -> str:
    ended = (
        f"; {traffic_rollback.ended} was under way, and was aborted for it"
        if traffic_rollback.ended
        else ""
    )
    return (
        f"only: from {traffic_rollback.of} back to the versions of {traffic_rollback.to};"
        f" the stacks stayed with {traffic_rollback.of}{ended}"
    )


def _span(span: LiveSpan) -> str:
    end = f"until {text.moment(span.until)}" if span.until else "and still is"
    return f"{span.stage} {span.target} since {text.moment(span.since)}, {end}"


# --- small things


def _side_by_side(*words: Text) -> Table:
    """A line whose last part keeps to its own column when it is long: no part of it begins one."""
    line = Table.grid(padding=(0, 2))
    for number in range(1, len(words) + 1):
        line.add_column(no_wrap=number < len(words))
    line.add_row(*words)
    return line


def _mark(severity: Severity, words: str) -> Text:
    return Text(f"{ICONS[severity]} {words}", style=STYLES[severity])
