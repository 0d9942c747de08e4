"""Seals by KMS keep the contract of their port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract.ports.seals import SealsContract
from tidegate.aws.seals import KmsSeals
from tidegate.aws.session import Clients
from tidegate.core.errors import ServiceRefused

pytestmark = pytest.mark.cloud


class TestKmsSeals(SealsContract):
    @pytest.fixture
    def seals(self, clients: Clients, client: Callable[[str], Any]) -> KmsSeals:
        made = client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        return KmsSeals(lambda: clients.make("kms"), made["KeyMetadata"]["Arn"])

    def test_a_key_that_is_not_there_is_no_answer(self, clients: Clients) -> None:
        seals = KmsSeals(lambda: clients.make("kms"), "00000000-0000-0000-0000-000000000000")
        with pytest.raises(ServiceRefused, match="compare the seal of a vote"):
            seals.holds("yes", "AAAA")
