"""What the hooks let through and what they stop."""

from __future__ import annotations

import logging
import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hello import app as hello
from post_traffic import app as post_traffic
from pre_traffic import app as pre_traffic
from tidegate.hooks import using

from .fakes import FakeCloudWatch, FakeLambda

CANDIDATE = "arn:aws:lambda:eu-west-1:222222222222:function:hello:2"
ALIAS = "arn:aws:lambda:eu-west-1:222222222222:function:hello:live"
EVENT = {
    "schema": 1,
    "release": {"id": "hello-7", "application": "hello", "number": 7},
    "stage": "test",
    "target": "222222222222/eu-west-1",
    "when": "pre-traffic",
    "functions": [
        {
            "function": "hello",
            "alias": "live",
            "stable_version": "1",
            "candidate_version": "2",
            "candidate_arn": CANDIDATE,
            "alias_arn": ALIAS,
        }
    ],
    "commit": "4be2a1c",
    "attempt": 1,
    "timeout_seconds": 60,
}


def setUpModule() -> None:
    """Hooks log what fails, and here that is the purpose."""
    logging.disable()


def tearDownModule() -> None:
    logging.disable(logging.NOTSET)


def good(request: dict[str, Any]) -> dict[str, Any]:
    return hello.handler(request, SimpleNamespace(function_version="2"))


def crash(_: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("no database")


class PreTraffic(unittest.TestCase):
    def run_with(self, client: FakeLambda) -> dict[str, Any]:
        with using(client):
            return pre_traffic.handler(EVENT)

    def test_passes_a_candidate_that_answers_correctly(self) -> None:
        client = FakeLambda(good)
        self.assertEqual(self.run_with(client)["status"], "Succeeded")
        self.assertEqual(set(client.invoked), {CANDIDATE})

    def test_stops_a_candidate_with_the_wrong_status(self) -> None:
        result = self.run_with(FakeLambda(lambda _: {"status": 500}))
        self.assertIn("status is 200 (found 500)", result["reason"])

    def test_stops_a_candidate_with_the_wrong_message(self) -> None:
        result = self.run_with(FakeLambda(lambda _: {"status": 200, "message": "Bye"}))
        self.assertEqual(result["status"], "Failed")
        self.assertIn('(found "Bye")', result["reason"])

    def test_stops_a_candidate_that_crashes_and_says_how(self) -> None:
        result = self.run_with(FakeLambda(crash))
        self.assertIn("RuntimeError: no database", result["reason"])


class PostTraffic(unittest.TestCase):
    def run_with(self, client: FakeLambda, **numbers: int) -> dict[str, Any]:
        metrics = FakeCloudWatch(**numbers)
        with using(client), mock.patch.object(post_traffic, "cloudwatch", return_value=metrics):
            return post_traffic.handler(EVENT | {"when": "post-traffic"})

    def test_passes_an_alias_that_serves_the_released_version(self) -> None:
        client = FakeLambda(good)
        self.assertEqual(self.run_with(client)["status"], "Succeeded")
        self.assertEqual(client.invoked, [ALIAS])

    def test_passes_when_nobody_has_asked_yet(self) -> None:
        self.assertEqual(self.run_with(FakeLambda(good), invocations=0)["status"], "Succeeded")

    def test_stops_when_another_version_answers(self) -> None:
        result = self.run_with(FakeLambda(good, version="1"))
        self.assertIn("version 2 answers (version 1 did)", result["reason"])

    def test_stops_when_the_answer_is_wrong(self) -> None:
        result = self.run_with(FakeLambda(lambda _: {"status": 200, "message": "Hello?"}))
        self.assertIn('(found "Hello?")', result["reason"])

    def test_stops_when_the_alias_crashes(self) -> None:
        self.assertIn("no database", self.run_with(FakeLambda(crash))["reason"])

    def test_stops_when_too_many_requests_have_failed(self) -> None:
        self.assertIn("2 of 100 failed", self.run_with(FakeLambda(good), errors=2)["reason"])
