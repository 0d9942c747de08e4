"""What warm versions cost while a release has two of each.

Prices are those of AWS for provisioned concurrency in us-east-1, as its public price list had them
in November 2026 (https://aws.amazon.com/lambda/pricing/): per GB-second that is allocated, used or
not, billed in periods of five minutes. Other regions differ, and so do agreements: an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final

from tidegate.core.model.plan import ManagedAlias, Provisioned, StagePlan, StrategyPlan
from tidegate.core.model.record import WarmLine

USD_PER_GB_SECOND: Final = {"x86_64": 0.0000041667, "arm64": 0.0000033334}
PRICED_IN: Final = "us-east-1"
_BILLED_SECONDS: Final = 300
_MB_IN_A_GB: Final = 1024


def shift_seconds(strategy: StrategyPlan) -> int:
    """How long both versions serve, if nothing extends a bake: at the most, where it adapts."""
    if strategy.adaptive is not None:
        return strategy.adaptive.at_most_seconds
    return sum(step.bake_seconds for step in strategy.steps)


def extra_usd(provisioned: Provisioned, strategy: StrategyPlan) -> float:
    """What the candidate's allocation costs until the stable version's is released."""
    periods = max(1, ceil(shift_seconds(strategy) / _BILLED_SECONDS))
    gigabytes = provisioned.executions * provisioned.memory_mb / _MB_IN_A_GB
    price = USD_PER_GB_SECOND.get(provisioned.architecture, USD_PER_GB_SECOND["x86_64"])
    return gigabytes * periods * _BILLED_SECONDS * price


def planned_warmth(stage: StagePlan, aliases: Iterable[ManagedAlias]) -> tuple[WarmLine, ...]:
    """What a stage keeps warm when a release changes all of it, and its numbers are as before."""
    known = {alias.alias_logical_id: alias for alias in aliases}
    return tuple(
        WarmLine(
            function=known[one.alias_logical_id].function,
            alias=known[one.alias_logical_id].alias,
            before=one.executions,
            wanted=one.executions,
            together=2 * one.executions,
            seconds=shift_seconds(stage.strategy),
            extra_usd=extra_usd(one, stage.strategy),
        )
        for one in stage.provisioned
    )
