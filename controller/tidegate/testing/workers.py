"""What hooks that answer later have begun, on a clock that jumps.

A worker is a generator: it yields how long it works until it says something. ::

    def load_test(callback):
        for _ in range(12):
            yield timedelta(minutes=5)
            callback.heartbeat()
        callback.succeed()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from tidegate.core.ports import Ports
from tidegate.core.workflow.hooks.asynchronous import Sender, on_answer, on_heartbeat
from tidegate.hooks import Callback, using
from tidegate.hooks.callback import HEARTBEAT
from tidegate.testing.memory import MemoryWorld

Worker = Callable[[Callback], Iterator[timedelta | float]]


class MemoryEvents:
    """``put_events`` of boto3's EventBridge client: the controller hears each event at once."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def put_events(self, *, Entries: Sequence[Mapping[str, str]]) -> dict[str, Any]:  # noqa: N803
        """Deliver to the controller."""
        for entry in Entries:
            detail = json.loads(entry["Detail"])
            sender = Sender(detail["run"], detail["secret"])
            if entry["DetailType"] == HEARTBEAT:
                on_heartbeat(self._ports, sender)
            else:
                on_answer(self._ports, sender, detail)
        return {"FailedEntryCount": 0, "Entries": []}


def let_work(world: MemoryWorld, ports: Ports, worker: Worker, callback: Callback) -> None:
    """Let the worker work until it has ended, or nobody would wait for it any more."""
    work, heartbeats, silent = worker(callback), world.callbacks.heartbeats, 0.0
    while True:
        heard = len(heartbeats)
        with using(events=MemoryEvents(ports)):
            pause = next(work, None)
        silent = silent if len(heartbeats) == heard else 0.0
        if pause is None:
            return
        seconds = pause.total_seconds() if isinstance(pause, timedelta) else float(pause)
        ends = world.clock.now() + timedelta(seconds=seconds)
        if silent + seconds >= callback.heartbeat_seconds or ends >= callback.deadline:
            return
        world.clock.advance(seconds)
        silent += seconds
