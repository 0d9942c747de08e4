"""What operators ask of a release under way: approve, reject, abort. Each is safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.core import approval as approvals
from tidegate.core.errors import NotAllowedNow, NotFound
from tidegate.core.plan import ReleaseRef
from tidegate.core.ports import Ports
from tidegate.core.record import (
    Approval,
    Decision,
    Release,
    ReleasePhase,
    Vote,
    Wish,
    release_partition,
)
from tidegate.core.workflow.events import tell_approval_decided, tell_release
from tidegate.core.workflow.items import abort_cause, find, release_of
from tidegate.core.workflow.lock import free_lock
from tidegate.core.workflow.tokens import answer_all, answer_approval, rejection_cause


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, as AWS names them, and the address or tool that they ask from."""

    who: str
    source: str = ""


def approve(
    ports: Ports, operator: Operator, release_id: str, stage: str = "", reason: str = ""
) -> str:
    """Agree to the stage that waits. Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``."""
    approval = _vote(ports, operator, _asked(ports, release_id, stage), _Say(True, reason))
    said = f"{operator.who} approved {approval.stage} of {release_id}"
    if approval.decision is Decision.PENDING:
        missing = approval.approvers - len(approval.votes)
        return f"{said}; {missing} more must agree."
    return f"{said}: it goes on."


def reject(ports: Ports, operator: Operator, release_id: str, reason: str, stage: str = "") -> str:
    """Refuse the stage that waits; the release ends. A reason is required.

    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    approval = _vote(ports, operator, _asked(ports, release_id, stage), _Say(False, reason))
    return rejection_cause(approval)


def abort(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """End the release: whatever is shifted goes back. Of a stuck one, free the lock.

    Returns a sentence. Raises ``NotAllowedNow`` when it is over, ``NotFound``.
    """
    ref = _ref(release_id)
    release = release_of(ports.ledger, ref)
    if release.phase.over and release.phase is not ReleasePhase.STUCK:
        _refuse_over(release)
    wish = find(ports.ledger, Wish, release_id=release_id, verb="abort")
    if wish is None or release.phase is ReleasePhase.STUCK:
        wish = _wish(ports, operator, release_id, reason, wish)
    if release.phase is ReleasePhase.STUCK:
        return _resolve(ports, release, ref, wish)
    answer_all(ports, release_id)
    return abort_cause(wish)


@dataclass(frozen=True, slots=True)
class _Say:
    """What a person says to a request."""

    approve: bool
    reason: str


def _vote(ports: Ports, operator: Operator, approval: Approval, say: _Say) -> Approval:
    """The approval with the vote in it; whoever says the same again only has it carried out."""
    if not _has_said(approval, operator, say):
        now = ports.clock.now()
        vote = Vote(
            who=operator.who,
            approve=say.approve,
            reason=say.reason.strip(),
            at=now,
            source=operator.source,
        )
        approval = ports.ledger.put(approvals.vote(approval, vote, now))
        if approval.decision is not Decision.PENDING:
            tell_approval_decided(ports.bus, _ref(approval.release_id), approval)
    answer_approval(ports, approval.release_id, approval.stage)
    return approval


def _has_said(approval: Approval, operator: Operator, say: _Say) -> bool:
    return approval.decision is not Decision.EXPIRED and any(
        v.who == operator.who and v.approve is say.approve for v in approval.votes
    )


def _asked(ports: Ports, release_id: str, stage: str) -> Approval:
    """The request for this stage, or else the latest one of the release."""
    release = release_of(ports.ledger, _ref(release_id))
    items = ports.ledger.query(release_partition(release_id), f"APPROVAL#{stage}")
    asked = [a for a in items if isinstance(a, Approval) and stage in {"", a.stage}]
    if not asked and release.phase.over:
        _refuse_over(release)
    if not asked:
        of = f"stage {stage} of {release_id}" if stage else release_id
        raise NotAllowedNow(
            f"Nobody is asked to approve {of}.",
            mend=f"`tidegate get {release_id}` shows what it waits for.",
        )
    return max(asked, key=lambda approval: approval.requested_at)


def _ref(release_id: str) -> ReleaseRef:
    """The reference behind the name that people use. Raises ``NotFound``."""
    application, _, number = release_id.rpartition("-")
    if not application or not number.isdecimal():
        raise NotFound(
            f"{release_id} is not the name of a release.",
            mend="They look like shop-418; `tidegate list` shows them.",
        )
    return ReleaseRef(id=release_id, application=application, number=int(number))


def _refuse_over(release: Release) -> None:
    raise NotAllowedNow(
        f"{release.id} is over: it is {release.phase}.",
        mend="`tidegate list` shows what is under way.",
    )


def _wish(
    ports: Ports, operator: Operator, release_id: str, reason: str, earlier: Wish | None
) -> Wish:
    return ports.ledger.put(
        Wish(
            release_id=release_id,
            verb="abort",
            who=operator.who,
            reason=reason.strip(),
            at=ports.clock.now(),
            version=earlier.version if earlier else 0,
        )
    )


def _resolve(ports: Ports, release: Release, ref: ReleaseRef, wish: Wish) -> str:
    """A person has looked at what was stuck and vouches for it: others may deploy again."""
    free_lock(ports, ref)
    cause = f"{release.cause} {abort_cause(wish)}".strip()
    ended = release.model_copy(update={"phase": ReleasePhase.ABORTED, "cause": cause})
    tell_release(ports.bus, ports.ledger.put(ended))
    return f"{abort_cause(wish)} The lock of {ref.application} is free; traffic was left as it is."
