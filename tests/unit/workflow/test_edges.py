"""What is refused, and what is odd but no reason to stop."""

from __future__ import annotations

import dataclasses
import json

import pytest

from support.story import MANIFEST, PROD, TEST, Story
from tidegate.core.errors import ArtifactError, ChangeSetStale, NotFound, StackBusy, Unhealthy
from tidegate.core.model.artifact import contents_digest
from tidegate.core.model.plan import ArtifactRef, ReleaseRef
from tidegate.core.model.record import Live, RolloutPhase
from tidegate.core.ports import StackSpec, StackState
from tidegate.core.workflow.hooks.run import Terms, run_hook
from tidegate.core.workflow.records import find, plan_of, stage_plan
from tidegate.core.workflow.release.artifacts import read_contents, read_template
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.rollout.deploy import deploy, find_candidates, finish
from tidegate.core.workflow.rollout.restore import declare_stuck, restore_stack, restore_traffic
from tidegate.core.workflow.rollout.shift import tick
from tidegate.core.workflow.stage.preview import preview
from tidegate.core.workflow.stage.settle import settle_stage
from tidegate.core.workflow.target.code import candidate_version
from tidegate.core.workflow.target.context import open_context
from tidegate.testing.application import BUCKET
from tidegate.testing.retries import Crash

FAILURE = {"Error": "Unhealthy", "Cause": "too many errors"}


def unpinned(artifact: ArtifactRef) -> ArtifactRef:
    """As an older Tidegate has built it: whatever lies under the keys now is meant."""
    return artifact.model_copy(update={"versions": {}})


def test_artifact_that_is_none_is_refused(story: Story) -> None:
    artifact = unpinned(story.application.build("one"))
    story.world.artifacts.store(BUCKET, f"{artifact.prefix}/artifact.json", b"{}")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        read_contents(story.world.artifacts, artifact)


def test_artifact_of_an_earlier_tidegate_is_what_it_was(story: Story) -> None:
    artifact = unpinned(story.application.build("one"))
    key = f"{artifact.prefix}/artifact.json"
    stored = json.loads(story.world.artifacts.read(BUCKET, key))
    del stored["manifest"]["keep_versions"]  # unknown when it was built
    story.world.artifacts.store(BUCKET, key, json.dumps(stored).encode())
    announced = artifact.model_copy(update={"digest": contents_digest(stored)})
    assert read_contents(story.world.artifacts, announced).manifest.keep_versions == 5


def test_artifact_with_another_digest_is_refused(story: Story) -> None:
    artifact = story.application.build("one")
    forged = artifact.model_copy(update={"digest": "sha256:" + "0" * 64})
    with pytest.raises(ArtifactError, match="was announced"):
        read_contents(story.world.artifacts, forged)


def test_artifact_of_another_application_is_refused(story: Story) -> None:
    artifact = story.application.build("one").model_copy(update={"application": "other"})
    with pytest.raises(ArtifactError, match="is of hello, and other was announced"):
        read_contents(story.world.artifacts, artifact)


def test_template_that_was_changed_after_the_build_is_refused(story: Story) -> None:
    artifact = unpinned(story.application.build("one"))
    contents = read_contents(story.world.artifacts, artifact)
    story.world.artifacts.store(BUCKET, f"{artifact.prefix}/template.json", b"{}")
    with pytest.raises(ArtifactError, match="has the SHA-256"):
        read_template(story.world.artifacts, artifact, contents)


def test_release_whose_artifact_is_missing_is_recorded_as_failed(story: Story) -> None:
    artifact = story.application.build("one").model_copy(update={"prefix": "nowhere"})
    assert story.machines.release(artifact, "execution-1") == "failed"
    assert story.get(1).error == "ArtifactError"


def test_what_is_not_there_is_named(live: Story) -> None:
    with pytest.raises(NotFound, match="There is no plan of release hello-9"):
        plan_of(live.world.ledger, "hello-9")
    with pytest.raises(NotFound, match="hello-1 has no stage nowhere"):
        stage_plan(plan_of(live.world.ledger, "hello-1"), "nowhere")
    with pytest.raises(NotFound, match="has no pre-traffic hook Nobody"):
        run_hook(live.ports, live.ref(1), "pre-traffic", "Nobody", Terms("bus", "secret"))
    with pytest.raises(NotFound, match="There is no release hello-9"):
        settle_release(
            live.ports, "e", ReleaseRef(id="hello-9", application="hello", number=9), None
        )


def prod_of_second(live: Story, *, previewed: bool = True) -> None:
    """The second release is about to deploy to prod."""

    def stop(ref: object) -> None:
        raise KeyboardInterrupt

    if previewed:
        live.machines.rollout = lambda ref: stop(ref) if ref.stage == "prod" else None
    else:
        live.machines._preview = lambda ref, name, target: stop(ref)
    with pytest.raises(KeyboardInterrupt):
        live.release("two")


def test_rollout_cannot_begin_without_a_preview(live: Story) -> None:
    prod_of_second(live, previewed=False)
    with pytest.raises(NotFound, match="Nothing was previewed"):
        open_context(live.ports, live.ref(2)).require_preview()
    with pytest.raises(NotFound, match="No rollout of hello-2 has begun at prod"):
        tick(live.ports, live.ref(2))


def test_what_never_began_is_restored_already(live: Story) -> None:
    prod_of_second(live)
    restore_traffic(live.ports, live.ref(2), FAILURE)
    assert restore_stack(live.ports, live.ref(2)) == {"done": True}


def test_change_set_is_not_executed_on_a_stack_that_changed(live: Story) -> None:
    prod_of_second(live)
    update_behind_our_back(live)
    with pytest.raises(ChangeSetStale):
        deploy(live.ports, live.ref(2))
    assert not live.rollout(2).executing
    restore_traffic(live.ports, live.ref(2), {"Error": "ChangeSetStale", "Cause": "it changed"})
    assert restore_stack(live.ports, live.ref(2)) == {"done": True}
    assert live.rollout(2).phase is RolloutPhase.RESTORED
    assert live.rollout(2).error == "ChangeSetStale"


def update_behind_our_back(live: Story) -> None:
    stacks = live.at(PROD).stacks
    state = stacks.state("hello-prod")
    artifact = live.application.build("theirs")
    url = f"s3://{BUCKET}/{artifact.prefix}/template.json"
    known = {k: v for k, v in state.parameters.items() if not k.startswith("TidegatePackage")}
    stacks.update(StackSpec("hello-prod", url, known), "theirs")
    while stacks.state("hello-prod").busy:
        pass


def test_execution_whose_answer_was_lost_is_treated_as_begun(live: Story) -> None:
    prod_of_second(live)
    deploy(live.ports, live.ref(2))
    rollout = live.rollout(2)
    live.world.ledger.put(rollout.model_copy(update={"executed": False}))
    live.at(PROD).stacks._made.clear()  # CloudFormation forgets executed change sets
    with pytest.raises(ChangeSetStale):
        deploy(live.ports, live.ref(2))
    assert live.rollout(2).executing


def test_stack_that_others_may_have_made_is_not_deleted(story: Story) -> None:
    story.at(TEST).functions.code["hello-test-Pre"] = lambda payload: {"status": "Failed"}
    poll = story.machines._poll

    def forget(state: str, task: object) -> None:
        rollout = story.rollout(1, "test", TEST)
        if rollout.phase is RolloutPhase.RESTORING and rollout.executed:
            story.world.ledger.put(rollout.model_copy(update={"executed": False}))
        poll(state, task)

    story.machines._go_back = lambda ref, failure: (
        restore_traffic(story.ports, ref, failure),
        forget("Restore the stack", lambda: restore_stack(story.ports, ref)["done"]),
    )
    assert story.release("one") == "failed"
    assert story.at(TEST).stacks.state("hello-test").exists
    assert "nothing proves that it is ours" in story.rollout(1, "test", TEST).restored[-1].how


def test_stack_without_a_record_of_what_it_was_stays(live: Story) -> None:
    live.error_rates["2"] = 1.0
    item = find(live.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert item
    live.world.ledger.delete(item)
    assert live.release("two") == "failed"
    assert "stays: no record says what it was" in live.rollout(2).restored[-1].how
    assert live.alias().version == "1"


def test_stack_that_is_as_it_was_needs_no_update(live: Story) -> None:
    prod_of_second(live)
    deploy(live.ports, live.ref(2))
    live.world.ledger.put(live.rollout(2).model_copy(update={"executed": False}))
    live.world.ledger.put(live.rollout(2).model_copy(update={"reverting": True}))
    stacks = live.at(PROD).stacks
    stacks.update = lambda spec, token: False
    while not restore_stack(live.ports, live.ref(2))["done"]:
        pass
    assert live.rollout(2).phase is RolloutPhase.RESTORED


def test_decision_to_restore_stands_when_the_tick_is_repeated(live: Story) -> None:
    live.error_rates["2"] = 1.0
    do = live.machines.do

    def repeat(state, task):
        try:
            return do(state, task)
        except Unhealthy:
            live.error_rates["2"] = 0.0
            return do(state, task)

    live.machines.do = repeat
    assert live.release("two") == "failed"
    assert live.get(2).error == "Unhealthy"


def test_tasks_that_come_again_after_the_end_change_nothing(live: Story) -> None:
    assert finish(live.ports, live.ref(1)) == {"done": True}
    assert restore_stack(live.ports, live.ref(1)) == {"done": True}
    declare_stuck(live.ports, live.ref(1), FAILURE)
    assert live.rollout(1).phase is RolloutPhase.SUCCEEDED
    assert find_candidates(live.ports, live.ref(1))["pre_traffic"] == ["Pre"]
    ref = live.ref(1).release
    assert settle_stage(live.ports, ref, "prod", FAILURE) == {"phase": "succeeded"}
    assert settle_release(live.ports, "execution-1", ref, FAILURE) == {"phase": "succeeded"}


def test_stage_that_never_began_is_settled_as_failed(live: Story) -> None:
    def lose_lock(ref: ReleaseRef, name: str) -> None:
        assert settle_stage(live.ports, ref, name, FAILURE) == {"phase": "failed"}
        raise Unhealthy("too many errors")

    live.machines.stage = lose_lock
    assert live.release("two") == "failed"
    assert live.get_stage(2, 0, "test").cause == "too many errors"


def test_lost_hook_is_run_again_as_another_attempt(live: Story) -> None:
    functions = live.at(PROD).functions
    attempts = []

    def die_once(payload: dict[str, object]) -> None:
        attempts.append(payload["attempt"])
        if len(attempts) == 1:
            raise Crash

    functions.code["hello-prod-Pre"] = die_once
    assert live.release("two") == "succeeded"
    assert attempts == [1, 2]


def test_version_that_the_stack_does_not_show_yet_is_waited_for(live: Story) -> None:
    (alias, *_) = plan_of(live.world.ledger, "hello-1").aliases
    with pytest.raises(StackBusy, match="does not show HelloVersion"):
        candidate_version(alias, StackState(exists=True))


def test_stack_that_others_work_on_is_waited_for(live: Story) -> None:
    live.at(TEST).stacks.operation_of_others = True
    assert live.release("two") == "failed"
    assert live.get(2).error == "StackBusy"


def test_managed_alias_counts_as_a_change_when_more_than_its_pin_changes(live: Story) -> None:
    prod_of_second(live)
    world = live.at(PROD)
    made = world.stacks.preview

    def more(spec: StackSpec, token: str) -> object:
        change_set = made(spec, token)
        changes = tuple(
            dataclasses.replace(change, properties=("Description", "FunctionVersion"))
            for change in change_set.changes
            if change.logical_id == "HelloAliaslive"
        )
        return dataclasses.replace(change_set, changes=changes)

    world.stacks.preview = more
    assert preview(live.ports, live.ref(2).release, "prod", PROD) == {"ready": True}
    found = open_context(live.ports, live.ref(2)).require_preview()
    assert [change.logical_id for change in found.changes] == ["HelloAliaslive"]
    assert found.change_set


def test_stage_without_alarms_asks_for_none() -> None:
    story = Story(MANIFEST.replace("alarms: [HelloErrors]", "alarms: []"))
    story.at(PROD).metrics.alarms.clear()
    assert story.release("one") == "succeeded"
    assert story.release("two") == "succeeded"


def test_alarm_that_is_not_there_keeps_the_candidate_from_traffic(live: Story) -> None:
    live.at(PROD).metrics.alarms.clear()
    assert live.release("two") == "failed"
    assert live.get(2).error == "NotFound"
    assert live.alias().version == "1"


def test_failed_wave_fails_only_after_all_its_rollouts_ended() -> None:
    story = Story(MANIFEST.replace("regions: [eu-west-1]", "regions: [eu-west-1, us-east-1]", 1))
    other = "222222222222/us-east-1"
    story.at(TEST).stacks.fail_next.append("no room")
    assert story.release("one") == "failed"
    assert story.rollout(1, "test", TEST).phase is RolloutPhase.RESTORED
    assert story.rollout(1, "test", other).phase is RolloutPhase.SUCCEEDED


def test_function_that_never_answers_fails_its_release(live: Story) -> None:
    def die(payload: object) -> None:
        raise Crash

    live.at(PROD).functions.code["hello-prod-Pre"] = die
    assert live.release("two") == "failed"
    assert live.get(2).error == "OSError"
