"""The demonstration waits until Lambda's metrics tell of what users saw, and no longer."""

import pytest

from tidegate.core.ports import Counts
from tidegate_embedded.demo.summary import Served


@pytest.mark.parametrize(
    ("recorded", "agrees"),
    [
        (Counts(99, 3), False),
        (Counts(100, 2), False),
        (Counts(100, 3), True),
        (Counts(101, 3), True),  # a hook asked once
        (Counts(102, 3), False),
    ],
)
def test_metrics_agree_when_all_requests_are_in_them(recorded: Counts, agrees: bool) -> None:
    assert Served("2", seen=Counts(100, 3), recorded=recorded).agrees is agrees
