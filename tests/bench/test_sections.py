"""A page of benchmarks is written section by section."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.sections import put_section

PAGE = "# Figures\n\nWords.\n\n## One\n\n1\n\n## Two\n\n2\n"


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("One", "# Figures\n\nWords.\n\n## One\n\nnew\n\n## Two\n\n2\n"),
        ("Two", "# Figures\n\nWords.\n\n## One\n\n1\n\n## Two\n\nnew\n"),
        ("Three", f"{PAGE}\n## Three\n\nnew\n"),
    ],
)
def test_writes_its_own_section_and_leaves_the_others(
    title: str, written: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    put_section(page, title, "\nnew\n")
    assert page.read_text(encoding="utf-8") == written
    put_section(page, title, "new")
    assert page.read_text(encoding="utf-8") == written
