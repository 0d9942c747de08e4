"""People are told of a rollout through topics, once for each trigger."""

from __future__ import annotations

from typing import Any

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.errors import ServiceRefused, ServiceUnavailable, TidegateError
from tidegate.core.model.plan import ReleaseRef, Trigger
from tidegate.core.model.record import Notification, RolloutPhase
from tidegate.core.workflow.notify import PublishedEvent, notify
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.requests import Operator
from tidegate.testing.faults import Fault, Faults, Stopped, Way, possible_faults
from tidegate.testing.retries import Crash

HERE = "arn:aws:sns:eu-west-1:333333333333:hello-releases"
ANYWHERE = "arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:hello-releases"
ADA = Operator("arn:aws:sts::111111111111:assumed-role/Admin/ada")
A_RESOURCE = "Table"  # any that the application's stack has


def story_with(*notifications: str) -> Story:
    """An application that wants these told, and the topics for it."""
    lines = "".join(f"  - {notification}\n" for notification in notifications)
    story = Story(f"{CANARY}notifications:\n{lines}")
    story.at(PROD).topics.messages = {HERE: [], f"physical-{A_RESOURCE}": []}
    return story


def told_of(story: Story, detail: dict[str, Any]) -> PublishedEvent:
    return PublishedEvent(
        release=ReleaseRef(id=detail["release"], application="hello", number=detail["number"]),
        stage=detail["stage"],
        target=detail["target"],
        phase=RolloutPhase(detail["phase"]),
        error=detail["error"],
    )


def tell_all(story: Story) -> None:
    """Hand over every event of the rollouts so far, as the bus does."""
    for kind, detail in story.world.bus.events:
        if kind == "Rollout State Change":
            notify(story.ports, told_of(story, dict(detail)))


def subjects(story: Story, topic: str = HERE) -> list[str]:
    return [subject for subject, _ in story.at(PROD).topics.messages[topic]]


def kept(story: Story, number: int = 1) -> list[Notification]:
    return [i for i in story.items(number, "NOTICE#") if isinstance(i, Notification)]


def succeeded(number: int = 1) -> PublishedEvent:
    release = ReleaseRef(id=f"hello-{number}", application="hello", number=number)
    return PublishedEvent(release=release, stage="prod", target=PROD, phase=RolloutPhase.SUCCEEDED)


def test_start_and_success_of_a_release() -> None:
    story = story_with(f"{{topic: '{HERE}'}}")
    assert story.release("one") == "succeeded"
    tell_all(story)
    assert subjects(story) == [
        "hello-1 is being deployed to prod 333333333333/eu-west-1",
        "hello-1 is live in prod 333333333333/eu-west-1",
    ]
    _, text = story.at(PROD).topics.messages[HERE][-1]
    assert text.splitlines() == [
        "hello-1 is live in prod, 333333333333/eu-west-1 (stack hello-prod).",
        f"Commit {story.get(1).artifact.commit[:7]} on main by Ada <ada@example.org>: Make it one",
        "Next: tidegate get hello-1",
    ]


def test_an_event_that_comes_twice_is_told_once() -> None:
    story = story_with(f"{{topic: '{HERE}', events: [DeploymentSuccess]}}")
    assert story.release("one") == "succeeded"
    assert [n.trigger for n in notify(story.ports, succeeded())] == [Trigger.SUCCESS]
    assert notify(story.ports, succeeded()) == []
    assert len(subjects(story)) == 1


def test_a_failure_says_why_and_what_serves() -> None:
    story = story_with(f"{{topic: '{ANYWHERE}', events: [rollback, failure]}}")
    assert story.release("one") == "succeeded"
    story.error_rates = {"2": 1.0}
    assert story.release("two") == "failed"
    tell_all(story)
    assert [s.partition(" prod")[0] for s in subjects(story)] == [
        "hello-2 goes back in",
        "hello-2 failed in",
    ]
    _, text = story.at(PROD).topics.messages[HERE][-1]
    assert "hello-prod-Hello:live serves version 1, not 2." in text
    assert "\nWhy: Unhealthy: " in text
    assert text.endswith("\nNext: tidegate explain hello-2")


def test_what_an_operator_stopped_is_no_failure() -> None:
    story = story_with(f"{{topic: '{HERE}', events: [stop, failure]}}")
    assert story.release("one") == "succeeded"
    story.machines.while_baking = lambda ref, _: abort(story.ports, ADA, ref.release.id, "prices")
    story.release("two")
    tell_all(story)
    assert subjects(story) == ["hello-2 was stopped in prod 333333333333/eu-west-1"]


def test_a_topic_of_the_stack_is_found_by_its_logical_id() -> None:
    story = story_with(f"{{topic: {A_RESOURCE}, events: [success]}}")
    assert story.release("one") == "succeeded"
    notify(story.ports, succeeded())
    assert len(subjects(story, f"physical-{A_RESOURCE}")) == 1


def test_a_topic_that_is_not_there_is_said_and_no_obstacle_for_others() -> None:
    story = story_with("{topic: Nowhere}", f"{{topic: '{HERE}-gone'}}", f"{{topic: '{HERE}'}}")
    assert story.release("one") == "succeeded"
    notify(story.ports, succeeded())
    assert len(subjects(story)) == 1
    assert {n.topic: n.error for n in kept(story)} == {
        "Nowhere": "The stack hello-prod has no topic Nowhere yet.",
        HERE: "",
        f"{HERE}-gone": f"There is no topic {HERE}-gone.",
    }


def test_a_topic_that_is_busy_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    story = story_with(f"{{topic: '{HERE}'}}", f"{{topic: {A_RESOURCE}}}")
    assert story.release("one") == "succeeded"
    topics = story.at(PROD).topics
    publish = topics.publish

    def busy(topic: str, subject: str, text: str) -> None:
        if topic == HERE:
            raise ServiceUnavailable("SNS is busy.")
        publish(topic, subject, text)

    monkeypatch.setattr(topics, "publish", busy)
    with pytest.raises(ServiceUnavailable):
        notify(story.ports, succeeded())
    monkeypatch.undo()
    assert [n.topic for n in notify(story.ports, succeeded())] == [HERE]
    assert len(subjects(story)) == len(subjects(story, f"physical-{A_RESOURCE}")) == 1


def test_a_topic_that_refuses_is_kept_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    story = story_with(f"{{topic: '{HERE}'}}")
    assert story.release("one") == "succeeded"

    def refuse(*_: str) -> None:
        raise ServiceRefused("not allowed.")

    monkeypatch.setattr(story.at(PROD).topics, "publish", refuse)
    (one,) = notify(story.ports, succeeded())
    assert one.error == "not allowed."
    assert notify(story.ports, succeeded()) == []


def test_a_request_for_approval_is_told_at_every_target_of_the_stage() -> None:
    story = story_with(f"{{topic: '{HERE}', events: [ready]}}")
    assert story.release("one") == "succeeded"
    (one,) = notify(story.ports, PublishedEvent(release=succeeded().release, stage="prod"))
    assert (one.trigger, one.target) == (Trigger.READY, PROD)
    _, text = story.at(PROD).topics.messages[HERE][0]
    assert text.endswith("Next: tidegate approve hello-1 --stage prod")


def test_phases_that_nobody_is_told_of_tell_nobody() -> None:
    story = story_with(f"{{topic: '{HERE}'}}")
    assert story.release("one") == "succeeded"
    shifting = PublishedEvent(
        release=succeeded().release, stage="prod", target=PROD, phase=RolloutPhase.SHIFTING
    )
    assert notify(story.ports, shifting) == []
    assert kept(story) == []


def forget_what_was_sent(story: Story) -> None:
    for item in kept(story):
        story.world.ledger.delete(item)
    story.at(PROD).topics.messages[HERE].clear()


def tell_until_it_is_done(story: Story, fault: Fault | None = None) -> list[str]:
    """Lambda tries an event again when its function fails or dies. Returns the calls."""
    faults = Faults([fault] if fault else [], story.world.clock)
    ports = faults.wrap(story.ports)
    for _ in range(100):
        try:
            notify(ports, succeeded())
        except (TidegateError, Crash, Stopped):
            story.world.clock.advance(60)
            continue
        faults.deliver_all()
        return faults.calls
    raise AssertionError(f"{fault}: never done")


def test_people_are_told_whatever_goes_wrong_with_any_call() -> None:
    story = story_with(f"{{topic: '{HERE}'}}")
    assert story.release("one") == "succeeded"
    calls = tell_until_it_is_done(story)
    assert "topics.publish" in calls
    for number, name in enumerate(calls, start=1):
        for fault in possible_faults(number, name):
            if fault.way is Way.DENIED:
                continue  # until somebody permits it, nobody can be told
            forget_what_was_sent(story)
            tell_until_it_is_done(story, fault)
            (one,) = kept(story)
            refused = fault.error in {"NotFound", "ServiceRefused"} and one.error
            assert subjects(story) or refused, f"{fault} of {name}: nobody was told"
