"""What the page is told of the record, and what it may ask of the controller.

Words come from ``cli.tree``, so that the page and the terminal never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tidegate.cli.backend import Backend
from tidegate.cli.reading import application_names, find_release, newest_releases, read_release
from tidegate.cli.tree import next_words, reason, release_node, release_status
from tidegate.core.errors import InputError
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.views import ReleaseView, RolloutView, Severity, StageView
from tidegate.core.model.base import Model
from tidegate.core.model.record import (
    Live,
    OperatorRequest,
    Release,
    RolloutPhase,
    Tick,
    Verdict,
    application_partition,
    release_partition,
)
from tidegate.core.ports import Ledger

_NEWEST_RELEASES = 12  # of an application, in the overview
_NEWEST_TICKS = 240  # of a rollout, in its course
_VERBS = frozenset({"approve", "reject", "abort", "promote", "promote-full", "pause", "resume"})
_NEED_A_REASON = frozenset({"reject", "abort"})


def overview(ledger: Ledger, now: datetime) -> dict[str, Any]:
    """Each application: what is live where and since when, and its last releases."""
    applications = [_application(ledger, name, now) for name in application_names(ledger)]
    return {"applications": applications}


def release(ledger: Ledger, name: str, now: datetime) -> dict[str, Any]:
    """One release in full, with the course of its rollouts and what may be asked of it now.

    ``name`` is its id, or an application's for its newest. Raises ``NotFound``.
    """
    view = read_release(ledger, find_release(ledger, name), now)
    return {
        **_line(view),
        "next": next_words(view),
        "tree": asdict(release_node(view)),
        "rollouts": [
            _course(ledger, view, stage, rollout)
            for stage in view.stages
            for rollout in stage.rollouts
            if rollout.phase is not None
        ],
        "verbs": list(_verbs(ledger, view)),
    }


def operate(
    backend: Backend, verb: str, release_id: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask it of the controller, under the identity of whoever serves the page.

    Raises ``InputError`` for what no button asks, ``NotFound``, and what the controller refuses.
    """
    stage, why = (str(request.get(key, "")).strip() for key in ("stage", "reason"))
    if verb not in _VERBS:
        raise InputError(f"The page cannot ask for {verb!r}.", remedy="Use the command line.")
    if verb in _NEED_A_REASON and not why:
        raise InputError(f"To {verb} needs a reason.", remedy="Say why: it is kept in the record.")
    found = find_release(backend.ledger, release_id)
    shown = str(request.get("shown", ""))
    return {"message": backend.operate(verb, found.id, stage, why, shown=shown)}


def _application(ledger: Ledger, name: str, now: datetime) -> dict[str, Any]:
    """Details are read of the releases under way only: the others need but a line."""
    releases = newest_releases(ledger, name, _NEWEST_RELEASES)
    live = ledger.query(application_partition(name), "LIVE#")
    return {
        "name": name,
        "live": [_live(item) for item in live if isinstance(item, Live)],
        "releases": [_line(_view(ledger, one, now)) for one in releases],
    }


def _view(ledger: Ledger, found: Release, now: datetime) -> ReleaseView:
    return release_view(found, (), now) if found.phase.over else read_release(ledger, found, now)


def _live(item: Live) -> dict[str, Any]:
    artifact = item.artifact
    return {
        **item.model_dump(mode="json", include={"stage", "target", "release_id", "since"}),
        **artifact.model_dump(include={"commit", "subject", "author"}),
        "versions": sorted(set(item.versions.values()), key=int),
    }


def _fields(value: Model, *names: str) -> dict[str, Any]:
    return value.model_dump(mode="json", include=set(names), by_alias=False)


def _line(view: ReleaseView) -> dict[str, Any]:
    """A release in short. ``weight`` is that of its least advanced shift, None without one."""
    weights = [r.weight for r in _rollouts(view) if r.phase is RolloutPhase.SHIFTING]
    return {
        **_fields(view, "id", "severity", "at", "started_at", "ended_at"),
        **view.artifact.model_dump(
            include={"application", "commit", "subject", "author", "branch"}
        ),
        "over": view.phase.over,
        "status": release_status(view),
        "why": reason(view.error, view.cause),
        "weight": min(weights, default=None),
    }


def _rollouts(view: ReleaseView) -> Iterator[RolloutView]:
    for stage in view.stages:
        yield from stage.rollouts


def _course(
    ledger: Ledger, view: ReleaseView, stage: StageView, rollout: RolloutView
) -> dict[str, Any]:
    """What was decided when, the newest first, and how the two versions compare now."""
    ticks = ledger.query(
        release_partition(view.id),
        f"TICK#{stage.name}#{rollout.target}#",
        newest_first=True,
        limit=_NEWEST_TICKS,
    )
    return {
        "stage": stage.name,
        "strategy": stage.strategy,
        **_fields(rollout, "target", "severity", "phase", "weight", "next_weight"),
        **_fields(rollout, "started_at", "ended_at"),
        "versions": [f"{shift.stable} → {shift.candidate}" for shift in rollout.shifts],
        "health": _health(rollout.verdict) if rollout.verdict else None,
        "decisions": [_decision(tick) for tick in ticks if isinstance(tick, Tick)],
    }


def _health(verdict: Verdict) -> dict[str, Any]:
    """Requests and errors of both versions, and each test's evidence against its bound."""
    counts = ("candidate_invocations", "candidate_errors", "stable_invocations", "stable_errors")
    return {
        **verdict.model_dump(mode="json", include={"judgement", "reasons", *counts}),
        "evidence": [
            {"test": one.test, "share": max(0.0, min(1.0, one.log_e / one.log_bound))}
            for one in verdict.evidence
        ],
    }


def _decision(tick: Tick) -> dict[str, Any]:
    return {
        **tick.model_dump(mode="json", include={"number", "at", "action", "weight", "why"}),
        "health": _health(tick.verdict),
    }


def _verbs(ledger: Ledger, view: ReleaseView) -> Iterator[dict[str, str]]:
    """What a person may ask of the release now, each with its stage where it has one."""
    for stage in view.awaiting:
        yield {"verb": "approve", "stage": stage.name, "shown": stage.shown}
        yield {"verb": "reject", "stage": stage.name}
    if view.phase.over:
        return
    pause = ledger.get(OperatorRequest, release_partition(view.id), "WISH#pause")
    if any(rollout.phase is RolloutPhase.SHIFTING for rollout in _rollouts(view)):
        yield {"verb": "promote"}
        yield {"verb": "promote-full"}
    yield {"verb": "resume" if pause and pause.active else "pause"}
    if view.severity is not Severity.ALERT:
        yield {"verb": "abort"}
