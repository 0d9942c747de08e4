"""Runs invocations: takes a unit of concurrency and an environment, keeps log and metrics."""

import contextlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

from tidegate_embedded.lambdas import logs
from tidegate_embedded.lambdas.functions import Target
from tidegate_embedded.lambdas.metrics import InvocationMetrics
from tidegate_embedded.lambdas.pool import EnvironmentPool, NoEnvironmentError
from tidegate_embedded.lambdas.runtime import Invocation, Outcome


class ThrottledError(Exception):
    """The function already runs as often at a time as it may."""

    def __init__(self, reason: str) -> None:
        super().__init__("Rate Exceeded.")
        self.reason = reason


class DataPlane:
    """Invokes function versions and accounts for it.

    Parameters
    ----------
    clock
        Seconds since the epoch.
    """

    def __init__(
        self, environments: EnvironmentPool, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._environments = environments
        self._clock = clock
        self._metrics = InvocationMetrics()
        self._lock = threading.Lock()
        self._running: Counter[tuple[str, str, str]] = Counter()

    def invoke(
        self,
        target: Target,
        payload: bytes,
        *,
        request_id: str | None = None,
        client_context: str | None = None,
        trace_header: str | None = None,
    ) -> Outcome:
        """Run the target on `payload` and wait for its end.

        Raises
        ------
        ThrottledError
            The function's concurrency, or the machine's, is used up.
        """
        invocation = Invocation(
            request_id=request_id or str(uuid.uuid4()),
            arn=target.arn,
            payload=payload,
            client_context=client_context,
            trace_header=trace_header,
        )
        with self._concurrency(target) as running:
            try:
                with self._environments.environment(target.version) as environment:
                    outcome = environment.invoke(invocation)
            except NoEnvironmentError as error:
                raise self._throttled(target, "ConcurrentInvocationLimitExceeded") from error
        self._metrics.record(
            target,
            started=outcome.started,
            duration_ms=outcome.duration_ms,
            failed=outcome.failed,
            concurrency=running,
        )
        logs.write(target.version, outcome)
        return outcome

    @contextlib.contextmanager
    def _concurrency(self, target: Target) -> Iterator[int]:
        """Hold one unit of the function's concurrency; gives how many are held."""
        version = target.version
        key = (version.account, version.region, version.name)
        limit = target.reserved_concurrency
        with self._lock:
            full = limit is not None and self._running[key] >= limit
            if not full:
                self._running[key] += 1
            running = self._running[key]
        if full:
            raise self._throttled(target, "ReservedFunctionConcurrentInvocationLimitExceeded")
        try:
            yield running
        finally:
            with self._lock:
                self._running[key] -= 1

    def _throttled(self, target: Target, reason: str) -> ThrottledError:
        self._metrics.record_throttle(target, self._clock())
        return ThrottledError(reason)
