"""The release machine: plan, lock, tests, stages, and how a release ends."""

from collections.abc import Mapping
from typing import Any

import pytest
from scripted import ARTIFACT, RELEASE, Answer, Raises, Scenario, Theatre, TokenFails

WAITING = {"held": False, "holder": "hello-2"}


def judge_tests(event: Mapping[str, Any]) -> Answer:
    failed = [result["name"] for result in event["results"] if result["status"] != "SUCCEEDED"]
    return Raises("TestsFailed", ", ".join(failed)) if failed else {}


GOOD = Scenario("release")


def test_tests_run_before_the_stages_which_come_one_after_the_other(theatre: Theatre) -> None:
    outcome = theatre.play(GOOD)
    assert outcome.status == "SUCCEEDED"
    assert outcome.output == {"release": "hello-3", "phase": "as-recorded"}
    assert outcome.tasks[:2] == ["plan", "take-lock"]
    assert set(outcome.tasks[2:4]) == {"unit", "security"}
    assert outcome.tasks[4] == "record-tests"
    assert outcome.tasks[-1] == "settle-release"
    stages = [
        (task, event["stage"])
        for task, event in outcome.calls
        if task in {"begin-stage", "settle-stage"}
    ]
    assert stages == [
        ("begin-stage", "test"),
        ("settle-stage", "test"),
        ("begin-stage", "prod"),
        ("settle-stage", "prod"),
    ]


def test_the_plan_is_made_from_the_executions_own_input(theatre: Theatre) -> None:
    (event,) = theatre.play(GOOD).events("plan")
    assert event["artifact"] == ARTIFACT
    assert ":execution:tidegate-release:" in event["execution"]


def test_nested_executions_have_names_that_people_can_read(theatre: Theatre) -> None:
    names = theatre.play(GOOD).executions
    assert all(len(name) <= 80 for name in names)
    assert any(name.startswith("hello-3-prod-222222222222-eu-west-1-") for name in names)


def test_the_results_of_all_tests_are_recorded(theatre: Theatre) -> None:
    (event,) = theatre.play(GOOD).events("record-tests")
    assert {result["name"] for result in event["results"]} == {"unit", "security"}
    for result in event["results"]:
        assert result["status"] == "SUCCEEDED"
        assert result["build_id"].startswith("hello-tests:")
        assert result["url"].startswith("https://logs/")
        assert result["seconds"] >= 0
        assert result["cause"] == ""


PLAN_FAILS = Scenario("release", {"plan": Raises("ArtifactError", "no such key")})


def test_a_release_that_cannot_be_planned_is_settled_without_a_number(theatre: Theatre) -> None:
    outcome = theatre.play(PLAN_FAILS)
    assert (outcome.status, outcome.error) == ("FAILED", "ArtifactError")
    assert outcome.tasks == ["plan", "settle-release"]
    assert outcome.events("settle-release")[0]["release"] is None


QUEUES = Scenario("release", {"take-lock": [WAITING, WAITING, {"held": True, "holder": "hello-3"}]})
SUPERSEDED = Scenario("release", {"take-lock": [WAITING, Raises("Superseded", "by hello-4")]})
QUEUES_TOO_LONG = Scenario("release", {"take-lock": WAITING})


def test_waits_in_the_queue_until_the_lock_is_free(theatre: Theatre) -> None:
    outcome = theatre.play(QUEUES)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("take-lock") == 3


@pytest.mark.parametrize(
    ("scenario", "error"),
    [(SUPERSEDED, "Superseded"), (QUEUES_TOO_LONG, "TookTooLong")],
    ids=["superseded", "too-long"],
)
def test_leaves_the_queue_without_having_tested(
    theatre: Theatre, scenario: Scenario, error: str
) -> None:
    outcome = theatre.play(scenario)
    assert (outcome.status, outcome.error) == ("FAILED", error)
    assert outcome.tasks == ["plan", "take-lock", "settle-release"]


A_TEST_FAILS = Scenario("release", {"unit": {"status": "FAILED"}, "record-tests": judge_tests})
A_TEST_CANNOT_START = Scenario(
    "release",
    {"unit": Raises("AccountLimitExceededException", "too many"), "record-tests": judge_tests},
)


def test_all_tests_end_and_are_recorded_when_one_fails(theatre: Theatre) -> None:
    outcome = theatre.play(A_TEST_FAILS)
    assert (outcome.status, outcome.error) == ("FAILED", "TestsFailed")
    results = {result["name"]: result for result in outcome.events("record-tests")[0]["results"]}
    assert results["security"]["status"] == "SUCCEEDED"
    assert results["unit"] | {"seconds": 0} == {
        "name": "unit",
        "status": "FAILED",
        "build_id": "hello-tests:unit.FAILED",
        "url": "https://logs/hello-tests:unit.FAILED",
        "seconds": 0,
        "cause": "The build ended as FAILED.",
    }
    assert outcome.count("begin-stage") == 0


def test_a_test_that_cannot_start_is_tried_again_and_then_failed(theatre: Theatre) -> None:
    outcome = theatre.play(A_TEST_CANNOT_START)
    assert outcome.error == "TestsFailed"
    assert outcome.count("unit") == 31
    results = {result["name"]: result for result in outcome.events("record-tests")[0]["results"]}
    assert results["unit"]["build_id"] == ""
    assert "too many" in results["unit"]["cause"]


ABORTED_WHILE_TESTING = Scenario("release", {"record-tests": Raises("Aborted")})
UNHEALTHY_IN_TEST = Scenario("release", {"tick": Raises("Unhealthy", "9 of 60 failed")})
REJECTED = Scenario(
    "release",
    {
        "review": {"waves": [["222222222222/eu-west-1"]], "approval_timeout_seconds": 600},
        "request-approval": TokenFails("ApprovalRejected", "jo: not before Monday"),
    },
)


def test_an_abort_while_testing_deploys_nothing(theatre: Theatre) -> None:
    outcome = theatre.play(ABORTED_WHILE_TESTING)
    assert outcome.error == "Aborted"
    assert outcome.tasks[-2:] == ["record-tests", "settle-release"]


def test_later_stages_do_not_begin_after_a_failed_one(theatre: Theatre) -> None:
    outcome = theatre.play(UNHEALTHY_IN_TEST)
    assert (outcome.status, outcome.error) == ("FAILED", "Unhealthy")
    assert outcome.cause == "9 of 60 failed"
    assert [event["stage"] for event in outcome.events("begin-stage")] == ["test"]
    assert outcome.tasks[-2:] == ["settle-stage", "settle-release"]
    assert outcome.events("settle-release")[0]["failure"]["Error"] == "Unhealthy"


def test_a_rejection_comes_through_with_its_reason(theatre: Theatre) -> None:
    outcome = theatre.play(REJECTED)
    assert (outcome.error, outcome.cause) == ("ApprovalRejected", "jo: not before Monday")
    assert outcome.events("settle-release")[0]["release"] == RELEASE


SETTLING_FAILS = Scenario("release", {"settle-release": Raises("KeyError")})


def test_a_release_that_cannot_be_settled_has_not_succeeded(theatre: Theatre) -> None:
    assert theatre.play(SETTLING_FAILS).error == "KeyError"


SCENARIOS = [value for value in list(globals().values()) if isinstance(value, Scenario)]


def test_a_rollout_stopped_by_hand_ends_the_release_by_a_name_that_a_state_may_fail_with(
    theatre: Theatre,
) -> None:
    """Step Functions calls it ``States.TaskFailed``, and names of that kind are its own."""

    def stop(execution: str, state: str) -> None:
        if state == "Declare the rollout stuck":
            client = theatre.aws.client("stepfunctions", account=execution.split(":")[4])
            client.stop_execution(executionArn=execution)

    script = {"tick": Raises("Unhealthy"), "restore-traffic": Raises("RestoreFailed")}
    outcome = theatre.play(Scenario("release", script, on_enter=stop))
    assert (outcome.status, outcome.error) == ("FAILED", "TaskFailed")
