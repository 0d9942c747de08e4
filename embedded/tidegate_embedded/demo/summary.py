"""Tells what the demonstration showed, and checks it against what AWS has recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.cli.tree import ICONS, reason
from tidegate.cli.view import STYLES
from tidegate.core.insight.views import ReleaseView
from tidegate.core.ports import AliasRef, Counts
from tidegate_embedded.demo.story import Ending

_HOOK_REQUESTS: Final = 1  # a post-traffic hook asks the live alias once
_MINUTE: Final = 60


@dataclass(frozen=True)
class Served:
    """What one version answered: as the load generator saw it, and as Lambda's metrics say."""

    version: str
    seen: Counts
    recorded: Counts

    @property
    def agrees(self) -> bool:
        """Whether the metrics tell of what users saw, and of what hooks asked."""
        extra = self.recorded.invocations - self.seen.invocations
        return 0 <= extra <= _HOOK_REQUESTS and self.recorded.errors == self.seen.errors


def read_served(
    cloudwatch: Any, ref: AliasRef, seen: Mapping[str, Counts], since: datetime, until: datetime
) -> list[Served]:
    """Put Lambda's metrics beside what users saw, version by version."""
    return [
        Served(version, counts, _recorded(cloudwatch, ref, version, since, until))
        for version, counts in seen.items()
    ]


def print_summary(console: Console, endings: Sequence[Ending], served: Sequence[Served]) -> None:
    """Print what became of each commit and what each version in prod served."""
    console.rule(Text("What happened", style="bold"), align="left")
    console.print(_releases(endings))
    console.print()
    console.print(_versions(endings, served))


def differences(
    endings: Sequence[Ending], served: Sequence[Served], alias: Mapping[str, Any]
) -> Iterator[str]:
    """What is not as it had to be, in words; nothing when all is well.

    ``alias`` is prod's live alias as Lambda describes it at the end.
    """
    digests = {ending.chapter.number: ending.release.artifact.digest for ending in endings}
    by_version = {one.version: one for one in served}
    for ending in endings:
        yield from _of_chapter(ending, digests, by_version)
    for one in served:
        yield from _of_version(one)
    routes = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    if routes:
        yield f"prod's alias is still split: {routes}"
    expected = _version(endings[-1], "prod")
    if alias["FunctionVersion"] != expected:
        yield f"prod serves version {alias['FunctionVersion']}, the record says {expected}"


def _of_chapter(
    ending: Ending, digests: Mapping[int, str], served: Mapping[str, Served]
) -> Iterator[str]:
    chapter, view = ending.chapter, ending.release
    if (view.phase, view.error) != (chapter.phase, chapter.error):
        yield (
            f"commit {chapter.number} ended as {view.phase.value} {view.error},"
            f" not as {chapter.phase.value} {chapter.error}"
        )
    for stage, number in chapter.live.items():
        if ending.live[stage].artifact.digest != digests[number]:
            yield f"after commit {chapter.number}, {stage} does not serve commit {number}"
    candidate = _candidate(view, "prod")
    if chapter.number == 1:
        candidate = _version(ending, "prod")
    counts = served[candidate].seen if candidate in served else Counts()
    had = (counts.invocations > 0, counts.errors > 0)
    if had != (chapter.candidate_in_prod, chapter.fails_there):
        yield f"commit {chapter.number}: in prod, version {candidate} had {_words(counts)}"


def _of_version(one: Served) -> Iterator[str]:
    if not one.agrees:
        yield (
            f"version {one.version}: users saw {_words(one.seen)},"
            f" Lambda recorded {_words(one.recorded)}"
        )


def _releases(endings: Sequence[Ending]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("COMMIT", "RELEASE", "OUTCOME", "TOOK", "WHY"):
        table.add_column(title, overflow="fold", no_wrap=title != "WHY")
    for ending in endings:
        view = ending.release
        table.add_row(
            f"{ending.chapter.number}  {view.artifact.commit[:7]}",
            view.id,
            Text(f"{ICONS[view.severity]} {view.phase.value}", style=STYLES[view.severity]),
            f"{((view.ended_at or view.at) - view.started_at).total_seconds():.0f}s",
            reason(view.error, view.cause) or view.artifact.subject,
        )
    return table


def _versions(endings: Sequence[Ending], served: Sequence[Served]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    titles = ("VERSION IN PROD", "OF COMMIT", "LIVE", "REQUESTS", "FAILED", "IN LAMBDA'S METRICS")
    for title in titles:
        table.add_column(title, justify="right" if title in {"REQUESTS", "FAILED"} else "left")
    for one in served:
        table.add_row(
            one.version,
            *_origin(endings, one.version),
            f"{one.seen.invocations:,}",
            f"{one.seen.errors:,}",
            _words(one.recorded),
        )
    return table


def _origin(endings: Sequence[Ending], version: str) -> tuple[str, str]:
    """Which commit made the version, and from when to when it was live in prod."""
    for number, ending in enumerate(endings):
        if version == _version(ending, "prod"):
            later = [e for e in endings[number:] if _version(e, "prod") != version]
            end = f"{later[0].live['prod'].since:%H:%M:%S}" if later else "now"
            return str(ending.chapter.number), f"{ending.live['prod'].since:%H:%M:%S} to {end}"
        if version == _candidate(ending.release, "prod"):
            return str(ending.chapter.number), "never, taken back"
    return "?", "?"


def _version(ending: Ending, stage: str) -> str:
    """The version that the stage's first alias serves after this chapter."""
    return next(iter(ending.live[stage].versions.values()))


def _candidate(view: ReleaseView, stage: str) -> str:
    """The version that the release brought to a stage; "" when none was to shift there."""
    shifts = [
        shift
        for one in view.stages
        if one.name == stage
        for rollout in one.rollouts
        for shift in rollout.shifts
    ]
    return shifts[0].candidate if shifts else ""


def _words(counts: Counts) -> str:
    return f"{counts.invocations:,} requests, {counts.errors:,} failed"


def _recorded(
    cloudwatch: Any, ref: AliasRef, version: str, since: datetime, until: datetime
) -> Counts:
    """Invocations and errors of a version behind the alias, from Lambda's own metrics."""
    start = since.replace(second=0, microsecond=0)
    names = ("Invocations", "Errors")
    dimensions = {
        "FunctionName": ref.function,
        "Resource": f"{ref.function}:{ref.alias}",
        "ExecutedVersion": version,
    }
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {
                "Id": name.lower(),
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": name,
                        "Dimensions": [
                            {"Name": key, "Value": value} for key, value in dimensions.items()
                        ],
                    },
                    "Period": _MINUTE,
                    "Stat": "Sum",
                },
            }
            for name in names
        ],
        StartTime=start,
        EndTime=until + timedelta(seconds=_MINUTE),
    )
    sums = {result["Id"]: int(sum(result["Values"])) for result in answer["MetricDataResults"]}
    return Counts(sums["invocations"], sums["errors"])
