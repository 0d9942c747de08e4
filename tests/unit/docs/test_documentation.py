"""What the documentation says is true where a machine can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from tidegate.cli.app import app
from tidegate.cli.console import ExitCode
from tidegate.core import errors
from tidegate.core.model.manifest import parse_manifest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#)([^)#\s]+)")
MANIFEST = re.compile(r"```yaml\n(version: 1\napplication:.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_manifests_in_the_readme_are_valid() -> None:
    manifests = MANIFEST.findall((ROOT / "README.md").read_text())
    assert manifests
    for manifest in manifests:
        assert parse_manifest(manifest).application == "hello"


def test_every_verb_is_in_the_reference() -> None:
    reference = (ROOT / "docs/reference/cli.md").read_text()
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    assert [verb for verb in verbs if f"| `{verb}" not in reference] == []


def test_every_exit_code_is_in_the_reference() -> None:
    reference = (ROOT / "docs/reference/cli.md").read_text()
    assert [code for code in ExitCode if f"| {code.value} |" not in reference] == []


def test_the_runbook_names_only_errors_that_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/operate.md").read_text(), re.MULTILINE)
    assert rows
    assert [name for name in rows if not hasattr(errors, name)] == []
