"""A stage, and what would be deployed to each of its targets."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tidegate.core.model.base import Model
from tidegate.core.model.record.item import Item
from tidegate.core.model.record.phases import StagePhase


class Stage(Item):
    """One stage of a release."""

    kind: ClassVar[str] = "stage"
    place: ClassVar = ("RELEASE#{release_id}", "STAGE#{order:02d}#{name}")

    release_id: str
    name: str
    order: int
    phase: StagePhase
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    cause: str = ""


class ChangeLine(Model):
    """One resource of a preview."""

    logical_id: str
    type: str
    change: str  # Add, Modify, Replace, Remove
    properties: tuple[str, ...] = ()
    kept: bool = False  # leaves the stack and goes on existing
    irreversible: str = ""  # what no rollback would bring back, "" when there is nothing


class ParameterLine(Model):
    """One parameter that changes. Those that Tidegate sets itself are left out, and secrets."""

    name: str
    old: str = ""
    new: str = ""


class FunctionLine(Model):
    """One function of a preview. A version's number is known when it is published, not before."""

    function: str  # logical id
    alias: str = ""  # "" when no alias of it is managed
    old_version: str = ""  # what serves; "" when nothing does
    publishes: bool = False  # a new version
    old_code: str = ""  # "sha256:<hex>", "" when there is none or it is not known
    new_code: str = ""
    not_canaried: tuple[str, ...] = ()  # what the weights of the alias do not cover


class SecurityLine(Model):
    """What a deployment opens to others, or no longer guards, of one resource."""

    logical_id: str
    what: str


class WarmLine(Model):
    """Provisioned concurrency of one function in a preview. Prices are estimates."""

    function: str  # logical id
    alias: str
    before: int = 0  # what the version that serves has
    wanted: int = 0  # what the candidate gets
    together: int = 0  # allocated at once, until the rollout is over
    seconds: int = 0  # that the strategy takes
    extra_usd: float = 0.0  # for the second version in that time
    by_alias: bool = False  # the alias has it itself: it can move only in one step


class Preview(Item):
    """What would be deployed to one target: shown to people, and what an approval binds to."""

    kind: ClassVar[str] = "preview"
    place: ClassVar = ("RELEASE#{release_id}", "PREVIEW#{stage}#{target}")

    release_id: str
    stage: str
    target: str
    change_set: str = ""  # ARN; empty when there is nothing to deploy
    digest: str  # over template, parameters and changes
    first_deployment: bool = False
    held: bool = False  # the stack is as wanted already, but its aliases are held back
    changes: tuple[ChangeLine, ...] = ()
    parameters: tuple[ParameterLine, ...] = ()
    functions: tuple[FunctionLine, ...] = ()
    firing: tuple[str, ...] = ()  # alarms of the stage that fired then: no part of the digest
    warms: tuple[WarmLine, ...] = ()
    unheeded: tuple[str, ...] = ()  # what the template asks for and the release will not do
    gates: tuple[str, ...] = ()  # what the commit changes of its own gates, against what is live
    security: tuple[SecurityLine, ...] = ()  # what it opens to others or no longer guards

    @property
    def nothing_to_deploy(self) -> bool:
        """Neither a resource, nor an alias, nor what is kept warm would change."""
        warm = any(line.before != line.wanted for line in self.warms)
        return not self.change_set and not self.held and not warm
