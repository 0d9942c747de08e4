"""The places of a metric's dimensions that stand for one function and version."""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDERS = ("function", "alias", "version")
"""What the values of a compared metric's dimensions may have in braces."""


def placeholders(value: str) -> list[str]:
    """What stands in braces in the value of a dimension."""
    return re.findall(r"\{([^{}]*)\}", value)


def physical_name(value: str, resources: Mapping[str, str]) -> str:
    """What a dimension calls a resource of the template; any other value is meant as it is.

    The physical id of a queue is its URL, and its name is the end of it.
    """
    named = resources.get(value, value)
    return named.rpartition("/")[2] if named.startswith("https://") else named
