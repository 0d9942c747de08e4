"""The clients that hooks invoke and answer with; tests put others in their place."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_instead: ContextVar[Any] = ContextVar("client", default=None)
_events_instead: ContextVar[Any] = ContextVar("events", default=None)


@contextmanager
def using(client: Any = None, *, events: Any = None) -> Iterator[None]:
    """Let hooks that run within use these clients, where one is given.

    ``client`` has boto3's ``invoke`` of Lambda, ``events`` its ``put_events`` of EventBridge.
    """
    instead, events_instead = _instead.set(client), _events_instead.set(events)
    try:
        yield
    finally:
        _instead.reset(instead)
        _events_instead.reset(events_instead)


def lambda_client(timeout_seconds: float) -> Any:
    """A client that waits so long for an answer, and repeats nothing: twice might do harm."""
    return _instead.get() or _client(max(1, math.ceil(timeout_seconds)))


def events_client(bus: str) -> Any:
    """A client in the region of the bus: EventBridge takes events for buses of its own region."""
    return _events_instead.get() or _events(bus.split(":")[3])


@functools.cache
def _client(timeout_seconds: int) -> Any:
    import boto3  # noqa: PLC0415 - a hook's own tests need not have it
    from botocore.config import Config  # noqa: PLC0415

    settings = Config(read_timeout=timeout_seconds, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=settings)


@functools.cache
def _events(region: str) -> Any:
    import boto3  # noqa: PLC0415 - a hook's own tests need not have it

    return boto3.client("events", region_name=region)
