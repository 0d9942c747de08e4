"""The demonstration as a user starts it: commit to prod, and nothing left behind."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

DEMO = [str(Path(sys.executable).with_name("tidegate")), "local", "demo"]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        DEMO, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes that were started for, or work in, this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            place = str((process / "cwd").readlink())
        except OSError:  # it ended meanwhile
            continue
        if str(folder) in command or place.startswith(str(folder)):
            found.append(command)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert processes_in(tmp_path) == []


@pytest.mark.timeout(600)
def test_four_commits_travel_as_they_have_to_and_nothing_stays(folder: Path) -> None:
    demo = start(folder)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "All as it had to be" in output
    assert re.search(r"hello-3 +✖ failed", output)
    assert re.search(r"3 +3 +never, taken", output)


def test_an_interrupt_stops_all_that_was_started(folder: Path) -> None:
    demo = start(folder)
    assert demo.stdout is not None
    assert "answers at" in demo.stdout.readline()
    assert any("tidegate.local" in command for command in processes_in(folder))
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate()
    assert demo.returncode != 0
    assert "Traceback" not in output
