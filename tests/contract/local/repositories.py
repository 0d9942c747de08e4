"""Git repositories that tests push to, and waiting for what a push starts."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tidegate_embedded import git


class WorkingCopy:
    """A clone of a connected repository, in which a person commits."""

    def __init__(self, directory: Path, variables: Mapping[str, str], full_id: str) -> None:
        bare = git.create(directory / "origin.git", full_repository_id=full_id, variables=variables)
        self.path = directory / "copy"
        self.run("clone", "--quiet", str(bare), str(self.path), cwd=directory)

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        result = subprocess.run(
            ["git", *identity, *arguments],
            cwd=cwd or self.path,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return result.stdout

    def push(self, files: Mapping[str, str], *, message: str = "A change") -> str:
        """Commit and push; return what git printed."""
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "-m", message)
        return self.run("push", "origin", "HEAD")

    @property
    def commit(self) -> str:
        return self.run("rev-parse", "HEAD").strip()
