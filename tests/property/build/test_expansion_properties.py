"""Expansion never changes a resource that it does not name in its report."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.build.expand import expand_template
from tidegate.build.sam import transform
from tidegate.core.model.artifact import configurations

Template = dict[str, Any]

_IF = {"Fn::If": ["IsProd", "yes", "no"]}
texts = st.sampled_from(
    ["a", "b", {"Ref": "Stage"}, {"Ref": "Table"}, _IF, {"Fn::Sub": "${Table}"}]
)
preferences = st.fixed_dictionaries(
    {"Type": st.sampled_from(["AllAtOnce", "Canary10Percent5Minutes", {"Ref": "Gradual"}])},
    optional={
        "Enabled": st.booleans(),
        "Alarms": st.lists(st.sampled_from([{"Ref": "Alarm"}, "outside"]), max_size=2),
        "Hooks": st.just({"PreTraffic": {"Ref": "Hook"}}),
        "PassthroughCondition": st.booleans(),
        "Role": st.just("arn:aws:iam::123456789012:role/deploy"),
    },
)
events = st.sampled_from(
    [
        {"Type": "Schedule", "Properties": {"Schedule": "rate(1 hour)"}},
        {"Type": "EventBridgeRule", "Properties": {"Pattern": {"source": ["shop"]}}},
        {"Type": "SNS", "Properties": {"Topic": "arn:aws:sns:eu-west-1:123456789012:news"}},
    ]
)


@st.composite
def functions(draw: st.DrawFn, preference: Any) -> Template:
    """A serverless function, with an alias or without."""
    properties: Template = {
        "InlineCode": "def handler(event, context): pass",
        "Handler": "index.handler",
        "Runtime": draw(st.sampled_from(["python3.12", "python3.13"])),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "Description": texts,
        "MemorySize": st.sampled_from([128, 256]),
        "Environment": st.fixed_dictionaries(
            {"Variables": st.dictionaries(st.sampled_from("XYZ"), texts)}
        ),
        "Tags": st.just({"team": "shop"}),
        "Events": st.dictionaries(st.sampled_from(["One", "Two"]), events, max_size=2),
    }
    properties |= draw(st.fixed_dictionaries({}, optional=optional))
    if draw(st.booleans()):
        properties["AutoPublishAlias"] = "live"
        if preference and draw(st.booleans()):
            properties["DeploymentPreference"] = preference
    resource: Template = {"Type": "AWS::Serverless::Function", "Properties": properties}
    if draw(st.booleans()):
        resource["Condition"] = "IsProd"
    return resource


@st.composite
def by_hand(draw: st.DrawFn, name: str) -> Template:
    """A function of plain CloudFormation, with its version and alias."""
    of = {"FunctionName": {"Ref": name}}
    version = draw(st.sampled_from([{"Fn::GetAtt": [f"{name}Version", "Version"]}, "1"]))
    function = {"Code": {"ZipFile": "pass"}, "Role": "role", "Description": draw(texts)}
    return {
        name: {"Type": "AWS::Lambda::Function", "Properties": function},
        f"{name}Version": {"Type": "AWS::Lambda::Version", "Properties": of},
        f"{name}Live": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {**of, "Name": "live", "FunctionVersion": version},
        },
    }


@st.composite
def templates(draw: st.DrawFn) -> Template:
    """A SAM template with functions of both kinds, and what they refer to."""
    preference = draw(st.none() | preferences)
    names = draw(st.lists(st.sampled_from(["Alpha", "Beta", "Gamma"]), unique=True, max_size=3))
    resources: Template = {
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {}},
        "Hook": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"ZipFile": "pass"}}},
        **{name: draw(functions(preference)) for name in names},
    }
    for name in draw(st.lists(st.sampled_from(["Own", "Other"]), unique=True, max_size=2)):
        resources |= draw(by_hand(name))
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {
            "Stage": {"Type": "String", "Default": "test"},
            "Gradual": {"Type": "String", "Default": "Linear10PercentEvery1Minute"},
        },
        "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
        "Resources": resources,
    }


@given(templates())
@settings(max_examples=15)
def test_what_is_not_in_the_report_is_as_sam_makes_it(template: Template) -> None:
    theirs = transform(template, "template.yaml")["Resources"]
    expansion = expand_template(template)
    ours = expansion.template["Resources"]

    differing = {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}

    assert differing == expansion.report.changed.keys() | expansion.report.removed.keys()
    assert expansion.report.removed.keys() == theirs.keys() - ours.keys()


@given(templates())
@settings(max_examples=8)
def test_expands_the_same_template_to_the_same_and_leaves_it_alone(template: Template) -> None:
    before = copy.deepcopy(template)

    one, two = expand_template(template), expand_template(template)

    assert (one.template, one.aliases, one.report) == (two.template, two.aliases, two.report)
    assert template == before


@given(templates(), st.sampled_from(["test", "prod", "dev"]))
@settings(max_examples=8)
def test_every_managed_alias_has_its_configuration(template: Template, stage: str) -> None:
    aliases = expand_template(template).aliases

    fingerprints = configurations(aliases, {"Stage": stage}).split(",") if aliases else []

    assert len(fingerprints) == len(aliases)
