"""Alarms that may have no data, and requests, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.core.ports import AliasRef


@dataclass
class MemorySignals:
    """What alarms and metrics tell, as a test scripts them."""

    firing: Mapping[str, bool]  # by the alarm's name
    silent: set[str] = field(default_factory=set)  # alarms without data
    served: list[tuple[datetime, AliasRef, str, int]] = field(default_factory=list)

    def alarms(self, names: Sequence[str]) -> dict[str, str]:
        """The known alarms among these."""
        return {name: self._word(name) for name in names if name in self.firing}

    def requests(self, ref: AliasRef, version: str, since: datetime, until: datetime) -> int:
        """What was served within [since, until)."""
        return sum(
            calls
            for at, alias, of, calls in self.served
            if (alias, of) == (ref, version) and since <= at < until
        )

    def _word(self, name: str) -> str:
        if name in self.silent:
            return "INSUFFICIENT_DATA"
        return "ALARM" if self.firing[name] else "OK"
