"""The way back for a hook that answers later: events on the bus of the controller.

The controller runs in another account, so the answer is an event that it listens for. Only who has
the callback's secret can answer, and only the first answer counts.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.hooks.client import events_client

SOURCE: Final = "tidegate.hook"
HEARTBEAT: Final = "Hook Heartbeat"
ANSWER: Final = "Hook Answer"
_logger = logging.getLogger("tidegate.hooks")
_BEATS: Final = 3  # in the time after which silence counts


class NotDeliveredError(RuntimeError):
    """The controller's bus did not take a heartbeat or an answer."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Answers for one run of a hook, from anywhere in the account that the hook runs in.

    ``str`` and ``read`` are each other's inverse: hand the text to whatever goes on working.
    """

    bus: str  # ARN of the controller's event bus
    run: str
    secret: str = field(repr=False)
    deadline: datetime  # the hook has failed by then
    heartbeat_seconds: int  # the hook has failed when nothing is heard for so long

    @classmethod
    def read(cls, described: str | Mapping[str, Any]) -> Callback:
        """The callback of an event's ``callback``, or of its text. Raises ``ValueError``."""
        given = json.loads(described) if isinstance(described, str) else described
        try:
            return cls(
                bus=given["bus"],
                run=given["run"],
                secret=given["secret"],
                deadline=datetime.fromisoformat(given["deadline"]),
                heartbeat_seconds=int(given["heartbeat_seconds"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no callback of a hook: {error!r}.") from error

    def __str__(self) -> str:
        return json.dumps({**asdict(self), "deadline": self.deadline.isoformat()})

    def seconds_left(self) -> float:
        """How long it may still take; 0 when it is over."""
        return max(0.0, (self.deadline - datetime.now(UTC)).total_seconds())

    def heartbeat(self) -> None:
        """Say that the work goes on. Raises ``NotDeliveredError``."""
        self._put(HEARTBEAT, {})

    def succeed(self) -> None:
        """The candidate may go on. Raises ``NotDeliveredError``."""
        self.answer({"status": "Succeeded"})

    def fail(self, reason: str) -> None:
        """The candidate may not go on. Raises ``NotDeliveredError``."""
        self.answer({"status": "Failed", "reason": reason})

    def answer(self, result: Mapping[str, Any]) -> None:
        """Answer with what a hook returns: ``checks.result()``. Raises ``NotDeliveredError``."""
        said = {key: result[key] for key in ("status", "reason", "summary") if key in result}
        self._put(ANSWER, said)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Send heartbeats from a thread, three in the time that the controller is patient."""
        over = threading.Event()
        every = self.heartbeat_seconds / _BEATS
        thread = threading.Thread(target=self._beat, args=(over, every), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _beat(self, over: threading.Event, every: float) -> None:
        while not over.is_set():
            try:
                self.heartbeat()
            except Exception:
                _logger.warning("a heartbeat was not delivered", exc_info=True)
            over.wait(every)

    def _put(self, kind: str, said: Mapping[str, Any]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        entry = {
            "EventBusName": self.bus,
            "Source": SOURCE,
            "DetailType": kind,
            "Detail": json.dumps({"run": self.run, "secret": self.secret, **said}),
        }
        try:
            put = events_client(self.bus).put_events(Entries=[entry])
        except (BotoCoreError, ClientError) as error:
            raise NotDeliveredError(f"{kind} of {self.run}: {error}") from error
        if put["FailedEntryCount"]:
            why = put["Entries"][0].get("ErrorMessage", "the bus gave no reason")
            raise NotDeliveredError(f"{kind} of {self.run}: {why}")
