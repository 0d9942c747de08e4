"""What warm versions cost while a release has two of each."""

from __future__ import annotations

import pytest

from tidegate.core.model.plan import AdaptivePlan, Provisioned, Step, StrategyPlan
from tidegate.core.planning.capacity import extra_usd, shift_seconds

AT_ONCE = StrategyPlan(name="all-at-once")
STEPS = StrategyPlan(
    name="steps",
    steps=(Step(weight=0.1, bake_seconds=600), Step(weight=0.5, bake_seconds=1200)),
)
ADAPTIVE = StrategyPlan(name="adaptive", adaptive=AdaptivePlan(at_most_seconds=7200))


@pytest.mark.parametrize(("strategy", "seconds"), [(AT_ONCE, 0), (STEPS, 1800), (ADAPTIVE, 7200)])
def test_both_versions_serve_as_long_as_the_strategy_takes(
    strategy: StrategyPlan, seconds: int
) -> None:
    assert shift_seconds(strategy) == seconds


@pytest.mark.parametrize(
    ("architecture", "usd"),
    [("x86_64", 0.0000041667), ("arm64", 0.0000033334), ("riscv", 0.0000041667)],
)
def test_costs_by_memory_number_time_and_architecture(architecture: str, usd: float) -> None:
    warm = Provisioned(
        alias_logical_id="Alias", executions=10, memory_mb=512, architecture=architecture
    )
    assert extra_usd(warm, STEPS) == pytest.approx(10 * 0.5 * 1800 * usd)


def test_the_shortest_time_is_billed_as_five_minutes() -> None:
    warm = Provisioned(alias_logical_id="Alias", executions=1, memory_mb=1024)
    assert extra_usd(warm, AT_ONCE) == pytest.approx(300 * 0.0000041667)
