"""Whoever hears an alarm or an abort puts the traffic back; what it leaves, others finish."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from support.faults import crash_after
from support.story import CANARY, PROD, Story
from tidegate.core.errors import AliasConflict, NotFound, RestoreFailed, ServiceUnavailable
from tidegate.core.insight.explain import explain_release
from tidegate.core.model.record import Call, Rollout, RolloutPhase, Tick
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.rollout.on_alarm import Alarm, on_alarm
from tidegate.core.workflow.rollout.restore_now import restore_now
from tidegate.core.workflow.rollout.shift import tick
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.faults import Faults, Way
from tidegate.testing.retries import Crash

ADA = Operator("ada", "cli")
ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
SPLIT = {"Hello": ("1", {"2": 0.1}), "Bye": ("1", {"2": 0.1})}
WHY = "alarm HelloErrors fires and did not before the shift"


def ring(story: Story, *, late: timedelta = timedelta(0)) -> list[str]:
    return on_alarm(story.ports, Alarm("HelloErrors", PROD, story.world.clock.now() - late))


def at_the_first_bake(story: Story, act: Callable[[], object]) -> None:
    """In prod; the alarm itself stays silent, so that no evaluation does what an act did not."""
    waiting = [act]

    def bake(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        if ref.stage == "prod" and waiting:
            waiting.pop()()

    story.machines.while_baking = bake


def ticks(story: Story) -> list[Tick]:
    return [item for item in story.items(2, "TICK#prod#") if isinstance(item, Tick)]


def test_all_aliases_are_back_when_the_alarm_has_been_heard(live: Story) -> None:
    served = []

    def hear() -> None:
        assert live.serves() == SPLIT
        assert ring(live) == [f"hello-2 prod {PROD}"]
        served.append(live.serves())

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"
    assert served == [ALL_ON_1]
    rollout = live.rollout(2)
    assert (rollout.phase, rollout.error) == (RolloutPhase.RESTORED, "Unhealthy")
    assert rollout.cause.startswith(WHY)
    assert rollout.is_back


def test_the_bake_ends_with_the_error_and_no_look_follows(live: Story) -> None:
    at_the_first_bake(live, lambda: ring(live))
    assert live.release("two") == "failed"
    answers = [a for a in live.world.callbacks.answers.values() if a.get("Error") == "Unhealthy"]
    assert len(answers) == 1
    assert [tick.action for tick in ticks(live)] == ["set-weight", "restore"]


@pytest.mark.parametrize("calls_late", range(1, 7))
@pytest.mark.parametrize("who", ["alarm", "operator"])
def test_a_decision_whose_record_is_still_on_its_way_fails_the_bake(
    live: Story, who: str, calls_late: int
) -> None:
    """Whenever that write arrives, nobody is asked for one more look before traffic is back."""
    answered: list[dict[str, Any]] = []

    def act() -> None:
        faults, waiting = Faults(), set(live.world.callbacks.waiting)
        ports = faults.wrap(live.ports)
        faults.before_call.append(lambda name, args: lose_the_intent(faults, name, args))
        if who == "alarm":
            with pytest.raises(RestoreFailed):
                on_alarm(ports, Alarm("HelloErrors", PROD, live.world.clock.now()))
        else:
            abort(ports, ADA, "hello-2", "wrong prices")
        faults.deliver_all()
        answered.extend(dict(live.world.callbacks.answers[token]) for token in waiting)

    def lose_the_intent(faults: Faults, name: str, args: tuple[Any, ...]) -> None:
        if name == "ledger.put" and isinstance(args[0], Rollout):
            faults.before_call.clear()
            faults.befall_next(Way.LATE, much=calls_late)

    at_the_first_bake(live, act)
    assert live.release("two") == ("failed" if who == "alarm" else "aborted")
    assert [one.get("Error") for one in answered] == ["Unhealthy" if who == "alarm" else "Aborted"]
    assert [tick.action for tick in ticks(live)] == ["set-weight"]
    assert live.serves() == ALL_ON_1
    assert live.rollout(2).phase is RolloutPhase.RESTORED


def test_what_was_decided_is_told_with_the_data_of_the_last_look(live: Story) -> None:
    evaluations = [lambda: None, lambda: ring(live)]

    def bake(ref: RolloutRef, seconds: int) -> None:
        live.serve(ref, seconds)
        if ref.stage == "prod" and evaluations:
            evaluations.pop(0)()

    live.machines.while_baking = bake
    assert live.release("two") == "failed"
    told = explain_release("hello-2", live.items(2, ""))
    prod = next(rollout for rollout in told.rollouts if rollout.stage == "prod")
    last = prod.decisions[-1]
    assert (last.action, last.repeated, last.firing) == ("restore", True, ("HelloErrors",))
    assert last.why.startswith(WHY)
    assert last.verdict.candidate_invocations == ticks(live)[-2].verdict.candidate_invocations > 0
    assert any("alarm" in one.words for one in last.counterfactuals)


def test_an_abort_is_told_with_who_and_why(live: Story) -> None:
    at_the_first_bake(live, lambda: abort(live.ports, ADA, "hello-2", "wrong prices"))
    assert live.release("two") == "aborted"
    told = explain_release("hello-2", live.items(2, ""))
    last = next(one for one in told.rollouts if one.stage == "prod").decisions[-1]
    assert (last.action, last.why, last.repeated) == ("restore", "ada: wrong prices", True)
    assert last.rule == "an operator's abort ends a rollout at any time"


def test_an_abort_says_where_the_traffic_is_back_and_where_not_yet(live: Story) -> None:
    said: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        raise ServiceUnavailable("Lambda is busy.")

    def stop() -> None:
        aliases = live.at(PROD).aliases
        write, aliases.write = aliases.write, refuse  # type: ignore[method-assign, assignment]
        said.append(abort(live.ports, ADA, "hello-2", "wrong prices"))
        aliases.write = write  # type: ignore[method-assign]

    at_the_first_bake(live, stop)
    assert live.release("two") == "aborted"
    assert said[0].startswith(f"ada aborted hello-2: wrong prices. prod {PROD} is not all back yet")
    assert "hello-prod-Bye:live: Lambda is busy." in said[0]
    assert live.serves() == ALL_ON_1  # the rollout's own way back has done it


def test_an_alarm_of_before_the_shift_that_is_told_late_rings_for_nobody(live: Story) -> None:
    at_the_first_bake(live, lambda: rung.append(ring(live, late=timedelta(minutes=10))))
    rung: list[list[str]] = []
    assert live.release("two") == "succeeded"
    assert rung == [[]]


def test_an_alarm_in_the_second_in_which_the_shift_began_counts(live: Story) -> None:
    """CloudWatch may tell its time by the second."""
    live.world.clock.advance(0.9)
    at_the_first_bake(live, lambda: rung.append(ring(live, late=timedelta(seconds=0.8))))
    rung: list[list[str]] = []
    assert live.release("two") == "failed"
    assert rung == [[f"hello-2 prod {PROD}"]]


@pytest.mark.parametrize("deliveries", [1, 2])
def test_killed_at_any_call_the_next_delivery_or_the_next_look_goes_on(
    live: Story, deliveries: int
) -> None:
    """Each call in its turn is the last one that the first delivery makes."""
    calls = 1
    while not _killed_after(live, calls, deliveries):
        calls += 1
    assert calls > 20


def _killed_after(live: Story, calls: int, deliveries: int) -> bool:
    """Whether the first delivery came to its end; the release goes back in any case."""
    story, ended = _again(), []

    def kill() -> None:
        fires = Alarm("HelloErrors", PROD, story.world.clock.now())
        story.at(PROD).metrics.alarms["HelloErrors"] = True
        try:
            on_alarm(crash_after(calls).wrap(story.ports), fires)
            ended.append(True)
        except Crash:
            for _ in range(deliveries - 1):
                on_alarm(story.ports, fires)

    at_the_first_bake(story, kill)
    assert story.release("two") == "failed"
    assert story.serves() == ALL_ON_1
    assert story.rollout(2).error == "Unhealthy"
    return bool(ended)


def _again() -> Story:
    story = Story()
    assert story.release("one") == "succeeded"
    return story


def test_a_look_at_the_same_time_neither_undoes_it_nor_overwrites_what_is_told(
    live: Story,
) -> None:
    """The look has seen a healthy candidate; the alarm is heard before it is recorded."""
    metrics, rung = live.at(PROD).metrics, []
    bins = metrics.bins

    def slow(*args: object, **kwargs: object) -> object:
        seen = bins(*args, **kwargs)  # type: ignore[arg-type]
        if len(ticks(live)) == 1 and not rung:
            rung.append(ring(live))
        return seen

    metrics.bins = slow  # type: ignore[method-assign, assignment]
    assert live.release("two") == "failed"
    assert rung == [[f"hello-2 prod {PROD}"]]
    assert [tick.action for tick in ticks(live)] == ["set-weight", "restore"]
    assert live.serves() == ALL_ON_1


def test_a_look_that_writes_its_number_at_that_moment_gives_way(live: Story) -> None:
    """It has checked the record, and writes its tick when the decision to go back is taken."""
    put, rung = live.world.ledger.put, []

    def late(item: object) -> object:
        if isinstance(item, Tick) and item.number == 2 and item.action == "hold" and not rung:
            rung.append(ring(live))
        return put(item)  # type: ignore[type-var]

    live.world.ledger.put = late  # type: ignore[method-assign, assignment]
    assert live.release("two") == "failed"
    assert ticks(live)[-1].action == "restore"
    assert live.serves() == ALL_ON_1


def test_the_number_of_the_decision_is_taken_from_a_look_that_came_first(live: Story) -> None:
    """The look's tick lies there already when the decision's own is written."""
    put, stale = live.world.ledger.put, []

    def crowd(item: object) -> object:
        if isinstance(item, Tick) and item.action == "restore" and not stale:
            stale.append(put(item.model_copy(update={"action": "hold"})))
        return put(item)  # type: ignore[type-var]

    live.world.ledger.put = crowd  # type: ignore[method-assign, assignment]
    at_the_first_bake(live, lambda: ring(live))
    assert live.release("two") == "failed"
    assert stale
    assert [tick.action for tick in ticks(live)] == ["set-weight", "restore"]


def test_a_record_that_moves_all_the_time_is_left_to_the_looks(live: Story) -> None:
    put = live.world.ledger.put
    taken: list[bool] = []

    def hear() -> None:
        def move(item: object) -> object:
            if getattr(item, "phase", "") is RolloutPhase.RESTORING:
                put(live.rollout(2).model_copy(update={"changed_by_others": ""}))
            return put(item)  # type: ignore[type-var]

        live.world.ledger.put = move  # type: ignore[method-assign, assignment]
        taken.append(restore_now(live.ports, live.ref(2), ["HelloErrors"]))
        live.world.ledger.put = put  # type: ignore[method-assign]

    at_the_first_bake(live, hear)
    assert live.release("two") == "succeeded"
    assert taken == [False]


def test_an_abort_that_cannot_record_its_decision_says_who_takes_it(live: Story) -> None:
    put, said = live.world.ledger.put, []

    def move(item: object) -> object:
        if getattr(item, "phase", "") is RolloutPhase.RESTORING:
            put(live.rollout(2).model_copy(update={"changed_by_others": ""}))
        return put(item)  # type: ignore[type-var]

    def stop() -> None:
        live.world.ledger.put = move  # type: ignore[method-assign, assignment]
        said.append(abort(live.ports, ADA, "hello-2", "wrong prices"))
        live.world.ledger.put = put  # type: ignore[method-assign]

    at_the_first_bake(live, stop)
    assert live.release("two") == "aborted"
    assert f" prod {PROD} goes back at its next evaluation." in said[0]
    assert live.serves() == ALL_ON_1


def test_a_record_that_others_write_while_traffic_goes_back_is_left_to_them(live: Story) -> None:
    """Each alias is back all the same; whoever writes the record says so in it."""
    rung = []

    def write(*_: object) -> None:
        live.world.ledger.put(live.rollout(2))

    def hear() -> None:
        aliases = live.at(PROD).aliases
        quiet, aliases.on_change = aliases.on_change, write
        rung.append(ring(live))
        aliases.on_change = quiet
        assert live.serves() == ALL_ON_1
        assert not live.rollout(2).is_back

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"
    assert rung == [[f"hello-2 prod {PROD}"]]
    assert live.rollout(2).is_back


def test_nothing_is_taken_back_where_nothing_was_given_or_wanted(live: Story) -> None:
    taken: list[bool] = []
    at_the_first_bake(live, lambda: taken.append(restore_now(live.ports, live.ref(2))))
    assert live.release("two") == "succeeded"
    assert not restore_now(live.ports, live.ref(2), ["HelloErrors"])
    assert taken == [False]


def test_an_alias_that_somebody_else_moved_is_left_alone_and_the_release_is_stuck(
    live: Story,
) -> None:
    strange = AliasRef("hello-prod-Bye", "live")

    def hear() -> None:
        aliases = live.at(PROD).aliases
        state = aliases.read(strange)
        aliases.write(strange, version="7", routes={}, expected_revision=state.revision)
        ring(live)

    at_the_first_bake(live, hear)
    assert live.release("two") == "stuck"
    assert live.serves() == {"Hello": ("1", {}), "Bye": ("7", {})}
    assert live.rollout(2).error == "AliasChangedByOthers"


def test_a_weight_that_was_on_its_way_does_not_arrive_afterwards(live: Story) -> None:
    aliases, ref = live.at(PROD).aliases, AliasRef("hello-prod-Hello", "live")

    def hear() -> None:
        read = aliases.read(ref)
        ring(live)
        with pytest.raises(AliasConflict):
            aliases.write(ref, version="1", routes={"2": 0.5}, expected_revision=read.revision)

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"


def test_each_alias_goes_back_in_one_call_and_the_record_is_asked_once_for_all(
    live: Story,
) -> None:
    calls: list[str] = []

    def hear() -> None:
        faults = Faults()
        on_alarm(faults.wrap(live.ports), Alarm("HelloErrors", PROD, live.world.clock.now()))
        calls.extend(faults.calls)
        assert live.serves() == ALL_ON_1

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"
    assert [name for name in calls if name.startswith("aliases.")] == ["aliases.write"] * 2
    first = calls.index("aliases.write")
    assert calls[first + 1] == "aliases.write"


def test_an_alias_that_was_written_since_is_read_before_it_goes_back(live: Story) -> None:
    aliases = live.at(PROD).aliases

    def hear() -> None:
        aliases.set("hello-prod-Hello", "live", "1", {"2": 0.9})
        ring(live)
        assert live.serves() == ALL_ON_1

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"
    assert live.rollout(2).phase is RolloutPhase.RESTORED


def test_the_guardian_that_fences_off_between_question_and_writes_wins(live: Story) -> None:
    """It has taken over and written the aliases when the way back, asked before, writes them."""
    aliases, written = live.at(PROD).aliases, []
    write = aliases.write

    def late(ref: AliasRef, **wanted: Any) -> object:
        if not written:
            written.append(ref)
            live.world.executions.ended["execution-2"] = "ABORTED"
            guard(live.ports)
            assert live.serves() == ALL_ON_1
        return write(ref, **wanted)

    def hear() -> None:
        aliases.write = late  # type: ignore[method-assign, assignment]
        ring(live)  # what the guardian has made safe is no failure
        assert live.serves() == ALL_ON_1
        aliases.write = write  # type: ignore[method-assign]
        raise Crash("the execution was stopped")

    at_the_first_bake(live, hear)
    with pytest.raises(Crash):
        live.release("two")
    assert written
    assert live.serves() == ALL_ON_1


def test_what_cannot_be_put_back_here_is_said_and_done_by_the_rollout(live: Story) -> None:
    aliases = live.at(PROD).aliases
    write = aliases.write

    def refuse(*_: object, **__: object) -> None:
        raise ServiceUnavailable("Lambda is busy.")

    def hear() -> None:
        aliases.write = refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(RestoreFailed, match=r"Alarm HelloErrors was heard.*Lambda is busy"):
            ring(live)
        aliases.write = write  # type: ignore[method-assign]

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1
    assert ticks(live)[-1].action == "restore"


def test_the_guardian_finishes_what_nobody_goes_on_with(live: Story) -> None:
    """The alarm's handler is killed after its intent, and the execution is stopped too."""
    aliases = live.at(PROD).aliases
    read = aliases.read

    def die(*_: object) -> None:
        raise Crash("aliases.read")

    def hear() -> None:
        aliases.read = die  # type: ignore[method-assign, assignment]
        try:
            ring(live)
        finally:
            aliases.read = read  # type: ignore[method-assign]

    at_the_first_bake(live, hear)
    with pytest.raises(Crash):
        live.release("two")
    assert live.serves() == SPLIT
    live.world.executions.ended["execution-2"] = "ABORTED"
    guard(live.ports)
    assert live.serves() == ALL_ON_1
    live.world.clock.advance(GRACE.total_seconds())
    guard(live.ports)
    assert (live.get(2).phase, live.get(2).error) == ("failed", "Unhealthy")


def test_a_bake_that_begins_after_it_ends_at_once(live: Story) -> None:
    """The look had ended, its bake had not begun: the call is kept, and the error is."""
    seconds: list[float] = []
    ref = live.ref(2)
    put = live.world.ledger.put

    def between(item: object) -> object:
        if getattr(item, "kind", "") == "token" and item.purpose.startswith("bake#prod"):  # type: ignore[attr-defined]
            live.world.ledger.put = put  # type: ignore[method-assign]
            ring(live)
            seconds.append(live.world.clock.now().timestamp())
        return put(item)  # type: ignore[type-var]

    live.world.ledger.put = between  # type: ignore[method-assign, assignment]
    assert live.release("two") == "failed"
    assert isinstance(live.items(2, "CALL#")[0], Call)
    (began,) = seconds
    assert ticks(live)[-1].at.timestamp() == began
    assert live.rollout(2).release_id == ref.release.id


def test_a_look_without_memory_leaves_one_without(live: Story) -> None:
    """The last evaluation was of an earlier version of Tidegate, which kept no data."""

    def hear() -> None:
        (last,) = ticks(live)
        live.world.ledger.put(last.model_copy(update={"seen": None}))
        ring(live)

    at_the_first_bake(live, hear)
    assert live.release("two") == "failed"
    assert [tick.seen for tick in ticks(live)] == [None, None]


def test_a_record_without_its_last_look_is_said() -> None:
    story = Story(CANARY)
    assert story.release("one") == "succeeded"

    def hear() -> None:
        (last,) = ticks(story)
        story.world.ledger.delete(last)
        with pytest.raises(NotFound, match=r"Look 1 at prod .* is not in the record"):
            restore_now(story.ports, story.ref(2))
        assert "is not in the record." in abort(story.ports, ADA, "hello-2", "wrong prices")
        story.world.ledger.put(last.model_copy(update={"version": 0}))

    at_the_first_bake(story, hear)
    assert story.release("two") == "aborted"


def test_a_look_after_it_says_why_it_goes_back(live: Story) -> None:
    def evaluation() -> None:
        ring(live)
        with pytest.raises(Exception, match=WHY):
            tick(live.ports, live.ref(2))

    at_the_first_bake(live, evaluation)
    assert live.release("two") == "failed"
