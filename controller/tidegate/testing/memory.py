"""In-memory twins of the ports. They keep the same contracts as the AWS adapters do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from tidegate.core.errors import ArtifactError, NotFound, RecordConflict
from tidegate.core.model.plan import ArtifactRef, Target
from tidegate.core.model.record import Item
from tidegate.core.ports import ItemT, Ports, TargetPorts
from tidegate.testing.capacity import MemoryCapacity
from tidegate.testing.functions import MemoryFunctions, MemoryVersions
from tidegate.testing.metrics import MemoryMetrics
from tidegate.testing.signals import MemorySignals
from tidegate.testing.stacks import MemoryStacks

_Key = tuple[str, str]
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class SettableClock:
    """A clock that stands still until it is told to go."""

    time: datetime = _START
    elapsed: float = 0.0  # seconds that have passed, even where the time was set back

    def now(self) -> datetime:
        """The time that it was set to."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)
        self.elapsed += max(0.0, seconds)


class MemoryLedger:
    """The record in a dictionary, stored as text and read back as the table would."""

    def __init__(self) -> None:
        self._rows: dict[_Key, tuple[str, str]] = {}

    def get(self, kind: type[ItemT], partition: str, sort: str) -> ItemT | None:
        """The item under this key, if it is there."""
        row = self._rows.get((partition, sort))
        return _read(kind, row[1]) if row else None

    def put(self, item: ItemT) -> ItemT:
        """Write, if the stored version is the item's."""
        key = (item.partition, item.sort)
        self._check(key, item.version)
        written = item.model_copy(update={"version": item.version + 1})
        self._rows[key] = (item.kind, written.model_dump_json())
        return written

    def query(
        self, partition: str, prefix: str = "", *, newest_first: bool = False, limit: int = 0
    ) -> list[Item]:
        """The items of a partition in the order of their sort keys."""
        keys = sorted(k for k in self._rows if k[0] == partition and k[1].startswith(prefix))
        ordered = keys[::-1] if newest_first else keys
        return [self._item(key) for key in ordered[: limit or None]]

    def delete(self, item: Item) -> None:
        """Remove, if the stored version is the item's."""
        key = (item.partition, item.sort)
        if key in self._rows:
            self._check(key, item.version)
            del self._rows[key]

    def sizes(self) -> dict[_Key, int]:
        """How many bytes each item takes."""
        return {key: len(text.encode()) for key, (_, text) in self._rows.items()}

    def _item(self, key: _Key) -> Item:
        kind, text = self._rows[key]
        item: Item = _read(Item.kinds[kind], text)
        return item

    def _check(self, key: _Key, expected: int) -> None:
        found = self._item(key).version if key in self._rows else 0
        if found != expected:
            raise RecordConflict(f"{key} is at version {found}, expected {expected}.")


@lru_cache(maxsize=4096)
def _read(kind: type[ItemT], text: str) -> ItemT:
    """The item that this text is: items never change, so each text is read once."""
    return kind.model_validate_json(text)


class MemoryArtifacts:
    """Objects of artifact buckets."""

    def __init__(self) -> None:
        self._objects: dict[_Key, dict[str, bytes]] = {}  # by version, the newest last

    def read(self, artifact_bucket: str, key: str, version: str = "") -> bytes:
        """The object's bytes, in this version or the newest."""
        versions = self._objects.get((artifact_bucket, key), {})
        newest = next(reversed(versions), "")
        try:
            return versions[version or newest]
        except KeyError:
            which = f" in version {version}" if version else ""
            raise ArtifactError(f"s3://{artifact_bucket}/{key} is not there{which}.") from None

    def sha256(self, artifact_bucket: str, key: str, version: str = "") -> str:
        """Of the bytes in this version or the newest."""
        return hashlib.sha256(self.read(artifact_bucket, key, version)).hexdigest()

    def store(self, artifact_bucket: str, key: str, content: bytes) -> str:
        """Put an object where a build would, over what is there. The version that it gets."""
        versions = self._objects.setdefault((artifact_bucket, key), {})
        version = f"version-{len(versions) + 1}"
        versions[version] = content
        return version

    def keep(self, artifact_bucket: str, key: str, content: bytes) -> str:
        """Put an object there as a build does: what is there already stays, in its version."""
        versions = self._objects.get((artifact_bucket, key), {})
        known = (version for version, stored in versions.items() if stored == content)
        return next(known, "") or self.store(artifact_bucket, key, content)


class MemoryCallbacks:
    """Task tokens: a token waits until it is answered, once."""

    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.answers: dict[str, Mapping[str, Any]] = {}  # token -> output, or Error and Cause
        self.heartbeats: list[str] = []  # the tokens that were prolonged
        self._made = 0

    def make(self) -> str:
        """A token of a task that waits from now on."""
        self._made += 1
        token = f"token-{self._made}"
        self.waiting.add(token)
        return token

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Answer, if somebody waits."""
        return self._answer(token, output)

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Answer with an error, if somebody waits."""
        return self._answer(token, {"Error": error, "Cause": cause})

    def heartbeat(self, token: str) -> bool:
        """Prolong, if somebody waits."""
        if token in self.waiting:
            self.heartbeats.append(token)
        return token in self.waiting

    def _answer(self, token: str, answer: Mapping[str, Any]) -> bool:
        if token not in self.waiting:
            return False
        self.waiting.remove(token)
        self.answers[token] = dict(answer)
        return True


@dataclass
class MemoryExecutions:
    """Executions run until a test says how they ended."""

    ended: dict[str, str] = field(default_factory=dict)  # ARN -> status
    started: list[ArtifactRef] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # -> ARN

    def status(self, arn: str) -> str:
        """How it stands."""
        return self.ended.get(arn, "RUNNING")

    def start(self, artifact: ArtifactRef, name: str) -> str:
        """Remember it, once for a name: a test runs what it wants of it."""
        known = self.names.get(name)
        if known:
            return known if self.status(known) == "RUNNING" else ""
        self.started.append(artifact)
        return self.names.setdefault(name, f"started-{len(self.started)}")


class MemorySeals:
    """Seals by a secret that no test knows."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def seal(self, text: str) -> str:
        """The seal of this text."""
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def holds(self, text: str, seal: str) -> bool:
        """Whether it is the seal of this text."""
        return hmac.compare_digest(self.seal(text).encode(), seal.encode())


@dataclass
class MemoryBus:
    """Events in the order in which they were told."""

    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Keep the event."""
        self.events.append((detail_type, dict(detail)))


@dataclass
class MemoryTopics:
    """Messages by topic, in the order in which they were sent."""

    messages: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # subject and text

    def publish(self, topic: str, subject: str, text: str) -> None:
        """Keep the message, if a test has made the topic."""
        if topic not in self.messages:
            raise NotFound(f"There is no topic {topic}.")
        self.messages[topic].append((subject, text))


class MemoryTarget:
    """One account and region."""

    def __init__(self, artifacts: MemoryArtifacts) -> None:
        self.functions = MemoryFunctions()
        self.aliases = self.functions.aliases
        self.versions = MemoryVersions(self.functions)
        self.capacity = MemoryCapacity(self.functions)
        self.metrics = MemoryMetrics()
        self.signals = MemorySignals(self.metrics.alarms)
        self.stacks = MemoryStacks(artifacts, self.functions)
        self.topics = MemoryTopics()

    def ports(self) -> TargetPorts:
        """What the workflow sees of it."""
        return TargetPorts(
            aliases=self.aliases,
            metrics=self.metrics,
            stacks=self.stacks,
            functions=self.functions,
            versions=self.versions,
            signals=self.signals,
            topics=self.topics,
            capacity=self.capacity,
        )


class MemoryTargets:
    """Accounts and regions, each made when it is first opened."""

    def __init__(self, artifacts: MemoryArtifacts) -> None:
        self._artifacts = artifacts
        self._targets: dict[str, MemoryTarget] = {}

    def at(self, target: str) -> MemoryTarget:
        """The account and region with this id."""
        return self._targets.setdefault(target, MemoryTarget(self._artifacts))

    def open(self, target: Target) -> TargetPorts:
        """Every role lets us in."""
        return self.at(target.id).ports()


@dataclass
class MemoryWorld:
    """Everything that the workflow needs from the world, in memory."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    callbacks: MemoryCallbacks = field(default_factory=MemoryCallbacks)
    bus: MemoryBus = field(default_factory=MemoryBus)
    clock: SettableClock = field(default_factory=SettableClock)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    seals: MemorySeals = field(default_factory=MemorySeals)
    evaluation_seconds: int = 60

    def __post_init__(self) -> None:
        self.targets = MemoryTargets(self.artifacts)

    def ports(self) -> Ports:
        """The world as the workflow sees it."""
        return Ports(
            ledger=self.ledger,
            artifacts=self.artifacts,
            callbacks=self.callbacks,
            bus=self.bus,
            targets=self.targets,
            clock=self.clock,
            executions=self.executions,
            seals=self.seals,
            evaluation_seconds=self.evaluation_seconds,
        )
