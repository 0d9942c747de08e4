"""Texts of a length that a record and a person can take."""

from __future__ import annotations

from typing import Final

MOST_CHARACTERS: Final = 300


def shorten(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, cut where it is too long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
