"""What a target serves, and which of its old versions were deleted."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from tidegate.core.model.base import Model
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record.item import Item


class Live(Item):
    """What a target serves: the last good artifact, and what a rollback goes back to."""

    kind: ClassVar[str] = "live"
    place: ClassVar = ("APP#{application}", "LIVE#{stage}#{target}")

    application: str
    stage: str
    target: str
    release_id: str
    artifact: ArtifactRef
    parameters: dict[str, str]
    versions: dict[str, str]  # "function:alias" -> version
    # Provisioned concurrency, by the alias's logical id.
    provisioned: dict[str, int] = Field(default_factory=dict)
    since: datetime


class PrunedFunction(Model):
    """The versions of one function that nobody needs, and what became of them."""

    function: str  # physical name
    spare: tuple[int, ...]  # neither among those that served well last nor referred to
    kept: tuple[int, ...] = ()
    deleted: tuple[int, ...] = ()
    failed: dict[str, str] = Field(default_factory=dict)  # version -> why it is still there


class Pruning(Item):
    """The last time that old versions were deleted at a target."""

    kind: ClassVar[str] = "pruning"
    place: ClassVar = ("APP#{application}", "PRUNING#{stage}#{target}")

    application: str
    stage: str
    target: str
    at: datetime
    dry_run: bool = False
    functions: tuple[PrunedFunction, ...] = ()
    error: str = ""  # why nothing could be deleted here
