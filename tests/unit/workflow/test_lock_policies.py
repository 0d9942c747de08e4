"""What a release does when another one of its application is under way, as the manifest says."""

from __future__ import annotations

import pytest

from support.story import MANIFEST, PROD, TEST, Story
from tidegate.core.errors import Locked, Superseded
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import ReleasePhase
from tidegate.core.workflow.release.lock import take_lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.release.tests import TestResult, record_tests
from tidegate.core.workflow.stage.begin import begin_stage
from tidegate.core.workflow.target.context import RolloutRef


def story_with(policy: str) -> Story:
    return Story(f"{MANIFEST}when_locked: {policy}\n", approval="approval: {timeout: 1h}")


def ask(story: Story, code: str) -> tuple[ReleaseRef, str]:
    """A release is planned and asks for the lock. Returns it with whom it waits for."""
    planned = plan_release(story.ports, story.application.build(code), code)
    ref = ReleaseRef.model_validate(planned["release"])
    answer = take_lock(story.ports, ref, code)
    return ref, "" if answer["held"] else answer["holder"]


def again(story: Story, ref: ReleaseRef, code: str) -> str:
    answer = take_lock(story.ports, ref, code)
    return "" if answer["held"] else answer["holder"]


def test_queue_lets_one_after_the_other_in_by_their_numbers() -> None:
    story = story_with("queue")
    first, holder = ask(story, "a")
    assert holder == ""
    second, holder = ask(story, "b")
    third, _ = ask(story, "c")
    assert holder == "hello-1"
    settle_release(story.ports, "a", first, None)
    assert again(story, third, "c") == "hello-2"
    assert again(story, second, "b") == ""
    settle_release(story.ports, "b", second, None)
    assert again(story, third, "c") == ""


def test_reject_ends_at_once() -> None:
    story = story_with("reject")
    ask(story, "a")
    with pytest.raises(Locked, match="hello-1 is under way, and hello-2 does not wait"):
        ask(story, "b")


def test_newer_release_takes_the_place_of_one_that_is_still_tested() -> None:
    story = story_with("supersede")
    first, _ = ask(story, "a")
    second, holder = ask(story, "b")
    assert holder == "hello-1"
    assert again(story, second, "b") == "hello-1"
    results = [TestResult(name=name, status="SUCCEEDED") for name in ("unit", "scan")]
    with pytest.raises(Superseded, match="hello-2 took the place of hello-1"):
        record_tests(story.ports, first, results)
    with pytest.raises(Superseded):
        begin_stage(story.ports, first, "test")
    failure = {"Error": "Superseded", "Cause": "hello-2 took the place of hello-1."}
    assert settle_release(story.ports, "a", first, failure) == {"phase": "superseded"}
    assert again(story, second, "b") == ""


def test_newer_release_ends_a_request_for_approval() -> None:
    story = story_with("supersede")
    story.machines.while_waiting = lambda ref, stage: ask(story, "two")
    assert story.release("one") == "superseded"
    assert story.get(1).error == "Superseded"
    assert story.serves(TEST) == {"Hello": ("1", {}), "Bye": ("1", {})}


def test_release_that_shifts_is_left_alone() -> None:
    """A newer one waits for it, and so does one whose stage with an approval has begun."""
    story = Story(f"{MANIFEST}when_locked: supersede\n")
    assert story.release("one") == "succeeded"
    asked: list[str] = []

    def serve(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        if not asked:
            asked.append(ask(story, "three")[1])

    story.machines.while_baking = serve
    assert story.release("two") == "succeeded"
    assert asked == ["hello-2"]
    assert story.get(2).phase is ReleasePhase.SUCCEEDED
    assert story.alias("Hello", PROD).version == "2"
