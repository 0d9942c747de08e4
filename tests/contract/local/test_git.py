"""Connected repositories tell of pushes, whatever the pusher's git is set up to do."""

import subprocess
from pathlib import Path

import pytest
from repositories import WorkingCopy

from tidegate_embedded import git
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.credentials import environment

pytestmark = pytest.mark.cloud


def test_a_push_that_starts_nothing_says_nothing(aws: EmbeddedAws, tmp_path: Path) -> None:
    copy = WorkingCopy(tmp_path, aws.environment(account="111111111111"), "nobody/builds-this")
    assert "remote:" not in copy.push({"a": "1"})


def test_a_branch_that_is_deleted_starts_nothing(aws: EmbeddedAws, tmp_path: Path) -> None:
    copy = WorkingCopy(tmp_path, aws.environment(account="111111111111"), "nobody/deletes-this")
    copy.push({"a": "1"})
    copy.run("push", "origin", "HEAD:refs/heads/other")
    assert "remote:" not in copy.run("push", "origin", ":other")


def test_a_push_is_kept_when_the_cloud_is_gone(tmp_path: Path) -> None:
    repository = tmp_path / "origin.git"
    with pytest.raises(OSError, match="refused"):
        git.create(
            repository,
            full_repository_id="a/b",
            variables=environment("http://127.0.0.1:9", "x", "1" * 12, "eu-west-1"),
        )
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(repository), str(copy)], check=True)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(
        ["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "x"], cwd=copy, check=True
    )
    pushed = subprocess.run(
        ["git", "push", "origin", "HEAD"], cwd=copy, capture_output=True, text=True, check=True
    )
    assert "did not hear of this push" in pushed.stderr
    assert git.Repository(repository).head("refs/heads/main").message == "x"


def test_hooks_of_the_pusher_do_not_hide_ours(
    aws: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[core]\n\thooksPath = /nowhere\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    copy = WorkingCopy(tmp_path, aws.environment(account="111111111111"), "nobody/hooks-this")
    hook = tmp_path / "origin.git" / "hooks" / "post-receive"
    hook.write_text("#!/bin/sh\necho the hook ran\n")
    assert "the hook ran" in copy.push({"a": "1"})


def test_an_unconnected_repository_is_named() -> None:
    host = git.GitHost(lambda push: [])
    with pytest.raises(git.GitError, match="no repository a/b is connected"):
        host.repository("a/b")
