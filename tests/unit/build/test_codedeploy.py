"""What a template tells CodeDeploy becomes the release's own, stage by stage."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.applications import Expand, MakeApplication, write
from tidegate.build.artifact import build_and_upload, build_artifact
from tidegate.build.expand import Expansion, Setting, expand_template
from tidegate.build.template import parse_template
from tidegate.core.errors import InputError, TemplateError
from tidegate.core.model.artifact import TemplateDefaults
from tidegate.core.model.plan import NotificationPlan, ReleasePlan, ReleaseRef, Step, Trigger
from tidegate.core.planning.release_plan import make_plan

STAGES = """
version: 1
application: shop
stages:
  - {name: test, account: "111111111111", regions: [eu-west-1]}
  - name: prod
    account: "111111111111"
    regions: [eu-west-1]
    parameters: {Stage: prod, Watched: checkout-errors}
"""


DEPLOYMENTS = NotificationPlan(topic="Deployments", events=(Trigger.SUCCESS, Trigger.FAILURE))


def planned(folder: Path) -> ReleasePlan:
    built = build_artifact(folder)
    release = ReleaseRef(id="shop-1", application="shop", number=1)
    return make_plan(release, built.reference("bucket"), built.contents)


def test_each_stage_has_what_its_parameters_make_of_the_preference(
    application: MakeApplication,
) -> None:
    folder = application("conditions")
    write(folder, {"tidegate.yaml": STAGES})

    test, prod = planned(folder).stages

    assert (test.strategy.steps, test.pre_traffic, test.checks.alarms) == ((), (), ())
    assert prod.strategy.steps == (Step(weight=0.1, bake_seconds=600),)
    assert [hook.function for hook in prod.pre_traffic] == ["Check"]
    assert prod.checks.alarms == ("Errors", "checkout-errors")


def test_stages_that_agree_share_what_the_template_says(application: MakeApplication) -> None:
    contents = build_artifact(application("own_configuration")).contents

    assert contents.stage_defaults == {}
    assert contents.defaults == TemplateDefaults(
        strategy="Slowly",
        steps=tuple(Step(weight=weight, bake_seconds=420) for weight in (0.25, 0.5, 0.75)),
        pre_traffic=("Before",),
        post_traffic=("After",),
        alarms=("Latency",),
        notifications=(DEPLOYMENTS,),
    )


def test_steps_of_a_configuration_of_the_template_are_taken(
    application: MakeApplication,
) -> None:
    (prod,) = planned(application("own_configuration")).stages

    assert (prod.strategy.name, len(prod.strategy.steps)) == ("Slowly", 3)


@pytest.mark.parametrize(
    ("routing", "steps"),
    [
        ({"Type": "AllAtOnce"}, ()),
        (
            {
                "Type": "TimeBasedCanary",
                "TimeBasedCanary": {"CanaryPercentage": "5", "CanaryInterval": 3},
            },
            (Step(weight=0.05, bake_seconds=180),),
        ),
    ],
)
def test_knows_both_shapes_of_codedeploy(
    routing: dict[str, Any], steps: tuple[Step, ...], expand: Expand
) -> None:
    def change(template: Any) -> None:
        template["Resources"]["Slowly"]["Properties"]["TrafficRoutingConfig"] = routing

    assert expand("own_configuration", change).defaults["prod"].steps == steps


@pytest.mark.parametrize("routing", [{}, {"Type": "Random"}, {"Type": {"Ref": "AWS::Region"}}])
def test_refuses_a_configuration_that_it_cannot_read(
    routing: dict[str, Any], expand: Expand
) -> None:
    def change(template: Any) -> None:
        template["Resources"]["Slowly"]["Properties"]["TrafficRoutingConfig"] = routing

    with pytest.raises(TemplateError, match=r"Type` is Slowly, which has .*`strategy` wins over"):
        expand("own_configuration", change)


def test_removes_what_only_codedeploy_used_and_says_so(expand: Expand) -> None:
    expansion = expand("own_configuration")

    assert "CodeDeploy::" not in json.dumps(expansion.template)
    assert set(expansion.report.removed) == {
        "AccountDeploymentGroup",
        "ServerlessDeploymentApplication",
        "Slowly",
    }
    assert "DeployRole" in expansion.template["Resources"]  # the team's own
    assert not any("TriggerConfigurations" in notice for notice in expansion.report.notices)


def test_takes_over_a_group_that_is_written_by_hand(expand: Expand) -> None:
    expansion = expand("handwritten_codedeploy")

    assert expansion.defaults["prod"] == TemplateDefaults(
        strategy="Canary10Percent15Minutes", pre_traffic=("Checks",), alarms=("worker-errors",)
    )
    assert {"Application", "Group"} == set(expansion.report.removed)


def test_takes_over_what_the_cdk_makes(expand: Expand) -> None:
    expansion = expand("cdk")

    assert expansion.defaults["prod"] == TemplateDefaults(
        strategy="Linear10PercentEvery3Minutes",
        pre_traffic=("Check4B5C6D7E",),
        alarms=("Errors1A2B3C4D",),
    )
    assert [alias.function for alias in expansion.aliases] == ["Api8C4E6F10"]


def test_alarms_that_are_off_are_none(expand: Expand) -> None:
    def change(template: Any) -> None:
        group = template["Resources"]["Group"]["Properties"]
        group["AlarmConfiguration"]["Enabled"] = "false"

    assert expand("handwritten_codedeploy", change).defaults["prod"].alarms == ()


def test_the_manifest_spares_a_template_what_it_says_itself() -> None:
    template = parse_template(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  F: {Type: AWS::Serverless::Function, Properties: {InlineCode: x, Handler: a.b,\n"
        "    Runtime: python3.12, AutoPublishAlias: live,\n"
        "    DeploymentPreference: {Type: !ImportValue type, Alarms: [!ImportValue alarm],\n"
        "      Hooks: {PreTraffic: !ImportValue pre, PostTraffic: !ImportValue post}}}}\n"
    )
    decided = frozenset({"strategy", "alarms", "pre_traffic", "post_traffic"})

    expansion = expand_template(template, settings=[Setting("prod", {}, decided)])

    assert expansion.defaults["prod"] == TemplateDefaults()
    with pytest.raises(TemplateError, match=r"Say it in the manifest instead"):
        expand_template(template, settings=[Setting("prod", {}, decided - {"alarms"})])


def test_says_where_a_hook_reports_to_codedeploy(application: MakeApplication) -> None:
    folder = application("own_configuration")
    code = "import boto3\n\ndef handler(event, context):\n"
    call = "    boto3.client('codedeploy').put_lifecycle_event_hook_execution_status()\n"
    write(folder, {"before/app.py": code + call, "code/app.py": call})  # the latter is no hook

    said = [n for n in build_artifact(folder).contents.notices if "CodeDeploy (" in n]

    assert len(said) == 1
    assert "Before reports to CodeDeploy (app.py:4: put_lifecycle_event_hook" in said[0]
    assert 'Write in place of the call: `return {"status": status}`' in said[0]


def test_reads_hooks_that_are_written_in_the_template(application: MakeApplication) -> None:
    folder = application("cdk")
    text = (folder / "template.yaml").read_text()
    sends = text.replace("return {'status': 'Succeeded'}", "PutLifecycleEventHookExecutionStatus()")
    write(folder, {"template.yaml": sends})

    assert "(inline:2: Put" in "".join(build_artifact(folder).contents.notices)


def test_does_not_store_what_cannot_be_released(application: MakeApplication) -> None:
    folder = application("own_configuration")
    text = (folder / "template.yaml").read_text()
    write(folder, {"template.yaml": text.replace("!Ref Slowly", "Careful")})

    with pytest.raises(InputError, match=r'type "Careful", whose steps only CodeDeploy knows'):
        build_and_upload(folder, bucket="b", s3=None, revision={"commit": "c"})  # type: ignore[arg-type]


TRIGGERED = """
Parameters: {Topic: {Type: String}, Stored: {Type: "AWS::SSM::Parameter::Value<String>"}}
Resources:
  Function: {Type: AWS::Lambda::Function}
  Version: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Function}}
  Alias:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Function, Name: live, FunctionVersion: !GetAtt Version.Version}
    UpdatePolicy: {CodeDeployLambdaAliasUpdate: {DeploymentGroupName: !Ref Group}}
  Group:
    Type: AWS::CodeDeploy::DeploymentGroup
    Properties:
      DeploymentConfigName: CodeDeployDefault.LambdaAllAtOnce
      TriggerConfigurations: TRIGGERS
"""
RELEASES = "arn:aws:sns:eu-west-1:111111111111:releases"


def triggered(triggers: str, **parameters: str) -> Expansion:
    """A template whose group has these triggers, in a stage with these parameters."""
    template = parse_template(TRIGGERED.replace("TRIGGERS", triggers))
    return expand_template(template, settings=[Setting("prod", parameters)])


@pytest.mark.parametrize(
    ("topic", "told"),
    [
        (RELEASES, RELEASES),
        ("!Ref Topic", RELEASES),
        (
            "!Sub 'arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:releases'",
            "arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:releases",
        ),
    ],
)
def test_a_trigger_becomes_a_notification_through_its_topic(topic: str, told: str) -> None:
    trigger = f"{{TriggerTargetArn: {topic}, TriggerEvents: [DeploymentStart, InstanceStart]}}"
    expansion = triggered(f"[{trigger}, {trigger.replace('Start,', 'Stop,')}]", Topic=RELEASES)

    assert expansion.defaults["prod"].notifications == (
        NotificationPlan(topic=told, events=(Trigger.START, Trigger.STOP)),
    )
    assert expansion.report.notices == []


@pytest.mark.parametrize(
    ("triggers", "said"),
    [
        ("[{TriggerTargetArn: !ImportValue topic, TriggerEvents: [DeploymentStart]}]", "a stack"),
        ("[{TriggerTargetArn: !Ref Stored, TriggerEvents: [DeploymentStart]}]", "a stack"),
        ("[{TriggerTargetArn: !Ref Function, TriggerEvents: [DeploymentStart]}]", "a stack"),
        ("[{TriggerTargetArn: 'no arn', TriggerEvents: [DeploymentStart]}]", "a stack"),
        ("!If [Prod, [], []]", "a stack"),
        (f"[{{TriggerTargetArn: {RELEASES}, TriggerEvents: [InstanceStart]}}]", "instances"),
        (f"[{{TriggerTargetArn: {RELEASES}, TriggerEvents: !Ref Topic}}]", "instances"),
    ],
)
def test_says_which_trigger_tells_nobody(triggers: str, said: str) -> None:
    expansion = triggered(triggers)

    (notice,) = expansion.report.notices
    assert notice.startswith("Group.TriggerConfigurations: ")
    assert said in notice
    assert expansion.defaults["prod"].notifications == ()


def test_a_parameter_that_names_no_topic_tells_nobody() -> None:
    expansion = triggered("[{TriggerTargetArn: !Ref Topic, TriggerEvents: [DeploymentStart]}]")

    assert expansion.defaults["prod"].notifications == ()


@pytest.mark.parametrize("topic", ["Deployments", RELEASES])
def test_a_manifest_may_name_a_topic(topic: str, application: MakeApplication) -> None:
    folder = application("own_configuration")
    write(folder, {"tidegate.yaml": f"{STAGES}notifications: [{{topic: '{topic}'}}]\n"})

    assert [n.topic for n in planned(folder).stages[1].notifications] == [topic]


def test_refuses_a_topic_that_is_nowhere(application: MakeApplication) -> None:
    folder = application("own_configuration")
    write(folder, {"tidegate.yaml": f"{STAGES}notifications: [{{topic: Releases}}]\n"})

    with pytest.raises(InputError, match=r'no topic "Releases".*a logical id: Deployments'):
        build_artifact(folder)
