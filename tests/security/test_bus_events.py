"""Whoever may put events on the controller's bus cannot keep its functions from their work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support.lambda_context import Context
from support.own_templates import own_template
from tidegate.core.ports import Ports
from tidegate.handlers import on_alarm, on_hook_answer
from tidegate.handlers.task import Task
from tidegate_embedded.cloud import EmbeddedAws

TEMPLATE = own_template("template.yaml")["Resources"]
RUN = "hello-1/prod/222222222222/eu-west-1/pre-traffic/Pre"
TRAFFIC = ("Tick", "RestoreTraffic", "OnAlarm", "Operate", "Guardian")


def passes(aws: EmbeddedAws, account: str, detail: object, kind: str = "Hook Answer") -> bool:
    """Whether the rule lets an event through to the function."""
    pattern = TEMPLATE["OnHookAnswerFunction"]["Properties"]["Events"]["HookAnswers"]["Properties"][
        "Pattern"
    ]
    event = {
        "id": "1", "account": account, "region": "eu-west-1", "time": "2026-01-01T00:00:00Z",
        "source": "tidegate.hook", "detail-type": kind, "resources": [], "detail": detail,
    }  # fmt: skip
    answer = aws.client("events", account=account).test_event_pattern(
        EventPattern=json.dumps(pattern), Event=json.dumps(event)
    )
    return bool(answer["Result"])


@pytest.mark.parametrize(
    "detail",
    [{}, {"run": RUN}, {"secret": "x"}, {"run": 7, "secret": "x"}, {"run": "x", "secret": "x"}],
    ids=str,
)
def test_what_names_no_run_and_secret_starts_no_function(
    aws: EmbeddedAws, account: str, detail: Mapping[str, Any]
) -> None:
    assert not passes(aws, account, detail)


def test_hooks_are_heard(aws: EmbeddedAws, account: str) -> None:
    assert passes(aws, account, {"run": RUN, "secret": "x", "status": "Succeeded"})
    assert passes(aws, account, {"run": RUN, "secret": "x"}, "Hook Heartbeat")


@pytest.mark.parametrize("hear", [on_hook_answer.handler, on_alarm.handler], ids=["hook", "alarm"])
@pytest.mark.parametrize(
    "detail",
    [None, [], {}, {"run": "x" * 10_000, "secret": "y"}, {"alarmName": {}, "state": "no"}],
    ids=["nothing", "list", "empty", "long", "other types"],
)
def test_garbage_is_refused_once_and_not_repeated(
    hear: Task[Any], detail: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    event = {
        "detail-type": "Hook Answer",
        "account": "222222222222",
        "region": "r",
        "detail": detail,
    }
    assert Task(hear.model, hear.act, no_ports)(event, Context()) == {}  # type: ignore[arg-type]


def no_ports() -> Ports:
    """Nothing is read or written for it."""
    pytest.fail("what is not well-formed reaches nothing")


@pytest.mark.parametrize("name", [*TRAFFIC, "OnHookAnswer"])
def test_a_flood_of_answers_takes_no_concurrency_from_what_moves_traffic_back(name: str) -> None:
    reserved = TEMPLATE[f"{name}Function"]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved["Fn::If"][:2] == ["Reserves", {"Ref": "ReservedConcurrency"}]
