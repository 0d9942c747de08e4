"""What is replaced of ministack and moto is listed in one place, and each entry has its test."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.patches import KNOWN, PATCHES, VERSIONS, Patch
from tidegate_embedded.patching import Patches, replaced

TESTS = Path(__file__).parents[2]


def test_it_holds_for_the_versions_that_are_installed() -> None:
    assert {name: version(name) for name in VERSIONS} == VERSIONS


def test_all_that_is_listed_is_replaced_and_nothing_else(aws: EmbeddedAws) -> None:
    assert aws.endpoint
    assert replaced() == KNOWN


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: f"{patch.module}.{patch.names[0]}")
def test_each_has_a_test_that_is_there(patch: Patch) -> None:
    file, _, name = patch.test.partition("::")
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    assert name in {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_what_is_not_listed_cannot_be_replaced() -> None:
    with pytest.raises(KeyError, match=r"pathlib\.Path\.exists is not in"):
        Patches().replace(Path, "exists", lambda own: own)


def test_what_another_version_has_no_more_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate_embedded.patching.KNOWN", {("pathlib.Path", "exits")})
    with pytest.raises(AttributeError):
        Patches().replace(Path, "exits", lambda own: own)
