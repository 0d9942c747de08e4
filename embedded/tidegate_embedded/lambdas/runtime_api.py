"""The Lambda Runtime API for one execution environment: what the runtime in the child calls.

Driven by the thread that invokes, which waits at once for the runtime's next call, its output and
its end, so an environment needs no thread of its own and is frozen between invocations.
"""

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from tidegate.web import loopback

_HOST: Final = "127.0.0.1"
_CHUNK_BYTES: Final = 1 << 16
_MAX_OUTPUT_BYTES: Final = 8 << 20
_POLL_SECONDS: Final = 0.02


class RuntimeGoneError(Exception):
    """The process of the runtime ended while it was waited for."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the runtime, to be answered by `reply`."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes
    connection: socket.socket

    def reply(
        self, status: HTTPStatus, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Answer the runtime. One that is gone already does not hear it."""
        fields = {"Content-Length": str(len(body)), **(headers or {})}
        head = [f"HTTP/1.1 {status.value} {status.phrase}"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        try:
            self.connection.sendall("\r\n".join([*head, "\r\n"]).encode() + body)
        except (BrokenPipeError, ConnectionResetError):
            return


class RuntimeApi:
    """Listens for one runtime and collects its output."""

    def __init__(self) -> None:
        self._listener = socket.create_server((_HOST, 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._buffers: dict[socket.socket, bytearray] = {}
        self._calls: deque[Call] = deque()
        self._output = bytearray()
        self._gone = False
        self._process_fd = self._output_fd = -1

    @property
    def address(self) -> str:
        """The value of `AWS_LAMBDA_RUNTIME_API`."""
        return f"{_HOST}:{self._listener.getsockname()[1]}"

    def watch(self, process_fd: int, output_fd: int) -> None:
        """Wait from now on for the end of a process and for its output, too; owns both."""
        os.set_blocking(output_fd, False)
        self._process_fd, self._output_fd = process_fd, output_fd
        self._selector.register(process_fd, selectors.EVENT_READ, self._note_end)
        self._selector.register(output_fd, selectors.EVENT_READ, self._read_output)

    def next_call(self, deadline: float, look: Callable[[], None]) -> Call:
        """Wait for the next call of the runtime.

        Parameters
        ----------
        deadline
            On the clock of `time.monotonic`, in seconds.
        look
            Called again and again during the wait, but not in a short one.

        Raises
        ------
        TimeoutError
            The deadline passed.
        RuntimeGoneError
            The process ended.
        """
        next_poll = time.monotonic() + _POLL_SECONDS
        while not self._calls:
            if self._gone:
                raise RuntimeGoneError
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            if now >= next_poll:
                look()
                next_poll = now + _POLL_SECONDS
            for key, _ in self._selector.select(min(deadline, next_poll) - now):
                handle: Callable[[], None] = key.data
                handle()
        return self._calls.popleft()

    def take_output(self) -> bytes:
        """What the process wrote since the last time."""
        self._read_output()
        taken = bytes(self._output)
        self._output.clear()
        return taken

    def close(self) -> None:
        """Close every connection and descriptor."""
        self._selector.close()
        self._listener.close()
        for connection in self._buffers:
            connection.close()
        for descriptor in (self._process_fd, self._output_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._process_fd = self._output_fd = -1

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffers[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._receive(connection))

    def _receive(self, connection: socket.socket) -> None:
        try:
            chunk = connection.recv(_CHUNK_BYTES)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            self._selector.unregister(connection)
            del self._buffers[connection]
            connection.close()
            return
        buffer = self._buffers[connection]
        buffer += chunk
        call = _parse(buffer, connection)
        if call is None:
            return
        port = self._listener.getsockname()[1]
        if refused := loopback.refusal(call.method, call.headers.items(), port):
            call.reply(HTTPStatus(refused.status), body=refused.message.encode())
        else:
            self._calls.append(call)

    def _note_end(self) -> None:
        self._gone = True
        self._selector.unregister(self._process_fd)

    def _read_output(self) -> None:
        while self._output_fd >= 0:
            try:
                chunk = os.read(self._output_fd, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._selector.unregister(self._output_fd)
                os.close(self._output_fd)
                self._output_fd = -1
                return
            self._output += chunk
            del self._output[:-_MAX_OUTPUT_BYTES]


def _parse(buffer: bytearray, connection: socket.socket) -> Call | None:
    """The request at the start of `buffer`, which is removed from it, once it is complete."""
    head_length = buffer.find(b"\r\n\r\n") + 4
    if head_length < 4:  # noqa: PLR2004 - not found
        return None
    request_line, *fields = bytes(buffer[: head_length - 4]).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    end = head_length + int(headers.get("content-length", "0"))
    if len(buffer) < end:
        if headers.get("expect", "").lower() == "100-continue" and len(buffer) == head_length:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None
    method, path, _ = request_line.split(" ")
    body = bytes(buffer[head_length:end])
    del buffer[:end]
    return Call(method, path, headers, body, connection)
