"""The execution environments that are alive: reused while warm, bounded, reaped when idle."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tidegate_embedded.lambdas.functions import FunctionVersion
from tidegate_embedded.lambdas.runtime import Environment

KEEP_WARM_SECONDS: Final = 600.0
MAX_ENVIRONMENTS: Final = 64
MAX_ENVIRONMENTS_PER_VERSION: Final = 12
QUEUE_SECONDS: Final = 60.0


class NoEnvironmentError(Exception):
    """All environments that this machine is allowed to run stayed busy."""


@dataclass(frozen=True, slots=True)
class _Idle:
    environment: Environment
    since: float


class EnvironmentPool:
    """Lends an environment to each invocation.

    Parameters
    ----------
    start
        Makes a new environment.
    clock
        Monotonic, in seconds.
    """

    def __init__(
        self,
        start: Callable[[FunctionVersion], Environment],
        *,
        clock: Callable[[], float] = time.monotonic,
        keep_warm_seconds: float = KEEP_WARM_SECONDS,
        max_environments: int = MAX_ENVIRONMENTS,
        max_per_version: int = MAX_ENVIRONMENTS_PER_VERSION,
        queue_seconds: float = QUEUE_SECONDS,
    ) -> None:
        self._start = start
        self._clock = clock
        self._keep_warm_seconds = keep_warm_seconds
        self._max_environments = max_environments
        self._max_per_version = max_per_version
        self._queue_seconds = queue_seconds
        self._changed = threading.Condition()
        self._idle: list[_Idle] = []
        self._busy: Counter[FunctionVersion] = Counter()
        self._closed = False

    @contextmanager
    def environment(self, version: FunctionVersion) -> Iterator[Environment]:
        """An environment for one invocation of `version`: a warm one, a new one, or the next free.

        Raises
        ------
        NoEnvironmentError
            None became free in time.
        """
        environment = self._claim(version)
        try:
            if environment is None:
                environment = self._start(version)
            yield environment
        except BaseException:
            if environment is not None:
                environment.usable = False
            raise
        finally:
            self._give_back(version, environment)

    def reap(self) -> None:
        """Close the environments that were idle for too long."""
        deadline = self._clock() - self._keep_warm_seconds
        with self._changed:
            expired = [idle for idle in self._idle if idle.since <= deadline]
            self._idle = [idle for idle in self._idle if idle.since > deadline]
        for idle in expired:
            idle.environment.close()

    def close(self) -> None:
        """Close the idle environments now and each busy one when it is given back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for each in idle:
            each.environment.close()

    def _claim(self, version: FunctionVersion) -> Environment | None:
        """Count an environment of `version` as busy: the last one used, or room for a new one."""
        displaced: Environment | None = None
        with self._changed:
            if not self._changed.wait_for(lambda: self._available(version), self._queue_seconds):
                raise NoEnvironmentError(
                    f"{version.name} waited {self._queue_seconds:.0f} s for a free environment: "
                    f"{self._busy[version]} are busy, {self._busy.total()} with other functions"
                )
            warm = self._take_warm(version)
            if warm is None and self._total() >= self._max_environments:
                displaced = self._idle.pop(0).environment
            self._busy[version] += 1
        if displaced is not None:
            displaced.close()
        return warm

    def _available(self, version: FunctionVersion) -> bool:
        if any(idle.environment.version == version for idle in self._idle):
            return True
        room = self._total() < self._max_environments or bool(self._idle)
        return room and self._busy[version] < self._max_per_version

    def _take_warm(self, version: FunctionVersion) -> Environment | None:
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index].environment.version == version:
                return self._idle.pop(index).environment
        return None

    def _total(self) -> int:
        return len(self._idle) + self._busy.total()

    def _give_back(self, version: FunctionVersion, environment: Environment | None) -> None:
        with self._changed:
            self._busy[version] -= 1
            if not self._busy[version]:
                del self._busy[version]
            keep = environment is not None and environment.usable and not self._closed
            if environment is not None and keep:
                self._idle.append(_Idle(environment, self._clock()))
            self._changed.notify_all()
        if environment is not None and not keep:
            environment.close()
