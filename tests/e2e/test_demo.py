"""The demonstration as a user starts it: commit to prod, and nothing left behind."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

LOCAL = [str(Path(sys.executable).with_name("tidegate")), "local"]
PAGE = re.compile(r"(http://127\.0\.0\.1:\d+/)#key=(\S+)")


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LOCAL, "demo", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def down(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LOCAL, "down"], cwd=folder, capture_output=True, text=True, check=False)


def applications_on(page: re.Match[str]) -> str:
    """What the page is told of the applications."""
    headers = {"X-Tidegate-Key": page[2]}
    request = urllib.request.Request(f"{page[1]}api/applications", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())


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
def folder(tmp_path: Path, interruptible: None) -> Iterator[Path]:
    """Where a demonstration runs; nothing of it is left at the end."""
    yield tmp_path
    assert processes_in(tmp_path) == []


@pytest.mark.timeout(1800)
def test_four_commits_travel_as_they_have_to_and_nothing_stays(folder: Path) -> None:
    demo = start(folder)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "All as it had to be" in output
    assert re.search(r"hello-3 +✖ failed", output)
    assert re.search(r"3 +3 +never, taken", output)


@pytest.mark.timeout(1800)
def test_what_is_kept_has_its_page_until_it_is_told_to_stop(folder: Path) -> None:
    try:
        demo = start(folder, "--keep")
        output, _ = demo.communicate()
        assert demo.returncode == 0, output
        first, last = PAGE.finditer(output)
        assert first[0] == last[0]
        assert "hello-4" in applications_on(first)
    finally:
        stopped = down(folder)
    assert stopped.returncode == 0, stopped.stderr
    assert processes_in(folder) == []
    with pytest.raises(urllib.error.URLError):
        applications_on(first)


@pytest.mark.parametrize(
    ("options", "last_line"),
    [([], "answers at"), (["--keep"], "The same in a browser")],
    ids=["while it is set up", "with a page that would be kept"],
)
def test_an_interrupt_stops_all_that_was_started(
    folder: Path, options: list[str], last_line: str
) -> None:
    demo = start(folder, *options)
    assert demo.stdout is not None
    assert any(last_line in line for line in demo.stdout)
    assert any("tidegate_embedded" in command for command in processes_in(folder))
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate()
    assert demo.returncode != 0, output
    assert "Traceback" not in output
