"""Finding and writing items of the record by the fields that make their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tidegate.core.approval.identity import identify
from tidegate.core.errors import (
    Aborted,
    LockLost,
    NotFound,
    RecordConflict,
    Superseded,
    TidegateError,
)
from tidegate.core.model.plan import ReleasePlan, ReleaseRef, StagePlan
from tidegate.core.model.record import (
    Item,
    Live,
    Lock,
    OperatorRequest,
    Plan,
    Release,
    Rollout,
    release_partition,
)
from tidegate.core.ports import Ledger, Ports

ItemT = TypeVar("ItemT", bound=Item)
Result = TypeVar("Result")

_READINGS = 3  # of what others write at the same time


def find(ledger: Ledger, kind: type[ItemT], **fields: Any) -> ItemT | None:
    """The item of this kind whose key these fields make."""
    partition, sort = kind.place
    return ledger.get(kind, partition.format(**fields), sort.format(**fields))


def live_at(ledger: Ledger, application: str, stage: str, target: str) -> Live | None:
    """What the target serves by the record; None before its first release."""
    return find(ledger, Live, application=application, stage=stage, target=target)


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
            f"There is no plan of release {release_id}.",
            remedy="`tidegate list` shows the releases.",
        )
    return item.plan


def stage_plan(plan: ReleasePlan, stage: str) -> StagePlan:
    """The stage's plan. Raises ``NotFound``."""
    try:
        return plan.stage(stage)
    except KeyError:
        names = ", ".join(known.name for known in plan.stages)
        raise NotFound(
            f"{plan.release.id} has no stage {stage}.", remedy=f"It has {names}."
        ) from None


def ref_of(release: Release) -> ReleaseRef:
    """The reference that travels through the states."""
    return ReleaseRef(id=release.id, application=release.application, number=release.number)


def release_of(ledger: Ledger, ref: ReleaseRef) -> Release:
    """The release's own item. Raises ``NotFound``."""
    item = find(ledger, Release, application=ref.application, number=ref.number)
    if item is None:
        raise NotFound(
            f"There is no release {ref.id}.", remedy="`tidegate list` shows the releases."
        )
    return item


def rollouts_of(ledger: Ledger, release_id: str) -> list[Rollout]:
    """Every rollout that the release has begun."""
    items = ledger.query(release_partition(release_id), "ROLLOUT#")
    return [item for item in items if isinstance(item, Rollout)]


def operator_requests(ports: Ports, release_id: str) -> tuple[OperatorRequest, ...]:
    """What operators asked of the release."""
    items = ports.ledger.query(release_partition(release_id), "WISH#")
    return tuple(item for item in items if isinstance(item, OperatorRequest))


def abort_request(ports: Ports, release_id: str) -> OperatorRequest | None:
    """The request to abort the release, if somebody has it."""
    return next(
        (request for request in operator_requests(ports, release_id) if request.verb == "abort"),
        None,
    )


def raise_if_superseded(ports: Ports, release_id: str) -> None:
    """Raises ``Superseded`` when a newer release wants this one's place, where it still may."""
    request = find(ports.ledger, OperatorRequest, release_id=release_id, verb="supersede")
    if request:
        raise Superseded(superseded_cause(request))


def superseded_cause(request: OperatorRequest) -> str:
    """The sentence that says who took the place."""
    return f"{request.who} took the place of {request.release_id}."


def raise_if_aborted(ports: Ports, release_id: str) -> None:
    """Raises ``Aborted`` when an operator has asked for it."""
    request = abort_request(ports, release_id)
    if request:
        raise Aborted(abort_cause(request))


def abort_cause(request: OperatorRequest) -> str:
    """The sentence that says who aborted, and why."""
    why = f": {request.reason}" if request.reason else ""
    return f"{identify(request.who)} aborted {request.release_id}{why}."


def require_lock(ports: Ports, release: ReleaseRef) -> Lock:
    """The application's lock. Raises ``LockLost`` unless the release owns it.

    ``Aborted`` for one that lost it because an operator ended it.
    """
    lock = find(ports.ledger, Lock, application=release.application)
    if lock is None or not lock.owner or lock.release_number != release.number:
        raise_if_aborted(ports, release.id)
        found = f"{release.application}-{lock.release_number}" if lock and lock.owner else "nobody"
        raise LockLost(
            f"{release.id} does not own the lock of {release.application}: {found} does.",
            remedy="Look who took it before anything else is deployed.",
        )
    return lock
