"""Strategies become steps, exactly as CodeDeploy or the manifest means them."""

from datetime import timedelta
from typing import ClassVar

import pytest
from pydantic import TypeAdapter, ValidationError

from tidegate.core.errors import InputError
from tidegate.core.model.plan import AdaptivePlan, Step, StrategyPlan
from tidegate.core.model.strategy import StrategySpec, expand_strategy
from tidegate.core.text.quantities import read_duration

SPEC: TypeAdapter[StrategySpec] = TypeAdapter(StrategySpec)

MINUTE = timedelta(minutes=1)


def weights(plan: StrategyPlan) -> list[float]:
    return [step.weight for step in plan.steps]


def bakes(plan: StrategyPlan) -> set[timedelta]:
    return {timedelta(seconds=step.bake_seconds) for step in plan.steps}


class TestCodeDeployPresets:
    @pytest.mark.parametrize("prefix", ["", "Lambda", "CodeDeployDefault.Lambda"])
    @pytest.mark.parametrize("minutes", [5, 10, 15, 30])
    def test_canary_is_one_step_of_a_tenth(self, prefix: str, minutes: int) -> None:
        plan = expand_strategy(f"{prefix}Canary10Percent{minutes}Minutes")
        assert plan.steps == (Step(weight=0.1, bake_seconds=minutes * 60),)

    @pytest.mark.parametrize("prefix", ["", "Lambda", "CodeDeployDefault.Lambda"])
    @pytest.mark.parametrize("every", ["1Minute", "2Minutes", "3Minutes", "10Minutes"])
    def test_linear_is_nine_steps_of_a_tenth_before_all(self, prefix: str, every: str) -> None:
        plan = expand_strategy(f"{prefix}Linear10PercentEvery{every}")
        assert weights(plan) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
        assert bakes(plan) == {int(every.partition("M")[0]) * MINUTE}

    @pytest.mark.parametrize("prefix", ["", "Lambda", "CodeDeployDefault.Lambda"])
    def test_all_at_once_has_no_steps(self, prefix: str) -> None:
        assert expand_strategy(f"{prefix}AllAtOnce").steps == ()

    def test_keeps_the_name_as_it_was_written(self) -> None:
        name = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
        assert expand_strategy(name).name == name

    @pytest.mark.parametrize(
        "name",
        ["CodeDeployDefault.AllAtOnce", "Canary10Percent7Minutes", "Linear10PercentEvery1Minutes"],
    )
    def test_knows_no_others(self, name: str) -> None:
        with pytest.raises(InputError, match="Did you mean"):
            expand_strategy(name)


class TestOurs:
    def test_all_at_once(self) -> None:
        assert expand_strategy("all-at-once") == StrategyPlan(name="all-at-once")

    def test_canary_is_one_step(self) -> None:
        plan = expand_strategy(SPEC.validate_python({"canary": {"weight": "5%", "bake": "90s"}}))
        assert plan == StrategyPlan(name="canary", steps=(Step(weight=0.05, bake_seconds=90),))

    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            ("30%", [0.3, 0.6, 0.9]),
            ("25%", [0.25, 0.5, 0.75]),
            ("33.3%", [0.333, 0.666, 0.999]),
            ("60%", [0.6]),
            ("100%", []),
        ],
    )
    def test_linear_adds_the_same_until_all(self, step: str, expected: list[float]) -> None:
        plan = expand_strategy(SPEC.validate_python({"linear": {"step": step, "every": "1m"}}))
        assert plan.name == "linear"
        assert weights(plan) == expected

    def test_exponential_doubles_up_to_half_by_default(self) -> None:
        spec = SPEC.validate_python({"exponential": {"start": "1%", "every": "5m"}})
        plan = expand_strategy(spec)
        assert plan.name == "exponential"
        assert weights(plan) == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5]
        assert bakes(plan) == {5 * MINUTE}

    def test_exponential_takes_its_factor_and_its_end(self) -> None:
        spec = {"exponential": {"start": "2%", "factor": 5, "every": "1m", "up_to": "10%"}}
        assert weights(expand_strategy(SPEC.validate_python(spec))) == [0.02, 0.1]

    def test_steps_may_end_at_full_traffic_under_watch(self) -> None:
        spec = SPEC.validate_python(
            {"steps": [{"weight": "5%", "bake": "2m"}, {"weight": "100%", "bake": "5m"}]}
        )
        assert expand_strategy(spec) == StrategyPlan(
            name="steps",
            steps=(Step(weight=0.05, bake_seconds=120), Step(weight=1.0, bake_seconds=300)),
        )

    def test_takes_a_strategy_that_was_read_before(self) -> None:
        spec = SPEC.validate_python({"canary": {"weight": "5%", "bake": "90s"}})
        assert SPEC.validate_python(spec) == spec

    def test_a_plan_refuses_weights_that_do_not_rise(self) -> None:
        step = Step(weight=0.5, bake_seconds=60)
        with pytest.raises(ValidationError, match="must rise"):
            StrategyPlan(name="steps", steps=(step, step))

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("1d", 86_400),
            ("1m30", 90),
            ("0", 0),
        ],
    )
    def test_durations_are_written_as_people_do(self, text: str, seconds: int) -> None:
        assert read_duration(text) == timedelta(seconds=seconds)


class TestAdaptive:
    def test_needs_no_settings(self) -> None:
        plan = expand_strategy(SPEC.validate_python("adaptive"))
        assert plan == StrategyPlan(name="adaptive", adaptive=AdaptivePlan())
        assert expand_strategy(SPEC.validate_python({"adaptive": {}})) == plan
        assert plan.splits

    def test_takes_a_budget_and_bounds(self) -> None:
        settings = {"budget": 3, "first_weight": "2%", "at_most": "2h"}
        plan = expand_strategy(SPEC.validate_python({"adaptive": settings}))
        assert plan.adaptive == AdaptivePlan(budget=3, first_weight=0.02, at_most_seconds=7200)


class TestBakesBySamples:
    UNTIL: ClassVar = {"samples": 500, "at_most": "30m"}

    def test_are_steps_with_samples(self) -> None:
        step = Step(weight=0.1, bake_seconds=1800, samples=500)
        canary = SPEC.validate_python({"canary": {"weight": "10%", "until": self.UNTIL}})
        steps = SPEC.validate_python({"steps": [{"weight": "10%", "until": self.UNTIL}]})
        assert expand_strategy(canary).steps == expand_strategy(steps).steps == (step,)

    @pytest.mark.parametrize("more", [{}, {"bake": "5m", "until": UNTIL}])
    def test_need_one_end(self, more: dict[str, object]) -> None:
        with pytest.raises(ValidationError, match="expected either `bake` or `until`"):
            SPEC.validate_python({"canary": {"weight": "10%", **more}})
