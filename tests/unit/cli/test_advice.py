"""What is said of a plan that is allowed but perhaps not meant."""

from __future__ import annotations

from typing import Any

import shop

from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.manifest import Manifest
from tidegate.core.model.plan import (
    ApprovalPlan,
    HookPlan,
    ManagedAlias,
    ReleasePlan,
    Step,
    StrategyPlan,
    TestPlan,
)
from tidegate.core.planning.advice import advise

ALIAS = ManagedAlias(
    function="Orders",
    alias="live",
    alias_logical_id="OrdersAliaslive",
    version_logical_id="OrdersVersion1",
    pin_parameter="TidegatePinnedVersionOrdersAliaslive",
)
STEPS = StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=300),))


def plan(**changes: Any) -> ReleasePlan:
    """A plan without a flaw, but for the changes to its only stage."""
    flawless = {"strategy": STEPS, "pre_traffic": (HookPlan(function="Smoke"),)}
    stage = shop.stage_plan("prod", 0, shop.PROD, STEPS).model_copy(update=flawless | changes)
    return shop.plan().plan.model_copy(update={"aliases": (ALIAS,), "stages": (stage,)})


def contents(*functions: str) -> ArtifactContents:
    manifest = Manifest.model_construct()
    return ArtifactContents.model_construct(
        application="shop", manifest=manifest, template_sha256="0" * 64, functions=functions
    )


def test_says_nothing_of_a_careful_plan() -> None:
    assert advise(plan(), contents("Orders", "Smoke")) == ()


def test_warns_of_a_function_that_no_release_can_move() -> None:
    (sentence,) = advise(plan(), contents("Orders", "Smoke", "Report"))
    assert sentence.startswith("Report has no alias")
    assert "AutoPublishAlias" in sentence


def test_warns_when_nothing_is_tested() -> None:
    untested = plan().model_copy(update={"tests": ()})
    assert "No tests" in advise(untested, contents())[0]
    tested = untested.model_copy(
        update={"tests": (TestPlan(name="unit", project="p", buildspec=""),)}
    )
    assert advise(tested, contents()) == ()


def test_warns_of_a_stage_without_a_pre_traffic_hook() -> None:
    (sentence,) = advise(plan(pre_traffic=()), contents())
    assert "Stage prod has no pre-traffic hook" in sentence


def test_warns_of_a_bake_that_is_shorter_than_the_metrics_are_fine() -> None:
    short = StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=59),))
    (sentence,) = advise(plan(strategy=short), contents())
    assert "bakes for less than 60 s" in sentence


def test_warns_when_the_last_stage_goes_all_at_once_and_nobody_is_asked() -> None:
    at_once = StrategyPlan(name="all-at-once")
    (sentence,) = advise(plan(strategy=at_once), contents())
    assert sentence == "Stage prod goes all at once, and nobody is asked."
    assert advise(plan(strategy=at_once, approval=ApprovalPlan()), contents()) == ()
