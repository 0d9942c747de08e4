"""A controller in memory for the verbs: a record, and what was asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tidegate.core.errors import TidegateError
from tidegate.core.plan import ArtifactRef
from tidegate.core.ports import ItemT
from tidegate.core.record import Execution, Item

EXECUTION = "arn:aws:states:eu-west-1:111111111111:execution:release:new"


class Record:
    """A ledger that tests fill; the verbs only read it."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = {(item.partition, item.sort): item for item in items}

    def get(self, kind: type[ItemT], partition: str, sort: str) -> ItemT | None:
        item = self._items.get((partition, sort))
        return item if isinstance(item, kind) else None

    def put(self, item: ItemT) -> ItemT:
        self._items[item.partition, item.sort] = item
        return item

    def query(
        self, partition: str, prefix: str = "", *, newest_first: bool = False, limit: int = 0
    ) -> list[Item]:
        keys = [key for key in self._items if key[0] == partition and key[1].startswith(prefix)]
        found = [self._items[key] for key in sorted(keys, reverse=newest_first)]
        return found[:limit] if limit else found

    def delete(self, item: Item) -> None:
        del self._items[item.partition, item.sort]


@dataclass
class FakeBackend:
    """Answers as a controller would, and remembers what it was asked."""

    ledger: Record
    refusal: TidegateError | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    started: list[ArtifactRef] = field(default_factory=list)

    def start(self, artifact: ArtifactRef) -> str:
        self.started.append(artifact)
        return EXECUTION

    def operate(self, verb: str, release_id: str, stage: str, reason: str) -> str:
        if self.refusal:
            raise self.refusal
        self.asked.append((verb, release_id, stage, reason))
        return f"{verb}: done"


@dataclass
class Time:
    """Passes only when somebody pauses; each pause brings the next change to the record."""

    record: Record
    moment: datetime
    changes: Iterator[list[Item]] = field(default_factory=lambda: iter(()))

    def now(self) -> datetime:
        return self.moment

    def pause(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        for item in next(self.changes, []):
            self.record.put(item)


def numbered(number: int = 7) -> Execution:
    return Execution(arn=EXECUTION, application="shop", number=number)
