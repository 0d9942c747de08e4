"""Whole releases, from the artifact to what serves in the end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.story import PROD, TEST, Story
from tidegate.core.model.record import (
    ChangeLine,
    HookLog,
    Item,
    Live,
    Lock,
    Preview,
    RolloutPhase,
    TestRun,
    Tick,
)
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.records import find
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.core.workflow.target.stack_retries import PAUSES

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}


def boom(payload: object) -> None:
    raise ValueError("the database is not there")


def test_first_deployment_goes_live_in_every_stage(story: Story) -> None:
    assert story.release("one") == "succeeded"
    assert story.serves(TEST) == ALL_ON_1
    assert story.serves(PROD) == ALL_ON_1
    assert story.seen == []  # nothing to shift
    assert story.rollout(1).first_deployment
    assert story.rollout(1).phase is RolloutPhase.SUCCEEDED
    live = find(story.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert live
    assert live.versions == {"hello-prod-Hello:live": "1", "hello-prod-Bye:live": "1"}


def test_good_change_is_shifted_in_steps_and_promoted(live: Story) -> None:
    assert live.release("two") == "succeeded"
    assert live.serves() == ALL_ON_2
    weights = [weight for target, weight in live.seen if target == PROD]
    assert weights == [0.1, 0.1, 0.5, 0.5, 0.5]  # two minutes, then three, looked at every minute
    state = live.at(PROD).stacks.state("hello-prod")
    assert not any(value for name, value in state.parameters.items() if "Pinned" in name)
    assert [i.action for i in live.items(2, "TICK#prod") if isinstance(i, Tick)] == [
        "set-weight", "hold", "set-weight", "hold", "hold", "promote",
    ]  # fmt: skip


def test_stage_without_steps_moves_all_traffic_at_once(live: Story) -> None:
    live.release("two")
    assert live.serves(TEST) == ALL_ON_2
    assert not [weight for target, weight in live.seen if target == TEST]


def test_aliases_carry_the_same_weight_while_they_shift(live: Story) -> None:
    seen = []
    serve = live.machines.while_baking
    live.machines.while_baking = lambda ref, s: (seen.append(live.serves()), serve(ref, s))
    live.release("two")
    assert seen[0] == {"Hello": ("1", {"2": 0.1}), "Bye": ("1", {"2": 0.1})}
    assert all(state["Hello"] == state["Bye"] for state in seen)


def test_restores_traffic_when_errors_rise_at_the_second_step(live: Story) -> None:
    def fail_later(ref: object, seconds: int) -> None:
        live.error_rates["2"] = 0.0 if live.rollout(2).step < 1 else 0.6
        live.serve(ref, seconds)

    live.machines.while_baking = fail_later
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1
    rollout = live.rollout(2)
    assert rollout.phase is RolloutPhase.RESTORED
    assert rollout.step == 1
    assert rollout.weight == 0.0
    release = live.get(2)
    assert release.error == "Unhealthy"
    assert "fails" in release.cause
    assert "by chance if it were no worse: below 1 in" in release.cause


def test_restored_stack_runs_the_last_good_template_with_its_aliases_held(live: Story) -> None:
    live.error_rates["2"] = 1.0
    live.release("two")
    state = live.at(PROD).stacks.state("hello-prod")
    assert state.status == "UPDATE_COMPLETE"
    assert state.parameters["TidegatePinnedVersionHelloAliaslive"] == "1"
    assert state.parameters["Stage"] == "prod"
    assert live.serves() == ALL_ON_1


def test_says_what_was_restored_and_what_was_not(live: Story) -> None:
    gone = ChangeLine(
        logical_id="Table",
        type="AWS::DynamoDB::Table",
        change="Replace",
        irreversible="a new, empty one takes its place",
    )

    def note(*_: object) -> None:
        preview = find(live.world.ledger, Preview, release_id="hello-2", stage="prod", target=PROD)
        assert preview
        live.world.ledger.put(preview.model_copy(update={"changes": (gone,)}))
        live.machines.while_baking = live.serve

    live.error_rates["2"] = 1.0
    live.machines.while_baking = note
    assert live.release("two") == "failed"
    assert [(part.what, part.back, part.how) for part in live.rollout(2).restored] == [
        ("traffic of hello-prod-Hello:live", True, "all on version 1"),
        ("traffic of hello-prod-Bye:live", True, "all on version 1"),
        ("stack", True, "hello-prod is made from hello-1 again, with its parameters"),
        ("Table", False, "a new, empty one takes its place"),
    ]


def test_says_that_cloudformation_itself_took_the_stack_back(live: Story) -> None:
    live.at(PROD).stacks.fail_next.append("no")
    assert live.release("two") == "failed"
    (stack,) = live.rollout(2).restored
    assert (stack.back, stack.how) == (True, "CloudFormation has taken hello-prod back by itself")


def test_release_after_a_restored_one_goes_live(live: Story) -> None:
    live.error_rates["2"] = 1.0
    live.release("two")
    assert live.release("three") == "succeeded"
    assert live.alias().routes == {}
    assert live.alias().version == "4"  # 2 was bad, 3 was the old code once more


def test_stage_before_keeps_what_it_has_when_a_later_one_fails(live: Story) -> None:
    live.error_rates["2"] = 1.0
    live.release("two")
    assert live.serves(TEST) == ALL_ON_2
    assert live.serves(PROD) == ALL_ON_1


def test_new_alarm_restores_traffic(live: Story) -> None:
    def ring(ref: object, seconds: int) -> None:
        live.at(PROD).metrics.alarms["HelloErrors"] = True
        live.serve(ref, seconds)

    live.machines.while_baking = ring
    assert live.release("two") == "failed"
    assert "alarm HelloErrors" in live.get(2).cause
    assert live.serves() == ALL_ON_1


def test_alarm_that_fired_before_is_the_baseline(live: Story) -> None:
    live.at(PROD).metrics.alarms["HelloErrors"] = True
    assert live.release("two") == "succeeded"
    assert live.rollout(2).baseline_alarms == ("HelloErrors",)


def test_failing_pre_traffic_hook_keeps_the_candidate_from_traffic(live: Story) -> None:
    live.at(PROD).functions.code["hello-prod-Pre"] = boom
    writes = len(live.at(PROD).aliases.writes)
    assert live.release("two") == "failed"
    assert len(live.at(PROD).aliases.writes) == writes
    assert live.serves() == ALL_ON_1
    assert live.get(2).error == "HookFailed"
    assert "pre-traffic hook Pre failed: ValueError: the database is not there" in live.get(2).cause
    (log,) = (i for i in live.items(2, "HOOKLOG#prod") if isinstance(i, HookLog))
    assert log.text == "[ERROR] the database is not there"
    assert timedelta(days=13) < _from_now(live, log) < timedelta(days=15)
    lasting = [i for i in live.items(2, "") if i.expires_at is None]
    assert not any(log.text in item.model_dump_json() for item in lasting)


def _from_now(story: Story, item: Item) -> timedelta:
    """How long the table keeps it."""
    return timedelta(seconds=(item.expires_at or 0) - story.world.clock.now().timestamp())


def test_failing_post_traffic_hook_takes_all_traffic_back(live: Story) -> None:
    live.at(PROD).functions.code["hello-prod-Post"] = lambda payload: {
        "status": "Failed",
        "reason": "orders are missing",
    }
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1
    assert "post-traffic hook Post failed: orders are missing" in live.get(2).cause


def test_hook_that_fails_without_a_reason_says_so(live: Story) -> None:
    live.at(PROD).functions.code["hello-prod-Pre"] = lambda payload: {"status": "failed"}
    live.release("two")
    assert "it said so and gave no reason" in live.get(2).cause


@pytest.mark.parametrize(
    "seen",
    [
        "(AccessDenied) when calling the PutLifecycleEventHookExecutionStatus operation",
        "is not authorized to perform: codedeploy:PutLifecycleEventHookExecutionStatus",
    ],
)
def test_hook_that_reports_to_codedeploy_learns_how_to_report_here(live: Story, seen: str) -> None:
    def report(payload: object) -> None:
        raise RuntimeError(seen)

    live.at(PROD).functions.code["hello-prod-Pre"] = report
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1
    assert "there is no CodeDeploy deployment" in live.get(2).cause
    assert 'Write in place of that call: return {"status": status}' in live.get(2).cause


def test_hook_finds_what_codedeploy_would_give_it(live: Story) -> None:
    live.release("two")
    calls = [c[1] for c in live.at(PROD).functions.calls if c[1]["release"]["id"] == "hello-2"]
    assert {payload["DeploymentId"] for payload in calls} == {"hello-2"}
    runs = {payload["LifecycleEventHookExecutionId"] for payload in calls}
    assert "hello-2/prod/333333333333/eu-west-1/pre-traffic/Pre/1" in runs
    assert len(runs) == len(calls)


def test_hook_learns_what_it_validates(live: Story) -> None:
    live.release("two")
    calls = [c for c in live.at(PROD).functions.calls if c[1]["release"]["id"] == "hello-2"]
    function, payload, timeout = calls[0]
    assert function == "hello-prod-Pre"
    assert timeout == 300
    arn = "arn:aws:lambda:eu-west-1:111111111111:function:hello-prod-Hello"
    assert payload["when"] == "pre-traffic"
    assert payload["attempt"] == 1
    assert payload["functions"][0] == {
        "function": "hello-prod-Hello",
        "alias": "live",
        "stable_version": "1",
        "candidate_version": "2",
        "candidate_arn": f"{arn}:2",
        "alias_arn": f"{arn}:live",
    }


def test_first_deployment_has_no_stable_version_to_tell_its_hooks(story: Story) -> None:
    story.release("one")
    payload = story.at(PROD).functions.calls[0][1]
    assert payload["functions"][0]["stable_version"] == ""
    assert payload["functions"][0]["candidate_version"] == "1"


def test_failed_deployment_leaves_everything_as_it_was(live: Story) -> None:
    live.at(PROD).stacks.fail_next.append("Table: the limit is reached")
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1
    assert live.get(2).error == "StackFailed"
    assert "the limit is reached" in live.get(2).cause
    assert live.rollout(2).phase is RolloutPhase.RESTORED
    assert not live.rollout(2).reverting  # CloudFormation took it back already


def test_bad_first_deployment_is_taken_down_again(story: Story) -> None:
    story.at(TEST).functions.code["hello-test-Pre"] = boom
    assert story.release("one") == "failed"
    assert not story.at(TEST).stacks.state("hello-test").exists
    assert story.rollout(1, "test", TEST).phase is RolloutPhase.RESTORED


def test_bad_first_deployment_is_kept_when_the_manifest_wants_it(story: Story) -> None:
    story.application.manifest += "on_first_failure: keep\n"
    story.at(TEST).functions.code["hello-test-Pre"] = boom
    assert story.release("one") == "failed"
    assert story.at(TEST).stacks.state("hello-test").status == "CREATE_COMPLETE"
    assert "stays, as the manifest wants" in story.rollout(1, "test", TEST).restored[-1].how


@pytest.mark.parametrize("policy", ["delete", "keep"])
def test_stack_that_could_not_be_created_is_removed(story: Story, policy: str) -> None:
    story.application.manifest += f"on_first_failure: {policy}\n"
    story.at(TEST).stacks.fail_next.append("no such role")
    assert story.release("one") == "failed"
    assert not story.at(TEST).stacks.state("hello-test").exists


@pytest.mark.parametrize(("failures", "phase"), [(1, "failed"), (5, "failed"), (6, "stuck")])
def test_first_deployment_is_deleted_again_for_ten_minutes(
    story: Story, failures: int, phase: str
) -> None:
    def break_and_fail(payload: object) -> None:
        story.at(TEST).stacks.fail_next += ["the bucket is not empty"] * failures
        boom(payload)

    story.at(TEST).functions.code["hello-test-Pre"] = break_and_fail
    assert story.release("one") == phase
    assert story.at(TEST).stacks.state("hello-test").exists == (phase == "stuck")
    said = "could not be deleted: the bucket is not empty" in story.get(1).cause
    assert said == (phase == "stuck")


def test_traffic_that_cannot_be_put_back_makes_the_release_stuck(live: Story) -> None:
    def break_alias(ref: object, seconds: int) -> None:
        live.at(PROD).aliases.broken[AliasRef("hello-prod-Hello", "live")] = OSError("throttled")
        live.serve(ref, seconds)

    live.error_rates["2"] = 1.0
    live.machines.while_baking = break_alias
    assert live.release("two") == "stuck"
    assert live.alias("Hello").routes == {"2": 0.1}
    assert live.alias("Bye").routes == {}  # the other one is safe
    release = live.get(2)
    assert release.error == "RestoreFailed"
    assert "hello-prod-Hello:live: throttled" in release.cause
    assert "It was going back because of Unhealthy" in release.cause
    lock = find(live.world.ledger, Lock, application="hello")
    assert lock
    assert lock.owner == "execution-2"


def test_alias_that_heals_between_retries_is_put_back(live: Story) -> None:
    broken = live.at(PROD).aliases.broken
    hello = AliasRef("hello-prod-Hello", "live")

    def heal_after_one(task):
        try:
            return task()
        finally:
            if live.rollout(2).phase is RolloutPhase.RESTORING:
                broken.clear()

    def break_alias(ref: object, seconds: int) -> None:
        broken[hello] = OSError("throttled")
        live.serve(ref, seconds)
        live.machines.invoke = heal_after_one

    live.error_rates["2"] = 1.0
    live.machines.while_baking = break_alias
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1


def test_stack_that_cannot_be_taken_back_is_stuck_with_traffic_safe(live: Story) -> None:
    live.error_rates["2"] = 1.0
    serve = live.machines.while_baking

    def fail_next(ref: object, seconds: int) -> None:
        live.at(PROD).stacks.fail_next[:] = ["cannot go back"] * (1 + len(PAUSES))
        serve(ref, seconds)

    live.machines.while_baking = fail_next
    assert live.release("two") == "stuck"
    assert live.serves() == ALL_ON_1
    assert "UPDATE_ROLLBACK_COMPLETE and not as it was before" in live.get(2).cause


def test_stack_that_can_be_taken_back_some_minutes_later_calls_nobody(live: Story) -> None:
    live.error_rates["2"] = 1.0
    serve = live.machines.while_baking

    def fail_next(ref: object, seconds: int) -> None:
        live.at(PROD).stacks.fail_next[:] = ["no room"] * len(PAUSES)
        serve(ref, seconds)

    live.machines.while_baking = fail_next
    assert live.release("two") == "failed"
    assert live.serves() == ALL_ON_1
    assert live.rollout(2).retries == len(PAUSES)
    assert live.rollout(2).restored[-1].how.startswith("hello-prod is made from hello-1 again")
    took = (live.rollout(2).ended_at - live.get(2).started_at).total_seconds()
    assert took > sum(pause.total_seconds() for pause in PAUSES) > 600


def test_stack_that_can_be_finished_some_minutes_later_calls_nobody(live: Story) -> None:
    live.at(PROD).stacks.fail_next += ["", *["no room"] * len(PAUSES)]
    assert live.release("two") == "succeeded"
    assert live.serves() == ALL_ON_2
    assert live.rollout(2).retries == len(PAUSES)
    assert live.release("three") == "succeeded"


def test_rollback_that_cloudformation_gives_up_is_stuck(live: Story) -> None:
    live.at(PROD).stacks.fail_next.append("no")
    live.at(PROD).stacks.refuse_rollback = True
    assert live.release("two") == "stuck"
    assert "UPDATE_ROLLBACK_FAILED" in live.get(2).cause


def test_validated_candidate_keeps_its_traffic_when_the_pin_stays(live: Story) -> None:
    """CloudFormation fails the unpinning update and takes an alias back on its way."""

    def fail_unpinning(payload: object) -> None:
        live.at(PROD).stacks.fail_next += ["the service is down"] * (1 + len(PAUSES))

    live.at(PROD).functions.code["hello-prod-Post"] = fail_unpinning
    poll = live.machines._poll

    def move_back(state, task):
        if live.events("Rollout State Change")[-1] == ("hello-2", "verifying"):
            live.at(PROD).aliases.set("hello-prod-Hello", "live", "1")
        return poll(state, task)

    live.machines._poll = move_back
    assert live.release("two") == "stuck"
    assert live.serves() == ALL_ON_2
    assert live.get(2).error == "FinishFailed"
    assert "keeps all traffic" in live.get(2).cause


def test_nothing_is_deployed_when_nothing_changed(live: Story) -> None:
    assert live.release("one") == "succeeded"
    assert live.items(2, "ROLLOUT#") == []
    assert live.get_stage(2, 1, "prod").phase == "succeeded"


def test_changed_role_is_refused_by_default(live: Story) -> None:
    assert live.release("two", role="other") == "failed"
    assert live.get(2).error == "NotCanaryable"
    assert "its role changes from role to other" in live.get(2).cause
    assert live.serves() == ALL_ON_1


def test_changed_role_goes_all_at_once_when_the_manifest_allows_it(live: Story) -> None:
    live.application.manifest += "when_not_canaryable: all-at-once\n"
    assert live.release("two", role="other") == "succeeded"
    assert live.seen == []
    assert "its role changes" in live.rollout(2).all_at_once
    assert live.serves() == ALL_ON_2


def test_function_that_is_new_to_the_stack_does_not_shift(live: Story) -> None:
    live.application.functions = ("Hello", "Bye", "New")
    assert live.release("two") == "succeeded"
    assert {shift.function for shift in live.rollout(2).shifts} == {
        "hello-prod-Hello",
        "hello-prod-Bye",
    }
    assert live.alias("New").version == "1"


def test_alias_that_a_person_moved_during_the_shift_is_left_alone(live: Story) -> None:
    def meddle(ref: object, seconds: int) -> None:
        live.at(PROD).aliases.set("hello-prod-Hello", "live", "7")
        live.serve(ref, seconds)

    live.machines.while_baking = meddle
    assert live.release("two") == "stuck"
    assert live.alias("Hello").version == "7"
    assert live.serves()["Bye"] == ("1", {})
    release = live.get(2)
    assert release.error == "AliasChangedByOthers"
    assert "hello-prod-Hello:live serves version 7, expected version 1" in release.cause


def test_weights_that_aws_shows_for_a_moment_are_no_reason_to_stop(live: Story) -> None:
    do = live.machines.do
    aliases = live.at(PROD).aliases

    def pass_by(ref: object, seconds: int) -> None:
        live.serve(ref, seconds)
        aliases.set("hello-prod-Hello", "live", "2", {"1": 0.5})
        live.machines.do = settle

    def settle(state, task):
        def looked():
            try:
                return task()
            finally:
                if live.rollout(2).changed_by_others:
                    aliases.set("hello-prod-Hello", "live", "1", {"2": 0.1})

        live.machines.do = do
        live.machines.while_baking = live.serve
        return do(state, looked)

    live.machines.while_baking = pass_by
    assert live.release("two") == "succeeded"
    assert live.rollout(2).changed_by_others == ""
    assert live.serves() == ALL_ON_2


def test_alias_moved_between_preview_and_deployment_is_found(live: Story) -> None:
    def move(payload: object) -> None:
        live.at(PROD).aliases.set("hello-prod-Hello", "live", "1", {"2": 0.3})

    live.at(TEST).functions.code["hello-test-Post"] = move
    live.at(PROD).functions.publish("hello-prod-Hello")
    # The alias is split when the preview reads its version, and still is after the deployment.
    assert live.release("two") == "stuck"
    assert "30.0000% to version 2" in live.get(2).cause


def test_every_test_is_recorded_before_the_release_fails(story: Story) -> None:
    story.machines.tests = lambda name: "FAILED" if name == "scan" else "SUCCEEDED"
    assert story.release("one") == "failed"
    assert "1 of 2 tests failed: scan: the build ended FAILED." in story.get(1).cause
    runs = {i.name: i.outcome.value for i in story.items(1, "TEST#") if isinstance(i, TestRun)}
    assert runs == {"unit": "passed", "scan": "failed"}
    assert story.items(1, "STAGE#") == []


def test_release_is_told_phase_by_phase(live: Story) -> None:
    live.world.bus.events.clear()
    live.release("two")
    assert live.events("Release State Change") == [
        ("hello-2", "queued"),
        ("hello-2", "testing"),
        ("hello-2", "progressing"),
        ("hello-2", "succeeded"),
    ]
    phases = [
        phase
        for kind, detail in live.world.bus.events
        if kind == "Rollout State Change" and detail["stage"] == "prod"
        for phase in [(detail["phase"], detail["weight"])]
    ]
    assert phases == [
        ("deploying", 0.0),
        ("validating", 0.0),
        ("shifting", 0.0),
        ("shifting", 0.1),
        ("shifting", 0.5),
        ("verifying", 1.0),
        ("finishing", 1.0),
        ("succeeded", 1.0),
    ]


def test_a_stage_without_users_lets_a_release_through_that_its_hooks_have_passed() -> None:
    """What `tidegate init` writes for the stage before the last."""
    story = Story()
    assert story.release("one") == "succeeded"
    served: list[str] = []

    def users_of_prod(ref: RolloutRef, seconds: int) -> None:
        served.append(ref.stage)
        if ref.stage == "prod":
            story.serve(ref, seconds)

    story.machines.while_baking = users_of_prod
    assert story.release("two") == "succeeded"
    assert set(served) == {"prod"}
