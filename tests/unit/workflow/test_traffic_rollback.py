"""Only the traffic goes back, in seconds, and what the next release makes of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from support.faults import crash_after
from support.story import CANARY, MANIFEST, PROD, TEST, Story
from tidegate.core.errors import (
    AliasChangedByOthers,
    LockLost,
    NotAllowedNow,
    RecordConflict,
    RestoreFailed,
    Superseded,
)
from tidegate.core.insight.history import history
from tidegate.core.insight.release_view import release_view
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import (
    Approval,
    AuditEntry,
    Decision,
    Live,
    Lock,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    TrafficRollback,
)
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.prune import prune
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.starts import rollback
from tidegate.core.workflow.operator.traffic_rollback import rollback_now
from tidegate.core.workflow.records import find, plan_of
from tidegate.core.workflow.release.lock import read_lock, take_lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.rollout.restore import restore_traffic
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.faults import Faults
from tidegate.testing.retries import Crash
from tidegate.testing.turns import Turns

ADA = Operator("ada", "cli")
ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}
IN_STEPS = MANIFEST.replace("strategy: all-at-once", "strategy: {canary: {weight: 10%, bake: 1m}}")
HELLO = AliasRef("hello-prod-Hello", "live")


@pytest.fixture
def two(live: Story) -> Story:
    """Two releases have been live in test and prod; the second one is."""
    assert live.release("two") == "succeeded"
    return live


def back(story: Story, release: str = "hello-2", to: str = "") -> str:
    return rollback_now(story.ports, ADA, release, to, "orders are counted twice")


def live_at(story: Story, target: str = PROD) -> Live:
    stage = "prod" if target == PROD else "test"
    found = find(story.world.ledger, Live, application="hello", stage=stage, target=target)
    assert found
    return found


def writes(story: Story) -> list[str]:
    """From now on, who writes aliases of prod."""
    seen: list[str] = []
    story.at(PROD).aliases.on_change = lambda ref, before, after: seen.append(ref.function)
    return seen


def test_every_alias_serves_what_it_served_before(two: Story) -> None:
    said = back(two)
    assert said == (
        "ada put the traffic of hello-2 back on the versions of hello-1, as hello-3. The stacks"
        " still are those of hello-2: `tidegate rollback hello-3 --reason 'why'` releases hello-1"
        " and brings them after."
    )
    assert two.serves(TEST) == two.serves(PROD) == ALL_ON_1
    assert two.get(3).phase is ReleasePhase.SUCCEEDED
    assert read_lock(two.world.ledger, "hello").owner == ""


def test_the_record_has_who_and_why_and_what_is_live(two: Story) -> None:
    back(two)
    audit_entries = [item for item in two.items(2, "DEED#") if isinstance(item, AuditEntry)]
    assert [(entry.verb, entry.who, entry.reason) for entry in audit_entries] == [
        ("rollback-now", "ada", "orders are counted twice")
    ]
    live = live_at(two)
    assert (live.release_id, live.artifact) == ("hello-3", two.get(2).artifact)  # of the stack
    assert set(live.versions.values()) == {"1"}
    assert two.get(3).artifact == two.get(1).artifact  # of what serves
    told = [phase for release, phase in two.events("Rollout State Change") if release == "hello-3"]
    assert told == ["succeeded", "succeeded"]


def test_people_see_what_serves_and_what_the_stacks_are(two: Story) -> None:
    back(two)
    view = release_view(two.get(3), two.items(3, ""), two.world.clock.now())
    assert view.traffic_rollback == TrafficRollback(of="hello-2", to="hello-1")
    releases = [two.get(number) for number in (1, 2, 3)]
    entries = history(releases, {r.id: two.items(r.number, "") for r in releases})
    assert [(e.id, [span.until is None for span in e.live]) for e in entries] == [
        ("hello-3", [True, True]),
        ("hello-2", [False, False]),
        ("hello-1", [False, False]),
    ]
    assert entries[0].traffic_rollback == view.traffic_rollback


def test_the_next_release_starts_from_what_serves(two: Story) -> None:
    back(two)
    assert two.release("three") == "succeeded"
    shifts = two.rollout(4).shifts
    assert {(shift.stable, shift.candidate) for shift in shifts} == {("1", "3")}
    assert two.serves() == {"Hello": ("3", {}), "Bye": ("3", {})}


def test_a_bad_release_after_it_goes_back_to_what_served(two: Story) -> None:
    back(two)
    two.error_rates["3"] = 0.9
    assert two.release("three") == "failed"
    assert two.serves() == ALL_ON_1
    assert live_at(two).release_id == "hello-3"


def test_the_release_that_was_left_may_come_again(two: Story) -> None:
    """Its stack is as wanted already, but its aliases are not: they are held, and then shifted."""
    back(two)
    assert two.release("two") == "succeeded"
    assert two.serves() == ALL_ON_2
    assert {(s.stable, s.candidate) for s in two.rollout(4).shifts} == {("1", "2")}
    assert two.release("two") == "succeeded"
    assert not two.items(5, "ROLLOUT#")  # nothing to deploy


def test_the_ordinary_rollback_brings_the_stacks_after(two: Story) -> None:
    back(two)
    said = rollback(two.ports, ADA, "hello-3", reason="as said")
    assert said.startswith("ada rolls hello back to hello-1")
    assert two.world.executions.started[-1] == two.get(1).artifact


def test_what_was_left_is_no_good_release_any_more(two: Story) -> None:
    back(two)
    assert two.release("three") == "succeeded"
    rollback(two.ports, ADA, "hello-4", reason="three is no better")
    assert two.world.executions.started[-1] == two.get(1).artifact


def test_repeated_it_is_one_retreat(two: Story) -> None:
    said = back(two)
    written = writes(two)
    assert back(two) == said
    assert not written
    assert find(two.world.ledger, Lock, application="hello").fence == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(40))
def test_two_who_ask_the_same_at_the_same_moment_have_one_retreat(two: Story, seed: int) -> None:
    turns = Turns(seed)
    faults = Faults()
    faults.before_call.append(turns.give_way)

    def ask(who: str) -> Callable[[], str]:
        ports = faults.wrap(two.ports)
        return lambda: rollback_now(ports, Operator(who), "hello-2", reason="worse")

    said = [actor.outcome() for actor in turns.together(ask("ada"), ask("bea"))]
    assert said[0].removeprefix("ada") == said[1].removeprefix("bea")
    assert two.serves(TEST) == two.serves(PROD) == ALL_ON_1
    traffic_rollbacks = [item for item in _releases(two) if item.traffic_rollback]
    assert [(one.phase, one.traffic_rollback) for one in traffic_rollbacks] == [
        (ReleasePhase.SUCCEEDED, TrafficRollback(of="hello-2", to="hello-1"))
    ]
    lock = read_lock(two.world.ledger, "hello")
    assert (lock.owner, lock.fence) == ("", 3)
    assert {live_at(two, place).release_id for place in (TEST, PROD)} == {traffic_rollbacks[0].id}


def test_one_who_asks_has_the_same_answer_wherever_the_other_comes_before() -> None:
    """The second one does it all right before one call of the first, at each call in its turn."""
    base = Story()
    assert base.release("one") == base.release("two") == "succeeded"
    at = 1
    while _overtaken(copy.deepcopy(base), at):
        at += 1
    assert at > 30


def _overtaken(story: Story, at: int) -> bool:
    """Whether the first one makes so many calls."""
    calls, said = [0], []

    def count(*_: object) -> None:
        calls[0] += 1
        if calls[0] == at:
            said.append(back(story))

    faults = Faults()
    faults.before_call.append(count)
    said.append(rollback_now(faults.wrap(story.ports), ADA, "hello-2"))
    assert len(set(said)) == 1
    assert story.serves(TEST) == story.serves(PROD) == ALL_ON_1
    assert len([one for one in _releases(story) if one.traffic_rollback]) == 1
    assert read_lock(story.world.ledger, "hello").owner == ""
    return calls[0] >= at


def test_one_that_is_fenced_off_says_so(two: Story) -> None:
    aliases = two.at(PROD).aliases
    read = aliases.read

    def fenced(ref: AliasRef) -> object:
        lock = read_lock(two.world.ledger, "hello")
        if lock.owner:
            two.world.ledger.put(lock.model_copy(update={"fence": lock.fence + 1}))
        return read(ref)

    aliases.read = fenced  # type: ignore[method-assign, assignment]
    with pytest.raises(LockLost, match="hello-3 was fenced off"):
        back(two)


@pytest.mark.parametrize("seed", range(20))
def test_two_who_ask_for_another_release_each_have_one_answer_each(two: Story, seed: int) -> None:
    assert two.release("three") == "succeeded"
    turns = Turns(seed)
    faults = Faults()
    faults.before_call.append(turns.give_way)

    def ask(to: str) -> Callable[[], str]:
        ports = faults.wrap(two.ports)
        return lambda: rollback_now(ports, ADA, "hello-3", to, "worse")

    ended = turns.together(ask("hello-1"), ask("hello-2"))
    assert all(isinstance(one.error, NotAllowedNow | None) for one in ended)
    done = [one for one in _releases(two) if one.left]
    assert len(done) == 1
    wanted = (
        ALL_ON_1
        if done[0].traffic_rollback == TrafficRollback(of="hello-3", to="hello-1")
        else ALL_ON_2
    )
    assert two.serves(TEST) == two.serves(PROD) == wanted
    assert read_lock(two.world.ledger, "hello").owner == ""


def _releases(story: Story) -> list[Release]:
    items = story.world.ledger.query("APP#hello", "RELEASE#")
    return [item for item in items if isinstance(item, Release)]


def test_an_earlier_release_may_be_named(two: Story) -> None:
    assert two.release("three") == "succeeded"
    back(two, "hello-3", to="hello-1")
    assert two.serves() == ALL_ON_1
    assert two.get(4).traffic_rollback == TrafficRollback(of="hello-3", to="hello-1")


def test_it_goes_back_only_where_it_is_live(two: Story) -> None:
    two.error_rates["3"] = 0.9
    assert two.release("three") == "failed"  # in prod
    assert two.serves(TEST)["Hello"] == ("3", {})
    back(two, "hello-3")
    assert two.serves(TEST) == two.serves(PROD) == ALL_ON_2
    assert [stage.name for stage in plan_of(two.world.ledger, "hello-4").stages] == ["test"]


def test_only_what_the_earlier_release_had_moves(two: Story) -> None:
    """A function that came later has nothing to go back to."""
    rollout = two.rollout(1)
    versions = {k: v for k, v in rollout.versions.items() if "Bye" not in k}
    two.world.ledger.put(rollout.model_copy(update={"versions": versions}))
    back(two)
    assert two.serves() == {"Hello": ("1", {}), "Bye": ("2", {})}


def test_it_serves_what_was_left_there_where_it_had_nothing_to_deploy(two: Story) -> None:
    assert two.release("two") == "succeeded"  # nothing to deploy
    assert two.release("three") == "succeeded"
    back(two, "hello-4", to="hello-3")
    assert two.serves() == ALL_ON_2


class TestRefusals:
    """Each before anything is changed."""

    def refused(self, story: Story, release: str = "hello-2", to: str = "") -> str:
        written = writes(story)
        with pytest.raises(NotAllowedNow) as refusal:
            back(story, release, to)
        assert not written
        return str(refusal.value)

    def test_a_version_that_was_pruned(self, two: Story) -> None:
        two.at(PROD).versions.delete("hello-prod-Hello", 1)
        said = self.refused(two)
        assert "version 1 of hello-prod-Hello is not there any more" in said
        assert "`tidegate rollback hello-2 --to hello-1 --reason 'why'` releases it anew" in said
        assert two.serves(TEST) == ALL_ON_2

    def test_versions_that_nobody_recorded(self, two: Story) -> None:
        rollout = two.rollout(1, "test", TEST)
        two.world.ledger.put(rollout.model_copy(update={"versions": {}}))
        assert self.refused(two).startswith(
            f"The record does not say which versions hello-1 served at test {TEST}."
        )

    def test_an_alias_that_somebody_has_moved(self, two: Story) -> None:
        aliases = two.at(PROD).aliases
        state = aliases.read(HELLO)
        aliases.write(HELLO, version="7", routes={}, expected_revision=state.revision)
        assert "hello-prod-Hello:live serves version 7" in self.refused(two)

    def test_a_release_under_way(self, two: Story) -> None:
        asked: list[str] = []
        two.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: asked.append(
            self.refused(two)
        )
        two.release("three")
        assert asked[0] == (
            f"hello-3 is validating at prod {PROD}. `tidegate abort hello-3 --reason 'orders are"
            " counted twice'` takes it back to what hello-2 serves there. `tidegate get hello-3"
            " --watch` shows when that is done; then `tidegate rollback hello-2 --now --reason"
            " 'orders are counted twice'`."
        )

    def test_a_stuck_release(self, two: Story) -> None:
        two.at(PROD).stacks.fail_next += ["", "no room"]
        two.at(PROD).stacks.refuse_rollback = True
        assert two.release("three") == "stuck"
        assert self.refused(two).startswith("hello-3 is stuck")

    def test_a_release_that_is_not_live(self, two: Story) -> None:
        said = self.refused(two, "hello-1")
        assert said.startswith("hello-1 is not live anywhere: hello-2 is.")

    def test_what_serves_already(self, two: Story) -> None:
        for earlier in (two.rollout(1), two.rollout(1, "test", TEST)):
            same = dict.fromkeys(earlier.versions, "2")
            two.world.ledger.put(earlier.model_copy(update={"versions": same}))
        assert self.refused(two) == "hello serves what hello-1 served already."

    def test_a_release_that_begins_at_the_same_moment(self, two: Story) -> None:
        put = two.world.ledger.put

        def faster(item: object) -> object:
            if isinstance(item, Lock) and item.owner.startswith("rollback-now"):
                lock = read_lock(two.world.ledger, "hello")
                put(lock.model_copy(update={"owner": "execution-9", "release_number": 9}))
            return put(item)  # type: ignore[type-var]

        two.world.ledger.put = faster  # type: ignore[method-assign, assignment]
        assert "has begun, or ended, at this moment" in self.refused(two)
        assert (two.get(3).phase, two.get(3).error) == (ReleasePhase.ABORTED, "Locked")
        assert two.serves() == ALL_ON_2

    def test_two_that_a_third_one_overtakes(self, two: Story) -> None:
        put = two.world.ledger.put
        said: list[str] = []

        def faster(item: object) -> object:
            if isinstance(item, Lock) and not said:
                said.append("")
                said[0] = self.refused(two)  # the same request, before
            elif isinstance(item, Lock) and item.release_number == 3:
                lock = read_lock(two.world.ledger, "hello")
                put(lock.model_copy(update={"owner": "execution-9", "release_number": 9}))
            return put(item)  # type: ignore[type-var]

        two.world.ledger.put = faster  # type: ignore[method-assign, assignment]
        assert self.refused(two) == said[0]
        assert (two.get(3).phase, two.get(3).error) == (ReleasePhase.ABORTED, "Locked")
        assert two.serves() == ALL_ON_2


def test_killed_at_any_call_it_goes_on_when_it_is_asked_again() -> None:
    calls = 1
    while not _killed_after(calls, ask_again=True):
        calls += 1
    assert calls > 30


def test_killed_at_any_call_the_guardian_leaves_every_stack_on_one_release() -> None:
    calls = 1
    while not _killed_after(calls, ask_again=False):
        calls += 3
    assert calls > 30


def _killed_after(calls: int, *, ask_again: bool) -> bool:
    """Whether it came to its end within so many calls; everything is consistent in any case."""
    story = Story(CANARY)
    assert story.release("one") == "succeeded"
    assert story.release("two") == "succeeded"
    ended = True
    try:
        rollback_now(crash_after(calls).wrap(story.ports), ADA, "hello-2")
    except Crash:
        ended = False
    if ask_again:
        back(story)
        assert story.serves() == ALL_ON_1
    story.world.executions.ended["rollback-now:hello-3"] = ""
    for _ in range(4):
        story.world.clock.advance(GRACE.total_seconds())
        guard(story.ports)
    assert story.serves() in (ALL_ON_1, ALL_ON_2)
    assert read_lock(story.world.ledger, "hello").owner == ""
    serves = {f"hello-prod-{name}:live": version for name, (version, _) in story.serves().items()}
    assert live_at(story).versions == serves
    assert story.release("three") == "succeeded"
    return ended


def test_what_cannot_be_put_is_said_and_done_by_the_guardian(two: Story) -> None:
    aliases = two.at(PROD).aliases
    write = aliases.write

    def refuse(*_: object, **__: object) -> None:
        raise OSError("Lambda is busy.")

    aliases.write = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(RestoreFailed, match="Lambda is busy"):
        back(two)
    aliases.write = write  # type: ignore[method-assign]
    two.world.executions.ended["rollback-now:hello-3"] = ""
    for _ in range(3):
        two.world.clock.advance(GRACE.total_seconds())
        guard(two.ports)
    assert two.serves() == ALL_ON_1
    assert two.rollout(3).phase is RolloutPhase.SUCCEEDED


def test_an_alias_that_moves_meanwhile_is_left_alone_and_said(two: Story) -> None:
    aliases = two.at(PROD).aliases
    read, evaluations = aliases.read, []

    def moved(ref: AliasRef) -> object:
        evaluations.append(ref)
        if ref == HELLO and evaluations.count(HELLO) == 2:
            state = read(ref)
            aliases.write(ref, version="7", routes={}, expected_revision=state.revision)
        return read(ref)

    aliases.read = moved  # type: ignore[method-assign, assignment]
    with pytest.raises(AliasChangedByOthers, match="hello-prod-Hello:live serves version 7"):
        back(two)
    assert two.alias("Bye").version == "1"


def test_versions_that_serve_again_are_not_pruned(two: Story) -> None:
    back(two)
    for pruning in prune(two.ports, "hello", dry_run=True):
        assert not any(1 in function.spare for function in pruning.functions)


def test_its_plan_asks_nobody_and_runs_nothing(two: Story) -> None:
    back(two)
    plan = plan_of(two.world.ledger, "hello-3")
    assert not plan.tests
    for stage in plan.stages:
        assert (stage.approval, stage.pre_traffic, stage.post_traffic) == (None, (), ())
        assert stage.strategy.name == "traffic only"


def test_a_release_that_waits_gives_way_to_it(two: Story) -> None:
    """Whoever pushed before the trouble was known does not deploy over the way back."""
    artifact = two.application.build("three")
    plan_release(two.ports, artifact, "execution-8")
    back(two)
    assert two.get(4).traffic_rollback


@pytest.fixture
def asking() -> Story:
    """Two releases are live in test and prod, where people must agree."""
    story = Story(approval="approval: {approvers: 1}")
    story.machines.while_waiting = lambda ref, stage: agree(story, ref.id)
    assert story.release("one") == "succeeded"
    assert story.release("two") == "succeeded"
    return story


def agree(story: Story, release: str) -> None:
    approve(story.ports, Operator("bea", "cli"), release)


class TestWhileAnotherReleaseIsUnderWay:
    """hello-2 is live and broken; hello-3 is on its way, and moves nothing there."""

    def test_it_goes_while_the_next_release_waits_for_approval(self, asking: Story) -> None:
        said: list[str] = []
        asking.machines.while_waiting = lambda ref, stage: said.append(back(asking))
        assert asking.release("three") == "aborted"
        assert asking.serves() == ALL_ON_1
        assert asking.serves(TEST) == {"Hello": ("3", {}), "Bye": ("3", {})}
        assert said[0].endswith(
            " hello-3 was under way and was aborted for it: `tidegate retry hello-3`"
            " releases it again."
        )
        assert asking.get(4).phase is ReleasePhase.SUCCEEDED
        assert read_lock(asking.world.ledger, "hello").owner == ""

    @pytest.mark.parametrize("seed", range(20))
    def test_two_who_ask_at_the_same_moment_end_it_for_one_retreat(
        self, asking: Story, seed: int
    ) -> None:
        said: list[str] = []

        def go_back(ref: ReleaseRef, stage: str) -> None:
            turns = Turns(seed)
            faults = Faults()
            faults.before_call.append(turns.give_way)
            ports = faults.wrap(asking.ports)
            ask = partial(rollback_now, ports, ADA, "hello-2", reason="worse")
            said.extend(actor.outcome() for actor in turns.together(ask, ask))

        asking.machines.while_waiting = go_back
        assert asking.release("three") == "aborted"
        assert said[0] == said[1]
        assert "hello-3 was under way and was aborted for it" in said[0]
        assert asking.serves() == ALL_ON_1
        traffic_rollbacks = [
            one.traffic_rollback for one in _releases(asking) if one.traffic_rollback
        ]
        assert traffic_rollbacks == [TrafficRollback(of="hello-2", to="hello-1", ended="hello-3")]
        assert read_lock(asking.world.ledger, "hello").owner == ""

    def test_the_request_is_void_and_says_why(self, asking: Story) -> None:
        refused: list[str] = []

        def go_back(ref: ReleaseRef, stage: str) -> None:
            back(asking)
            with pytest.raises(NotAllowedNow) as refusal:  # before its machine has heard of it
                agree(asking, ref.id)
            refused.append(str(refusal.value))

        asking.machines.while_waiting = go_back
        asking.release("three")
        why = (
            "ada aborted hello-3: hello-4 puts the traffic of hello-2 back: orders are counted"
            " twice."
        )
        assert (asking.get(3).error, asking.get(3).cause) == ("Aborted", why)
        assert asking.get_stage(3, 1, "prod").cause == why
        approval = find(asking.world.ledger, Approval, release_id="hello-3", stage="prod")
        assert approval
        assert approval.decision is Decision.EXPIRED
        with pytest.raises(NotAllowedNow) as refusal:
            agree(asking, "hello-3")
        refused.append(str(refusal.value))
        void = (
            f"{why} Nobody is asked to approve it any more."
            " `tidegate retry hello-3` releases it again."
        )
        assert refused == [void, void]

    def test_it_goes_while_the_next_release_is_tested(self, two: Story) -> None:
        def test(name: str) -> str:
            if two.serves() != ALL_ON_1:
                back(two)
            return "SUCCEEDED"

        two.machines.tests = test
        assert two.release("three") == "aborted"
        assert two.serves(TEST) == two.serves(PROD) == ALL_ON_1
        assert read_lock(two.world.ledger, "hello").owner == ""

    def test_what_is_split_elsewhere_goes_back_with_it(self) -> None:
        story = Story(IN_STEPS)
        assert story.release("one") == "succeeded"
        assert story.release("two") == "succeeded"
        served = []

        def meanwhile(ref: AliasRef, *_: object) -> None:
            if ref == HELLO:  # its own way back asks for the lock, and asks again
                with pytest.raises(RecordConflict, match="hello-4 puts traffic back"):
                    restore_traffic(story.ports, story.ref(3, "test", TEST), {})

        def go_back() -> None:
            only_in_prod(story)
            story.at(PROD).aliases.on_change = meanwhile
            back(story)
            served.append((story.serves(TEST), story.serves()))

        story.machines.while_baking = at_test(story, go_back)
        assert story.release("three") == "aborted"
        assert served == [(ALL_ON_2, ALL_ON_1)]
        assert story.rollout(3, "test", TEST).phase is RolloutPhase.RESTORED

    @pytest.mark.parametrize("phase", ["deploying", "validating", "shifting", "verifying"])
    def test_whatever_the_other_release_is_at_elsewhere(self, phase: str) -> None:
        """hello-3 is in test; hello-2 is live in prod alone, for hello-1 is so in test."""
        story = Story(IN_STEPS)
        assert story.release("one") == "succeeded"
        assert story.release("two") == "succeeded"
        done: list[str] = []
        put = story.world.ledger.put

        def act(item: object) -> object:
            kept = put(item)  # type: ignore[type-var]
            where = getattr(item, "stage", ""), getattr(item, "phase", ""), kind_of(item)
            if where == ("test", phase, "rollout") and item.release_id == "hello-3" and not done:  # type: ignore[attr-defined]
                done.append(phase)
                only_in_prod(story)
                back(story)
            return kept

        story.world.ledger.put = act  # type: ignore[method-assign, assignment]
        assert story.release("three") == "aborted"
        assert done
        assert story.serves() == ALL_ON_1
        assert story.serves(TEST) == ALL_ON_2
        assert story.rollout(3, "test", TEST).phase is RolloutPhase.RESTORED
        assert read_lock(story.world.ledger, "hello").owner == ""
        assert story.release("four") == "succeeded"

    def test_nothing_older_than_it_deploys_afterwards(self, asking: Story) -> None:
        """hello-4 waits for hello-3's lock when traffic goes back as hello-5."""

        def go_back(ref: ReleaseRef, stage: str) -> None:
            waits = plan_release(asking.ports, asking.application.build("four"), "execution-8")
            later.append(ReleaseRef.model_validate(waits["release"]))
            back(asking)

        later: list[ReleaseRef] = []
        asking.machines.while_waiting = go_back
        assert asking.release("three") == "aborted"
        with pytest.raises(Superseded, match="hello-5 took the place of hello-4"):
            take_lock(asking.ports, later[0], "execution-8")

    def test_one_that_begins_to_deploy_there_at_this_moment_goes_first_and_ends(
        self, two: Story
    ) -> None:
        """Its rollout is recorded between the question and the lock."""
        said: list[str] = []
        put = two.world.ledger.put

        def late(item: object) -> object:
            if kind_of(item) == "lock" and len(begun) == 1:
                begun.append(put(waiting[0]))  # type: ignore[type-var]
            return put(item)  # type: ignore[type-var]

        begun: list[object] = []
        waiting: list[object] = []

        def first(item: object) -> object:
            if kind_of(item) == "rollout" and item.stage == "prod" and not waiting:  # type: ignore[attr-defined]
                waiting.append(item)
                begun[:] = [item]
                two.world.ledger.put = late  # type: ignore[method-assign, assignment]
                with pytest.raises(NotAllowedNow) as refusal:
                    back(two)
                said.append(str(refusal.value))
                two.world.ledger.put = put  # type: ignore[method-assign]
                return begun[1]
            return put(item)  # type: ignore[type-var]

        two.world.ledger.put = first  # type: ignore[method-assign, assignment]
        assert two.release("three") == "aborted"
        assert said[0] == (
            "hello-3 has begun to deploy at this moment, and ends now. `tidegate get hello-3"
            " --watch` shows when it has; then `tidegate rollback hello-2 --now --reason 'orders"
            " are counted twice'`."
        )
        assert two.get(4).phase is ReleasePhase.ABORTED
        assert two.serves() == ALL_ON_2
        back(two)
        assert two.serves() == ALL_ON_1

    @pytest.mark.parametrize("phase", ["finishing", "restoring"])
    def test_what_ends_by_itself_there_is_waited_for(self, two: Story, phase: str) -> None:
        said: list[str] = []
        put = two.world.ledger.put

        def act(item: object) -> object:
            kept = put(item)  # type: ignore[type-var]
            where = getattr(item, "stage", ""), getattr(item, "phase", ""), kind_of(item)
            if where == ("prod", phase, "rollout") and not said:
                said.append("")
                with pytest.raises(NotAllowedNow) as refusal:
                    back(two)
                said[0] = str(refusal.value)
            return kept

        two.world.ledger.put = act  # type: ignore[method-assign, assignment]
        two.error_rates["3"] = 0.9 if phase == "restoring" else 0.0
        two.release("three")
        assert said[0].startswith(
            f"hello-3 is {phase} at prod {PROD}. `tidegate get hello-3 --watch` shows when"
        )

    def test_another_way_back_goes_first(self, two: Story) -> None:
        assert two.release("three") == "succeeded"
        only_in_prod(two, "hello-2")
        said: list[str] = []
        put = two.world.ledger.put

        def act(item: object) -> object:
            kept = put(item)  # type: ignore[type-var]
            if kind_of(item) == "lock" and item.owner and not said:  # type: ignore[attr-defined]
                said.append("")
                with pytest.raises(NotAllowedNow) as refusal:
                    back(two, "hello-2")
                said[0] = str(refusal.value)
            return kept

        two.world.ledger.put = act  # type: ignore[method-assign, assignment]
        back(two, "hello-3")
        assert said[0].startswith("hello-4 puts traffic back at this moment. `tidegate get hello-4")

    def test_killed_at_any_call_nobody_deploys_over_it_unnoticed(self) -> None:
        """It is asked again, or the guardian goes on; the release that waited ends as aborted."""
        for ask_again in (True, False):
            calls = 1
            while not _killed_while_another_waits(calls, ask_again=ask_again):
                calls += 2


def kind_of(item: object) -> str:
    return str(getattr(item, "kind", ""))


def at_test(story: Story, act: Callable[[], object]) -> Callable[[RolloutRef, int], None]:
    """At the first bake in test."""
    waiting = [act]

    def bake(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        if ref.stage == "test" and waiting:
            waiting.pop()()

    return bake


def only_in_prod(story: Story, release: str = "hello-1") -> None:
    """Another release is live in test."""
    live = live_at(story, TEST)
    story.world.ledger.put(live.model_copy(update={"release_id": release}))


def _killed_while_another_waits(calls: int, *, ask_again: bool) -> bool:
    story = Story(approval="approval: {approvers: 1}")
    story.machines.while_waiting = lambda ref, stage: agree(story, ref.id)
    assert story.release("one") == "succeeded"
    assert story.release("two") == "succeeded"
    faults, ended = crash_after(calls), []

    def go_back(ref: ReleaseRef, stage: str) -> None:
        with suppress(Crash):
            rollback_now(faults.wrap(story.ports), ADA, "hello-2", reason="worse")
            ended.append(True)
        if ask_again and not ended:
            with suppress(NotAllowedNow):  # the first one has it, and is not heard of any more
                back(story)
        with suppress(NotAllowedNow):
            agree(story, ref.id)

    story.machines.while_waiting = go_back
    phase = story.release("three")
    assert phase in {"aborted", "succeeded"}
    for number in (4, 5):
        story.world.executions.ended[f"rollback-now:hello-{number}"] = ""
    for _ in range(6):
        story.world.clock.advance(GRACE.total_seconds())
        guard(story.ports)
    assert read_lock(story.world.ledger, "hello").owner == ""
    moved = any(
        isinstance(item, Rollout) and item.phase is RolloutPhase.SUCCEEDED
        for number in (4, 5)
        for item in story.items(number, "ROLLOUT#")
    )
    assert story.serves()["Hello"] == ("3" if phase == "succeeded" else "1" if moved else "2", {})
    assert story.serves()["Bye"] == story.serves()["Hello"]
    return bool(ended)
