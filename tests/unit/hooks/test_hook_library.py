"""The library comes into a Lambda package alone, and runs there with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hook_lambdas import event

from tidegate.hooks.__main__ import copy_library, main
from tidegate.hooks.client import lambda_client

HOOK = """
import sys
from tidegate.hooks import hook

@hook
def handler(event, checks):
    checks.that("the stage is prod", event.stage == "prod")

print(handler(EVENT)["status"])
print(*sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names))
"""


def run_alone(folder: Path, script: str) -> list[str]:
    """What the script prints in a Python that has the folder and no installed package."""
    given = f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport json\n{script}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_package_gets_the_library_and_nothing_else_of_tidegate(tmp_path: Path) -> None:
    copy_library(tmp_path)
    copy_library(tmp_path)  # a build may run again over what is there
    assert {path.name for path in (tmp_path / "tidegate").iterdir()} == {"__init__.py", "hooks"}
    assert not list(tmp_path.rglob("__pycache__"))


def test_hook_runs_where_no_package_is_installed(tmp_path: Path) -> None:
    copy_library(tmp_path)
    script = HOOK.replace("EVENT", f"json.loads({json.dumps(event())!r})")
    assert run_alone(tmp_path, script) == ["Succeeded", "__main__ tidegate"]


def test_command_copies_to_the_folder_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["python -m tidegate.hooks", str(tmp_path / "package")])
    main()
    assert (tmp_path / "package" / "tidegate" / "hooks" / "handler.py").is_file()


def test_client_waits_as_long_as_it_is_told_and_repeats_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = lambda_client(2.5).meta.config
    assert config.read_timeout == 3
    assert config.retries["total_max_attempts"] == 1
    assert lambda_client(2.5) is lambda_client(3)
