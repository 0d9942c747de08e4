"""What operators asked, what they did, and what happened at a target meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tidegate.core.model.record.item import Item


class OperatorRequest(Item):
    """What an operator asked of a release under way."""

    kind: ClassVar[str] = "wish"
    place: ClassVar = ("RELEASE#{release_id}", "WISH#{verb}")

    release_id: str
    verb: str  # abort, pause, promote, promote-full, set-weight
    who: str
    reason: str
    at: datetime
    active: bool = True  # False: taken back, as a pause is by `resume`
    weight: float = 0.0  # of set-weight


class Call(Item):
    """Something that happened at a target and is worth an evaluation now: an alarm that fires."""

    kind: ClassVar[str] = "call"
    place: ClassVar = ("RELEASE#{release_id}", "CALL#{stage}#{target}")

    release_id: str
    stage: str
    target: str
    why: str
    at: datetime


class AuditEntry(Item):
    """What an operator did with a release; nothing overwrites it."""

    kind: ClassVar[str] = "deed"
    place: ClassVar = ("RELEASE#{release_id}", "DEED#{at:%Y-%m-%dT%H:%M:%S.%f}#{verb}")

    release_id: str
    verb: str
    who: str
    source: str = ""
    reason: str = ""
    at: datetime
