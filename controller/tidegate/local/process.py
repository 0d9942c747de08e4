"""The embedded AWS as a process of its own: start it, find it again, stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import boto3

from tidegate.core.errors import NotFound, TidegateError
from tidegate.local.cloud import DEFAULT_REGION

STATE_FILE: Final = "local.json"
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
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }

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
        """End the process and all that it started."""
        _end(self.pid)
        (Path(self.folder) / STATE_FILE).unlink(missing_ok=True)


def start(folder: Path, *, port: int = 4566, keep: bool = False) -> LocalAws:
    """Start the embedded AWS with its files in ``folder``; return when it answers.

    It ends with this process unless ``keep``. When ``port`` is in use it takes another. Raises
    ``TidegateError`` when one is running from this folder already, or when it does not start.
    """
    folder = folder.resolve()
    if (running := find(folder)) is not None:
        raise TidegateError(
            f"the embedded AWS is running already, at {running.endpoint}.",
            mend="Stop it with `tidegate local down`.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tidegate.local", "--port", str(port), "--state"]
    command += [str(folder / "state"), *([] if keep else ["--exit-with-parent"])]
    log = folder / "aws.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    assert process.stdout is not None  # noqa: S101 - we asked for a pipe
    endpoint = process.stdout.readline().strip()
    if not endpoint:
        process.wait(_START_SECONDS)
        raise TidegateError(
            f"the embedded AWS ended with exit code {process.returncode}.", mend=f"See {log}."
        )
    aws = LocalAws(endpoint, process.pid, str(folder))
    (folder / STATE_FILE).write_text(json.dumps(asdict(aws)))
    return aws


def find(folder: Path) -> LocalAws | None:
    """The embedded AWS that runs from ``folder``, if one does."""
    try:
        aws = LocalAws(**json.loads((folder / STATE_FILE).read_text()))
    except FileNotFoundError:
        return None
    return aws if _alive(aws.pid) else None


def get(folder: Path) -> LocalAws:
    """The embedded AWS that runs from ``folder``. Raises ``NotFound``."""
    if (aws := find(folder)) is None:
        raise NotFound(
            "no embedded AWS is running here.", mend="Start one with `tidegate local up`."
        )
    return aws


def _alive(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline")
    if command.parent.parent.joinpath("self").exists():
        return command.exists() and b"tidegate.local" in command.read_bytes()
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
        while _alive(pid) and time.monotonic() < deadline:
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
