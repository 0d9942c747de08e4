"""Alarms that fire before the shift: said before people agree, and no reason to go back."""

from __future__ import annotations

import pytest

from support.story import CANARY, MANIFEST, PROD, Story
from tidegate.core.decision.evaluation import policy_of
from tidegate.core.insight.explain import explain_release
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.retro import replay_rollout
from tidegate.core.model.plan import WhenFiringBefore
from tidegate.core.model.record import Preview, RolloutPhase
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find, plan_of

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
REFUSING = MANIFEST.replace(
    "alarms: [HelloErrors]", "alarms: [HelloErrors]\n      when_firing_before: refuse"
)


def fire(story: Story, firing: bool = True) -> None:
    story.at(PROD).metrics.alarms["HelloErrors"] = firing


def preview_of(story: Story, number: int = 2) -> Preview:
    found = find(
        story.world.ledger, Preview, release_id=f"hello-{number}", stage="prod", target=PROD
    )
    assert found
    return found


def shown(story: Story, number: int = 2) -> tuple[str, ...]:
    """What people see of prod's alarms."""
    view = release_view(story.get(number), story.items(number, ""), story.world.clock.now())
    (prod,) = (stage for stage in view.stages if stage.name == "prod")
    return prod.rollouts[0].firing_before


@pytest.fixture
def refusing() -> Story:
    """The first release is live, and no traffic may move while an alarm fires."""
    story = Story(REFUSING)
    assert story.release("one") == "succeeded"
    return story


def test_people_see_them_before_they_agree() -> None:
    story = Story(approval="approval: {timeout: 1h}")
    seen: list[tuple[str, ...]] = []

    def agree(ref: object, stage: str) -> None:
        number = 2 if preview_of_two(story) else 1
        seen.append(shown(story, number))
        approve(story.ports, Operator("ada"), f"hello-{number}")

    story.machines.while_waiting = agree
    assert story.release("one") == "succeeded"
    fire(story)
    assert story.release("two") == "succeeded"
    assert seen == [(), ("HelloErrors",)]


def preview_of_two(story: Story) -> bool:
    return bool(story.items(2, "PREVIEW#prod"))


def test_they_are_told_when_the_shift_begins_and_do_not_count(live: Story) -> None:
    fire(live)
    assert live.release("two") == "succeeded"
    assert live.rollout(2).baseline_alarms == ("HelloErrors",)
    told = [
        detail["alarms_before"]
        for kind, detail in live.world.bus.events
        if kind == "Rollout State Change"
        and (detail["release"], detail["stage"], detail["phase"]) == ("hello-2", "prod", "shifting")
    ]
    assert told[0] == ["HelloErrors"]
    assert shown(live) == ("HelloErrors",)


def test_one_that_recovers_before_the_shift_counts(live: Story) -> None:
    fire(live)

    def recover(payload: object) -> None:
        assert shown(live) == ("HelloErrors",)  # as the preview saw it
        fire(live, False)

    live.at(PROD).functions.code["hello-prod-Pre"] = recover
    assert live.release("two") == "succeeded"
    assert shown(live) == ()


def test_they_are_no_part_of_what_an_approval_binds_to(live: Story) -> None:
    assert live.release("two") == "succeeded"
    quiet = preview_of(live)
    fire(live)
    assert quiet.digest == quiet.model_copy(update={"firing": ("HelloErrors",)}).digest


def test_the_manifest_refuses_before_anything_is_deployed(refusing: Story) -> None:
    fire(refusing)
    assert refusing.release("two") == "failed"
    release = refusing.get(2)
    assert release.error == "AlarmsFiring"
    assert release.cause.startswith(f"HelloErrors fires already at prod {PROD}: no traffic moves.")
    assert not refusing.items(2, "ROLLOUT#prod")
    fire(refusing, False)
    assert refusing.release("three") == "succeeded"


def test_one_that_begins_after_the_preview_is_refused_before_any_traffic_moves(
    refusing: Story,
) -> None:
    refusing.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: fire(refusing)
    assert refusing.release("two") == "failed"
    rollout = refusing.rollout(2)
    assert (rollout.phase, rollout.error) == (RolloutPhase.RESTORED, "AlarmsFiring")
    assert (rollout.ticks, refusing.serves()) == (0, ALL_ON_1)
    assert [weight for target, weight in refusing.seen if target == PROD] == []


def test_nothing_is_refused_where_no_traffic_moves() -> None:
    story = Story(REFUSING)
    fire(story)
    assert story.release("one") == "succeeded"  # a first deployment
    assert story.release("one") == "succeeded"  # nothing to deploy


def test_an_alarm_that_the_release_is_to_make_is_passed_over() -> None:
    story = Story(CANARY.replace("checks: {", "checks: {alarms: [NewAlarm], "))
    story.at(PROD).metrics.alarms["NewAlarm"] = False
    del story.at(PROD).metrics.alarms["NewAlarm"]

    def make(payload: object) -> None:
        story.at(PROD).metrics.alarms["NewAlarm"] = False

    story.at(PROD).functions.code["hello-prod-Pre"] = make
    assert story.release("one") == "succeeded"
    assert preview_of(story, 1).firing == ()


def test_hindsight_tells_them_and_what_a_stricter_manifest_would_have_done(live: Story) -> None:
    fire(live)
    assert live.release("two") == "succeeded"
    items = live.items(2, "")
    told = explain_release("hello-2", items)
    prod = next(rollout for rollout in told.rollouts if rollout.stage == "prod")
    assert prod.policy[-1] == "not counted, for they fired before the shift: HelloErrors"
    stage = plan_of(live.world.ledger, "hello-2").stage("prod")
    strict = stage.checks.model_copy(update={"when_firing_before": WhenFiringBefore.REFUSE})
    rollout = live.rollout(2)
    policy = policy_of(stage.model_copy(update={"checks": strict}), rollout)
    past = replay_rollout(policy, rollout, items)
    assert past
    assert past.replayed
    assert (past.recorded.ending, past.replayed.ending) == ("promoted", "restored")
    assert past.replayed.why == "not begun: HelloErrors fired before the shift"


def test_a_strict_manifest_is_told_as_such(refusing: Story) -> None:
    assert refusing.release("two") == "succeeded"
    told = explain_release("hello-2", refusing.items(2, ""))
    prod = next(rollout for rollout in told.rollouts if rollout.stage == "prod")
    assert prod.policy[-1] == "alarms: HelloErrors; while one fires already, no traffic moves"
    stage = plan_of(refusing.world.ledger, "hello-2").stage("prod")
    past = replay_rollout(policy_of(stage, refusing.rollout(2)), refusing.rollout(2),
                     refusing.items(2, ""))  # fmt: skip
    assert past
    assert past.replayed
    assert past.replayed.ending == "promoted"
