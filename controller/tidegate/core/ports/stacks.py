"""A target's CloudFormation stacks: change sets, states and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Change(StrEnum):
    """What a change set does to a resource."""

    ADD = "Add"
    MODIFY = "Modify"
    REPLACE = "Replace"
    REMOVE = "Remove"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One line of a preview."""

    logical_id: str
    type: str
    change: Change
    properties: tuple[str, ...] = ()
    may_replace: bool = False  # only when it is executed CloudFormation knows
    policy_action: str = ""  # what becomes of what is replaced or removed: "Delete", "Retain", ...


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that CloudFormation has computed. ``id`` is its ARN."""

    id: str
    stack_name: str
    first_deployment: bool
    changes: tuple[ResourceChange, ...]


@dataclass(frozen=True, slots=True)
class StackSpec:
    """What a stack is to be made from."""

    stack_name: str
    template_url: str  # s3://<bucket>/<key>[?versionId=<id>]; adapters make CloudFormation's of it
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack as it is. ``resources`` maps logical to physical ids, ``parameters`` are in force."""

    exists: bool
    status: str = ""  # CloudFormation's own word, "" when there is no stack
    reason: str = ""  # first failure of the last operation, for people
    parameters: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """An operation is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One thing that happened to a stack, or to a resource of it."""

    id: str
    at: datetime
    logical_id: str
    type: str
    status: str  # CloudFormation's own word
    reason: str = ""
    of_stack: bool = False  # it happened to the stack as a whole


class Stacks(Protocol):
    """CloudFormation in one account and region. Every call may be repeated with the same token."""

    def preview(self, spec: StackSpec, token: str) -> ChangeSet | None:
        """Make the change set once and describe it; None while it is being computed.

        Raises ``ChangeSetFailed`` with CloudFormation's reason, ``StackBusy``. A change set without
        changes is a ``ChangeSet`` with an empty ``changes``.
        """

    def execute(self, change_set: str, token: str) -> None:
        """Execute the change set with this ARN. Raises ``ChangeSetStale``."""

    def state(self, stack_name: str) -> StackState:
        """The stack as it is."""

    def events(self, stack_name: str, token: str, after: str = "") -> list[StackEvent]:
        """What the operation with this token has done so far, oldest first.

        ``after`` is the id of an event: only what came later. A stack that is not there has none.
        """

    def update(self, spec: StackSpec, token: str) -> bool:
        """Begin a direct update; False when there was nothing to update. Raises ``StackBusy``."""

    def delete(self, stack_name: str, token: str) -> None:
        """Begin to delete the stack; a stack that is not there is no error."""
