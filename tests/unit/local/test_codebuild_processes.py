"""Processes of builds end with their owner."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tidegate.local.codebuild.processes import ProcessGroup

OWNER = """
import os, sys
from pathlib import Path
from tidegate.local.codebuild.processes import ProcessGroup
command = f"sleep 60 & echo $! > {sys.argv[1]}; wait"
shell = ["/bin/sh", "-c", command]
ProcessGroup().run(shell, cwd=Path("/"), env={"PATH": "/usr/bin:/bin"}, output=1)
"""


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def pid_in(path: Path) -> int:
    deadline = time.monotonic() + 10
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


def test_nothing_survives_the_sudden_death_of_the_owner(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(file)], stdout=subprocess.DEVNULL)
    child = pid_in(file)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert ends(child)


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
    assert ends(child)
    assert run("true") < 0
