"""Whoever may look at releases cannot answer for others: they may not read task tokens."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from support.own_templates import own_template
from tidegate.core.model.record import Item, Token

TEMPLATE = own_template("template.yaml")["Resources"]


def may_read(partition: str) -> bool:
    """Whether the viewers' policy lets them read a partition of the table."""
    document = TEMPLATE["ViewerPolicy"]["Properties"]["PolicyDocument"]
    of_table = [s for s in document["Statement"] if "dynamodb:Query" in s["Action"]]
    (statement,) = of_table
    assert statement["Action"] == ["dynamodb:GetItem", "dynamodb:Query"]  # both name a partition
    assert statement["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}
    allowed = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    return any(fnmatchcase(partition, pattern) for pattern in allowed)


def test_viewers_read_no_task_token() -> None:
    token = Token(release_id="RELEASE#hello-1", purpose="approval#prod", token="secret")
    assert not may_read(token.partition)


@pytest.mark.parametrize("kind", sorted(set(Item.kinds) - {Token.kind}))
def test_viewers_read_everything_else(kind: str) -> None:
    assert may_read(Item.kinds[kind].place[0])
