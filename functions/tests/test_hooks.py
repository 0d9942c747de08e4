"""What the hooks let through and what they stop."""

from __future__ import annotations

import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hello import app as hello
from post_traffic import app as post_traffic
from pre_traffic import app as pre_traffic

from .fakes import FakeLambda

CANDIDATE = "arn:aws:lambda:eu-west-1:222222222222:function:hello:2"
ALIAS = "arn:aws:lambda:eu-west-1:222222222222:function:hello:live"
EVENT = {
    "functions": [{"candidate_arn": CANDIDATE, "candidate_version": "2", "alias_arn": ALIAS}],
}


def good(request: dict[str, Any]) -> dict[str, Any]:
    return hello.handler(request, SimpleNamespace(function_version="2"))


def crash(_: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("no database")


def run(hook: Any, client: FakeLambda) -> dict[str, Any]:
    with mock.patch.object(hook, "lambda_client", return_value=client):
        return hook.handler(EVENT, None)


class PreTraffic(unittest.TestCase):
    def test_passes_a_candidate_that_answers_correctly(self) -> None:
        client = FakeLambda(good)
        self.assertEqual(run(pre_traffic, client), {"candidates": 1, "checks": 3})
        self.assertEqual(set(client.invoked), {CANDIDATE})

    def test_stops_a_candidate_with_the_wrong_status(self) -> None:
        with self.assertRaisesRegex(pre_traffic.CandidateError, "status 500, expected 200"):
            run(pre_traffic, FakeLambda(lambda _: {"status": 500}))

    def test_stops_a_candidate_with_the_wrong_message(self) -> None:
        with self.assertRaisesRegex(pre_traffic.CandidateError, "'Bye' does not match"):
            run(pre_traffic, FakeLambda(lambda _: {"status": 200, "message": "Bye"}))

    def test_stops_a_candidate_that_crashes_and_says_how(self) -> None:
        with self.assertRaisesRegex(pre_traffic.CandidateError, "RuntimeError: no database"):
            run(pre_traffic, FakeLambda(crash))


class PostTraffic(unittest.TestCase):
    def test_passes_an_alias_that_serves_the_released_version(self) -> None:
        client = FakeLambda(good)
        self.assertEqual(run(post_traffic, client), {"aliases": 1})
        self.assertEqual(client.invoked, [ALIAS])

    def test_stops_when_another_version_answers(self) -> None:
        with self.assertRaisesRegex(post_traffic.LiveAliasError, "served by 1, expected 2"):
            run(post_traffic, FakeLambda(good, version="1"))

    def test_stops_when_the_answer_is_wrong(self) -> None:
        with self.assertRaisesRegex(post_traffic.LiveAliasError, "answered"):
            run(post_traffic, FakeLambda(lambda _: {"status": 200, "message": "Hello?"}))

    def test_stops_when_the_alias_crashes(self) -> None:
        with self.assertRaisesRegex(post_traffic.LiveAliasError, "RuntimeError: no database"):
            run(post_traffic, FakeLambda(crash))
