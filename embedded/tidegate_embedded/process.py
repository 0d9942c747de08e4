"""The embedded AWS as a process of its own: start it, find it again, stop it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import boto3

from tidegate.core.errors import NotFound, TidegateError
from tidegate_embedded import credentials
from tidegate_embedded.cloud import DEFAULT_REGION

STATE_FILE: Final = "local.json"
_STATE: Final = "state"
_PAGE_FILE: Final = "page.pid"
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 20


@dataclass(frozen=True)
class LocalAws:
    """A running embedded AWS: where it answers, its process, and the folder of its files."""

    endpoint: str
    pid: int
    folder: str

    def environment(self, account: str, region: str = DEFAULT_REGION) -> dict[str, str]:
        """The variables that point AWS clients here, as ``account``."""
        secret = credentials.read_secret(Path(self.folder) / _STATE)
        return credentials.environment(self.endpoint, secret, account, region)

    def client(self, service: str, account: str, region: str = DEFAULT_REGION) -> Any:
        """A boto3 client of ``service`` as ``account``; a new one at each call."""
        variables = self.environment(account, region)
        session: Any = boto3.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=region,
        )
        return session.client(service, endpoint_url=self.endpoint)

    def stop(self) -> None:
        """End the process and all that it started, and the page that is served beside it."""
        folder = Path(self.folder)
        with contextlib.suppress(FileNotFoundError):
            page = int((folder / _PAGE_FILE).read_text())
            if alive(page):  # it may have ended by itself, and its number be another's
                _end(page)
        _end(self.pid)
        for file in (_PAGE_FILE, STATE_FILE):
            (folder / file).unlink(missing_ok=True)

    def serve_page(self, account: str) -> str:
        """Serve the page of the controller in ``account`` until `stop`; gives its address.

        Raises ``TidegateError`` when it does not start.
        """
        folder = Path(self.folder)
        command = [sys.executable, "-m", "tidegate_embedded.page", "--aws", str(self.pid)]
        environment = {**os.environ, **self.environment(account)}
        pid, address = _begin("the page", command, folder / "page.log", environment)
        (folder / _PAGE_FILE).write_text(str(pid))
        return address


def start(folder: Path, *, port: int = 4566, keep: bool = False) -> LocalAws:
    """Start the embedded AWS with its files in ``folder``; return when it answers.

    It ends with this process unless ``keep``. When ``port`` is in use it takes another. Raises
    ``TidegateError`` when one is running from this folder already, or when it does not start.
    """
    folder = folder.resolve()
    if (running := find(folder)) is not None:
        raise TidegateError(
            f"the embedded AWS is running already, at {running.endpoint}.",
            remedy="Stop it with `tidegate local down`.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tidegate_embedded", "--port", str(port), "--state"]
    command += [str(folder / _STATE), *([] if keep else ["--exit-with-parent"])]
    pid, endpoint = _begin("the embedded AWS", command, folder / "aws.log")
    aws = LocalAws(endpoint, pid, str(folder))
    (folder / STATE_FILE).write_text(json.dumps(asdict(aws)))
    return aws


def _begin(
    what: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Start a process in a session of its own; gives its number and the first line that it says.

    Raises ``TidegateError`` when it ends instead.
    """
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env=environment,
            text=True,
        )
    assert process.stdout is not None  # noqa: S101 - we asked for a pipe
    said = process.stdout.readline().strip()
    if not said:
        process.wait(_START_SECONDS)
        raise TidegateError(
            f"{what} ended with exit code {process.returncode}.", remedy=f"See {log}."
        )
    return process.pid, said


def find(folder: Path) -> LocalAws | None:
    """The embedded AWS that runs from ``folder``, if one does."""
    try:
        aws = LocalAws(**json.loads((folder / STATE_FILE).read_text()))
    except FileNotFoundError:
        return None
    return aws if alive(aws.pid) else None


def get(folder: Path) -> LocalAws:
    """The embedded AWS that runs from ``folder``. Raises ``NotFound``."""
    if (aws := find(folder)) is None:
        raise NotFound(
            "no embedded AWS is running here.", remedy="Start one with `tidegate local up`."
        )
    return aws


def told_to_stop() -> threading.Event:
    """Set once this process gets SIGTERM or SIGINT, which then do nothing else."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


def alive(pid: int) -> bool:
    """Whether the process runs and is one of ours: numbers are used again."""
    command = Path(f"/proc/{pid}/cmdline")
    if command.parent.parent.joinpath("self").exists():
        return command.exists() and b"tidegate_embedded" in command.read_bytes()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _end(pid: int) -> None:
    """Ask the process group to end, then make it."""
    deadline = time.monotonic() + _STOP_SECONDS
    try:
        os.kill(pid, signal.SIGTERM)
        while alive(pid) and time.monotonic() < deadline:
            _reap(pid)
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """Collect the process when it is a child of ours, so that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
