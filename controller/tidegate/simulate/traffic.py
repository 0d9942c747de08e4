"""Virtual users: how many requests arrive when, and how many of them fail."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, ValidationError

from tidegate.core.errors import InputError
from tidegate.core.model.base import Model
from tidegate.core.ports import Counts
from tidegate.core.text.quantities import Duration, Share
from tidegate.core.text.yaml_document import read_yaml

_SMALL_MEAN = 30.0
_DAY_SECONDS = 86_400


class Profile(Model):
    """An alias's traffic: rates in a course that repeats itself, and how often stable fails."""

    requests_per_second: tuple[float, ...]  # one for each slot
    slot_seconds: int = _DAY_SECONDS
    error_rate: float = 0.001  # of the stable version

    @property
    def mean_rate(self) -> float:
        """Requests per second, over the whole course."""
        return math.fsum(self.requests_per_second) / len(self.requests_per_second)

    @property
    def length_seconds(self) -> int:
        """After so long the course repeats itself."""
        return self.slot_seconds * len(self.requests_per_second)

    def expected(self, start: float, end: float) -> float:
        """The expected number of requests from one second of the course to another."""
        if len(self.requests_per_second) == 1:
            return self.requests_per_second[0] * (end - start)
        total, at = 0.0, start
        while at < end:
            slot = int(at // self.slot_seconds)
            until = min(end, (slot + 1) * self.slot_seconds)
            total += self.requests_per_second[slot % len(self.requests_per_second)] * (until - at)
            at = until
        return total


class _ProfileFile(Model):
    """A course of traffic as people write it."""

    requests_per_second: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    every: Duration
    error_rate: Share = 0.001


def read_profile(text: str, path: str) -> Profile:
    """A course of traffic from YAML. Raises ``InputError``."""
    try:
        found = _ProfileFile.model_validate(read_yaml(text, path).data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise InputError(
            f"{path} is no course of traffic: {where}: {first['msg']}.",
            remedy="Write for example `{requests_per_second: [2, 30, 12], every: 8h}`.",
        ) from error
    return Profile(
        requests_per_second=found.requests_per_second,
        slot_seconds=max(1, round(found.every.total_seconds())),
        error_rate=found.error_rate,
    )


def profile_of_counts(counts: Sequence[Counts], slot_seconds: int, name: str) -> Profile:
    """The course that was counted. Raises ``InputError`` when nothing was."""
    total = sum(counts, Counts())
    if not total.invocations:
        raise InputError(
            f"CloudWatch has no requests to {name} in the last day.",
            remedy="Check function, alias, account and region, or give --rps.",
        )
    return Profile(
        requests_per_second=tuple(count.invocations / slot_seconds for count in counts),
        slot_seconds=slot_seconds,
        error_rate=total.errors / total.invocations,
    )


@dataclass(frozen=True, slots=True)
class Regression:
    """How much worse the candidate is: by points, or by a factor on stable's error rate."""

    points: float = 0.0
    factor: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``+5%`` (points), ``2x`` (a factor), ``100%`` or ``none``. Raises ``InputError``."""
        if text == "none":
            return cls()
        if found := re.fullmatch(r"\+?(\d+(?:\.\d+)?) ?%", text):
            return cls(points=float(found[1]) / 100)
        if found := re.fullmatch(r"(\d+(?:\.\d+)?)x", text):
            return cls(factor=float(found[1]))
        raise InputError(
            f'"{text}" is no regression.', remedy='Write points, "+5%", a factor, "2x", or "none".'
        )

    def error_rate(self, stable: float) -> float:
        """How often the candidate fails."""
        return min(1.0, stable * self.factor + self.points)

    def __str__(self) -> str:
        if self.points >= 1:
            return "all fail"
        if self.points:
            return f"+{self.points * 100:g} {'point' if self.points == 0.01 else 'points'}"  # noqa: PLR2004
        return "none" if self.factor == 1 else f"{self.factor:g}x"


def poisson(chance: random.Random, mean: float) -> int:
    """A Poisson number, exactly: by inversion, or for large means by Hörmann's PTRS (1993)."""
    return _by_inversion(chance, mean) if mean < _SMALL_MEAN else _by_rejection(chance, mean)


def _by_inversion(chance: random.Random, mean: float) -> int:
    left = chance.random()
    probability = math.exp(-mean)
    count = 0
    while left > probability and (probability > 0.0 or count < mean):
        left -= probability
        count += 1
        probability *= mean / count
    return count


def _by_rejection(chance: random.Random, mean: float) -> int:
    """Transformed rejection with squeeze, "The transformed rejection method for generating Poisson
    random variables", Insurance: Mathematics and Economics 12 (1993).
    """
    log_mean = math.log(mean)
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = chance.random() - 0.5
        v = 1.0 - chance.random()
        us = 0.5 - abs(u)
        if us <= 0.0:
            continue
        count = math.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= quick:  # noqa: PLR2004  # the squeeze
            return count
        if count < 0 or (us < 0.013 and v > us):  # noqa: PLR2004
            continue
        height = math.log(v * inverse_alpha / (a / (us * us) + b))
        if height <= count * log_mean - mean - math.lgamma(count + 1.0):
            return count
