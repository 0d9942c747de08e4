"""What a stage's parameters make of a template's values and conditions."""

from typing import Any

import pytest

from tidegate.build.template import parse_template
from tidegate.core.template.values import Values

TEMPLATE = parse_template(
    """
Parameters:
  Stage: {Type: String, Default: test}
  Unset: {Type: String}
  Count: {Type: Number, Default: 3}
  Several: {Type: CommaDelimitedList, Default: "a, b"}
Mappings: {Types: {prod: {type: Linear}, test: {type: AllAtOnce}}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  NotProd: !Not [!Condition Prod]
  Here: !Equals [!Ref AWS::Region, eu-west-1]
  ProdHere: !And [!Condition Prod, !Condition Here]
  ProdOrHere: !Or [!Condition Prod, !Condition Here]
  NotHere: !Not [!Condition Here]
  Odd: {"Fn::Contains": [[a], a]}
Resources: {}
"""
)


@pytest.mark.parametrize(
    ("name", "in_prod", "in_test"),
    [
        ("Prod", True, False),
        ("NotProd", False, True),
        ("Here", None, None),
        ("NotHere", None, None),
        ("ProdHere", None, False),
        ("ProdOrHere", True, None),
        ("Odd", None, None),
        ("Missing", None, None),
    ],
)
def test_a_condition_holds_or_not_or_only_a_stack_knows(
    name: str, in_prod: bool | None, in_test: bool | None
) -> None:
    assert Values(TEMPLATE, {"Stage": "prod"}).holds(name) is in_prod
    assert Values(TEMPLATE, {}).holds(name) is in_test


IF_HERE = {"Fn::If": ["Here", 1, 2]}
NOTHING = {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Stage"}, "prod"),
        ({"Ref": "Unset"}, {"Ref": "Unset"}),
        ({"Ref": "Several"}, ["a", "b"]),
        ({"Ref": "Count"}, 3),
        ({"Ref": ["odd"]}, {"Ref": ["odd"]}),
        ({"Fn::If": ["Prod", {"Ref": "Stage"}, "none"]}, "prod"),
        (IF_HERE, IF_HERE),
        ([{"Fn::If": ["NotProd", "a", NOTHING]}, "b"], ["b"]),
        ({"A": {"Fn::If": ["Prod", NOTHING, 1]}, "B": 2}, {"B": 2}),
        ({"Fn::FindInMap": ["Types", {"Ref": "Stage"}, "type"]}, "Linear"),
        ({"Fn::FindInMap": ["Types", "dev", "type"]}, {"Fn::FindInMap": ["Types", "dev", "type"]}),
        ({"Fn::Sub": "x-${Stage}"}, "x-prod"),
        ({"Fn::Sub": ["${A}-${Stage}", {"A": {"Ref": "Stage"}}]}, "prod-prod"),
        ({"Fn::Sub": "${AWS::Region}"}, {"Fn::Sub": "${AWS::Region}"}),
        ({"Fn::Sub": "${AWS::Partition}"}, "aws"),
        ({"Fn::Sub": ["odd"]}, {"Fn::Sub": ["odd"]}),
        ({"Fn::If": ["odd"]}, {"Fn::If": ["odd"]}),
    ],
)
def test_what_is_known_takes_its_place(value: Any, resolved: Any) -> None:
    known = Values(TEMPLATE, {"Stage": "prod", "Other": "ignored"}, {"AWS::Partition": "aws"})
    assert known.resolve(value) == resolved
