"""A controller in memory for the verbs: a record, and what was asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tidegate.core.errors import TidegateError
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Execution, Item, Pruning
from tidegate.core.ports import Ledger
from tidegate.core.workflow.operator.doctor import Finding
from tidegate.testing.memory import MemoryLedger

EXECUTION = "arn:aws:states:eu-west-1:111111111111:execution:release:new"


def fill(ledger: Ledger, items: Iterable[Item]) -> None:
    """Put the items in, over what was there."""
    for item in items:
        found = ledger.get(type(item), item.partition, item.sort)
        ledger.put(item.model_copy(update={"version": found.version if found else 0}))


@dataclass
class FakeBackend:
    """Answers as a controller would, and remembers what it was asked."""

    ledger: Ledger = field(default_factory=MemoryLedger)
    refusal: TidegateError | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    prunings: list[Pruning] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    started: list[ArtifactRef] = field(default_factory=list)

    def start(self, artifact: ArtifactRef) -> str:
        self.started.append(artifact)
        return EXECUTION

    def operate(
        self,
        verb: str,
        release_id: str,
        stage: str,
        reason: str,
        argument: str = "",
        *,
        shown: str = "",
    ) -> str:
        if self.refusal:
            raise self.refusal
        self.shown.append(shown)
        self.asked.append((verb, release_id, stage, reason, *([argument] if argument else [])))
        return f"{verb}: done"

    def prune(self, application: str, *, dry_run: bool) -> list[Pruning]:
        self.asked.append(("prune", application, str(dry_run)))
        return self.prunings

    def diagnose(self, application: str) -> list[Finding]:
        self.asked.append(("diagnose", application))
        return self.findings


@dataclass
class Time:
    """Passes only when somebody pauses; each pause brings the next change to the record."""

    ledger: Ledger
    moment: datetime
    changes: Iterator[list[Item]] = field(default_factory=lambda: iter(()))

    def now(self) -> datetime:
        return self.moment

    def pause(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        fill(self.ledger, next(self.changes, []))


def numbered(number: int = 7) -> Execution:
    return Execution(arn=EXECUTION, application="shop", number=number)
