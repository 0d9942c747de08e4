"""What a preview tells of a deployment before anybody agrees to it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.story import CANARY, MANIFEST, PROD, TEST, Story
from tidegate.core.model.artifact import Package
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Preview
from tidegate.core.ports import Change, ChangeSet, ResourceChange, StackSpec, StackState
from tidegate.core.workflow.records import find, plan_of
from tidegate.core.workflow.release.artifacts import read_contents
from tidegate.core.workflow.stage.change_preview import Prospect, _is_new, _new_code, make_preview
from tidegate.testing.application import BUCKET, MemoryApplication

REFERENCE = "{{resolve:secretsmanager:stage}}"
FORBIDDING = MANIFEST + "forbid_irreversible: true\n"


def shown(story: Story, number: int, target: str = PROD) -> Preview:
    stage = "prod" if target == PROD else "test"
    found = find(
        story.world.ledger, Preview, release_id=f"hello-{number}", stage=stage, target=target
    )
    assert found
    return found


def test_tells_old_version_and_code_of_each_function(live: Story) -> None:
    live.release("two")
    hello, bye = shown(live, 2).functions
    assert (hello.function, hello.alias, hello.old_version) == ("Hello", "live", "1")
    assert hello.publishes
    assert bye.old_code.startswith("sha256:")
    assert hello.not_canaried == ()


def test_first_deployment_has_nothing_to_compare_with(story: Story) -> None:
    story.release("one")
    first = shown(story, 1)
    assert first.first_deployment
    assert {line.old_version for line in first.functions} == {""}
    assert first.functions[0].not_canaried == (
        "nothing serves yet: the first version has all traffic at once",
    )
    assert ("Stage", "", "prod") in {(p.name, p.old, p.new) for p in first.parameters}


def test_role_that_changes_is_what_no_weight_can_serve(live: Story) -> None:
    live.release("two", role="other")
    (why,) = shown(live, 2).functions[0].not_canaried
    assert why.startswith("its execution role changes")
    assert shown(live, 2, TEST).functions[0].not_canaried == ()  # it goes all at once anyway


def test_names_callers_in_the_account_that_go_past_the_alias(live: Story) -> None:
    live.at(PROD).versions.callers["hello-prod-Bye"] = ["sqs calls it without the alias"]
    live.release("two")
    assert shown(live, 2).functions[1].not_canaried == ("sqs calls it without the alias",)


def test_nothing_to_deploy_has_nothing_to_tell(live: Story) -> None:
    live.release("one")
    same = shown(live, 2)
    assert (same.change_set, same.functions, same.parameters) == ("", (), ())


def rebuild(story: Story, code: str, *, change: Any, role: str = "role") -> ArtifactRef:
    """Let builds of this application come out otherwise."""
    template = MemoryApplication._template

    def changed(self: MemoryApplication, code: str, role: str) -> Any:
        made = dict(template(self, code, role))
        change(made)
        return made

    story.application.__class__ = type("Changed", (MemoryApplication,), {"_template": changed})
    return story.application.build(code, role=role)


def test_removed_table_is_marked_and_may_be_forbidden() -> None:
    story = Story(FORBIDDING)
    assert story.release("one") == "succeeded"
    rebuild(story, "two", change=lambda template: template["Resources"].pop("Table"))
    assert story.release("two") == "failed"
    assert story.get(2).error == "ChangeIrreversible"
    assert "Table (AWS::DynamoDB::Table): it is deleted with what it holds" in story.get(2).cause
    assert story.serves() == {"Hello": ("1", {}), "Bye": ("1", {})}
    (lost,) = [change for change in shown(story, 2, TEST).changes if change.irreversible]
    assert lost.logical_id == "Table"


def test_what_is_not_forbidden_is_only_marked(live: Story) -> None:
    rebuild(live, "two", change=lambda template: template["Resources"].pop("Table"))
    assert live.release("two") == "succeeded"
    assert any(change.irreversible for change in shown(live, 2).changes)


def test_release_that_loses_nothing_is_not_refused() -> None:
    story = Story(FORBIDDING)
    assert [story.release("one"), story.release("two")] == ["succeeded", "succeeded"]


def test_function_without_an_alias_serves_at_once(live: Story) -> None:
    live.application.hooks = (*live.application.hooks, "Nightly")
    live.release("two")
    nightly = shown(live, 2).functions[-1]
    assert (nightly.function, nightly.alias) == ("Nightly", "")
    assert nightly.not_canaried == ("it has no alias: what is new serves at once",)


def test_secrets_and_our_own_parameters_are_not_shown(story: Story) -> None:
    def hide(template: dict[str, Any]) -> None:
        template["Parameters"]["Stage"]["NoEcho"] = True

    story.application.manifest = re.sub(
        r"Stage: \w+", f"Stage: '{REFERENCE}'", story.application.manifest
    )
    rebuild(story, "one", change=hide)
    assert story.release("one") == "succeeded"
    assert shown(story, 1).parameters == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [("Modify", False), ("Add", True), ("Replace", True)],
)
def test_role_changes_only_when_what_it_refers_to_is_new(change: str, said: bool) -> None:
    prospect = prospect_of(ResourceChange("HelloRole", "AWS::IAM::Role", Change(change)))
    assert _is_new(prospect, {"Fn::GetAtt": ["HelloRole", "Arn"]}) is said
    assert _is_new(prospect, "arn:aws:iam::111111111111:role/other")


def prospect_of(*changes: Any) -> Prospect:
    story = Story()
    story.release("one")
    plan = plan_of(story.world.ledger, "hello-1")
    contents = read_contents(story.world.artifacts, plan.artifact)
    stage = plan.stage("prod")
    key = f"{plan.artifact.prefix}/template.json"
    return Prospect(
        stage=stage,
        target=stage.target(PROD),
        contents=contents.model_copy(
            update={"packages": (Package(key="packages/a.zip", sha256="a" * 64),)}
        ),
        template=json.loads(story.world.artifacts.read(BUCKET, key)),
        spec=StackSpec("hello-prod", "s3://artifacts/template.json", {}),
        before=StackState(exists=True, resources={}),
        change_set=ChangeSet("arn", "hello-prod", first_deployment=False, changes=changes),
    )


def test_function_whose_code_did_not_change_publishes_nothing() -> None:
    prospect = prospect_of(ResourceChange("Table", "AWS::DynamoDB::Table", Change.MODIFY))
    alias = prospect.contents.aliases[0]
    prospect.before.resources[alias.version_logical_id] = "arn:aws:lambda:x:1:function:f:1"
    world = Story().at(PROD).ports()
    hello, bye = make_preview(world, "hello-2", prospect).functions
    assert (hello.publishes, hello.not_canaried) == (False, ())
    assert bye.publishes


def test_callers_in_the_template_go_before_those_in_the_account(live: Story) -> None:
    live.at(PROD).versions.callers["hello-prod-Hello"] = ["the event source q calls it"]
    url = {"Type": "AWS::Lambda::Url", "Properties": {"TargetFunctionArn": {"Ref": "Hello"}}}
    rebuild(live, "two", change=lambda template: template["Resources"].update(Url=url))
    live.release("two")
    assert shown(live, 2).functions[0].not_canaried == (
        "Url (AWS::Lambda::Url) calls it without the alias",
    )


@pytest.mark.parametrize(
    ("code", "digest"),
    [
        ({"S3Bucket": "b", "S3Key": "packages/a.zip"}, "sha256:" + "a" * 64),
        ({"ImageUri": "repository@sha256:" + "b" * 64}, "sha256:" + "b" * 64),
        ({"ZipFile": "inline"}, ""),
    ],
)
def test_new_code_is_known_by_its_package_or_image(code: dict[str, str], digest: str) -> None:
    prospect = prospect_of()
    prospect.template["Resources"]["Hello"]["Properties"]["Code"] = code
    assert _new_code(prospect, "Hello") == digest


def test_a_target_takes_its_packages_from_a_bucket_of_its_own_region() -> None:
    story = Story(CANARY.replace("[eu-west-1]", "[eu-west-1, us-east-1]"))
    story.application.buckets = {"us-east-1": "artifacts-us-east-1"}
    far = story.application.build("one")
    assert story.machines.release(far, story.next_execution()) == "succeeded"
    buckets = {
        region: story.at(f"333333333333/{region}")
        .stacks.state("hello-prod")
        .parameters["TidegateArtifactBucket"]
        for region in ("eu-west-1", "us-east-1")
    }
    assert buckets == {"eu-west-1": BUCKET, "us-east-1": "artifacts-us-east-1"}
