"""Votes: approve and reject."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.core.approval import votes as approvals
from tidegate.core.errors import NotAllowedNow, ReleaseStopped
from tidegate.core.model.record import Approval, Decision, Vote, release_partition
from tidegate.core.ports import Ports
from tidegate.core.text.commands import command
from tidegate.core.workflow.events import publish_approval_decided
from tidegate.core.workflow.operator.requests import Operator, ref_named, refuse_over
from tidegate.core.workflow.records import raise_if_aborted, raise_if_superseded, release_of
from tidegate.core.workflow.task_tokens import answer_all, answer_approval, rejection_cause


def approve(
    ports: Ports,
    operator: Operator,
    release_id: str,
    stage: str = "",
    reason: str = "",
    *,
    shown: str | None = None,
) -> str:
    """Agree to the stage that waits, as it was ``shown``: the digest that the request is bound to.

    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    asked = _asked(ports, release_id, stage)
    if shown is not None and shown != asked.digest:
        raise NotAllowedNow(
            f"What {asked.stage} of {release_id} asks for is not what you were shown.",
            remedy=f"Look at it again: `{command('get', release_id)}`.",
        )
    approval = _vote(ports, operator, asked, _Say(True, reason))
    said = f"{operator} approved {approval.stage} of {release_id}"
    if approval.decision is Decision.PENDING:
        missing = approval.needed - len(approval.votes)
        said = f"{said}; {missing} more must agree."
        why = approvals.why_one_more(approval.doubts)
        return f"{said} It is not certain who wrote this, so {why}." if why else said
    return f"{said}: it goes on."


def reject(ports: Ports, operator: Operator, release_id: str, reason: str, stage: str = "") -> str:
    """Refuse the stage that waits; the release ends. A reason is required.

    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    approval = _vote(ports, operator, _asked(ports, release_id, stage), _Say(False, reason))
    return rejection_cause(approval)


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
            proof=operator.proof,
        )
        seal = ports.seals.seal(approvals.testimony(approval, vote))
        vote = vote.model_copy(update={"seal": seal})
        approval = ports.ledger.put(approvals.vote(approval, vote, now))
        if approval.decision is not Decision.PENDING:
            publish_approval_decided(ports.bus, ref_named(approval.release_id), approval)
    answer_approval(ports, approval.release_id, approval.stage)
    return approval


def _has_said(approval: Approval, operator: Operator, say: _Say) -> bool:
    return approval.decision is not Decision.EXPIRED and any(
        v.who == operator.who and v.approve is say.approve for v in approval.votes
    )


def _asked(ports: Ports, release_id: str, stage: str) -> Approval:
    """The request for this stage, or else the latest one of the release."""
    release = release_of(ports.ledger, ref_named(release_id))
    items = ports.ledger.query(release_partition(release_id), f"APPROVAL#{stage}")
    asked = [a for a in items if isinstance(a, Approval) and stage in {"", a.stage}]
    _refuse_ended(ports, release_id, asked)
    if not asked and release.phase.over:
        refuse_over(release)
    if not asked:
        of = f"stage {stage} of {release_id}" if stage else release_id
        raise NotAllowedNow(
            f"Nobody is asked to approve {of}.",
            remedy=f"`tidegate get {release_id}` shows what it waits for.",
        )
    return max(asked, key=lambda approval: approval.requested_at)


def _refuse_ended(ports: Ports, release_id: str, asked: Iterable[Approval]) -> None:
    """Raises ``NotAllowedNow`` with who ended the release, whatever is still shown to people.

    What waits hears of it once more: whoever ended it may not have come so far.
    """
    try:
        raise_if_aborted(ports, release_id)
        if any(approval.decision is Decision.PENDING for approval in asked):
            raise_if_superseded(ports, release_id)
    except ReleaseStopped as stopped:
        answer_all(ports, release_id)
        raise NotAllowedNow(
            f"{stopped.message} Nobody is asked to approve it any more.",
            remedy=f"`{command('retry', release_id)}` releases it again.",
        ) from stopped
