"""How a hook answers later: what goes on the controller's bus, and what does not."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hook_lambdas import event

from tidegate.hooks import (
    Callback,
    Checks,
    HookEvent,
    NotAHookEventError,
    NotDeliveredError,
    hook,
    using,
)
from tidegate.hooks.client import events_client
from tidegate.testing.events import make_callback

pytestmark = pytest.mark.timed

BUS = "arn:aws:events:eu-west-1:999999999999:event-bus/tidegate"


class Events:
    """EventBridge in memory; it refuses so many entries, or all calls."""

    def __init__(self, *, refused: str = "", denied: bool = False) -> None:
        self.put: list[tuple[str, dict[str, Any]]] = []
        self.refused, self.denied = refused, denied
        self.beaten = threading.Event()

    def put_events(self, **request: Any) -> dict[str, Any]:
        if self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutEvents")
        if self.refused:
            entry = {"ErrorCode": "InternalFailure", "ErrorMessage": self.refused}
            return {"FailedEntryCount": 1, "Entries": [entry]}
        for entry in request["Entries"]:
            assert (entry["EventBusName"], entry["Source"]) == (BUS, "tidegate.hook")
            self.put.append((entry["DetailType"], json.loads(entry["Detail"])))
        self.beaten.set()
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


@pytest.fixture
def callback() -> Callback:
    return Callback.read(make_callback())


def test_event_of_a_hook_that_may_answer_later_has_its_callback() -> None:
    given = HookEvent.read(event(callback=make_callback()))
    assert given.callback is not None
    assert given.callback.heartbeat_seconds == 300
    assert given.payload["callback"] == make_callback()
    assert HookEvent.read(event()).callback is None


def test_callback_that_is_none_is_an_event_that_is_none() -> None:
    with pytest.raises(NotAHookEventError, match="this is no callback of a hook: KeyError"):
        HookEvent.read(event(callback={"bus": BUS}))


def test_is_handed_on_as_text_and_shows_no_secret_otherwise(callback: Callback) -> None:
    assert Callback.read(str(callback)) == callback
    assert callback.secret not in repr(callback)


def test_says_that_the_work_goes_on_and_how_it_ended(callback: Callback) -> None:
    events = Events()
    with using(events=events):
        callback.heartbeat()
        callback.succeed()
        callback.fail("p99 doubled")
    known = {"run": callback.run, "secret": callback.secret}
    assert events.put == [
        ("Hook Heartbeat", known),
        ("Hook Answer", {**known, "status": "Succeeded"}),
        ("Hook Answer", {**known, "status": "Failed", "reason": "p99 doubled"}),
    ]


def test_answers_with_the_result_of_checks_without_their_list(callback: Callback) -> None:
    events, checks = Events(), Checks(HookEvent.read(event()))
    checks.that("orders arrive", False, "none in an hour")
    with using(events=events):
        callback.answer(checks.result())
    ((_, said),) = events.put
    assert said["reason"] == "1 of 1 check failed: orders arrive (none in an hour)"
    assert "checks" not in said


@pytest.mark.parametrize("events", [Events(refused="busy"), Events(denied=True)])
def test_what_the_bus_does_not_take_is_an_error(callback: Callback, events: Events) -> None:
    with using(events=events), pytest.raises(NotDeliveredError, match="Hook Heartbeat of applic"):
        callback.heartbeat()


@pytest.mark.parametrize("refused", [False, True])
def test_beats_while_something_runs(
    callback: Callback, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events()
    tried = threading.Event()

    def client(bus: str) -> Events:
        tried.set()
        return Events(denied=True) if refused else events

    monkeypatch.setattr("tidegate.hooks.callback.events_client", client)
    with callback.beating():
        tried.wait()
    assert {kind for kind, _ in events.put} == (set() if refused else {"Hook Heartbeat"})


def test_time_left_ends_at_the_deadline() -> None:
    before = datetime.now(UTC)
    soon = before + timedelta(seconds=60)
    left = Callback.read(make_callback(deadline=soon.isoformat())).seconds_left()
    passed = (datetime.now(UTC) - before).total_seconds()
    assert max(60 - passed, 0) <= left <= 60
    past = make_callback(deadline="2020-01-01T00:00:00+00:00")
    assert Callback.read(past).seconds_left() == 0


def test_client_is_in_the_region_of_the_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert events_client(BUS).meta.region_name == "eu-west-1"


@hook
def long_hook(event: HookEvent, checks: Checks) -> None:
    checks.that("the table is there", event.stage == "prod", "it is not")
    checks.later()


def test_hook_that_answers_later_says_so() -> None:
    answer = long_hook(event(callback=make_callback()))
    assert answer["status"] == "InProgress"
    assert [check["passed"] for check in answer["checks"]] == [True]


def test_check_that_failed_ends_the_run_at_once() -> None:
    answer = long_hook(event(stage="test", callback=make_callback()))
    assert (answer["status"], answer["reason"].count("it is not")) == ("Failed", 1)


def test_hook_that_may_not_answer_later_learns_what_to_write() -> None:
    answer = long_hook(event())
    assert answer["status"] == "Failed"
    assert "Give it a `heartbeat` in the manifest" in answer["reason"]
