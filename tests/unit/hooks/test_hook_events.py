"""What a hook learns of its release."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hook_lambdas import CART, event

from support.story import Story
from tidegate.hooks import HookEvent, NotAHookEventError

pytestmark = pytest.mark.timed


def test_tells_release_function_and_versions() -> None:
    given = HookEvent.read(event())
    assert (given.release, given.application, given.number) == ("shop-418", "shop", 418)
    assert (given.stage, given.when, given.attempt) == ("prod", "pre-traffic", 1)
    assert given.function.alias == "live"
    assert given.function.stable_arn == f"{CART}:41"
    assert given.function.candidate_arn == f"{CART}:42"
    assert given.function.is_changed


def test_first_deployment_has_no_stable_version() -> None:
    (function,) = event()["functions"]
    given = HookEvent.read(event(functions=[function | {"stable_version": ""}]))
    assert given.function.stable_arn == ""


def test_function_is_the_only_one_or_an_error_that_names_them() -> None:
    functions = event()["functions"] * 2
    with pytest.raises(LookupError, match=r"2 functions \(shop-prod-Cart, shop-prod-Cart\)"):
        _ = HookEvent.read(event(functions=functions)).function


def test_time_is_bounded_by_the_manifest_and_by_the_function_itself() -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    before = datetime.now(UTC)
    by_itself = HookEvent.read(event(), context)
    by_manifest = HookEvent.read(event(timeout_seconds=10), context)
    after = datetime.now(UTC)
    for read, seconds in ((by_itself, 60), (by_manifest, 10)):
        assert before <= read.deadline - timedelta(seconds=seconds) <= after
        assert (
            max(seconds - (datetime.now(UTC) - before).total_seconds(), 0)
            <= (read.seconds_left())
            <= seconds
        )
    ends = HookEvent.read(event(timeout_seconds=10)).deadline
    assert ends <= datetime.now(UTC) + timedelta(seconds=10)


def test_event_of_before_there_was_a_timeout_in_it_is_read() -> None:
    old = event()
    del old["timeout_seconds"]
    assert HookEvent.read(old).seconds_left() > 800


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (None, "expected an object, found NoneType"),
        ({"DeploymentId": "d-1"}, "expected `schema` 1, found None"),
        (event(schema=2), "expected `schema` 1, found 2"),
        ({"schema": 1}, "not complete: KeyError"),
        (event(functions=[{}]), "not complete: KeyError"),
        (event(release=None), "not complete: TypeError"),
    ],
)
def test_refuses_what_is_no_event(payload: Any, complaint: str) -> None:
    with pytest.raises(NotAHookEventError, match=complaint):
        HookEvent.read(payload)


def test_reads_what_the_controller_sends() -> None:
    story = Story()
    assert story.release("one") == "succeeded"
    for _, payload, _ in story.at("333333333333/eu-west-1").functions.calls:
        assert payload.keys() == event().keys() | {"DeploymentId", "LifecycleEventHookExecutionId"}
        assert payload["functions"][0].keys() == event()["functions"][0].keys()
        assert HookEvent.read(payload).release == "hello-1"
