"""The application's source: which files belong to it, and which commit they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tidegate.build.package import check_within, files_under
from tidegate.core.errors import InputError

RELEASE_FILE: Final = "release.json"
"""What a build leaves beside the source, for the release."""

_FORMAT: Final = "%H%x00%an <%ae>%x00%B"
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


@dataclass(frozen=True, slots=True)
class Revision:
    """The commit that is built. Its texts are one line each, of characters that print."""

    commit: str
    branch: str = ""
    author: str = ""
    subject: str = ""
    repository: str = ""  # where it was fetched from, without credentials


def find_revision(folder: Path, environment: Mapping[str, str], **known: str) -> Revision:
    """The commit in ``folder``, as arguments, the environment or git say it, in this order.

    CodeBuild names the commit (``CODEBUILD_RESOLVED_SOURCE_VERSION``), and has no branch checked
    out: ``TIDEGATE_BRANCH`` says it. Where the source comes without its git history,
    ``TIDEGATE_AUTHOR`` and ``TIDEGATE_SUBJECT`` say the rest. Raises ``InputError`` when nothing
    names the commit.
    """
    told = {
        "commit": environment.get("CODEBUILD_RESOLVED_SOURCE_VERSION", ""),
        "branch": environment.get("TIDEGATE_BRANCH", ""),
        "author": environment.get("TIDEGATE_AUTHOR", ""),
        "subject": environment.get("TIDEGATE_SUBJECT", ""),
    }
    told = {key: known.get(key) or told[key] for key in told}
    git = _ask_git(folder, told["commit"] or "HEAD")
    found = {key: told[key] or git.get(key, "") for key in told}
    origin = git.get("repository") or environment.get("CODEBUILD_SOURCE_REPO_URL", "")
    found["repository"] = _without_credentials(origin)
    if not found["commit"]:
        raise InputError(
            f"{folder} is no git checkout, and nothing names the commit.",
            mend="Pass the commit, or set CODEBUILD_RESOLVED_SOURCE_VERSION.",
        )
    return Revision(**{key: _one_line(text) for key, text in found.items()})


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


def _ask_git(folder: Path, commit: str) -> dict[str, str]:
    """What git knows of this commit; nothing when it is of another repository."""
    options = ("-1", "--no-show-signature", f"--format={_FORMAT}", "--end-of-options")
    log = _git(folder, "log", *options, commit, "--")
    if not log:
        return {}
    identifier, author, message = log.split("\0")
    branch = _git(folder, "symbolic-ref", "--short", "--quiet", "HEAD").strip()
    origin = _git(folder, "config", "--get", "remote.origin.url")
    return {
        "commit": identifier,
        "author": author,
        "subject": message,
        "branch": branch,
        "repository": origin.strip(),
    }


def _without_credentials(address: str) -> str:
    """The address of a repository as everybody may read it; "" of what is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if not parts.scheme or not parts.netloc:
        return address  # a path, or user@host:path, which can hold no password
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


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
        env={**os.environ, **_REACHES_NOBODY},
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="surrogateescape",
    )
    return done.stdout if done.returncode == 0 else ""
