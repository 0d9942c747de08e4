"""A lock is freed that nobody holds any more."""

from __future__ import annotations

from tidegate.core.errors import NotAllowedNow
from tidegate.core.model.record import ReleasePhase
from tidegate.core.ports import Ports
from tidegate.core.text.commands import command
from tidegate.core.workflow.events import publish_release
from tidegate.core.workflow.operator.requests import Operator, record_audit_entry, ref_named
from tidegate.core.workflow.records import release_of
from tidegate.core.workflow.release.lock import free_lock


def unlock(
    ports: Ports, operator: Operator, release_id: str, confirmation: str, reason: str = ""
) -> str:
    """Free the lock of a stuck release: a person has looked, and vouches for the traffic.

    ``confirmation`` is the release's name, typed. Returns a sentence. Raises ``NotAllowedNow``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    if release.phase is not ReleasePhase.STUCK:
        raise NotAllowedNow(
            f"{release_id} is not stuck: it is {release.phase}.",
            remedy=f"`{command('abort', release_id)}` ends it while it is under way; "
            "what is over has no lock.",
        )
    if confirmation != release_id:
        raise NotAllowedNow(
            f"The confirmation is {confirmation!r}, not {release_id!r}.",
            remedy="Type the name of the release whose traffic you have looked at.",
        )
    if not reason.strip():
        raise NotAllowedNow(
            "To unlock needs a reason.", remedy="Say what you found and what you did about it."
        )
    record_audit_entry(ports, operator, release_id, "unlock", reason)
    free_lock(ports, ref_named(release_id))
    said = f"{operator} unlocked {release_id}: {reason.strip()}"
    ended = {"phase": ReleasePhase.ABORTED, "cause": f"{release.cause} {said}".strip()}
    publish_release(ports.bus, ports.ledger.put(release.model_copy(update=ended)))
    return f"{said} The lock of {release.application} is free; traffic was left as it is."
