"""Processes of builds end with their owner."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.waiting import alive, wait_until
from tidegate_embedded.codebuild.processes import ProcessGroup

pytestmark = pytest.mark.timed

OWNER = """
import os, sys
from pathlib import Path
from tidegate_embedded.codebuild.processes import ProcessGroup
command = f"sleep 60 & echo $! > {sys.argv[1]}; wait"
shell = ["/bin/sh", "-c", command]
ProcessGroup().run(shell, cwd=Path("/"), env={"PATH": "/usr/bin:/bin"}, output=1)
"""


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def test_nothing_survives_the_sudden_death_of_the_owner(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(file)], stdout=subprocess.DEVNULL)
    child = pid_in(file)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    wait_until(lambda: not alive(child))


def test_kill_ends_what_runs_and_what_is_to_come(tmp_path: Path) -> None:
    group = ProcessGroup()
    file = tmp_path / "pid"

    def run(command: str) -> int:
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            return group.run(
                ["/bin/sh", "-c", command], cwd=tmp_path, env=dict(os.environ), output=null
            )
        finally:
            os.close(null)

    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(run(f"sleep 60 & echo $! > {file}; wait"))
    )
    thread.start()
    child = pid_in(file)
    group.kill()
    group.kill()
    thread.join()
    assert statuses == [-signal.SIGKILL]
    wait_until(lambda: not alive(child))
    assert run("true") < 0
