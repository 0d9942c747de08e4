"""Who calls a function without its alias, found in a template."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.core.template.bypasses import template_bypasses

ARN = {"Fn::GetAtt": ["Hello", "Arn"]}
MAPPING = "AWS::Lambda::EventSourceMapping"
REST = "arn:aws:apigateway:x:lambda:path/2015-03-31/functions/{}/invocations"


def found(kind: str, properties: dict[str, Any]) -> list[str]:
    resource = {"Type": kind, "Properties": properties}
    return template_bypasses({"Resources": {"Caller": resource}}, "Hello")


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        (MAPPING, {"FunctionName": {"Ref": "Hello"}}),
        (MAPPING, {"FunctionName": {"Fn::Sub": "${Hello}:$LATEST"}}),
        ("AWS::Events::Rule", {"Targets": [{"Arn": ARN, "Id": "one"}]}),
        ("AWS::Events::Rule", {"Targets": [{"Arn": {"Fn::GetAtt": "Hello.Arn"}}]}),
        ("AWS::Lambda::Url", {"TargetFunctionArn": {"Ref": "Hello"}}),
        ("AWS::ApiGatewayV2::Api", {"Body": {"uri": {"Fn::Sub": REST.format("${Hello.Arn}")}}}),
        ("AWS::ApiGateway::Method", {"Uri": {"Fn::Sub": [REST.format("${Hello.Arn}"), {}]}}),
        ("AWS::ApiGateway::Method", {"Uri": {"Fn::Join": ["", ["path/", ARN, "/invocations"]]}}),
        (MAPPING, {"FunctionName": {"Fn::Join": ["", [ARN, ":$LATEST"]]}}),
        ("AWS::Scheduler::Schedule", {"Target": {"Fn::Join": ["", {"Ref": "Hello"}]}}),
    ],
)
def test_names_a_caller_of_the_bare_function(kind: str, properties: dict[str, Any]) -> None:
    assert found(kind, properties) == [f"Caller ({kind}) calls it without the alias"]


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        (MAPPING, {"FunctionName": {"Ref": "HelloAliaslive"}}),
        (MAPPING, {"FunctionName": {"Fn::Sub": "${Hello}:live"}}),
        (MAPPING, {"FunctionName": {"Fn::Join": [":", [ARN, "live"]]}}),
        (MAPPING, {"FunctionName": {"Fn::Join": ["", [ARN, ":live"]]}}),
        ("AWS::Lambda::Url", {"TargetFunctionArn": {"Ref": "Hello"}, "Qualifier": "live"}),
        (
            "AWS::ApiGatewayV2::Api",
            {"Body": {"uri": {"Fn::Sub": REST.format("${Hello.Arn}:live")}}},
        ),
        ("AWS::Lambda::Version", {"FunctionName": {"Ref": "Hello"}}),
        ("AWS::CloudWatch::Alarm", {"Dimensions": [{"Value": {"Ref": "Hello"}}]}),
        ("AWS::Events::Rule", {"Targets": [{"Arn": {"Fn::GetAtt": ["Other", "Arn"]}}]}),
    ],
)
def test_leaves_out_callers_of_the_alias_and_what_calls_nothing(
    kind: str, properties: dict[str, Any]
) -> None:
    assert found(kind, properties) == []


def test_a_permission_stands_for_a_caller_outside_of_the_template() -> None:
    let_in = {"FunctionName": ARN, "Principal": "elasticloadbalancing.amazonaws.com"}
    assert found("AWS::Lambda::Permission", let_in) == [
        "Caller lets elasticloadbalancing.amazonaws.com call it without the alias"
    ]
    somebody = {"FunctionName": ARN, "Principal": {"Ref": "Account"}}
    assert found("AWS::Lambda::Permission", somebody) == [
        "Caller lets somebody call it without the alias"
    ]
    assert found("AWS::Lambda::Permission", {"FunctionName": {"Ref": "HelloAliaslive"}}) == []


def test_a_permission_is_not_said_twice() -> None:
    resources = {
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Arn": ARN}]}},
        "May": {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": ARN}},
    }
    assert template_bypasses({"Resources": resources}, "Hello") == [
        "Rule (AWS::Events::Rule) calls it without the alias"
    ]
