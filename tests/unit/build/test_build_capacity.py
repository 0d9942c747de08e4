"""Provisioned concurrency is taken off aliases and versions, and its numbers are kept."""

import json
from typing import Any

import pytest

from support.applications import Expand
from tidegate.build.expand import Setting, expand_template
from tidegate.build.template import parse_template
from tidegate.core.errors import TemplateError
from tidegate.core.model.plan import Provisioned

SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Count: {Type: Number, Default: 0}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /warm}
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      InlineCode: "def handler(event, context): return 1"
      AutoPublishAlias: live
      FunctionName: checkout
      MORE
EXTRA
"""
NUMBER = "ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: %s}"


def expand_with(more: str, extra: str = "", **parameters: str) -> Any:
    template = parse_template(SAM.replace("MORE", more).replace("EXTRA", extra))
    return expand_template(template, "t.yaml", (Setting("prod", parameters),))


def test_keeps_the_numbers_of_the_stage_with_their_sizes(expand: Expand) -> None:
    expansion = expand("provisioned")

    assert expansion.defaults["prod"].provisioned == (
        Provisioned(alias_logical_id="CheckoutAliaslive", executions=3, memory_mb=512),
        Provisioned(alias_logical_id="SearchAliaslive", executions=2, architecture="arm64"),
        Provisioned(alias_logical_id="WorkerLive", executions=1),
    )


def test_leaves_an_alias_what_it_has_by_a_parameter(expand: Expand) -> None:
    expansion = expand("provisioned")

    template = expansion.template
    name = "TidegateProvisionedCheckoutAliaslive"
    alias = template["Resources"]["CheckoutAliaslive"]["Properties"]
    assert alias["ProvisionedConcurrencyConfig"] == {
        "Fn::If": [
            name,
            {"ProvisionedConcurrentExecutions": {"Ref": name}},
            {"Ref": "AWS::NoValue"},
        ]
    }
    assert template["Parameters"][name]["Default"] == ""
    by_alias = {a.alias_logical_id: a.capacity_parameter for a in expansion.aliases}
    assert by_alias["CheckoutAliaslive"] == name
    assert by_alias["CatalogueAliaslive"] == by_alias["WorkerLive"] == ""
    worker = template["Resources"]["WorkerVersion"]["Properties"]
    assert "ProvisionedConcurrencyConfig" not in worker
    assert {"CheckoutAliaslive", "WorkerVersion"} <= expansion.report.changed.keys()


def test_another_number_alone_changes_no_resource() -> None:
    one, other = (expand_with(NUMBER % number) for number in (3, 7))
    assert json.dumps(one.template) == json.dumps(other.template)
    assert one.defaults != other.defaults


@pytest.mark.parametrize(
    ("more", "parameters", "executions"),
    [
        (NUMBER % "!Ref Count", {"Count": "6"}, [6]),
        (NUMBER % "!Ref Count", {}, []),
        (NUMBER % "!If [Never, 5, 2]", {}, [2]),
    ],
)
def test_a_number_comes_from_what_a_stage_says(
    more: str, parameters: dict[str, str], executions: list[int]
) -> None:
    extra = "Conditions:\n  Never: !Equals [a, b]"
    provisioned = expand_with(more, extra, **parameters).defaults["prod"].provisioned
    assert [one.executions for one in provisioned] == executions


def test_what_is_absent_in_a_stage_is_not_warmed() -> None:
    template = parse_template(
        SAM.replace("MORE", NUMBER % 3)
        .replace("EXTRA", "Conditions:\n  Never: !Equals [a, b]")
        .replace("  Fn:\n", "  Fn:\n    Condition: Never\n")
    )
    assert expand_template(template).defaults[""].provisioned == ()


SCALING = """
  Scaling:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties:
      ServiceNamespace: SERVICE
      ScalableDimension: lambda:function:ProvisionedConcurrency
      ResourceId: PLACE
      MinCapacity: 1
      MaxCapacity: 9
"""


@pytest.mark.parametrize(
    "place", ["!Sub 'function:${Fn}:live'", "function:checkout:live", "!Ref FnAliaslive"]
)
def test_names_the_scaling_that_cannot_be_kept(place: str) -> None:
    extra = SCALING.replace("PLACE", place).replace("SERVICE", "lambda")
    with pytest.raises(TemplateError, match=r"t\.yaml: Scaling scales .* FnAliaslive") as refused:
        expand_with(NUMBER % 3, extra)
    assert refused.value.remedy.startswith("Remove Scaling")


@pytest.mark.parametrize(
    ("service", "place"), [("lambda", "function:another:live"), ("ecs", "!Ref FnAliaslive")]
)
def test_scaling_of_something_else_stays(service: str, place: str) -> None:
    extra = SCALING.replace("PLACE", place).replace("SERVICE", service)
    assert "Scaling" in expand_with(NUMBER % 3, extra).template["Resources"]


REFUSED = {
    "a value of the stack's": (NUMBER % "!Ref Stored", "FnAliaslive.*known only in a stack"),
    "an import": (NUMBER % "!ImportValue Warm", "known only in a stack"),
    "both kinds of warmth": (
        f"{NUMBER % 3}\n      SnapStart: {{ApplyOn: PublishedVersions}}",
        "Fn has SnapStart and a",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_says_what_cannot_be_taken_over(name: str) -> None:
    more, message = REFUSED[name]
    with pytest.raises(TemplateError, match=message):
        expand_with(more)


def test_an_alias_and_its_version_cannot_both_have_it() -> None:
    template = parse_template(f"""
Resources:
  Fn: {{Type: AWS::Lambda::Function, Properties: {{}}}}
  One:
    Type: AWS::Lambda::Version
    Properties:
      FunctionName: !Ref Fn
      {NUMBER % 1}
  Live:
    Type: AWS::Lambda::Alias
    Properties:
      Name: live
      FunctionName: !Ref Fn
      FunctionVersion: !GetAtt One.Version
      {NUMBER % 1}
""")
    with pytest.raises(TemplateError, match="Live and One both have"):
        expand_template(template)


@pytest.mark.parametrize(("reserved", "notices"), [(5, 1), (6, 0)])
def test_notices_a_reserve_that_is_too_small_for_two(reserved: int, notices: int) -> None:
    more = f"{NUMBER % 3}\n      ReservedConcurrentExecutions: {reserved}"
    said = [n for n in expand_with(more).report.notices if "Lambda will refuse the second" in n]
    assert len(said) == notices
