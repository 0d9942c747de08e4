"""Single values of the manifest: how they are read, and how their errors read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.fields import FieldInfo

from tidegate.core.text.quantities import describe, matching, problem


def _check_path(path: str) -> str:
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        raise problem(
            f"expected a path inside the repository, found {describe(path)}.",
            "Name the file relative to the root of the source.",
        )
    return path


def check_distinct(
    what: str, remedy: str, names: Iterable[tuple[str, tuple[str | int, ...]]]
) -> None:
    """Raise for the first name that was there before; each comes with the path that leads to it."""
    seen: set[str] = set()
    for name, at in names:
        if name in seen:
            raise problem(f"there are two {what} {describe(name)}.", remedy, at)
        seen.add(name)


def pattern(pattern: str) -> FieldInfo:
    """The pattern in the JSON Schema; `matching` checks it with a better message."""
    info: FieldInfo = Field(json_schema_extra={"pattern": pattern})
    return info


_NAME = r"^[a-z][a-z0-9-]{0,39}$"

Name = Annotated[
    str,
    matching(_NAME, "a name of at most 40 of a-z, 0-9 and hyphens that begins with a letter"),
    pattern(_NAME),
]
Path = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_check_path)]
