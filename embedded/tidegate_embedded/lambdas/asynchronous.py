"""Asynchronous invocations: queued, retried, and handed to their destinations."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ministack.services import lambda_svc

from tidegate_embedded.delays import Delays
from tidegate_embedded.lambdas import destinations
from tidegate_embedded.lambdas.dataplane import DataPlane, ThrottledError
from tidegate_embedded.lambdas.functions import LATEST, Target
from tidegate_embedded.lambdas.runtime import Outcome

logger = logging.getLogger(__name__)

_WORKERS: Final = 64
_MAX_AGE_SECONDS: Final = 21_600


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """What the function's configuration says about its asynchronous events."""

    retries: int
    max_age_seconds: float
    on_success: str | None
    on_failure: str | None
    dead_letter: str | None
    """ARNs, or nothing."""

    @classmethod
    def of(cls, target: Target) -> "DeliveryPolicy":
        """The policy of the invoked qualifier, or Lambda's defaults."""
        configured = _event_invoke_config(target)
        ends = configured.get("DestinationConfig") or {}
        dead_letter = target.version.record["config"].get("DeadLetterConfig") or {}
        retries = configured.get("MaximumRetryAttempts")
        return cls(
            retries=2 if retries is None else int(retries),
            max_age_seconds=float(configured.get("MaximumEventAgeInSeconds") or _MAX_AGE_SECONDS),
            on_success=(ends.get("OnSuccess") or {}).get("Destination"),
            on_failure=(ends.get("OnFailure") or {}).get("Destination"),
            dead_letter=dead_letter.get("TargetArn"),
        )


class AsynchronousInvoker:
    """Runs events in the background.

    Parameters
    ----------
    client
        Makes a boto3 client: service, account and region.
    delays
        How long to wait before retries.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        client: destinations.ClientMaker,
        *,
        delays: Callable[[], Delays],
    ) -> None:
        self._dataplane = dataplane
        self._client = client
        self._delays = delays
        self._stopping = threading.Event()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="lambda-async")

    def submit(self, target: Target, payload: bytes) -> None:
        """Queue an event."""
        self._workers.submit(self._deliver, target, payload)

    def close(self) -> None:
        """Drop what is queued and retry no more."""
        self._stopping.set()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, target: Target, payload: bytes) -> None:
        try:
            self._run(target, payload)
        except Exception:
            logger.exception("event for %s was lost", target.arn)

    def _run(self, target: Target, payload: bytes) -> None:
        policy = DeliveryPolicy.of(target)
        request_id = str(uuid.uuid4())
        deadline = time.monotonic() + policy.max_age_seconds
        outcome = None
        for attempt in range(1, policy.retries + 2):
            if attempt > 1 and not self._wait(self._delay(attempt), deadline):
                return
            outcome = self._attempt(target, payload, request_id, deadline)
            if outcome is None or not outcome.failed:
                break
        if outcome is not None:
            self._report(target, policy, payload, outcome, attempt)

    def _attempt(
        self, target: Target, payload: bytes, request_id: str, deadline: float
    ) -> Outcome | None:
        """Invoke, however long throttling lasts; nothing if the event grew too old meanwhile."""
        while True:
            try:
                return self._dataplane.invoke(target, payload, request_id=request_id)
            except ThrottledError:
                if not self._wait(self._delays().throttled_event_seconds, deadline):
                    return None

    def _delay(self, attempt: int) -> float:
        retries = self._delays().event_retry_seconds
        return retries[min(attempt - 2, len(retries) - 1)]

    def _wait(self, seconds: float, deadline: float) -> bool:
        """Pause; false if the event would be too old then, or the service stops."""
        if time.monotonic() + seconds > deadline:
            return False
        return not self._stopping.wait(seconds)

    def _report(
        self,
        target: Target,
        policy: DeliveryPolicy,
        payload: bytes,
        outcome: Outcome,
        attempts: int,
    ) -> None:
        destination = policy.on_failure if outcome.failed else policy.on_success
        if destination:
            body = destinations.invocation_record(target, payload, outcome, attempts)
            destinations.send(self._client, target, destination, body)
        if outcome.failed and policy.dead_letter:
            attributes = destinations.failure_attributes(outcome)
            destinations.send(
                self._client, target, policy.dead_letter, payload.decode(), attributes
            )


def _event_invoke_config(target: Target) -> Mapping[str, Any]:
    qualifiers = (target.qualifier,) if target.qualifier else (None, LATEST)
    found = (lambda_svc._event_invoke_config(target.function, name) for name in qualifiers)
    return next(filter(None, found), {})
