"""Writes one section of a page and leaves the others as they are."""

from __future__ import annotations

import re
from pathlib import Path


def put_section(page: Path, title: str, body: str) -> None:
    """Put the section ``## title`` in its place, or at the end of the page."""
    text = page.read_text(encoding="utf-8")
    section = f"## {title}\n\n{body.strip()}\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        text = f"{text.rstrip()}\n\n{section}"
    else:
        after = text[found.end() :]
        text = text[: found.start()] + section + (f"\n{after}" if after else "")
    page.write_text(text, encoding="utf-8")
