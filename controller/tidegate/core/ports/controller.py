"""What the controller has of its own: time, record, artifacts, task tokens, bus, topics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Item

ItemT = TypeVar("ItemT", bound=Item)


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime:
        """The present moment, aware of its zone."""


class Topics(Protocol):
    """SNS topics, as one account reaches them."""

    def publish(self, topic: str, subject: str, text: str) -> None:
        """Send a message to the topic with this ARN. Raises ``NotFound``."""


class Artifacts(Protocol):
    """What builds have stored."""

    def read(self, artifact_bucket: str, key: str, version: str = "") -> bytes:
        """The object in this version; "" is the present one.

        Raises ``ArtifactError`` when it is not there.
        """

    def sha256(self, artifact_bucket: str, key: str, version: str = "") -> str:
        """The SHA-256 of those bytes, hexadecimal, as the store itself has computed it.

        Raises ``ArtifactError`` when the object is not there, or was stored without one.
        """


class Ledger(Protocol):
    """The record. All writes are conditional on the version that was read."""

    def get(self, kind: type[ItemT], partition: str, sort: str) -> ItemT | None:
        """A strongly consistent read."""

    def put(self, item: ItemT) -> ItemT:
        """Write and return the item with its next version.

        An item with version 0 must not exist yet. Raises ``RecordConflict``.
        """

    def query(
        self, partition: str, prefix: str = "", *, newest_first: bool = False, limit: int = 0
    ) -> list[Item]:
        """The items of a partition in the order of their sort keys."""

    def delete(self, item: Item) -> None:
        """Raises ``RecordConflict`` when the item is not at this version; none is no error."""


class Callbacks(Protocol):
    """Answers to task tokens. All return False when the token is gone: a late answer is normal."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Let the waiting task succeed with this output."""

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Let the waiting task fail with this error."""

    def heartbeat(self, token: str) -> bool:
        """Let the waiting task wait on: whoever is to answer is alive."""


class Seals(Protocol):
    """Marks that the controller alone can make: whoever writes to the record cannot."""

    def seal(self, text: str) -> str:
        """The seal of this text."""

    def holds(self, text: str, seal: str) -> bool:
        """Whether it is the seal of this text; False for what is no seal at all."""


class Executions(Protocol):
    """Executions of the state machines."""

    def status(self, arn: str) -> str:
        """``RUNNING``, or the service's word for how it ended; "" when there is none (any more)."""

    def start(self, artifact: ArtifactRef, name: str) -> str:
        """Start a release of this artifact, as a pipeline does, and return the execution's ARN.

        The one that runs by this name with this artifact is not started twice. "" when one of this
        name is over: a name can be used once.
        """


class Bus(Protocol):
    """Where changes are told."""

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Tell everybody who listens."""
