"""Draws what simulations and replays found, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidegate.cli import text
from tidegate.core.insight.retro import Hindsight, RolloutSummary
from tidegate.simulate.trial import OURS, Finding, Outcome, Report

_SURE_OF_NONE = 3  # "rule of three": none of n runs means below 3/n with 95 % confidence


def draw_report(report: Report, *, presets: bool) -> RenderableType:
    """All findings; ``presets`` shows every preset, not only the best for each regression."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for title in ("REGRESSION", "POLICY"):
        table.add_column(title, no_wrap=True)
    if presets:
        table.add_column("ALARM", no_wrap=True)
    for title in ("CAUGHT", "UNJUDGED", "AFTER", "P90", "HARMED", "LIVE"):
        table.add_column(title, justify="right", no_wrap=True)
    for finding in report.findings:
        for number, outcome in enumerate(_shown(finding, presets=presets)):
            table.add_row(finding.regression if not number else "", *_row(outcome, presets=presets))
    return Group(_head(report), Padding(table, (1, 0)), Group(*_foot(report)))


def _head(report: Report) -> Group:
    head = Text(f"{report.strategy}", style="bold")
    head.append(f"  in {report.stage}" if report.stage else "")
    profile = report.profile
    traffic = Text(
        f"{profile.mean_rate:g} requests/s, {text.percent(profile.error_rate)} fail on stable;"
        f" {report.runs:,} runs each, seed {report.seed}",
        style="dim",
    )
    return Group(head, traffic)


def _shown(finding: Finding, *, presets: bool) -> Iterator[Outcome]:
    yield finding.ours
    if presets:
        yield from finding.outcomes[1:]
    elif finding.regression != "none":
        yield finding.best_preset


def _row(outcome: Outcome, *, presets: bool) -> tuple[RenderableType, ...]:
    ours = outcome.policy == OURS
    return (
        Text(outcome.policy, style="bold" if ours else ""),
        *([outcome.alarm] if presets else []),
        _share(outcome.caught),
        _share(outcome.given_up) if outcome.given_up else "",
        _minutes(outcome.minutes_to_catch),
        _minutes(outcome.minutes_to_catch_p90),
        f"{outcome.harmed:,.1f}",
        _minutes(outcome.minutes_to_promote),
    )


def _share(share: float) -> str:
    return f"{share:.1%}"


def _minutes(minutes: int | None) -> str:
    return "" if minutes is None else f"{minutes}m"


def _foot(report: Report) -> Iterator[Text]:
    healthy = report.findings[0].ours
    taken_back = f"{healthy.caught:.1%}"
    if not healthy.caught:
        taken_back = f"none of {report.runs:,}, so below {_SURE_OF_NONE / report.runs:.1%}"
    others = ", ".join(report.taken_for_well)
    lines = [
        f"Healthy releases taken back by Tidegate: {taken_back}.",
        *([f"Not simulated and taken for well: {others}."] if others else []),
        (
            "CAUGHT: taken back because it was worse, AFTER so long (median, P90)."
            " LIVE: promoted after so long."
        ),
        (
            f"HARMED: users' requests within {report.horizon_minutes} min that fail and would not"
            " have failed on stable, mean."
        ),
        (
            "A preset has the best alarm on errors that takes back at most 1 % of healthy releases"
            " at this traffic: --presets shows it."
        ),
    ]
    return (Text(line, style="dim") for line in lines)


def draw_hindsight(found: Sequence[Hindsight], stage: str) -> RenderableType:
    """A line for each past rollout; why it would have ended otherwise, where it would."""
    if not found:
        return Text(f"No decision about a rollout in {stage} is recorded.")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("RELEASE", "TARGET", "RECORDED", "WITH THIS POLICY", "DATA"):
        table.add_column(title, no_wrap=title == "RELEASE", overflow="fold")
    for one in found:
        replayed = "not known" if one.replayed is None else _summary(one.replayed)
        table.add_row(one.release, one.target, _summary(one.recorded), replayed, _data(one))
    return Group(table, Padding(Group(*map(Text, _reasons(found))), (1, 0, 0, 0)))


def _summary(of: RolloutSummary) -> str:
    failed = f", {of.candidate_errors:,} failed" if of.candidate_errors else ""
    after = text.span(of.seconds)
    if of.ending == "under-way":
        return f"at {text.percent(of.weight)} after {after}{failed}"
    return f"{of.ending} after {after}{failed}"


def _data(one: Hindsight) -> str:
    if one.replayed is None:
        return "not recorded"
    return "of these weights" if one.same_weights else "of other weights"


def _reasons(found: Sequence[Hindsight]) -> Iterator[str]:
    for one in found:
        if one.replayed is not None and one.differs_at is not None:
            yield f"{one.release}: differs from decision {one.differs_at} on; {one.replayed.why}"
