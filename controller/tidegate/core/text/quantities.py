"""Durations and shares as people write them: ``1h30m``, ``10%``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from tidegate.core.errors import InputError

PROBLEM = "tidegate"  # the type of our own validation errors, which carry a mend
LONGEST = timedelta(days=7)  # CodePipeline waits no longer for a release
SMALLEST_WEIGHT = 0.001

_LONGEST_SHOWN = 60  # characters of a value in a message

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_DURATION = r"^(?=\d)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s?)?$"
_PERCENT = r"^\d{1,3}(\.\d{1,6})? ?%$"
_EXPECTED_DURATION = "a duration such as 90s, 10m, 2h, 1h30m or 1d"
_EXPECTED_SHARE = "a share such as 10% or 0.1"


def problem(message: str, remedy: str = "", at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """An error for validators to raise: one sentence on the cause, one on the remedy.

    ``at`` leads from the value that is validated to the one inside it that is wrong.
    """
    return PydanticCustomError(
        PROBLEM, "{message}", {"message": message, "remedy": remedy, "at": at}
    )


def describe(value: object) -> str:
    """A value as an error message shows it: short, and in the manifest's words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return (
                f'"{value}"' if len(value) <= _LONGEST_SHOWN else f'"{value[:_LONGEST_SHOWN]}..."'
            )
        case dict():
            return "a mapping"
        case list():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return str(value)[:_LONGEST_SHOWN]


def read_duration(value: object) -> timedelta:
    """A duration from ``90`` (seconds), ``90s``, ``10m``, ``2h``, ``1h30m`` or ``1d``."""
    if isinstance(value, timedelta):
        return value
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(_DURATION, text):
        raise problem(f"expected {_EXPECTED_DURATION}, found {describe(value)}.")
    parts = re.findall(r"(\d+)([dhms]?)", text)
    total = sum(
        int(count) * _UNITS.get(unit, timedelta(seconds=1)).total_seconds() for count, unit in parts
    )
    if total > LONGEST.total_seconds():
        raise problem(
            f"{describe(value)} is longer than {write_duration(LONGEST)}.",
            "A pipeline waits no longer than that for a release.",
        )
    return timedelta(seconds=total)


def write_duration(duration: timedelta) -> str:
    """A duration in the manifest's form: ``1h30m``."""
    seconds = round(duration.total_seconds())
    text = ""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def read_share(value: object) -> float:
    """A share from ``10%`` or ``0.1``."""
    if isinstance(value, str) and re.fullmatch(_PERCENT, value):
        share = round(float(value.rstrip(" %")) / 100, 8)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        share = float(value)
    else:
        raise problem(f"expected {_EXPECTED_SHARE}, found {describe(value)}.")
    if not 0 <= share <= 1:
        forgot_sign = share == value and 0 <= share / 100 <= 1
        remedy = f"Write {value}%." if forgot_sign else ""
        raise problem(f"expected a share from 0% to 100%, found {describe(value)}.", remedy)
    return share


def between(shortest: str, longest: str) -> AfterValidator:
    """Bounds for a duration."""
    low, high = read_duration(shortest), read_duration(longest)

    def check(duration: timedelta) -> timedelta:
        if not low <= duration <= high:
            found = write_duration(duration)
            raise problem(f"expected a duration from {shortest} to {longest}, found {found}.")
        return duration

    return AfterValidator(check)


def between_shares(lowest: float, highest: float) -> AfterValidator:
    """Bounds for a share."""

    def check(share: float) -> float:
        if not lowest <= share <= highest:
            bounds = f"from {write_share(lowest)} to {write_share(highest)}"
            raise problem(f"expected a share {bounds}, found {write_share(share)}.")
        return share

    return AfterValidator(check)


def weight_from(smallest: float) -> AfterValidator:
    """A lower bound for a weight."""

    def check(share: float) -> float:
        if share < smallest:
            bounds = f"from {write_share(smallest)} to 100%"
            raise problem(f"expected a weight {bounds}, found {write_share(share)}.")
        return share

    return AfterValidator(check)


def parse_share(text: str) -> float:
    """A share as a person types it: ``25%`` or ``0.25``. Raises ``InputError``."""
    number = re.fullmatch(r"[01]?\.\d+|[01]", text)
    try:
        return read_share(float(text) if number else text)
    except PydanticCustomError as wrong:
        said = wrong.context or {}
        raise InputError(str(said.get("message")), remedy=str(said.get("remedy") or "")) from None


def write_share(share: float) -> str:
    """A share in the manifest's form: ``12.5%``."""
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + "%"


_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": _DURATION}, {"type": "integer", "minimum": 0}],
    "examples": ["90s", "10m", "1h30m"],
}
_SHARE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": _PERCENT},
        {"type": "number", "minimum": 0, "maximum": 1},
    ],
    "examples": ["10%", 0.1],
}

Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
Share = Annotated[float, BeforeValidator(read_share), WithJsonSchema(_SHARE_SCHEMA)]
ShiftWeight = Annotated[Share, weight_from(SMALLEST_WEIGHT)]


def matching(pattern: str, expected: str) -> AfterValidator:
    """A text that matches a pattern; ``expected`` is the pattern in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise problem(f"expected {expected}, found {describe(text)}.")
        return text

    return AfterValidator(check)
