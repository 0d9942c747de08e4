"""The stage machine: previews, approval, and waves of rollouts."""

from collections.abc import Mapping
from typing import Any

import pytest
from scripted import (
    OTHER_TARGET,
    TARGET,
    Answer,
    Raises,
    Scenario,
    Silence,
    Theatre,
    TokenFails,
    TokenSucceeds,
)

THIRD_TARGET = "333333333333/eu-west-1"
NEEDS_APPROVAL = {"waves": [[TARGET]], "approval_timeout_seconds": 600}
TWO_WAVES = {"waves": [[TARGET, OTHER_TARGET], [THIRD_TARGET]]}


def at(targets: Mapping[str, Answer], otherwise: Answer) -> Any:
    def answer(event: Mapping[str, Any]) -> Answer:
        return targets.get(event["target"], otherwise)

    return answer


GOOD = Scenario("stage")


def test_previews_reviews_rolls_out_and_settles(theatre: Theatre) -> None:
    outcome = theatre.play(GOOD)
    assert outcome.status == "SUCCEEDED"
    assert outcome.tasks[:4] == ["begin-stage", "preview", "review", "deploy"]
    assert outcome.tasks[-2:] == ["settle-capacity", "settle-stage"]
    assert outcome.events("settle-stage")[0]["failure"] is None


NOTHING_TO_DEPLOY = Scenario("stage", {"review": {"waves": [], "approval_timeout_seconds": 0}})


def test_a_stage_without_changes_is_done_after_the_review(theatre: Theatre) -> None:
    outcome = theatre.play(NOTHING_TO_DEPLOY)
    assert outcome.status == "SUCCEEDED"
    assert outcome.tasks == ["begin-stage", "preview", "review", "settle-stage"]


SLOW_PREVIEW = Scenario("stage", {"preview": [{"ready": False}, {"ready": True}]})


def test_waits_for_the_preview(theatre: Theatre) -> None:
    outcome = theatre.play(SLOW_PREVIEW)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("preview") == 2


EARLY_FAILURES = {
    "aborted": (Scenario("stage", {"begin-stage": Raises("Aborted")}), "Aborted"),
    "preview-fails": (Scenario("stage", {"preview": Raises("ChangeSetFailed")}), "ChangeSetFailed"),
    "preview-hangs": (Scenario("stage", {"preview": {"ready": False}}), "TookTooLong"),
    "review-fails": (Scenario("stage", {"review": Raises("KeyError")}), "KeyError"),
}


@pytest.mark.parametrize("name", EARLY_FAILURES)
def test_a_failure_before_the_rollouts_changes_nothing(theatre: Theatre, name: str) -> None:
    scenario, error = EARLY_FAILURES[name]
    outcome = theatre.play(scenario)
    assert (outcome.status, outcome.error) == ("FAILED", error)
    assert outcome.count("deploy") == 0
    assert outcome.tasks[-1] == "settle-stage"
    assert outcome.events("settle-stage")[0]["failure"]["Error"] == error


APPROVED = Scenario("stage", {"review": NEEDS_APPROVAL, "request-approval": TokenSucceeds()})


def test_rolls_out_after_approval(theatre: Theatre) -> None:
    outcome = theatre.play(APPROVED)
    assert outcome.status == "SUCCEEDED"
    assert outcome.tasks[2:5] == ["review", "request-approval", "deploy"]


REFUSALS = {
    error: Scenario(
        "stage", {"review": NEEDS_APPROVAL, "request-approval": TokenFails(error, "jo: not now")}
    )
    for error in ("ApprovalRejected", "ApprovalVoid", "Aborted")
}


@pytest.mark.parametrize("error", REFUSALS)
def test_a_refusal_ends_the_stage_with_its_reason(theatre: Theatre, error: str) -> None:
    outcome = theatre.play(REFUSALS[error])
    assert (outcome.error, outcome.cause) == (error, "jo: not now")
    assert outcome.tasks[-2:] == ["request-approval", "settle-stage"]


NOBODY_DECIDES = Scenario(
    "stage",
    {
        "review": {"waves": [[TARGET]], "approval_timeout_seconds": 1},
        "request-approval": Silence(),
    },
)


def test_silence_is_not_consent(theatre: Theatre) -> None:
    outcome = theatre.play(NOBODY_DECIDES)
    assert (outcome.error, outcome.cause) == (
        "ApprovalExpired",
        "Nobody decided on stage prod within 1 seconds.",
    )
    assert outcome.count("request-approval") == 1
    assert outcome.tasks[-1] == "settle-stage"


WAVES = Scenario(
    "stage",
    {"begin-stage": TWO_WAVES, "review": TWO_WAVES | {"approval_timeout_seconds": 0}},
)


def test_a_wave_begins_when_the_one_before_has_finished(theatre: Theatre) -> None:
    outcome = theatre.play(WAVES)
    assert outcome.status == "SUCCEEDED"
    assert {event["target"] for event in outcome.events("preview")} == {
        TARGET,
        OTHER_TARGET,
        THIRD_TARGET,
    }
    moves = [
        (task, event["target"]) for task, event in outcome.calls if task in {"deploy", "finish"}
    ]
    assert {target for _, target in moves[:4]} == {TARGET, OTHER_TARGET}
    assert moves[4:] == [("deploy", THIRD_TARGET), ("finish", THIRD_TARGET)]


ONE_TARGET_FAILS = Scenario(
    "stage",
    {
        "review": TWO_WAVES | {"approval_timeout_seconds": 0},
        "deploy": at({TARGET: Raises("StackFailed", "no such bucket")}, {"done": True}),
    },
)


def test_other_rollouts_of_the_wave_end_by_themselves_and_no_wave_follows(
    theatre: Theatre,
) -> None:
    outcome = theatre.play(ONE_TARGET_FAILS)
    assert (outcome.status, outcome.error) == ("FAILED", "StackFailed")
    assert outcome.cause == "no such bucket"
    assert [event["target"] for event in outcome.events("finish")] == [OTHER_TARGET]
    assert THIRD_TARGET not in {event["target"] for event in outcome.events("deploy")}


BOTH_TARGETS_FAIL = Scenario(
    "stage",
    {
        "review": {"waves": [[TARGET, OTHER_TARGET]], "approval_timeout_seconds": 0},
        "deploy": at({TARGET: Raises("StackFailed", "one")}, Raises("ChangeSetStale", "other")),
    },
)


def test_of_several_failed_targets_the_first_is_told(theatre: Theatre) -> None:
    outcome = theatre.play(BOTH_TARGETS_FAIL)
    assert (outcome.error, outcome.cause) == ("StackFailed", "one")


ONE_FAILS_AND_ONE_IS_STUCK = Scenario(
    "stage",
    {
        "review": {"waves": [[TARGET, OTHER_TARGET]], "approval_timeout_seconds": 0},
        "deploy": Raises("StackFailed"),
        "restore-traffic": at({OTHER_TARGET: Raises("LockLost")}, {}),
    },
)


def test_of_several_failures_the_one_that_needs_a_person_is_told(theatre: Theatre) -> None:
    assert theatre.play(ONE_FAILS_AND_ONE_IS_STUCK).error == "RestoreFailed"


SETTLING_FAILS = Scenario("stage", {"settle-stage": Raises("KeyError")})
SETTLING_A_FAILURE_FAILS = Scenario(
    "stage", {"begin-stage": Raises("LockLost"), "settle-stage": Raises("KeyError")}
)


def test_a_stage_that_cannot_be_settled_has_not_succeeded(theatre: Theatre) -> None:
    assert theatre.play(SETTLING_FAILS).error == "KeyError"


def test_what_failed_first_is_told_when_settling_fails_too(theatre: Theatre) -> None:
    assert theatre.play(SETTLING_A_FAILURE_FAILS).error == "LockLost"


SCENARIOS = [
    *[value for value in list(globals().values()) if isinstance(value, Scenario)],
    *[scenario for scenario, _ in EARLY_FAILURES.values()],
    *REFUSALS.values(),
]
