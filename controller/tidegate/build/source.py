"""The application's source: which files belong to it, and which commit they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tidegate.build.package import check_within, files_under
from tidegate.core.errors import InputError
from tidegate.core.model.artifact import Commit, Revision

RELEASE_FILE: Final = "release.json"
"""What a build leaves beside the source, for the release."""

_CO_AUTHORS: Final = "%(trailers:key=Co-authored-by,valueonly,unfold,separator=%x0A)"
_COMMITS: Final = f"%H%x00%P%x00%an <%ae>%x00{_CO_AUTHORS}"
_MOST_COMMITS: Final = 500
_MOST_CHARACTERS: Final = 200
_RUNS_NOTHING: Final = (
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "log.showSignature=false"),
)
"""What lies in a folder is not trusted: its git configuration must not name programs to run."""
_REACHES_NOBODY: Final = {
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone would fetch what it lacks, by what it says
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_AS_COMMITTED: Final = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
"""A commit's name stands for its author and parents: nothing in the checkout replaces them."""


def find_revision(folder: Path, environment: Mapping[str, str], **known: str) -> Revision:
    """The commit in ``folder``, its branch, who wrote it and what came before it.

    A pipeline states what its source action fetched: ``TIDEGATE_COMMIT`` and ``TIDEGATE_BRANCH``,
    which win over arguments, CodeBuild's ``CODEBUILD_RESOLVED_SOURCE_VERSION`` and git. In a
    checkout git alone says who wrote the commit; where the source comes without its history, the
    arguments, ``TIDEGATE_AUTHOR`` and ``TIDEGATE_SUBJECT`` do. Raises ``InputError`` when nothing
    names the commit, or when another one is checked out.
    """
    stated = (
        environment.get("TIDEGATE_COMMIT")
        or known.get("commit")
        or environment.get("CODEBUILD_RESOLVED_SOURCE_VERSION", "")
    )
    head = _head(folder)
    if head and stated and _commit(folder, stated) != head["commit"]:
        raise InputError(
            f"{folder} has {head['commit']} checked out, and the commit to build is {stated}.",
            remedy="Check that commit out, and let nothing in the build change the checkout.",
        )
    found = {
        "commit": head.get("commit") or stated,
        "branch": (
            environment.get("TIDEGATE_BRANCH") or known.get("branch") or head.get("branch", "")
        ),
        "author": known.get("author") or environment.get("TIDEGATE_AUTHOR", ""),
        "subject": known.get("subject") or environment.get("TIDEGATE_SUBJECT", ""),
    }
    if not found["commit"]:
        raise InputError(
            f"{folder} is no git checkout, and nothing names the commit.",
            remedy="Pass the commit, or set TIDEGATE_COMMIT.",
        )
    history = _history(folder) if head else ()
    if head:
        found |= {"author": history[0].authors[0], "subject": head["subject"]}
    return Revision(**{key: _one_line(text) for key, text in found.items()}, history=history)


def find_repository(folder: Path, environment: Mapping[str, str]) -> str:
    """Where the checkout was cloned from, without credentials; "" when that is not known.

    A CodeBuild project that has the source itself says it by ``CODEBUILD_SOURCE_REPO_URL``.
    """
    origin = _git(folder, "config", "--get", "remote.origin.url").strip()
    return _without_credentials(
        _one_line(origin or environment.get("CODEBUILD_SOURCE_REPO_URL", ""))
    )


def source_files(folder: Path, *, output: Path) -> Iterable[tuple[str, Path]]:
    """What git tracks, as it is now; where git tracks nothing, all files that no build wrote.

    Raises ``TemplateError`` for a link that leads out of the source.
    """
    root = source_root(folder)
    listed = _git(folder, "ls-files", "-z").encode("utf-8", "surrogateescape")
    tracked = os.fsdecode(listed).split("\0")
    present = [(name, folder / name) for name in tracked if name and (folder / name).is_file()]
    for _, path in present:
        check_within([root], path)
    return present or [
        (name, path)
        for name, path in files_under(folder, within=[root], ignored_folder=output)
        if name != RELEASE_FILE
    ]


def source_root(folder: Path) -> Path:
    """The checkout that ``folder`` is in, or the folder itself where there is none."""
    here = folder.resolve()
    return next((one for one in (here, *here.parents) if (one / ".git").exists()), here)


def _head(folder: Path) -> dict[str, str]:
    """The commit that is checked out, its branch and its message; nothing without a commit."""
    log = _git(folder, "log", "-1", "--format=%H%x00%B", "HEAD", "--")
    if not log:
        return {}
    commit, message = log.split("\0")
    branch = _git(folder, "symbolic-ref", "--short", "--quiet", "HEAD").strip()
    return {"commit": commit, "branch": branch, "subject": message}


def _commit(folder: Path, name: str) -> str:
    """The commit of this name; "" when it is of another repository."""
    return _git(folder, "log", "-1", "--format=%H", "--end-of-options", name, "--").strip()


def _history(folder: Path) -> tuple[Commit, ...]:
    """The newest commits of what is checked out, with their authors and co-authors."""
    log = _git(folder, "log", f"-{_MOST_COMMITS}", "-z", f"--format={_COMMITS}", "HEAD", "--")
    fields = iter(log.split("\0")[:-1])
    return tuple(
        Commit(
            id=commit,
            parents=tuple(parents.split()) or _hidden_parents(folder, commit),
            authors=tuple(map(_one_line, (author, *others.splitlines()))),
        )
        for commit, parents, author, others in zip(fields, fields, fields, fields, strict=True)
    )


def _hidden_parents(folder: Path, commit: str) -> tuple[str, ...]:
    """Those that a shallow clone does not have, and so leaves out of its log."""
    header = _git(folder, "cat-file", "commit", commit).partition("\n\n")[0]
    lines = (line.split(" ", 1) for line in header.splitlines())
    return tuple(value for key, value in lines if key == "parent")


def _without_credentials(address: str) -> str:
    """The address of a repository as everybody may read it; "" of what is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if not parts.scheme or not parts.netloc:
        return address  # a path, or user@host:path, which can hold no password
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _one_line(text: str) -> str:
    """The first line, without what could move a terminal's cursor or hide other characters.

    Whoever may commit writes this text; it goes into the record, into events and onto screens.
    """
    first = text.strip().partition("\n")[0]
    shown = "".join(character for character in " ".join(first.split()) if character.isprintable())
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[: _MOST_CHARACTERS - 1]}…"


def _git(folder: Path, *arguments: str) -> str:
    """What git says; "" where there is no git or no repository. It runs no other program."""
    if (git := shutil.which("git")) is None:
        return ""
    done = subprocess.run(  # noqa: S603 - no shell, no option among what is not ours
        [git, "--no-pager", *_RUNS_NOTHING, "-C", str(folder), *arguments],
        env={**os.environ, **_REACHES_NOBODY, **_AS_COMMITTED},
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="surrogateescape",
    )
    return done.stdout if done.returncode == 0 else ""
