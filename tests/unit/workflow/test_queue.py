"""One release of an application at a time, and of those that wait the newest."""

from __future__ import annotations

import pytest

from support.story import Story
from tidegate.core.errors import Aborted, LockLost, NotAllowedNow, Superseded
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Lock, ReleasePhase, Waiter, application_partition
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.controls import pause, promote
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.unlock import unlock
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release.lock import read_lock, take_lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.rollout.deploy import deploy
from tidegate.core.workflow.rollout.restore import restore_traffic
from tidegate.core.workflow.stage.begin import begin_stage


def plan(story: Story, code: str, execution: str) -> ReleaseRef:
    planned = plan_release(story.ports, story.application.build(code), execution)
    return ReleaseRef.model_validate(planned["release"])


def waiting(story: Story) -> list[int]:
    items = story.world.ledger.query(application_partition("hello"), "WAITER#")
    return [item.number for item in items if isinstance(item, Waiter)]


def test_second_release_waits_until_the_first_has_settled(story: Story) -> None:
    first, second = plan(story, "one", "a"), plan(story, "two", "b")
    assert take_lock(story.ports, first, "a") == {"held": True, "holder": "hello-1"}
    assert take_lock(story.ports, second, "b") == {"held": False, "holder": "hello-1"}
    assert story.get(2).phase is ReleasePhase.QUEUED
    settle_release(story.ports, "a", first, None)
    assert take_lock(story.ports, second, "b") == {"held": True, "holder": "hello-2"}
    assert story.get(2).phase is ReleasePhase.TESTING
    assert waiting(story) == []


def test_holder_that_asks_again_still_holds(story: Story) -> None:
    first = plan(story, "one", "a")
    take_lock(story.ports, first, "a")
    assert take_lock(story.ports, first, "a") == {"held": True, "holder": "hello-1"}
    assert read_lock(story.world.ledger, "hello").fence == 1


def test_fence_rises_with_every_owner(story: Story) -> None:
    for number, execution in enumerate("abc", start=1):
        ref = plan(story, execution, execution)
        take_lock(story.ports, ref, execution)
        assert read_lock(story.world.ledger, "hello").fence == number
        settle_release(story.ports, execution, ref, None)


def test_of_those_that_wait_only_the_newest_goes_on(story: Story) -> None:
    refs = {execution: plan(story, execution, execution) for execution in "abc"}
    take_lock(story.ports, refs["a"], "a")
    take_lock(story.ports, refs["b"], "b")
    take_lock(story.ports, refs["c"], "c")
    with pytest.raises(Superseded, match="hello-3 took the place of hello-2"):
        take_lock(story.ports, refs["b"], "b")
    assert waiting(story) == [3]
    settle_release(story.ports, "a", refs["a"], None)
    assert take_lock(story.ports, refs["c"], "c")["held"]


def test_older_release_never_follows_a_newer_one(story: Story) -> None:
    slow, fast = plan(story, "one", "slow"), plan(story, "two", "fast")
    take_lock(story.ports, fast, "fast")
    settle_release(story.ports, "fast", fast, None)
    with pytest.raises(Superseded):
        take_lock(story.ports, slow, "slow")
    failure = {"Error": "Superseded", "Cause": "hello-2 took the place of hello-1."}
    assert settle_release(story.ports, "slow", slow, failure) == {"phase": "superseded"}


def test_release_that_is_aborted_while_it_waits_leaves_the_queue(story: Story) -> None:
    first, second = plan(story, "one", "a"), plan(story, "two", "b")
    take_lock(story.ports, first, "a")
    take_lock(story.ports, second, "b")
    abort(story.ports, Operator("ada"), "hello-2", "not today")
    with pytest.raises(Aborted, match="ada aborted hello-2: not today"):
        take_lock(story.ports, second, "b")
    failure = {"Error": "Aborted", "Cause": "ada aborted hello-2: not today."}
    assert settle_release(story.ports, "b", second, failure) == {"phase": "aborted"}
    assert waiting(story) == []
    assert read_lock(story.world.ledger, "hello").owner == "a"


def test_release_that_waits_too_long_fails_and_disturbs_nobody(live: Story) -> None:
    holder = plan(live, "two", "holder")
    take_lock(live.ports, holder, "holder")
    assert live.release("three") == "failed"
    assert live.get(3).error == "TookTooLong"
    assert read_lock(live.world.ledger, "hello").owner == "holder"


def test_nothing_is_entered_without_the_lock(story: Story) -> None:
    first = plan(story, "one", "a")
    with pytest.raises(LockLost, match="does not own the lock of hello: nobody does"):
        begin_stage(story.ports, first, "test")
    plan(story, "two", "b")
    take_lock(story.ports, plan(story, "two", "b"), "b")
    with pytest.raises(LockLost, match="hello-2 does"):
        deploy(story.ports, story.ref(1))


def test_release_that_lost_its_lock_does_not_touch_the_aliases(live: Story) -> None:
    """Somebody resolved the stuck release, and a newer one deploys by now."""

    def lose(ref: object, seconds: int) -> None:
        lock = find(live.world.ledger, Lock, application="hello")
        assert lock
        live.world.ledger.put(lock.model_copy(update={"owner": "other", "release_number": 7}))

    live.machines.while_baking = lose
    assert live.release("two") == "stuck"
    assert live.alias().routes == {"2": 0.1}
    assert live.get(2).error == "LockLost"
    assert "hello-7 deploys now" in live.get(2).cause
    restore_traffic(live.ports, live.ref(2), {"Error": "Late", "Cause": "a repeat"})
    assert live.alias().routes == {"2": 0.1}


def test_stuck_release_keeps_everybody_else_out_until_a_person_resolves_it(live: Story) -> None:
    live.at("333333333333/eu-west-1").stacks.fail_next.append("no")
    live.at("333333333333/eu-west-1").stacks.refuse_rollback = True
    assert live.release("two") == "stuck"
    third = plan(live, "three", "c")
    assert take_lock(live.ports, third, "c") == {"held": False, "holder": "hello-2"}
    ada = Operator("ada")
    for verb in (abort, pause, promote):
        with pytest.raises(NotAllowedNow, match="then `tidegate unlock hello-2 --reason 'why'`"):
            verb(live.ports, ada, "hello-2")
    with pytest.raises(NotAllowedNow, match="The confirmation is 'hello', not 'hello-2'"):
        unlock(live.ports, ada, "hello-2", "hello", "mended by hand")
    with pytest.raises(NotAllowedNow, match="needs a reason"):
        unlock(live.ports, ada, "hello-2", "hello-2", " ")
    said = unlock(live.ports, ada, "hello-2", "hello-2", "mended by hand")
    assert said == (
        "ada unlocked hello-2: mended by hand The lock of hello is free; traffic was left as it is."
    )
    assert live.get(2).phase is ReleasePhase.ABORTED
    assert live.get(2).cause.endswith("ada unlocked hello-2: mended by hand")
    with pytest.raises(NotAllowedNow, match="hello-2 is not stuck: it is aborted"):
        unlock(live.ports, ada, "hello-2", "hello-2", "again")
    assert take_lock(live.ports, third, "c")["held"]


def test_rollout_that_was_stopped_by_hand_is_left_to_the_guardian(live: Story) -> None:
    """The rollout's execution is gone in mid-shift: nobody put its traffic back."""
    live.machines.rollout = live.machines._shift

    def stop(ref: object, seconds: int) -> None:
        raise KeyError("execution stopped")

    live.machines.while_baking = stop
    assert live.release("two") == "progressing"
    assert read_lock(live.world.ledger, "hello").owner == "execution-2"
    live.world.executions.ended["execution-2"] = "FAILED"
    guard(live.ports)
    live.world.clock.advance(GRACE.total_seconds())
    assert guard(live.ports)["freed"] == ["hello-2"]
    assert live.get(2).phase is ReleasePhase.FAILED
    assert live.serves() == {"Hello": ("1", {}), "Bye": ("1", {})}
    assert ("hello-2", "stuck") not in live.events("Release State Change")
