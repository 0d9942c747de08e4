"""The record in DynamoDB keeps the ledger's contract."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from contract.ports.ledger import LedgerContract, waiter
from tidegate.aws.ledger import DynamoLedger
from tidegate.core.model.record import Token, application_partition

pytestmark = pytest.mark.cloud

TABLE = "tidegate"


@pytest.fixture
def dynamodb(client: Callable[[str], Any]) -> Any:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return dynamodb


@pytest.fixture
def ledger(dynamodb: Any) -> DynamoLedger:
    return DynamoLedger(dynamodb, TABLE)


class TestDynamoLedger(LedgerContract):
    def test_gives_the_table_what_it_needs_to_forget(
        self, ledger: DynamoLedger, dynamodb: Any
    ) -> None:
        soon = int(time.time()) + 3600
        ledger.put(Token(release_id="shop-1", purpose="bake", token="secret", expires_at=soon))

        (row,) = dynamodb.scan(TableName=TABLE)["Items"]
        assert row["expires_at"] == {"N": str(soon)}
        assert row["kind"] == {"S": "token"}
        assert row["version"] == {"N": "1"}

    def test_reads_a_partition_larger_than_a_page(self, ledger: DynamoLedger) -> None:
        for number in range(1, 6):
            text = "x" * 300_000  # a page is 1 MB
            ledger.put(Token(release_id="shop-1", purpose=f"{number}", token=text))

        assert len(ledger.query("TOKENS#shop-1")) == 5
        assert len(ledger.query("TOKENS#shop-1", limit=4)) == 4

    def test_a_limit_of_a_page_gives_the_rest_of_nothing(self, ledger: DynamoLedger) -> None:
        ledger.put(waiter(1))

        assert len(ledger.query(application_partition("shop"), limit=1)) == 1
