"""When steps are over by the traffic that is expected."""

from typing import Any

import pytest

from tidegate.core.model.plan import (
    AdaptivePlan,
    Checks,
    ErrorPolicy,
    StagePlan,
    Step,
    StrategyPlan,
)
from tidegate.core.planning.arrival import arrival


def stage(*steps: Step, adaptive: AdaptivePlan | None = None, **errors: Any) -> StagePlan:
    return StagePlan(
        name="prod",
        order=0,
        waves=(),
        strategy=StrategyPlan(name="steps", steps=steps, adaptive=adaptive),
        checks=Checks(errors=ErrorPolicy(**errors)),
    )


SAMPLES = Step(weight=0.1, bake_seconds=1800, samples=500)
BAKE = Step(weight=0.5, bake_seconds=300)


def test_a_step_ends_when_its_samples_are_served_and_known() -> None:
    found = arrival(stage(SAMPLES, BAKE), 10)
    first, second = found.steps
    assert first.samples_after == pytest.approx(500 + 120)
    assert (first.begins, first.ends) == pytest.approx((0, 620))
    assert (second.begins, second.ends, second.samples_after) == pytest.approx((620, 920, None))
    assert found.promoted_after == pytest.approx(920)
    assert first.served == pytest.approx(500)
    assert second.served == pytest.approx(620 + 180 * 5)


def test_a_step_waits_no_longer_than_it_may() -> None:
    (found,) = arrival(stage(SAMPLES), 1).steps
    assert found.samples_after == pytest.approx(5120)
    assert found.ends == 1800


@pytest.mark.parametrize(("requests_per_second", "judged"), [(1, True), (0.2, False), (0, False)])
def test_a_step_with_too_few_requests_is_not_judged(
    requests_per_second: float, judged: bool
) -> None:
    (found,) = arrival(stage(SAMPLES), requests_per_second).steps
    assert found.judged == judged


def test_without_traffic_nothing_arrives() -> None:
    found = arrival(stage(SAMPLES, BAKE), 0)
    assert [one.samples_after for one in found.steps] == [None, None]
    assert found.promoted_after == 2100


def test_adaptive_weights_begin_by_the_traffic_and_end_by_the_evidence() -> None:
    found = arrival(stage(adaptive=AdaptivePlan(budget=12)), 10)
    assert found.first_weight == pytest.approx(0.01)
    assert (found.steps, found.promoted_after) == ((), None)


def test_all_at_once_waits_for_nothing() -> None:
    found = arrival(stage(), 10)
    assert (found.steps, found.promoted_after, found.first_weight) == ((), None, None)
