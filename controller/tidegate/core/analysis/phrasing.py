"""Numbers of the analysis as sentences say them."""

from __future__ import annotations

import math

from tidegate.core.model.record import Evidence
from tidegate.core.ports import Counts

_MOST_ODDS = 1_000_000_000


def plain(counts: Counts) -> str:
    """``21 of 5,104``: the failures."""
    return f"{counts.errors:,} of {counts.invocations:,}"


def rated(counts: Counts) -> str:
    """``21 of 104 (20.2 %)``: the failures, and their share where there are any."""
    share = f" ({counts.errors / counts.invocations * 100:.1f} %)" if counts.errors else ""
    return f"{plain(counts)}{share}"


def odds(log_e: float) -> str:
    """``below 1 in 10,000``: at least so rare, rounded down to one digit."""
    chances = min(math.exp(min(log_e, 700.0)), _MOST_ODDS)
    digit = 10 ** int(math.log10(chances))
    return f"below 1 in {int(chances / digit) * digit:,}"


def standing(evidence: Evidence) -> str:
    """How far a test is from its bound: ``0.4 of 100``."""
    return f"{e_value(evidence.log_e)} of {math.exp(evidence.log_bound):,.0f}"


def e_value(log_e: float) -> str:
    """An e-value with two digits that count."""
    value = math.exp(min(log_e, math.log(_MOST_ODDS)))
    if value >= 10:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.05 else "0"  # noqa: PLR2004
