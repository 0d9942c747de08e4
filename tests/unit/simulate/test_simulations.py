"""Simulations give what the closed forms give, and always the same for the same seed."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET

import pytest

from tidegate.core.decision.evaluation import Policy
from tidegate.core.model.plan import (
    AdaptivePlan,
    Checks,
    ComparedPolicy,
    ErrorPolicy,
    LatencyPolicy,
    MetricPolicy,
    MetricQuery,
    MetricStat,
    ProbePlan,
    Step,
    StrategyPlan,
    TooFew,
)
from tidegate.simulate.codedeploy import ALARMS, PRESETS, Alarm, Scope, run_preset
from tidegate.simulate.picture import draw_picture
from tidegate.simulate.rollouts import Ending, Run, Scenario, run_rollout
from tidegate.simulate.traffic import Profile, Regression
from tidegate.simulate.trial import Report, Trial, simulate

TEN = Profile(requests_per_second=(10.0,), error_rate=0.001)
CANARY = StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=600),))
ADAPTIVE = Policy(StrategyPlan(name="adaptive", adaptive=AdaptivePlan()), Checks())


def policy(**errors: object) -> Policy:
    return Policy(CANARY, Checks(errors=ErrorPolicy().model_copy(update=errors)))


def runs(of: Policy, rate: float, profile: Profile = TEN, count: int = 60) -> list[Run]:
    scenario = Scenario(profile, rate)
    return [run_rollout(of, scenario, random.Random(f"run {number}")) for number in range(count)]


def mean_harm(found: list[Run]) -> float:
    return sum(run.harmed for run in found) / len(found)


class TestRollouts:
    def test_a_healthy_release_is_promoted_after_its_bake_and_harms_nobody(self) -> None:
        found = runs(policy(), 0.001)
        promoted = [run for run in found if run.ending is Ending.PROMOTED]
        assert len(promoted) >= len(found) - 2  # alpha is 1 %
        assert {run.seconds for run in promoted} == {600.0}
        assert mean_harm(found) == 0

    def test_a_total_failure_at_a_tenth_harms_what_two_or_three_minutes_send_there(self) -> None:
        found = runs(policy(), 1.0)
        assert {run.ending for run in found} == {Ending.CAUGHT}
        assert 60 <= mean_harm(found) <= 180  # 10/s x 10 % x 60 to 180 s

    def test_what_is_promoted_all_the_same_harms_until_the_horizon(self) -> None:
        found = runs(policy(), 0.0011, count=20)
        promoted = [run for run in found if run.ending is Ending.PROMOTED]
        expected = 0.0001 * 10 * (0.1 * 600 + 3000)
        assert [run.harmed for run in promoted] == pytest.approx([expected] * len(promoted))

    def test_without_traffic_the_policy_for_too_few_decides(self) -> None:
        quiet = Profile(requests_per_second=(1e-5,))
        kept = policy(when_too_few=TooFew.PROMOTE)
        held = policy(when_too_few=TooFew.HOLD)
        assert {run.ending for run in runs(policy(), 0.5, quiet, 10)} == {Ending.GIVEN_UP}
        assert {run.ending for run in runs(kept, 0.5, quiet, 10)} == {Ending.PROMOTED}
        assert {run.ending for run in runs(held, 0.5, quiet, 10)} == {Ending.UNDER_WAY}

    def test_probes_judge_where_no_user_comes(self) -> None:
        quiet = Profile(requests_per_second=(1e-5,))
        probed = policy(when_too_few=TooFew.PROBE, probe=ProbePlan(payloads={"F": ({},)}))
        assert {run.ending for run in runs(probed, 0.5, quiet, 10)} == {Ending.CAUGHT}
        assert {run.ending for run in runs(probed, 0.001, quiet, 10)} == {Ending.PROMOTED}

    @pytest.mark.parametrize(
        ("requests_per_second", "rate", "most"), [(10, 0.051, 12), (100, 0.051, 12), (100, 1.0, 25)]
    )
    def test_adaptive_weights_keep_the_harm_near_their_budget(
        self, requests_per_second: float, rate: float, most: float
    ) -> None:
        profile = Profile(requests_per_second=(requests_per_second,), error_rate=0.001)
        found = runs(ADAPTIVE, rate, profile)
        assert {run.ending for run in found} == {Ending.CAUGHT}
        assert mean_harm(found) <= most

    def test_the_same_chance_gives_the_same_run(self) -> None:
        assert runs(ADAPTIVE, 0.01, count=5) == runs(ADAPTIVE, 0.01, count=5)


class TestPresets:
    def shifted(self, name: str, scenario: Scenario, seed: int) -> dict[Alarm, Run]:
        preset = next(preset for preset in PRESETS if preset.name == name)
        return dict(zip(ALARMS, run_preset(preset, scenario, random.Random(seed)), strict=True))

    def test_all_presets_of_codedeploy_that_shift_are_there_once(self) -> None:
        assert len(PRESETS) == len({preset.name for preset in PRESETS}) == 8

    def test_an_alarm_that_never_fires_lets_all_traffic_go_there(self) -> None:
        scenario = Scenario(TEN, 0.0)
        found = self.shifted("Canary10Percent5Minutes", scenario, 1)
        never = found[Alarm(Scope.VERSION, 0.1, 5)]
        assert (never.ending, never.seconds, never.harmed) == (Ending.PROMOTED, 300, 0)

    def test_harm_without_an_alarm_is_the_closed_form(self) -> None:
        scenario = Scenario(TEN, 0.011)
        found = self.shifted("Linear10PercentEvery1Minute", scenario, 1)
        late = found[Alarm(Scope.ALIAS, 0.1, 5)]
        weights = sum(tenth / 10 for tenth in range(1, 10))
        assert late.harmed == pytest.approx(0.01 * 10 * (60 * weights + 3600 - 540))

    def test_a_total_failure_fires_an_alarm_on_the_version_a_minute_after_it_closed(self) -> None:
        for number in range(20):
            scenario = Scenario(TEN, 1.0)
            found = self.shifted("Canary10Percent5Minutes", scenario, number)
            first = found[Alarm(Scope.VERSION, 0.1, 1)]
            assert first.ending is Ending.CAUGHT
            assert 60 <= first.seconds <= 180

    def test_a_stricter_alarm_is_never_later(self) -> None:
        for number in range(30):
            scenario = Scenario(TEN, 0.03)
            found = self.shifted("Canary10Percent15Minutes", scenario, number)
            for scope in Scope:
                for minutes in (1, 2, 3, 5):
                    times = [found[Alarm(scope, rate, minutes)] for rate in (0.0, 0.01, 0.05)]
                    assert times == sorted(times, key=lambda run: run.seconds)


@pytest.fixture(scope="module")
def report() -> Report:
    trial = Trial(policy(), TEN, [Regression.parse(one) for one in ("+5%", "100%")], runs=60)
    return simulate(trial, "prod", processes=1)


class TestReport:
    def test_has_the_healthy_release_first_and_every_preset_beside_ours(
        self, report: Report
    ) -> None:
        assert [one.regression for one in report.findings] == ["none", "+5 points", "all fail"]
        for finding in report.findings:
            assert finding.ours.policy == "tidegate"
            assert [o.policy for o in finding.outcomes[1:]] == [preset.name for preset in PRESETS]

    def test_shares_are_of_all_runs(self, report: Report) -> None:
        for outcome in (o for finding in report.findings for o in finding.outcomes):
            assert outcome.caught + outcome.given_up + outcome.promoted == pytest.approx(1)
            assert sorted(outcome.caught_by_minute) == list(outcome.caught_by_minute)

    def test_a_preset_has_one_alarm_and_it_seldom_fires_without_a_cause(
        self, report: Report
    ) -> None:
        known = {str(alarm) for alarm in ALARMS}
        for index, preset in enumerate(PRESETS, start=1):
            chosen = {finding.outcomes[index].alarm for finding in report.findings}
            assert len(chosen) == 1, preset.name
            assert chosen <= known
            assert report.findings[0].outcomes[index].caught <= 0.01

    def test_is_the_same_on_one_process_and_on_two(self) -> None:
        trial = Trial(ADAPTIVE, TEN, [Regression.parse("+5%")], runs=60)
        assert simulate(trial, processes=1) == simulate(trial, processes=2)

    def test_another_seed_is_another_sample(self, report: Report) -> None:
        trial = Trial(policy(), TEN, [Regression.parse("+5%")], runs=60, seed=2)
        other = simulate(trial, processes=1)
        assert other.findings[1].ours.harmed != report.findings[1].ours.harmed

    def test_the_picture_is_svg_with_every_regression(self, report: Report) -> None:
        root = ET.fromstring(draw_picture(report))
        assert root.tag.endswith("svg")
        texts = {element.text for element in root.iter() if element.tag.endswith("text")}
        assert {"+5 points", "all fail", "Tidegate", "best preset of CodeDeploy"} <= texts

    def test_what_users_do_not_have_is_taken_for_well_and_keeps_its_share_of_alpha(self) -> None:
        stat = MetricStat(namespace="S", metric="M")
        checks = Checks(
            latency=LatencyPolicy(),
            compared=(ComparedPolicy(name="declined", events=stat),),
            metrics=(MetricPolicy(query=MetricQuery(name="lag", stats={"m": stat}), at_most=1),),
            alarms=("Slow",),
        )
        found = simulate(Trial(Policy(CANARY, checks), TEN, [], runs=20), processes=1)
        assert found.findings[0].ours.promoted == 1.0
        assert found.taken_for_well == ("durations", "declined", "lag", "Slow")
