"""Warm before traffic, and cold after it: provisioned concurrency through whole releases."""

from __future__ import annotations

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.errors import LockLost, ServiceUnavailable
from tidegate.core.model.record import Live, Lock, Preview, RolloutPhase
from tidegate.core.ports import AliasRef, Allocation, Warmth
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.core.workflow.rollout import warm
from tidegate.testing.capacity import MemoryCapacity

HELLO, BYE = "hello-prod-Hello", "hello-prod-Bye"


@pytest.fixture
def story() -> Story:
    """One stage with a canary; Hello is to have three of provisioned concurrency."""
    story = Story(CANARY)
    story.application.provisioned = {"Hello": 3}
    return story


@pytest.fixture
def live(story: Story) -> Story:
    """The first release is live."""
    assert story.release("one") == "succeeded"
    return story


def capacity(story: Story) -> MemoryCapacity:
    return story.at(PROD).capacity


def preview(story: Story, number: int) -> Preview:
    found = find(
        story.world.ledger, Preview, release_id=f"hello-{number}", stage="prod", target=PROD
    )
    assert found
    return found


def test_a_first_deployment_is_warm_when_it_is_live(live: Story) -> None:
    assert capacity(live).asked(HELLO) == {"1": 3}
    assert capacity(live).asked(BYE) == {}
    item = find(live.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert item
    assert item.provisioned == {"HelloAliaslive": 3}


def test_both_versions_are_warm_while_traffic_shifts_and_then_the_one_that_serves(
    live: Story,
) -> None:
    seen = []
    serve = live.machines.while_baking
    live.machines.while_baking = lambda ref, s: (
        seen.append(capacity(live).asked(HELLO)),
        serve(ref, s),
    )
    assert live.release("two") == "succeeded"
    assert seen == [{"1": 3, "2": 3}] * len(seen)
    assert seen
    assert capacity(live).asked(HELLO) == {"2": 3}


def test_a_hook_meets_a_candidate_that_is_ready(live: Story) -> None:
    ready = []
    live.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: ready.append(
        capacity(live).allocations(HELLO)["2"].warmth
    )
    live.release("two")
    assert ready == ["READY"]


def test_a_restored_release_leaves_only_what_was_there(live: Story) -> None:
    live.error_rates["2"] = 0.9
    assert live.release("two") == "failed"
    assert capacity(live).asked(HELLO) == {"1": 3}
    assert live.release("three") == "succeeded"
    assert capacity(live).asked(HELLO) == {live.alias().version: 3}


def test_no_room_for_both_is_found_before_any_hook(live: Story) -> None:
    capacity(live).limits[HELLO] = 5
    assert live.release("two") == "failed"
    assert live.get(2).error == "WarmUpFailed"
    assert not live.items(2, "HOOK#prod")
    assert capacity(live).asked(HELLO) == {"1": 3}
    assert live.serves()["Hello"] == ("1", {})


def test_an_allocation_that_fails_says_why_and_is_released(live: Story) -> None:
    capacity(live).failing[HELLO, "2"] = "FUNCTION_ERROR_INIT_FAILURE"
    assert live.release("two") == "failed"
    assert "version 2 of hello-prod-Hello: FUNCTION_ERROR_INIT_FAILURE" in live.get(2).cause
    assert capacity(live).asked(HELLO) == {"1": 3}


def test_a_version_without_its_snapshot_is_waited_for(live: Story) -> None:
    capacity(live).sleeping[BYE, "2"] = 4
    before = live.world.clock.now()
    assert live.release("two") == "succeeded"
    assert (live.world.clock.now() - before).total_seconds() >= 4 * live.machines.poll_seconds


def test_a_version_whose_snapshot_failed_goes_no_further(live: Story) -> None:
    capacity(live).broken[BYE, "2"] = "the handler cannot be imported"
    assert live.release("two") == "failed"
    assert live.get(2).error == "WarmUpFailed"
    assert "the handler cannot be imported" in live.get(2).cause


def test_lambda_that_never_gets_ready_is_not_waited_for_for_ever(live: Story) -> None:
    capacity(live).polls = 1000
    assert live.release("two") == "failed"
    assert live.get(2).error == "TookTooLong"
    assert capacity(live).asked(HELLO) == {"1": 3}


def test_an_abort_is_heard_while_lambda_works(live: Story) -> None:
    capacity(live).polls = 1000
    looked = []
    allocations = capacity(live).allocations

    def ask(function: str) -> object:
        looked.append(function)
        if len(looked) == 8:
            abort(live.ports, Operator("bea"), "hello-2", "too slow")
        return allocations(function)

    capacity(live).allocations = ask
    assert live.release("two") == "aborted"
    assert capacity(live).asked(HELLO) == {"1": 3}


class TestAnotherNumberAlone:
    def test_changes_what_serves_without_a_new_version(self, live: Story) -> None:
        live.application.provisioned = {"Hello": 5}
        assert live.release("one") == "succeeded"
        assert live.alias().version == "1"
        assert capacity(live).asked(HELLO) == {"1": 5}

    def test_is_shown_before(self, live: Story) -> None:
        live.application.provisioned = {"Hello": 5}
        live.release("one")
        (line,) = preview(live, 2).warms
        assert (line.before, line.wanted, line.together, line.extra_usd) == (3, 5, 5, 0.0)
        assert not preview(live, 2).change_set

    def test_is_taken_back_when_a_hook_fails(self, live: Story) -> None:
        live.application.provisioned = {"Hello": 5}
        live.at(PROD).functions.code["hello-prod-Post"] = lambda payload: {"status": "Failed"}
        assert live.release("one") == "failed"
        assert capacity(live).asked(HELLO) == {"1": 3}

    def test_of_none_at_all_releases_it(self, live: Story) -> None:
        live.application.provisioned = {}
        assert live.release("one") == "succeeded"
        assert capacity(live).asked(HELLO) == {}

    def test_for_a_function_that_had_none_is_taken_back_too(self, live: Story) -> None:
        live.application.provisioned = {"Hello": 3, "Bye": 2}
        live.at(PROD).functions.code["hello-prod-Post"] = lambda payload: {"status": "Failed"}
        assert live.release("one") == "failed"
        assert capacity(live).asked(BYE) == {}


def test_dropping_it_with_a_change_releases_the_old_version(live: Story) -> None:
    live.application.provisioned = {}
    assert live.release("two") == "succeeded"
    assert capacity(live).asked(HELLO) == {}


def test_nothing_changed_is_nothing_to_deploy(live: Story) -> None:
    assert live.release("one") == "succeeded"
    assert preview(live, 2).nothing_to_deploy


def test_a_preview_says_what_both_versions_cost(live: Story) -> None:
    live.release("two")
    (line,) = preview(live, 2).warms
    assert (line.before, line.wanted, line.together, line.seconds) == (3, 3, 6, 120)
    assert line.extra_usd == pytest.approx(3 * 128 / 1024 * 300 * 0.0000041667)


class TestAnAliasThatHasItItself:
    """As CloudFormation gives it, before Tidegate takes the stack over."""

    @pytest.fixture
    def held(self) -> Story:
        story = Story(CANARY.replace("stages:", "when_not_canaryable: all-at-once\nstages:"))
        assert story.release("one") == "succeeded"
        story.application.provisioned = {"Hello": 3}
        capacity(story).allocate(HELLO, "live", 4)
        return story

    def test_keeps_it_until_it_moves_to_a_warm_version_in_one_step(self, held: Story) -> None:
        validating: list[dict[str, int]] = []
        moves = []
        held.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: validating.append(
            capacity(held).asked(HELLO)
        )
        held.at(PROD).aliases.on_change = lambda ref, before, after: moves.append(
            (ref.function, dict(after.routes), capacity(held).allocations(HELLO))
        )
        assert held.release("two") == "succeeded"
        assert validating == [{"2": 3, "live": 4}]
        assert moves[0] == (HELLO, {}, {"2": Allocation(3, Warmth.READY)})
        assert capacity(held).asked(HELLO) == {"2": 3}
        assert "provisioned concurrency itself" in held.rollout(2).all_at_once
        state = held.at(PROD).stacks.state("hello-prod")
        assert state.parameters["TidegateProvisionedHelloAliaslive"] == ""

    def test_is_said_in_the_preview(self, held: Story) -> None:
        held.release("two")
        line = preview(held, 2)
        assert line.warms[0].by_alias
        (hello,) = [f for f in line.functions if f.function == "Hello"]
        assert any("provisioned concurrency itself" in why for why in hello.not_canaried)

    def test_is_not_touched_when_the_manifest_wants_a_canary(self) -> None:
        story = Story(CANARY)
        assert story.release("one") == "succeeded"
        story.application.provisioned = {"Hello": 3}
        capacity(story).allocate(HELLO, "live", 4)
        assert story.release("two") == "failed"
        assert story.get(2).error == "NotCanaryable"
        assert capacity(story).asked(HELLO) == {"live": 4}
        state = story.at(PROD).stacks.state("hello-prod")
        assert state.parameters.get("TidegateProvisionedHelloAliaslive", "4") == "4"

    def test_gives_it_to_the_stable_version_when_traffic_comes_back(self, held: Story) -> None:
        held.at(PROD).functions.code["hello-prod-Post"] = lambda payload: {"status": "Failed"}
        assert held.release("two") == "failed"
        assert held.serves()["Hello"] == ("1", {})
        assert capacity(held).asked(HELLO) == {"1": 4}
        held.at(PROD).functions.code.clear()
        assert held.release("three") == "succeeded"
        assert capacity(held).asked(HELLO) == {held.alias().version: 3}

    def test_hands_it_to_its_version_when_nothing_moves(self, held: Story) -> None:
        assert held.release("two") == "succeeded"
        version = held.alias().version
        capacity(held).release(HELLO, version)
        capacity(held).allocate(HELLO, "live", 3)
        held.application.provisioned = {"Hello": 5}
        assert held.release("two") == "succeeded"
        assert capacity(held).asked(HELLO) == {version: 5}


def test_a_new_function_that_is_taken_back_leaves_nothing(story: Story) -> None:
    story.application.functions, story.application.provisioned = ("Hello",), {}
    assert story.release("one") == "succeeded"
    story.application.functions = ("Hello", "Bye")
    story.application.provisioned = {"Bye": 2}
    story.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: {"status": "Failed"}
    assert story.release("two") == "failed"
    assert capacity(story).asked(BYE) == {}


@pytest.mark.parametrize(("kept", "left"), [(False, {}), (True, {"1": 3})])
def test_a_first_deployment_that_fails_keeps_it_only_where_it_stays(
    kept: bool, left: dict[str, int]
) -> None:
    policy = f"on_first_failure: {'keep' if kept else 'delete'}"
    story = Story(CANARY.replace("stages:", f"{policy}\nstages:"))
    story.application.provisioned = {"Hello": 3}
    story.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: {"status": "Failed"}
    assert story.release("one") == "failed"
    assert capacity(story).asked(HELLO) == left


def test_what_a_rollout_left_that_was_cut_short_goes_with_the_next(live: Story) -> None:
    assert live.release("two") == "succeeded"
    capacity(live).allocate(HELLO, "1", 7)
    live.at(PROD).aliases.set(HELLO, "other", "1")
    assert live.release("three") == "succeeded"
    assert capacity(live).asked(HELLO) == {"1": 7, "3": 3}  # somebody's alias serves it
    live.at(PROD).aliases.set(HELLO, "other", "3")
    assert live.release("four") == "succeeded"
    assert capacity(live).asked(HELLO) == {"4": 3}


class TestSettling:
    def test_tries_everything_and_then_says_what_went_wrong(
        self, live: Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.application.provisioned = {"Hello": 3, "Bye": 2}
        live.release("two")
        refused = []

        def refuse(function: str, qualifier: str) -> None:
            refused.append((function, qualifier))
            raise ServiceUnavailable("busy")

        monkeypatch.setattr(capacity(live), "release", refuse)
        assert live.release("three") == "succeeded"
        assert {(HELLO, "2"), (BYE, "2")} <= set(refused)

    def test_leaves_the_versions_of_another_release_alone(self, live: Story) -> None:
        live.release("two")
        lock = find(live.world.ledger, Lock, application="hello")
        assert lock
        live.world.ledger.put(lock.model_copy(update={"owner": "other", "release_number": 9}))
        with pytest.raises(LockLost):
            warm.settle_capacity(live.ports, live.ref(2))

    def test_leaves_what_is_stuck_to_people(self, live: Story) -> None:
        live.release("two")
        rollout = live.rollout(2)
        live.world.ledger.put(rollout.model_copy(update={"phase": RolloutPhase.STUCK}))
        warm.settle_capacity(live.ports, live.ref(2))
        assert capacity(live).asked(HELLO) == {"2": 3}


def test_the_tasks_may_be_repeated_after_the_shift_began(live: Story) -> None:
    live.machines.while_baking = lambda ref, s: (
        warm.warm_candidates(live.ports, ref),
        live.serve(ref, s),
    )
    assert live.release("two") == "succeeded"
    assert live.alias().version == "2"
    assert live.at(PROD).aliases.read(AliasRef(HELLO, "live")).routes == {}


class Stopped(BaseException):
    """Somebody stopped the execution in the console."""


class TestTheGuardian:
    @staticmethod
    def run_twice(story: Story) -> None:
        story.world.executions.ended["execution-2"] = "ABORTED"
        for _ in range(2):
            guard(story.ports)
            story.world.clock.advance(GRACE.total_seconds())
        guard(story.ports)

    @pytest.fixture
    def split(self, live: Story) -> Story:
        """The second release was stopped while the candidate had a tenth of the traffic."""

        def stop(*_: object) -> None:
            raise Stopped

        live.machines.while_baking = stop
        with pytest.raises(Stopped):
            live.release("two")
        assert capacity(live).asked(HELLO) == {"1": 3, "2": 3}
        return live

    def test_leaves_no_candidate_warm_that_nobody_serves(self, split: Story) -> None:
        self.run_twice(split)
        assert split.serves()["Hello"] == ("1", {})
        assert capacity(split).asked(HELLO) == {"1": 3}

    def test_lets_the_old_version_go_of_a_rollout_that_was_all_but_done(self, split: Story) -> None:
        rollout = split.rollout(2)
        finishing = {"phase": RolloutPhase.FINISHING, "weight": 1.0}
        split.world.ledger.put(rollout.model_copy(update=finishing))
        self.run_twice(split)
        assert split.serves()["Hello"] == ("2", {})
        assert capacity(split).asked(HELLO) == {"2": 3}

    def test_says_what_it_could_not_release_and_ends_the_rollout(
        self, split: Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(function: str, qualifier: str) -> None:
            raise ServiceUnavailable("Lambda is busy.")

        monkeypatch.setattr(capacity(split), "release", refuse)
        self.run_twice(split)
        assert split.rollout(2).phase is RolloutPhase.RESTORED
        assert split.rollout(2).cause.endswith("is not where it should be: Lambda is busy.")
