"""A template that is swapped after the build makes nothing in any stage, at any time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from support.story import PROD, Story
from tidegate.core.model.record import ReleasePhase, Rollout, RolloutPhase
from tidegate.core.ports import Change, ChangeSet, ResourceChange
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.testing.application import BUCKET

BOB = Operator("bob")
BACK_DOOR = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {"Principal": "*", "Action": "lambda:InvokeFunction"},
}
UNTOUCHED = {"Hello": ("1", {}), "Bye": ("1", {})}
CANDIDATE = {"Hello": ("2", {}), "Bye": ("2", {})}


@pytest.fixture
def live() -> Story:
    """Prod asks a person, and the first release is live everywhere."""
    story = Story(approval="approval: {}")
    story.machines.while_waiting = lambda ref, stage: agree(story, ref.id)
    assert story.release("one") == "succeeded"
    return story


def agree(story: Story, release: str) -> None:
    approve(story.ports, BOB, release)


def swapped(story: Story, code: str) -> bytes:
    """The template of this code, with a permission for everybody and another version."""
    artifact = story.application.build(code)
    key = f"{artifact.prefix}/template.json"
    template = json.loads(story.world.artifacts.read(BUCKET, key))
    template["Resources"]["BackDoor"] = BACK_DOOR
    version = next(n for n in template["Resources"] if n.startswith("HelloVersion"))
    template["Resources"]["HelloVersionEvil"] = template["Resources"].pop(version)
    text = json.dumps(template).replace(version, "HelloVersionEvil")
    return text.encode()


def overwrite(story: Story, code: str) -> None:
    """As anybody can who may write to the bucket: the kept versions stay."""
    key = f"{story.application.build(code).prefix}/template.json"
    story.world.artifacts.store(BUCKET, key, swapped(story, code))


def forge(story: Story, code: str) -> None:
    """In place even of what is kept: more than S3 lets anybody do."""
    key = f"{story.application.build(code).prefix}/template.json"
    content = swapped(story, code)
    versions = story.world.artifacts._objects[BUCKET, key]
    versions.update(dict.fromkeys(versions, content))


def while_waiting(story: Story, attack: Callable[[], object]) -> None:
    def act(ref: Any, _: str) -> None:
        attack()
        agree(story, ref.id)

    story.machines.while_waiting = act


def at_the_last_look(story: Story, attack: Callable[[], object]) -> None:
    """The attack comes when prod bakes: between the deployment and the finish."""
    done: list[bool] = []

    def bake(ref: Any, seconds: int) -> None:
        story.serve(ref, seconds)
        if ref.stage == "prod" and not done:
            done.append(True)
            attack()

    story.machines.while_baking = bake


def resources(story: Story) -> set[str]:
    return set(story.at(PROD).stacks.state("hello-prod").resources)


def test_a_template_put_over_the_approved_one_is_not_what_prod_gets(live: Story) -> None:
    while_waiting(live, lambda: overwrite(live, "two"))

    assert live.release("two") == "succeeded"

    assert "BackDoor" not in resources(live)
    assert live.serves() == CANDIDATE


def test_a_template_in_place_of_the_approved_one_is_not_deployed(live: Story) -> None:
    while_waiting(live, lambda: forge(live, "two"))

    assert live.release("two") == "failed"

    assert live.get(2).error == "ArtifactError"
    assert "BackDoor" not in resources(live)
    assert live.serves() == UNTOUCHED


def test_a_finish_deploys_no_other_template(live: Story) -> None:
    at_the_last_look(live, lambda: forge(live, "two"))

    assert live.release("two") == "stuck"

    assert "has the SHA-256" in live.get(2).cause
    assert "BackDoor" not in resources(live)
    assert live.serves() == CANDIDATE  # it was validated, and keeps the traffic


def test_a_restore_makes_the_stack_from_no_other_template(live: Story) -> None:
    live.error_rates["2"] = 1.0
    at_the_last_look(live, lambda: forge(live, "one"))

    assert live.release("two") == "stuck"

    assert "BackDoor" not in resources(live)
    assert live.serves() == UNTOUCHED


def test_a_finish_that_would_change_more_than_the_pins_stops(live: Story) -> None:
    """Somebody works on the stack in the meantime: what they did nobody has seen or approved."""

    def attack() -> None:
        stack = live.at(PROD).stacks._stacks["hello-prod"]
        stack.template = {**stack.template, "BackDoor": BACK_DOOR}

    at_the_last_look(live, attack)

    assert live.release("two") == "stuck"

    assert live.get(2).error == "FinishFailed"
    assert "would change more than them: Remove BackDoor" in live.get(2).cause
    assert live.serves() == CANDIDATE


MORE = [
    ResourceChange("Extra", "AWS::Lambda::Permission", Change.ADD),
    ResourceChange("Table", "AWS::DynamoDB::Table", Change.MODIFY, ("KeySchema",)),
    ResourceChange("Table", "AWS::DynamoDB::Table", Change.MODIFY),
    ResourceChange("HelloAliaslive", "AWS::Lambda::Alias", Change.MODIFY, ("Description",)),
    ResourceChange("HelloAliaslive", "AWS::Lambda::Alias", Change.REPLACE, ("FunctionVersion",)),
    ResourceChange("Hook", "AWS::Lambda::Permission", Change.MODIFY, ("Alias",), may_replace=True),
    ResourceChange("Hello", "AWS::Lambda::Function", Change.MODIFY, ("Code",)),
]


def finish_also_changes(story: Story, *changes: ResourceChange) -> None:
    """What CloudFormation says that taking the pins off would do."""
    stacks = story.at(PROD).stacks
    preview = stacks.preview

    def more(spec: Any, token: str) -> ChangeSet | None:
        made = preview(spec, token)
        if made is None or not token.endswith("-finish"):
            return made
        return dataclasses.replace(made, changes=(*made.changes, *changes))

    stacks.preview = more  # type: ignore[method-assign]


@pytest.mark.parametrize("change", MORE, ids=str)
def test_no_change_but_that_of_a_pin_slips_through_a_finish(
    live: Story, change: ResourceChange
) -> None:
    finish_also_changes(live, change)
    assert live.release("two") == "stuck"
    assert live.get(2).error == "FinishFailed"
    assert change.logical_id in live.get(2).cause
    assert live.serves() == CANDIDATE


def test_what_only_refers_to_an_alias_is_no_change_of_its_own(live: Story) -> None:
    """CloudFormation lists whatever refers to a resource that changes, though its name stays."""
    more = {
        "Url": {
            "Type": "AWS::Lambda::Url",
            "Properties": {"TargetFunctionArn": {"Fn::Sub": "${HelloAliaslive}"}},
        },
        "Site": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {"Origin": {"Fn::GetAtt": ["Url", "FunctionUrl"]}},
        },
    }
    template = live.application._template

    def with_url(code: str, role: str) -> Any:
        made = template(code, role)
        return {**made, "Resources": {**made["Resources"], **more}}

    live.application._template = with_url  # type: ignore[method-assign]
    finish_also_changes(
        live,
        ResourceChange("Site", "AWS::CloudFront::Distribution", Change.MODIFY, ("Origin",)),
        ResourceChange(
            "Url", "AWS::Lambda::Url", Change.MODIFY, ("TargetFunctionArn",), may_replace=True
        ),
    )
    assert live.release("two") == "succeeded"
    assert live.serves() == CANDIDATE


def test_a_finish_goes_on_where_somebody_elses_update_was_taken_back(live: Story) -> None:
    """That is no attempt of ours: there is nothing to wait for, and nothing more to change."""
    stacks = live.at(PROD).stacks
    failed = ("hello-prod", "UPDATE_ROLLBACK_COMPLETE", "theirs failed")
    at_the_last_look(live, lambda: stacks.overtake(*failed))
    assert live.release("two") == "succeeded"
    assert live.serves() == CANDIDATE
    assert live.rollout(2).retries == 0


def test_a_finish_without_a_change_is_done(live: Story) -> None:
    stacks = live.at(PROD).stacks
    preview = stacks.preview

    def nothing_left(spec: Any, token: str) -> ChangeSet | None:
        made = preview(spec, token)
        if made is None or not token.endswith("-finish"):
            return made
        return dataclasses.replace(made, changes=())

    stacks.preview = nothing_left  # type: ignore[method-assign]
    assert live.release("two") == "succeeded"
    assert live.rollout(2).unpinning == 0
    assert live.serves() == CANDIDATE


def test_a_release_does_not_succeed_with_an_alias_on_a_version_that_nobody_validated(
    live: Story,
) -> None:
    """The alias is moved while the pins are taken off, when no evaluation is taken any more."""
    stacks, aliases = live.at(PROD).stacks, live.at(PROD).aliases
    execute = stacks.execute

    def and_move(change_set: str, token: str) -> None:
        execute(change_set, token)
        if token.endswith("-finish"):
            stacks.functions.publish("hello-prod-Hello")
            aliases.set("hello-prod-Hello", "live", "3")

    stacks.execute = and_move  # type: ignore[method-assign]

    assert live.release("two") == "stuck"

    rollout = find(live.world.ledger, Rollout, release_id="hello-2", stage="prod", target=PROD)
    assert rollout
    assert rollout.phase is RolloutPhase.STUCK
    assert live.get(2).phase is ReleasePhase.STUCK
    assert "hello-prod-Hello:live serves version 3, expected version 2" in live.get(2).cause
