"""What a hook can check, and how it says what it found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from hook_lambdas import CART, Lambda, event

from tidegate.core.ports import Invocation
from tidegate.core.workflow.hooks.run import _why_failed
from tidegate.hooks import Answer, Checks, HookEvent, hook, using

CANDIDATE = f"{CART}:42"
WEB = {"statusCode": 200, "body": json.dumps({"items": [{"id": 7}], "note": None})}


def ask(answer: Any, expect: Callable[[Answer], object], **options: Any) -> dict[str, Any]:
    """The result of a hook that asks once."""

    @hook
    def handler(given: HookEvent, checks: Checks) -> None:
        expect(checks.invoke(given.function.candidate_arn, {"path": "/"}, **options))

    with using(Lambda(answer if callable(answer) else lambda _: answer)):
        return handler(event())


def reason(answer: Any, expect: Callable[[Answer], object], **options: Any) -> str:
    result = ask(answer, expect, **options)
    assert result["status"] == "Failed"
    return str(result["reason"])


def crash(_: Any) -> None:
    raise RuntimeError("no database")


@pytest.mark.parametrize(
    "expect",
    [
        lambda a: a.has_status(200),
        lambda a: a.has("statusCode", 200),
        lambda a: a.has("body.items.0.id", 7),
        lambda a: a.has("body.note", None),
        lambda a: a.matches(r'"id": 7', at="body"),
        lambda a: a.matches("statusCode"),
        lambda a: a.fits({"required": ["statusCode"]}).fits({"type": "array"}, at="body.items"),
        lambda a: a.within(5),
        lambda a: a.came_from("42"),
        lambda a: a.has_status(200).has("body.items.0.id", 7).within(5),
    ],
)
def test_passes_what_is_as_expected(expect: Callable[[Answer], object]) -> None:
    assert ask(WEB, expect)["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        (lambda a: a.has_status(201), "status is 201 (found 200)"),
        (lambda a: a.has("body.items.1.id", 7), "body.items.1.id is 7 (found nothing)"),
        (lambda a: a.has("body.items.0.id", "7"), 'body.items.0.id is "7" (found 7)'),
        (lambda a: a.has("statusCode.deeper", 1), "statusCode.deeper is 1 (found nothing)"),
        (lambda a: a.matches("^bye", at="body.note"), "body.note matches '^bye' (found null)"),
        (lambda a: a.matches("x", at="nowhere"), "nowhere matches 'x' (found nothing)"),
        (lambda a: a.fits({"required": ["id"]}), "fits its schema ($.id is missing)"),
        (lambda a: a.fits({"required": ["id"]}, at="body"), "fits its schema (body.id is missing)"),
        (lambda a: a.fits({}, at="nowhere"), "nowhere fits its schema (there is nothing)"),
        (lambda a: a.within(-1), "answers within -1 s (took 0."),
        (lambda a: a.came_from("41"), "version 41 answers (version 42 did)"),
    ],
)
def test_says_what_was_expected_and_what_was_found(
    expect: Callable[[Answer], object], said: str
) -> None:
    assert said in reason(WEB, expect)


def test_true_is_not_one() -> None:
    assert "found true" in reason({"ok": True}, lambda a: a.has("ok", 1))


def test_value_is_there_for_checks_of_ones_own() -> None:
    seen = []
    ask(WEB, lambda a: seen.extend([a.value("body.items.0.id"), a.value("nowhere"), a.value()]))
    assert seen == [7, None, WEB]


def test_collects_every_check() -> None:
    result = ask(WEB, lambda a: a.has_status(500).has("body.items.0.id", 8).within(5))
    asked = 'shop-prod-Cart:42 asked {"path": "/"}'
    assert result["reason"] == (
        f"2 of 4 checks failed: {asked}: status is 500 (found 200); "
        f"{asked}: body.items.0.id is 8 (found 7)"
    )
    assert [check["passed"] for check in result["checks"]] == [True, False, False, True]
    assert result["checks"][1]["detail"] == "found 200"


def test_long_lists_and_texts_are_cut() -> None:
    result = ask({"text": "x" * 9999}, lambda a: [a.has("text", str(n)) for n in range(300)])
    assert result["reason"].endswith("; and 295 more")
    assert len(result["reason"]) < 5000
    assert len(json.dumps(result)) < 200_000


def test_crash_of_the_candidate_is_one_failure_with_its_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = reason(crash, lambda a: a.has_status(200).within(1))
    assert said == (
        '1 of 1 check failed: shop-prod-Cart:42 asked {"path": "/"}: answers '
        "(RuntimeError: no database)"
    )
    assert "looking for the table" in caplog.text


def test_failure_can_be_what_is_expected() -> None:
    assert ask(crash, lambda _: None, expect_error="RuntimeError")["status"] == "Succeeded"
    said = reason(crash, lambda _: None, expect_error="ValueError")
    assert "fails by ValueError (RuntimeError: no database)" in said
    assert "(it answered)" in reason(WEB, lambda _: None, expect_error="ValueError")


def test_answer_that_is_no_json_is_text() -> None:
    assert ask(lambda _: b"pong", lambda a: a.matches("^pong$"))["status"] == "Succeeded"
    assert ask(lambda _: b"", lambda a: a.has("x", None))["status"] == "Failed"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ReadTimeoutError(endpoint_url="https://lambda"), "no answer within 0.0 s"),
        (EndpointConnectionError(endpoint_url="https://lambda"), "Could not connect"),
    ],
)
def test_network_that_fails_is_a_failed_check(error: Exception, said: str) -> None:
    def lose(_: Any) -> None:
        raise error

    assert said in reason(lose, lambda a: a.has_status(200))


def test_missing_function_is_a_failed_check() -> None:
    @hook
    def handler(_: HookEvent, checks: Checks) -> None:
        checks.invoke(f"{CART}:nothing")
        checks.is_invocable(f"{CART}:nothing")
        checks.is_invocable(CANDIDATE)

    with using(Lambda(crash)):
        result = handler(event())
    assert [check["passed"] for check in result["checks"]] == [False, False, True]
    assert "ResourceNotFoundException" in result["reason"]


class SamLocal(Lambda):
    """Tells no log, and does not mark the errors of Python's runtime."""

    def invoke(self, **request: Any) -> dict[str, Any]:
        if "LogType" in request:
            details = {"Code": "NotImplemented", "Message": "log-type: Tail is not supported"}
            raise ClientError({"Error": details}, "Invoke")
        response = super().invoke(**request)
        for missing in ("FunctionError", "LogResult", "ExecutedVersion"):
            response.pop(missing, None)
        return response


def test_sam_local_answers_without_a_log() -> None:
    @hook
    def handler(_: HookEvent, checks: Checks) -> None:
        checks.invoke(CANDIDATE).has_status(200)

    with using(SamLocal(lambda _: {"status": 200})):
        assert handler(event())["status"] == "Succeeded"


def test_error_that_sam_local_does_not_mark_is_one() -> None:
    @hook
    def handler(_: HookEvent, checks: Checks) -> None:
        checks.invoke(CANDIDATE)

    error = {"errorType": "KeyError", "errorMessage": "'SALUTATION'", "requestId": "1"}
    with using(SamLocal(lambda _: error)):
        result = handler(event())
    assert result["status"] == "Failed"
    assert "KeyError: 'SALUTATION'" in result["reason"]


def test_candidate_is_not_asked_when_the_time_is_over() -> None:
    @hook
    def handler(given: HookEvent, checks: Checks) -> None:
        checks.invoke(given.function.candidate_arn)

    client = Lambda(crash)
    with using(client):
        assert "no time left to ask" in handler(event(timeout_seconds=1))["reason"]
    assert client.calls == []


def test_what_the_validation_raises_is_a_failure_beside_its_checks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @hook
    def handler(_: HookEvent, checks: Checks) -> None:
        checks.that("the table is there", False, "it is gone")
        raise KeyError("total")

    result = handler(event())
    assert result["reason"] == (
        "2 of 2 checks failed: the table is there (it is gone); "
        "the hook gets to its end (KeyError: 'total')"
    )
    assert "Traceback" in caplog.text


def test_hook_that_checks_nothing_does_not_pass() -> None:
    result = hook(lambda _event, _checks: None)(event())
    assert result == {"status": "Failed", "reason": "it checked nothing", "checks": []}


def test_controller_reads_the_result() -> None:
    passed = ask(WEB, lambda a: a.has_status(200))
    assert passed["summary"] == "2 checks passed"
    assert _why_failed(Invocation(passed)) == ""
    failed = ask(WEB, lambda a: a.has_status(500))
    assert _why_failed(Invocation(failed)) == failed["reason"]


def test_failed_checks_are_in_the_log_that_the_record_keeps(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ask(WEB, lambda a: a.has_status(500))
    assert "failed: shop-prod-Cart:42" in caplog.text
