"""The language: JSONata, variables, and the states that need no service."""

import json
import time

import pytest
from statemachines import StateMachines

from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

DONE = {"Type": "Succeed"}


@pytest.fixture
def machines(aws: EmbeddedAws, account: str) -> StateMachines:
    return StateMachines(aws, account)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        (
            '$hash("tide", "SHA-256")',
            "8a28929ac7f9a17e97a421ac2cd63ac73568ebe87bc0cee641a193d91c761577",
        ),
        ("$random(1) = $random(1)", True),
        ("$length($uuid())", 36),
        ('$parse("{\\"a\\": [1, null]}")', {"a": [1, None]}),
        ("$exists($states.input.nothing)", True),
        ("$states.input.nothing", None),
        ("$exists($states.input.missing)", False),
        ("$states.input.items[weight > 0.5].name", "b"),
        ("$sum($states.input.items.weight)", 1),
        ("$states.context.StateMachine.Name", "machine-0"),
        ("$contains($states.context.Execution.StartTime, /^20.*Z$/)", True),
        ("7 / 2", 3.5),
    ],
)
def test_evaluates_jsonata(machines: StateMachines, expression: str, value: object) -> None:
    items = [{"name": "a", "weight": 0.25}, {"name": "b", "weight": 0.75}]

    output = machines.output(
        {"Look": {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True}},
        {"nothing": None, "items": items},
    )

    assert output == value


@pytest.mark.parametrize("text", ['say "hi"', "two\nlines", "back\\slash", "{% not code %}", "ü€"])
def test_keeps_any_text_in_variables_and_literals(machines: StateMachines, text: str) -> None:
    output = machines.output(
        {
            "Keep": {
                "Type": "Pass",
                "Assign": {"given": "{% $states.input.text %}", "written": f"x{text}"},
                "Next": "Show",
            },
            "Show": {
                "Type": "Pass",
                "Output": {"given": "{% $given %}", "written": "{% $written %}"},
                "End": True,
            },
        },
        {"text": text},
    )

    assert output == {"given": text, "written": f"x{text}"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("$states.input.missing", "returned nothing (undefined)"),
        ("$sum", "returned an unsupported result type"),
        ("1 +", "threw an error during evaluation"),
        ('$eval("1")', "threw an error during evaluation"),
    ],
)
def test_an_expression_without_a_value_fails_the_state(
    machines: StateMachines, expression: str, reason: str
) -> None:
    ended = machines.run({"Look": {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True}})

    assert ended["error"] == "States.QueryEvaluationError"
    assert reason in ended["cause"]


def test_an_output_that_is_text_is_json(machines: StateMachines) -> None:
    ended = machines.run({"Say": {"Type": "Pass", "Output": "done", "End": True}})

    assert ended["output"] == '"done"'


def test_chooses_assigns_and_fails_by_expressions(machines: StateMachines) -> None:
    ended = machines.run(
        {
            "Is it healthy?": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $states.input.verdict = 'unhealthy' %}",
                        "Assign": {"why": "{% $states.input.reasons[0] %}"},
                        "Next": "Fail",
                    }
                ],
                "Default": "Done",
            },
            "Fail": {"Type": "Fail", "Error": "{% 'Rollout' & 'Failed' %}", "Cause": "{% $why %}"},
            "Done": DONE,
        },
        {"verdict": "unhealthy", "reasons": ["errors rose"]},
    )

    assert (ended["status"], ended["error"], ended["cause"]) == (
        "FAILED",
        "RolloutFailed",
        "errors rose",
    )


def test_waits_as_long_as_an_expression_says(machines: StateMachines) -> None:
    started = time.monotonic()

    machines.output(
        {"Bake": {"Type": "Wait", "Seconds": "{% $states.input.bake %}", "End": True}}, {"bake": 1}
    )

    assert time.monotonic() - started >= 1


def test_maps_items_in_order_one_at_a_time(machines: StateMachines) -> None:
    output = machines.output(
        {
            "Stages": {
                "Type": "Map",
                "Items": "{% $states.input.stages %}",
                "MaxConcurrency": 1,
                "ItemSelector": {
                    "stage": "{% $states.context.Map.Item.Value %}",
                    "number": "{% $states.context.Map.Item.Index %}",
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "INLINE"},
                    "StartAt": "Show",
                    "States": {
                        "Show": {
                            "Type": "Pass",
                            "Output": "{% $states.input.stage & $states.input.number %}",
                            "End": True,
                        }
                    },
                },
                "Assign": {"all": "{% $states.result %}"},
                "Next": "Join",
            },
            "Join": {"Type": "Pass", "Output": "{% $join($all, ' ') %}", "End": True},
        },
        {"stages": ["test", "stage", "prod"]},
    )

    assert output == "test0 stage1 prod2"


def test_one_failed_iteration_can_be_caught_inside_the_map(machines: StateMachines) -> None:
    output = machines.output(
        {
            "Tests": {
                "Type": "Map",
                "Items": "{% $states.input %}",
                "ItemProcessor": {
                    "StartAt": "Nest",
                    "States": {
                        "Nest": {
                            "Type": "Parallel",
                            "Branches": [
                                {
                                    "StartAt": "Did it pass?",
                                    "States": {
                                        "Did it pass?": {
                                            "Type": "Choice",
                                            "Choices": [
                                                {
                                                    "Condition": "{% $states.input = 'bad' %}",
                                                    "Next": "Fail",
                                                }
                                            ],
                                            "Default": "Pass",
                                        },
                                        "Fail": {"Type": "Fail", "Error": "TestFailed"},
                                        "Pass": {"Type": "Succeed", "Output": "passed"},
                                    },
                                }
                            ],
                            "Catch": [
                                {
                                    "ErrorEquals": ["TestFailed"],
                                    "Output": "{% $states.errorOutput.Error %}",
                                    "Next": "Give up",
                                }
                            ],
                            "Output": "{% $states.result[0] %}",
                            "End": True,
                        },
                        "Give up": DONE,
                    },
                },
                "End": True,
            }
        },
        ["good", "bad", "good"],
    )

    assert output == ["passed", "TestFailed", "passed"]


def test_one_uncaught_iteration_fails_the_map(machines: StateMachines) -> None:
    output = machines.output(
        {
            "Tests": {
                "Type": "Map",
                "Items": [1, 2],
                "ItemProcessor": {
                    "StartAt": "Fail",
                    "States": {"Fail": {"Type": "Fail", "Error": "TestFailed", "Cause": "no"}},
                },
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {"failure": "{% $states.errorOutput %}"},
                        "Next": "Show",
                    }
                ],
                "End": True,
            },
            "Show": {"Type": "Pass", "Output": "{% $failure %}", "End": True},
        }
    )

    assert output == {"Error": "TestFailed", "Cause": "no"}


@pytest.mark.parametrize(
    ("tolerance", "status"),
    [
        ({}, "FAILED"),
        ({"ToleratedFailureCount": 1}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 25}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 24}, "FAILED"),
        ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 20}, "FAILED"),
    ],
)
def test_a_distributed_map_tolerates_as_many_failures_as_it_says(
    machines: StateMachines, tolerance: dict[str, int], status: str
) -> None:
    ended = machines.run(
        {
            "Fleet": {
                "Type": "Map",
                "Items": [1, 2, 3, 4],
                **tolerance,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Is it bad?",
                    "States": {
                        "Is it bad?": {
                            "Type": "Choice",
                            "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "Fail"}],
                            "Default": "Done",
                        },
                        "Fail": {"Type": "Fail", "Error": "Bad"},
                        "Done": DONE,
                    },
                },
                "End": True,
            }
        }
    )

    assert ended["status"] == status
    if status == "FAILED":
        assert ended["error"] == "States.ExceedToleratedFailureThreshold"


def test_parallel_branches_give_their_outputs_to_assign_and_output(
    machines: StateMachines,
) -> None:
    def branch(output: str) -> dict[str, object]:
        return {
            "StartAt": "Say",
            "States": {"Say": {"Type": "Pass", "Output": output, "End": True}},
        }

    output = machines.output(
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [branch("one"), branch("{% $states.input.two %}")],
                "Assign": {"both": "{% $states.result %}"},
                "Output": "{% $states.result[1] %}",
                "Next": "Show",
            },
            "Show": {"Type": "Pass", "Output": ["{% $both %}", "{% $states.input %}"], "End": True},
        },
        {"two": 2},
    )

    assert output == [["one", 2], 2]


def test_a_machine_that_takes_too_long_times_out(machines: StateMachines) -> None:
    execution = machines.start(
        machines.create({"Bake": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=1)
    )

    assert machines.wait(execution)["status"] == "TIMED_OUT"
    assert machines.events(execution)[-1] == "ExecutionTimedOut"


def test_history_tells_what_was_assigned(machines: StateMachines) -> None:
    execution = machines.start(
        machines.create({"Keep": {"Type": "Pass", "Assign": {"a": [1]}, "End": True}})
    )
    machines.wait(execution)

    events = machines.client.get_execution_history(executionArn=execution)["events"]

    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert json.loads(events[2]["stateExitedEventDetails"]["assignedVariables"]["a"]) == [1]
