"""Validation hooks and what they logged, and the messages that were sent to people."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field, model_validator

from tidegate.core.model.base import named
from tidegate.core.model.plan import Trigger
from tidegate.core.model.record.item import Item
from tidegate.core.model.record.phases import Outcome


class HookRun(Item):
    """One validation hook."""

    kind: ClassVar[str] = "hook"
    place: ClassVar = ("RELEASE#{release_id}", "HOOK#{stage}#{target}#{when}#{function}")

    release_id: str
    stage: str
    target: str
    when: str  # pre-traffic, post-traffic
    function: str
    outcome: Outcome
    attempt: int = 1  # rises when a run was lost before its outcome was known
    began_at: datetime | None = None
    seconds: float = 0.0
    cause: str = ""
    deadline: datetime | None = None  # until when it may answer later; none: it must at once
    heartbeat_seconds: int = 0  # it is given up when nothing is heard for so long
    heard_at: datetime | None = None  # the last sign of life of one that answers later
    secret_digest: str = ""  # of the secret that its answer must bring; kept nowhere itself

    @property
    def id(self) -> str:
        """What an answer calls the run by: it says nothing that is secret."""
        return f"{self.release_id}/{self.stage}/{self.target}/{self.when}/{self.function}"

    @model_validator(mode="before")
    @classmethod
    def _without_log(cls, data: dict[str, Any]) -> dict[str, Any]:
        """What runs of earlier versions of Tidegate kept for ever is not taken over."""
        return {name: value for name, value in data.items() if name != "log_tail"}


class HookLog(Item):
    """The end of what a hook logged, which may hold anything: the table forgets it."""

    kind: ClassVar[str] = "hook-log"
    place: ClassVar = ("RELEASE#{release_id}", "HOOKLOG#{stage}#{target}#{when}#{function}")

    release_id: str
    stage: str
    target: str
    when: str
    function: str
    text: str = Field(repr=False)


class Notification(Item):
    """A message to people that was sent, or that cannot be."""

    kind: ClassVar[str] = "notification"
    place: ClassVar = ("RELEASE#{release_id}", "NOTICE#{stage}#{target}#{trigger}#{topic}")

    release_id: str
    stage: str
    target: str
    trigger: Trigger = named("occasion")
    topic: str  # as the plan names it
    at: datetime
    error: str = ""  # why it cannot be sent
