"""A release, its number, plan and tests, and the lock that lets one at a time deploy."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tidegate.core.model.base import Model, named
from tidegate.core.model.plan import ArtifactRef, ReleasePlan
from tidegate.core.model.record.item import Item
from tidegate.core.model.record.phases import Outcome, ReleasePhase


class Application(Item):
    """The counter that numbers an application's releases."""

    kind: ClassVar[str] = "application"
    place: ClassVar = ("APPLICATIONS", "{name}")

    name: str
    last_number: int = 0


class Execution(Item):
    """Which release an execution of the state machine carries: planning twice gives one release."""

    kind: ClassVar[str] = "execution"
    place: ClassVar = ("EXECUTION#{arn}", "EXECUTION")

    arn: str
    application: str
    number: int


class TrafficRollback(Model):
    """A release that only moved traffic: the stacks stayed with the one that it went back from."""

    of: str  # the release that was live
    to: str  # the one whose versions serve since
    ended: str = ""  # the release that had the lock, and was aborted for it


class Release(Item):
    """One release, as `list` and `history` show it."""

    kind: ClassVar[str] = "release"
    place: ClassVar = ("APP#{application}", "RELEASE#{number:08d}")

    application: str
    number: int
    phase: ReleasePhase
    artifact: ArtifactRef
    execution_arn: str
    traffic_rollback: TrafficRollback | None = named("retreat", None)  # traffic only
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""  # name of the error that ended it
    cause: str = ""  # its message

    @property
    def id(self) -> str:
        """The name that people use: ``shop-418``."""
        return f"{self.application}-{self.number}"

    @property
    def left(self) -> str:
        """The release that traffic was taken back from, by this one; "" for an ordinary release."""
        if self.traffic_rollback is None or self.phase is ReleasePhase.ABORTED:
            return ""
        return self.traffic_rollback.of


class Plan(Item):
    """The plan of a release, by reference from every state."""

    kind: ClassVar[str] = "plan"
    place: ClassVar = ("RELEASE#{plan.release.id}", "PLAN")

    plan: ReleasePlan


class TestRun(Item):
    """One test task."""

    __test__ = False
    kind: ClassVar[str] = "test"
    place: ClassVar = ("RELEASE#{release_id}", "TEST#{name}")

    release_id: str
    name: str
    outcome: Outcome
    build_id: str = ""
    url: str = ""  # where the log is
    seconds: float = 0.0
    cause: str = ""


class Lender(Model):
    """Who had the lock before traffic went back, and gets it again to come to its end."""

    owner: str
    release_number: int


class Lock(Item):
    """Who may deploy an application now. ``fence`` rises with every owner."""

    kind: ClassVar[str] = "lock"
    place: ClassVar = ("APP#{application}", "LOCK")

    application: str
    owner: str = ""  # execution ARN; empty when free
    release_number: int = 0
    fence: int = 0
    since: datetime | None = None
    guarded_at: datetime | None = None  # the guardian found the owner gone and fenced it off
    lender: Lender | None = None
    newest: int = 0  # release that took traffic back while another had the lock: none older follows


class Waiter(Item):
    """A release in the queue for the lock."""

    kind: ClassVar[str] = "waiter"
    place: ClassVar = ("APP#{application}", "WAITER#{number:08d}")

    application: str
    number: int
    since: datetime
