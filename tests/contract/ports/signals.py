"""What every way to tell whether alarms and metrics say anything keeps to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from tidegate.core.ports import AliasRef, Signals

REF = AliasRef("hello", "live")
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
DAY = timedelta(days=1)


class SignalFeed(Protocol):
    """Lets the world have happened."""

    def alarm(self, name: str, state: str) -> None:
        """An alarm is in this state."""

    def serve(self, ref: AliasRef, version: str, at: datetime, requests: int) -> None:
        """The alias has sent requests to a version."""


class SignalsContract:
    """Each implementation gives ``signals`` and the ``feed`` that they tell of."""

    def test_alarms_with_data_are_told_from_those_without_and_those_that_are_missing(
        self, signals: Signals, feed: SignalFeed
    ) -> None:
        states = {"quiet": "OK", "loud": "ALARM", "silent": "INSUFFICIENT_DATA"}
        for name, state in states.items():
            feed.alarm(name, state)
        assert signals.alarms([*states, "missing"]) == states
        assert signals.alarms(["quiet"]) == {"quiet": "OK"}
        assert signals.alarms([]) == {}

    def test_requests_of_one_version_behind_one_alias_are_counted(
        self, signals: Signals, feed: SignalFeed
    ) -> None:
        recently = NOW - timedelta(minutes=5)
        for version, requests in (("1", 3), ("1", 4), ("2", 50)):
            feed.serve(REF, version, recently, requests)
        feed.serve(AliasRef("hello", "beta"), "1", recently, 9)
        until = NOW + timedelta(minutes=1)
        assert signals.requests(REF, "1", NOW - DAY, until) == 7
        assert signals.requests(REF, "3", NOW - DAY, until) == 0
        assert signals.requests(AliasRef("other", "live"), "1", NOW - DAY, until) == 0

    def test_requests_of_another_time_are_not(self, signals: Signals, feed: SignalFeed) -> None:
        feed.serve(REF, "1", NOW - timedelta(hours=3), 5)
        feed.serve(REF, "1", NOW - timedelta(hours=1), 2)
        assert signals.requests(REF, "1", NOW - timedelta(hours=2), NOW) == 2
        assert signals.requests(REF, "1", NOW - timedelta(hours=4), NOW - timedelta(hours=2)) == 5
