# the table reads as a table
"""A commit that opens its own gates is seen, and none reaches another team's account or record."""

from __future__ import annotations

from typing import Any

import pytest

from support.story import MANIFEST, PROD, Story
from tidegate.cli.tree import release_node
from tidegate.core.errors import ArtifactError, ManifestError
from tidegate.core.insight.release_view import release_view
from tidegate.core.model.manifest import parse_manifest
from tidegate.core.model.plan import ArtifactRef, ReleasePlan, ReleaseRef, StagePlan
from tidegate.core.model.record import Preview
from tidegate.core.planning.gates import changed_gates
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find, plan_of
from tidegate.core.workflow.release.artifacts import check_place

TWO = "approval: {approvers: 2, author_may_approve: false}"
CONTROLLER = "111111111111"
BUCKET = f"tidegate-hello-{CONTROLLER}-eu-west-1"
DIGEST = "0" * 64
HELLO = ArtifactRef(
    application="hello",
    digest=f"sha256:{DIGEST}",
    bucket=BUCKET,
    prefix=f"applications/hello/artifacts/{DIGEST}",
    commit="c0ffee",
)


@pytest.fixture
def story() -> Story:
    """The first release is live: two people agreed, and hooks and tests passed."""
    story = Story(approval=TWO)
    story.machines.while_waiting = lambda ref, stage: agree(story, ref)
    assert story.release("one") == "succeeded"
    return story


def agree(story: Story, ref: ReleaseRef) -> None:
    for name in ("bea", "cy"):
        approve(story.ports, Operator(name), ref.id)


def previewed(story: Story, manifest: str) -> tuple[str, ...]:
    """What the preview of prod says of the gates of a commit with this manifest."""
    story.application.manifest = manifest
    story.release("two")
    preview = find(story.world.ledger, Preview, release_id="hello-2", stage="prod", target=PROD)
    assert preview
    return preview.gates


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (TWO, "approval: null", "asks nobody, not 2 people but the author"),
        (TWO, "approval: true", "asks one person, not 2 people but the author"),
        (
            "hooks: {pre_traffic: [Pre], post_traffic: [Post]}",
            "",
            "hook Pre before traffic is gone",
        ),
        ("post_traffic: [Post]", "post_traffic: []", "hook Post after traffic is gone"),
        (
            "pre_traffic: [Pre]",
            "pre_traffic: [{function: Pre, timeout: 1s}]",
            "hook Pre before traffic has other times",
        ),
        (
            "steps: [{weight: 10%, bake: 2m}, {weight: 50%, bake: 3m}]",
            "canary: {weight: 99%, bake: 1m}",
            "strategy canary, not steps",
        ),
        ("bake: 3m", "bake: 1s", "strategy steps, not steps, with other steps"),
        ("max_increase: 5%", "max_increase: 99%", "checks: other errors"),
        ("alarms: [HelloErrors]", "alarms: []", "checks: other alarms"),
        ("  - {name: unit, commands: [make test]}\n", "", "test unit is gone"),
        ("commands: [make scan]", "commands: [echo]", "test scan does something else"),
        (
            "application: hello",
            "application: hello\nwhen_not_canaryable: all-at-once",
            "when_not_canaryable: all-at-once",
        ),
    ],
)
def test_no_commit_opens_its_own_gates_unseen(story: Story, old: str, new: str, said: str) -> None:
    manifest = MANIFEST.replace("APPROVAL", TWO)
    assert old in manifest
    assert said in previewed(story, manifest.replace(old, new))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"role_arn": "arn:aws:iam::333333333333:role/mine"},
            "role arn:aws:iam::333333333333:role/mine, not ",
        ),
        ({"stack_name": "other"}, "stack other, not hello-prod"),
        ({"region": "us-east-1"}, "goes to 333333333333/us-east-1, as it did not"),
    ],
)
def test_no_stage_goes_elsewhere_unseen(story: Story, settings: dict[str, str], said: str) -> None:
    before = plan_of(story.world.ledger, "hello-1")
    prod = before.stage("prod")
    moved = prod.waves[0][0].model_copy(update=settings)
    (gate,) = changed_gates(before, replaced(before, prod, waves=((moved,),)), "prod")
    assert gate.startswith(said)


def test_nothing_that_cannot_be_undone_is_permitted_unseen(story: Story) -> None:
    before = plan_of(story.world.ledger, "hello-1")
    strict = replaced(before, before.stage("prod"), forbid_irreversible=True)
    (gate,) = changed_gates(strict, before, "prod")
    assert gate == "what cannot be undone is no longer forbidden"


def test_a_stage_that_is_new_has_no_gates_that_changed(story: Story) -> None:
    before = plan_of(story.world.ledger, "hello-1")
    first, second = before.stages
    less = before.model_copy(update={"stages": (first,)})
    assert list(changed_gates(less, before, second.name)) == []


def replaced(plan: ReleasePlan, stage: StagePlan, **settings: Any) -> ReleasePlan:
    """The plan, with these settings of the stage."""
    other = stage.model_copy(update=settings)
    stages = tuple(other if one.name == stage.name else one for one in plan.stages)
    return plan.model_copy(update={"stages": stages})


def test_the_person_who_is_asked_reads_it_first(story: Story) -> None:
    shown: list[Any] = []

    def look(ref: ReleaseRef, stage: str) -> None:
        release = story.get(2)
        view = release_view(release, story.items(2, ""), story.world.clock.now())
        (prod,) = (child for child in release_node(view).children if child.name == "prod")
        (rollout,) = (child for child in prod.children if child.name == PROD)
        shown.append(rollout.children[0])

    story.machines.while_waiting = look
    story.application.manifest = MANIFEST.replace("APPROVAL", "approval: true")
    story.release("two")
    (first,) = shown
    assert (first.name, first.status) == ("its own gates", "changed by this commit")
    assert first.info == "asks one person, not 2 people but the author"


def test_a_commit_that_leaves_them_alone_says_nothing(story: Story) -> None:
    assert previewed(story, MANIFEST.replace("APPROVAL", TWO)) == ()


def test_no_stage_disappears_unseen(story: Story) -> None:
    manifest = MANIFEST.replace("APPROVAL", TWO).replace("- name: test", "- name: staging")
    manifest = manifest.replace("Stage: test", "Stage: staging")
    assert "stage test is gone" in previewed(story, manifest)


def test_no_other_account_by_the_role_of_a_stage() -> None:
    role = "role: arn:aws:iam::333333333333:role/tidegate-target"
    manifest = MANIFEST.replace("APPROVAL", "").replace(
        "regions: [eu-west-1]", f"regions: [eu-west-1]\n    {role}", 1
    )
    with pytest.raises(
        ManifestError, match="`role` is of account 333333333333, and the stage of 222222222222"
    ):
        parse_manifest(manifest)


@pytest.mark.parametrize(
    "place",
    [
        {"bucket": f"tidegate-other-{CONTROLLER}-eu-west-1"},
        {"bucket": "tidegate-hello-666666666666-eu-west-1"},
        {"bucket": "anybody-s-bucket"},
        {"buckets": {"us-east-1": f"tidegate-other-{CONTROLLER}-us-east-1"}},
        {"prefix": f"applications/other/artifacts/{DIGEST}"},
        {"prefix": f"applications/hello/artifacts/../../other/artifacts/{DIGEST}"},
        {"prefix": "applications/hello/packages"},
    ],
)
def test_no_number_or_lock_of_hello_for_what_another_team_stored(place: dict[str, Any]) -> None:
    check_place(HELLO, CONTROLLER)
    with pytest.raises(ArtifactError, match="Artifacts of hello do not lie"):
        check_place(HELLO.model_copy(update=place), CONTROLLER)
