"""What every way to warm versions does.

A subclass gives the fixtures ``capacity``, ``published``: the name of a function with the versions
1 to 3, whose alias ``live`` serves version 1 and ``split`` version 1 and, with a weight, version 2;
and ``wait``.
"""

from __future__ import annotations

import pytest

from contract.ports.stacks import POLLS, Wait
from tidegate.core.errors import NotFound, ServiceUnavailable, WarmUpFailed
from tidegate.core.ports import Allocation, Capacity, VersionState, Warmth


class CapacityContract:
    @staticmethod
    def ready(capacity: Capacity, function: str, qualifier: str, wait: Wait) -> Allocation:
        """The allocation once it is no longer in progress."""
        for _ in range(POLLS):
            found = capacity.allocations(function)[qualifier]
            if found.warmth is not Warmth.IN_PROGRESS:
                return found
            wait()
        raise AssertionError("still in progress")

    def test_nothing_is_allocated_at_first(self, capacity: Capacity, published: str) -> None:
        assert capacity.allocations(published) == {}

    def test_what_is_allocated_is_in_progress_and_then_ready(
        self, capacity: Capacity, published: str, wait: Wait
    ) -> None:
        capacity.allocate(published, "2", 3)
        assert capacity.allocations(published)["2"].warmth is Warmth.IN_PROGRESS
        assert self.ready(capacity, published, "2", wait) == Allocation(3, Warmth.READY)

    def test_asking_for_the_same_again_changes_nothing(
        self, capacity: Capacity, published: str, wait: Wait
    ) -> None:
        capacity.allocate(published, "2", 3)
        self.ready(capacity, published, "2", wait)
        capacity.allocate(published, "2", 3)
        assert capacity.allocations(published) == {"2": Allocation(3, Warmth.READY)}

    def test_another_number_takes_its_time_again(
        self, capacity: Capacity, published: str, wait: Wait
    ) -> None:
        capacity.allocate(published, "2", 3)
        self.ready(capacity, published, "2", wait)
        capacity.allocate(published, "2", 5)
        assert capacity.allocations(published)["2"].warmth is Warmth.IN_PROGRESS
        assert self.ready(capacity, published, "2", wait).executions == 5

    def test_versions_have_it_beside_each_other(self, capacity: Capacity, published: str) -> None:
        capacity.allocate(published, "1", 2)
        capacity.allocate(published, "2", 3)
        found = capacity.allocations(published)
        assert {name: one.executions for name, one in found.items()} == {"1": 2, "2": 3}

    def test_releases_however_often_it_is_asked(self, capacity: Capacity, published: str) -> None:
        capacity.allocate(published, "2", 3)
        capacity.release(published, "2")
        capacity.release(published, "2")
        capacity.release(published, "9")
        assert capacity.allocations(published) == {}

    def test_an_alias_and_its_version_cannot_both_have_it(
        self, capacity: Capacity, published: str
    ) -> None:
        capacity.allocate(published, "live", 3)
        with pytest.raises(ServiceUnavailable):
            capacity.allocate(published, "1", 3)
        capacity.release(published, "live")
        capacity.allocate(published, "1", 3)
        with pytest.raises(ServiceUnavailable):
            capacity.allocate(published, "live", 3)

    def test_an_alias_with_weights_cannot_be_given_it(
        self, capacity: Capacity, published: str
    ) -> None:
        with pytest.raises(WarmUpFailed, match="weights"):
            capacity.allocate(published, "split", 3)

    def test_says_that_there_is_nothing_to_allocate_to(
        self, capacity: Capacity, published: str
    ) -> None:
        with pytest.raises(NotFound):
            capacity.allocate(published, "9", 3)
        with pytest.raises(NotFound):
            capacity.allocations("nothing")
        with pytest.raises(NotFound):
            capacity.version(published, "9")

    def test_a_plain_version_is_active(self, capacity: Capacity, published: str) -> None:
        assert capacity.version(published, "1") == VersionState(active=True)
