"""Execution environments: one process of AWS's runtime interface client per concurrent invocation.

The client in the child is AWS's own (`awslambdaric`), and it talks to our `RuntimeApi`. AWS's
Runtime Interface Emulator would serve it too, but tells every function the same account, region
and unqualified ARN, so handlers could not see which alias invoked them.
"""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

from tidegate_embedded.lambdas.functions import FunctionVersion
from tidegate_embedded.lambdas.packages import PackageStore, link_runtime
from tidegate_embedded.lambdas.runtime_api import Call, RuntimeApi, RuntimeGoneError

RESPONSE_LIMIT_BYTES: Final = 6_291_556
INIT_LIMIT_SECONDS: Final = 30.0
"""Lambda allows 10 s before it starts anew; a busy laptop needs more for the same imports."""
_LOG_TAIL_BYTES: Final = 4096
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_BOOTSTRAP: Final = Path(__file__).with_name("bootstrap.py")


class UnsupportedPlatformError(Exception):
    """Function code runs on Linux only."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for an execution environment."""

    request_id: str
    arn: str
    payload: bytes
    client_context: str | None = None
    """JSON text."""
    trace_header: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended."""

    request_id: str
    payload: bytes
    failed: bool
    started: float
    """Seconds since the epoch."""
    duration_ms: float
    init_ms: float | None
    """How long the cold start took; nothing if the environment was warm."""
    log: tuple[str, ...]
    """From START to REPORT."""
    log_stream: str

    @property
    def log_tail(self) -> bytes:
        """What `X-Amz-Log-Result` carries, before its encoding."""
        return ("\n".join(self.log) + "\n").encode()[-_LOG_TAIL_BYTES:]


class RuntimeFactory:
    """Starts execution environments; owns the folders that they run from.

    ``aws_variables`` are those that let a process in an account and region reach AWS.
    """

    def __init__(self, folder: Path, aws_variables: Callable[[str, str], dict[str, str]]) -> None:
        self._aws_variables = aws_variables
        self._packages = PackageStore(folder / "packages")
        self._libraries = link_runtime(folder / "runtime")
        self._scratch = folder / "tmp"
        self._scratch.mkdir(exist_ok=True)
        # The kernel ties a child to the thread that started it, so that thread must last.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="lambda-starter")

    def environment(self, version: FunctionVersion) -> "Environment":
        """A new environment, whose runtime initializes while this returns."""
        if sys.platform != "linux":
            raise UnsupportedPlatformError(
                f"Lambda functions run on Linux only, this is {sys.platform}: "
                "use a Linux machine, or `sam local` with Docker for single functions"
            )
        task_root = self._packages.unpack(version.code)
        layers = [self._packages.unpack(package) for package in version.layer_packages()]
        variables = self._variables(version, task_root, layers)
        return self._starter.submit(Environment, version, variables, self._scratch).result()

    def close(self) -> None:
        """Start no more; the kernel ends what the starting thread started."""
        self._starter.shutdown(cancel_futures=True)

    def _variables(
        self, version: FunctionVersion, task_root: Path, layers: list[Path]
    ) -> dict[str, str]:
        search = [task_root, *(layer / "python" for layer in layers), self._libraries]
        reserved = self._aws_variables(version.account, version.region)
        endpoint = reserved.pop("AWS_ENDPOINT_URL")
        return {
            "AWS_ENDPOINT_URL": endpoint,
            **dict(version.variables),
            **reserved,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": version.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.number,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(version.timeout_seconds),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
            "AWS_SAM_LOCAL": "true",
            "LAMBDA_TASK_ROOT": str(task_root),
            "LANG": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(map(str, search)),
            "TZ": "UTC",
            "_HANDLER": version.handler,
        }


class Environment:
    """One process that runs one version, one invocation at a time."""

    def __init__(
        self, version: FunctionVersion, variables: Mapping[str, str], scratch: Path
    ) -> None:
        self.version = version
        self.usable = True
        self.log_stream = _log_stream(version)
        self._scratch = Path(tempfile.mkdtemp(dir=scratch))
        self._api = RuntimeApi()
        self._started = time.monotonic()
        self._init_ms: float | None = None
        self._ready: Call | None = None
        self._process = self._spawn(dict(variables))
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        output = os.dup(self._process.stdout.fileno())
        self._process.stdout.close()
        self._api.watch(os.pidfd_open(self._process.pid), output)

    @property
    def pid(self) -> int:
        """The process of the runtime, the leader of its process group."""
        return self._process.pid

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run the handler on one event, after initializing if this is the first."""
        wall_clock = time.time()
        init_ms, failure = self._initialize(invocation)
        begun = time.monotonic()
        if failure is None:
            payload, failed = self._run(invocation, begun)
        else:
            payload, failed = failure, True
        duration_ms = (time.monotonic() - begun) * 1000
        return Outcome(
            request_id=invocation.request_id,
            payload=payload,
            failed=failed,
            started=wall_clock,
            duration_ms=duration_ms,
            init_ms=init_ms,
            log=self._log(invocation, duration_ms, init_ms, payload if failed else b""),
            log_stream=self.log_stream,
        )

    def close(self) -> None:
        """Kill the runtime and whatever it started."""
        self.usable = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._api.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _spawn(self, variables: dict[str, str]) -> subprocess.Popen[bytes]:
        variables["AWS_LAMBDA_RUNTIME_API"] = self._api.address
        variables["AWS_LAMBDA_LOG_STREAM_NAME"] = self.log_stream
        variables["TMPDIR"] = str(self._scratch)
        return subprocess.Popen(
            # -S: none of our own packages; -P: nothing from the bootstrap's folder
            [sys.executable, "-S", "-P", _BOOTSTRAP, str(os.getpid()), self.version.handler],
            cwd=variables["LAMBDA_TASK_ROOT"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _initialize(self, invocation: Invocation) -> tuple[float | None, bytes | None]:
        """Wait until the runtime asks for work: how long its start took, and why it failed."""
        if self._ready is not None:
            return None, None
        limit_seconds = INIT_LIMIT_SECONDS + self.version.timeout_seconds
        failure: bytes | None = None
        try:
            call = self._api.next_call(self._started + limit_seconds, self._limit_memory)
        except TimeoutError:
            failure = self._timed_out(invocation, limit_seconds)
        except RuntimeGoneError:
            failure = self._exited(invocation)
        else:
            if call.path.endswith("/invocation/next"):
                self._ready = call
            else:
                call.reply(HTTPStatus.ACCEPTED)
                self.usable, failure = False, call.body
        return (time.monotonic() - self._started) * 1000, failure

    def _run(self, invocation: Invocation, begun: float) -> tuple[bytes, bool]:
        """Hand the event over and wait for the answer: its payload, and whether it is an error."""
        assert self._ready is not None  # noqa: S101 - initialized before
        limit_seconds = float(self.version.timeout_seconds)
        self._ready.reply(HTTPStatus.OK, _headers(invocation, limit_seconds), invocation.payload)
        try:
            answer = self._api.next_call(begun + limit_seconds, self._limit_memory)
            answer.reply(HTTPStatus.ACCEPTED)
            self._ready = self._api.next_call(begun + limit_seconds, self._limit_memory)
        except TimeoutError:
            return self._timed_out(invocation, limit_seconds), True
        except RuntimeGoneError:
            return self._exited(invocation), True
        if answer.path.endswith("/error"):
            return answer.body, True
        if len(answer.body) > RESPONSE_LIMIT_BYTES:
            return _too_large(len(answer.body)), True
        return answer.body, False

    def _limit_memory(self) -> None:
        """Kill the runtime, as Lambda does, when it has more memory than its function may have."""
        if _resident_bytes(self._process.pid) > self.version.memory_mb << 20:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _timed_out(self, invocation: Invocation, limit_seconds: float) -> bytes:
        self.usable = False
        os.killpg(self._process.pid, signal.SIGKILL)
        reason = f"Task timed out after {limit_seconds:.2f} seconds"
        return _error("Sandbox.Timedout", f"RequestId: {invocation.request_id} Error: {reason}")

    def _exited(self, invocation: Invocation) -> bytes:
        self.usable = False
        status = self._process.wait()
        reason = _exit_reason(status)
        return _error("Runtime.ExitError", f"RequestId: {invocation.request_id} Error: {reason}")

    def _log(
        self, invocation: Invocation, duration_ms: float, init_ms: float | None, failure: bytes
    ) -> tuple[str, ...]:
        request_id = invocation.request_id
        output = _lines(self._api.take_output())
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms"
            f"\tBilled Duration: {math.ceil(duration_ms)} ms"
            f"\tMemory Size: {self.version.memory_mb} MB\tMax Memory Used: {self._memory_mb()} MB\t"
        )
        if init_ms is not None:
            report += f"Init Duration: {init_ms:.2f} ms\t"
        if not self.usable and failure:
            output.append(json.loads(failure)["errorMessage"])
        return (
            f"START RequestId: {request_id} Version: {self.version.number}",
            *output,
            f"END RequestId: {request_id}",
            report,
        )

    def _memory_mb(self) -> int:
        """The most memory that the process had; the limit if it is gone."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) // 1024
        except (OSError, IndexError):
            return self.version.memory_mb


def _resident_bytes(pid: int) -> int:
    """The memory that a process has now; none if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * _PAGE_BYTES


def _lines(output: bytes) -> list[str]:
    """One entry per event of the log: the runtime joins the lines of an event by returns."""
    text = output.decode(errors="replace")
    return [line.replace("\r", "\n") for line in text.split("\n") if line]


def _headers(invocation: Invocation, limit_seconds: float) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + limit_seconds) * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
    }
    if invocation.client_context:
        headers["Lambda-Runtime-Client-Context"] = invocation.client_context
    if invocation.trace_header:
        headers["Lambda-Runtime-Trace-Id"] = invocation.trace_header
    return headers


def _error(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def _too_large(size: int) -> bytes:
    return _error(
        "Function.ResponseSizeTooLarge",
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
        f"({RESPONSE_LIMIT_BYTES} bytes).",
    )


def _exit_reason(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status > 0:
        return f"Runtime exited with error: exit status {status}"
    return f"Runtime exited with error: signal: {signal.strsignal(-status)}".lower().replace(
        "runtime", "Runtime", 1
    )


def _log_stream(version: FunctionVersion) -> str:
    return f"{datetime.now(UTC):%Y/%m/%d}/[{version.number}]{uuid.uuid4().hex}"
