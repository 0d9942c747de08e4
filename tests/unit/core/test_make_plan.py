"""The plan: every default filled in, every name checked, the manifest before the template."""

import json
from textwrap import dedent
from typing import Any

import pytest

from tidegate.core.errors import InputError
from tidegate.core.model.artifact import ArtifactContents, TemplateDefaults
from tidegate.core.model.manifest import parse_manifest
from tidegate.core.model.plan import (
    ApprovalPlan,
    ArtifactRef,
    HookPlan,
    ManagedAlias,
    MetricPolicy,
    MetricQuery,
    MetricStat,
    NotificationPlan,
    OnFirstFailure,
    ReleasePlan,
    ReleaseRef,
    StagePlan,
    Step,
    StrategyPlan,
    Trigger,
    WhenNotCanaryable,
)
from tidegate.core.planning.advice import not_done
from tidegate.core.planning.release_plan import make_plan

RELEASE = ReleaseRef(id="shop-4", application="shop", number=4)
ARTIFACT = ArtifactRef(
    application="shop",
    digest="sha256:" + "0" * 64,
    bucket="artifacts",
    prefix="applications/shop/artifacts/0",
    commit="c0ffee",
)
ALIAS = ManagedAlias(
    function="Shop",
    alias="live",
    alias_logical_id="ShopAliaslive",
    version_logical_id="ShopVersion1",
    pin_parameter="TidegatePinnedVersionShopAliaslive",
)
DEFAULTS = TemplateDefaults(
    strategy="Canary10Percent5Minutes",
    pre_traffic=("Smoke",),
    post_traffic=("Smoke",),
    alarms=("ShopErrors",),
)


def contents(stage: str = "", top: str = "", **changes: Any) -> ArtifactContents:
    lines = "".join(f"    {line}\n" for line in dedent(stage).strip().splitlines())
    text = (
        f"version: 1\napplication: shop\n{dedent(top)}"
        f"stages:\n  - name: prod\n    account: '333333333333'\n{lines}"
    )
    if "regions" not in text and "waves" not in text:
        text += "    regions: [eu-west-1]\n"
    made = {
        "application": "shop",
        "manifest": parse_manifest(text),
        "template_sha256": "0" * 64,
        "aliases": (ALIAS,),
        "functions": ("Shop", "Smoke", "Probe"),
    }
    return ArtifactContents(**{**made, **changes})


def plan(*args: str, **changes: Any) -> ReleasePlan:
    return make_plan(RELEASE, ARTIFACT, contents(*args, **changes))


def stage(*args: str, **changes: Any) -> StagePlan:
    return plan(*args, **changes).stage("prod")


class TestDefaults:
    def test_names_role_and_stack_after_the_application(self) -> None:
        target = stage().target("333333333333/eu-west-1")
        assert target.role_arn == "arn:aws:iam::333333333333:role/tidegate-target"
        assert target.stack_name == "shop-prod"

    @pytest.mark.parametrize(
        ("region", "partition"),
        [
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("ap-southeast-2", "aws"),
        ],
    )
    def test_knows_the_partition_of_a_region(self, region: str, partition: str) -> None:
        target = stage(f"regions: [{region}]").target(f"333333333333/{region}")
        assert target.role_arn.startswith(f"arn:{partition}:iam::")

    def test_takes_what_the_manifest_says_instead(self) -> None:
        role = "arn:aws:iam::333333333333:role/deployer"
        target = stage(f"role: {role}\nstack: my-shop").target("333333333333/eu-west-1")
        assert (target.role_arn, target.stack_name) == (role, "my-shop")

    def test_deploys_all_regions_in_one_wave(self) -> None:
        (wave,) = stage("regions: [eu-west-1, us-east-1]").waves
        assert [target.region for target in wave] == ["eu-west-1", "us-east-1"]

    def test_deploys_in_waves_when_there_are_waves(self) -> None:
        waves = stage("waves: [[eu-west-1], [us-east-1, ap-south-1]]").waves
        assert [len(wave) for wave in waves] == [1, 2]

    def test_asks_nobody_unless_told_to(self) -> None:
        assert stage().approval is None

    def test_carries_the_rest_of_the_manifest(self) -> None:
        found = stage(
            "approval: {timeout: 1h, approvers: 2, author_may_approve: false}\n"
            "parameters: {Stage: prod}\n"
            "checks: {errors: {max_increase: 1%, extend: 5m}}",
            "on_first_failure: keep\nwhen_not_canaryable: all-at-once\n",
        )
        assert found.approval == ApprovalPlan(
            approvers=2, timeout_seconds=3600, author_may_approve=False
        )
        assert found.parameters == {"Stage": "prod"}
        assert (found.checks.errors.max_increase, found.checks.errors.extend_seconds) == (0.01, 300)
        assert found.on_first_failure is OnFirstFailure.KEEP
        assert found.when_not_canaryable is WhenNotCanaryable.ALL_AT_ONCE


class TestTests:
    def test_writes_commands_as_a_buildspec(self) -> None:
        top = "tests: [{name: unit, commands: ['echo \"a: b\"', make], timeout: 330s}]\n"
        (test,) = plan("", top).tests
        assert test.project == "shop-tests"
        assert test.timeout_minutes == 6
        assert json.loads(test.buildspec) == {
            "version": "0.2",
            "phases": {"build": {"commands": ['echo "a: b"', "make"]}},
        }

    def test_names_a_buildspec_of_the_source(self) -> None:
        (test,) = plan("", "tests: [{name: scan, buildspec: ci/scan.yml}]\n").tests
        assert test.buildspec == "ci/scan.yml"


class TestTemplateDefaults:
    def test_a_team_that_comes_from_codedeploy_changes_nothing(self) -> None:
        found = stage(defaults=DEFAULTS)
        assert found.strategy.name == "Canary10Percent5Minutes"
        assert [step.weight for step in found.strategy.steps] == [0.1]
        assert found.checks.alarms == ("ShopErrors",)
        assert found.pre_traffic == (HookPlan(function="Smoke"),)
        assert found.post_traffic == (HookPlan(function="Smoke"),)

    def test_the_manifest_wins(self) -> None:
        found = stage(
            "strategy: all-at-once\nchecks: {alarms: [Other]}\nhooks: {pre_traffic: [Probe]}",
            defaults=DEFAULTS,
        )
        assert found.strategy.steps == ()
        assert found.checks.alarms == ("Other",)
        assert found.pre_traffic == (HookPlan(function="Probe"),)
        assert found.post_traffic == (HookPlan(function="Smoke"),)

    def test_the_stage_wins_over_the_application(self) -> None:
        top = "hooks: {pre_traffic: [Smoke], post_traffic: [{function: Smoke, timeout: 9s}]}\n"
        found = stage("hooks: {pre_traffic: [Probe]}", top)
        assert found.pre_traffic == (HookPlan(function="Probe"),)
        assert found.post_traffic == (HookPlan(function="Smoke", timeout_seconds=9),)

    def test_steps_of_a_configuration_of_its_own_are_the_strategy(self) -> None:
        steps = (Step(weight=0.2, bake_seconds=120),)
        own = TemplateDefaults(strategy="SlowCanary", steps=steps)
        assert stage(defaults=own).strategy == StrategyPlan(name="SlowCanary", steps=steps)

    def test_the_stage_tells_whom_it_names_and_else_whom_the_others_name(self) -> None:
        by_template = TemplateDefaults(notifications=(NotificationPlan(topic="Releases"),))
        at_top = "notifications: [{topic: Top, events: [DeploymentFailure, stop]}]\n"
        told = stage(defaults=by_template).notifications
        assert told == by_template.notifications
        (told_by_top,) = stage(top=at_top, defaults=by_template).notifications
        assert told_by_top == NotificationPlan(topic="Top", events=(Trigger.FAILURE, Trigger.STOP))
        (told_by_stage,) = stage("notifications: [{topic: Own}]", top=at_top).notifications
        assert told_by_stage == NotificationPlan(topic="Own", events=tuple(Trigger))
        assert stage("notifications: []", top=at_top, defaults=by_template).notifications == ()

    def test_an_empty_list_means_none(self) -> None:
        found = stage("hooks: {pre_traffic: []}\nchecks: {alarms: []}", defaults=DEFAULTS)
        assert (found.pre_traffic, found.checks.alarms) == ((), ())

    def test_a_preference_that_is_not_enabled_is_none(self) -> None:
        off = DEFAULTS.model_copy(update={"enabled": False, "pre_traffic": (), "post_traffic": ()})
        found = stage(defaults=off)
        assert found.strategy.steps == ()
        assert (found.pre_traffic, found.post_traffic, found.checks.alarms) == ((), (), ())

    @pytest.mark.parametrize("key", ["pre_traffic", "post_traffic"])
    def test_no_hook_vanishes_with_a_preference_unless_the_manifest_says_so(self, key: str) -> None:
        hooks = {"pre_traffic": (), "post_traffic": (), key: ("Smoke",)}
        off = DEFAULTS.model_copy(update={"enabled": False, **hooks})
        with pytest.raises(InputError, match=rf"with it the hook Smoke.*{key}: \[\]"):
            stage(defaults=off)
        assert getattr(stage(f"hooks: {{{key}: []}}", defaults=off), key) == ()
        assert getattr(stage(top=f"hooks: {{{key}: []}}\n", defaults=off), key) == ()

    def test_all_at_once_when_nobody_says_anything(self) -> None:
        assert stage().strategy.name == "all-at-once"

    def test_a_type_of_the_template_that_does_not_exist_is_said(self) -> None:
        with pytest.raises(InputError) as caught:
            stage(defaults=TemplateDefaults(strategy="OurOwnConfig"))
        assert 'template.yaml: the DeploymentPreference has the type "OurOwnConfig"' in str(
            caught.value
        )
        assert "Give the stage prod a `strategy`" in caught.value.remedy

    def test_a_manifest_with_a_strategy_needs_no_type_of_the_template(self) -> None:
        found = stage("strategy: all-at-once", defaults=TemplateDefaults(strategy="OurOwnConfig"))
        assert found.strategy.name == "all-at-once"

    def test_a_hook_that_two_functions_share_runs_once(self) -> None:
        found = stage(defaults=TemplateDefaults(pre_traffic=("Smoke", "Smoke")))
        assert found.pre_traffic == (HookPlan(function="Smoke"),)


class TestWhatCannotBePlanned:
    def test_a_template_without_an_alias_names_its_functions(self) -> None:
        with pytest.raises(InputError) as caught:
            plan(aliases=())
        assert "functions: Shop, Smoke, Probe" in caught.value.message
        assert "AutoPublishAlias" in caught.value.remedy

    def test_a_template_without_functions_says_so(self) -> None:
        with pytest.raises(InputError, match="it has none"):
            plan(aliases=(), functions=())

    @pytest.mark.parametrize(
        ("hook", "remedy"), [("Smoek", 'Did you mean "Smoke"?'), ("Zz", "Name a function")]
    )
    def test_a_hook_that_the_template_does_not_have(self, hook: str, remedy: str) -> None:
        with pytest.raises(InputError) as caught:
            plan(f"hooks: {{pre_traffic: [{hook}]}}")
        assert f'no function "{hook}"' in caught.value.message
        assert caught.value.remedy.startswith(remedy)

    def test_a_hook_elsewhere_is_named_by_its_arn(self) -> None:
        arn = "arn:aws:lambda:eu-west-1:333333333333:function:probe"
        found = stage(f"hooks: {{pre_traffic: ['{arn}']}}")
        assert found.pre_traffic == (HookPlan(function=arn),)

    def test_an_artifact_of_another_application(self) -> None:
        with pytest.raises(InputError, match=r"cart in artifact\.json"):
            plan(application="cart")


def test_the_same_artifact_gives_the_same_plan() -> None:
    assert plan(defaults=DEFAULTS) == plan(defaults=DEFAULTS)


def test_the_plan_survives_being_stored() -> None:
    made = plan("strategy: {linear: {step: 20%, every: 1m}}", defaults=DEFAULTS)
    assert ReleasePlan.model_validate_json(made.model_dump_json()) == made


def probing(function: str) -> str:
    probe = f"{{payloads: {{{function}: [{{n: 1}}]}}, per_minute: 9}}"
    return f"checks: {{errors: {{when_too_few: probe, probe: {probe}}}}}"


def test_probes_go_to_functions_that_have_an_alias() -> None:
    found = stage(probing("Shop")).checks.errors.probe
    assert found
    assert (found.payloads, found.per_minute) == ({"Shop": ({"n": 1},)}, 9)


def test_probes_of_anything_else_are_an_input_error() -> None:
    with pytest.raises(InputError, match=r'no function "Shoq" with an alias to probe\. There are'):
        stage(probing("Shoq"))


class TestComparedMetrics:
    CART = ALIAS.model_copy(update={"function": "Cart"})

    @staticmethod
    def compare(*, function: str = "", dimension: str = "{version}") -> str:
        of = f"\n        function: {function}" if function else ""
        return f"""
        checks:
          metrics:
            - name: declined
              compare:
                events: {{namespace: S, metric: M, dimensions: {{v: "{dimension}"}}}}{of}
        """.replace("\n        function", "\n                function")

    def test_are_planned_with_their_defaults(self) -> None:
        checks = plan(self.compare()).stages[0].checks
        assert checks.metrics == ()
        (compared,) = checks.compared
        assert (compared.name, compared.function, compared.total) == ("declined", "", None)
        assert (compared.max_increase, compared.min_samples) == (0.05, 50)
        assert checks.tests == 2

    def test_a_total_of_its_own_is_planned(self) -> None:
        manifest = """
        checks:
          metrics:
            - name: declined
              compare:
                events: {namespace: S, metric: M, dimensions: {v: "{version}"}}
                of: {namespace: S, metric: T, dimensions: {v: "{version}"}, statistic: SampleCount}
        """
        (compared,) = plan(manifest).stages[0].checks.compared
        assert compared.total
        assert (compared.total.metric, compared.total.statistic) == ("T", "SampleCount")

    def test_a_version_must_be_that_of_a_known_function(self) -> None:
        both = (ALIAS, self.CART)
        with pytest.raises(InputError, match="declined: version 7 of which function"):
            plan(self.compare(), aliases=both)
        named = plan(self.compare(function="Cart"), aliases=both)
        assert named.stages[0].checks.compared[0].function == "Cart"
        assert plan(self.compare(dimension="{function}/{version}"), aliases=both)

    def test_a_function_without_an_alias_has_no_versions_to_compare(self) -> None:
        with pytest.raises(InputError, match='no function "Smoke" with an alias'):
            plan(self.compare(function="Smoke"))

    def test_a_look_reads_only_so_many(self) -> None:
        many = tuple(ALIAS.model_copy(update={"function": f"F{number}"}) for number in range(101))
        with pytest.raises(InputError, match="101 pairs of versions"):
            plan(self.compare(dimension="{function}/{version}"), aliases=many)


class TestEventMetrics:
    STAT = MetricStat(namespace="AWS/Lambda", metric="IteratorAge")
    AGE = MetricPolicy(
        query=MetricQuery(name="iterator age of Shop", stats={"value": STAT}),
        at_most=60_000,
        missing=0,
        or_before=True,
    )

    def test_of_the_template_are_watched_without_a_word_of_the_manifest(self) -> None:
        assert plan(event_metrics=(self.AGE,)).stages[0].checks.metrics == (self.AGE,)

    def test_can_be_left_out(self) -> None:
        assert (
            plan("checks: {events: false}", event_metrics=(self.AGE,)).stages[0].checks.metrics
            == ()
        )

    def test_the_manifests_own_of_the_same_name_wins(self) -> None:
        manifest = """
        checks:
          metrics:
            - name: iterator age of Shop
              stat: {namespace: AWS/Lambda, metric: IteratorAge}
              at_most: 5000
        """
        (own,) = plan(manifest, event_metrics=(self.AGE,)).stages[0].checks.metrics
        assert own.at_most == 5000


class TestWhatTheTemplateAsksForAndIsNotDone:
    @staticmethod
    def said(*args: str, **changes: Any) -> list[str]:
        made = contents(*args, **changes)
        return list(not_done(make_plan(RELEASE, ARTIFACT, made), made))

    def test_nothing_is_said_when_all_is_done(self) -> None:
        assert self.said(defaults=DEFAULTS) == []

    def test_each_part_is_said(self) -> None:
        asked = DEFAULTS.model_copy(
            update={"notifications": (NotificationPlan(topic="T", events=(Trigger.STOP,)),)}
        )
        stage = """
            strategy: all-at-once
            hooks: {pre_traffic: [Probe], post_traffic: []}
            checks: {alarms: []}
            notifications: []
        """
        assert self.said(stage, defaults=asked) == [
            "The template's Canary10Percent5Minutes is not followed in stage prod: all-at-once is.",
            "The template's hook Smoke does not run before traffic in stage prod: Probe does.",
            "The template's hook Smoke does not run after traffic in stage prod.",
            "The template's alarm ShopErrors is not watched in stage prod.",
            "The template's topic T is told nothing in stage prod.",
        ]

    def test_a_stage_has_its_own_by_its_parameters(self) -> None:
        other = {"prod": DEFAULTS.model_copy(update={"alarms": ("Other",)})}
        (said,) = self.said(
            "checks: {alarms: [ShopErrors]}", defaults=DEFAULTS, stage_defaults=other
        )
        assert said == "The template's alarm Other is not watched in stage prod."
