"""Finding and writing items of the record by the fields that make their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tidegate.core.errors import (
    Aborted,
    LockLost,
    NotFound,
    RecordConflict,
    Superseded,
    TidegateError,
)
from tidegate.core.identity import identify
from tidegate.core.plan import ReleasePlan, ReleaseRef, StagePlan
from tidegate.core.ports import Ledger, Ports
from tidegate.core.record import (
    Item,
    Lock,
    Plan,
    Release,
    Rollout,
    Wish,
    release_partition,
)

ItemT = TypeVar("ItemT", bound=Item)
Result = TypeVar("Result")

_READINGS = 3  # of what others write at the same time


def find(ledger: Ledger, kind: type[ItemT], **fields: Any) -> ItemT | None:
    """The item of this kind whose key these fields make."""
    partition, sort = kind.place
    return ledger.get(kind, partition.format(**fields), sort.format(**fields))


def put_over(ledger: Ledger, item: ItemT) -> ItemT:
    """Write the item over whatever version is there, if any; one that comes meanwhile, too."""

    def put() -> ItemT:
        present = ledger.get(type(item), item.partition, item.sort)
        return ledger.put(item.model_copy(update={"version": present.version if present else 0}))

    return again_when(RecordConflict, put)


def again_when(
    conflict: type[TidegateError], act: Callable[[], Result], readings: int = _READINGS
) -> Result:
    """Do what begins with reading; again, at once, when somebody's write came between.

    Raises the ``conflict`` when one always does, in so many ``readings``.
    """
    for _ in range(readings - 1):
        try:
            return act()
        except conflict:
            continue
    return act()


def put_once(ledger: Ledger, item: ItemT) -> ItemT:
    """The item that is there already, or else this one, written."""
    return ledger.get(type(item), item.partition, item.sort) or ledger.put(item)


def plan_of(ledger: Ledger, release_id: str) -> ReleasePlan:
    """The plan of a release. Raises ``NotFound``."""
    item = ledger.get(Plan, release_partition(release_id), "PLAN")
    if item is None:
        raise NotFound(
            f"There is no plan of release {release_id}.", mend="`tidegate list` shows the releases."
        )
    return item.plan


def stage_plan(plan: ReleasePlan, stage: str) -> StagePlan:
    """The stage's plan. Raises ``NotFound``."""
    try:
        return plan.stage(stage)
    except KeyError:
        names = ", ".join(known.name for known in plan.stages)
        raise NotFound(
            f"{plan.release.id} has no stage {stage}.", mend=f"It has {names}."
        ) from None


def ref_of(release: Release) -> ReleaseRef:
    """The reference that travels through the states."""
    return ReleaseRef(id=release.id, application=release.application, number=release.number)


def release_of(ledger: Ledger, ref: ReleaseRef) -> Release:
    """The release's own item. Raises ``NotFound``."""
    item = find(ledger, Release, application=ref.application, number=ref.number)
    if item is None:
        raise NotFound(f"There is no release {ref.id}.", mend="`tidegate list` shows the releases.")
    return item


def rollouts_of(ledger: Ledger, release_id: str) -> list[Rollout]:
    """Every rollout that the release has begun."""
    items = ledger.query(release_partition(release_id), "ROLLOUT#")
    return [item for item in items if isinstance(item, Rollout)]


def wishes(ports: Ports, release_id: str) -> tuple[Wish, ...]:
    """What operators asked of the release."""
    items = ports.ledger.query(release_partition(release_id), "WISH#")
    return tuple(item for item in items if isinstance(item, Wish))


def abort_wish(ports: Ports, release_id: str) -> Wish | None:
    """The wish to abort the release, if somebody has it."""
    return next((wish for wish in wishes(ports, release_id) if wish.verb == "abort"), None)


def heed_newer(ports: Ports, release_id: str) -> None:
    """Raises ``Superseded`` when a newer release wants this one's place, where it still may."""
    wish = find(ports.ledger, Wish, release_id=release_id, verb="supersede")
    if wish:
        raise Superseded(superseded_cause(wish))


def superseded_cause(wish: Wish) -> str:
    """The sentence that says who took the place."""
    return f"{wish.who} took the place of {wish.release_id}."


def heed_wishes(ports: Ports, release_id: str) -> None:
    """Raises ``Aborted`` when an operator has asked for it."""
    wish = abort_wish(ports, release_id)
    if wish:
        raise Aborted(abort_cause(wish))


def abort_cause(wish: Wish) -> str:
    """The sentence that says who aborted, and why."""
    why = f": {wish.reason}" if wish.reason else ""
    return f"{identify(wish.who)} aborted {wish.release_id}{why}."


def require_lock(ports: Ports, release: ReleaseRef) -> Lock:
    """The application's lock. Raises ``LockLost`` unless the release owns it.

    ``Aborted`` for one that lost it because an operator ended it.
    """
    lock = find(ports.ledger, Lock, application=release.application)
    if lock is None or not lock.owner or lock.release_number != release.number:
        heed_wishes(ports, release.id)
        found = f"{release.application}-{lock.release_number}" if lock and lock.owner else "nobody"
        raise LockLost(
            f"{release.id} does not own the lock of {release.application}: {found} does.",
            mend="Look who took it before anything else is deployed.",
        )
    return lock
