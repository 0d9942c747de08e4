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
        ("Resources: [A]", "the template has no `Resources`"),
        ("Globals: [A]\nResources: {}", r"t\.yaml: Globals is not what .* must be a map"),
        ("Globals: {Function: [A]}\nResources: {}", r"t\.yaml: Globals\.Function is not what"),
        ("Parameters: {P: text}\nResources: {}", r"Parameters\.P is not what .* a map"),
        (
            "Parameters: {P: {Type: String, Default: []}}\nResources: {}",
            r"Parameters\.P\.Default .* a text or",
        ),
        ("Parameters: {P: {Default: 1}}\nResources: {}", r"Parameters\.P is not .* has a `Type`"),
        ("Parameters: {P: {Type: A, AllowedValues: 1}}\nResources: {}", r"AllowedValues .* a list"),
        ("Mappings: {M: {A: 1}}\nResources: {}", r"Mappings\.M\.A is not what .* a map"),
        ("Outputs: {O: 1}\nResources: {}", r"Outputs\.O is not what .* a map"),
        ("Resources: {a-b: {Type: A}}", r"Resources\.a-b: a logical id is made of at most 255"),
        ("Resources: {~: {Type: A}}", r"Resources\.~: a logical id is made of"),
        ("Resources: {[A, B]: {Type: A}}", r"Resources has the key .* Put it in quotes"),
        ("Resources: {A: {Type: 1}}", r"Resources\.A is not what .* a resource has a `Type`"),
        ("Resources: {A: {Type: A, DependsOn: 1}}", r"A\.DependsOn .* a text or a list"),
        ("Resources: {A: {Type: A, Condition: [C]}}", r"A\.Condition .* must be a text"),
        ("Resources: {A: {Type: A, Properties: {P: .nan}}}", r"Resources\.A\.Properties\.P is not"),
        ("Resources: {A: {Type: A, Properties: {P: !!set {x}}}}", r"Properties\.P is not"),
        ("Resources: {A: &a {Type: A, Properties: {P: *a}}}", "nested too deeply or repeats"),
        ("Resources: {A: {Type: A, Properties: " + "[" * 5000, "is not valid YAML"),
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


@pytest.mark.parametrize("key", ["200", "on", "1.0", "2012-10-17", "007"])
def test_a_key_is_the_text_that_is_written(key: str) -> None:
    template = parse_template(
        f"Resources: {{}}\nMetadata: {{{key}: 1, default: 2, <<: {{0x1: 3}}}}\n"
    )

    assert template["Metadata"] == {key: 1, "default": 2, "0x1": 3}


def test_a_number_may_be_a_logical_id_as_cloudformation_has_it() -> None:
    assert parse_template("Resources: {1: {Type: A}}\n")["Resources"] == {"1": {"Type": "A"}}
