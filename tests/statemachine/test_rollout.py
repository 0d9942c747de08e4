"""The rollout machine: every way from the stable version to the candidate, and back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from scripted import Answer, Raises, Refused, Scenario, Silence, Theatre, TokenFails, TokenSucceeds

BACK = ["restore-traffic", "settle-capacity", "restore-stack"]
STILL_SHIFTING = {"promoted": False, "bake_seconds": 1}
PROMOTED = {"promoted": True, "bake_seconds": 0}
UNHEALTHY = Raises("Unhealthy", "9 of 60 requests failed")


def hooks_fail(when: str, *functions: str) -> Any:
    def answer(event: Mapping[str, Any]) -> Answer:
        fails = event["when"] == when and event["function"] in functions
        return Raises("HookFailed", event["function"]) if fails else {"outcome": "passed"}

    return answer


GOOD = Scenario("rollout")


def test_shifts_traffic_between_the_hooks_and_finishes_the_stack(theatre: Theatre) -> None:
    outcome = theatre.play(GOOD)
    assert outcome.status == "SUCCEEDED"
    assert outcome.tasks == [
        "deploy",
        "find-candidates",
        "warm-candidates",
        "run-hook",
        "tick",
        "bake",
        "tick",
        "run-hook",
        "finish",
        "settle-capacity",
    ]
    assert [event["when"] for event in outcome.events("run-hook")] == [
        "pre-traffic",
        "post-traffic",
    ]


def test_tasks_are_given_references_and_nothing_more(theatre: Theatre) -> None:
    outcome = theatre.play(GOOD)
    for task, event in outcome.calls:
        extra = {
            "deploy": {"execution"},
            "run-hook": {"when", "function", "execution"},
            "bake": {"token"},
        }
        assert event.keys() == {"release", "stage", "target"} | extra.get(task, set())


NO_HOOKS = Scenario(
    "rollout", {"find-candidates": {"pre_traffic": [], "post_traffic": []}, "tick": PROMOTED}
)


def test_goes_all_at_once_without_hooks(theatre: Theatre) -> None:
    outcome = theatre.play(NO_HOOKS)
    assert outcome.status == "SUCCEEDED"
    assert outcome.tasks == [
        "deploy",
        "find-candidates",
        "warm-candidates",
        "tick",
        "finish",
        "settle-capacity",
    ]


SLOW_TO_WARM = Scenario("rollout", {"warm-candidates": [{"done": False}, {"done": True}]})
NEVER_WARM = Scenario("rollout", {"warm-candidates": {"done": False}})
CANNOT_WARM = Scenario("rollout", {"warm-candidates": Raises("WarmUpFailed", "no room")})
CANNOT_COOL = Scenario("rollout", {"settle-capacity": Raises("ServiceRefused")})
CANNOT_COOL_ON_THE_WAY_BACK = Scenario(
    "rollout", {"tick": UNHEALTHY, "settle-capacity": Raises("ServiceRefused")}
)


def test_waits_until_the_candidates_are_warm_before_anything_calls_them(theatre: Theatre) -> None:
    outcome = theatre.play(SLOW_TO_WARM)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("warm-candidates") == 2
    assert outcome.tasks[2:4] == ["warm-candidates", "run-hook"]


@pytest.mark.parametrize(
    ("scenario", "error"), [(NEVER_WARM, "TookTooLong"), (CANNOT_WARM, "WarmUpFailed")]
)
def test_goes_back_when_a_candidate_does_not_get_warm(
    theatre: Theatre, scenario: Scenario, error: str
) -> None:
    outcome = theatre.play(scenario)
    assert (outcome.status, outcome.error) == ("FAILED", error)
    assert outcome.tasks[-3:] == BACK
    assert outcome.count("run-hook") == 0


def test_what_is_not_released_costs_and_stops_nothing(theatre: Theatre) -> None:
    assert theatre.play(CANNOT_COOL).status == "SUCCEEDED"
    back = theatre.play(CANNOT_COOL_ON_THE_WAY_BACK)
    assert (back.status, back.error) == ("FAILED", "Unhealthy")
    assert back.tasks[-1] == "restore-stack"


SLOW_STACKS = Scenario(
    "rollout",
    {"deploy": [{"done": False}, {"done": True}], "finish": [{"done": False}, {"done": True}]},
)


def test_waits_for_cloudformation(theatre: Theatre) -> None:
    outcome = theatre.play(SLOW_STACKS)
    assert outcome.status == "SUCCEEDED"
    assert (outcome.count("deploy"), outcome.count("finish")) == (2, 2)


FAILURES_BEFORE_TRAFFIC = {
    "stale": Scenario("rollout", {"deploy": Raises("ChangeSetStale")}),
    "failed": Scenario("rollout", {"deploy": [{"done": False}, Raises("StackFailed")]}),
    "not-canaryable": Scenario("rollout", {"find-candidates": Raises("NotCanaryable")}),
    "hook": Scenario("rollout", {"run-hook": hooks_fail("pre-traffic", "Before")}),
}
ERRORS_BEFORE_TRAFFIC = {
    "stale": "ChangeSetStale",
    "failed": "StackFailed",
    "not-canaryable": "NotCanaryable",
    "hook": "HookFailed",
}


@pytest.mark.parametrize("name", FAILURES_BEFORE_TRAFFIC)
def test_a_failure_before_traffic_restores_and_never_shifts(theatre: Theatre, name: str) -> None:
    outcome = theatre.play(FAILURES_BEFORE_TRAFFIC[name])
    assert (outcome.status, outcome.error) == ("FAILED", ERRORS_BEFORE_TRAFFIC[name])
    assert outcome.tasks[-3:] == BACK
    assert outcome.count("tick") == 0


STACK_HANGS = Scenario("rollout", {"deploy": {"done": False}})


def test_does_not_wait_for_ever_for_a_stack_that_hangs(theatre: Theatre) -> None:
    outcome = theatre.play(STACK_HANGS)
    assert (outcome.status, outcome.error) == ("FAILED", "TookTooLong")
    assert outcome.tasks == ["deploy", *BACK]


ONE_HOOK_OF_THREE_FAILS = Scenario(
    "rollout",
    {
        "find-candidates": {"pre_traffic": ["A", "B", "C"], "post_traffic": []},
        "run-hook": hooks_fail("pre-traffic", "B"),
    },
)


def test_all_hooks_run_when_one_fails(theatre: Theatre) -> None:
    outcome = theatre.play(ONE_HOOK_OF_THREE_FAILS)
    assert outcome.error == "HookFailed"
    assert {event["function"] for event in outcome.events("run-hook")} == {"A", "B", "C"}


TWO_HOOKS_FAIL = Scenario(
    "rollout",
    {
        "find-candidates": {"pre_traffic": ["A", "B", "C"], "post_traffic": []},
        "run-hook": hooks_fail("pre-traffic", "B", "C"),
    },
)


def test_of_several_failed_hooks_the_first_is_told(theatre: Theatre) -> None:
    outcome = theatre.play(TWO_HOOKS_FAIL)
    assert (outcome.error, outcome.cause) == ("HookFailed", "B")
    assert outcome.tasks[-3:] == BACK


HOOK_STILL_RUNS = Scenario(
    "rollout", {"run-hook": [*[Raises("RecordConflict")] * 20, {"outcome": "passed"}]}
)


def test_waits_for_a_hook_whose_first_attempt_still_runs(theatre: Theatre) -> None:
    outcome = theatre.play(HOOK_STILL_RUNS)
    assert outcome.status == "SUCCEEDED"
    assert {event["execution"] for event in outcome.events("run-hook")} == {outcome.arn}


WAITING = {"outcome": "waiting", "timeout_seconds": 20, "heartbeat_seconds": 10}
IMPATIENT = {"outcome": "waiting", "timeout_seconds": 3, "heartbeat_seconds": 1}
HOOKS_ANSWER_LATER = Scenario("rollout", {"run-hook": WAITING})


def test_hooks_that_answer_later_are_waited_for(theatre: Theatre) -> None:
    outcome = theatre.play(HOOKS_ANSWER_LATER)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("conclude-hook") == 0
    before, after = outcome.events("await-hook")
    assert (before["when"], before["function"]) == ("pre-traffic", "Before")
    assert (after["when"], after["function"]) == ("post-traffic", "After")


LATER_ANSWER_IS_NO = Scenario(
    "rollout", {"run-hook": WAITING, "await-hook": TokenFails("HookFailed", "too slow")}
)
ABORTED_WHILE_A_HOOK_WORKS = Scenario(
    "rollout", {"run-hook": WAITING, "await-hook": TokenFails("Aborted", "jo: wrong version")}
)
AFTERWARDS_THE_ANSWER_IS_NO = Scenario(
    "rollout",
    {"run-hook": WAITING, "await-hook": [TokenSucceeds(), TokenFails("HookFailed", "too slow")]},
)


@pytest.mark.parametrize(
    ("scenario", "error"),
    [
        (LATER_ANSWER_IS_NO, "HookFailed"),
        (ABORTED_WHILE_A_HOOK_WORKS, "Aborted"),
        (AFTERWARDS_THE_ANSWER_IS_NO, "HookFailed"),
    ],
)
def test_restores_when_the_later_answer_is_no(
    theatre: Theatre, scenario: Scenario, error: str
) -> None:
    outcome = theatre.play(scenario)
    assert (outcome.status, outcome.error) == ("FAILED", error)
    assert outcome.tasks[-4:] == ["await-hook", *BACK]


NO_HEARTBEAT = Scenario("rollout", {"run-hook": IMPATIENT, "await-hook": Silence()})
NO_HEARTBEAT_AFTERWARDS = Scenario(
    "rollout",
    {
        "run-hook": [{"outcome": "passed"}, IMPATIENT],
        "await-hook": Silence(),
    },
)


@pytest.mark.parametrize("scenario", [NO_HEARTBEAT, NO_HEARTBEAT_AFTERWARDS])
def test_silence_of_a_hook_is_concluded_and_restores(theatre: Theatre, scenario: Scenario) -> None:
    outcome = theatre.play(scenario)
    assert (outcome.error, outcome.cause) == ("HookFailed", "nothing was heard of it")
    assert outcome.tasks[-5:] == ["await-hook", "conclude-hook", *BACK]


ANSWERED_AT_THE_LAST_MOMENT = Scenario(
    "rollout",
    {
        "run-hook": IMPATIENT,
        "await-hook": Silence(),
        "conclude-hook": [Refused(), Raises("Runtime.ExitError"), {"outcome": "passed"}],
    },
)


def test_an_answer_that_the_wait_missed_counts(theatre: Theatre) -> None:
    outcome = theatre.play(ANSWERED_AT_THE_LAST_MOMENT)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("conclude-hook") == 4


HOOK_CANNOT_BE_AWAITED = Scenario(
    "rollout", {"run-hook": WAITING, "await-hook": [Refused(), Raises("KeyError")]}
)


def test_restores_when_nobody_can_wait_for_the_hook(theatre: Theatre) -> None:
    outcome = theatre.play(HOOK_CANNOT_BE_AWAITED)
    assert outcome.error == "KeyError"
    assert outcome.tasks[-4:] == ["await-hook", *BACK]


UNHEALTHY_AT_THE_SECOND_STEP = Scenario(
    "rollout", {"tick": [STILL_SHIFTING, STILL_SHIFTING, UNHEALTHY]}
)


def test_restores_traffic_before_the_stack_when_the_candidate_is_unhealthy(
    theatre: Theatre,
) -> None:
    outcome = theatre.play(UNHEALTHY_AT_THE_SECOND_STEP)
    assert (outcome.status, outcome.error) == ("FAILED", "Unhealthy")
    assert outcome.cause == UNHEALTHY.message
    assert outcome.tasks[-4:] == ["tick", *BACK]
    (event,) = outcome.events("restore-traffic")
    assert event["failure"]["Error"] == "Unhealthy"


ABORTED = Scenario("rollout", {"tick": [STILL_SHIFTING, Raises("Aborted", "jo: wrong version")]})


def test_an_operators_abort_restores(theatre: Theatre) -> None:
    outcome = theatre.play(ABORTED)
    assert (outcome.status, outcome.error) == ("FAILED", "Aborted")
    assert outcome.tasks[-4:] == ["tick", *BACK]


TAKEN_BACK = Scenario(
    "rollout",
    {"tick": STILL_SHIFTING, "bake": TokenFails("Unhealthy", "alarm A fires and did not before")},
)


def test_goes_on_with_the_stack_when_an_alarm_has_put_the_traffic_back(theatre: Theatre) -> None:
    outcome = theatre.play(TAKEN_BACK)
    assert (outcome.status, outcome.error) == ("FAILED", "Unhealthy")
    assert outcome.cause == "alarm A fires and did not before"
    assert outcome.tasks[-5:] == ["tick", "bake", *BACK]


QUIET_BAKE = Scenario("rollout", {"tick": [STILL_SHIFTING, PROMOTED], "bake": Silence()})
BROKEN_BELL = Scenario("rollout", {"tick": [STILL_SHIFTING, PROMOTED], "bake": Raises("KeyError")})


@pytest.mark.parametrize("scenario", [QUIET_BAKE, BROKEN_BELL], ids=["quiet", "broken"])
def test_looks_again_after_the_bake_when_nobody_calls(theatre: Theatre, scenario: Scenario) -> None:
    outcome = theatre.play(scenario)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("tick") == 2


LONG_SHIFT = Scenario("rollout", {"tick": [*[STILL_SHIFTING] * 9, PROMOTED]})
LONG_SHIFT_OF_A_BAD_CANDIDATE = Scenario("rollout", {"tick": [*[STILL_SHIFTING] * 5, UNHEALTHY]})


def test_goes_on_in_fresh_executions_before_the_history_is_full(theatre: Theatre) -> None:
    outcome = theatre.play(LONG_SHIFT)
    assert outcome.status == "SUCCEEDED"
    assert outcome.count("tick") == 10
    assert len(outcome.executions) == 3  # of four looks each
    assert outcome.count("finish") == 1
    assert "restore-traffic" not in outcome.tasks


def test_a_failure_in_a_fresh_execution_is_told_as_it_was(theatre: Theatre) -> None:
    outcome = theatre.play(LONG_SHIFT_OF_A_BAD_CANDIDATE)
    assert (outcome.status, outcome.error) == ("FAILED", "Unhealthy")
    assert outcome.cause == UNHEALTHY.message
    assert outcome.tasks[-6:] == [*BACK, *BACK]  # the fresh one's, and to be safe the first one's
    assert {event["failure"]["Error"] for event in outcome.events("restore-traffic")} == {
        "Unhealthy"
    }


POST_HOOK_FAILS = Scenario("rollout", {"run-hook": hooks_fail("post-traffic", "After")})


def test_a_failed_post_traffic_hook_takes_the_traffic_away_again(theatre: Theatre) -> None:
    outcome = theatre.play(POST_HOOK_FAILS)
    assert outcome.error == "HookFailed"
    assert outcome.tasks[-4:] == ["run-hook", *BACK]


FINISH_FAILS = Scenario("rollout", {"finish": Raises("FinishFailed")})
FINISH_HANGS = Scenario("rollout", {"finish": {"done": False}})


@pytest.mark.parametrize("scenario", [FINISH_FAILS, FINISH_HANGS], ids=["fails", "hangs"])
def test_a_validated_candidate_keeps_its_traffic_when_the_finish_fails(
    theatre: Theatre, scenario: Scenario
) -> None:
    outcome = theatre.play(scenario)
    assert (outcome.status, outcome.error) == ("FAILED", "FinishFailed")
    assert outcome.tasks[-2:] == ["finish", "declare-stuck"]
    assert outcome.count("restore-traffic") == 0


RESTORE_FAILS = Scenario(
    "rollout", {"tick": UNHEALTHY, "restore-traffic": Raises("RestoreFailed", "denied")}
)


def test_is_stuck_when_traffic_cannot_be_restored_after_many_attempts(theatre: Theatre) -> None:
    outcome = theatre.play(RESTORE_FAILS)
    assert (outcome.status, outcome.error) == ("FAILED", "RestoreFailed")
    assert outcome.count("restore-traffic") == 61
    assert outcome.tasks[-2:] == ["restore-traffic", "declare-stuck"]
    (event,) = outcome.events("declare-stuck")
    assert json.loads(event["failure"]["Cause"])["errorMessage"] == "denied"


CHANGED_BY_OTHERS = Scenario(
    "rollout", {"tick": UNHEALTHY, "restore-traffic": Raises("AliasChangedByOthers")}
)


def test_does_not_fight_over_an_alias_that_others_changed(theatre: Theatre) -> None:
    outcome = theatre.play(CHANGED_BY_OTHERS)
    assert outcome.count("restore-traffic") == 1
    assert outcome.tasks[-1] == "declare-stuck"


RESTORE_IS_THROTTLED = Scenario(
    "rollout", {"tick": UNHEALTHY, "restore-traffic": [*[Refused()] * 25, {}]}
)


def test_restores_traffic_through_a_long_throttle(theatre: Theatre) -> None:
    outcome = theatre.play(RESTORE_IS_THROTTLED)
    assert outcome.error == "Unhealthy"
    assert outcome.count("restore-traffic") == 26
    assert outcome.tasks[-1] == "restore-stack"


SLOW_RESTORE = Scenario(
    "rollout", {"tick": UNHEALTHY, "restore-stack": [{"done": False}, {"done": True}]}
)
STACK_RESTORE_FAILS = Scenario(
    "rollout", {"tick": UNHEALTHY, "restore-stack": Raises("StackFailed", "rollback failed")}
)
STACK_RESTORE_HANGS = Scenario("rollout", {"tick": UNHEALTHY, "restore-stack": {"done": False}})


def test_waits_until_the_stack_is_restored(theatre: Theatre) -> None:
    outcome = theatre.play(SLOW_RESTORE)
    assert outcome.error == "Unhealthy"
    assert outcome.count("restore-stack") == 2


@pytest.mark.parametrize(
    "scenario", [STACK_RESTORE_FAILS, STACK_RESTORE_HANGS], ids=["fails", "hangs"]
)
def test_is_stuck_with_safe_traffic_when_the_stack_cannot_be_restored(
    theatre: Theatre, scenario: Scenario
) -> None:
    outcome = theatre.play(scenario)
    assert (outcome.status, outcome.error) == ("FAILED", "RestoreFailed")
    assert outcome.tasks[-4:] == [*BACK, "declare-stuck"]


NOBODY_LISTENS = Scenario(
    "rollout",
    {
        "tick": UNHEALTHY,
        "restore-traffic": Raises("LockLost"),
        "declare-stuck": Raises("KeyError"),
    },
)


def test_says_that_it_is_stuck_even_when_the_record_cannot(theatre: Theatre) -> None:
    assert theatre.play(NOBODY_LISTENS).error == "RestoreFailed"


TRANSIENT = Scenario(
    "rollout",
    {
        "deploy": [
            Refused(),
            Refused("ServiceException", 500),
            Raises("StackBusy"),
            {"done": True},
        ],
        "find-candidates": [Raises("ServiceUnavailable"), {"pre_traffic": [], "post_traffic": []}],
        "tick": [Raises("AliasConflict"), Raises("Runtime.ExitError"), PROMOTED],
        "finish": [Raises("Sandbox.Timedout"), {"done": True}],
    },
)


def test_transient_errors_are_repeated_and_leave_no_trace(theatre: Theatre) -> None:
    outcome = theatre.play(TRANSIENT)
    assert outcome.status == "SUCCEEDED"
    assert [outcome.count(task) for task in ("deploy", "find-candidates", "tick", "finish")] == [
        4,
        2,
        3,
        2,
    ]


THROTTLED_FOR_GOOD = Scenario("rollout", {"tick": Refused()})


def test_restores_when_a_transient_error_does_not_pass(theatre: Theatre) -> None:
    outcome = theatre.play(THROTTLED_FOR_GOOD)
    assert outcome.error == "Lambda.TooManyRequestsException"
    assert outcome.count("tick") == 7
    assert outcome.tasks[-3:] == BACK


STOPPED_BY_HAND = Scenario("rollout", abort_at="find-candidates")


def test_an_execution_stopped_by_hand_does_nothing_more(theatre: Theatre) -> None:
    outcome = theatre.play(STOPPED_BY_HAND)
    assert outcome.status == "ABORTED"
    assert outcome.tasks == ["deploy", "find-candidates"]


SCENARIOS = [
    *[value for value in list(globals().values()) if isinstance(value, Scenario)],
    *FAILURES_BEFORE_TRAFFIC.values(),
]
