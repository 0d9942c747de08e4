"""A vote that was written into the record, and never cast, deploys nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.story import PROD, Story
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Approval, Decision, Plan, Vote, release_partition
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.core.workflow.task_tokens import answer_approval

ROLE = "arn:aws:sts::111111111111:assumed-role/tidegate-operator"
CY, BEA = Operator(f"{ROLE}/cy", proof="signed by cy"), Operator(f"{ROLE}/bea")
TWO = "approval: {approvers: 2, author_may_approve: false}"


@pytest.fixture
def story() -> Story:
    """Prod asks two people but the author."""
    return Story(approval=TWO)


def asked(story: Story, number: int = 1) -> Approval:
    found = find(story.world.ledger, Approval, release_id=f"hello-{number}", stage="prod")
    assert found
    return found


def write(story: Story, number: int = 1, /, **changes: Any) -> None:
    """As code of an application may that has got at the table; then it answers the token."""
    forged = asked(story, number).model_copy(update={"decision": Decision.APPROVED, **changes})
    story.world.ledger.put(forged)
    answer_approval(story.ports, forged.release_id, "prod")


def unsealed(story: Story, who: str, **said: Any) -> Vote:
    return Vote(who=f"{ROLE}/{who}", approve=True, at=story.world.clock.now(), **said)


def release(story: Story, act: Callable[[ReleaseRef], object], code: str = "one") -> str:
    story.machines.while_waiting = lambda ref, stage: act(ref)
    return story.release(code)


def stopped(story: Story, number: int = 1) -> str:
    """Why nothing was deployed to prod."""
    assert not story.at(PROD).stacks.state("hello-prod").exists
    end = story.get(number)
    assert end.error == "ApprovalVoid"
    return end.cause


def both(story: Story, ref: ReleaseRef) -> None:
    for who in (CY, BEA):
        approve(story.ports, who, ref.id)


def test_votes_that_were_cast_deploy_and_keep_their_proofs(story: Story) -> None:
    assert release(story, lambda ref: both(story, ref)) == "succeeded"
    assert [vote.proof for vote in asked(story).votes] == ["signed by cy", ""]
    assert all(vote.seal for vote in asked(story).votes)


@pytest.mark.parametrize("seal", ["", "0" * 64])
def test_no_deployment_by_votes_that_were_written(story: Story, seal: str) -> None:
    def forge(ref: ReleaseRef) -> None:
        write(story, votes=tuple(unsealed(story, who, seal=seal) for who in ("cy", "bea")))

    assert release(story, forge) == "failed"
    assert "A vote for prod of hello-1 was never cast as the record has it: cy" in stopped(story)


def test_no_deployment_by_one_vote_and_one_that_was_written(story: Story) -> None:
    def forge(ref: ReleaseRef) -> None:
        approve(story.ports, CY, ref.id)
        write(story, votes=(*asked(story).votes, unsealed(story, "bea")))

    assert release(story, forge) == "failed"
    assert "never cast as the record has it: bea" in stopped(story)


def test_no_deployment_by_one_vote_where_two_are_asked(story: Story) -> None:
    def forge(ref: ReleaseRef) -> None:
        approve(story.ports, CY, ref.id)
        write(story, approvers=1)

    assert release(story, forge) == "failed"
    assert "the votes of 1 of 2 are there" in stopped(story)


def test_no_deployment_by_a_vote_counted_twice(story: Story) -> None:
    def forge(ref: ReleaseRef) -> None:
        approve(story.ports, CY, ref.id)
        write(story, votes=asked(story).votes * 2)

    assert release(story, forge) == "failed"
    assert "does not count: cy (tidegate-operator, 111111111111) has already" in stopped(story)


def test_no_deployment_by_a_no_that_was_made_a_yes(story: Story) -> None:
    def forge(ref: ReleaseRef) -> None:
        approve(story.ports, CY, ref.id, reason="only because of the incident")
        (first,) = asked(story).votes
        write(story, votes=(first.model_copy(update={"reason": ""}),))

    assert release(story, forge) == "failed"
    assert "never cast as the record has it: cy" in stopped(story)


def test_no_deployment_by_the_votes_for_another_release(story: Story) -> None:
    def copy(ref: ReleaseRef) -> None:
        write(story, 2, votes=asked(story, 1).votes)

    release(story, lambda ref: both(story, ref))
    assert release(story, copy, "two") == "failed"
    assert story.get(2).error == "ApprovalVoid"
    assert "never cast" in story.get(2).cause
    assert story.serves()["Hello"] == ("1", {})


def test_no_deployment_by_a_plan_that_asks_nobody_any_more(story: Story) -> None:
    def forge(ref: ReleaseRef) -> None:
        item = story.world.ledger.get(Plan, release_partition(ref.id), "PLAN")
        assert item
        prod = item.plan.stage("prod").model_copy(update={"approval": None})
        plan = item.plan.model_copy(update={"stages": (item.plan.stages[0], prod)})
        story.world.ledger.put(item.model_copy(update={"plan": plan}))
        write(story)

    assert release(story, forge) == "failed"
    assert "the votes of 0 of 2 are there" in stopped(story)
