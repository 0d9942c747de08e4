"""One evaluation of a rollout: what was seen that was new, and what was decided."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tidegate.core.model.base import Model, named
from tidegate.core.model.record.item import Item
from tidegate.core.model.record.verdict import Verdict


class PairSeen(Model):
    """What an evaluation saw of one alias that no evaluation before had seen so."""

    function: str
    alias: str
    stable: str  # version
    candidate: str  # version
    # Start in epoch seconds; requests and errors of stable, then of the candidate.
    bins: tuple[tuple[int, int, int, int, int], ...] = ()
    # Start; requests and how many were slower than each edge, of stable, then of the candidate.
    latency: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...] = ()


class MetricSeen(Model):
    """What an evaluation saw of a user's metric that no evaluation before had seen so."""

    name: str
    values: tuple[tuple[int, float], ...] = ()  # start in epoch seconds, value


class ComparedSeen(Model):
    """What an evaluation saw of a metric by version that no evaluation before had seen so."""

    name: str
    pairs: tuple[PairSeen, ...] = ()


class RequestSeen(Model):
    """An operator request, as a decision saw it."""

    verb: str
    who: str
    reason: str
    weight: float = 0.0  # of set-weight


class Seen(Model):
    """What an evaluation adds to those before it: together they let its decision be taken again."""

    weight: float  # what the candidates had
    step: int  # index of the step that the rollout was at; -1 before the first
    step_started_at: datetime | None = None
    step_began_with: int = 0
    period_seconds: int = 60  # of the bins
    pairs: tuple[PairSeen, ...] = ()
    metrics: tuple[MetricSeen, ...] = ()
    compared: tuple[ComparedSeen, ...] = ()
    firing: tuple[str, ...] = ()  # alarms
    operator_requests: tuple[RequestSeen, ...] = named("wishes", ())
    as_of: datetime | None = None  # the last evaluation's time, when what was heard since decided


class Tick(Item):
    """One evaluation of a rollout: what was seen, what was decided."""

    kind: ClassVar[str] = "tick"
    place: ClassVar = ("RELEASE#{release_id}", "TICK#{stage}#{target}#{number:06d}")

    release_id: str
    stage: str
    target: str
    number: int
    at: datetime
    action: str  # set-weight, hold, promote, restore
    weight: float
    why: str
    verdict: Verdict
    seen: Seen | None = None  # what ticks of earlier versions of Tidegate did not keep
