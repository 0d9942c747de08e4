"""Whatever happens to a release, its traffic ends in one place, or it says that it is stuck."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from support.faults import crashes
from support.story import CANARY, PROD, Story
from tidegate.core.errors import NotAllowedNow, TidegateError
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Lock, Tick
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release.lock import take_lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.target.context import RolloutRef


@dataclass(frozen=True)
class Fate:
    """What befalls a release."""

    error_rate: float
    pre_passes: bool
    post_passes: bool
    stack_fails: tuple[bool, ...]
    aborted_at: int
    broken_at: int
    crashes: frozenset[int]
    answers_lost: bool


fates = st.builds(
    Fate,
    error_rate=st.sampled_from([0.0, 0.03, 0.5, 1.0]),
    pre_passes=st.booleans(),
    post_passes=st.booleans(),
    stack_fails=st.lists(st.booleans(), max_size=3).map(tuple),
    aborted_at=st.integers(0, 8),
    broken_at=st.integers(0, 8),
    crashes=st.frozensets(st.integers(1, 200), max_size=4),
    answers_lost=st.booleans(),
)


def first_release() -> Story:
    story = Story(CANARY)
    story.release("one")
    return story


FIRST = first_release()
HELLO = AliasRef("hello-prod-Hello", "live")


def befall(story: Story, fate: Fate) -> None:
    """Let all of it happen at its time."""
    place, evaluations = story.at(PROD), iter(range(1, 1000))
    story.error_rates["2"] = fate.error_rate
    # A reason makes an operation fail, in the order of the operations; "" lets one through.
    place.stacks.fail_next += ["no" if fails else "" for fails in fate.stack_fails]
    answer = {True: {"status": "Succeeded"}, False: {"status": "Failed"}}
    place.functions.code["hello-prod-Pre"] = lambda payload: answer[fate.pre_passes]
    place.functions.code["hello-prod-Post"] = lambda payload: answer[fate.post_passes]

    def bake(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        evaluation = next(evaluations)
        if evaluation == fate.aborted_at:
            abort(story.ports, Operator("ada"), ref.release.id)
        if evaluation == fate.broken_at:
            place.aliases.broken[HELLO] = OSError("throttled")

    story.machines.while_baking = bake


@settings(max_examples=150, deadline=None)
@given(fates)
def test_every_release_ends_in_one_place_or_says_that_it_is_stuck(fate: Fate) -> None:
    story = copy.deepcopy(FIRST)
    befall(story, fate)
    faults = crashes(fate.crashes, after=fate.answers_lost)
    story.machines.ports = faults.wrap(story.ports)
    phase = story.release("two")
    serves = list(story.serves().values())
    if phase == "succeeded":
        assert serves == [("2", {})] * 2
    elif phase != "stuck":
        assert serves == [("1", {})] * 2
    number = 3 if find(story.world.ledger, Lock, application="hello").release_number == 3 else 2
    assert_candidate_was_validated(story, fate)
    assert_lock_says_what_is_true(story, phase)
    assert_history_is_whole(story, number)


def assert_candidate_was_validated(story: Story, fate: Fate) -> None:
    """Traffic reaches only versions that passed their pre-traffic hooks."""
    served = {
        version
        for _, state in story.at(PROD).aliases.writes
        for version in (state.version, *state.routes)
    }
    assert fate.pre_passes or served == {"1"}


def assert_lock_says_what_is_true(story: Story, phase: str) -> None:
    lock = find(story.world.ledger, Lock, application="hello")
    assert lock
    assert bool(lock.owner) == (phase == "stuck")


def assert_history_is_whole(story: Story, number: int) -> None:
    ticks = [item for item in story.items(number, "TICK#") if isinstance(item, Tick)]
    assert [tick.number for tick in ticks] == list(range(1, len(ticks) + 1))
    shifted = [tick.weight for tick in ticks if tick.action in {"set-weight", "promote"}]
    assert shifted == sorted(shifted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["take", "settle", "abort"]), max_size=12), st.integers(2, 4))
def test_lock_has_one_owner_and_passes_to_ever_newer_releases(moves: list[str], many: int) -> None:
    story = Story(CANARY)
    owners: list[int] = []
    for index, move in enumerate(moves):
        number = index % many + 1
        act(story, move, number)
        lock = find(story.world.ledger, Lock, application="hello")
        if lock and lock.owner and (not owners or owners[-1] != lock.release_number):
            owners.append(lock.release_number)
    assert owners == sorted(owners)


def act(story: Story, move: str, number: int) -> None:
    """One step of one release; a refusal is as good as an answer here."""
    execution = f"execution-{number}"
    planned = plan_release(story.ports, story.application.build("code"), execution)
    ref = ReleaseRef.model_validate(planned["release"])
    try:
        if move == "take":
            take_lock(story.ports, ref, execution)
        elif move == "settle":
            settle_release(story.ports, execution, ref, None)
        else:
            abort(story.ports, Operator("ada"), ref.id)
    except TidegateError as refusal:
        assert not isinstance(refusal, NotAllowedNow) or move == "abort"  # noqa: PT017
