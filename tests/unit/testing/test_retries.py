"""What the plain machines repeat is what the state machines repeat, state by state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tidegate.core.errors import ServiceUnavailable
from tidegate.testing.retries import RETRIES, Crash, Retrier

DEFINITIONS = Path(__file__).parents[3] / "statemachine"
PASSING_OF_LAMBDA = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimedOutException",
}
DEATHS = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"}
TEN_MINUTES = 600
HASTY = {  # users are on a candidate, and nobody judges it
    "Shift traffic",
    "Watch the candidate",
    "Run the post-traffic hook",
    "Wait for the post-traffic hook",
    "Conclude the post-traffic hook",
}


def tasks(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tasks of the controller, by the names of their states."""
    for name, state in definition["States"].items():
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])
        elif ":lambda:invoke" in str(state.get("Resource")):
            yield name, state


def all_tasks() -> dict[str, Mapping[str, Any]]:
    yaml = YAML(typ="safe")
    return {
        name: state
        for path in DEFINITIONS.glob("*.asl.yaml")
        for name, state in tasks(yaml.load(path))
    }


def data(retrier: Retrier) -> tuple[set[str], float, float, float, int]:
    """As the definition says it; without errors that only Lambda itself has."""
    names = {error.__name__ for error in retrier.errors if error is not Crash}
    if "Exception" in names:
        names = {"States.ALL"}
    elif Crash in retrier.errors:
        names.add("Lambda.Unknown")
    if not retrier.attempts:
        return names, 0, 0, 0, 0
    return names, retrier.first, retrier.rate, retrier.longest, retrier.attempts


def written(rule: Mapping[str, Any]) -> tuple[set[str], float, float, float, int]:
    errors = set(rule["ErrorEquals"]) - PASSING_OF_LAMBDA - (DEATHS - {"Lambda.Unknown"})
    keys = ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds")
    interval, rate, longest = (rule.get(key, 0) for key in keys)
    return errors, interval, rate, longest, rule["MaxAttempts"]


@pytest.mark.parametrize("name", RETRIES)
def test_a_task_is_repeated_as_its_state_says(name: str) -> None:
    assert [data(one) for one in RETRIES[name]] == list(map(written, all_tasks()[name]["Retry"]))


def test_every_task_of_the_machines_is_there() -> None:
    assert RETRIES.keys() == all_tasks().keys()


def test_what_passes_within_ten_minutes_is_waited_for_where_no_user_is_at_stake() -> None:
    for name, retriers in RETRIES.items():
        passing = next(one for one in retriers if ServiceUnavailable in one.errors)
        longest = sum(map(passing.pause, range(1, passing.attempts + 1)))
        assert (longest > TEN_MINUTES) is (name not in HASTY), name
