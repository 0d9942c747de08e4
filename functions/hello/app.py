"""Greets people: the function that the example application serves."""

from __future__ import annotations

import logging
import os
from typing import Any

LONGEST_NAME = 80

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def greeting(name: str) -> str:
    """What we say to this person."""
    return f"Hello, {name}!"


def complaint(name: object) -> str:
    """Why we cannot greet by this name; empty when we can."""
    if not isinstance(name, str) or not name.strip():
        return "name must be a text that is not empty"
    if len(name) > LONGEST_NAME:
        return f"name must not be longer than {LONGEST_NAME} characters, it has {len(name)}"
    return ""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer ``{"name": "Ada"}`` with ``{"status": 200, "message": "Hello, Ada!"}``."""
    name = event.get("name", "world")
    problem = complaint(name)
    status, message = (400, problem) if problem else (200, greeting(name.strip()))
    logger.info(
        "answered",
        extra={
            "status": status,
            "stage": os.environ.get("STAGE", ""),
            "version": context.function_version,
        },
    )
    return {"status": status, "message": message}
