"""The guardian heals what a release leaves behind whose execution is gone, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.errors import LockLost, RecordConflict, RestoreFailed, ServiceRefused
from tidegate.core.model.record import (
    Application,
    Lock,
    ReleasePhase,
    RolloutPhase,
    StagePhase,
    Waiter,
)
from tidegate.core.ports import AliasRef, AliasState, TargetPorts
from tidegate.core.workflow.guardian.guard import GRACE, PATIENCE, guard
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release.lock import read_lock, take_lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.rollout import deploy, restore, shift

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}


class Stopped(BaseException):
    """Somebody stopped the executions in the console."""


def stop(*_: object) -> None:
    raise Stopped


@pytest.fixture
def split() -> Story:
    """The second release was stopped with a tenth of the traffic on its candidates."""
    story = Story(CANARY)
    assert story.release("one") == "succeeded"
    story.machines.while_baking = stop
    with pytest.raises(Stopped):
        story.release("two")
    assert story.serves() == {"Hello": ("1", {"2": 0.1}), "Bye": ("1", {"2": 0.1})}
    return story


def ended(story: Story, execution: str = "execution-2", status: str = "ABORTED") -> None:
    story.world.executions.ended[execution] = status


def later(story: Story) -> None:
    story.world.clock.advance(GRACE.total_seconds())


def test_leaves_alone_what_runs(split: Story) -> None:
    assert guard(split.ports) == {"secured": [], "freed": []}
    assert split.serves()["Hello"] == ("1", {"2": 0.1})
    assert read_lock(split.world.ledger, "hello").fence == 2


def test_puts_traffic_back_first_and_frees_the_lock_when_nothing_can_outlive_it(
    split: Story,
) -> None:
    ended(split)
    assert guard(split.ports) == {"secured": [f"hello-2 prod {PROD}"], "freed": []}
    assert split.serves() == ALL_ON_1
    assert read_lock(split.world.ledger, "hello").owner == "execution-2"
    later(split)
    assert guard(split.ports) == {"secured": [], "freed": ["hello-2"]}
    lock = read_lock(split.world.ledger, "hello")
    assert (lock.owner, lock.guarded_at) == ("", None)
    release, rollout = split.get(2), split.rollout(2)
    assert (release.phase, release.error) == (ReleasePhase.ABORTED, "Aborted")
    assert rollout.phase is RolloutPhase.RESTORED
    assert rollout.cause.endswith(
        "The guardian put all traffic on the stable version; the stack was left as it is."
    )
    assert split.get_stage(2, 0, "prod").phase is StagePhase.FAILED
    assert guard(split.ports) == {"secured": [], "freed": []}


def test_reported_end_counts_before_step_functions_knows_of_it(split: Story) -> None:
    guarded = guard(split.ports, {"execution-2": "TIMED_OUT"})
    assert guarded["secured"]
    assert split.rollout(2).error == "States.Timeout"


def test_execution_that_is_unknown_may_have_just_begun(split: Story) -> None:
    ended(split, status="")
    assert guard(split.ports)["secured"] == []
    later(split)
    assert guard(split.ports)["secured"] == [f"hello-2 prod {PROD}"]


def test_release_after_a_stopped_one_takes_the_same_artifact_to_the_end(split: Story) -> None:
    ended(split)
    guard(split.ports)
    later(split)
    guard(split.ports)
    split.machines.while_baking = split.serve
    assert split.release("two") == "succeeded"
    assert split.serves() == ALL_ON_2


def test_task_that_outlives_its_execution_cannot_split_the_traffic_again(split: Story) -> None:
    ended(split)
    guard(split.ports)
    with pytest.raises(LockLost, match="hello-2 was fenced off"):
        shift.tick(split.ports, split.ref(2))
    assert split.serves() == ALL_ON_1


def test_task_that_has_read_the_record_before_is_refused_at_its_write(split: Story) -> None:
    rollout = split.rollout(2)
    split.world.ledger.put(rollout)
    context = shift.open_context(split.ports, split.ref(2))
    with pytest.raises(RecordConflict, match="The rollout at prod"):
        shift.check_fence(context, rollout)


def test_stopped_rollout_of_a_release_that_runs_is_secured_and_its_siblings_are_not_fenced(
    split: Story,
) -> None:
    rollout = split.world.ledger.put(split.rollout(2).model_copy(update={"execution_arn": "roll"}))
    assert guard(split.ports)["secured"] == []
    ended(split, "roll")
    assert guard(split.ports)["secured"]
    assert split.serves() == ALL_ON_1
    assert read_lock(split.world.ledger, "hello").fence == rollout.fence


def test_rollout_that_still_runs_goes_back_by_itself_when_its_release_is_stopped(
    split: Story,
) -> None:
    split.world.ledger.put(split.rollout(2).model_copy(update={"execution_arn": "roll"}))
    ended(split)
    assert guard(split.ports)["secured"] == []
    with pytest.raises(LockLost):
        shift.tick(split.ports, split.ref(2))
    restore.restore_traffic(split.ports, split.ref(2), {"Error": "LockLost", "Cause": "gone"})
    assert split.serves() == ALL_ON_1
    later(split)
    assert guard(split.ports)["freed"] == []
    while not restore.restore_stack(split.ports, split.ref(2))["done"]:
        later(split)
    assert guard(split.ports)["freed"] == ["hello-2"]


def test_validated_candidate_keeps_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(CANARY)
    story.release("one")
    finish = deploy.finish
    monkeypatch.setattr(deploy, "finish", lambda ports, ref: finish(ports, ref) and stop())
    with pytest.raises(Stopped):
        story.release("two")
    ended(story)
    guard(story.ports)
    assert story.serves() == ALL_ON_2
    for _ in range(4):
        later(story)
        guard(story.ports)
    rollout = story.rollout(2)
    assert (rollout.phase, story.serves()) == (RolloutPhase.SUCCEEDED, ALL_ON_2)
    assert rollout.cause == "The guardian left all traffic on the validated candidate."
    assert story.get(2).phase is ReleasePhase.ABORTED


def test_alias_that_somebody_else_has_moved_is_left_alone_and_said(split: Story) -> None:
    ended(split)
    split.at(PROD).aliases.set("hello-prod-Hello", "live", "3")
    guard(split.ports)
    assert split.serves() == {"Hello": ("3", {}), "Bye": ("1", {})}
    later(split)
    guard(split.ports)
    assert split.get(2).phase is ReleasePhase.STUCK
    rollout = split.rollout(2)
    assert (rollout.phase, rollout.error) == (RolloutPhase.STUCK, "AliasChangedByOthers")
    told = split.events("Release State Change").count(("hello-2", "stuck"))
    guard(split.ports)
    assert split.events("Release State Change").count(("hello-2", "stuck")) == told == 1
    assert read_lock(split.world.ledger, "hello").owner == "execution-2"


def refuse(story: Story) -> Callable[[], None]:
    """The target refuses the guardian, until the returned function is called."""
    opened = story.world.targets.open

    def closed(target: object) -> TargetPorts:
        raise ServiceRefused("The role does not let us in.")

    story.world.targets.open = closed  # type: ignore[method-assign, assignment]

    def remedy() -> None:
        story.world.targets.open = opened  # type: ignore[method-assign]

    return remedy


def test_calls_nobody_for_what_passes_within_minutes(split: Story) -> None:
    ended(split)
    remedy = refuse(split)
    until = split.world.clock.now() + PATIENCE
    while split.world.clock.now() < until:
        with pytest.raises(RestoreFailed, match="The role does not let us in"):
            guard(split.ports)
        split.world.clock.advance(60)
    remedy()
    for _ in range(3):
        guard(split.ports)
        later(split)
    assert split.get(2).phase is ReleasePhase.ABORTED
    assert ("hello-2", "stuck") not in split.events("Release State Change")


def test_says_stuck_once_when_it_cannot_help_and_heals_when_it_can(split: Story) -> None:
    ended(split)
    remedy = refuse(split)
    for _ in range(3):
        with pytest.raises(RestoreFailed, match="The role does not let us in"):
            guard(split.ports)
        split.world.clock.advance(PATIENCE.total_seconds())
    assert split.get(2).phase is ReleasePhase.STUCK
    assert split.events("Release State Change").count(("hello-2", "stuck")) == 1
    remedy()
    later(split)
    guard(split.ports)
    assert split.serves() == ALL_ON_1
    for _ in range(2):
        later(split)
        guard(split.ports)
    assert split.get(2).phase is ReleasePhase.ABORTED


def test_trouble_with_one_application_does_not_keep_it_from_the_others(split: Story) -> None:
    ended(split)
    split.world.ledger.put(Application(name="another", last_number=1))
    split.world.ledger.put(Lock(application="another", owner="execution-9", release_number=9))
    split.world.ledger.put(Application(name="a-third", last_number=1))
    split.world.ledger.put(Waiter(application="a-third", number=1, since=split.world.clock.now()))
    remedy = refuse(split)
    with pytest.raises(RestoreFailed):
        guard(split.ports)
    remedy()
    assert guard(split.ports)["secured"]


def test_alias_that_is_written_at_the_same_time_is_read_again(
    split: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(split)
    aliases = split.at(PROD).aliases
    write, late = aliases.write, ["a tick that was on its way"]

    def race(ref: AliasRef, **wanted: Any) -> AliasState:
        if late and late.pop():
            aliases.set(ref.function, ref.alias, "1", {"2": 0.5})
        return write(ref, **wanted)

    monkeypatch.setattr(aliases, "write", race)
    guard(split.ports)
    assert split.serves() == ALL_ON_1


def test_release_stopped_in_the_queue_makes_room(split: Story) -> None:
    artifact = split.application.build("three")
    planned = plan_release(split.ports, artifact, "execution-3")
    waiting = split.ref(3).release
    assert planned["release"] == waiting.model_dump()
    assert not take_lock(split.ports, waiting, "execution-3")["held"]
    guard(split.ports)
    assert find(split.world.ledger, Waiter, application="hello", number=3)
    ended(split, "execution-3")
    assert guard(split.ports)["freed"] == ["hello-3"]
    assert not find(split.world.ledger, Waiter, application="hello", number=3)
    assert split.get(3).phase is ReleasePhase.ABORTED
    assert read_lock(split.world.ledger, "hello").owner == "execution-2"


def test_lock_that_its_settled_release_left_behind_is_freed(split: Story) -> None:
    ended(split, status="FAILED")
    for _ in range(3):
        guard(split.ports)
        later(split)
    assert split.get(2).error == "TookTooLong"
    lock = read_lock(split.world.ledger, "hello")
    split.world.ledger.put(lock.model_copy(update={"owner": "execution-2"}))
    for _ in range(2):
        guard(split.ports)
        later(split)
    assert not read_lock(split.world.ledger, "hello").owner
    assert split.get(2).error == "TookTooLong"


def test_refusing_target_keeps_nobody_from_saying_that_the_rollout_is_stuck(split: Story) -> None:
    refuse(split)
    failure = {"Error": "Unhealthy", "Cause": "9 of 60 requests failed"}
    with pytest.raises(RestoreFailed, match="The role does not let us in"):
        restore.restore_traffic(split.ports, split.ref(2), failure)
    rollout = split.rollout(2)
    assert (rollout.phase, rollout.error) == (RolloutPhase.RESTORING, "Unhealthy")
    restore.declare_stuck(split.ports, split.ref(2), {"Error": "RestoreFailed", "Cause": "refused"})
    assert split.rollout(2).phase is RolloutPhase.STUCK


def test_alias_that_somebody_writes_all_the_time_is_said_and_tried_again(
    split: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(split)
    aliases = split.at(PROD).aliases
    write = aliases.write

    def race(ref: AliasRef, **wanted: Any) -> AliasState:
        aliases.set(ref.function, ref.alias, "1", {"2": 0.5})
        return write(ref, **wanted)

    with monkeypatch.context() as patch:
        patch.setattr(aliases, "write", race)
        with pytest.raises(RestoreFailed, match="hello-prod-Bye:live"):
            guard(split.ports)
    guard(split.ports)
    assert split.serves() == ALL_ON_1


def test_makes_traffic_safe_and_frees_the_lock_when_nobody_can_be_told(split: Story) -> None:
    ended(split)
    bus = Deaf()
    ports = dataclasses.replace(split.ports, bus=bus)
    with pytest.raises(RestoreFailed, match="The bus is gone"):
        guard(ports)
    assert split.serves() == ALL_ON_1
    for _ in range(4):
        later(split)
        with contextlib.suppress(RestoreFailed):
            guard(ports)
    assert read_lock(split.world.ledger, "hello").owner == ""
    assert split.get(2).phase is ReleasePhase.ABORTED


class Deaf:
    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        raise ServiceRefused("The bus is gone.")
