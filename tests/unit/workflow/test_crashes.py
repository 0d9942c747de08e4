"""A task may die at any call. Its repetition goes on from what is recorded and what is there."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from support.faults import crashes
from support.story import CANARY, PROD, Story
from tidegate.core.model.record import Execution, HookRun, Live, Lock, RolloutPhase, Tick
from tidegate.core.workflow.records import find
from tidegate.testing.faults import Faults
from tidegate.testing.functions import MemoryAliases
from tidegate.testing.retries import Crash

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}


def good(story: Story) -> None:
    story.error_rates["2"] = 0.0


def unhealthy(story: Story) -> None:
    story.error_rates["2"] = 0.9


def refused_in_the_end(story: Story) -> None:
    story.at(PROD).functions.code["hello-prod-Post"] = lambda payload: {"status": "Failed"}


def failing_deployment(story: Story) -> None:
    story.at(PROD).stacks.fail_next.append("no room")


@pytest.fixture(scope="module")
def first() -> Story:
    """The first release is live."""
    story = Story(CANARY)
    story.release("one")
    return story


def second_release(
    first: Story, case: Callable[[Story], None], faults: Faults
) -> tuple[Story, str]:
    """The second release runs into the faults, in a world of its own."""
    story = copy.deepcopy(first)
    case(story)
    story.machines.ports = faults.wrap(story.ports)
    return story, story.release("two")


CASES = [
    pytest.param(good, "succeeded", ALL_ON_2, id="good"),
    pytest.param(unhealthy, "failed", ALL_ON_1, id="unhealthy"),
    pytest.param(refused_in_the_end, "failed", ALL_ON_1, id="refused after the traffic"),
    pytest.param(failing_deployment, "failed", ALL_ON_1, id="failing deployment"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize(("case", "phase", "serves"), CASES)
def test_crash_at_any_call_changes_nothing_about_the_end(
    first: Story, case: Callable[[Story], None], phase: str, serves: object, after: bool
) -> None:
    counted = crashes()
    second_release(first, case, counted)
    for call in range(1, len(counted.calls) + 1):
        faults = crashes([call], after=after)
        story, ended = second_release(first, case, faults)
        assert (ended, story.serves()) == (phase, serves), faults.happened
        assert_tidy(story, phase, faults)


def assert_tidy(story: Story, phase: str, faults: Faults) -> None:
    """Nothing is left half done. A number may be skipped, but no execution has two."""
    execution = find(story.world.ledger, Execution, arn="execution-2")
    assert execution, faults.happened
    number = execution.number
    lock = find(story.world.ledger, Lock, application="hello")
    assert lock, faults.happened
    assert (lock.owner, lock.release_number) == ("", number), faults.happened
    over = RolloutPhase.SUCCEEDED if phase == "succeeded" else RolloutPhase.RESTORED
    assert story.rollout(number).phase is over, faults.happened
    live = find(story.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert live, faults.happened
    serving = f"hello-{number}" if phase == "succeeded" else "hello-1"
    assert live.release_id == serving, faults.happened
    ticks = [item.number for item in story.items(number, "TICK#") if isinstance(item, Tick)]
    assert ticks == list(range(1, len(ticks) + 1)), faults.happened
    runs = [item for item in story.items(number, "HOOK#") if isinstance(item, HookRun)]
    assert all(run.outcome != "running" for run in runs), faults.happened


def test_tick_that_died_between_two_aliases_is_completed_by_the_next() -> None:
    story = Story(CANARY)
    story.release("one")
    seen = []

    def evaluation(ref: object, seconds: int) -> None:
        seen.append(story.serves())
        story.serve(ref, seconds)

    story.machines.while_baking = evaluation
    aliases = story.at(PROD).aliases
    write = MemoryAliases.write

    def die_at_the_second(ref: object, **wanted: object) -> object:
        if ref.function == "hello-prod-Bye":
            aliases.write = write.__get__(aliases)
            raise Crash
        return write(aliases, ref, **wanted)

    aliases.write = die_at_the_second
    assert story.release("two") == "succeeded"
    assert seen[0] == {"Hello": ("1", {"2": 0.1}), "Bye": ("1", {"2": 0.1})}
