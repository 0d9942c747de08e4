"""Whatever stands in a template, the build takes it or says in its own words what is wrong."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.applications import TEMPLATES
from tidegate.build.callbacks import find_callbacks
from tidegate.build.events import event_metrics
from tidegate.build.expand import Setting, expand_template
from tidegate.build.loops import expand_loops
from tidegate.build.package import PackageStore, package_code
from tidegate.build.template import parse_template, walk
from tidegate.core.errors import TemplateError

CODE = {"CodeUri", "ContentUri", "DefinitionUri", "Code", "Content", "DefinitionS3Location"}
SETTINGS = (Setting("test"), Setting("prod", {"Stage": "prod"}))
WHOLE = """
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Stage: {Type: String, Default: test, AllowedValues: [test, prod]}
  Names: {Type: CommaDelimitedList, Default: "Orders,Stock"}
Mappings: {Of: {test: {Kept: Retain}, prod: {Kept: Retain}}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  Both: !And [!Condition IsProd, !Not [!Or [!Condition IsProd, !Equals [a, b]]]]
Globals:
  Function:
    Runtime: python3.12
    AutoPublishAlias: live
    DeploymentPreference:
      Type: Canary10Percent5Minutes
      Hooks: {PreTraffic: !Ref Before}
      Alarms: [!Ref Alarm]
      TriggerConfigurations:
        - {TriggerTargetArn: !Ref Topic, TriggerName: t, TriggerEvents: [DeploymentFailure]}
Resources:
  Topic: {Type: AWS::SNS::Topic}
  Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {Dimensions: [{Name: a, Value: !Ref Shop}]}}
  Before:
    Type: AWS::Serverless::Function
    Properties: {InlineCode: x, Handler: a.b, DeploymentPreference: {Enabled: false}}
  Shop:
    Type: AWS::Serverless::Function
    DependsOn: [Topic]
    Condition: IsProd
    Properties:
      CodeUri: {Bucket: b, Key: k}
      Handler: a.b
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: !If [IsProd, 2, 1]}
      Environment: {Variables: {A: !Sub ["${x}", {x: !GetAtt Topic.TopicName}]}}
      Events:
        Queue: {Type: SQS, Properties: {Queue: !GetAtt Orders.Arn}}
        Web: {Type: Api, Properties: {Path: /, Method: get}}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: {Bucket: b, Key: k}
      RetentionPolicy: !FindInMap [Of, !Ref Stage, Kept]
  Plain: {Type: AWS::Lambda::Function, Properties: {FunctionName: p, Code: {ZipFile: x}}}
  Version: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Plain}}
  Live:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: p, FunctionVersion: !GetAtt Version.Version, Name: live}
  Mapped:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref Live, EventSourceArn: !GetAtt Orders.Arn}
  Scaled:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties: {ServiceNamespace: ecs, ResourceId: !Sub "x:${Plain}"}
  Fn::ForEach::Queues: [N, !Ref Names, {"${N}": {Type: AWS::SQS::Queue}}]
Outputs:
  Fn::ForEach::Out: [N, !Ref Names, {"${N}Url": {Value: !Ref "${N}"}}]
"""
INTRINSICS = (
    *("Ref", "Condition", "Fn::If", "Fn::Sub", "Fn::GetAtt", "Fn::FindInMap", "Fn::Equals"),
    *("Fn::And", "Fn::Or", "Fn::Not", "Fn::ForEach::X", "Fn::Join"),
)

scalars = st.sampled_from([None, True, False, 0, -1, 1.5, "", "x", "Shop", "Orders", "IsProd"])
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(INTRINSICS), inner, min_size=1, max_size=1)
        | st.dictionaries(
            st.sampled_from(["Type", "Properties", "Name", "1", ""]), inner, max_size=2
        )
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else items:
        yield from places(item, (*path, key))


def parse(name: str) -> dict[str, Any]:
    """A sound template, its code in a bucket."""
    template = parse_template(WHOLE if name == "whole" else (TEMPLATES / name).read_text())
    for part in walk(template):
        if isinstance(part, dict):
            for key in CODE & part.keys():
                part[key] = "s3://bucket/key" if isinstance(part[key], str) else part[key]
    return template


SOUND = {name: parse(name) for name in ["whole", *sorted(p.name for p in TEMPLATES.iterdir())]}
WAYS = {name: list(places(template)) for name, template in SOUND.items()}


@st.composite
def malformed(draw: st.DrawFn) -> dict[str, Any]:
    """A template in which one to three places hold something else, or nothing."""
    name = draw(st.sampled_from(["whole", *SOUND]))
    template = copy.deepcopy(SOUND[name])
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(WAYS[name]))
        parent: Any = template
        for part in way:
            try:
                parent = parent[part]
            except (KeyError, IndexError, TypeError):  # an earlier change took it away
                break
        else:
            if not isinstance(parent, dict | list):
                continue
            if isinstance(parent, dict) and draw(st.booleans()):
                parent.pop(last, None)
                if draw(st.booleans()):
                    parent[draw(st.sampled_from(["", "1", "a-b", "Fn::ForEach::Y", "Ref"]))] = draw(
                        junk
                    )
            elif isinstance(parent, dict) or (isinstance(last, int) and last < len(parent)):
                parent[last] = draw(junk)
    return template


class _NamedPackages(PackageStore):
    """Packs nothing, and finds all code there is."""

    def add_code(self, source: Path) -> str:
        return "code.zip"

    def add_file(self, source: Path, *, suffix: str = "") -> str:
        return "file"


def build(text: str) -> str:
    """What a build does with a template, up to the upload."""
    store = _NamedPackages(Path("out"), "packages")
    template = expand_loops(parse_template(text), "template.yaml", SETTINGS)
    package_code(template, Path("template.yaml"), store)
    expansion = expand_template(template, "template.yaml", SETTINGS)
    event_metrics(expansion.template, expansion.aliases)
    hooks = [
        hook for d in expansion.defaults.values() for hook in (*d.pre_traffic, *d.post_traffic)
    ]
    list(find_callbacks(expansion.template, hooks, store))
    return json.dumps(expansion.template, sort_keys=True)


def complaint(act: Callable[[], object]) -> str:
    """What our own error says; any other comes out. All messages begin with the file."""
    try:
        act()
    except TemplateError as error:
        return error.message
    return "template.yaml is taken"


@pytest.mark.parametrize("name", sorted(SOUND))
def test_the_templates_are_sound_as_they_are(name: str) -> None:
    assert "AWS::Lambda::Alias" in build(json.dumps(SOUND[name]))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(template=malformed())
def test_only_own_errors_come_out_of_a_malformed_template(template: dict[str, Any]) -> None:
    assert complaint(lambda: build(json.dumps(template))).startswith("template.yaml")


@settings(deadline=None)
@given(
    text=st.text(
        st.sampled_from("Resources:{}[]!&*Ref ~|>-\n\t\"'%?<#\x00\u2028\ud800"), max_size=60
    )
)
@example("Resources: {A: !Ref")
@example("? [a]\n: b")
@example("--- a\n--- b")
@example("Resources: {A: {Type: !!binary x}}")
@example("Resources: {A: {Type: A, Properties: {P: !!int x, Q: !!timestamp y}}}")
def test_only_own_errors_come_out_of_any_text(text: str) -> None:
    said = complaint(lambda: parse_template(f"Resources: {{}}\n{text}", "template.yaml"))

    assert said.startswith("template.yaml")
