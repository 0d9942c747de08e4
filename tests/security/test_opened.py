"""Nothing is opened to others, and no guard taken away, unseen by the people who approve."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.applications import write
from support.story import CANARY, PROD, Story
from tidegate.cli.app import app
from tidegate.cli.tree import release_node
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.views import Severity
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Preview, SecurityLine
from tidegate.core.workflow.notify import PublishedEvent, notify
from tidegate.core.workflow.records import find
from tidegate.testing.application import BUCKET

TOPIC = "arn:aws:sns:eu-west-1:333333333333:hello-releases"
ASKING = CANARY.replace("strategy:", "approval: true\n    strategy:")
STRANGER = "arn:aws:iam::999999999999:root"


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def statement(**said: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **said}]}


ATTACKS = {
    "url": (
        resource("Lambda::Url", AuthType="NONE", TargetFunctionArn={"Ref": "Hello"}),
        "is a public URL: everybody may call ${Hello}, unsigned",
    ),
    "permission": (
        resource("Lambda::Permission", Principal="*", FunctionName={"Ref": "Hello"}),
        "lets everybody call ${Hello}",
    ),
    "account": (
        resource("Lambda::Permission", Principal="999999999999", FunctionName={"Ref": "Hello"}),
        "lets account 999999999999 call ${Hello}",
    ),
    "trust": (
        resource("IAM::Role", AssumeRolePolicyDocument=statement(Principal={"AWS": STRANGER})),
        "may be assumed by account 999999999999",
    ),
    "administrator": (
        resource("IAM::Role", ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        "has AdministratorAccess",
    ),
    "everything": (
        resource("IAM::Policy", PolicyDocument=statement(Action="*", Resource="*")),
        "may do everything on *",
    ),
    "bucket": (
        resource("S3::BucketPolicy", PolicyDocument=statement(Action="s3:Get*", Principal="*")),
        "lets everybody do s3:Get*",
    ),
    "unknown": (
        resource("Lambda::Permission", Principal={"Fn::ImportValue": "x"}, FunctionName="f"),
        'lets somebody who is not known here: ${{"Fn::ImportValue":"x"}} call f',
    ),
}


@pytest.fixture
def live() -> Story:
    """The first release is live. Nobody answers what is asked after it."""
    story = Story(CANARY)
    assert story.release("one") == "succeeded"
    story.application.manifest = f"{ASKING}notifications:\n  - {{topic: '{TOPIC}'}}\n"
    return story


def shown(story: Story, number: int = 2) -> tuple[SecurityLine, ...]:
    release = f"hello-{number}"
    found = find(story.world.ledger, Preview, release_id=release, stage="prod", target=PROD)
    assert found
    return found.security


@pytest.mark.parametrize("name", ATTACKS)
def test_no_approval_without_seeing_what_is_opened(live: Story, name: str) -> None:
    live.application.resources["It"], what = ATTACKS[name]
    live.release("two")
    assert shown(live) == (SecurityLine(logical_id="It", what=what),)


def test_no_code_signing_goes_unseen(live: Story) -> None:
    signed = resource("Lambda::Function", CodeSigningConfigArn="arn:signed", Code={}, Role="r")
    before = Story(CANARY)
    before.application.resources["Signed"] = signed
    before.release("one")
    unsigned = resource("Lambda::Function", Code={}, Role="r")
    before.application.resources["Signed"] = unsigned
    before.release("two")
    assert [line.what for line in shown(before)] == ["loses its code signing, which was arn:signed"]


def test_what_is_open_already_is_not_said_again_and_hides_nothing(live: Story) -> None:
    live.machines.while_waiting = lambda ref, stage: None
    story = Story(CANARY)
    story.application.resources["Old"], _ = ATTACKS["url"]
    story.release("one")
    assert len(shown(story, 1)) == 1
    story.application.resources["New"], _ = ATTACKS["trust"]
    story.release("two")
    assert [line.logical_id for line in shown(story)] == ["New"]


def test_a_live_template_that_is_gone_hides_nothing(live: Story) -> None:
    for key in [key for key in live.world.artifacts._objects if key[1].endswith("template.json")]:
        del live.world.artifacts._objects[key]
    live.application.resources["It"], what = ATTACKS["trust"]
    live.release("two")
    first, last = shown(live)
    assert (first.logical_id, first.what) == ("It", what)
    assert "is not compared" in last.what


def test_a_preview_without_changes_says_nothing(live: Story) -> None:
    live.release("one")
    assert shown(live) == ()


def test_the_person_who_is_asked_reads_it_under_a_heading_and_colour_of_its_own(
    live: Story,
) -> None:
    seen: list[Any] = []

    def look(ref: ReleaseRef, stage: str) -> None:
        view = release_view(live.get(2), live.items(2, ""), live.world.clock.now())
        (prod,) = (child for child in release_node(view).children if child.name == "prod")
        (rollout,) = (child for child in prod.children if child.name == PROD)
        seen.extend(child for child in rollout.children if child.name == "security")

    live.machines.while_waiting = look
    live.application.resources["It"], what = ATTACKS["trust"]
    live.release("two")
    (heading,) = seen
    assert (heading.severity, heading.status) == (Severity.SECURITY, "changes who may do what")
    (line,) = heading.children
    assert (line.name, line.severity, line.info) == ("It", Severity.SECURITY, what)


def test_the_message_that_asks_for_an_approval_says_it(live: Story) -> None:
    def tell(ref: ReleaseRef, stage: str) -> None:
        notify(live.ports, PublishedEvent(release=ref, stage=stage))

    live.at(PROD).topics.messages = {TOPIC: []}
    live.machines.while_waiting = tell
    live.application.resources["It"], what = ATTACKS["trust"]
    live.release("two")
    ((_, text),) = live.at(PROD).topics.messages[TOPIC]
    assert f"SECURITY: It {what}." in text.splitlines()


SAM = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Auth: {Type: String, Default: NONE}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): pass"
      Handler: index.handler
      Runtime: python3.12
      AutoPublishAlias: live
      FunctionUrlConfig: {AuthType: !Ref Auth}
      Policies: [AdministratorAccess]
"""
STAGES = """
version: 1
application: guide
stages:
  - name: test
    account: "222222222222"
    regions: [eu-west-1]
    strategy: all-at-once
    parameters: {Auth: AWS_IAM}
  - name: prod
    account: "333333333333"
    regions: [eu-west-1, eu-central-1]
    strategy: {canary: {weight: 10%, bake: 5m}}
"""


def planned(folder: Path, *options: str) -> str:
    write(folder, {"template.yaml": SAM, "tidegate.yaml": STAGES})
    result = CliRunner().invoke(app, ["plan", str(folder / "tidegate.yaml"), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_no_plan_without_what_the_template_opens(tmp_path: Path) -> None:
    text = " ".join(planned(tmp_path).split())
    assert "security: what the template lets others do" in text
    assert re.search(r"◆ HelloRole has AdministratorAccess", text)
    assert re.search(r"HelloUrl is a public URL: everybody may call .* unsigned \(in prod\)", text)


def test_a_plan_for_programs_has_it(tmp_path: Path) -> None:
    found = json.loads(planned(tmp_path, "--output", "json"))["security"]
    assert {"logical_id": "HelloRole", "what": "has AdministratorAccess"} in found
    assert BUCKET not in str(found)
