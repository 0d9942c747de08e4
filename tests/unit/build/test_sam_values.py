"""What SAM must know of parameters is resolved where every stage has the same value."""

from typing import Any

import pytest

from tidegate.build import sam_values
from tidegate.build.expand import Setting, expand_template
from tidegate.build.template import parse_template
from tidegate.core.errors import TemplateError

HEAD = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Keep: {Type: String, Default: Retain}
  Given: {Type: String}
  Stage: {Type: String, Default: test}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /shop/keep}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
Mappings: {Of: {test: {Kept: Delete}, prod: {Kept: Delete}}}
"""
LAYER = """
Resources:
  L: {Type: AWS::Serverless::LayerVersion,
    Properties: {ContentUri: s3://b/k, Description: !Ref Stage, RetentionPolicy: VALUE}}
"""
API = """
Resources:
  A:
    Type: AWS::Serverless::Api
    Properties:
      StageName: !Ref Stage
      Name: !Sub "shop-${Stage}"
      EndpointConfiguration: {Type: TYPE, VPCEndpointIds: [!Ref Stage]}
      Auth: {UsagePlan: {CreateUsagePlan: PLAN, Description: !Ref Stage}}
"""
STAGES = (
    Setting("test", {"Given": "Retain"}),
    Setting("prod", {"Given": "Retain", "Stage": "prod"}),
)


def expanded(text: str, stages: tuple[Setting, ...] = STAGES) -> dict[str, Any]:
    return expand_template(parse_template(HEAD + text), "t.yaml", stages).template["Resources"]


def layer(value: str, stages: tuple[Setting, ...] = STAGES) -> dict[str, Any]:
    resources = expanded(LAYER.replace("VALUE", value), stages)
    return next(one for one in resources.values() if one["Type"] == "AWS::Lambda::LayerVersion")


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("!Ref Keep", "Retain"),
        ("!Ref Given", "Retain"),
        ("!Sub '${Given}'", "Retain"),
        ("!FindInMap [Of, !Ref Stage, Kept]", "Delete"),
        ("!If [IsProd, !Ref Keep, Retain]", "Retain"),
    ],
)
def test_takes_the_value_that_all_stages_have(value: str, policy: str) -> None:
    assert layer(value)["DeletionPolicy"] == policy


def test_leaves_all_else_a_reference() -> None:
    assert layer("!Ref Keep")["Properties"]["Description"] == {"Ref": "Stage"}


def test_finds_each_property_that_sam_asks_for() -> None:
    stages = tuple(
        Setting(one.stage, {**one.parameters, "Keep": "PER_API", "Given": "PRIVATE"})
        for one in STAGES
    )

    resources = expanded(API.replace("TYPE", "!Ref Given").replace("PLAN", "!Ref Keep"), stages)

    api = resources["A"]["Properties"]
    assert api["Name"] == {"Fn::Sub": "shop-${Stage}"}
    (plan,) = (r for r in resources.values() if r["Type"] == "AWS::ApiGateway::UsagePlan")
    assert plan["Properties"]["Description"] == {"Ref": "Stage"}


def test_takes_it_from_globals_too() -> None:
    text = (
        "Globals: {Api: {Auth: {UsagePlan: {CreateUsagePlan: !Ref Given}}}}\n"
        "Resources: {A: {Type: AWS::Serverless::Api, Properties: {StageName: !Ref Stage}}}\n"
    )
    stages = (Setting("test", {"Given": "PER_API"}), Setting("prod", {"Given": "PER_API"}))

    kinds = [one["Type"] for one in expanded(text, stages).values()]

    assert "AWS::ApiGateway::UsagePlan" in kinds


def refused(text: str, stages: tuple[Setting, ...] = STAGES) -> str:
    with pytest.raises(TemplateError) as caught:
        expanded(text, stages)
    return str(caught.value)


def test_says_which_stages_differ_and_in_what() -> None:
    stages = (STAGES[0], Setting("prod", {"Given": "Delete"}))

    assert refused(LAYER.replace("VALUE", "!Ref Given"), stages) == (
        't.yaml: L.RetentionPolicy is {"Ref": "Given"}, whose value SAM must know to expand the'
        " template once for all stages, and they differ in it: Retain in test, Delete in prod."
        " Give `Given` the same value in every stage (`parameters` of the stages in the manifest),"
        " or write the value out in the template."
    )


def test_says_which_stage_gives_no_value() -> None:
    stages = (STAGES[0], Setting("prod"))

    assert refused(LAYER.replace("VALUE", "!Ref Given"), stages) == (
        't.yaml: L.RetentionPolicy is {"Ref": "Given"}, whose value SAM must know to expand the'
        " template, and Given has none in the stage prod. Give it one: `parameters: {Given: ...}`"
        " of the stage in the manifest, or a `Default` in the template."
    )


def test_the_name_of_a_stored_parameter_is_not_its_value() -> None:
    assert "'RetentionPolicy'" in refused(LAYER.replace("VALUE", "!Ref Stored"))


def test_repeats_what_sam_says_of_the_value() -> None:
    stages = tuple(Setting(one.stage, {"Given": "Keep it"}) for one in STAGES)

    said = refused(LAYER.replace("VALUE", "!Ref Given"), stages)

    assert "SAM cannot expand the template: Resource with id [L] is invalid" in said
    assert "must be one of" in said


def test_tries_little_where_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    truth = sam_values.try_transform
    monkeypatch.setattr(
        sam_values, "try_transform", lambda template: tried.append(1) or truth(template)
    )

    layer("Retain")
    assert len(tried) == 1
    layer("!Ref Keep")
    assert len(tried) < 8
