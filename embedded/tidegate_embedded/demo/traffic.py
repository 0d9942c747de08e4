"""A load generator: invokes an alias at a steady rate and counts what each version answered."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from tidegate.core.ports import AliasRef, Counts

_WORKERS: Final = 4


class Traffic:
    """Users, as far as an alias can tell: ``rate`` requests per second from four threads.

    ``client`` makes one Lambda client per thread; each request is one of ``payloads``, by chance. A
    request that Lambda itself refuses counts as an error of no version, under "".
    """

    def __init__(
        self,
        client: Callable[[], Any],
        ref: AliasRef,
        *,
        rate: float,
        payloads: Sequence[object],
    ) -> None:
        self._client = client
        self._ref = ref
        self._pause = _WORKERS / rate
        self._payloads = [json.dumps(payload).encode() for payload in payloads]
        self._lock = threading.Lock()
        self._invocations: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(offset,), daemon=True, name=f"user-{offset}")
            for offset in range(_WORKERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def counts(self) -> dict[str, Counts]:
        """What each version has answered so far."""
        with self._lock:
            return {
                version: Counts(invocations, self._errors[version])
                for version, invocations in sorted(self._invocations.items())
            }

    def _work(self, offset: int) -> None:
        client = self._client()
        due = time.monotonic() + self._pause * offset / _WORKERS
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due += self._pause
            version, failed = self._invoke(client)
            with self._lock:
                self._invocations[version] += 1
                self._errors[version] += failed

    def _invoke(self, client: Any) -> tuple[str, bool]:
        try:
            answer = client.invoke(
                FunctionName=self._ref.function,
                Qualifier=self._ref.alias,
                Payload=random.choice(self._payloads),  # noqa: S311 - users, not secrets
            )
        except (BotoCoreError, ClientError):
            return "", True
        return answer["ExecutedVersion"], "FunctionError" in answer
