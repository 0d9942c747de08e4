"""What CloudFormation does to a stack is in the record while it happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.errors import ServiceRefused, ServiceUnavailable
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.views import OperationView
from tidegate.core.model.record import StackLog
from tidegate.core.ports import StackEvent
from tidegate.core.workflow.records import find
from tidegate.core.workflow.target import stack_log
from tidegate.core.workflow.target.context import open_context

STACK_EVENTS = "Stack State Change"


@pytest.fixture
def canary() -> Story:
    """The first release is live."""
    story = Story(CANARY)
    assert story.release("one") == "succeeded"
    story.world.bus.events.clear()
    return story


def log(story: Story, number: int, operation: str) -> StackLog:
    found = find(
        story.world.ledger,
        StackLog,
        release_id=f"hello-{number}",
        stage="prod",
        target=PROD,
        operation=operation,
    )
    assert found
    return found


def told(story: Story) -> list[tuple[str, str]]:
    """How the stack stood, by what was told of it."""
    return [
        (str(detail["operation"]), str(detail["status"]))
        for kind, detail in story.world.bus.events
        if kind == STACK_EVENTS
    ]


def operations(story: Story, number: int) -> tuple[OperationView, ...]:
    view = release_view(story.get(number), story.items(number, ""), story.world.clock.now())
    return view.stages[0].rollouts[0].operations


def test_deployment_and_finish_are_kept_and_told(canary: Story) -> None:
    assert canary.release("two") == "succeeded"

    deployed = log(canary, 2, "deploy")
    assert deployed.status == "UPDATE_COMPLETE"
    assert deployed.under_way == deployed.failures == ()
    assert ("Hello", "UPDATE_COMPLETE") in {(e.logical_id, e.status) for e in deployed.events}
    assert log(canary, 2, "finish").status == "UPDATE_COMPLETE"
    assert told(canary) == [
        ("deploy", "UPDATE_IN_PROGRESS"),
        ("deploy", "UPDATE_COMPLETE"),
        ("finish", "UPDATE_IN_PROGRESS"),
        ("finish", "UPDATE_COMPLETE"),
    ]
    assert [o.operation for o in operations(canary, 2)] == ["deploy", "finish"]
    assert not any(o.under_way for o in operations(canary, 2))


def test_a_failure_is_kept_with_its_reason_and_its_resource(canary: Story) -> None:
    canary.at(PROD).stacks.fail_next.append("the role is missing.")
    assert canary.release("two") == "failed"

    (first, *_) = log(canary, 2, "deploy").failures
    assert first.status == "UPDATE_FAILED"
    assert first.reason == "the role is missing."
    assert told(canary)[-1] == ("deploy", "UPDATE_ROLLBACK_COMPLETE")


def test_the_way_back_is_followed_too(canary: Story) -> None:
    canary.error_rates = {"2": 1.0}
    assert canary.release("two") == "failed"

    assert log(canary, 2, "restore").status == "UPDATE_COMPLETE"
    assert [o.operation for o in operations(canary, 2)] == ["deploy", "restore"]


def test_a_first_deployment_that_is_taken_down_is_followed_until_it_is_gone() -> None:
    story = Story(CANARY)
    story.at(PROD).functions.code["hello-prod-Pre"] = lambda _: {"status": "Failed"}
    assert story.release("one") == "failed"

    assert log(story, 1, "delete").status.startswith("DELETE_")


def test_a_look_that_sees_nothing_new_writes_nothing(canary: Story) -> None:
    assert canary.release("two") == "succeeded"
    before, count = log(canary, 2, "deploy"), len(canary.world.bus.events)

    stack_log.follow(open_context(canary.ports, canary.ref(2)), "deploy")

    assert log(canary, 2, "deploy") == before
    assert len(canary.world.bus.events) == count


@pytest.mark.parametrize("error", [ServiceRefused("no."), ServiceUnavailable("busy.")])
def test_events_that_cannot_be_read_are_no_obstacle(
    error: Exception, canary: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[StackEvent]:
        raise error

    monkeypatch.setattr(canary.at(PROD).stacks, "events", refuse)
    assert canary.release("two") == "succeeded"

    (deployed, _) = operations(canary, 2)
    assert (deployed.seen, deployed.unread) == (0, str(error))


def test_the_log_of_a_large_stack_stays_small(
    canary: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert canary.release("two") == "succeeded"
    (example, *_) = canary.at(PROD).stacks.events("hello-prod", "hello-2-prod-deploy")
    statuses = ["UPDATE_IN_PROGRESS", "UPDATE_FAILED"]
    crowd = [
        replace(
            example,
            id=f"crowd-{number}-{status}",
            logical_id=f"{'R' * 250}{number}",
            type="T" * 200,
            status=status,
            reason="r" * 5000,
            of_stack=False,
        )
        for status in statuses
        for number in range(500)
    ]
    begun = [replace(event, id=f"new-{event.id}", status=statuses[0]) for event in crowd[:500]]
    monkeypatch.setattr(canary.at(PROD).stacks, "events", lambda *_: [*crowd, *begun])

    stack_log.follow(open_context(canary.ports, canary.ref(2)), "deploy")

    kept = log(canary, 2, "deploy")
    assert kept.seen > 1500
    assert len(kept.events) == stack_log.NEWEST
    assert [f.logical_id for f in kept.failures] == [
        f"{'R' * 250}{n}" for n in range(stack_log.FAILURES)
    ]
    assert [w.logical_id[-3:] for w in kept.under_way] == [str(n) for n in range(490, 500)]
    assert len(kept.model_dump_json()) < 100_000
