"""Hooks beside Powertools: its decorators go above ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Tracer
from hook_lambdas import event

from tidegate.hooks import Checks, HookEvent, hook
from tidegate.testing.code import Context


def test_logger_and_tracer_wrap_a_hook(capsys: pytest.CaptureFixture[str]) -> None:
    logger, tracer = Logger(service="shop"), Tracer(service="shop", disabled=True)

    @logger.inject_lambda_context
    @tracer.capture_lambda_handler
    @hook
    def handler(given: HookEvent, checks: Checks) -> None:
        """Check the stage."""
        logger.append_keys(release=given.release)
        logger.info("looking")
        checks.that("the stage is prod", given.stage == "prod")

    answer: dict[str, Any] = handler(event(), Context("hook", "$LATEST"))
    assert answer["status"] == "Succeeded"
    said = json.loads(capsys.readouterr().out)
    assert (said["release"], said["function_name"]) == ("shop-418", "hook")


def test_hook_keeps_name_and_documentation_of_its_validation() -> None:
    @hook
    def handler(_: HookEvent, checks: Checks) -> None:
        """Check the stage."""

    assert (handler.__name__, handler.__doc__) == ("handler", "Check the stage.")
