"""Pytest plug-in: the tests fail when something that they made outlives them.

Folders in the temporary folder, processes, ports that are listened on. A run has a temporary folder
of its own, which its processes inherit, so what other programs do meanwhile is not held against it.
Processes are found as descendants: what loses its parent becomes a child of this process, however
it was started (prctl(2), PR_SET_CHILD_SUBREAPER). This needs Linux, as the embedded AWS does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support.waiting import alive

_PR_SET_CHILD_SUBREAPER: Final = 36
_PATIENCE: Final = "LEFTOVERS_WAIT_SECONDS"
"""The variable that says how long what was told to end may take; only what stays takes so long."""
_SHOWN: Final = 5
_LISTENING: Final = "0A"  # as /proc/net/tcp has it
_KEY: Final = "left behind"  # of what a worker tells


class Leftovers:
    """What the tests of this process, and of its workers, left behind."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.temporary = base / "tmp"
        self.temporary.mkdir()
        self.found: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist has ended; it says what it left itself."""
        self.found += getattr(node, "workeroutput", {}).get(_KEY, [])

    @pytest.hookimpl(trylast=True)  # when pytest-xdist has ended its workers
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look for what is left, end it, and fail the run."""
        self.found += ports_of(os.getpid(), "this process")
        deadline = time.monotonic() + float(os.environ.get(_PATIENCE, "60"))
        while descendants() and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in descendants():
            command = command_of(pid)
            self.found += [f"process {pid}: {command}", *ports_of(pid, command)]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.found += [
            f"in the temporary folder: {path.name}{contents_of(path)}"
            for path in self.temporary.iterdir()
        ]
        if self.found and session.exitstatus in {
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        }:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was left."""
        if self.found:
            terminalreporter.section("left behind by the tests", red=True, bold=True)
            for each in sorted(self.found):
                terminalreporter.line(each)

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind ourselves."""
        shutil.rmtree(self.base, ignore_errors=True)


class Worker:
    """In a worker of pytest-xdist: processes and folders are looked for when all have ended."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell of the ports that this process still listens on."""
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
        output[_KEY] = ports_of(os.getpid(), f"worker {os.environ['PYTEST_XDIST_WORKER']}")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the run a temporary folder, before anything makes one."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(), "leftovers")
        return
    # what pytest keeps of failed tests stays where pytest has it
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    base = Path(tempfile.mkdtemp(prefix="tidegate-tests-"))
    leftovers = Leftovers(base)
    os.environ["TMPDIR"] = tempfile.tempdir = str(leftovers.temporary)
    os.environ["STATE_DIR"] = str(base / "ministack")  # it keeps a key, as soon as it is imported
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("processes cannot be followed here")
    config.pluginmanager.register(leftovers, "leftovers")


def descendants() -> list[int]:
    """The processes below this one that run, parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))

    def below(pid: int) -> Iterator[int]:
        for child in children.get(pid, ()):
            yield child
            yield from below(child)

    return [pid for pid in below(os.getpid()) if alive(pid)]


def contents_of(folder: Path) -> str:
    """Some of what is in a folder, which tells who made it."""
    inside = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return f", with {', '.join(sorted(inside)[:_SHOWN])}" if inside else ""


def command_of(pid: int) -> str:
    """Its command line."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return "?"


def ports_of(pid: int, name: str) -> list[str]:
    """The TCP ports that a process listens on, as messages."""
    sockets = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    ports = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *more = line.split()
                if state == _LISTENING and f"socket:[{more[5]}]" in sockets:
                    ports.add(int(local.rpartition(":")[2], 16))
    return [f"port {port}, listened on by {name}" for port in sorted(ports)]
