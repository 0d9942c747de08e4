"""Git repositories that stand for a provider's, and the hook that tells of a push."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from tidegate_embedded import credentials
from tidegate_embedded.gateway import Request, Response

REPOSITORIES_PATH: Final = "/_tidegate/git/repositories"
PUSH_PATH: Final = "/_tidegate/git/push"

_OWNER_ONLY: Final = 0o700
_BRANCH: Final = "refs/heads/"
_HOOK: Final = '''\
#!{python}
"""Tells the embedded AWS which branches a push has moved, and says what that started."""

import sys

from tidegate_embedded.credentials import post

for line in sys.stdin:
    before, after, ref = line.split()
    push = {{"repository": {repository!r}, "before": before, "after": after, "ref": ref}}
    try:
        started = post({variables!r}, {path!r}, push)["executions"]
    except OSError as error:
        print(f"the embedded AWS did not hear of this push: {{error}}", file=sys.stderr)
    else:
        for execution in started:
            print(f"pipeline {{execution['pipeline']}}: execution {{execution['id']}} started")
'''


class GitError(Exception):
    """Git cannot do what was asked of a repository."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a source action says of a commit."""

    id: str
    message: str
    author_date: str


@dataclass(frozen=True, slots=True)
class CloneReference:
    """Names a commit instead of holding its files: whoever takes it clones the repository."""

    CONTENT_TYPE: ClassVar[str] = "application/vnd.tidegate.clone-reference+json"

    repository: str
    """Its full id."""
    url: str
    commit: str

    def encode(self) -> bytes:
        """The reference as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """What `encode` made."""
        return cls(**json.loads(body))


@dataclass(frozen=True, slots=True)
class Push:
    """A branch that moved from one commit to another."""

    repository: str
    branch: str
    commit: str
    files: tuple[str, ...]
    """Paths that the push changed, empty if it made the branch."""


class Repository:
    """A bare repository of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def head(self, revision: str) -> Commit:
        """The commit that a branch or commit id names; raise `GitError` if there is none."""
        text = self._git("log", "-1", "--format=%H%x00%aI%x00%B", revision, "--").decode()
        identifier, date, message = text.split("\0")
        return Commit(identifier, message.strip(), date)

    def archive(self, commit: str) -> bytes:
        """The files of a commit as a zip archive, without the history."""
        return self._git("archive", "--format=zip", commit)

    def changed_files(self, before: str, after: str) -> tuple[str, ...]:
        """Paths that differ between two commits; none if the first does not exist."""
        if not before.strip("0"):
            return ()
        listing = self._git("diff", "--name-only", "-z", before, after, "--").decode()
        return tuple(name for name in listing.split("\0") if name)

    def configure(self, name: str, value: str) -> None:
        """Set an option of the repository."""
        self._git("config", name, value)

    def _git(self, *arguments: str) -> bytes:
        result = subprocess.run(
            ["git", "--git-dir", str(self.path), *arguments], capture_output=True, check=False
        )
        if result.returncode != 0:
            raise GitError(result.stderr.decode(errors="replace").strip())
        return result.stdout


class GitHost:
    """The provider's side of connections: repositories by full id, such as `owner/name`.

    As a route it takes registrations and pushes; `on_push` returns the executions it started, as
    `{"pipeline": ..., "id": ...}`.
    """

    def __init__(self, on_push: Callable[[Push], list[dict[str, str]]]) -> None:
        self._on_push = on_push
        self._lock = threading.Lock()
        self._repositories: dict[str, Repository] = {}

    def repository(self, full_id: str) -> Repository:
        """The repository registered under a full id; raise `GitError` if there is none."""
        with self._lock:
            found = self._repositories.get(full_id)
        if found is None:
            raise GitError(
                f"no repository {full_id} is connected: make one with tidegate_embedded.git"
            )
        return found

    def matches(self, request: Request) -> bool:
        """Whether a repository or its hook speaks to us."""
        return request.method == "POST" and request.path in {REPOSITORIES_PATH, PUSH_PATH}

    def handle(self, request: Request) -> Response:
        """Register a repository, or start what a push triggers."""
        body = request.json()
        if request.path == REPOSITORIES_PATH:
            with self._lock:
                self._repositories[body["repository"]] = Repository(Path(body["path"]))
            return Response.json({})
        try:
            return Response.json({"executions": self._pushed(body)})
        except GitError as error:
            return Response.error("GitError", str(error))

    def _pushed(self, body: dict[str, Any]) -> list[dict[str, str]]:
        ref, after = body["ref"], body["after"]
        if not ref.startswith(_BRANCH) or not after.strip("0"):
            return []  # a tag, or a branch that is gone
        repository = self.repository(body["repository"])
        push = Push(
            repository=body["repository"],
            branch=ref.removeprefix(_BRANCH),
            commit=after,
            files=repository.changed_files(body["before"], after),
        )
        return self._on_push(push)


def create(
    path: Path, *, full_repository_id: str, variables: Mapping[str, str], branch: str = "main"
) -> Path:
    """Make a bare repository and connect it: pushes to it start the pipelines that read it.

    `full_repository_id` is what source actions call it; `variables` are those by which AWS clients
    find the embedded AWS, with its credentials. Returns `path`, which git can clone.
    """
    subprocess.run(
        ["git", "init", "--quiet", "--bare", f"--initial-branch={branch}", str(path)], check=True
    )
    hook = path.resolve() / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    # A person's own core.hooksPath would hide the hook.
    Repository(path).configure("core.hooksPath", str(hook.parent))
    text = _HOOK.format(
        python=sys.executable,
        repository=full_repository_id,
        variables=dict(variables),
        path=PUSH_PATH,
    )
    descriptor = os.open(hook, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)  # a secret
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        file.write(text)
    connect(path, full_repository_id=full_repository_id, variables=variables)
    return path


def connect(path: Path, *, full_repository_id: str, variables: Mapping[str, str]) -> None:
    """Let source actions find a bare repository under a full id."""
    body = {"repository": full_repository_id, "path": str(path.resolve())}
    credentials.post(variables, REPOSITORIES_PATH, body)
