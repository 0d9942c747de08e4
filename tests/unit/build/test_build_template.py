"""Templates are read as CloudFormation reads them."""

from pathlib import Path

import pytest

from tidegate.build.template import parse_template, read_template
from tidegate.core.errors import TemplateError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("!Ref Stage", {"Ref": "Stage"}),
        ("!Condition IsProd", {"Condition": "IsProd"}),
        ("!GetAtt Table.Stream.Arn", {"Fn::GetAtt": ["Table", "Stream.Arn"]}),
        ("!GetAtt [Table, Arn]", {"Fn::GetAtt": ["Table", "Arn"]}),
        ('!Sub "${A}-b"', {"Fn::Sub": "${A}-b"}),
        ('!Sub ["${x}", {x: !Ref A}]', {"Fn::Sub": ["${x}", {"x": {"Ref": "A"}}]}),
        ("!If [C, !Ref A, !GetAtt B.Arn]",
         {"Fn::If": ["C", {"Ref": "A"}, {"Fn::GetAtt": ["B", "Arn"]}]}),
        ("!Transform {Name: AWS::Include}", {"Fn::Transform": {"Name": "AWS::Include"}}),
        ("2012-10-17", "2012-10-17"),
        ("yes", True),
        ("n", "n"),
        ("012345678901", "012345678901"),
    ],
)  # fmt: skip
def test_reads_what_is_written_as_what_it_means(written: str, meant: object) -> None:
    template = parse_template(f"Resources: {{}}\nMetadata:\n  A: {written}\n")

    assert template["Metadata"]["A"] == meant


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Resources:\n  A: [", "t.yaml:2: the template is not valid YAML"),
        ("Resources:\n  A: 1\n  A: 2\n", "duplicate key"),
        ("Resources: {Loop: []}", r"t\.yaml: Resources\.Loop is not what CloudFormation knows"),
        ("Resources: {F: {Type: A, Properties: []}}", r"Resources\.F\.Properties is not what"),
        ("Resources: {F: }", r"Resources\.F is not what"),
        ("Parameters: {}", "the template has no `Resources`"),
        ("", "the template has no `Resources`"),
    ],
)
def test_says_where_a_template_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        parse_template(text, "t.yaml")


def test_takes_an_empty_section_for_none() -> None:
    assert parse_template("Globals:\nParameters:\nResources: {}\n") == {"Resources": {}}


def test_says_that_there_is_no_template(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"there is no such template\. Name the template"):
        read_template(tmp_path / "template.yaml")
