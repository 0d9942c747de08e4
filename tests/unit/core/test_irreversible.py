"""Which changes no rollback brings back, and how that is said."""

from __future__ import annotations

import pytest

from tidegate.core.ports import Change, ResourceChange
from tidegate.core.template.irreversible import irreversible, is_kept

TABLE = "AWS::DynamoDB::Table"
LOST = "it is deleted with what it holds"


@pytest.mark.parametrize(
    ("change", "policy", "said"),
    [
        (Change.REMOVE, "", LOST),
        (Change.REMOVE, "Delete", LOST),
        (Change.REMOVE, "Snapshot", "it is deleted, a snapshot is kept"),
        (Change.REMOVE, "Retain", ""),
        (
            Change.REPLACE,
            "ReplaceAndDelete",
            "a new, empty one takes its place, the old one is deleted with what it holds",
        ),
        (
            Change.REPLACE,
            "ReplaceAndRetain",
            "a new, empty one takes its place, the old one is kept outside of the stack",
        ),
        (
            Change.REPLACE,
            "ReplaceAndSnapshot",
            "a new, empty one takes its place, the old one is deleted, a snapshot is kept",
        ),
        (Change.MODIFY, "", ""),
        (Change.ADD, "", ""),
    ],
)
def test_says_what_becomes_of_a_table(change: Change, policy: str, said: str) -> None:
    assert irreversible(ResourceChange("Table", TABLE, change, policy_action=policy)) == said


def test_a_replacement_that_only_cloudformation_can_tell_is_said_as_possible() -> None:
    change = ResourceChange("Table", TABLE, Change.MODIFY, ("KeySchema",), may_replace=True)
    assert irreversible(change).startswith("CloudFormation may replace it with a new, empty one")


def test_what_holds_no_data_may_come_and_go() -> None:
    version = ResourceChange("V1", "AWS::Lambda::Version", Change.REMOVE, policy_action="Retain")
    assert irreversible(version) == ""
    assert is_kept(version)
    assert not is_kept(ResourceChange("V1", "AWS::Lambda::Version", Change.REMOVE))
