"""The Lambda client that hooks invoke with; tests put another in its place."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_instead: ContextVar[Any] = ContextVar("client", default=None)


@contextmanager
def using(client: Any) -> Iterator[None]:
    """Let hooks that run within invoke by this client: any object with boto3's ``invoke``."""
    token = _instead.set(client)
    try:
        yield
    finally:
        _instead.reset(token)


def lambda_client(timeout_seconds: float) -> Any:
    """A client that waits so long for an answer, and repeats nothing: twice might do harm."""
    return _instead.get() or _client(max(1, math.ceil(timeout_seconds)))


@functools.cache
def _client(timeout_seconds: int) -> Any:
    import boto3  # noqa: PLC0415 - a hook's own tests need not have it
    from botocore.config import Config  # noqa: PLC0415

    settings = Config(read_timeout=timeout_seconds, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=settings)
