"""The record, in one DynamoDB table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidegate.aws.errors import calling
from tidegate.core.errors import RecordConflict
from tidegate.core.model.record import Item, parse_item
from tidegate.core.ports import ItemT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_CONFLICT = {"ConditionalCheckFailedException": RecordConflict}


class DynamoLedger:
    """Keeps items as JSON under ``pk`` and ``sk``, ``version`` and ``expires_at`` beside it."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, kind: type[ItemT], partition: str, sort: str) -> ItemT | None:
        """A strongly consistent read."""
        with calling(f"read {partition} {sort} of the record"):
            answer = self._client.get_item(
                TableName=self._table, Key=_key(partition, sort), ConsistentRead=True
            )
        row = answer.get("Item")
        return kind.model_validate(json.loads(row["data"]["S"])) if row else None

    def put(self, item: ItemT) -> ItemT:
        """Write and return the item with its next version. Raises ``RecordConflict``."""
        written = item.model_copy(update={"version": item.version + 1})
        with calling(f"write {_name(item)}", _CONFLICT):
            if item.version:
                self._client.put_item(
                    TableName=self._table,
                    Item=_row(written),
                    ConditionExpression="#version = :version",
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues={":version": {"N": str(item.version)}},
                )
            else:
                self._client.put_item(
                    TableName=self._table,
                    Item=_row(written),
                    ConditionExpression="attribute_not_exists(pk)",
                )
        return written

    def query(
        self, partition: str, prefix: str = "", *, newest_first: bool = False, limit: int = 0
    ) -> list[Item]:
        """The items of a partition in the order of their sort keys; ``limit`` 0 means all."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition}},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :prefix)"
            request["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        if limit:
            request["Limit"] = limit
        items: list[Item] = []
        with calling(f"read {partition} of the record"):
            for page in self._client.get_paginator("query").paginate(**request):
                items.extend(_item(row) for row in page["Items"])
                if limit and len(items) >= limit:
                    break
        return items[:limit] if limit else items

    def delete(self, item: Item) -> None:
        """Raises ``RecordConflict`` when the item is not at this version; none is no error."""
        with calling(f"delete {_name(item)}", _CONFLICT):
            self._client.delete_item(
                TableName=self._table,
                Key=_key(item.partition, item.sort),
                ConditionExpression="attribute_not_exists(pk) OR #version = :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":version": {"N": str(item.version)}},
            )


def _key(partition: str, sort: str) -> dict[str, AttributeValueTypeDef]:
    return {"pk": {"S": partition}, "sk": {"S": sort}}


def _row(item: Item) -> dict[str, AttributeValueTypeDef]:
    row = _key(item.partition, item.sort)
    row["kind"] = {"S": item.kind}
    row["version"] = {"N": str(item.version)}
    row["data"] = {"S": item.model_dump_json()}
    if item.expires_at is not None:
        row["expires_at"] = {"N": str(item.expires_at)}
    return row


def _item(row: Mapping[str, Any]) -> Item:
    return parse_item(row["kind"]["S"], json.loads(row["data"]["S"]))


def _name(item: Item) -> str:
    return f"version {item.version + 1} of {item.partition} {item.sort} in the record"
