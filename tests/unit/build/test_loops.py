"""`Fn::ForEach` is written out at build time, as CloudFormation does."""

import re
from pathlib import Path
from typing import Any

import pytest
from samcli.lib.cfn_language_extensions.sam_integration import process_template_for_sam_cli

from support.applications import MakeApplication, write
from tidegate.build.artifact import build_artifact
from tidegate.build.expand import Setting
from tidegate.build.loops import expand_loops
from tidegate.build.template import parse_template
from tidegate.core.errors import TemplateError

HEAD = "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\n"
NAMES = "Parameters: {Names: {Type: CommaDelimitedList, Default: 'Orders, Stock'}}\n"
TOPIC = "Type: AWS::SNS::Topic"


def expanded(text: str, *settings: Setting) -> dict[str, Any]:
    return expand_loops(parse_template(HEAD + text), "t.yaml", settings or (Setting(),))


def refused(text: str, *settings: Setting) -> str:
    with pytest.raises(TemplateError) as caught:
        expanded(text, *settings)
    return str(caught.value)


def test_fills_keys_texts_and_references() -> None:
    template = expanded(
        "Resources:\n"
        "  Fn::ForEach::Topics:\n"
        "    - Name\n"
        "    - [Orders.fifo, Stock.fifo]\n"
        "    - Topic&{Name}:\n"
        f"        {TOPIC}\n"
        "        Properties:\n"
        "          {TopicName: !Ref Name, DisplayName: !Sub '${Name} of ${AWS::Region}'}\n"
    )

    assert template["Resources"] == {
        f"Topic{name}fifo": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "TopicName": f"{name}.fifo",
                "DisplayName": {"Fn::Sub": f"{name}.fifo of ${{AWS::Region}}"},
            },
        }
        for name in ("Orders", "Stock")
    }


def test_works_in_conditions_outputs_and_properties() -> None:
    template = expanded(
        "Parameters: {Stage: {Type: String}}\n"
        "Conditions:\n"
        "  Fn::ForEach::Stages: [S, [test, prod], {'Is${S}': !Equals [!Ref Stage, !Ref S]}]\n"
        "Resources:\n"
        "  Topic:\n"
        f"    {TOPIC}\n"
        "    Properties:\n"
        "      Fn::ForEach::Names: [P, [TopicName, DisplayName], {'${P}': !Sub 'shop-${P}'}]\n"
        "Outputs:\n"
        "  Fn::ForEach::Out: [A, [Arn, TopicName], {'Topic${A}': {Value: !GetAtt 'Topic.${A}'}}]\n"
    )

    assert template["Conditions"] == {
        f"Is{stage}": {"Fn::Equals": [{"Ref": "Stage"}, stage]} for stage in ("test", "prod")
    }
    assert template["Resources"]["Topic"]["Properties"] == {
        "TopicName": "shop-TopicName",
        "DisplayName": "shop-DisplayName",
    }
    assert template["Outputs"] == {
        f"Topic{attribute}": {"Value": {"Fn::GetAtt": ["Topic", attribute]}}
        for attribute in ("Arn", "TopicName")
    }


def test_an_inner_loop_may_depend_on_the_outer_one() -> None:
    template = expanded(
        "Mappings: {Queues: {Orders: {Names: [In, Out]}, Stock: {Names: [In]}}}\n"
        "Resources:\n"
        "  Fn::ForEach::Areas:\n"
        "    - Area\n"
        "    - [Orders, Stock]\n"
        "    - Fn::ForEach::Topics:\n"
        "        - Name\n"
        "        - !FindInMap [Queues, !Ref Area, Names]\n"
        f"        - ${{Area}}${{Name}}: {{{TOPIC}}}\n"
    )

    assert list(template["Resources"]) == ["OrdersIn", "OrdersOut", "StockIn"]


def test_looks_up_what_the_build_must_know() -> None:
    template = expanded(
        "Mappings: {Code: {Orders: {Uri: orders/}}}\n"
        "Resources:\n"
        "  Fn::ForEach::Functions:\n"
        "    - Name\n"
        "    - [Orders, Stock]\n"
        "    - ${Name}:\n"
        "        Type: AWS::Serverless::Function\n"
        "        Properties:\n"
        "          CodeUri: !FindInMap [Code, !Ref Name, Uri, {DefaultValue: others/}]\n"
        "          Handler: !Sub ${Name}.handler\n"
    )

    properties = [one["Properties"] for one in template["Resources"].values()]
    assert properties == [
        {"CodeUri": "orders/", "Handler": "Orders.handler"},
        {"CodeUri": "others/", "Handler": "Stock.handler"},
    ]


@pytest.mark.parametrize(
    ("collection", "names"),
    [
        ("!Ref Names", ["TOrders", "TStock"]),
        ("[!Ref Suffix, 1, true]", ["TNew", "T1", "Ttrue"]),
        ("!If [Here, [A], [B]]", ["TA"]),
        ("[]", []),
    ],
)
def test_knows_collections_by_parameters_and_conditions(collection: str, names: list[str]) -> None:
    text = (
        "Parameters:\n"
        "  Names: {Type: CommaDelimitedList, Default: 'Orders, Stock'}\n"
        "  Suffix: {Type: String}\n"
        "Conditions: {Here: !Equals [!Ref Suffix, New]}\n"
        f"Resources: {{'Fn::ForEach::T': [N, {collection}, {{'T${{N}}': {{{TOPIC}}}}}]}}\n"
    )
    stages = Setting("test", {"Suffix": "New"}), Setting("prod", {"Suffix": "New"})

    assert list(expanded(text, *stages)["Resources"]) == names


def test_says_which_stages_differ_in_a_collection() -> None:
    text = NAMES + f"Resources: {{'Fn::ForEach::T': [N, !Ref Names, {{'T${{N}}': {{{TOPIC}}}}}]}}\n"

    said = refused(text, Setting("test"), Setting("prod", {"Names": "Orders"}))

    assert said.startswith(
        't.yaml: Resources.Fn::ForEach::T: its collection {"Ref": "Names"} differs between stages'
        " (test: Orders, Stock; prod: Orders), and one expansion serves them all."
    )


@pytest.mark.parametrize(
    ("resources", "complaint"),
    [
        ("[N, !Ref Unknown, {'T${N}': {Type: A}}]", r"Unknown\"} is not known when .* is built\."),
        ("[N, !Ref Stored, {'T${N}': {Type: A}}]", r"Stored\"} is not known when the template"),
        ("[N, !GetAtt [A, B], {'T${N}': {Type: A}}]", "is not known when the template is built"),
        ("[N, [[a]], {'T${N}': {Type: A}}]", "is not known when the template is built"),
        ("[N, [a, b], {T: {Type: A}}]", r"ForEach::T makes T twice\. Write its identifier"),
        (
            "[N, [a-b], {'T${N}': {Type: A}}]",
            r"Resources.Ta-b: a logical id .* `&\{\.\.\.\}` leaves out",
        ),
        ("[N, [a], {'T${N}': {}}]", r"Resources.Ta is not what .* a resource has a `Type`"),
        ("[N, [a]]", r"Resources.Fn::ForEach::T is not what CloudFormation knows: a loop is"),
        ("[[N], [a], {}]", r"T is not what CloudFormation knows: a loop is a list"),
        ("[N, [a], [b]]", r"T is not what CloudFormation knows: a loop is a list"),
        ("{}", r"T is not what CloudFormation knows: a loop is a list"),
        ("[Stored, [a], {'T': {Type: A}}]", r"identifier Stored is also that of a parameter"),
        (
            "[N, [a], {'Fn::ForEach::U': [N, [b], {'T${N}': {Type: A}}]}]",
            "its identifier N is also that of a loop around it",
        ),
    ],
)
def test_says_what_is_wrong_with_a_loop(resources: str, complaint: str) -> None:
    parameters = "Parameters: {Stored: {Type: AWS::SSM::Parameter::Value<String>, Default: /x}}\n"

    said = refused(parameters + f"Resources: {{'Fn::ForEach::T': {resources}}}\n")

    assert re.search(complaint, said)


def test_nests_no_deeper_than_cloudformation() -> None:
    body = f"{{'T${{A}}${{B}}${{C}}${{D}}${{E}}${{F}}': {{{TOPIC}}}}}"
    for identifier in "FEDCBA":
        body = f"{{'Fn::ForEach::L{identifier}': [{identifier}, [x], {body}]}}"

    assert "CloudFormation nests at most 5 loops" in refused(f"Resources: {body}\n")


def test_needs_the_transform() -> None:
    text = f"Resources: {{'Fn::ForEach::T': [N, [a], {{'T${{N}}': {{{TOPIC}}}}}]}}\n"

    with pytest.raises(TemplateError, match=r"t\.yaml: Resources\.Fn::ForEach::T: loops need the"):
        expand_loops(parse_template(text), "t.yaml")


def test_leaves_a_template_without_loops_as_it_is() -> None:
    template = parse_template(f"Resources: {{T: {{{TOPIC}}}}}\n")

    assert expand_loops(template) is template


@pytest.mark.parametrize(
    "text",
    [
        (
            "Resources:\n"
            "  Fn::ForEach::Areas:\n"
            "    - Area\n"
            "    - [Orders, Stock]\n"
            "    - Fn::ForEach::Topics:\n"
            "        - Name\n"
            "        - [In.fifo, Out.fifo]\n"
            f"        - ${{Area}}&{{Name}}: {{{TOPIC}, Properties: {{TopicName: !Ref Name}}}}\n"
            "Outputs:\n"
            "  Fn::ForEach::O: [N, [Orders], {'${N}Arn': {Value: !GetAtt '${N}Infifo.TopicArn'}}]\n"
        ),
        (
            NAMES + "Conditions:\n"
            "  Fn::ForEach::C: [N, !Ref Names, {'Is${N}': !Equals ['${N}', Orders]}]\n"
            f"Resources: {{'Fn::ForEach::T': [N, !Ref Names, {{'T${{N}}': {{{TOPIC},"
            " Condition: 'Is${N}'}}]}\n"
        ),
    ],
)
def test_does_as_sam_does(text: str) -> None:
    """AWS's own implementation for its command line, which the build does not install."""
    template = parse_template(HEAD + text)

    theirs = process_template_for_sam_cli(template)

    ours = expand_loops(template)
    assert ours["Resources"] == theirs["Resources"]
    assert ours.get("Conditions", {}).keys() == theirs.get("Conditions", {}).keys()
    assert ours.get("Outputs") == theirs.get("Outputs")


def test_functions_of_a_loop_are_packaged_and_released(
    application: MakeApplication, tmp_path: Path
) -> None:
    folder = application("plain")
    write(
        folder,
        {
            "template.yaml": HEAD + "Resources:\n"
            "  Fn::ForEach::Functions:\n"
            "    - Name\n"
            "    - [Orders, Stock]\n"
            "    - ${Name}Function:\n"
            "        Type: AWS::Serverless::Function\n"
            "        Properties:\n"
            "          CodeUri: !Sub code/${Name}\n"
            "          Handler: app.handler\n"
            "          Runtime: python3.12\n"
            "          AutoPublishAlias: live\n",
            "code/Orders/app.py": "def handler(event, context): return 1\n",
            "code/Stock/app.py": "def handler(event, context): return 2\n",
        },
    )

    contents = build_artifact(folder, output=tmp_path / "built").contents

    assert [alias.function for alias in contents.aliases] == ["OrdersFunction", "StockFunction"]
    assert len(contents.packages) == 3  # and the source
