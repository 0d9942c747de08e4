"""What the record of a release can tell afterwards: why it went so, and how else it could have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.story import PROD, Story
from tidegate.core.decision.evaluation import Policy, policy_of
from tidegate.core.decision.evidence_history import recorded_evaluations
from tidegate.core.insight.counterfactual import Counterfactual
from tidegate.core.insight.explain import DecisionExplained, ReleaseExplained, explain_release
from tidegate.core.insight.retro import Hindsight, replay_rollout
from tidegate.core.model.plan import (
    AdaptivePlan,
    Checks,
    ComparedPolicy,
    ErrorPolicy,
    LatencyPolicy,
    MetricPolicy,
    MetricQuery,
    MetricStat,
    Step,
    StrategyPlan,
    TooFew,
)
from tidegate.core.model.record import Item, Plan, Rollout, Tick
from tidegate.core.ports import MetricValue
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.controls import pause, promote, resume, set_weight
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import put_over
from tidegate.core.workflow.target.context import RolloutRef

ANA = Operator("arn:aws:iam::111111111111:user/ana")


def items_of(story: Story, number: int) -> list[Item]:
    prefixes = ("PLAN", "ROLLOUT#", "TICK#")
    return [item for prefix in prefixes for item in story.items(number, prefix)]


def explained(story: Story, number: int = 2) -> ReleaseExplained:
    return explain_release(f"hello-{number}", items_of(story, number))


def decisions(story: Story, number: int = 2) -> tuple[DecisionExplained, ...]:
    return explained(story, number).rollouts[-1].decisions


def setting(decision: DecisionExplained, name: str) -> list[Counterfactual]:
    return [one for one in decision.counterfactuals if one.setting == name]


def when_baking(story: Story, *acts: Callable[[], object]) -> None:
    """Prod's first bakes meet one of these each; users call at every one."""
    left = list(acts)

    def serve(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        if ref.stage == "prod" and left:
            left.pop(0)()

    story.machines.while_baking = serve


def with_policy(story: Story, **changes: object) -> None:
    """Let every later plan of stage prod have these changes."""
    put = story.world.ledger.put

    def changed(item: Item) -> Item:
        if isinstance(item, Plan):
            test, prod = item.plan.stages
            stages = (test, prod.model_copy(update=changes))
            item = item.model_copy(update={"plan": item.plan.model_copy(update={"stages": stages})})
        return put(item)

    story.world.ledger.put = changed  # type: ignore[method-assign,assignment]


class TestExplain:
    def test_tells_every_decision_in_order_with_data_and_rule(self, live: Story) -> None:
        live.release("two")
        told = decisions(live)
        assert [one.number for one in told] == list(range(1, len(told) + 1))
        assert (told[0].rule, told[0].weight_before) == (
            "a shift begins with the first weight",
            0.0,
        )
        assert told[-1].action == "promote"
        assert told[-1].rule == "a healthy candidate goes on when its bake is over"
        assert told[-1].verdict.candidate_invocations > 0
        assert any(one.rule == "a weight is held until its bake is over" for one in told)

    def test_takes_every_decision_again_with_the_same_result(self, live: Story) -> None:
        live.error_rates["2"] = 0.01
        live.release("two")
        assert all(one.repeated for one in decisions(live))

    def test_tells_the_policy_and_how_it_ended(self, live: Story) -> None:
        live.error_rates["2"] = 0.3
        live.release("two")
        told = explained(live)
        assert [one.stage for one in told.rollouts] == ["test", "prod"]
        assert told.rollouts[0].policy[0] == "strategy all-at-once: all traffic at once"
        prod = told.rollouts[1]
        assert prod.policy[0] == "strategy steps: 10% for 2m, 50% for 3m, then all traffic"
        assert "alarms: HelloErrors" in prod.policy
        assert prod.outcome.startswith("restored: Unhealthy: candidate fails")
        assert prod.decisions[-1].rule.startswith("an unhealthy candidate loses its traffic")

    def test_names_how_many_failures_fewer_would_have_let_it_go_on(self, live: Story) -> None:
        live.error_rates["2"] = 0.3
        live.release("two")
        last = decisions(live)[-1]
        (fewer,) = setting(last, "failures of the candidate")
        assert int(fewer.value) < int(fewer.present)
        assert fewer.words == (
            f"would have held had {fewer.value} of the candidate's requests failed"
            f" instead of {fewer.present}"
        )

    def test_names_the_limit_that_would_have_held_a_step(self, live: Story) -> None:
        live.error_rates["2"] = 0.02
        live.release("two")
        step = next(
            one for one in decisions(live) if one.action == "set-weight" and one.weight > 0.1
        )
        (limit,) = setting(step, "max_increase")
        assert limit.action == "hold"
        assert limit.words == f"would have held with max_increase {limit.value} instead of 5%"

    def test_names_the_alarm_without_which_it_would_have_gone_on(self, live: Story) -> None:
        def ring(ref: object, seconds: int) -> None:
            live.serve(ref, seconds)  # type: ignore[arg-type]
            live.at(PROD).metrics.alarms["HelloErrors"] = True

        live.machines.while_baking = ring
        live.release("two")
        last = decisions(live)[-1]
        assert last.firing == ("HelloErrors",)
        (silent,) = setting(last, "alarm HelloErrors")
        assert silent.words == "would have held with alarm HelloErrors silent instead of firing"

    def test_names_an_operator_who_ended_it(self, live: Story) -> None:
        def abort_first(ref: object, seconds: int) -> None:
            abort(live.ports, ANA, "hello-2", "wrong prices")
            live.serve(ref, seconds)  # type: ignore[arg-type]

        live.machines.while_baking = abort_first
        live.release("two")
        last = decisions(live)[-1]
        assert last.rule == "an operator's abort ends a rollout at any time"
        assert setting(last, "operator requests")

    def test_names_an_operator_who_promoted_it(self, live: Story) -> None:
        when_baking(live, lambda: promote(live.ports, ANA, "hello-2", "looks good"))
        assert live.release("two") == "succeeded"
        told = decisions(live)
        assert told[1].rule == (
            "an operator's promotion goes on to the next step, whatever the bake"
        )
        assert setting(told[1], "operator requests")[0].action == "hold"
        assert not setting(told[2], "operator requests")  # heard once
        assert all(one.repeated for one in told)

    def test_names_an_operator_who_promoted_it_fully(self, live: Story) -> None:
        when_baking(live, lambda: promote(live.ports, ANA, "hello-2", full=True))
        assert live.release("two") == "succeeded"
        told = decisions(live)
        assert told[-1].rule == "an operator's full promotion skips all steps that are left"
        assert all(one.repeated for one in told)

    def test_names_an_operator_who_set_the_weight(self, live: Story) -> None:
        when_baking(live, lambda: set_weight(live.ports, ANA, "hello-2", 0.3))
        assert live.release("two") == "succeeded"
        told = decisions(live)
        assert (told[1].weight_before, told[1].weight) == (0.1, 0.3)
        assert told[1].rule == (
            "an operator sets any greater weight, up to the highest of the plan"
        )
        assert all(one.repeated for one in told)

    def test_names_an_operator_who_paused_it(self, live: Story) -> None:
        when_baking(
            live,
            lambda: pause(live.ports, ANA, "hello-2", "lunch"),
            *[lambda: None] * 3,
            lambda: resume(live.ports, ANA, "hello-2", "back"),
        )
        assert live.release("two") == "succeeded"
        told = decisions(live)
        paused = "an operator's pause holds the weight until it is taken back"
        assert [one.action for one in told if one.rule == paused] == ["hold"] * 4
        assert all(one.repeated for one in told)

    def test_tells_silence_from_a_verdict(self, live: Story) -> None:
        live.machines.while_baking = lambda ref, seconds: None
        live.release("two")
        told = decisions(live)
        assert "a bake without a judgement is extended, by 5m at most" in {o.rule for o in told}
        assert told[-1].rule == "no judgement when the extended bake is over: restore"
        (other,) = (c for c in setting(told[-1], "when_too_few") if c.value == "promote")
        assert other.words.startswith("would have gone on to 50%")

    def test_goes_on_unjudged_by_the_policy(self, live: Story) -> None:
        checks = Checks(errors=ErrorPolicy(extend_seconds=0, when_too_few=TooFew.PROMOTE))
        with_policy(live, checks=checks)
        live.machines.while_baking = lambda ref, seconds: None
        assert live.release("two") == "succeeded"
        assert decisions(live)[-1].rule == "no judgement when the extended bake is over: promote"

    def test_tells_of_adaptive_weights_latency_and_metrics(self, live: Story) -> None:
        query = MetricQuery(
            name="orders", stats={"m": MetricStat(namespace="Shop", metric="Orders")}
        )
        with_policy(
            live,
            strategy=StrategyPlan(name="adaptive", adaptive=AdaptivePlan(at_most_seconds=900)),
            checks=Checks(
                errors=ErrorPolicy(min_samples=20),
                latency=LatencyPolicy(),
                metrics=(MetricPolicy(query=query, at_least=1),),
            ),
        )

        def serve(ref: object, seconds: int) -> None:
            now = live.world.clock.now()
            values = live.at(PROD).metrics.values
            values.setdefault("orders", []).append(MetricValue(now, 5.0))
            for version in ("1", "2"):
                for function in ("hello-prod-Hello", "hello-prod-Bye"):
                    live.at(PROD).metrics.record(
                        function, version, now, seconds, 0, [20.0 + i % 9 for i in range(seconds)]
                    )

        serve(None, 60)
        live.machines.while_baking = serve
        live.release("two")
        told = explained(live).rollouts[-1]
        assert told.policy[0].startswith("strategy adaptive: at most 10 requests harmed")
        assert "latency: 10% slower than stable is tolerated" in told.policy
        assert "metric orders: at least 1 allowed" in told.policy
        assert "2 tests share alpha: each accuses from an e-value of 200" in told.policy
        rules = {one.rule for one in told.decisions}
        assert "a weight follows the budget: the less may be wrong, the more traffic" in rules
        assert "a weight is held until the budget allows another, or no harm is proven" in rules
        assert all(one.repeated for one in told.decisions)
        assert told.decisions[-1].action == "promote", told.decisions[-1].why
        assert told.decisions[-1].rule.startswith("at the highest weight a proof of no harm")

    def test_says_of_ticks_that_kept_nothing_only_what_they_say(self, live: Story) -> None:
        live.release("two")
        ticks = [item for item in live.items(2, "TICK#prod") if isinstance(item, Tick)]
        for tick in ticks:
            put_over(live.world.ledger, tick.model_copy(update={"seen": None}))
        told = decisions(live)
        assert len(told) == len(ticks)
        assert not any(one.repeated or one.counterfactuals for one in told)

    def test_admits_when_the_record_does_not_lead_to_the_same_decision(self, live: Story) -> None:
        live.release("two")
        ticks = [item for item in live.items(2, "TICK#prod") if isinstance(item, Tick)]
        put_over(live.world.ledger, ticks[-1].model_copy(update={"action": "restore"}))
        assert not decisions(live)[-1].repeated

    def test_tells_why_steps_were_skipped(self, live: Story) -> None:
        live.release("two")
        rollout = live.rollout(2)
        put_over(live.world.ledger, rollout.model_copy(update={"all_at_once": "its role changes"}))
        assert "steps were skipped: its role changes" in explained(live).rollouts[-1].policy


class TestHold:
    def test_holds_without_traffic_until_a_person_ends_it(self, live: Story) -> None:
        checks = Checks(errors=ErrorPolicy(extend_seconds=0, when_too_few=TooFew.HOLD))
        with_policy(live, checks=checks)
        evaluations = iter(range(60))

        def silence(ref: object, seconds: int) -> None:
            if next(evaluations) == 50:
                abort(live.ports, ANA, "hello-2", "nobody comes")

        live.machines.while_baking = silence
        assert live.release("two") == "aborted"
        told = decisions(live)
        assert len(told) > 45
        assert told[-2].why.startswith("held at 10% for traffic, or for a person")
        assert told[-2].rule == "no judgement when the extended bake is over: hold"

    def test_goes_on_when_traffic_comes(self, live: Story) -> None:
        checks = Checks(errors=ErrorPolicy(extend_seconds=0, when_too_few=TooFew.HOLD))
        with_policy(live, checks=checks)
        evaluations = iter(range(1000))

        def late(ref: object, seconds: int) -> None:
            if next(evaluations) > 20:
                live.serve(ref, seconds)  # type: ignore[arg-type]

        live.machines.while_baking = late
        assert live.release("two") == "succeeded"


class TestRetro:
    def past(self, story: Story, policy: Policy | None = None, number: int = 2) -> Hindsight:
        items = items_of(story, number)
        rollout = next(i for i in items if isinstance(i, Rollout) and i.stage == "prod")
        plan = next(i.plan for i in items if isinstance(i, Plan))
        found = replay_rollout(policy or policy_of(plan.stage("prod"), rollout), rollout, items)
        assert found
        return found

    def test_the_same_policy_goes_the_same_way(self, live: Story) -> None:
        live.error_rates["2"] = 0.3
        live.release("two")
        found = self.past(live)
        assert found.recorded == found.replayed
        assert (found.differs_at, found.same_weights) == (None, True)
        assert found.recorded.ending == "restored"

    def test_a_laxer_policy_would_still_be_there_when_the_record_ends(self, live: Story) -> None:
        live.error_rates["2"] = 0.3
        live.release("two")
        strategy = StrategyPlan(
            name="steps",
            steps=(Step(weight=0.1, bake_seconds=120), Step(weight=0.5, bake_seconds=180)),
        )
        found = self.past(live, Policy(strategy, Checks(alpha=1e-12)))
        assert found.replayed
        assert found.replayed.ending == "under-way"
        assert found.differs_at == found.recorded.seconds / 60 + 1

    def test_says_that_other_weights_would_have_brought_other_data(self, live: Story) -> None:
        live.release("two")
        strategy = StrategyPlan(name="canary", steps=(Step(weight=0.05, bake_seconds=60),))
        found = self.past(live, Policy(strategy, Checks(errors=ErrorPolicy(min_samples=1))))
        assert found.replayed
        assert found.replayed.ending == "promoted"
        assert not found.same_weights
        assert found.differs_at == 1

    def test_cannot_replay_what_was_not_kept(self, live: Story) -> None:
        live.release("two")
        tick = next(item for item in live.items(2, "TICK#prod") if isinstance(item, Tick))
        put_over(live.world.ledger, tick.model_copy(update={"seen": None}))
        assert self.past(live).replayed is None

    def test_a_rollout_without_decisions_has_no_past(self, live: Story) -> None:
        live.release("two")
        rollout = live.rollout(2)
        assert (
            replay_rollout(Policy(StrategyPlan(name="all-at-once"), Checks()), rollout, []) is None
        )


EMPTY = ComparedPolicy(
    name="empty answers",
    events=MetricStat(namespace="Shop", metric="Empty", dimensions={"version": "{version}"}),
    total=MetricStat(namespace="Shop", metric="Answers", dimensions={"version": "{version}"}),
    function="Hello",
)


def answer(story: Story, empty: int) -> None:
    """At every bake the candidate's answers are empty so many times of 60, stable's never."""

    def serve(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        now = story.world.clock.now()
        for version, count in (("1", 0), ("2", empty)):
            for metric, value in (("Answers", 60), ("Empty", count)):
                story.at(PROD).metrics.publish("Shop", metric, now, value, version=version)

    story.machines.while_baking = serve


class TestMetricsByVersion:
    @pytest.fixture
    def worse(self, live: Story) -> Story:
        checks = Checks(errors=ErrorPolicy(min_samples=20), compared=(EMPTY,))
        with_policy(live, checks=checks)
        answer(live, empty=9)
        assert live.release("two") == "failed"
        return live

    def test_are_explained_with_what_would_have_turned_the_decision(self, worse: Story) -> None:
        last = decisions(worse)[-1]
        assert last.repeated
        assert last.why.startswith("empty answers: candidate has 9 of 60, stable 0 of 60; odds")
        (fewer,) = setting(last, "empty answers of the candidate")
        assert (fewer.action, fewer.present, int(fewer.value) < 9) == ("hold", "9", True)
        assert fewer.words == (
            "would have held with 8 empty answers of the candidate among 60 instead of 9"
        )
        policy = explained(worse).rollouts[-1].policy
        assert any(one.startswith("metric empty answers: more than stable") for one in policy)

    def test_are_replayed_from_the_record(self, worse: Story) -> None:
        past = TestRetro().past(worse)
        assert past.recorded == past.replayed
        items = items_of(worse, 2)
        rollout = next(i for i in items if isinstance(i, Rollout) and i.stage == "prod")
        plan = next(i.plan for i in items if isinstance(i, Plan)).stage("prod")
        lax = Policy(plan.strategy, plan.checks.model_copy(update={"alpha": 1e-9}))
        found = replay_rollout(lax, rollout, items)
        assert found
        assert found.replayed
        assert found.replayed.ending == "under-way"

    def test_that_a_policy_adds_later_have_no_data_and_that_is_said(self, live: Story) -> None:
        live.release("two")
        strategy = StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=120),))
        checks = Checks(errors=ErrorPolicy(min_samples=20), compared=(EMPTY,))
        found = TestRetro().past(live, Policy(strategy, checks))
        assert found.replayed
        assert found.replayed.ending == "under-way"
        assert "empty answers was not looked at" in found.replayed.why


class TestBoundsInHindsight:
    def test_a_bound_that_would_have_let_it_pass_is_named(self, live: Story) -> None:
        query = MetricQuery(
            name="queue", stats={"m": MetricStat(namespace="S", metric="Q", statistic="Maximum")}
        )
        bounded = MetricPolicy(query=query, at_most=4, periods=2)
        with_policy(live, checks=Checks(errors=ErrorPolicy(min_samples=20), metrics=(bounded,)))

        def serve(ref: RolloutRef, seconds: int) -> None:
            live.serve(ref, seconds)
            live.at(PROD).metrics.publish("S", "Q", live.world.clock.now(), 9)

        live.machines.while_baking = serve
        assert live.release("two") == "failed"
        last = decisions(live)[-1]
        assert last.why.startswith("queue is 9, at most 4 allowed, for 2 periods in a row")
        assert [(one.value, one.action) for one in setting(last, "at_most of queue")] == [
            ("9", "set-weight")
        ]
        assert [one.value for one in setting(last, "periods of queue")] == ["3"]

    def test_durations_turn_a_decision_by_being_left_out(self, live: Story) -> None:
        with_policy(
            live, checks=Checks(errors=ErrorPolicy(min_samples=20), latency=LatencyPolicy())
        )

        def serve(ref: RolloutRef, seconds: int) -> None:
            for version, each in (("1", 20.0), ("2", 90.0)):
                for function in ("hello-prod-Hello", "hello-prod-Bye"):
                    now, took = live.world.clock.now(), [each + n % 9 for n in range(seconds)]
                    live.at(PROD).metrics.record(function, version, now, seconds, 0, took)

        for function in ("hello-prod-Hello", "hello-prod-Bye"):
            live.at(PROD).metrics.record(
                function, "1", live.world.clock.now(), 60, 0, [20.0 + n % 9 for n in range(60)]
            )
        live.world.clock.advance(60)
        live.machines.while_baking = serve
        assert live.release("two") == "failed"
        last = decisions(live)[-1]
        assert "candidate is slower than" in last.why
        assert [one.value for one in setting(last, "latency")] == ["left out"]
        assert [one.action for one in setting(last, "latency.warm_up")] == ["hold"]


class TestMemory:
    def test_a_period_is_kept_once_though_every_look_sees_it(self, live: Story) -> None:
        with_policy(
            live,
            strategy=StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=3600),)),
        )
        live.release("two")
        ticks = [item for item in live.items(2, "TICK#prod") if isinstance(item, Tick)]
        kept = [len(tick.seen.pairs[0].bins) for tick in ticks if tick.seen and tick.seen.pairs]
        assert max(kept) <= 12
        (_, last) = list(recorded_evaluations(live.rollout(2), ticks))[-1]
        assert last
        assert len(last.observation.pairs[0].bins) >= 55

    def test_what_cloudwatch_corrects_later_counts(self, live: Story) -> None:
        live.release("two")
        ticks = [item for item in live.items(2, "TICK#prod") if isinstance(item, Tick)]
        last = ticks[-1]
        assert last.seen
        pair = last.seen.pairs[0]
        corrected = (pair.bins[-1][0], 7, 1, 5, 2)
        seen = last.seen.model_copy(
            update={
                "pairs": (
                    pair.model_copy(update={"bins": (*pair.bins[:-1], corrected)}),
                    *last.seen.pairs[1:],
                )
            }
        )
        ticks[-1] = last.model_copy(update={"seen": seen})
        (_, evaluation) = list(recorded_evaluations(live.rollout(2), ticks))[-1]
        assert evaluation
        latest = evaluation.observation.pairs[0].bins[-1]
        assert (latest.stable.invocations, latest.candidate.errors) == (7, 2)


@pytest.mark.parametrize("rate", [0.0, 0.004, 0.05, 0.3, 1.0])
def test_every_counterfactual_names_another_action(live: Story, rate: float) -> None:
    live.error_rates["2"] = rate
    live.release("two")
    for decision in decisions(live):
        assert all(one.action != decision.action for one in decision.counterfactuals)
