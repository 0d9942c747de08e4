"""What operators and alarms do to a rollout under way, and how soon it follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.story import PROD, Story
from tidegate.core.errors import NotAllowedNow
from tidegate.core.model.record import Application, AuditEntry, Lock, OperatorRequest, Tick
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.controls import pause, promote, resume, set_weight
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.starts import retry, rollback
from tidegate.core.workflow.records import find
from tidegate.core.workflow.rollout.on_alarm import Alarm, on_alarm
from tidegate.core.workflow.target.context import RolloutRef

ADA = Operator("ada", "cli")
ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}


def when_baking(story: Story, *acts: Callable[[], object]) -> None:
    """Prod's first bakes meet one of these each; users call at every one."""
    left = list(acts)

    def serve(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        if ref.stage == "prod" and left:
            left.pop(0)()

    story.machines.while_baking = serve


def ticks(story: Story) -> list[Tick]:
    return [item for item in story.items(2, "TICK#prod#") if isinstance(item, Tick)]


def weights(story: Story) -> list[float]:
    """At each bake of prod, those in a row as one."""
    seen = [weight for target, weight in story.seen if target == PROD]
    return [w for n, w in enumerate(seen) if n == 0 or seen[n - 1] != w]


def test_promote_goes_to_the_next_step_at_once_and_no_further(live: Story) -> None:
    said: list[str] = []
    when_baking(live, lambda: said.append(promote(live.ports, ADA, "hello-2", "looks good")))
    assert live.release("two") == "succeeded"
    assert said == [f"ada promoted hello-2 to the next step: prod {PROD}."]
    first, second, *_ = ticks(live)
    assert (second.at - first.at).total_seconds() == 0
    assert (second.weight, second.why) == (0.5, "ada (looks good) promoted it")
    assert [tick.at for tick in ticks(live)][2] > second.at


def test_promoting_twice_before_the_next_look_is_one_step(live: Story) -> None:
    def twice() -> None:
        promote(live.ports, ADA, "hello-2")
        promote(live.ports, ADA, "hello-2")

    when_baking(live, twice)
    assert live.release("two") == "succeeded"
    assert weights(live) == [0.1, 0.5]


def test_full_promotion_skips_the_bakes_and_runs_the_hooks(live: Story) -> None:
    when_baking(live, lambda: promote(live.ports, ADA, "hello-2", full=True))
    assert live.release("two") == "succeeded"
    assert weights(live) == [0.1]
    called = [name for name, payload, _ in live.at(PROD).functions.calls
              if payload["release"]["id"] == "hello-2"]  # fmt: skip
    assert called == ["hello-prod-Pre", "hello-prod-Post"]
    assert ticks(live)[-1].why == "ada promoted it fully"


def test_promotion_does_not_save_an_unhealthy_candidate(live: Story) -> None:
    live.error_rates["2"] = 0.9

    def praise() -> None:
        live.world.clock.advance(60)
        promote(live.ports, ADA, "hello-2", full=True)

    when_baking(live, praise)
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1


def test_paused_release_stays_where_it_is_until_it_is_resumed(live: Story) -> None:
    def again() -> None:
        assert pause(live.ports, ADA, "hello-2") == said[0]
        assert (
            find(live.world.ledger, OperatorRequest, release_id="hello-2", verb="pause").reason
            == "lunch"
        )

    said: list[str] = []
    nothing = [lambda: None] * 9
    when_baking(
        live,
        lambda: said.append(pause(live.ports, ADA, "hello-2", "lunch")),
        again,
        *nothing,
        lambda: resume(live.ports, ADA, "hello-2", "back"),
    )
    assert live.release("two") == "succeeded"
    paused = [tick for tick in ticks(live) if tick.why == "ada (lunch) paused it"]
    assert len(paused) == 11
    assert {(tick.weight, tick.action) for tick in paused} == {(0.1, "hold")}
    assert live.serves() == ALL_ON_2


def test_paused_release_moves_by_hand_and_still_goes_back_when_it_is_unhealthy(live: Story) -> None:
    def fail() -> None:
        live.error_rates["2"] = 0.9

    when_baking(
        live,
        lambda: pause(live.ports, ADA, "hello-2"),
        lambda: promote(live.ports, ADA, "hello-2"),
        fail,
    )
    assert live.release("two") == "failed"
    assert weights(live) == [0.1, 0.5]
    assert live.serves() == ALL_ON_1


def test_weight_is_set_within_the_plan_and_the_plan_goes_on_from_there(live: Story) -> None:
    def set_it() -> None:
        for wrong in (0.1, 0.05, 0.6, 1.0):
            with pytest.raises(NotAllowedNow, match="may be more than 10% and at most 50%"):
                set_weight(live.ports, ADA, "hello-2", wrong)
        said = set_weight(live.ports, ADA, "hello-2", 0.25, "careful")
        assert said == f"ada set hello-2 to 25%: prod {PROD}."

    when_baking(live, set_it)
    assert live.release("two") == "succeeded"
    assert weights(live) == [0.1, 0.25, 0.5]


def test_what_makes_no_sense_now_is_refused_with_the_reason(live: Story) -> None:
    def before_the_shift(payload: object) -> None:
        for ask in (promote, lambda *a: set_weight(*a, 0.2)):
            with pytest.raises(NotAllowedNow, match="No traffic of hello-2 is being shifted"):
                ask(live.ports, ADA, "hello-2")
        with pytest.raises(NotAllowedNow, match="hello-2 is not paused"):
            resume(live.ports, ADA, "hello-2")

    live.at(PROD).functions.code["hello-prod-Pre"] = before_the_shift
    assert live.release("two") == "succeeded"
    for verb in (abort, pause, resume, promote):
        with pytest.raises(NotAllowedNow, match="hello-2 is over: it is succeeded"):
            verb(live.ports, ADA, "hello-2")


def test_who_did_what_and_why_is_kept_and_told(live: Story) -> None:
    when_baking(
        live,
        lambda: pause(live.ports, ADA, "hello-2", "lunch"),
        lambda: (live.world.clock.advance(1), resume(live.ports, ADA, "hello-2", "back")),
        lambda: (live.world.clock.advance(1), promote(live.ports, ADA, "hello-2", full=True)),
    )
    assert live.release("two") == "succeeded"
    audit_entries = [item for item in live.items(2, "DEED#") if isinstance(item, AuditEntry)]
    assert [(d.verb, d.who, d.reason, d.source) for d in audit_entries] == [
        ("pause", "ada", "lunch", "cli"),
        ("resume", "ada", "back", "cli"),
        ("promote-full", "ada", "", "cli"),
    ]
    told = [detail for kind, detail in live.world.bus.events if kind == "Operator Asked"]
    assert [(detail["release"], detail["verb"]) for detail in told] == [
        ("hello-2", "pause"),
        ("hello-2", "resume"),
        ("hello-2", "promote-full"),
    ]


def alarm(story: Story, name: str = "HelloErrors", target: str = PROD) -> Alarm:
    return Alarm(name, target, story.world.clock.now())


def ring(story: Story) -> list[str]:
    story.at(PROD).metrics.alarms["HelloErrors"] = True
    return on_alarm(story.ports, alarm(story))


def test_alarm_takes_the_traffic_back_without_waiting_for_the_next_look(live: Story) -> None:
    rung: list[list[str]] = []
    when_baking(live, lambda: rung.append(ring(live)))
    assert live.release("two") == "failed"
    assert rung == [[f"hello-2 prod {PROD}"]]
    first, second = ticks(live)
    assert second.at == first.at
    assert (second.action, live.serves()) == ("restore", ALL_ON_1)


def test_alarm_that_rings_between_two_bakes_is_not_lost(live: Story) -> None:
    """No token waits, and the evaluation that was under way did not see it."""
    calls: list[list[str]] = []
    metrics = live.at(PROD).metrics
    firing = metrics.firing

    def ring_after(alarms: object) -> list[str]:
        seen = firing(["HelloErrors"])
        calls.append(seen)
        if len(calls) == 2:
            ring(live)
        return seen

    metrics.firing = ring_after  # type: ignore[method-assign, assignment]
    assert live.release("two") == "failed"
    first, second = ticks(live)
    assert second.at == first.at


def test_alarms_of_others_ring_for_nobody(live: Story) -> None:
    live.world.ledger.put(Application(name="gone", last_number=1))
    live.world.ledger.put(Lock(application="gone", owner="x", release_number=1))
    assert on_alarm(live.ports, alarm(live)) == []

    def others() -> None:
        assert on_alarm(live.ports, alarm(live, "Other")) == []
        assert on_alarm(live.ports, alarm(live, target="333333333333/us-east-1")) == []

    when_baking(live, others)
    assert live.release("two") == "succeeded"


def test_alarm_that_fired_before_does_not_hurry_the_looks(live: Story) -> None:
    live.at(PROD).metrics.alarms["HelloErrors"] = True
    rung: list[list[str]] = []
    when_baking(live, lambda: rung.append(on_alarm(live.ports, alarm(live))))
    assert live.release("two") == "succeeded"
    assert rung == [[]]


def test_failed_release_is_retried_with_the_same_bytes(live: Story) -> None:
    live.error_rates["2"] = 0.9
    assert live.release("two") == "failed"
    said = retry(live.ports, ADA, "hello-2", "the metrics were wrong")
    assert said == "ada retries hello-2: started-1"
    assert live.world.executions.started == [live.get(2).artifact]
    with pytest.raises(NotAllowedNow, match="hello-1 is succeeded: there is nothing to repeat"):
        retry(live.ports, ADA, "hello-1")


def test_asked_twice_to_repeat_a_release_starts_one(live: Story) -> None:
    live.error_rates["2"] = 0.9
    assert live.release("two") == "failed"
    said = retry(live.ports, ADA, "hello-2")
    assert retry(live.ports, ADA, "hello-2", "I did not see it start") == said
    assert len(live.world.executions.started) == 1


def test_a_release_can_be_repeated_again_when_what_repeated_it_is_over(live: Story) -> None:
    live.error_rates["2"] = 0.9
    assert live.release("two") == "failed"
    said = [retry(live.ports, ADA, "hello-2")]
    for arn in ("started-1", "started-2"):
        live.world.executions.ended[arn] = "FAILED"
        said += [retry(live.ports, ADA, "hello-2") for _ in range(2)]
    assert [one.rpartition("-")[2] for one in said] == ["1", "2", "2", "3", "3"]
    assert live.world.executions.started == [live.get(2).artifact] * 3


def test_asked_twice_for_what_was_good_before_starts_one_release_of_it(live: Story) -> None:
    assert live.release("two") == "succeeded"
    said = rollback(live.ports, ADA, "hello-2")
    assert rollback(live.ports, ADA, "hello-2", to="hello-1") == said
    assert len(live.world.executions.started) == 1
    assert live.release("three") == "succeeded"
    rollback(live.ports, ADA, "hello-3", to="hello-1")
    assert len(live.world.executions.started) == 2


def test_rollback_releases_the_last_good_artifact_that_was_another(live: Story) -> None:
    assert live.release("two") == "succeeded"
    assert live.release("two") == "succeeded"
    said = rollback(live.ports, ADA, "hello-3", reason="orders are counted twice")
    assert said == "ada rolls hello back to hello-1: started-1"
    assert live.world.executions.started == [live.get(1).artifact]
    rollback(live.ports, ADA, "hello-1", to="hello-2")
    assert live.world.executions.started[-1] == live.get(2).artifact
    assert live.release("one") == "succeeded"


def test_rollback_to_nothing_good_is_refused(live: Story) -> None:
    with pytest.raises(NotAllowedNow, match="No release before hello-1 has succeeded"):
        rollback(live.ports, ADA, "hello-1")
    live.error_rates["2"] = 0.9
    assert live.release("two") == "failed"
    with pytest.raises(NotAllowedNow, match="hello-2 is no good release of hello"):
        rollback(live.ports, ADA, "hello-1", to="hello-2")
    when_baking(live, lambda: asked.append(refusal(lambda: rollback(live.ports, ADA, "hello-3"))))
    asked: list[str] = []
    live.release("three")
    assert asked[0].startswith("hello-3 is under way: it is progressing.")


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(NotAllowedNow) as refused:
        ask()
    return str(refused.value)
