"""A release is begun again, or an earlier one is released anew."""

from __future__ import annotations

from hashlib import sha256
from itertools import count

from tidegate.core.errors import NotAllowedNow
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Release, ReleasePhase, application_partition
from tidegate.core.ports import Ports
from tidegate.core.text.commands import command
from tidegate.core.workflow.operator.requests import Operator, record_audit_entry, ref_named
from tidegate.core.workflow.records import release_of


def retry(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """Release the artifact of a release once more that ended early: the same bytes, a new number.

    Returns a sentence. Raises ``NotAllowedNow`` when there is nothing to repeat, ``NotFound``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    if not release.phase.over or release.phase in {ReleasePhase.SUCCEEDED, ReleasePhase.STUCK}:
        raise NotAllowedNow(
            f"{release_id} is {release.phase}: there is nothing to repeat.",
            remedy="Only what ended without success can be retried; unlock a stuck release first.",
        )
    record_audit_entry(ports, operator, release_id, "retry", reason)
    execution = _start(ports, release, "retry", release.artifact)
    return f"{operator} retries {release_id}: {execution}"


def _start(ports: Ports, release: Release, verb: str, artifact: ArtifactRef) -> str:
    """The execution that does this: the one that runs, or a new one when all before are over.

    Its name is made of what is wished, and counted: whoever asks at the same time, or once more
    because an answer got lost, asks for the same execution.
    """
    request = f"{release.id} {verb} {artifact.model_dump_json()}"
    name = f"{verb}-{release.number}-{sha256(request.encode()).hexdigest()[:32]}"
    started = (ports.executions.start(artifact, f"{name}-{time}") for time in count(1))
    return next(filter(None, started))


def rollback(
    ports: Ports, operator: Operator, release_id: str, to: str = "", reason: str = ""
) -> str:
    """Release an earlier good artifact, through the same tests, approvals and steps.

    ``to`` names its release; "" is the last good one before this one that was something else. For
    a release that took only the traffic back, "" is the one that it went to: the stacks follow.
    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    if not release.phase.over:
        raise NotAllowedNow(
            f"{release_id} is under way: it is {release.phase}.",
            remedy=f"`{command('abort', release_id)}` takes its traffic back.",
        )
    good = good_before(
        ports, release, to or (release.traffic_rollback.to if release.traffic_rollback else "")
    )
    record_audit_entry(ports, operator, release_id, "rollback", reason)
    started = _start(ports, release, "rollback", good.artifact)
    return f"{operator} rolls {release.application} back to {good.id}: {started}"


def good_before(ports: Ports, release: Release, to: str) -> Release:
    """The good release that ``to`` names, or else the last one before with another artifact.

    One that traffic was taken back from is good no more. Raises ``NotAllowedNow``, ``NotFound``.
    """
    if to:
        wanted = release_of(ports.ledger, ref_named(to))
        if wanted.application != release.application or wanted.phase is not ReleasePhase.SUCCEEDED:
            raise NotAllowedNow(
                f"{to} is no good release of {release.application}: it is {wanted.phase}.",
                remedy=f"`tidegate history {release.application}` shows the good ones.",
            )
        return wanted
    items = ports.ledger.query(
        application_partition(release.application), "RELEASE#", newest_first=True
    )
    left: set[str] = set()  # by the traffic-only rollbacks that came after
    for item in [item for item in items if isinstance(item, Release)]:
        left.add(item.left)
        if (
            item.id not in left
            and item.number < release.number
            and item.phase is ReleasePhase.SUCCEEDED
            and item.artifact.digest != release.artifact.digest
        ):
            return item
    raise NotAllowedNow(
        f"No release before {release.id} has succeeded with another artifact.",
        remedy="Name one with --to, or release the artifact of an earlier commit.",
    )
