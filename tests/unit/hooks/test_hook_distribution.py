"""The wheel: hooks are installed without any other package, everything else is an extra."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("tidegate-*.whl"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    return message_from_bytes(_read(wheel, "METADATA"))


def _read(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (p for p in archive.namelist() if p.endswith(f".dist-info/{name}"))
        return archive.read(path)


def test_installing_it_installs_nothing_else(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist") or []
    assert [requirement for requirement in required if "extra ==" not in requirement] == []


def test_extras_are_what_the_documentation_names(metadata: Message) -> None:
    extras = {"controller", "cli", "lint", "build", "local", "testing"}
    assert set(metadata.get_all("Provides-Extra") or []) == extras


def run_with(wheel: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a Python that has the wheel and no other package."""
    given = f"import sys\nsys.path.insert(0, {str(wheel)!r})\n{script}"
    command = [sys.executable, "-I", "-S", "-c", given]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hooks_are_imported_from_the_wheel_alone(wheel: Path) -> None:
    done = run_with(wheel, "from tidegate.hooks import hook\nprint(hook.__name__)")
    assert (done.returncode, done.stdout) == (0, "hook\n"), done.stderr


def test_command_says_what_to_install_for_it(wheel: Path) -> None:
    done = run_with(wheel, "from tidegate.cli import main\nmain()")
    assert done.returncode == 1
    assert done.stderr == (
        "tidegate: the command line is not installed. Install `tidegate[cli]`.\n"
    )


def test_plug_in_of_pytest_is_announced_and_there(wheel: Path) -> None:
    points = _read(wheel, "entry_points.txt").decode()
    assert "[pytest11]\ntidegate.testing.plugin = tidegate.testing.plugin" in points
    assert import_module("tidegate.testing.plugin")
