"""The lock of an application, and the queue before it: one release deploys at a time."""

from __future__ import annotations

from typing import Any, TypedDict

from tidegate.core.errors import Locked, Superseded
from tidegate.core.model.plan import ReleaseRef, WhenLocked
from tidegate.core.model.record import (
    Lender,
    Lock,
    OperatorRequest,
    Release,
    ReleasePhase,
    Waiter,
    application_partition,
)
from tidegate.core.ports import Ledger, Ports
from tidegate.core.workflow.events import publish_release
from tidegate.core.workflow.records import (
    find,
    plan_of,
    put_once,
    raise_if_aborted,
    release_of,
    rollouts_of,
)
from tidegate.core.workflow.task_tokens import answer_all


class LockAnswer(TypedDict):
    """Whether the release may go on, or whom it waits for."""

    held: bool
    holder: str


def take_lock(ports: Ports, release: ReleaseRef, execution: str) -> LockAnswer:
    """Take the lock when it is free and this release is next; wait, make room or end otherwise.

    Raises ``Superseded`` when a newer release was let in, or waits and may go first; ``Locked``
    when the manifest does not want to wait; ``Aborted``.
    """
    raise_if_aborted(ports, release.id)
    lock = read_lock(ports.ledger, release.application)
    if lock.owner != execution:
        policy = plan_of(ports.ledger, release.id).when_locked
        holder = _who_is_before(ports.ledger, release, lock, policy)
        if holder and policy is WhenLocked.REJECT:
            raise Locked(f"{holder} is under way, and {release.id} does not wait.")
        if holder and policy is WhenLocked.SUPERSEDE:
            _ask_for_room(ports, holder, release)
        if holder:
            return _wait(ports, release, holder)
        lock = take(ports, release, lock, execution)
    leave_queue(ports.ledger, release)
    _begin_testing(ports, release)
    return LockAnswer(held=True, holder=release.id)


def read_lock(ledger: Ledger, application: str) -> Lock:
    """The application's lock; a new one is free."""
    return find(ledger, Lock, application=application) or Lock(application=application)


def free_lock(ports: Ports, release: ReleaseRef) -> None:
    """Give the lock back, if the release has it. The number stays: nothing older may follow.

    Whoever it was taken from by ``take_over`` has it again, unless that release is over.
    """
    lock = read_lock(ports.ledger, release.application)
    if lock.owner and lock.release_number == release.number:
        free = {"owner": "", "since": ports.clock.now(), "guarded_at": None, "lender": None}
        ports.ledger.put(lock.model_copy(update=free | _returned(ports.ledger, lock)))


def _returned(ledger: Ledger, lock: Lock) -> dict[str, Any]:
    number = lock.lender.release_number if lock.lender else 0
    lender = find(ledger, Release, application=lock.application, number=number)
    if lock.lender is None or lender is None or lender.phase.over:
        return {}
    return {**lock.lender.model_dump(), "fence": lock.fence + 1}


def leave_queue(ledger: Ledger, release: ReleaseRef) -> None:
    """The release does not wait any more."""
    waiter = find(ledger, Waiter, application=release.application, number=release.number)
    if waiter:
        ledger.delete(waiter)


def take(ports: Ports, release: ReleaseRef, lock: Lock, execution: str) -> Lock:
    """Take the free lock as it was read. Raises ``RecordConflict`` when somebody was faster."""
    taken = {
        "owner": execution,
        "release_number": release.number,
        "fence": lock.fence + 1,
        "since": ports.clock.now(),
        "guarded_at": None,
    }
    return ports.ledger.put(lock.model_copy(update=taken))


def take_over(ports: Ports, release: ReleaseRef, lock: Lock, execution: str) -> Lock:
    """Take the lock as it was read, though a release may have it that was told to end.

    No release with a lower number follows, whoever frees the lock. Raises ``RecordConflict``.
    """
    lender = Lender(owner=lock.owner, release_number=lock.release_number) if lock.owner else None
    lent = lock.model_copy(update={"lender": lender, "newest": release.number})
    return take(ports, release, lent, execution)


def _who_is_before(ledger: Ledger, release: ReleaseRef, lock: Lock, policy: WhenLocked) -> str:
    """The release to wait for; "" for none. Raises ``Superseded``."""
    waiting = _waiting(ledger, release.application)
    newer = [lock.release_number, lock.newest]
    newer += waiting if policy is WhenLocked.SUPERSEDE else []
    if max(newer) > release.number:
        leave_queue(ledger, release)
        raise Superseded(f"{release.application}-{max(newer)} took the place of {release.id}.")
    if lock.owner:
        return f"{release.application}-{lock.release_number}"
    earlier = [number for number in waiting if number < release.number]
    if earlier and policy is WhenLocked.QUEUE:
        return f"{release.application}-{earlier[0]}"
    return ""


def _waiting(ledger: Ledger, application: str) -> list[int]:
    items = ledger.query(application_partition(application), "WAITER#")
    return [item.number for item in items if isinstance(item, Waiter)]


def _wait(ports: Ports, release: ReleaseRef, holder: str) -> LockAnswer:
    waiter = Waiter(application=release.application, number=release.number, since=ports.clock.now())
    put_once(ports.ledger, waiter)
    return LockAnswer(held=False, holder=holder)


def _ask_for_room(ports: Ports, holder: str, newer: ReleaseRef) -> None:
    """Ask the release under way to end, if that disturbs neither traffic nor what people agreed to.

    It ends where it would go on to something new, so one that has begun to shift since is safe.
    """
    plan = plan_of(ports.ledger, holder)
    rollouts = rollouts_of(ports.ledger, holder)
    protected = any(plan.stage(rollout.stage).approval for rollout in rollouts)
    if protected or any(not rollout.phase.over for rollout in rollouts):
        return
    if find(ports.ledger, OperatorRequest, release_id=holder, verb="supersede") is None:
        request = OperatorRequest(
            release_id=holder,
            verb="supersede",
            who=newer.id,
            reason="a newer release",
            at=ports.clock.now(),
        )
        ports.ledger.put(request)
    answer_all(ports, holder)


def _begin_testing(ports: Ports, ref: ReleaseRef) -> None:
    release = release_of(ports.ledger, ref)
    if release.phase is ReleasePhase.QUEUED:
        tested = ports.ledger.put(release.model_copy(update={"phase": ReleasePhase.TESTING}))
        publish_release(ports.bus, tested)
