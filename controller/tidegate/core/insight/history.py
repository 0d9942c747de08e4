"""When each release was live, what was decided of it, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tidegate.core.insight.release_view import RELEASE_SEVERITY, items_of
from tidegate.core.insight.views import Severity
from tidegate.core.model.base import Model, named
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import (
    Approval,
    Decision,
    Item,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    TrafficRollback,
    Vote,
)


class LiveSpan(Model):
    """From when to when a target served a release. ``until`` is None while it does."""

    stage: str
    target: str
    since: datetime
    until: datetime | None = None


class StageDecision(Model):
    """How the approval of a stage was decided, and by whom."""

    stage: str
    decision: Decision
    votes: tuple[Vote, ...] = ()


class HistoryEntry(Model):
    """One release in an application's history."""

    id: str
    severity: Severity = named("mood")
    phase: ReleasePhase
    artifact: ArtifactRef
    started_at: datetime
    ended_at: datetime | None = None
    live: tuple[LiveSpan, ...] = ()
    decisions: tuple[StageDecision, ...] = ()
    traffic_rollback: TrafficRollback | None = named("retreat", None)  # only traffic was moved
    error: str = ""
    cause: str = ""


def history(
    releases: Sequence[Release], details: Mapping[str, Sequence[Item]]
) -> tuple[HistoryEntry, ...]:
    """What was live when, who agreed and why a release ended early; newest first.

    ``details`` maps the id of a release to its rollouts and approvals.
    """
    newest_first = sorted(releases, key=lambda release: release.number, reverse=True)
    spans = _live_spans(newest_first, details)
    return tuple(
        HistoryEntry(
            id=release.id,
            severity=RELEASE_SEVERITY[release.phase],
            phase=release.phase,
            artifact=release.artifact,
            started_at=release.started_at,
            ended_at=release.ended_at,
            live=tuple(spans[release.id]),
            traffic_rollback=release.traffic_rollback,
            decisions=tuple(
                StageDecision(stage=a.stage, decision=a.decision, votes=a.votes)
                for a in items_of(Approval, details.get(release.id, ()))
            ),
            error=release.error,
            cause=release.cause,
        )
        for release in newest_first
    )


def _live_spans(
    newest_first: Sequence[Release], details: Mapping[str, Sequence[Item]]
) -> dict[str, list[LiveSpan]]:
    """When each release was served: from its promotion to the next one's, target by target."""
    spans: dict[str, list[LiveSpan]] = {release.id: [] for release in newest_first}
    replaced_at: dict[tuple[str, str], datetime] = {}
    for release in newest_first:
        for rollout in items_of(Rollout, details.get(release.id, ())):
            if rollout.phase is not RolloutPhase.SUCCEEDED or rollout.ended_at is None:
                continue
            here = (rollout.stage, rollout.target)
            spans[release.id].append(
                LiveSpan(
                    stage=rollout.stage,
                    target=rollout.target,
                    since=rollout.ended_at,
                    until=replaced_at.get(here),
                )
            )
            replaced_at[here] = rollout.ended_at
    return spans
