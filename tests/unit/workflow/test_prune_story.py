"""Old versions go, and never one that anything refers to."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.story import CANARY, PROD, Story
from tidegate.core.errors import NotAllowedNow, ServiceRefused
from tidegate.core.model.plan import Target
from tidegate.core.model.record import (
    Live,
    Pruning,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Shift,
    TrafficRollback,
)
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.operator.prune import prune
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.served_before import served_before
from tidegate.core.workflow.operator.traffic_rollback import rollback_now
from tidegate.core.workflow.records import find, put_over

HELLO = "hello-prod-Hello"


@pytest.fixture
def grown() -> Story:
    """Eight releases are over; version 8 is live and the manifest keeps three."""
    story = Story(CANARY + "keep_versions: 3\n")
    for number in range(1, 9):
        assert story.release(f"code {number}") == "succeeded"
    return story


def pruned(story: Story, *, dry_run: bool = False, **where: Any) -> Pruning:
    (pruning,) = prune(story.ports, "hello", dry_run=dry_run, **where)
    return pruning


def left(story: Story, function: str = HELLO) -> list[int]:
    return story.at(PROD).versions.published(function)


def test_keeps_the_newest_and_deletes_the_others(grown: Story) -> None:
    pruning = pruned(grown)
    assert {f.function: f.deleted for f in pruning.functions} == {
        HELLO: (1, 2, 3, 4, 5),
        "hello-prod-Bye": (1, 2, 3, 4, 5),
    }
    assert left(grown) == [6, 7, 8]
    kept = find(grown.world.ledger, Pruning, application="hello", stage="prod", target=PROD)
    assert kept
    assert kept.functions == pruning.functions


def test_counts_the_versions_of_each_function_by_themselves(grown: Story) -> None:
    bye = "hello-prod-Bye:live"
    for number in (5, 6, 7):  # which changed nothing but the other function
        rollout = grown.rollout(number)
        assert bye in rollout.versions
        versions = {**rollout.versions, bye: "4"}
        put_over(grown.world.ledger, rollout.model_copy(update={"versions": versions}))
    pruned(grown)
    assert left(grown) == [6, 7, 8]
    assert left(grown, "hello-prod-Bye") == [3, 4, 8]


def test_a_dry_run_says_the_same_and_deletes_nothing(grown: Story) -> None:
    dry = pruned(grown, dry_run=True)
    assert dry.dry_run
    assert [f.deleted for f in dry.functions] == [(), ()]
    assert left(grown) == list(range(1, 9))
    assert find(grown.world.ledger, Pruning, application="hello", stage="prod", target=PROD) is None
    assert [f.spare for f in pruned(grown).functions] == [f.spare for f in dry.functions]


def test_pruning_again_finds_nothing(grown: Story) -> None:
    pruned(grown)
    assert pruned(grown).functions == ()


def test_keeps_what_any_alias_serves_even_with_little_weight(grown: Story) -> None:
    aliases = grown.at(PROD).aliases
    aliases.set(HELLO, "beta", "2")
    aliases.set(HELLO, "probe", "3", {"4": 0.01})
    assert next(f.deleted for f in pruned(grown).functions if f.function == HELLO) == (1, 5)
    assert left(grown) == [2, 3, 4, 6, 7, 8]


def rollout_of_release(story: Story, phase: ReleasePhase) -> None:
    """The last release is in this phase, and its rollout goes from version 1 to version 2."""
    release = story.get(8)
    story.world.ledger.put(release.model_copy(update={"phase": phase}))
    shift = Shift(function=HELLO, alias="live", stable="1", candidate="2")
    rollout = story.rollout(8).model_copy(update={"shifts": (shift,)})
    story.world.ledger.put(rollout)


@pytest.mark.parametrize("phase", [ReleasePhase.PROGRESSING, ReleasePhase.STUCK])
def test_keeps_what_an_unfinished_rollout_moves_between(grown: Story, phase: ReleasePhase) -> None:
    rollout_of_release(grown, phase)
    pruned(grown)
    assert left(grown) == [1, 2, 6, 7, 8]


def test_a_rollout_that_is_over_keeps_nothing(grown: Story) -> None:
    rollout_of_release(grown, ReleasePhase.SUCCEEDED)
    pruned(grown)
    assert left(grown) == [6, 7, 8]


def test_a_rollout_elsewhere_keeps_nothing_here(grown: Story) -> None:
    release = grown.get(8)
    grown.world.ledger.put(release.model_copy(update={"phase": ReleasePhase.STUCK}))
    grown.world.ledger.put(
        Rollout(
            release_id=release.id,
            stage="prod",
            target="444444444444/eu-west-1",
            phase=RolloutPhase.STUCK,
            shifts=(Shift(function=HELLO, alias="live", stable="1", candidate="2"),),
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )
    pruned(grown)
    assert left(grown) == [6, 7, 8]


def test_keeps_what_the_last_good_artifact_serves(grown: Story) -> None:
    live = find(grown.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert live
    put_over(
        grown.world.ledger,
        live.model_copy(update={"versions": {**live.versions, f"{HELLO}:live": "2"}}),
    )
    pruned(grown)
    assert left(grown) == [2, 6, 7, 8]


def test_keeps_what_the_stack_is_made_of_or_pinned_to(grown: Story) -> None:
    stack = grown.at(PROD).stacks._stacks["hello-prod"]
    stack.resources["OldVersion"] = f"arn:aws:lambda:eu-west-1:333333333333:function:{HELLO}:3"
    pin = {"TidegatePinnedVersionHelloAliaslive": "4"}
    stack.spec = type(stack.spec)(
        stack.spec.stack_name, stack.spec.template_url, {**stack.spec.parameters, **pin}
    )
    pruned(grown)
    assert left(grown) == [3, 4, 6, 7, 8]


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "UPDATE_IN_PROGRESS"])
def test_deletes_nothing_while_the_stack_is_unfinished(grown: Story, status: str) -> None:
    grown.at(PROD).stacks._stacks["hello-prod"].status = status
    pruning = pruned(grown)
    assert pruning.error == f"The stack hello-prod is {status}: nothing was deleted."
    assert left(grown) == list(range(1, 9))


def test_says_that_the_stack_is_gone(grown: Story) -> None:
    del grown.at(PROD).stacks._stacks["hello-prod"]
    assert "hello-prod is not there" in pruned(grown).error


def test_a_function_that_left_the_stack_is_left_alone(grown: Story) -> None:
    del grown.at(PROD).stacks._stacks["hello-prod"].resources["Bye"]
    assert [f.function for f in pruned(grown).functions] == [HELLO]


def test_a_version_that_cannot_be_deleted_is_no_obstacle(grown: Story) -> None:
    grown.at(PROD).versions.undeletable[2] = ServiceRefused("it is replicated.")
    hello = pruned(grown).functions[0]
    assert hello.deleted == (1, 3, 4, 5)
    assert hello.failed == {"2": "it is replicated."}


def test_what_one_run_cannot_do_is_left_to_the_next(grown: Story) -> None:
    first = pruned(grown, most=7)
    assert [len(f.deleted) for f in first.functions] == [5, 2]
    assert [len(f.deleted) for f in pruned(grown, most=7).functions] == [3]


def test_a_target_that_refuses_says_so(grown: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(target: Target) -> None:
        raise ServiceRefused("the role is gone.")

    monkeypatch.setattr(grown.world.targets, "open", refuse)
    assert pruned(grown).error == "the role is gone."


def test_only_the_target_that_is_asked_for(grown: Story) -> None:
    assert prune(grown.ports, "hello", dry_run=True, stage="test") == []
    assert prune(grown.ports, "hello", dry_run=True, stage="prod", target="elsewhere") == []
    assert prune(grown.ports, "other", dry_run=True) == []


def test_a_release_after_pruning_works_and_so_does_its_restore(grown: Story) -> None:
    pruned(grown)
    grown.error_rates = {"9": 1.0}
    assert grown.release("broken") == "failed"
    assert grown.serves()["Hello"] == ("8", {})
    assert grown.at(PROD).aliases.read(AliasRef(HELLO, "live")).version == "8"
    grown.error_rates = {}
    assert grown.release("code 10") == "succeeded"


def kept_one() -> Story:
    """Two releases have been live, and the manifest keeps no more than one version."""
    story = Story(CANARY + "keep_versions: 1\n")
    assert story.release("one") == "succeeded"
    assert story.release("two") == "succeeded"
    return story


def fail(story: Story, *codes: str) -> None:
    """Each of them gets traffic, errs and is taken back with its stack."""
    for code in codes:
        newest = left(story)[-1]
        story.error_rates = {str(newest + 1): 0.9}
        assert story.release(code) == "failed"
    story.error_rates = {}


@pytest.mark.parametrize("failures", [(), ("three", "four"), ("three", "four", "five", "six")])
def test_the_next_rollback_now_has_its_version_whatever_failed_since(
    failures: tuple[str, ...],
) -> None:
    story = kept_one()
    fail(story, *failures)
    pruned(story)
    rollback_now(story.ports, Operator("ada"), "hello-2", reason="orders are counted twice")
    assert story.serves() == {"Hello": ("1", {}), "Bye": ("1", {})}


def test_failed_candidates_and_what_restores_published_count_for_nothing() -> None:
    story = Story(CANARY + "keep_versions: 2\n")
    for code in ("one", "two", "three"):
        assert story.release(code) == "succeeded"
    fail(story, "four", "five")
    restored = left(story)[3:]
    assert len(restored) > 2  # a candidate of each failure, and what the way back published
    assert story.release("six") == "succeeded"
    last = left(story)[-1]
    pruned(story)
    assert left(story) == [3, last]
    assert story.serves()["Hello"] == (str(last), {})


def test_failures_without_end_leak_no_versions() -> None:
    story = Story(CANARY + "keep_versions: 2\n")
    for code in ("one", "two", "three"):
        assert story.release(code) == "succeeded"
    for number in range(6):
        fail(story, f"bad {number}")
        pruned(story)
        assert left(story)[:2] == [2, 3]
        assert len(left(story)) <= 2 + 2 + 1  # those that served, the newest, and the stack's own


def test_what_traffic_was_taken_back_from_did_not_serve_well() -> None:
    story = kept_one()
    rollback_now(story.ports, Operator("ada"), "hello-2", reason="orders are counted twice")
    assert story.release("three") == "succeeded"
    pruned(story)
    assert left(story) == [1, 3]


def test_a_rollback_that_moved_nothing_takes_no_good_name_away() -> None:
    story = kept_one()
    assert story.release("three") == "succeeded"
    lost = story.get(3).model_copy(
        update={
            "number": 4,
            "version": 0,
            "phase": ReleasePhase.ABORTED,
            "traffic_rollback": TrafficRollback(of="hello-3", to="hello-2"),
        }
    )
    story.world.ledger.put(lost)
    pruned(story)
    assert left(story) == [2, 3]


@given(st.lists(st.sampled_from(["good", "bad", "back"]), max_size=7), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_whatever_happened_the_next_rollback_now_is_possible_after_pruning(
    happened: list[str], keep: int
) -> None:
    story = Story(CANARY + f"keep_versions: {keep}\n")
    assert story.release("first") == "succeeded"
    for number, what in enumerate(happened):
        if what == "good":
            assert story.release(f"code {number}") == "succeeded"
        elif what == "bad":
            fail(story, f"code {number}")
        else:
            with suppress(NotAllowedNow):
                rollback_now(story.ports, Operator("ada"), live_release(story), reason="worse")
        possible = can_go_back(story)
        pruned(story)
        assert can_go_back(story) == possible


def live_release(story: Story) -> str:
    live = find(story.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert live
    return live.release_id


def can_go_back(story: Story) -> bool:
    """Whether every version is there that a traffic-only rollback would put back."""
    live = find(story.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert live
    wanted = served_before(story.ports, live)
    return bool(wanted) and all(
        int(version) in left(story, name.partition(":")[0]) for name, version in wanted.items()
    )
