"""Approvals: who may answer, how often, how late, and to what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.core.approval.authors import Authorship
from tidegate.core.approval.identity import (
    check_account,
    check_right,
    check_voter,
    identify,
    subject_of,
)
from tidegate.core.approval.votes import bound_digest, recount, request, vote, why_one_more
from tidegate.core.errors import ApprovalVoid, NotAllowedNow
from tidegate.core.model.plan import ApprovalPlan
from tidegate.core.model.record import Approval, Decision, Preview, Vote

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLE = "arn:aws:sts::111111111111:assumed-role/Developer"
ADA, BOB, CID = (f"{ROLE}/{name}" for name in ("ada", "bob", "cid"))
AUTHOR = "Ada Lovelace <ada@example.org>"


def asked(*doubts: str, **policy: Any) -> Approval:
    return request(
        "shop-7",
        "prod",
        ApprovalPlan(**policy),
        digest="sha256:1",
        written=Authorship(("Grace <grace@example.org>", AUTHOR), doubts),
        now=NOW,
    )


def yes(who: str) -> Vote:
    return Vote(who=who, approve=True, at=NOW)


def no(who: str, reason: str = "not on a Friday") -> Vote:
    return Vote(who=who, approve=False, reason=reason, at=NOW)


def test_a_request_is_pending_until_its_deadline() -> None:
    approval = asked(timeout_seconds=3600, approvers=2, author_may_approve=False)
    assert approval.decision is Decision.PENDING
    assert approval.requested_at == NOW
    assert approval.deadline == NOW + timedelta(hours=1)
    assert (approval.approvers, approval.author_may_approve) == (2, False)
    assert (approval.release_id, approval.stage, approval.digest) == ("shop-7", "prod", "sha256:1")


def test_one_person_approves_when_one_is_enough() -> None:
    approval = vote(asked(), yes(ADA), NOW)
    assert approval.decision is Decision.APPROVED
    assert [counted.who for counted in approval.votes] == [ADA]


def test_two_people_approve_when_two_are_needed() -> None:
    first = vote(asked(approvers=2), yes(ADA), NOW)
    assert first.decision is Decision.PENDING
    assert vote(first, yes(BOB), NOW).decision is Decision.APPROVED


def test_one_person_is_not_two_even_in_another_role() -> None:
    first = vote(asked(approvers=2), yes(ADA), NOW)
    for again in (ADA, "arn:aws:sts::111111111111:assumed-role/Admin/Ada"):
        with pytest.raises(NotAllowedNow, match=r"(?i)ada \(\w+, 111111111111\) has already voted"):
            vote(first, yes(again), NOW)


def test_one_rejection_rejects() -> None:
    first = vote(asked(approvers=2), yes(ADA), NOW)
    assert vote(first, no(BOB), NOW).decision is Decision.REJECTED


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_rejection_needs_a_reason(reason: str) -> None:
    with pytest.raises(NotAllowedNow, match="needs a reason"):
        vote(asked(), no(ADA, reason), NOW)


@pytest.mark.parametrize("who", [ADA, f"{ROLE}/ada@example.org", f"{ROLE}/Ada Lovelace"])
def test_the_author_may_not_approve_when_the_manifest_says_so(who: str) -> None:
    with pytest.raises(NotAllowedNow, match="is the author"):
        vote(asked(author_may_approve=False), yes(who), NOW)


def test_the_author_may_reject_all_the_same() -> None:
    assert vote(asked(author_may_approve=False), no(ADA), NOW).decision is Decision.REJECTED


def test_others_may_approve_what_the_author_may_not() -> None:
    assert vote(asked(author_may_approve=False), yes(BOB), NOW).decision is Decision.APPROVED


def test_one_more_must_agree_when_it_is_not_certain_who_wrote_it() -> None:
    approval = asked("a commit names no author", author_may_approve=False)
    assert (approval.approvers, approval.needed) == (1, 2)
    first = vote(approval, yes(BOB), NOW)
    assert first.decision is Decision.PENDING
    assert vote(first, yes(CID), NOW).decision is Decision.APPROVED


def test_who_wrote_it_does_not_matter_where_authors_may_approve() -> None:
    approval = asked("a commit names no author")
    assert (approval.doubts, approval.needed) == ((), 1)
    assert vote(approval, yes(f"{ROLE}/ada.byron"), NOW).decision is Decision.APPROVED


def test_one_more_must_agree_with_somebody_who_may_be_an_author() -> None:
    first = vote(asked(author_may_approve=False), yes(f"{ROLE}/ada.byron"), NOW)
    assert (first.decision, first.needed) == (Decision.PENDING, 2)
    assert first.doubts == (f"ada.byron (Developer, 111111111111) may be {AUTHOR}",)
    second = vote(first, yes(f"{ROLE}/ada.king"), NOW)
    assert (second.decision, second.needed) == (Decision.APPROVED, 2)


def test_votes_count_on_when_a_doubt_is_gone_with_what_an_earlier_wave_made_live() -> None:
    policy = ApprovalPlan(author_may_approve=False)
    approval = asked("one target serves nothing that is known", author_may_approve=False)
    approved = vote(vote(approval, yes(BOB), NOW), yes(CID), NOW)
    recount(approved, policy, Authorship((AUTHOR,), ()), lambda _text, _seal: True)
    seals = iter([True, False])
    with pytest.raises(ApprovalVoid, match="was never cast"):
        recount(approved, policy, Authorship((AUTHOR,), ()), lambda _text, _seal: next(seals))


def test_a_rejection_leaves_no_doubt() -> None:
    rejected = vote(asked(author_may_approve=False), no(f"{ROLE}/ada.byron"), NOW)
    assert (rejected.decision, rejected.doubts) == (Decision.REJECTED, ())


def test_says_why_one_more_must_agree() -> None:
    assert why_one_more(()) == ""
    assert why_one_more(("a", "b")) == "one person more than the manifest asks must agree: a; b"


def test_nobody_decides_twice() -> None:
    approved = vote(asked(), yes(ADA), NOW)
    with pytest.raises(NotAllowedNow, match=r"already approved by ada \(Developer, 111111111111\)"):
        vote(approved, no(BOB), NOW)


def test_nobody_decides_at_the_deadline_or_later() -> None:
    approval = asked(timeout_seconds=60)
    assert vote(approval, yes(ADA), NOW + timedelta(seconds=59)).decision is Decision.APPROVED
    with pytest.raises(NotAllowedNow, match=r"expired at 2026-03-01T12:01:00\+00:00"):
        vote(approval, yes(ADA), NOW + timedelta(seconds=60))


def test_nobody_decides_what_has_expired() -> None:
    with pytest.raises(NotAllowedNow, match="expired"):
        vote(asked().model_copy(update={"decision": Decision.EXPIRED}), yes(ADA), NOW)


def preview(target: str, digest: str, stage: str = "prod") -> Preview:
    return Preview(release_id="shop-7", stage=stage, target=target, digest=digest)


def test_what_was_shown_is_bound_in_any_order() -> None:
    here, there = preview("1/eu-west-1", "a"), preview("1/us-east-1", "b")
    assert bound_digest("sha256:1", [here, there]) == bound_digest("sha256:1", [there, here])


@pytest.mark.parametrize(
    ("artifact", "shown"),
    [
        ("sha256:2", [preview("1/eu-west-1", "a")]),
        ("sha256:1", [preview("1/eu-west-1", "b")]),
        ("sha256:1", [preview("1/us-east-1", "a")]),
        ("sha256:1", [preview("1/eu-west-1", "a", stage="test")]),
        ("sha256:1", []),
        ("sha256:1", [preview("1/eu-west-1", "a")] * 2),
    ],
)
def test_anything_else_than_what_was_shown_is_another_digest(
    artifact: str, shown: list[Preview]
) -> None:
    assert bound_digest(artifact, shown) != bound_digest("sha256:1", [preview("1/eu-west-1", "a")])


@pytest.mark.parametrize(
    ("arn", "account", "role", "name", "shown"),
    [
        (ADA, "111111111111", "Developer", "ada", "ada (Developer, 111111111111)"),
        ("arn:aws:iam::2:user/team/jo", "2", "", "jo", "jo (2)"),
        ("arn:aws:iam::2:root", "2", "", "root", "root (2)"),
        ("arn:aws:sts::2:federated-user/jo", "2", "", "jo", "jo (2)"),
        ("arn:aws:sts::2:assumed-role/Admin", "2", "Admin", "Admin", "Admin (Admin, 2)"),
        ("jo", "", "", "jo", "jo"),
    ],
)
def test_an_identity_has_an_account_a_role_and_a_name(
    arn: str, account: str, role: str, name: str, shown: str
) -> None:
    identity = identify(arn)
    assert (identity.account, identity.role, identity.name) == (account, role, name)
    assert str(identity) == shown


def test_only_accounts_that_are_named_have_a_say() -> None:
    check_account(identify(ADA), {"111111111111"})
    with pytest.raises(NotAllowedNow, match="OperatorAccounts"):
        check_account(identify(ADA), {"222222222222"})


def test_only_sessions_that_are_named_for_people_vote() -> None:
    check_voter(identify(ADA), ("AWSReservedSSO_*", "Devel*"))
    check_voter(identify("arn:aws:iam::2:user/jo"), ())
    with pytest.raises(NotAllowedNow, match="whoever assumes Developer may choose any name"):
        check_voter(identify(ADA), ("AWSReservedSSO_*",))


@pytest.mark.parametrize("right", ["*/*/*", "Developer/shop/abort", "Dev*/sh*/ab*"])
def test_a_right_names_role_application_and_verb(right: str) -> None:
    check_right(identify(ADA), ("x/y/z", right), "shop", "abort")


@pytest.mark.parametrize(
    "right", ["Admin/shop/abort", "Developer/pay/abort", "Developer/shop/approve"]
)
def test_a_right_for_something_else_is_none(right: str) -> None:
    with pytest.raises(NotAllowedNow, match="may not abort releases of shop"):
        check_right(identify(ADA), (right,), "shop", "abort")


def test_a_user_has_the_rights_of_no_role() -> None:
    check_right(identify("arn:aws:iam::2:user/jo"), ("/shop/*",), "shop", "abort")
    with pytest.raises(NotAllowedNow, match="jo"):
        check_right(identify("arn:aws:iam::2:user/jo"), ("jo/shop/*",), "shop", "abort")


def test_a_proof_is_for_everything_that_was_said() -> None:
    words = {"argument": "", "reason": "fine", "shown": "sha256:1"}
    plain = subject_of("arn:one", "approve", "shop-7", "prod", **words)
    assert plain == subject_of("arn:one", "approve", "shop-7", "prod", **words)
    others = [{**words, key: "other"} for key in words]
    assert plain not in {subject_of("arn:one", "approve", "shop-7", "prod", **o) for o in others}
    assert plain != subject_of("arn:two", "approve", "shop-7", "prod", **words)
    assert plain.isascii()
    assert "\n" not in subject_of("a", "abort", "s-1", "", reason="two\nlines")
