"""What a build installs is what was looked at: nobody puts another package in its place."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "build.txt"


def installs(text: str) -> list[list[str]]:
    """The arguments of each `pip install`."""
    lines = (line.partition("pip install")[2] for line in text.splitlines())
    return [shlex.split(line) for line in lines if line]


def test_no_package_of_the_examples_build_is_taken_without_its_hash() -> None:
    locked, ours = installs((ROOT / "buildspec.yml").read_text("utf-8"))
    assert {"--require-hashes", "requirements/build.txt"} <= {*locked}
    assert ours == ["--quiet", "--no-deps", "$TIDEGATE_PACKAGE"]


def test_every_line_of_the_lock_has_a_version_and_a_hash() -> None:
    lock = LOCK.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 30
    for line in lines:
        assert re.match(r"[\w.\[\]-]+==\S+ ", line), line
        assert "--hash=sha256:" in line, line


def test_the_lock_has_what_the_build_needs() -> None:
    locked = {
        canonicalize_name(name)
        for name in re.findall(r"^([\w.-]+)", LOCK.read_text(), re.MULTILINE)
    }
    needed = map(Requirement, requires("tidegate") or ())
    direct = {
        canonicalize_name(one.name)
        for one in needed
        for extra in ("controller", "cli", "lint")
        if one.marker and one.marker.evaluate({"extra": extra})
    }
    assert direct - {"tidegate"} <= locked
    assert "aws-sam-cli" in locked
