"""Makes what a release consists of, in ``dist``: `make distribution TAG=v1.2.3`.

Two wheels, their checksums, and the notes: the section of the changelog. Without a tag it is a
rehearsal, with the notes of what is not released yet. Wheels of one commit have the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PROJECTS: Final = (ROOT, ROOT / "embedded")
UNRELEASED: Final = "Unreleased"


class ReleaseError(Exception):
    """There is nothing that could be released; the message names the file and the remedy."""


def version_of(tag: str, projects: Sequence[Path] = PROJECTS) -> str:
    """The version that the tag names. Raises ``ReleaseError`` unless all projects have it."""
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        raise ReleaseError(f"{tag!r} is no tag of a release: they look like v1.2.3.")
    version = tag.removeprefix("v")
    for project in projects:
        file = project / "pyproject.toml"
        found = tomllib.loads(file.read_text("utf-8"))["project"]["version"]
        if found != version:
            raise ReleaseError(
                f"{file}: version is {found}, and the tag is {tag}. Make them the same."
            )
    return version


def notes(changelog: str, version: str) -> str:
    """The section of the changelog about this version. Raises ``ReleaseError``."""
    found = re.search(rf"(?ms)^## {re.escape(version)}(?![\w.])[^\n]*\n(.*?)(?=^## |\Z)", changelog)
    if found is None or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md: there is no section `## {version}` that says something.")
    return found[1].strip() + "\n"


def checksums(files: Sequence[Path]) -> str:
    """As `sha256sum --check` reads them."""
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def build(folder: Path) -> list[Path]:
    """Both wheels, with the time of the commit in them."""
    git = shutil.which("git") or "git"
    committed = subprocess.check_output([git, "log", "-1", "--format=%ct"], cwd=ROOT, text=True)  # noqa: S603
    environment = {**os.environ, "SOURCE_DATE_EPOCH": committed.strip()}
    for project in PROJECTS:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        subprocess.run(  # noqa: S603
            [*command, "--directory", str(folder)], cwd=project, env=environment, check=True
        )
    return sorted(folder.glob("*.whl"))


def main(arguments: Sequence[str]) -> int:
    """Make it. Returns 1 when there is nothing to release."""
    parser = argparse.ArgumentParser(prog="distribute.py", description="Make a release's files.")
    parser.add_argument("--tag", default="", help="of the release; without one it is a rehearsal")
    parser.add_argument("--folder", type=Path, default=ROOT / "dist")
    given = parser.parse_args(arguments)
    try:
        version = version_of(given.tag) if given.tag else UNRELEASED
        said = notes((ROOT / "CHANGELOG.md").read_text("utf-8"), version)
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    (given.folder / "notes.md").write_text(said, "utf-8")
    (given.folder / "SHA256SUMS").write_text(checksums(build(given.folder)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
