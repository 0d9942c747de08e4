"""The example application's repository, and the commits that the demonstration pushes to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from tidegate.core.errors import TidegateError
from tidegate_embedded import git

APPLICATION_FILES: Final = ("functions", "buildspec.yml", "tidegate.yaml")
_AUTHOR: Final = ("Ana Silva", "ana@example.org")


class Repository:
    """A clone of the application's repository; its ``origin`` is bare and tells of pushes."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone

    @classmethod
    def create(
        cls,
        folder: Path,
        application: Path,
        *,
        full_repository_id: str,
        variables: Mapping[str, str],
    ) -> Repository:
        """A bare repository and a clone of it in ``folder``, with the application's files."""
        bare = git.create(
            folder / "origin.git", full_repository_id=full_repository_id, variables=variables
        )
        clone = folder / full_repository_id.rpartition("/")[2]
        repository = cls(clone)
        clone.mkdir(parents=True)
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.git("remote", "add", "origin", str(bare.resolve()))
        repository.git("config", "user.name", _AUTHOR[0])
        repository.git("config", "user.email", _AUTHOR[1])
        for name in APPLICATION_FILES:
            _copy(application / name, clone / name)
        return repository

    def commit_all(self, message: str) -> None:
        """Commit everything as it lies there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def apply(self, patch: str) -> None:
        """Commit one of the demonstration's patches, with its author and message."""
        text = resources.files(__package__).joinpath("commits", patch).read_bytes()
        self.git("am", "--quiet", stdin=text)

    def push(self) -> None:
        """Push the branch: its pipeline starts."""
        self.git("push", "--quiet", "--set-upstream", "origin", "main")

    def head(self) -> str:
        """The id of the latest commit."""
        return self.git("rev-parse", "HEAD")

    def subject(self) -> str:
        """The first line of the latest commit's message."""
        return self.git("log", "-1", "--format=%s")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """What git prints. Raises ``TidegateError`` with git's own words when it fails."""
        result = subprocess.run(
            ["git", "-C", str(self.clone), *arguments],
            input=stdin,
            capture_output=True,
            check=False,
        )
        if result.returncode:
            reason = result.stderr.decode(errors="replace").strip()
            raise TidegateError(f"git {arguments[0]} failed: {reason}")
        return result.stdout.decode().strip()


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        leftovers = shutil.ignore_patterns("__pycache__", ".aws-sam")
        shutil.copytree(source, destination, ignore=leftovers)
    else:
        shutil.copy(source, destination)
