"""The application's source: which files belong to it, and which commit they are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate.build.package import files_under
from tidegate.core.errors import InputError

_FORMAT: Final = "%H%x00%an <%ae>%x00%s"


@dataclass(frozen=True, slots=True)
class Revision:
    """The commit that is built."""

    commit: str
    branch: str = ""
    author: str = ""
    subject: str = ""


def find_revision(folder: Path, environment: Mapping[str, str], **known: str) -> Revision:
    """The commit in ``folder``, as arguments, the environment or git say it, in this order.

    A pipeline's source may come without its git history: there CodeBuild names the commit
    (``CODEBUILD_RESOLVED_SOURCE_VERSION``), and ``TIDEGATE_BRANCH``, ``TIDEGATE_AUTHOR`` and
    ``TIDEGATE_SUBJECT`` the rest. Raises ``InputError`` when nothing names the commit.
    """
    git = _ask_git(folder)
    told = {
        "commit": environment.get("CODEBUILD_RESOLVED_SOURCE_VERSION", ""),
        "branch": environment.get("TIDEGATE_BRANCH", ""),
        "author": environment.get("TIDEGATE_AUTHOR", ""),
        "subject": environment.get("TIDEGATE_SUBJECT", ""),
    }
    found = {key: known.get(key) or told[key] or git.get(key, "") for key in told}
    if not found["commit"]:
        raise InputError(
            f"{folder} is no git checkout, and nothing names the commit.",
            mend="Pass the commit, or set CODEBUILD_RESOLVED_SOURCE_VERSION.",
        )
    found["subject"] = found["subject"].partition("\n")[0].strip()
    return Revision(**found)


def source_files(folder: Path, *, output: Path) -> Iterable[tuple[str, Path]]:
    """The files that git tracks, as they are now; all files where git tracks none."""
    tracked = _git(folder, "ls-files", "-z").split("\0")
    present = [(name, folder / name) for name in tracked if name and (folder / name).is_file()]
    return present or files_under(folder, ignored_folder=output)


def _ask_git(folder: Path) -> dict[str, str]:
    log = _git(folder, "log", "-1", f"--format={_FORMAT}").strip("\n")
    if not log:
        return {}
    commit, author, subject = log.split("\0")
    branch = _git(folder, "symbolic-ref", "--short", "--quiet", "HEAD").strip()
    return {"commit": commit, "author": author, "subject": subject, "branch": branch}


def _git(folder: Path, *arguments: str) -> str:
    """What git says; "" where there is no git or no repository."""
    if (git := shutil.which("git")) is None:
        return ""
    done = subprocess.run(  # noqa: S603 - no shell, no user input but the folder
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""
