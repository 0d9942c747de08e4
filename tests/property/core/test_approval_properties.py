"""What holds for every approval, whoever votes and however often."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.approval.authors import Authorship
from tidegate.core.approval.votes import request, vote
from tidegate.core.errors import NotAllowedNow
from tidegate.core.model.plan import ApprovalPlan
from tidegate.core.model.record import Decision, Vote

START = datetime(2026, 3, 1, tzinfo=UTC)

voters = st.sampled_from([f"arn:aws:sts::1:assumed-role/Dev/{name}" for name in "abcde"])
votes = st.lists(st.tuples(voters, st.booleans(), st.sampled_from(["", "no"])), max_size=12)


doubts = st.sampled_from([(), ("a commit names no author",)])


@given(votes, st.integers(1, 5), st.booleans(), doubts, st.integers(0, 120))
def test_never_approved_by_fewer_than_n_distinct_people(
    cast: list[tuple[str, bool, str]],
    approvers: int,
    author_may: bool,
    doubts: tuple[str, ...],
    seconds: int,
) -> None:
    policy = ApprovalPlan(approvers=approvers, timeout_seconds=60, author_may_approve=author_may)
    written = Authorship(("a <a@b.c>",), doubts)
    approval = request("s-1", "prod", policy, digest="d", written=written, now=START)
    needed = approvers + (1 if doubts and not author_may else 0)
    now = START + timedelta(seconds=seconds)
    for who, approve, reason in cast:
        try:
            approval = vote(approval, Vote(who=who, approve=approve, reason=reason, at=now), now)
        except NotAllowedNow:
            continue
    agreed = {said.who for said in approval.votes if said.approve}
    assert (approval.decision is Decision.REJECTED) == any(not v.approve for v in approval.votes)
    if approval.decision is Decision.APPROVED:
        assert len(agreed) == needed == len(approval.votes)
        assert seconds < 60
        assert author_may or not any(who.endswith("/a") for who in agreed)
