"""The wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Tells this machine's time, in UTC."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)
