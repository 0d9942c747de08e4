"""What holds for every strategy and every history of a rollout."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from core_values import checks
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tidegate.core.approval.identity import identify
from tidegate.core.decision.next_move import Action, Hold, Promote, Restore, SetWeight, decide
from tidegate.core.model.plan import Checks, StrategyPlan, TooFew
from tidegate.core.model.record import Judgement, OperatorRequest, Rollout, RolloutPhase, Verdict
from tidegate.core.model.strategy import NAMED, StrategySpec, expand_strategy

START = datetime(2026, 3, 1, tzinfo=UTC)
SPEC: TypeAdapter[StrategySpec] = TypeAdapter(StrategySpec)

durations = st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds))
shares = st.integers(1, 1000).map(lambda thousandths: thousandths / 1000)
weights = shares.filter(lambda share: share < 1)


@st.composite
def specs(draw: st.DrawFn) -> StrategySpec:
    shape = draw(st.sampled_from(["name", "canary", "linear", "exponential", "steps"]))
    if shape == "name":
        return draw(st.sampled_from(sorted(NAMED)))
    settings_: Any
    match shape:
        case "canary":
            settings_ = {"weight": draw(weights), "bake": draw(durations)}
        case "linear":
            step = draw(shares.filter(lambda share: share >= 0.01))
            settings_ = {"step": step, "every": draw(durations)}
        case "exponential":
            start, up_to = sorted([draw(shares), draw(shares)])
            factor = draw(st.floats(1.1, 1000))
            settings_ = {"start": start, "up_to": up_to, "factor": factor, "every": draw(durations)}
        case _:
            rising = sorted(draw(st.sets(shares, min_size=1, max_size=12)))
            settings_ = [{"weight": share, "bake": draw(durations)} for share in rising]
    return SPEC.validate_python({shape: settings_})


strategies = specs().map(expand_strategy)
verdicts = st.builds(
    Verdict,
    judgement=st.sampled_from(Judgement),
    reasons=st.lists(st.text(max_size=5), max_size=2).map(tuple),
)
aborts = st.builds(
    OperatorRequest, release_id=st.just("s-1"), verb=st.just("abort"), who=st.text(),
    reason=st.text(), at=st.just(START),
)  # fmt: skip
moments = st.integers(-(10**6), 10**7).map(lambda seconds: START + timedelta(seconds=seconds))


def rollout(step: int = -1, weight: float = 0.0, started: datetime | None = None) -> Rollout:
    return Rollout(
        release_id="s-1",
        stage="prod",
        target="333333333333/eu-west-1",
        phase=RolloutPhase.SHIFTING,
        step=step,
        weight=weight,
        step_started_at=started,
        started_at=START,
    )


@st.composite
def rollouts_under_way(draw: st.DrawFn) -> tuple[StrategyPlan, Rollout]:
    """A strategy and a record that a rollout of it can have."""
    strategy = draw(strategies)
    step = draw(st.integers(-1, len(strategy.steps) - 1))
    if step < 0:
        return strategy, rollout()
    return strategy, rollout(step, strategy.steps[step].weight, draw(moments))


def follow(
    strategy: StrategyPlan, limits: Checks, verdict_at: Callable[[int], Verdict]
) -> list[Action]:
    """All moves of a rollout on a virtual clock, up to its end."""
    record, now, actions = rollout(), START, list[Action]()
    while not actions or isinstance(actions[-1], SetWeight | Hold):
        action = decide(strategy, limits, record, verdict_at(len(actions)), (), now)
        actions.append(action)
        assert len(actions) <= 400 + 130 * len(strategy.steps)
        match action:
            case SetWeight(weight=weight, step=step):
                record = rollout(step, weight, now)
            case Hold(wait=wait):
                assert wait > timedelta(0)
                now += wait
    return actions


@given(strategies)
def test_weights_rise_and_end_before_or_at_all_traffic(strategy: StrategyPlan) -> None:
    levels = [0.0, *(step.weight for step in strategy.steps)]
    assert levels == sorted(set(levels))
    assert levels[-1] <= 1.0
    assert len(strategy.steps) <= 100


@given(specs())
def test_a_strategy_survives_being_stored(spec: StrategySpec) -> None:
    stored = json.loads(SPEC.dump_json(spec))
    assert expand_strategy(SPEC.validate_python(stored)) == expand_strategy(spec)


@given(strategies, checks)
def test_a_healthy_rollout_takes_every_step_once_and_is_promoted(
    strategy: StrategyPlan, limits: Checks
) -> None:
    healthy = Verdict(judgement=Judgement.HEALTHY)
    actions = follow(strategy, limits, lambda _: healthy)
    taken = [action.weight for action in actions if isinstance(action, SetWeight)]
    assert taken == [step.weight for step in strategy.steps]
    assert isinstance(actions[-1], Promote)


def waits_for_a_person(limits: Checks) -> bool:
    return limits.errors.when_too_few is TooFew.HOLD


@given(
    strategies,
    checks.filter(lambda limits: not waits_for_a_person(limits)),
    st.lists(verdicts, min_size=1, max_size=30),
)
def test_every_rollout_ends_and_never_lowers_a_weight_but_to_restore(
    strategy: StrategyPlan, limits: Checks, seen: list[Verdict]
) -> None:
    actions = follow(strategy, limits, lambda tick: seen[tick % len(seen)])
    taken = [action.step for action in actions if isinstance(action, SetWeight)]
    assert taken == list(range(len(taken)))
    if isinstance(actions[-1], Promote):
        assert len(taken) == len(strategy.steps)


@given(rollouts_under_way(), checks, verdicts, st.lists(aborts, max_size=1), moments)
def test_a_move_is_never_to_a_lower_weight_and_never_skips_a_step(
    under_way: tuple[StrategyPlan, Rollout],
    limits: Checks,
    verdict: Verdict,
    operator_requests: list[OperatorRequest],
    now: datetime,
) -> None:
    strategy, record = under_way
    action = decide(strategy, limits, record, verdict, operator_requests, now)
    if isinstance(action, SetWeight):
        assert action.weight > record.weight
        assert action.step == record.step + 1
    if isinstance(action, Promote):
        assert record.step == len(strategy.steps) - 1
    if isinstance(action, Hold):
        assert action.wait > timedelta(0)
    assert action == decide(strategy, limits, record, verdict, operator_requests, now)


@given(rollouts_under_way(), checks, moments)
def test_an_unhealthy_verdict_restores_at_any_moment(
    under_way: tuple[StrategyPlan, Rollout], limits: Checks, now: datetime
) -> None:
    verdict = Verdict(judgement=Judgement.UNHEALTHY, reasons=("too many errors",))
    action = decide(*_with(under_way, limits), verdict, (), now)
    assert action == Restore("Unhealthy", "too many errors")


@given(rollouts_under_way(), checks, verdicts, aborts, moments)
def test_an_abort_restores_at_any_moment(
    under_way: tuple[StrategyPlan, Rollout],
    limits: Checks,
    verdict: Verdict,
    abort: OperatorRequest,
    now: datetime,
) -> None:
    action = decide(*_with(under_way, limits), verdict, (abort,), now)
    assert action == Restore("Aborted", f"{identify(abort.who)}: {abort.reason}")


def _with(
    under_way: tuple[StrategyPlan, Rollout], limits: Checks
) -> tuple[StrategyPlan, Checks, Rollout]:
    strategy, record = under_way
    return strategy, limits, record
