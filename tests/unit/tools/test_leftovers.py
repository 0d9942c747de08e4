"""The tests fail when something that they made outlives them, and say what."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timed

TESTS = Path(__file__).parents[2]
LEAVES = {
    "a folder": (
        "import tempfile\ndef test(): tempfile.mkdtemp(prefix='forgotten-')",
        r"in the temporary folder: forgotten-\w+",
    ),
    "a folder that a child made": (
        "import subprocess\ndef test(): subprocess.run(['mktemp', '-d', '-t', 'forgotten-XXXX'])",
        r"in the temporary folder: forgotten-\w+",
    ),
    "a process": (
        "import subprocess\ndef test(): global p; p = subprocess.Popen(['sleep', '1001'])",
        r"process \d+: sleep 1001",
    ),
    "a process that lost its parent": (
        (
            "import subprocess, sys\n"
            "def test():\n"
            "    code = 'from subprocess import DEVNULL, Popen;'\n"
            '    code += \'Popen(["sleep", "1002"], stdout=DEVNULL, start_new_session=True)\'\n'
            "    subprocess.run([sys.executable, '-c', code], check=True)"
        ),
        r"process \d+: sleep 1002",
    ),
    "a port": (
        "import socket\ndef test(): global s; s = socket.create_server(('127.0.0.1', 0))",
        r"port \d+, listened on by (this process|worker gw[01])",
    ),
    "a port of a process": (
        (
            "import subprocess, sys\ndef test():\n"
            "    global p\n"
            "    code = 'import socket, time; s = socket.create_server((\"127.0.0.1\", 0));'\n"
            "    code += 'print(flush=True); time.sleep(1003)'\n"
            "    p = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)\n"
            "    p.stdout.readline()"
        ),
        r"port \d+, listened on by \S+ -c import socket",
    ),
}

Run = Callable[[str], tuple[int, str]]


@pytest.fixture(params=[[], ["-n", "2"]], ids=["in one process", "in two workers"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a test file in a pytest of its own; gives its exit status and what it says."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    hidden = ("PYTEST_", "COV_", "COVERAGE_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    variables |= {"PYTHONPATH": str(TESTS), "TMPDIR": str(temporary), "LEFTOVERS_WAIT_SECONDS": "0"}

    def run(source: str) -> tuple[int, str]:
        file = tmp_path / "test_it.py"
        file.write_text(source)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "support.leftovers", *request.param]
        command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), "-W"]
        ended = subprocess.run(
            [*command, "ignore::ResourceWarning", str(file)],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert [path for path in temporary.iterdir() if "pytest-of" not in path.name] == []
        return ended.returncode, ended.stdout + ended.stderr

    return run


@pytest.mark.parametrize("left", LEAVES)
def test_a_run_that_leaves_something_behind_fails_and_names_it(run: Run, left: str) -> None:
    source, message = LEAVES[left]
    status, said = run(source)
    assert status == 1, said
    assert "1 passed" in said
    assert re.search(message, said), said


def test_a_run_that_leaves_nothing_behind_passes(run: Run) -> None:
    status, said = run(
        "import socket, subprocess, tempfile\n"
        "def test(tmp_path):\n"
        "    (tmp_path / 'kept by pytest').touch()\n"
        "    with tempfile.TemporaryDirectory(), socket.create_server(('127.0.0.1', 0)):\n"
        "        subprocess.run(['sleep', '0'])"
    )
    assert status == 0, said
    assert "left behind" not in said


def test_a_run_that_fails_stays_failed(run: Run) -> None:
    status, said = run("import tempfile\ndef test(): assert not tempfile.mkdtemp()")
    assert status == 1
    assert "1 failed" in said
    assert "in the temporary folder" in said
