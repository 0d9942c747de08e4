"""What CloudFormation did to a stack."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tidegate.core.model.base import Model
from tidegate.core.model.record.item import Item


class StackLine(Model):
    """One thing that CloudFormation did."""

    id: str
    at: datetime
    logical_id: str
    type: str
    status: str  # CloudFormation's own word
    reason: str = ""
    of_stack: bool = False  # to the stack as a whole

    @property
    def failed(self) -> bool:
        """It went wrong."""
        return self.status.endswith("_FAILED")

    @property
    def moving(self) -> bool:
        """CloudFormation was at work with it then."""
        return self.status.endswith("_IN_PROGRESS")


class StackLog(Item):
    """What CloudFormation did to a stack in one operation of a rollout, as far as it was seen."""

    kind: ClassVar[str] = "stack-log"
    place: ClassVar = ("RELEASE#{release_id}", "STACK#{stage}#{target}#{operation}")

    release_id: str
    stage: str
    target: str
    operation: str  # deploy, finish, restore, delete
    since: datetime  # when it was first looked at
    newest: str = ""  # id of the last event that was seen: the next look goes on after it
    status: str = ""  # of the stack, as its events say
    seen: int = 0  # how many events
    events: tuple[StackLine, ...] = ()  # the newest of them, oldest first
    under_way: tuple[StackLine, ...] = ()  # resources that CloudFormation works on, newest last
    failures: tuple[StackLine, ...] = ()  # the first ones
    unread: str = ""  # why the last look saw nothing
