"""The hooks judge the application as in a rollout: as functions that invoke a function."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tidegate_embedded.endpoint.start import Endpoint, Kind


def event(
    endpoint: Endpoint, when: str, *, function: str = "HelloFunction", candidate: str = "1"
) -> dict[str, Any]:
    """What Tidegate gives a hook; see docs/reference/hooks.md."""
    return {
        "schema": 1,
        "release": {"id": "hello-1", "application": "hello", "number": 1},
        "stage": "test",
        "target": "222222222222/eu-west-1",
        "when": when,
        "functions": [
            {
                "function": function,
                "alias": "live",
                "stable_version": "",
                "candidate_version": candidate,
                "candidate_arn": endpoint.arn(function, candidate),
                "alias_arn": endpoint.arn(function, "live"),
            }
        ],
        "commit": "4be2a1c",
        "attempt": 1,
        "timeout_seconds": 60,
    }


def invoke(endpoint: Endpoint, function: str, payload: object) -> tuple[bool, Any]:
    """Whether the function passed as a hook passes, and what it said."""
    reply = endpoint.client().invoke(FunctionName=function, Payload=json.dumps(payload))
    answer = json.loads(reply["Payload"].read())
    raised = "FunctionError" in reply or is_error(answer)
    return not raised and str(answer.get("status")).lower() != "failed", answer


def is_error(answer: dict[str, Any]) -> bool:
    """`sam local` does not mark an error that names its request, and AWS's runtime names it."""
    return {"errorType", "errorMessage", "requestId"} <= answer.keys()


def test_the_application_answers(endpoint: Endpoint) -> None:
    _, answer = invoke(endpoint, "HelloFunction", {"name": "Ada"})

    assert answer == {"status": 200, "message": "Hello, Ada!"}


def test_the_pre_traffic_hook_lets_a_good_application_pass(endpoint: Endpoint) -> None:
    passed, answer = invoke(endpoint, "PreTrafficHook", event(endpoint, "pre-traffic"))

    assert passed, answer


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("GreetsWrongly", "Bye, Ada!"),
        ("Crashes", "KeyError|found nothing"),  # the latter where crashes are not marked
        ("DoesNotImport", "No module named 'greetings'|found nothing"),
    ],
)
def test_the_pre_traffic_hook_stops_a_broken_application_and_says_why(
    endpoint: Endpoint, function: str, reason: str
) -> None:
    given = event(endpoint, "pre-traffic", function=function)

    passed, answer = invoke(endpoint, "PreTrafficHook", given)

    assert not passed
    assert re.search(reason, json.dumps(answer))


@pytest.mark.parametrize(("released", "passes"), [("1", True), ("2", False)])
def test_the_post_traffic_hook_wants_the_released_version_to_serve(
    endpoint: Endpoint, released: str, passes: bool
) -> None:
    if endpoint.kind is Kind.SAM:
        pytest.skip("`sam local` knows neither versions nor aliases")
    given = event(endpoint, "post-traffic", candidate=released)

    passed, answer = invoke(endpoint, "PostTrafficHook", given)

    assert passed is passes, answer
