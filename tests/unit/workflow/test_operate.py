"""People decide: who, when, about what, and what follows within seconds."""

from __future__ import annotations

import pytest

from support.story import PROD, TEST, Story
from tidegate.core.errors import ApprovalVoid, NotAllowedNow, NotFound
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import (
    Approval,
    Decision,
    OperatorRequest,
    Preview,
    RolloutPhase,
    StagePhase,
)
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.approvals import approve, reject
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find, operator_requests
from tidegate.core.workflow.rollout.deploy import deploy
from tidegate.core.workflow.stage.approval import request_approval
from tidegate.core.workflow.stage.begin import begin_stage
from tidegate.core.workflow.target.context import RolloutRef

ADA = Operator("arn:aws:sts::111111111111:assumed-role/Admin/ada", "cli")
BEN = Operator("arn:aws:sts::111111111111:assumed-role/Admin/ben", "cli")
ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}


@pytest.fixture
def asking() -> Story:
    """Prod asks for an approval; nobody answers until a test says so."""
    return Story(approval="approval: {timeout: 1h, approvers: 1}")


def approval_of(story: Story, number: int = 1) -> Approval:
    found = find(story.world.ledger, Approval, release_id=f"hello-{number}", stage="prod")
    assert found
    return found


def test_approved_stage_is_deployed(asking: Story) -> None:
    def say_yes(ref: ReleaseRef, stage: str) -> None:
        assert asking.get_stage(1, 1, "prod").phase is StagePhase.AWAITING_APPROVAL
        said = approve(asking.ports, ADA, ref.id, stage, "looks good")
        assert said == f"{ADA} approved prod of hello-1: it goes on."

    asking.machines.while_waiting = say_yes
    assert asking.release("one") == "succeeded"
    approval = approval_of(asking)
    assert approval.decision is Decision.APPROVED
    (vote,) = approval.votes
    assert (vote.who, vote.reason, vote.source) == (ADA.who, "looks good", "cli")
    told = [kind for kind, _ in asking.world.bus.events if kind.startswith("Approval")]
    assert told == ["Approval Requested", "Approval Decided"]


def test_rejected_stage_ends_the_release(asking: Story) -> None:
    asking.machines.while_waiting = lambda ref, stage: reject(
        asking.ports, BEN, ref.id, "it is Friday"
    )
    assert asking.release("one") == "rejected"
    release = asking.get(1)
    assert release.error == "ApprovalRejected"
    assert release.cause == f"{BEN} rejected prod of hello-1: it is Friday"
    assert not asking.at(PROD).stacks.state("hello-prod").status
    assert asking.serves(TEST) == ALL_ON_1


def test_stage_that_nobody_decides_on_expires(asking: Story) -> None:
    assert asking.release("one") == "rejected"
    assert asking.get(1).error == "ApprovalExpired"
    assert approval_of(asking).decision is Decision.EXPIRED
    with pytest.raises(NotAllowedNow, match="expired"):
        approve(asking.ports, ADA, "hello-1")


def test_voter_of_an_expired_request_is_told_so() -> None:
    story = Story(approval="approval: {approvers: 2}")
    story.machines.while_waiting = lambda ref, stage: approve(story.ports, ADA, ref.id)
    assert story.release("one") == "rejected"
    with pytest.raises(NotAllowedNow, match="expired"):
        approve(story.ports, ADA, "hello-1")


def test_two_people_must_agree_when_the_manifest_says_so() -> None:
    story = Story(approval="approval: {approvers: 2}")

    def agree(ref: ReleaseRef, stage: str) -> None:
        said = approve(story.ports, ADA, ref.id)
        assert said == f"{ADA} approved prod of hello-1; 1 more must agree."
        assert approve(story.ports, ADA, ref.id) == said  # a repeat counts once
        assert approve(story.ports, BEN, ref.id).endswith("it goes on.")

    story.machines.while_waiting = agree
    assert story.release("one") == "succeeded"
    assert len(approval_of(story).votes) == 2


def test_nothing_to_approve_is_said(live: Story) -> None:
    with pytest.raises(NotAllowedNow, match="hello-1 is over: it is succeeded"):
        approve(live.ports, ADA, "hello-1")
    with pytest.raises(NotFound, match="There is no release hello-9"):
        approve(live.ports, ADA, "hello-9")
    for name in ("hello", "hello-x", "-3"):
        with pytest.raises(NotFound, match="is not the name of a release"):
            abort(live.ports, ADA, name)


def test_release_that_has_not_asked_yet_says_so(asking: Story) -> None:
    def too_early(payload: object) -> None:
        for stage, of in (("", "hello-1"), ("prod", "stage prod of hello-1")):
            with pytest.raises(NotAllowedNow, match=f"Nobody is asked to approve {of}"):
                approve(asking.ports, ADA, "hello-1", stage)

    asking.at(TEST).functions.code["hello-test-Pre"] = too_early
    asking.release("one")
    assert asking.rollout(1, "test", TEST).phase is RolloutPhase.SUCCEEDED


def test_new_token_takes_the_place_of_the_one_before(asking: Story) -> None:
    callbacks = asking.world.callbacks

    def ask_again(ref: ReleaseRef, stage: str) -> None:
        (old,) = callbacks.waiting
        callbacks.waiting.add("new")
        request_approval(asking.ports, ref, stage, "new")
        approve(asking.ports, ADA, ref.id)
        assert callbacks.answers["new"] == {}
        assert old in callbacks.waiting
        callbacks.succeed(old, {})

    asking.machines.while_waiting = ask_again
    assert asking.release("one") == "succeeded"


def test_token_that_comes_after_the_decision_is_answered_at_once(asking: Story) -> None:
    def decide_first(ref: ReleaseRef, stage: str) -> None:
        approve(asking.ports, ADA, ref.id)
        asking.world.callbacks.waiting.add("late")
        request_approval(asking.ports, ref, stage, "late")
        assert asking.world.callbacks.answers["late"] == {}

    asking.machines.while_waiting = decide_first
    assert asking.release("one") == "succeeded"


def test_approval_is_void_when_another_thing_would_be_deployed(asking: Story) -> None:
    def change_after(ref: ReleaseRef, stage: str) -> None:
        approve(asking.ports, ADA, ref.id)
        preview = find(asking.world.ledger, Preview, release_id=ref.id, stage=stage, target=PROD)
        assert preview
        asking.world.ledger.put(preview.model_copy(update={"digest": "sha256:other"}))

    asking.machines.while_waiting = change_after
    assert asking.release("one") == "failed"
    assert asking.get(1).error == "ApprovalVoid"
    assert not asking.at(PROD).stacks.state("hello-prod").exists


def test_nothing_is_deployed_without_its_approval(asking: Story) -> None:
    def sneak(ref: ReleaseRef, stage: str) -> None:
        with pytest.raises(ApprovalVoid, match="prod of hello-1 was not approved"):
            deploy(asking.ports, RolloutRef(release=ref, stage=stage, target=PROD))

    asking.machines.while_waiting = sneak
    asking.release("one")
    assert approval_of(asking).decision is Decision.EXPIRED


def test_abort_ends_the_wait_for_an_approval(asking: Story) -> None:
    asking.machines.while_waiting = lambda ref, stage: abort(asking.ports, ADA, ref.id, "wrong one")
    began = asking.world.clock.now()
    assert asking.release("one") == "aborted"
    assert (asking.world.clock.now() - began).total_seconds() < 60
    assert asking.get(1).cause == f"{ADA} aborted hello-1: wrong one."
    assert approval_of(asking).decision is Decision.EXPIRED


def test_abort_before_the_request_answers_it_at_once(asking: Story) -> None:
    asked = []

    def abort_first(ref: ReleaseRef, stage: str) -> None:
        asking.world.ledger.put(
            OperatorRequest(
                release_id=ref.id, verb="abort", who="ada", reason="", at=asking.world.clock.now()
            )
        )
        asking.world.callbacks.waiting.add("next")
        request_approval(asking.ports, ref, stage, "next")
        asked.append(asking.world.callbacks.answers["next"])

    asking.machines.while_waiting = abort_first
    asking.release("one")
    assert asked == [{"Error": "Aborted", "Cause": "ada aborted hello-1."}]


def test_abort_while_baking_puts_traffic_back_within_seconds(live: Story) -> None:
    def stop(ref: RolloutRef, seconds: int) -> None:
        live.serve(ref, seconds)
        said = abort(live.ports, ADA, ref.release.id, "customers complain")
        assert abort(live.ports, BEN, ref.release.id, "me too") == said  # the first one counts

    live.machines.while_baking = stop
    began = live.world.clock.now()
    assert live.release("two") == "aborted"
    assert (live.world.clock.now() - began).total_seconds() < 120
    assert live.serves() == ALL_ON_1
    assert "customers complain" in live.get(2).cause
    (request,) = operator_requests(live.ports, "hello-2")
    assert (request.who, request.reason) == (ADA.who, "customers complain")


def test_abort_before_a_hook_keeps_it_from_running(live: Story) -> None:
    live.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: (
        abort(live.ports, ADA, "hello-2") and None
    )
    assert live.release("two") == "aborted"
    called = [name for name, payload, _ in live.at(PROD).functions.calls
              if payload["release"]["id"] == "hello-2"]  # fmt: skip
    assert called == ["hello-prod-Pre"]
    assert live.serves() == ALL_ON_1


def test_wish_of_another_kind_ends_no_release(live: Story) -> None:
    def request(ref: RolloutRef, seconds: int) -> None:
        live.serve(ref, seconds)
        if not operator_requests(live.ports, ref.release.id):
            item = OperatorRequest(
                release_id=ref.release.id,
                verb="applaud",
                who="ada",
                reason="",
                at=live.world.clock.now(),
            )
            live.world.ledger.put(item)

    live.machines.while_baking = request
    assert live.release("two") == "succeeded"


def test_release_that_is_aborted_while_it_previews_does_not_wait_for_people(asking: Story) -> None:
    preview = asking.machines._preview

    def abort_after(ref: ReleaseRef, name: str, target: str) -> None:
        preview(ref, name, target)
        if name == "prod":
            abort(asking.ports, ADA, ref.id)

    asking.machines._preview = abort_after
    asking.machines.while_waiting = lambda ref, stage: pytest.fail("nobody is to be asked")
    assert asking.release("one") == "aborted"


def test_decision_before_the_token_is_kept_is_answered_by_whoever_keeps_it(asking: Story) -> None:
    def lose_token(ref: ReleaseRef, stage: str) -> None:
        (token,) = asking.tokens(1)
        asking.world.ledger.delete(token)
        approve(asking.ports, ADA, ref.id)
        (waiting,) = asking.world.callbacks.waiting
        request_approval(asking.ports, ref, stage, waiting)

    asking.machines.while_waiting = lose_token
    assert asking.release("one") == "succeeded"


def test_stage_that_is_entered_again_goes_on_as_it_was(asking: Story) -> None:
    def enter_again(ref: ReleaseRef, stage: str) -> None:
        before = asking.get_stage(1, 1, "prod")
        assert begin_stage(asking.ports, ref, stage) == {"waves": [[PROD]]}
        assert asking.get_stage(1, 1, "prod") == before
        approve(asking.ports, ADA, ref.id)

    asking.machines.while_waiting = enter_again
    assert asking.release("one") == "succeeded"
