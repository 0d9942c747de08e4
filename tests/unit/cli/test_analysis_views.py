"""The analysis as people see it: e-values against bounds, expected samples, adaptive plans."""

import shop
from rich.console import Console

from tidegate.cli.planview import draw_plan
from tidegate.cli.tree import next_words, release_node, walk
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.views import ReleaseView
from tidegate.core.model.plan import AdaptivePlan, LatencyPolicy, Step, StrategyPlan
from tidegate.core.model.record import Evidence, Item, Judgement, Plan, Verdict

VERDICT = Verdict(
    judgement=Judgement.HEALTHY,
    reasons=("fine",),
    candidate_invocations=150,
    requests_per_second=10.0,
    evidence=(
        Evidence(test="errors", log_e=-1.0, log_bound=5.3),
        Evidence(test="latency", log_e=9.0, log_bound=5.3),
    ),
)


def with_prod(items: list[Item], **changes: object) -> ReleaseView:
    """The release with another plan of its prod stage."""
    (planned,) = [item for item in items if isinstance(item, Plan)]
    test, prod = planned.plan.stages
    stages = (test, prod.model_copy(update=changes))
    new = planned.model_copy(update={"plan": planned.plan.model_copy(update={"stages": stages})})
    return release_view(
        shop.release(), [new if item is planned else item for item in items], shop.at(9)
    )


def lines(view: ReleaseView) -> dict[str, str]:
    return {node.name: node.status for _, node in walk(release_node(view))}


def test_shows_each_e_value_against_its_bound() -> None:
    shown = lines(release_view(shop.release(), shop.shifting(VERDICT), shop.at(9)))
    assert shown["e-value errors"] == "0.4 of 200"
    assert shown["e-value latency"] == "8,103 of 200"


def test_shows_when_a_bake_expects_its_samples() -> None:
    step = Step(weight=0.1, bake_seconds=1800, samples=500)
    by_samples = StrategyPlan(name="canary", steps=(step,))
    view = with_prod(shop.shifting(VERDICT), strategy=by_samples)
    assert "at most, 150 of 500 samples, expected in 5m50s" in next_words(view)
    silent = VERDICT.model_copy(update={"requests_per_second": 0.0})
    without = with_prod(shop.shifting(silent), strategy=by_samples)
    assert next_words(without).endswith("at most, 150 of 500 samples")


def test_shows_that_weights_are_adaptive() -> None:
    adaptive = StrategyPlan(name="adaptive", adaptive=AdaptivePlan())
    view = with_prod(shop.shifting(VERDICT), strategy=adaptive)
    infos = {node.name: node.info for _, node in walk(release_node(view))}
    assert infos[view.stages[1].rollouts[0].target] == "adaptive"


def test_plans_adaptive_weights_in_words() -> None:
    planned = shop.plan().plan
    checks = planned.stages[1].checks.model_copy(update={"latency": LatencyPolicy()})
    adaptive = StrategyPlan(name="adaptive", adaptive=AdaptivePlan())
    prod = planned.stages[1].model_copy(update={"strategy": adaptive, "checks": checks})
    console = Console(width=200, record=True)
    console.print(draw_plan(planned.model_copy(update={"stages": (prod,)}), ()))
    text = console.export_text()
    assert "from the weight that harms 10 requests at most (10 % or less)" in text
    assert "or it is proven to be 10 % slower" in text
