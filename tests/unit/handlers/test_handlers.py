"""The Lambda tasks: what Step Functions sends goes in, what it reads comes out."""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import logging
import pkgutil
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import ValidationError

from support.lambda_context import CONTROLLER, Context
from support.story import MANIFEST, PROD, TEST, Story
from tidegate import handlers
from tidegate.aws import idempotency, settings
from tidegate.core.approval.identity import subject_of
from tidegate.core.errors import HookFailed, NotAllowedNow, RecordConflict, TestsFailed, Unhealthy
from tidegate.core.model.record import Approval, AuditEntry, HookRun
from tidegate.core.workflow.records import find
from tidegate.handlers import operate
from tidegate.handlers.task import Call, Event, Task, logger, task
from tidegate.testing.application import BUCKET

REF = {"id": "hello-2", "application": "hello", "number": 2}
AT_PROD = {"release": REF, "stage": "prod", "target": PROD}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the controller's template gives its functions, and a table in memory."""
    for name, value in {
        "TIDEGATE_TABLE": "tidegate",
        "TIDEGATE_BUS": "tidegate",
        "TIDEGATE_VOTER_ROLES": "AWSReservedSSO_*, Admin",
        "POWERTOOLS_METRICS_NAMESPACE": "Tidegate",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    idempotency._store.cache_clear()
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="tidegate",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield
    settings.settings.cache_clear()
    idempotency._store.cache_clear()


@pytest.fixture
def live() -> Story:
    """The first release is live in every stage."""
    story = Story(approval="approval: true")
    story.machines.while_waiting = lambda ref, stage: run(
        story, "operate", approval_of(story, ref.id, stage)
    )
    return story


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """STS knows Ada; the subjects that were to be proven are kept."""
    subjects: list[str] = []

    def verify(session: object, proof: object, subject: str) -> str:
        subjects.append(subject)
        return "arn:aws:sts::111111111111:assumed-role/Admin/ada"

    monkeypatch.setattr(operate, "verify", verify)
    return subjects


def approval_of(story: Story, release_id: str, stage: str) -> dict[str, Any]:
    """What the command line sends for somebody who has seen what this stage asks for."""
    shown = asked_digest(story, release_id, stage)
    return {"verb": "approve", "release_id": release_id, "shown": shown, "identity_proof": {}}


def asked_digest(story: Story, release_id: str, stage: str) -> str:
    approval = find(story.world.ledger, Approval, release_id=release_id, stage=stage)
    assert approval
    return approval.digest


def run(story: Story, name: str, event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    """Invoke a task as Lambda does, with JSON in and out."""
    handler: Any = importlib.import_module(f"tidegate.handlers.{name}").handler
    wired = dataclasses.replace(handler, ports=lambda: story.ports)
    answer = wired(json.loads(json.dumps(event)), context or Context())
    return json.loads(json.dumps(answer))


def poll(story: Story, name: str, event: dict[str, Any], key: str = "done") -> None:
    while not run(story, name, event)[key]:
        story.world.clock.advance(5)


def begin(story: Story, code: str, number: int) -> dict[str, Any]:
    """Everything before the stages. Returns the answer of `plan`."""
    artifact = story.application.build(code).model_dump()
    execution = f"execution-{number}"
    planned = run(story, "plan", {"artifact": artifact, "execution": execution})
    release = planned["release"]
    held = run(story, "take_lock", {"release": release, "execution": execution})
    assert held == {"held": True, "holder": release["id"]}
    results = [
        {"name": test["name"], "status": "SUCCEEDED", "build_id": "b", "url": "u", "seconds": 1.5}
        for test in planned["tests"]
    ]
    assert run(story, "record_tests", {"release": release, "results": results}) == {}
    return planned


def enter(story: Story, release: dict[str, Any], stage: str, target: str) -> dict[str, Any]:
    at_stage = {"release": release, "stage": stage}
    assert run(story, "begin_stage", at_stage) == {"waves": [[target]]}
    poll(story, "preview", {**at_stage, "target": target}, "ready")
    return run(story, "review", at_stage)


def deploy(story: Story, release: dict[str, Any], stage: str, target: str) -> dict[str, Any]:
    ref = {"release": release, "stage": stage, "target": target}
    poll(story, "deploy", ref)
    hooks = run(story, "find_candidates", ref)
    assert hooks == {"pre_traffic": ["Pre"], "post_traffic": ["Post"]}
    assert run(story, "warm_candidates", ref) == {"done": True}
    before = {**ref, "when": "pre-traffic", "function": "Pre"}
    assert run(story, "run_hook", before) == {"outcome": "passed"}
    return ref


def test_every_task_of_a_release_by_its_events(live: Story, identity: list[str]) -> None:
    first = live.application.build("one")
    assert live.machines.release(first, "execution-1") == "succeeded"
    planned = begin(live, "two", 2)
    release = planned["release"]
    assert release == REF
    assert planned["stages"] == ["test", "prod"]
    assert planned["tests"][0]["source"].startswith(f"{BUCKET}/applications/hello/artifacts/")

    assert enter(live, release, "test", TEST)["approval_timeout_seconds"] == 0
    ref = deploy(live, release, "test", TEST)
    assert run(live, "tick", ref) == {"promoted": True, "bake_seconds": 0}
    poll(live, "finish", ref)
    assert run(live, "settle_capacity", ref) == {}
    assert run(live, "settle_stage", {**ref, "failure": None}) == {"phase": "succeeded"}

    assert enter(live, release, "prod", PROD)["approval_timeout_seconds"] == 86_400
    live.world.callbacks.waiting.add("secret")
    assert run(live, "request_approval", {**AT_PROD, "token": "secret"}) == {}
    said = run(
        live,
        "operate",
        {**approval_of(live, "hello-2", "prod"), "stage": "prod"},
    )
    assert said["message"].endswith("approved prod of hello-2: it goes on.")
    assert live.world.callbacks.answers["secret"] == {}
    shown = asked_digest(live, "hello-2", "prod")
    assert identity[-1] == subject_of(CONTROLLER, "approve", "hello-2", "prod", shown=shown)

    ref = deploy(live, release, "prod", PROD)
    assert run(live, "tick", ref) == {"promoted": False, "bake_seconds": 60}
    assert run(live, "bake", {**ref, "token": "baking"}) == {}
    live.error_rates["2"] = 1.0
    live.serve(live.ref(2), 60)
    live.world.clock.advance(60)
    with pytest.raises(Unhealthy) as unhealthy:
        run(live, "tick", ref)
    failure = {"Error": "Unhealthy", "Cause": json.dumps({
        "errorType": "Unhealthy", "errorMessage": str(unhealthy.value)})}  # fmt: skip
    assert run(live, "restore_traffic", {**ref, "failure": failure}) == {}
    poll(live, "restore_stack", ref)
    settled = run(live, "settle_stage", {"release": REF, "stage": "prod", "failure": failure})
    assert settled == {"phase": "failed"}
    ended = run(
        live, "settle_release", {"execution": "execution-2", "release": REF, "failure": failure}
    )
    assert ended == {"phase": "failed"}
    assert live.get(2).cause == str(unhealthy.value)


def test_release_that_was_never_planned_is_settled(live: Story) -> None:
    failure = {"Error": "InputError", "Cause": "no artifact"}
    event = {"execution": "execution-9", "release": None, "failure": failure}
    assert run(live, "settle_release", event) == {"phase": "failed"}


def test_stuck_rollout_is_declared(live: Story, capsys: pytest.CaptureFixture[str]) -> None:
    begin(live, "one", 1)
    ref = {"release": {**REF, "id": "hello-1", "number": 1}, "stage": "prod", "target": PROD}
    failure = {"Error": "RestoreFailed", "Cause": "throttled"}
    assert run(live, "declare_stuck", {**ref, "failure": failure}) == {}
    assert live.rollout(1).phase == "stuck"
    assert '"RolloutsStuck":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_failed_tests_reach_the_machine_by_their_error(live: Story) -> None:
    planned = run(
        live, "plan", {"artifact": live.application.build("one").model_dump(), "execution": "e"}
    )
    with pytest.raises(TestsFailed, match="unit: it did not report"):
        run(live, "record_tests", {"release": planned["release"], "results": []})


def hook_event(live: Story, **more: str) -> dict[str, Any]:
    planned = begin(live, "one", 1)
    enter(live, planned["release"], "test", TEST)
    ref = {"release": planned["release"], "stage": "test", "target": TEST}
    poll(live, "deploy", ref)
    run(live, "find_candidates", ref)
    return {**ref, "when": "pre-traffic", "function": "Pre", **more}


def test_hook_runs_once_however_often_its_task_is_tried(live: Story) -> None:
    event = hook_event(live, execution="rollout-1")
    assert run(live, "run_hook", event) == run(live, "run_hook", event) == {"outcome": "passed"}
    assert len(live.at(TEST).functions.calls) == 1


def test_failed_hook_is_counted_and_fails_again_without_another_run(
    live: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    event = hook_event(live)
    live.at(TEST).functions.code["hello-test-Pre"] = lambda payload: {"status": "Failed"}
    for _ in range(2):
        with pytest.raises(HookFailed):
            run(live, "run_hook", event)
    assert len(live.at(TEST).functions.calls) == 1
    assert '"HooksFailed":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_hook_that_runs_already_is_tried_later(live: Story) -> None:
    event = hook_event(live)

    def again(payload: object) -> None:
        with pytest.raises(RecordConflict):
            run(live, "run_hook", event)

    live.at(TEST).functions.code["hello-test-Pre"] = again
    assert run(live, "run_hook", event) == {"outcome": "passed"}


def test_hook_gets_no_more_time_than_the_task_has_left(live: Story) -> None:
    event = hook_event(live)
    run(live, "run_hook", event, Context(seconds=100))
    assert live.at(TEST).functions.calls[0][2] == 90
    (hook,) = (i for i in live.items(1, "HOOK#") if isinstance(i, HookRun))
    assert hook.outcome == "passed"


def test_later_answer_of_a_hook_reaches_the_state_that_waits(
    live: Story, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    bus = "arn:aws:events:eu-west-1:111111111111:event-bus/tidegate"
    monkeypatch.setenv("TIDEGATE_BUS_ARN", bus)
    settings.settings.cache_clear()
    live.application.manifest = MANIFEST.replace("APPROVAL", "approval: true").replace(
        "[Pre]", "[{function: Pre, timeout: 6h, heartbeat: 5m}]"
    )
    event = hook_event(live)
    live.at(TEST).functions.code["hello-test-Pre"] = lambda payload: {"status": "InProgress"}
    waiting = {"outcome": "waiting", "timeout_seconds": 21_600, "heartbeat_seconds": 300}
    assert run(live, "run_hook", event) == waiting
    callback = live.at(TEST).functions.calls[-1][1]["callback"]
    assert callback["bus"] == bus
    live.world.callbacks.waiting.add("token-of-the-state")
    assert run(live, "await_hook", {**event, "token": "token-of-the-state"}) == {}

    said = {"run": callback["run"], "secret": callback["secret"]}
    told = {"source": "tidegate.hook", "account": "222222222222", "detail": said}
    assert run(live, "on_hook_answer", {**told, "detail-type": "Hook Heartbeat"}) == {"heard": True}
    no = {**told, "detail-type": "Hook Answer", "detail": {**said, "status": "Failed"}}
    assert run(live, "on_hook_answer", no) == {"heard": True}
    assert live.world.callbacks.heartbeats == ["token-of-the-state"]
    assert live.world.callbacks.answers["token-of-the-state"]["Error"] == "HookFailed"
    with pytest.raises(HookFailed):
        run(live, "conclude_hook", event)
    strange = {**no, "detail": {**said, "secret": "guessed"}}
    assert run(live, "on_hook_answer", strange) == {"heard": False}
    assert callback["secret"] not in log.getvalue()


@pytest.mark.parametrize(
    ("verb", "said"), [("reject", "no need"), ("abort", "aborted hello-1: no need.")]
)
def test_operators_end_a_release(live: Story, verb: str, said: str) -> None:
    planned = begin(live, "one", 1)
    at_prod = {"release": planned["release"], "stage": "prod", "target": PROD}
    enter(live, planned["release"], "prod", PROD)
    live.world.callbacks.waiting.add("secret")
    run(live, "request_approval", {**at_prod, "token": "secret"})
    event = {"verb": verb, "release_id": "hello-1", "reason": "no need", "identity_proof": {}}
    assert said in run(live, "operate", event)["message"]
    assert live.world.callbacks.answers["secret"]["Error"] in {"ApprovalRejected", "Aborted"}


def test_refusal_reaches_the_operator_with_its_mend(live: Story) -> None:
    live.machines.release(live.application.build("one"), "execution-1")
    event = {"verb": "abort", "release_id": "hello-1", "identity_proof": {}}
    with pytest.raises(NotAllowedNow, match=r"hello-1 is over: it is succeeded\. `tidegate list`"):
        run(live, "operate", event)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the tasks log. The stream of an earlier test is closed, so it is replaced unflushed."""
    handler = logger().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    lines = io.StringIO()
    monkeypatch.setattr(handler, "stream", lines)
    return lines


def test_token_never_shows_in_a_log_or_an_error(
    live: Story, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        run(live, "bake", {"token": "secret-token", "stage": "prod"})
    begin(live, "one", 1)
    ref = {"release": {**REF, "id": "hello-1", "number": 1}, "stage": "prod", "target": PROD}
    run(live, "bake", {**ref, "token": "secret-token"})
    captured = capsys.readouterr()
    for text in (str(refused.value), captured.out, captured.err, log.getvalue()):
        assert "secret-token" not in text


def test_log_lines_carry_the_release(live: Story, log: io.StringIO) -> None:
    begin(live, "one", 1)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["correlation_id"] for line in lines if line["task"] == "take_lock"] == ["hello-1"]


def test_unexpected_error_is_logged_with_its_traceback(live: Story, log: io.StringIO) -> None:
    @task(Event)
    def fail(call: Call[Event]) -> dict[str, Any]:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        dataclasses.replace(fail, ports=lambda: live.ports)({}, Context())
    (line,) = (json.loads(line) for line in log.getvalue().splitlines())
    assert line["level"] == "ERROR"
    assert "the disk is gone" in line["exception"]


@pytest.mark.parametrize(
    ("verb", "argument", "refused"),
    [
        ("pause", "", ""),
        ("promote", "", "No traffic of hello-1 is being shifted"),
        ("promote-full", "", "No traffic of hello-1 is being shifted"),
        ("set-weight", "25%", "No traffic of hello-1 is being shifted"),
        ("resume", "", "hello-1 is not paused"),
        ("retry", "", "hello-1 is testing: there is nothing to repeat"),
        ("rollback", "hello-9", "hello-1 is under way"),
        ("rollback-now", "", "hello-1 is under way"),
        ("unlock", "hello-1", "hello-1 is not stuck"),
    ],
)
def test_operators_steer_a_release_and_prove_what_they_ask(
    live: Story, identity: list[str], verb: str, argument: str, refused: str
) -> None:
    begin(live, "one", 1)
    event = {"verb": verb, "release_id": "hello-1", "argument": argument, "identity_proof": {}}
    if refused:
        with pytest.raises(NotAllowedNow, match=refused):
            run(live, "operate", event)
    else:
        assert "hello-1" in run(live, "operate", event)["message"]
    assert identity == [subject_of(CONTROLLER, verb, "hello-1", "", argument=argument)]


def test_a_step_that_is_asked_once_is_taken_once(live: Story) -> None:
    live.machines.release(live.application.build("one"), "execution-1")
    release = begin(live, "two", 2)["release"]
    enter(live, release, "prod", PROD)
    run(live, "request_approval", {"release": release, "stage": "prod", "token": "secret"})
    run(live, "operate", approval_of(live, "hello-2", "prod"))
    run(live, "tick", deploy(live, release, "prod", PROD))
    event = {"verb": "promote", "release_id": "hello-2", "identity_proof": {"signature": "1"}}
    said = run(live, "operate", event)
    assert run(live, "operate", event) == said
    assert audit_entries(live) == ["promote"]
    live.world.clock.advance(1)
    run(live, "operate", {**event, "identity_proof": {"signature": "2"}})
    assert audit_entries(live) == ["promote", "promote"]


def audit_entries(story: Story) -> list[str]:
    found = story.ports.ledger.query("RELEASE#hello-2", "DEED#")
    return [item.verb for item in found if isinstance(item, AuditEntry)]


def test_alarm_of_a_target_rings(live: Story) -> None:
    begin(live, "one", 1)
    event = {
        "source": "aws.cloudwatch",
        "account": "333333333333",
        "region": "eu-west-1",
        "detail": {
            "alarmName": "HelloErrors",
            "state": {"value": "ALARM", "timestamp": "2026-01-01T00:00:00.250+0000"},
        },
    }
    assert run(live, "on_alarm", event) == {"rung": []}


def test_the_guardian_takes_events_and_the_schedule(live: Story) -> None:
    begin(live, "one", 1)
    ended = {"executionArn": "execution-1", "status": "ABORTED", "input": "{}"}
    run(live, "guardian", {"source": "aws.states", "detail": ended})
    live.world.executions.ended["execution-1"] = "ABORTED"
    live.world.clock.advance(120)
    scheduled = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
    assert run(live, "guardian", scheduled) == {"secured": [], "freed": ["hello-1"]}
    assert (live.get(1).phase, live.get(1).error) == ("aborted", "Aborted")


def test_prune_takes_the_event_of_a_rollout_and_what_a_person_asks(live: Story) -> None:
    for number in range(1, 8):
        live.machines.release(live.application.build(f"code {number}"), f"execution-{number}")
    told = {"application": "hello", "stage": "prod", "target": PROD, "phase": "succeeded"}
    (dry,) = run(live, "prune", {"detail": told, "dry_run": True})["prunings"]
    assert [f["spare"] for f in dry["functions"]] == [[1, 2], [1, 2]]
    (one,) = run(live, "prune", {"source": "tidegate", "detail": told})["prunings"]
    assert (one["stage"], one["functions"][0]["deleted"]) == ("prod", [1, 2])
    both = run(live, "prune", {"application": "hello"})["prunings"]
    assert [(p["stage"], len(p["functions"])) for p in both] == [("prod", 0), ("test", 2)]


def test_notify_takes_the_event_of_a_rollout_and_of_an_approval(live: Story) -> None:
    topic = "arn:aws:sns:eu-west-1:333333333333:hello"
    live.at(PROD).topics.messages[topic] = []
    live.application.manifest += f"notifications: [{{topic: '{topic}'}}]\n"
    live.machines.release(live.application.build("one"), "execution-1")
    for kind, detail in live.world.bus.events:
        if detail.get("stage") == "prod" and kind != "Stage State Change":
            run(live, "notify", {"source": "tidegate", "detail": dict(detail)})
    assert [subject for subject, _ in live.at(PROD).topics.messages[topic]] == [
        "hello-1 waits for approval of prod 333333333333/eu-west-1",
        "hello-1 is being deployed to prod 333333333333/eu-west-1",
        "hello-1 is live in prod 333333333333/eu-west-1",
    ]


def test_notify_counts_what_nobody_was_told(
    live: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    live.application.manifest += "notifications: [{topic: Deployments}]\n"
    live.machines.release(live.application.build("one"), "execution-1")
    detail = {**AT_PROD["release"], "release": "hello-1", "number": 1, "stage": "prod"}
    told = {**detail, "target": PROD, "phase": "succeeded"}
    (sent,) = run(live, "notify", {"source": "tidegate", "detail": told})["notifications"]
    assert "has no topic Deployments" in sent["error"]
    assert "NotificationsRefused" in capsys.readouterr().out


def test_examine_says_what_it_found(live: Story) -> None:
    live.machines.release(live.application.build("one"), "execution-1")
    findings = run(live, "doctor", {"application": "hello"})["findings"]
    assert {finding["what"] for finding in findings} == {"role", "stack", "alarm", "metrics"}


def test_there_is_a_handler_for_every_task_of_the_contract() -> None:
    found = {module.name for module in pkgutil.iter_modules(handlers.__path__)} - {"task"}
    assert found == {
        "await_hook", "begin_stage", "bake", "conclude_hook", "declare_stuck", "deploy", "doctor",
        "find_candidates", "finish", "guardian", "on_alarm", "on_hook_answer", "notify", "operate",
        "plan", "preview", "prune", "record_tests",
        "request_approval", "restore_stack",
        "restore_traffic", "review", "run_hook", "settle_capacity", "settle_release",
        "settle_stage", "take_lock", "tick", "warm_candidates",
    }  # fmt: skip
    for name in found - {"guardian"}:  # which stands alone
        assert isinstance(importlib.import_module(f"tidegate.handlers.{name}").handler, Task)
