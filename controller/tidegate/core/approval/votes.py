"""Approvals: what is asked of people, what it is bound to, and who may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from tidegate.core.approval.authors import Authorship, is_author, may_be_author
from tidegate.core.approval.identity import identify
from tidegate.core.errors import ApprovalVoid, NotAllowedNow
from tidegate.core.model.artifact import sha256_digest
from tidegate.core.model.plan import ApprovalPlan
from tidegate.core.model.record import Approval, Decision, Preview, Vote


def bound_digest(artifact_digest: str, previews: Iterable[Preview]) -> str:
    """What an approval is bound to: the artifact and each target's preview, in any order."""
    shown = sorted([preview.stage, preview.target, preview.digest] for preview in previews)
    return sha256_digest({"artifact": artifact_digest, "previews": shown})


def request(
    release_id: str,
    stage: str,
    policy: ApprovalPlan,
    *,
    digest: str,
    written: Authorship,
    now: datetime,
) -> Approval:
    """A new request; ``digest`` comes from `bound_digest`, ``written`` from the artifact."""
    return Approval(
        release_id=release_id,
        stage=stage,
        decision=Decision.PENDING,
        digest=digest,
        approvers=policy.approvers,
        authors=written.authors,
        author_may_approve=policy.author_may_approve,
        doubts=() if policy.author_may_approve else written.doubts,
        requested_at=now,
        deadline=now + timedelta(seconds=policy.timeout_seconds),
    )


def vote(approval: Approval, vote: Vote, now: datetime) -> Approval:
    """The approval with this vote counted.

    One rejection rejects; as many distinct people as it needs approve, one more than the manifest
    asks when it is in doubt whether one of them is an author who may not. Raises ``NotAllowedNow``
    when it is decided or too late, when the voter is an author and may not, or has voted before,
    and for a rejection without a reason.
    """
    _check_open(approval, now)
    _check_voter(approval, vote)
    votes = (*approval.votes, vote)
    doubts = (*approval.doubts, *_doubts(approval, vote))
    counted = approval.model_copy(update={"votes": votes, "doubts": doubts})
    decision = approval.decision
    if not vote.approve:
        decision = Decision.REJECTED
    elif len(votes) >= counted.needed:
        decision = Decision.APPROVED
    return counted.model_copy(update={"decision": decision})


def why_one_more(doubts: Sequence[str]) -> str:
    """Why more people must agree than the manifest asks; "" when no more must."""
    if not doubts:
        return ""
    return f"one person more than the manifest asks must agree: {'; '.join(doubts)}"


def testimony(approval: Approval, vote: Vote) -> str:
    """What a vote's seal is over: who said what, of what, and by which proof; as a digest."""
    about = approval.model_dump(mode="json", include={"release_id", "stage", "digest"})
    return sha256_digest({**about, "vote": vote.model_dump(mode="json", exclude={"seal"})})


def recount(
    approval: Approval,
    policy: ApprovalPlan,
    written: Authorship,
    holds: Callable[[str, str], bool],
) -> None:
    """Count the votes anew, by what the artifact asks for rather than by what the record says.

    ``holds`` tells whether a seal is that of a text. Raises ``ApprovalVoid`` for a vote that was
    not cast before the controller, and when those that were do not approve.
    """
    subject = f"{approval.stage} of {approval.release_id}"
    counted = request(
        approval.release_id,
        approval.stage,
        policy,
        digest=approval.digest,
        written=written,
        now=approval.requested_at,
    )
    for one in approval.votes:
        if not holds(testimony(approval, one), one.seal):
            raise ApprovalVoid(
                f"A vote for {subject} was never cast as the record has it: {identify(one.who)}.",
                remedy="Find out who writes to the record beside the controller. A vote that an"
                " older Tidegate counted has no seal: then release the commit again.",
            )
        if counted.decision is Decision.APPROVED:
            continue  # what an earlier wave has made live leaves no doubt, and one less is needed
        try:
            counted = vote(counted, one, one.at)
        except NotAllowedNow as refusal:
            raise ApprovalVoid(
                f"A vote for {subject} does not count: {refusal.message}"
            ) from refusal
    if counted.decision is not Decision.APPROVED:
        raise ApprovalVoid(
            f"{subject} was not approved: the votes of {len(approval.votes)} of"
            f" {counted.needed} are there."
        )


def _check_open(approval: Approval, now: datetime) -> None:
    subject = f"The approval of {approval.release_id} for stage {approval.stage}"
    if approval.decision is Decision.EXPIRED or (
        approval.decision is Decision.PENDING and now >= approval.deadline
    ):
        raise NotAllowedNow(
            f"{subject} expired at {approval.deadline.isoformat(timespec='seconds')}.",
            remedy="Start the release again.",
        )
    if approval.decision is not Decision.PENDING:
        raise NotAllowedNow(
            f"{subject} is already {approval.decision.value}"
            f" by {', '.join(str(identify(vote.who)) for vote in approval.votes)}."
        )


def _check_voter(approval: Approval, vote: Vote) -> None:
    voter = identify(vote.who)
    if any(voter.person == identify(earlier.who).person for earlier in approval.votes):
        raise NotAllowedNow(f"{voter} has already voted.", remedy="Ask another person to approve.")
    if not vote.approve:
        if not vote.reason.strip():
            raise NotAllowedNow("A rejection needs a reason.", remedy="Give one with --reason.")
        return
    for author in () if approval.author_may_approve else approval.authors:
        if is_author(voter, author):
            raise NotAllowedNow(
                f"{voter} is the author {author} of what is not live yet, and may not approve"
                " this stage.",
                remedy="Ask another person to approve.",
            )


def _doubts(approval: Approval, vote: Vote) -> Iterator[str]:
    """Whom of the authors the voter may be, without going by the same name."""
    voter = identify(vote.who)
    if vote.approve and not approval.author_may_approve:
        alike = [author for author in approval.authors if may_be_author(voter, author)]
        if alike:
            yield f"{voter} may be {' or '.join(alike)}"
