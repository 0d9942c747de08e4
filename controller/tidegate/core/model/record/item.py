"""One item of the table: its keys, its optimistic lock, and when it may be forgotten.

``partition`` and ``sort`` are its keys; ``version`` is the optimistic lock that every write checks;
``expires_at`` (epoch seconds) lets the table forget what need not last.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from tidegate.core.model.base import Model


class Item(Model):
    """One record in the table."""

    kind: ClassVar[str]
    place: ClassVar[tuple[str, str]]  # partition and sort key, as formats over the fields
    kinds: ClassVar[dict[str, type[Item]]] = {}

    version: int = 0
    expires_at: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Item.kinds[cls.kind] = cls

    @property
    def partition(self) -> str:
        """The partition key."""
        return self.place[0].format(**dict(self))

    @property
    def sort(self) -> str:
        """The sort key."""
        return self.place[1].format(**dict(self))

    @property
    def mark(self) -> str:
        """Tells what is written here from what was written under the same key before."""
        return f"{self.sort}#{self.version}"

    def expired(self, now: datetime) -> bool:
        """Whether it need not be there: the table forgets some days late."""
        return self.expires_at is not None and self.expires_at <= now.timestamp()


def application_partition(application: str) -> str:
    """Where an application's releases, lock and live versions lie."""
    return f"APP#{application}"


def release_partition(release_id: str) -> str:
    """Where all that belongs to one release lies."""
    return f"RELEASE#{release_id}"


def token_partition(release_id: str) -> str:
    """Where the task tokens of a release lie."""
    return f"TOKENS#{release_id}"


def parse_item(kind: str, data: Mapping[str, Any]) -> Item:
    """The item of this kind from its stored form. Raises ``KeyError`` for an unknown kind."""
    return Item.kinds[kind].model_validate(data)
