# ruff: noqa: E501  # the table reads as a table
"""What CloudFormation would refuse is said before it is asked, with its place and its remedy."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest

from support.applications import NAMES, MakeApplication
from tidegate.build.artifact import build_and_upload, build_artifact, look_for_faults
from tidegate.build.lint import NoLinter, check_faults, find_faults
from tidegate.build.template import Template
from tidegate.core.errors import TemplateError

QUEUE = {"Type": "AWS::SQS::Queue"}
FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": "x"},
        "Role": "arn:aws:iam::111111111111:role/x",
    },
}
TEMPLATE: Template = {"Resources": {"OrderQueue": QUEUE, "Orders": FUNCTION}}
VARIABLE = "Resources.Orders.Properties.Environment.Variables.QUEUE"


def faults(change: Callable[[Any], None]) -> list[str]:
    template = copy.deepcopy(TEMPLATE)
    change(template)
    return list(find_faults(template, ["eu-west-1"]))


def variable(value: Any) -> Callable[[Any], None]:
    def change(template: Any) -> None:
        properties = template["Resources"]["Orders"]["Properties"]
        properties["Environment"] = {"Variables": {"QUEUE": value}}

    return change


def set_in(resource: str, **settings: Any) -> Callable[[Any], None]:
    return lambda template: template["Resources"][resource].update(settings)


@pytest.mark.parametrize(
    "value",
    [{"Ref": "OrderQue"}, {"Fn::Sub": "${OrderQue}"}, {"Fn::GetAtt": ["OrderQue", "Arn"]}],
    ids=str,
)
def test_a_name_that_nothing_has_is_said_with_the_nearest(value: Any) -> None:
    (fault,) = faults(variable(value))
    assert fault.startswith(f'{VARIABLE}: there is no OrderQue, did you mean "OrderQueue"? (cfn-')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (variable({"Fn::GetAtt": ["OrderQueue", "Arm"]}), 'no Arm, did you mean "Arn"?'),
        (set_in("Orders", DependsOn="OrderQue"), 'no OrderQue, did you mean "OrderQueue"?'),
        (set_in("Orders", Condition="IsProd"), "Resources.Orders.Condition: there is no IsProd ("),
        (variable({"Fn::If": ["IsProd", "a", "b"]}), "there is no IsProd"),
        (set_in("OrderQueue", Type="AWS::SQS::Que"), "does not exist in 'eu-west-1'"),
        (set_in("OrderQueue", Properties={"FifoQue": True}), "'FifoQue' was unexpected"),
        (set_in("Orders", Properties={**FUNCTION["Properties"], "Runtime": "python3.77"}), "python3.77 is not among what it may be"),
        (lambda t: t.update(Outputs={"Q": {"Value": {"Ref": "OrderQue"}}}), "Outputs.Q.Value: there is no OrderQue"),
        (lambda t: t.update(Outputs={n: {"Value": "1", "Export": {"Name": "x"}} for n in "AB"}), "Outputs: several are exported as x"),
    ],
)  # fmt: skip
def test_what_cloudformation_would_refuse_is_said(change: Callable[[Any], None], said: str) -> None:
    assert said in faults(change)[0]


def test_a_rule_that_is_mistaken_is_left_out_where_the_template_says_so() -> None:
    def change(template: Any) -> None:
        template["Resources"]["OrderQueue"]["Type"] = "AWS::SQS::Que"
        template["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["E3006"]}}}

    assert faults(change) == []


def test_advice_is_no_fault() -> None:
    template = {**TEMPLATE, "Parameters": {"Unused": {"Type": "String"}}}
    check_faults(template, "template.yaml", ["eu-west-1", "us-east-1"])


def test_all_faults_are_in_one_message_that_names_the_file() -> None:
    template = copy.deepcopy(TEMPLATE)
    template["Resources"]["Orders"] |= {"DependsOn": "OrderQue", "Condition": "IsProd"}
    with pytest.raises(TemplateError, match=r"t\.yaml: CloudFormation would refuse") as refused:
        check_faults(template, "t.yaml", ["eu-west-1"])
    assert str(refused.value).count("cfn-lint E") == 2


@pytest.mark.parametrize("name", NAMES)
def test_every_template_of_the_corpus_passes(name: str, application: MakeApplication) -> None:
    assert look_for_faults(build_artifact(application(name))) == ""


def test_a_build_stores_nothing_that_would_be_refused(application: MakeApplication) -> None:
    folder = application("plain")
    text = (folder / "template.yaml").read_text()
    (folder / "template.yaml").write_text(
        text.replace("Properties:", "DependsOn: OrderQue\n    Properties:", 1)
    )
    with pytest.raises(TemplateError, match="there is no OrderQue"):
        build_and_upload(folder, bucket="b", s3=None, revision={"commit": "c"})  # type: ignore[arg-type]


def test_without_cfn_lint_that_is_said(
    monkeypatch: pytest.MonkeyPatch, application: MakeApplication
) -> None:
    monkeypatch.setitem(sys.modules, "cfnlint.api", None)
    with pytest.raises(NoLinter):
        list(find_faults(TEMPLATE, ["eu-west-1"]))
    said = look_for_faults(build_artifact(application("plain")))
    assert "pip install 'tidegate[lint]'" in said
