"""The base of all values that are kept or handed on, and their common types."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Weight = Annotated[float, Field(gt=0.0, le=1.0)]
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
Seconds = Annotated[int, Field(ge=0)]


class Model(BaseModel):
    """A value: compared by content, never changed, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True
    )


def named(name: str, default: Any = ...) -> Any:
    """A field that others read under an older name: what is stored and printed keeps its names."""
    return Field(default, validation_alias=name, serialization_alias=name)
