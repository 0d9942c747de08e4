"""A change of configuration publishes a version, as a change of code does."""

from typing import Any

import pytest

from support.applications import Expand
from tidegate.build.expand import Expansion, expand_template
from tidegate.build.template import parse_template
from tidegate.core.model.artifact import CONFIGURATIONS_PARAMETER, configurations

FUNCTION = """
Parameters: {Stage: {Type: String, Default: test}, Size: {Type: Number, Default: 128}}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
Mappings: {Levels: {prod: {level: INFO}}}
Resources:
  Layer: {Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: b, S3Key: one}}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {BillingMode: PAY_PER_REQUEST}}
  F:
    Type: AWS::Lambda::Function
    Properties:
      Code: {S3Bucket: b, S3Key: k}
      Layers: [!Ref Layer]
      Runtime: python3.12
      Timeout: !If [IsProd, 10, 20]
      Environment: {Variables: {TABLE: !Ref Table, LEVEL: !FindInMap [Levels, prod, level]}}
  V: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref F}}
  A: {Type: AWS::Lambda::Alias,
      Properties: {Name: live, FunctionName: !Ref F, FunctionVersion: !GetAtt V.Version}}
"""


def described(template: Any) -> tuple[Any, Any]:
    """The descriptions of the function and of its version, once taken over."""
    resources = expand_template(template).template["Resources"]
    return tuple(resources[name]["Properties"]["Description"] for name in ("F", "V"))  # type: ignore[return-value]


def changed(path: str, value: Any) -> Any:
    """The template, with another value at this place."""
    template: Any = parse_template(FUNCTION)
    *parents, last = path.split("/")
    place = template
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return template


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Resources/F/Properties/Environment/Variables/LEVEL", "DEBUG"),
        ("Resources/F/Properties/MemorySize", 512),
        ("Resources/F/Properties/MemorySize", {"Ref": "Size"}),
        ("Resources/F/Properties/Runtime", "python3.13"),
        ("Resources/F/Properties/Architectures", ["arm64"]),
        ("Resources/F/Properties/Layers", []),
        ("Resources/F/Properties/Code/S3Key", "other"),
        ("Resources/F/Properties/Timeout", None),
        ("Resources/F/Properties/Description", "Other"),
        ("Resources/Layer/Properties/Content/S3Key", "two"),
        ("Conditions/IsProd", {"Fn::Equals": [{"Ref": "Stage"}, "production"]}),
        ("Mappings/Levels/prod/level", "DEBUG"),
        ("Parameters/Stage/Default", "dev"),
    ],
)
def test_whatever_a_version_holds_describes_it(path: str, value: Any) -> None:
    before, after = described(parse_template(FUNCTION)), described(changed(path, value))

    assert all(one != other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Resources/F/Properties/Tags", [{"Key": "team", "Value": "shop"}]),
        ("Resources/F/Properties/ReservedConcurrentExecutions", 5),
        ("Resources/Table/Properties/BillingMode", "PROVISIONED"),
        ("Parameters/Size/Default", 256),
        ("Parameters/Stage/Description", "Which one"),
    ],
)
def test_what_a_version_does_not_hold_publishes_none(path: str, value: Any) -> None:
    assert described(changed(path, value)) == described(parse_template(FUNCTION))


def test_a_stages_parameters_are_fingerprinted_by_the_release() -> None:
    expansion = expand_template(parse_template(FUNCTION))
    (alias,) = expansion.aliases

    assert alias.inputs == ("Stage",)  # it asks for it by a condition, and not for the size
    assert {"Fn::Select": [0, {"Ref": CONFIGURATIONS_PARAMETER}]} in (
        expansion.template["Resources"]["V"]["Properties"]["Description"]["Fn::Join"][1]
    )
    prod = configurations(expansion.aliases, {"Stage": "prod", "Size": "1"})
    assert prod == configurations(expansion.aliases, {"Stage": "prod", "Size": "2"})
    assert prod != configurations(expansion.aliases, {"Stage": "test", "Size": "1"})
    default = expansion.template["Parameters"][CONFIGURATIONS_PARAMETER]["Default"]
    assert default == configurations(expansion.aliases, {})


def test_functions_without_parameters_need_none() -> None:
    expansion = expand_template(changed("Resources/F/Properties/Timeout", 3))

    assert CONFIGURATIONS_PARAMETER not in expansion.template["Parameters"]


def test_each_function_hears_of_its_own_parameters_only(expand: Expand) -> None:
    expansion = expand("globals")
    catalogue, search = expansion.aliases

    assert (catalogue.inputs, search.inputs) == (("LogLevel", "MemorySize"), ("LogLevel",))
    small, large = ({"MemorySize": size} for size in ("128", "256"))
    before, after = (configurations(expansion.aliases, p).split(",") for p in (small, large))
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize(
    ("theirs", "begins"),
    [
        ("Works", "Works [tidegate "),
        ("x" * 256, "x" * 200),
        (None, "[tidegate "),
    ],
)
def test_keeps_what_the_team_wrote_as_far_as_it_fits(theirs: str | None, begins: str) -> None:
    template = changed("Resources/F/Properties/Timeout", 3)
    template["Resources"]["F"]["Properties"]["Description"] = theirs or ""

    function, version = described(template)

    assert function == version
    assert function.startswith(begins)
    assert len(function) <= 256


def test_joins_what_only_a_stack_knows(expand: Expand) -> None:
    description = expand("conditions").template["Resources"]["Pay"]["Properties"]["Description"]

    theirs, *_ = description["Fn::Join"][1]
    assert theirs == {"Fn::If": ["IsProd", "The real one", ""]}


def test_a_version_with_a_description_of_its_own_keeps_it(expand: Expand) -> None:
    resources = expand("handwritten_codedeploy").template["Resources"]

    assert resources["Worker"]["Properties"]["Description"].startswith("Works [tidegate ")
    version = resources["WorkerVersion"]["Properties"]["Description"]
    assert version.startswith("Released by hand [tidegate ")


def test_two_aliases_of_one_version_describe_it_once() -> None:
    template = changed("Resources/F/Properties/Timeout", 3)
    template["Resources"]["B"] = {
        "Type": "AWS::Lambda::Alias",
        "Properties": {**template["Resources"]["A"]["Properties"], "Name": "next"},
    }

    function, version = described(template)

    assert (function.count("tidegate"), version.count("tidegate")) == (1, 1)


def notices(expansion: Expansion) -> str:
    return "\n".join(expansion.report.notices)


def test_says_which_values_it_cannot_follow(expand: Expand) -> None:
    expansion = expand("elsewhere")

    assert expansion.aliases[0].inputs == ("Endpoint",)  # and not the password
    assert "Client takes Endpoint from Parameter Store" in notices(expansion)
    assert "Client depends on the parameter Password, which is not echoed" in notices(expansion)
    assert "Client has a dynamic reference" in notices(expansion)


def test_says_what_it_cannot_see(expand: Expand) -> None:
    said = notices(expand("unseen"))

    assert "Shared is a stack of its own (https://s3.amazonaws.com/shop-templates/shared" in said
    assert "Worker uses `Fn::Transform`" in said
    assert "Chosen stays with CloudFormation: its FunctionVersion is {" in said


def test_says_nothing_when_it_takes_over_everything(expand: Expand) -> None:
    assert notices(expand("plain")) == ""
