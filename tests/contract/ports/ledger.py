"""What every ledger does. A subclass gives the fixture ``ledger``, empty."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidegate.core.errors import RecordConflict
from tidegate.core.model.record import (
    Call,
    Lock,
    OperatorRequest,
    Waiter,
    application_partition,
    release_partition,
)
from tidegate.core.ports import Ledger

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def waiter(number: int) -> Waiter:
    return Waiter(application="shop", number=number, since=NOW)


class LedgerContract:
    def test_gives_nothing_for_a_key_that_was_never_written(self, ledger: Ledger) -> None:
        assert ledger.get(Lock, application_partition("shop"), "LOCK") is None

    def test_gives_back_what_was_put(self, ledger: Ledger) -> None:
        put = ledger.put(Lock(application="shop", owner="me", since=NOW))
        assert put.version == 1
        assert ledger.get(Lock, put.partition, put.sort) == put

    def test_counts_the_versions_of_an_item(self, ledger: Ledger) -> None:
        first = ledger.put(Lock(application="shop", owner="me"))
        second = ledger.put(first.model_copy(update={"owner": "you"}))
        assert (first.version, second.version) == (1, 2)

    def test_refuses_a_new_item_where_there_is_one(self, ledger: Ledger) -> None:
        ledger.put(waiter(1))
        with pytest.raises(RecordConflict):
            ledger.put(waiter(1))

    def test_refuses_a_write_over_a_version_that_was_not_read(self, ledger: Ledger) -> None:
        first = ledger.put(Lock(application="shop", owner="me"))
        second = ledger.put(first.model_copy(update={"owner": "you"}))
        with pytest.raises(RecordConflict):
            ledger.put(first.model_copy(update={"owner": "they"}))
        assert ledger.get(Lock, first.partition, first.sort) == second

    def test_refuses_to_change_an_item_that_is_gone(self, ledger: Ledger) -> None:
        first = ledger.put(waiter(1))
        ledger.delete(first)
        with pytest.raises(RecordConflict):
            ledger.put(first)

    def test_lists_a_partition_in_the_order_of_its_sort_keys(self, ledger: Ledger) -> None:
        items = [ledger.put(waiter(number)) for number in (9, 100, 20)]
        ledger.put(Lock(application="shop"))
        ledger.put(Waiter(application="other", number=1, since=NOW))
        found = ledger.query(application_partition("shop"), "WAITER#")
        assert found == sorted(items, key=lambda item: item.number)

    def test_lists_the_newest_first_and_only_as_many_as_wanted(self, ledger: Ledger) -> None:
        for number in (1, 2, 3):
            ledger.put(waiter(number))
        found = ledger.query(application_partition("shop"), "WAITER#", newest_first=True, limit=2)
        assert [item.number for item in found if isinstance(item, Waiter)] == [3, 2]

    def test_lists_items_of_all_kinds_as_what_they_are(self, ledger: Ledger) -> None:
        request = OperatorRequest(
            release_id="shop-1", verb="abort", who="ada", reason="why not", at=NOW
        )
        alarm = Call(
            release_id="shop-1", stage="s", target="t", why="t/+=", at=NOW, expires_at=2**31
        )
        items = [ledger.put(alarm), ledger.put(request)]
        assert ledger.query(release_partition("shop-1")) == items

    def test_deletes_an_item_at_the_version_that_was_read(self, ledger: Ledger) -> None:
        item = ledger.put(waiter(1))
        ledger.delete(item)
        assert ledger.get(Waiter, item.partition, item.sort) is None

    def test_refuses_to_delete_another_version(self, ledger: Ledger) -> None:
        first = ledger.put(Lock(application="shop"))
        ledger.put(first.model_copy(update={"owner": "you"}))
        with pytest.raises(RecordConflict):
            ledger.delete(first)

    def test_takes_a_deletion_of_nothing_for_done(self, ledger: Ledger) -> None:
        ledger.delete(waiter(1))
        assert ledger.query(application_partition("shop")) == []
