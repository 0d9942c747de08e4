"""Whoever can write to the artifact bucket, or to a function, gets no code of theirs into prod."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from support.story import CANARY, PROD, TEST, Story
from tidegate.core.errors import ArtifactError
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Approval, RolloutPhase
from tidegate.core.ports import StackState
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.testing.application import BUCKET, MemoryApplication, key_of

EVIL = b"evil"
BOB = Operator("bob")
APPROVED = {"Hello": ("2", {}), "Bye": ("2", {})}
UNTOUCHED = {"Hello": ("1", {}), "Bye": ("1", {})}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def live() -> Story:
    """Prod asks a person, and the first release is live everywhere."""
    story = Story(approval="approval: {}")
    story.application.layers = ("Shared",)
    story.machines.while_waiting = lambda ref, stage: agree(story, ref.id)
    assert story.release("one") == "succeeded"
    return story


def agree(story: Story, release: str) -> None:
    approve(story.ports, BOB, release)


def while_waiting(story: Story, attack: Callable[[], object]) -> None:
    """The attack comes between the question and the answer."""

    def act(ref: Any, _: str) -> None:
        attack()
        agree(story, ref.id)

    story.machines.while_waiting = act


def forge(story: Story, key: str, content: bytes = EVIL) -> None:
    """Put other bytes in the place even of what is kept: more than S3 lets anybody do."""
    versions = story.world.artifacts._objects[BUCKET, key]
    versions.update(dict.fromkeys(versions, content))


def runs(story: Story, function: str = "Hello", target: str = PROD) -> str:
    stage = "prod" if target == PROD else "test"
    version = story.alias(function, target).version
    return story.at(target).versions.code(f"hello-{stage}-{function}", version)


def hooks_called(story: Story, target: str = PROD) -> list[str]:
    return [name for name, _, _ in story.at(target).functions.calls]


def test_bytes_put_over_a_package_while_prod_waits_for_approval_do_not_run(live: Story) -> None:
    artifacts = live.world.artifacts
    while_waiting(live, lambda: artifacts.store(BUCKET, key_of("two"), EVIL))

    assert live.release("two") == "succeeded"

    assert live.serves() == APPROVED
    assert runs(live) == runs(live, target=TEST) == digest(b"two")


def test_bytes_in_place_of_a_package_are_noticed_before_prod_is_deployed(live: Story) -> None:
    while_waiting(live, lambda: forge(live, key_of("two")))

    assert live.release("two") == "failed"

    assert live.get(2).error == "ArtifactError"
    assert "has the SHA-256" in live.get(2).cause
    assert live.serves() == UNTOUCHED
    assert not live.rollout(2).executing
    assert runs(live) == digest(b"one")


def test_people_are_not_asked_to_approve_bytes_that_are_not_what_was_built(live: Story) -> None:
    review = live.machines._preview

    def swap_after_the_preview(ref: Any, name: str, target: str) -> None:
        review(ref, name, target)
        if name == "prod":
            forge(live, key_of("two"))

    live.machines._preview = swap_after_the_preview  # type: ignore[method-assign]

    assert live.release("two") == "failed"

    assert find(live.world.ledger, Approval, release_id="hello-2", stage="prod") is None
    assert live.get(2).error == "ArtifactError"
    assert live.serves() == UNTOUCHED


def test_a_deleted_version_is_not_replaced_by_the_newest(live: Story) -> None:
    def attack() -> None:
        artifacts = live.world.artifacts
        artifacts._objects[BUCKET, key_of("two")].clear()
        artifacts._objects[BUCKET, key_of("two")]["evil"] = EVIL

    while_waiting(live, attack)
    assert live.release("two") == "failed"
    assert live.get(2).error == "ArtifactError"
    assert live.serves() == UNTOUCHED


def deploys(story: Story, what: bytes, *, instead_of: str) -> None:
    """Lambda in prod gets other bytes than S3 had when it was asked."""
    stacks = story.at(PROD).stacks
    honest = stacks._digest

    def swapped(code: Any, parameters: Any) -> str:
        found = honest(code, parameters)
        return digest(what) if found == digest(instead_of.encode()) else found

    stacks._digest = swapped  # type: ignore[method-assign]


def test_a_candidate_of_other_bytes_meets_no_hook_and_no_request(live: Story) -> None:
    deploys(live, EVIL, instead_of="two")
    before = len(hooks_called(live))

    assert live.release("two") == "failed"

    rollout = live.rollout(2)
    assert live.get(2).error == rollout.error == "CodeMismatch"
    assert f"hello-prod-Hello:2 runs {digest(EVIL)}" in rollout.cause
    assert f"the artifact names {digest(b'two')}" in rollout.cause
    assert hooks_called(live)[before:] == []
    assert [weight for target, weight in live.seen if target == PROD and weight] == []
    assert live.serves() == UNTOUCHED
    assert rollout.phase is RolloutPhase.RESTORED
    assert rollout.restored[-1].how == "hello-prod is made from hello-1 again, with its parameters"


def test_a_hook_of_other_bytes_is_not_called(live: Story) -> None:
    deploys(live, EVIL, instead_of="hook")
    live.application.hooks = (*live.application.hooks, "Another")

    assert live.release("two") == "failed"

    assert live.get(2).error == "CodeMismatch"
    assert "hello-prod-Another:$LATEST runs" in live.get(2).cause
    assert live.serves() == UNTOUCHED


def test_a_layer_of_other_bytes_is_not_run_with(live: Story) -> None:
    stacks = live.at(PROD).stacks
    publish = stacks.functions.publish_layer
    stacks.functions.publish_layer = (  # type: ignore[method-assign]
        lambda layer, _digest: publish(layer, digest(EVIL))
    )

    assert live.release("two") == "failed"

    assert live.get(2).error == "CodeMismatch"
    assert f"holds {digest(EVIL)}, and the artifact names {digest(b'two')}" in live.get(2).cause
    assert live.serves() == UNTOUCHED


def test_a_candidate_without_the_layer_that_was_built_gets_no_traffic(live: Story) -> None:
    live.at(PROD).versions.layers = lambda *_: ["arn:other"]  # type: ignore[method-assign]
    assert live.release("two") == "failed"
    assert "hello-prod-Hello:2 runs without the layer arn:" in live.get(2).cause
    assert live.serves() == UNTOUCHED


def test_a_first_deployment_of_other_bytes_is_taken_down() -> None:
    story = Story(CANARY)
    deploys(story, EVIL, instead_of="one")
    assert story.release("one") == "failed"
    assert story.get(1).error == "CodeMismatch"
    assert not story.at(PROD).stacks.state("hello-prod").exists
    assert hooks_called(story) == []


def test_a_source_that_was_swapped_after_the_build_is_not_tested(live: Story) -> None:
    artifact = live.application.build("two")
    forge(live, f"{artifact.prefix}/source.zip")
    tested: list[str] = []
    live.machines.tests = lambda name: tested.append(name) or "SUCCEEDED"  # type: ignore[func-returns-value]

    assert live.machines.release(artifact, "swapped") == "failed"

    assert live.get(2).error == "ArtifactError"
    assert tested == []


def test_an_artifact_that_does_not_pin_its_objects_is_not_released(live: Story) -> None:
    artifact = live.application.build("two").model_copy(update={"versions": {}})

    assert live.machines.release(artifact, "unpinned") == "failed"

    assert live.get(2).error == "ArtifactError"
    assert "does not say which S3 version" in live.get(2).cause
    assert "build the commit again" in live.get(2).cause
    assert live.serves() == UNTOUCHED


def test_a_package_of_another_region_is_pinned_too() -> None:
    story = Story(CANARY)
    story.application.buckets = {"us-east-1": "far"}
    artifact = story.application.build("one")
    versions = {**artifact.versions, "far": {}}
    assert (
        story.machines.release(artifact.model_copy(update={"versions": versions}), "one")
        == "failed"
    )
    assert "s3://far/applications/hello/packages" in story.get(1).cause


def test_a_restore_puts_no_other_bytes_in_place_of_what_was_live(live: Story) -> None:
    live.error_rates["2"] = 1.0
    live.machines.while_baking = lambda ref, seconds: (
        forge(live, key_of("one")),
        live.serve(ref, seconds),
    )

    assert live.release("two") == "stuck"

    assert live.serves() == UNTOUCHED  # traffic waits for no artifact
    assert "has the SHA-256" in live.get(2).cause
    assert runs(live) == digest(b"one")
    state: StackState = live.at(PROD).stacks.state("hello-prod")
    assert live.rollout(2).reverting is False
    assert state.status == "UPDATE_COMPLETE"


# ------------------------------------------------------------ code that no artifact can name


class Images(MemoryApplication):
    """Its functions are images, named by a tag, or by ``uri``."""

    uri = "repository:latest"

    def _template(self, code: str, role: str) -> Any:
        made = super()._template(code, role)
        for name in self.functions:
            made["Resources"][name]["Properties"]["Code"] = {"ImageUri": self.uri}
        return made


@pytest.fixture
def images() -> Story:
    story = Story(approval="approval: {}")
    story.application.__class__ = Images
    story.machines.while_waiting = lambda ref, stage: agree(story, ref.id)
    point(story, "one")
    assert story.release("one") == "succeeded"
    return story


def point(story: Story, image: str, *targets: str) -> None:
    """Let the tag stand for another image."""
    for target in targets or (TEST, PROD):
        story.at(target).stacks.images[Images.uri] = digest(image.encode())


def test_a_tag_that_moves_between_two_stages_brings_nothing_to_the_second(images: Story) -> None:
    point(images, "two")
    while_waiting(images, lambda: point(images, "evil", PROD))

    assert images.release("two") == "failed"

    assert images.get(2).error == "CodeMismatch"
    assert f"hello-2 has at test {TEST} {digest(b'two')}" in images.get(2).cause
    assert images.serves() == UNTOUCHED


def test_a_tag_that_moves_when_test_has_nothing_to_deploy_brings_nothing(images: Story) -> None:
    """What test serves is what an earlier release has brought there."""
    point(images, "two")
    while_waiting(images, lambda: images.machines.ports)
    images.machines.while_waiting = lambda ref, stage: None
    assert images.release("two") == "rejected"  # nobody said yes: it is live in test only
    while_waiting(images, lambda: point(images, "evil", PROD))

    assert images.release("two") == "failed"

    assert images.get(3).error == "CodeMismatch"
    assert f"hello-2 has at test {TEST}" in images.get(3).cause
    assert images.serves() == UNTOUCHED


def test_an_image_with_a_digest_is_that_image_or_none(images: Story, monkeypatch: Any) -> None:
    named = f"repository@{digest(b'two')}"
    monkeypatch.setattr(Images, "uri", named)
    assert images.release("two") == "succeeded"
    images.at(PROD).stacks.images[named] = digest(EVIL)
    assert images.release("three") == "failed"
    assert f"the artifact names {digest(b'two')}" in images.get(3).cause


def test_what_was_deployed_is_on_record(live: Story) -> None:
    live.release("two")
    expected = {"Hello": b"two", "Bye": b"two", "Pre": b"hook", "Post": b"hook"}
    assert live.rollout(2).code == {name: digest(code) for name, code in expected.items()}


def test_a_reference_to_other_versions_is_no_way_to_other_bytes(live: Story) -> None:
    """Whoever starts a release names its objects, and the artifact's digest decides."""
    artifact: ArtifactRef = live.application.build("two")
    evil = live.world.artifacts.store(BUCKET, key_of("two"), EVIL)
    here = {**artifact.versions[BUCKET], key_of("two"): evil}
    forged = artifact.model_copy(update={"versions": {BUCKET: here}})

    assert live.machines.release(forged, "forged") == "failed"

    assert live.get(2).error == ArtifactError.__name__
    assert live.serves() == UNTOUCHED
    assert runs(live, target=TEST) == digest(b"one")
