"""How numbers, times and people read in a terminal."""

from __future__ import annotations

import re
from datetime import datetime

from tidegate.core.approval.identity import identify
from tidegate.core.insight.release_view import error_rate
from tidegate.core.model.record import Verdict, WarmLine
from tidegate.core.planning.capacity import PRICED_IN

_CENT = 0.01
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_BAR_CELLS = 10
_SHORT_COMMIT = 7
_SHORT_DIGEST = 12
_RANDOM = re.compile(r"-[A-Za-z0-9]{8,13}$")  # what CloudFormation adds to a name


def duration(seconds: float) -> str:
    """Two units at most: ``42s``, ``3m12s``, ``1h05m``, ``2d03h``; a decimal below ten seconds."""
    if 0 < seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes}m{rest:02d}s"
    if whole < _DAY:
        hours, rest = divmod(whole, _HOUR)
        return f"{hours}h{rest // _MINUTE:02d}m"
    days, rest = divmod(whole, _DAY)
    return f"{days}d{rest // _HOUR:02d}h"


def span(seconds: float) -> str:
    """A planned time, as one would write it: ``10m``, ``1h05m``, ``1d``."""
    words = duration(seconds)
    for rest in ("00s", "00m", "00h"):
        if words.endswith(rest):
            return words.removesuffix(rest)
    return words


def whole_duration(seconds: float) -> str:
    """Like ``duration``, without decimals: for what counts on while one looks."""
    return duration(float(max(0, int(seconds)))) if seconds >= 1 else "0s"


def moment(at: datetime) -> str:
    """A time to the minute, in UTC."""
    return at.strftime("%Y-%m-%d %H:%M")


def percent(share: float) -> str:
    """``0.1 %``, ``20.2 %``, ``25 %``: one decimal at most."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def usd(amount: float) -> str:
    """``$0.42``; what is less than a cent is said so."""
    return f"${amount:,.2f}" if amount >= _CENT else "less than $0.01"


def warmth(line: WarmLine) -> str:
    """Provisioned concurrency before and after, and what two versions of it cost meanwhile."""
    number = f"{line.before} → {line.wanted}" if line.before != line.wanted else str(line.wanted)
    if line.together <= max(line.before, line.wanted):
        return number
    time = f"for {span(line.seconds)} or more" if line.seconds else "until the rollout is over"
    return (
        f"{number}, and {line.together} while there are two versions, {time}: about"
        f" {usd(line.extra_usd)} more (an estimate, with prices of {PRICED_IN})"
    )


def bar(weight: float) -> str:
    """A weight as ten cells."""
    full = round(weight * _BAR_CELLS)
    if weight > 0:
        full = max(full, 1)
    return "█" * full + "░" * (_BAR_CELLS - full)


def person(who: str) -> str:
    """What people recognise: ``ana (Admin, 111122223333)`` of an IAM identity, an author's name."""
    if who.endswith(">") and (name := who.partition("<")[0].strip()):
        return name
    return str(identify(who))


def commit(sha: str) -> str:
    """The first characters of a commit, as git shows them."""
    return sha[:_SHORT_COMMIT]


def digest(named: str) -> str:
    """The first characters of a digest, without the name of its algorithm."""
    return named.rpartition(":")[2][:_SHORT_DIGEST]


def function(name: str, stack: str) -> str:
    """The part of a function's name that a person gave it, of ``<stack>-<part>-<random>``."""
    part = name.removeprefix(f"{stack}-")
    return part if part == name else _RANDOM.sub("", part)


def numbers(verdict: Verdict) -> str:
    """The requests that a verdict rests on, of candidate and stable."""
    candidate = _failed(verdict.candidate_invocations, verdict.candidate_errors)
    stable = _failed(verdict.stable_invocations, verdict.stable_errors)
    return f"candidate {candidate}, stable {stable}"


def _failed(invocations: int, errors: int) -> str:
    rate = error_rate(invocations, errors)
    if rate is None:
        return "no requests"
    share = f" ({percent(rate)})" if errors else ""
    return f"{errors}/{invocations} errors{share}"
