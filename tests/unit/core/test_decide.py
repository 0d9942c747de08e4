"""The next move of a rollout, one test for each reason to move."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.core.decision.next_move import Action, Hold, Promote, Restore, SetWeight, decide
from tidegate.core.model.plan import AdaptivePlan, Checks, ErrorPolicy, Step, StrategyPlan, TooFew
from tidegate.core.model.record import Judgement, OperatorRequest, Rollout, RolloutPhase, Verdict

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TWO_STEPS = StrategyPlan(
    name="steps",
    steps=(Step(weight=0.1, bake_seconds=300), Step(weight=0.5, bake_seconds=600)),
)
CHECKS = Checks(errors=ErrorPolicy(extend_seconds=150))
ABORT = OperatorRequest(
    release_id="shop-1", verb="abort", who="ada", reason="wrong commit", at=START
)


def rollout(**changes: Any) -> Rollout:
    return Rollout(
        release_id="shop-1",
        stage="prod",
        target="333333333333/eu-west-1",
        phase=RolloutPhase.SHIFTING,
        started_at=START,
        **changes,
    )


def at_step(step: int) -> Rollout:
    return rollout(step=step, weight=TWO_STEPS.steps[step].weight, step_started_at=START)


def says(judgement: Judgement) -> Verdict:
    return Verdict(judgement=judgement, reasons=("because of this", "and of that"))


def move(
    record: Rollout,
    judgement: Judgement = Judgement.HEALTHY,
    *,
    after: timedelta = timedelta(0),
    strategy: StrategyPlan = TWO_STEPS,
    checks: Checks = CHECKS,
    operator_requests: tuple[OperatorRequest, ...] = (),
) -> Action:
    return decide(strategy, checks, record, says(judgement), operator_requests, START + after)


class TestGoingForward:
    @pytest.mark.parametrize("judgement", [j for j in Judgement if j is not Judgement.UNHEALTHY])
    def test_begins_with_the_first_step_whatever_little_is_known(
        self, judgement: Judgement
    ) -> None:
        action = move(rollout(), judgement)
        assert action == SetWeight(0.1, 5 * MINUTE, "the shift begins", 0)

    def test_promotes_at_once_when_there_are_no_steps(self) -> None:
        assert isinstance(move(rollout(), strategy=StrategyPlan(name="all-at-once")), Promote)

    def test_holds_for_the_rest_of_the_bake(self) -> None:
        action = move(at_step(0), after=2 * MINUTE)
        assert isinstance(action, Hold)
        assert action.wait == 3 * MINUTE
        assert action.why == "baking at 10%, 3m left"

    def test_takes_the_next_step_when_the_bake_is_over_and_the_candidate_healthy(self) -> None:
        action = move(at_step(0), after=5 * MINUTE)
        assert action == SetWeight(
            0.5, 10 * MINUTE, "healthy at 10%: because of this; and of that", 1
        )

    def test_promotes_after_the_last_step(self) -> None:
        assert isinstance(move(at_step(1), after=10 * MINUTE), Promote)

    def test_takes_one_step_at_a_time_however_late_it_wakes(self) -> None:
        action = move(at_step(0), after=timedelta(days=3))
        assert isinstance(action, SetWeight)
        assert action.step == 1


class TestGoingBack:
    def test_restores_when_an_operator_aborts(self) -> None:
        action = move(at_step(0), operator_requests=(ABORT,))
        assert action == Restore("Aborted", "ada: wrong commit")

    def test_other_wishes_are_no_abort(self) -> None:
        pause = ABORT.model_copy(update={"verb": "pause"})
        assert isinstance(move(at_step(0), operator_requests=(pause,)), Hold)

    def test_restores_in_the_middle_of_a_bake_when_the_candidate_is_unhealthy(self) -> None:
        action = move(at_step(1), Judgement.UNHEALTHY, after=MINUTE)
        assert action == Restore("Unhealthy", "because of this; and of that")

    def test_restores_before_the_first_step_when_an_alarm_fires_by_then(self) -> None:
        assert isinstance(move(rollout(), Judgement.UNHEALTHY), Restore)

    def test_an_abort_is_named_before_an_unhealthy_verdict(self) -> None:
        action = move(at_step(0), Judgement.UNHEALTHY, operator_requests=(ABORT,))
        assert isinstance(action, Restore)
        assert action.error == "Aborted"


@pytest.mark.parametrize("judgement", [Judgement.INSUFFICIENT_TRAFFIC, Judgement.UNDECIDED])
class TestTooLittleToJudge:
    def test_extends_the_bake_in_slices(self, judgement: Judgement) -> None:
        action = move(at_step(0), judgement, after=5 * MINUTE)
        assert isinstance(action, Hold)
        assert action.wait == MINUTE
        assert "extended, 2m30s left: because of this" in action.why

    def test_ends_the_extension_on_time(self, judgement: Judgement) -> None:
        action = move(at_step(0), judgement, after=7 * MINUTE)
        assert isinstance(action, Hold)
        assert action.wait == timedelta(seconds=30)

    def test_restores_when_the_extension_is_over(self, judgement: Judgement) -> None:
        action = move(at_step(0), judgement, after=7.5 * MINUTE)
        assert isinstance(action, Restore)
        assert action.error == "Unhealthy"
        assert "no judgement at 10% after the extended bake: because of this" in action.why

    def test_goes_on_when_the_manifest_says_so(self, judgement: Judgement) -> None:
        policy = ErrorPolicy(extend_seconds=0, when_too_few=TooFew.PROMOTE)
        action = move(at_step(0), judgement, after=5 * MINUTE, checks=Checks(errors=policy))
        assert isinstance(action, SetWeight)
        assert action.step == 1
        assert action.why.startswith("going on at 10% without a judgement")

    def test_holds_for_a_person_when_the_manifest_says_so(self, judgement: Judgement) -> None:
        checks = Checks(errors=ErrorPolicy(extend_seconds=0, when_too_few=TooFew.HOLD))
        action = move(at_step(0), judgement, after=timedelta(days=1), checks=checks)
        assert isinstance(action, Hold)
        assert action.why.startswith("held at 10% for traffic, or for a person: because")

    def test_goes_on_at_once_when_traffic_comes(self, judgement: Judgement) -> None:
        assert isinstance(move(at_step(0), judgement, after=6 * MINUTE), Hold)
        assert isinstance(move(at_step(0), Judgement.HEALTHY, after=6 * MINUTE), SetWeight)


class TestOddRecords:
    def test_a_clock_that_went_back_makes_the_bake_no_longer(self) -> None:
        action = move(at_step(0), after=timedelta(hours=-9))
        assert isinstance(action, Hold)
        assert action.wait == 5 * MINUTE

    def test_takes_a_step_again_whose_start_was_not_recorded(self) -> None:
        action = move(rollout(step=1, weight=0.5))
        assert isinstance(action, SetWeight)
        assert action.step == 1

    def test_promotes_when_the_record_is_past_the_last_step(self) -> None:
        assert isinstance(move(rollout(step=2, weight=1.0, step_started_at=START)), Promote)


class TestBakesBySamples:
    STRATEGY = StrategyPlan(
        name="canary", steps=(Step(weight=0.1, bake_seconds=1800, samples=500),)
    )

    def after(self, served: int, judgement: Judgement = Judgement.HEALTHY, **more: Any) -> Action:
        began = rollout(step=0, weight=0.1, step_started_at=START, step_began_with=100)
        verdict = Verdict(judgement=judgement, candidate_invocations=served)
        now = START + more.get("after", 2 * MINUTE)
        return decide(self.STRATEGY, CHECKS, began, verdict, (), now)

    def test_wait_for_the_samples_of_this_step(self) -> None:
        action = self.after(599)
        assert isinstance(action, Hold)
        assert action.why == "baking at 10%, 28m left at most, 499 of 500 samples"

    def test_end_with_the_samples(self) -> None:
        assert isinstance(self.after(600), Promote)

    def test_go_on_while_the_samples_are_not_healthy(self) -> None:
        assert isinstance(self.after(600, Judgement.UNDECIDED), Hold)

    def test_end_in_time_with_fewer_that_are_healthy(self) -> None:
        assert isinstance(self.after(300, after=30 * MINUTE), Promote)


class TestAdaptiveWeights:
    STRATEGY = StrategyPlan(name="adaptive", adaptive=AdaptivePlan())

    def move(
        self,
        weight: float = 0.0,
        judgement: Judgement = Judgement.HEALTHY,
        after: timedelta = 5 * MINUTE,
        checks: Checks = CHECKS,
        **seen: Any,
    ) -> Action:
        record = rollout(step=0, weight=weight, shifting_since=START) if weight else rollout()
        verdict = Verdict(
            judgement=judgement, reasons=("said so",), **({"requests_per_second": 10.0} | seen)
        )
        return decide(self.STRATEGY, checks, record, verdict, (), START + after)

    @pytest.mark.parametrize(
        ("traffic", "weight"), [(10.0, 0.008333), (1e6, 0.001), (0.1, 0.1), (0.0, 0.1)]
    )
    def test_begin_with_what_the_budget_allows_a_candidate_that_fails_always(
        self, traffic: float, weight: float
    ) -> None:
        action = self.move(requests_per_second=traffic)
        assert isinstance(action, SetWeight)
        assert (action.weight, action.bake, action.step) == (weight, MINUTE, 0)

    def test_grow_by_at_most_four_times(self) -> None:
        action = self.move(0.01, excess_errors=0.0)
        assert isinstance(action, SetWeight)
        assert (action.weight, action.step) == (0.04, 1)
        assert action.why == ("at most 10 requests harmed until a fault is found, at 10 requests/s")

    def test_grow_with_what_is_excluded(self) -> None:
        action = self.move(0.02, excess_errors=0.2)
        assert isinstance(action, SetWeight)
        assert action.weight == pytest.approx(10 / (10 * 120 * 0.2), abs=1e-6)

    def test_fall_when_more_harm_is_possible_than_the_budget_allows(self) -> None:
        action = self.move(0.1, Judgement.UNDECIDED, excess_errors=0.5)
        assert isinstance(action, SetWeight)
        assert action.weight == pytest.approx(10 / (10 * 120 * 0.5), abs=1e-6)

    def test_stay_for_a_small_difference(self) -> None:
        action = self.move(0.04, excess_errors=0.2)
        assert action == Hold(MINUTE, "watching at 4%: said so")

    def test_reach_the_highest_weight_even_by_a_small_step(self) -> None:
        action = self.move(0.48, excess_errors=0.0)
        assert isinstance(action, SetWeight)
        assert action.weight == 0.5

    def test_promote_at_the_highest_weight_what_is_proven_no_worse(self) -> None:
        assert isinstance(self.move(0.5, excess_errors=0.0, no_worse=True), Promote)
        assert isinstance(self.move(0.5, excess_errors=0.0), Hold)
        assert isinstance(self.move(0.4, excess_errors=0.0, no_worse=True), SetWeight)

    def test_do_not_promote_what_is_undecided(self) -> None:
        found = self.move(0.5, Judgement.UNDECIDED, excess_errors=0.0, no_worse=True)
        assert isinstance(found, Hold)

    def test_promote_what_is_healthy_when_the_time_is_over(self) -> None:
        action = self.move(0.1, after=60 * MINUTE)
        assert action == Promote("healthy at 10% for 1h: said so")

    def test_are_extended_and_then_restored_without_a_judgement(self) -> None:
        silent = Judgement.INSUFFICIENT_TRAFFIC
        assert isinstance(self.move(0.1, silent, after=61 * MINUTE), Hold)
        assert isinstance(self.move(0.1, silent, after=63 * MINUTE), Restore)

    def test_promote_without_a_judgement_when_the_manifest_says_so(self) -> None:
        checks = Checks(errors=ErrorPolicy(extend_seconds=0, when_too_few=TooFew.PROMOTE))
        found = self.move(0.1, Judgement.UNDECIDED, after=60 * MINUTE, checks=checks)
        assert found == Promote("going on at 10% without a judgement: said so")

    def test_end_with_an_unhealthy_verdict(self) -> None:
        assert isinstance(self.move(0.5, Judgement.UNHEALTHY), Restore)

    def test_take_the_weight_that_an_operator_wants_below_the_highest(self) -> None:
        record = rollout(step=2, weight=0.1, shifting_since=START)
        request = OperatorRequest(
            release_id="shop-1", verb="set-weight", who="ada", reason="", at=START, weight=0.3
        )
        action = decide(self.STRATEGY, CHECKS, record, says(Judgement.HEALTHY), (request,), START)
        assert action == SetWeight(0.3, MINUTE, "ada set the weight", 3)
