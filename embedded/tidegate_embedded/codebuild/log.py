"""The log of a build: what its commands print goes to a file and to CloudWatch Logs."""

import logging
import os
import selectors
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)

_BATCH_EVENTS: Final = 1000


class BuildLog:
    """A pipe that children write to, and a thread that copies it until `close`.

    What came goes to CloudWatch Logs every ``interval_seconds``.
    """

    def __init__(
        self, client: Any, *, group: str, stream: str, file: Path, interval_seconds: float
    ) -> None:
        self.group = group
        self.stream = stream
        self.file = file
        self._client = client
        self._interval_seconds = interval_seconds
        self._read, self.descriptor = os.pipe()
        self._pending: list[dict[str, Any]] = []
        self._rest = b""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._pump, name=f"log-{stream}", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Write a line of the build container itself."""
        now = datetime.now(UTC)
        os.write(self.descriptor, f"[Container] {now:%Y/%m/%d %H:%M:%S} {text}\n".encode())

    def close(self) -> None:
        """Deliver what is left. A process that got away and holds on to the pipe is not heard."""
        self._closing.set()
        os.close(self.descriptor)
        self._thread.join()

    def _pump(self) -> None:
        self._create_stream()
        with (
            self.file.open("ab", buffering=0) as file,
            os.fdopen(self._read, "rb", 0) as pipe,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(pipe, selectors.EVENT_READ)
            flushed = time.monotonic()
            while True:
                chunk = pipe.read(65536) if selector.select(self._interval_seconds) else None
                if chunk == b"" or (chunk is None and self._closing.is_set()):
                    break
                if chunk:
                    file.write(chunk)
                    self._split(chunk)
                if time.monotonic() - flushed >= self._interval_seconds:
                    self._flush()
                    flushed = time.monotonic()
        if self._rest:
            self._split(b"\n")
        self._flush()

    def _split(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        now = int(time.time() * 1000)
        for line in lines:
            # CloudWatch Logs refuses an empty message; CodeBuild sends the line's end with it.
            message = line.decode(errors="replace") + "\n"
            self._pending.append({"timestamp": now, "message": message})

    def _create_stream(self) -> None:
        for create, arguments in (
            (self._client.create_log_group, {"logGroupName": self.group}),
            (
                self._client.create_log_stream,
                {"logGroupName": self.group, "logStreamName": self.stream},
            ),
        ):
            try:
                create(**arguments)
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue
            except (BotoCoreError, ClientError) as error:
                logger.warning("log group %s: %s", self.group, error)

    def _flush(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:_BATCH_EVENTS], self._pending[_BATCH_EVENTS:]
            try:
                self._client.put_log_events(
                    logGroupName=self.group, logStreamName=self.stream, logEvents=batch
                )
            except (BotoCoreError, ClientError) as error:
                logger.warning("log of %s is only in %s: %s", self.stream, self.file, error)
