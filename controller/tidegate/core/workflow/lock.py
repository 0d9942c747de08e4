"""The lock of an application, and the queue before it: one release deploys, the newest is next."""

from __future__ import annotations

from typing import TypedDict

from tidegate.core.errors import Superseded
from tidegate.core.plan import ReleaseRef
from tidegate.core.ports import Ledger, Ports
from tidegate.core.record import Lock, ReleasePhase, Waiter, application_partition
from tidegate.core.workflow.events import tell_release
from tidegate.core.workflow.items import find, heed_wishes, put_once, release_of


class LockAnswer(TypedDict):
    """Whether the release may go on, or whom it waits for."""

    held: bool
    holder: str


def take_lock(ports: Ports, release: ReleaseRef, execution: str) -> LockAnswer:
    """Take the lock when it is free and no newer release wants it; queue otherwise.

    Raises ``Superseded`` when a newer release waits or was already let in, ``Aborted``.
    """
    heed_wishes(ports, release.id)
    lock = read_lock(ports.ledger, release.application)
    if lock.owner != execution:
        _yield_to_newer(ports.ledger, release, lock)
        if lock.owner:
            return _wait(ports, release, lock)
        lock = _take(ports, release, lock, execution)
    leave_queue(ports.ledger, release)
    _begin_testing(ports, release)
    return LockAnswer(held=True, holder=release.id)


def read_lock(ledger: Ledger, application: str) -> Lock:
    """The application's lock; a new one is free."""
    return find(ledger, Lock, application=application) or Lock(application=application)


def free_lock(ports: Ports, release: ReleaseRef) -> None:
    """Give the lock back, if the release has it. The number stays: nothing older may follow."""
    lock = read_lock(ports.ledger, release.application)
    if lock.owner and lock.release_number == release.number:
        free = {"owner": "", "since": ports.clock.now(), "guarded_at": None}
        ports.ledger.put(lock.model_copy(update=free))


def leave_queue(ledger: Ledger, release: ReleaseRef) -> None:
    """The release does not wait any more."""
    waiter = find(ledger, Waiter, application=release.application, number=release.number)
    if waiter:
        ledger.delete(waiter)


def _take(ports: Ports, release: ReleaseRef, lock: Lock, execution: str) -> Lock:
    taken = {
        "owner": execution,
        "release_number": release.number,
        "fence": lock.fence + 1,
        "since": ports.clock.now(),
        "guarded_at": None,
    }
    return ports.ledger.put(lock.model_copy(update=taken))


def _yield_to_newer(ledger: Ledger, release: ReleaseRef, lock: Lock) -> None:
    newest = max(lock.release_number, *_waiting(ledger, release.application), release.number)
    if newest > release.number:
        leave_queue(ledger, release)
        raise Superseded(f"{release.application}-{newest} took the place of {release.id}.")


def _waiting(ledger: Ledger, application: str) -> list[int]:
    newest = ledger.query(application_partition(application), "WAITER#", newest_first=True, limit=1)
    return [item.number for item in newest if isinstance(item, Waiter)]


def _wait(ports: Ports, release: ReleaseRef, lock: Lock) -> LockAnswer:
    waiter = Waiter(application=release.application, number=release.number, since=ports.clock.now())
    put_once(ports.ledger, waiter)
    return LockAnswer(held=False, holder=f"{release.application}-{lock.release_number}")


def _begin_testing(ports: Ports, ref: ReleaseRef) -> None:
    release = release_of(ports.ledger, ref)
    if release.phase is ReleasePhase.QUEUED:
        tested = ports.ledger.put(release.model_copy(update={"phase": ReleasePhase.TESTING}))
        tell_release(ports.bus, tested)
