"""What has to run together runs in one worker of pytest-xdist, and the rest does not."""

import os
import subprocess
import sys
from pathlib import Path

from support.workers import TOGETHER, group_of

ROOT = Path(__file__).parents[3]
TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(6))
def test(number):
    worker = pathlib.Path(os.environ["WORKERS"], os.environ["PYTEST_XDIST_WORKER"])
    with worker.open("a") as file:
        file.write("together " if "e2e" in __file__ else "apart ")
"""


def test_groups_are_of_tests_that_are_there() -> None:
    assert all((ROOT / place).exists() for place in TOGETHER)
    groups = {group_of(f"{place}x") for place in TOGETHER}
    assert len(groups) == 3
    assert group_of("tests/unit/test_a.py::test_b") == "tests/unit/test_a.py::test_b"


def test_a_group_runs_in_one_worker(tmp_path: Path) -> None:
    for place in ("tests/e2e/test_one.py", "tests/e2e/test_two.py", "tests/unit/test_three.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(TESTS)
    workers = tmp_path / "workers"
    workers.mkdir()
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "support.workers"]
    command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), "tests"]
    hidden = ("PYTEST_", "COV_", "COVERAGE_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            **variables,
            "PYTHONPATH": str(ROOT / "tests"),
            "TMPDIR": str(tmp_path),
            "WORKERS": str(workers),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = [worker.read_text() for worker in workers.iterdir()]
    assert max(each.count("together") for each in said) == 12
    assert "".join(said).count("apart") == 6
