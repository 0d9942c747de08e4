"""The example application passes its own unit tests, as its manifest runs them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from tidegate.core.model.manifest import parse_manifest

ROOT = Path(__file__).parents[3]
UNIT = next(
    test
    for test in parse_manifest((ROOT / "tidegate.yaml").read_text()).tests
    if test.name == "unit"
)


def test_the_example_passes_its_unit_tests() -> None:
    """The last command is the test; those before it install what is here already."""
    python, *arguments = shlex.split((UNIT.commands or ())[-1])
    assert python == "python"
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr
