"""Seals of votes, by an HMAC key of KMS that only two roles of the controller may use."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from tidegate.aws.errors import calling, error_code

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.literals import MacAlgorithmSpecType

_ALGORITHM: Final[MacAlgorithmSpecType] = "HMAC_SHA_256"


class KmsSeals:
    """Seals with the key of this id or ARN; the client is made when it is first needed."""

    def __init__(self, client: Callable[[], KMSClient], key: str) -> None:
        self._client, self._key = client, key

    def seal(self, text: str) -> str:
        """The seal of a text of 4096 bytes at most (``GenerateMac``)."""
        with calling("seal a vote"):
            made = self._client().generate_mac(
                KeyId=self._key, Message=text.encode(), MacAlgorithm=_ALGORITHM
            )
        return base64.b64encode(made["Mac"]).decode()

    def holds(self, text: str, seal: str) -> bool:
        """Whether KMS made this seal of this text with the key."""
        try:
            mac = base64.b64decode(seal, validate=True)
        except ValueError:
            return False
        if not mac:
            return False
        with calling("compare the seal of a vote"):
            try:
                self._client().verify_mac(
                    KeyId=self._key, Message=text.encode(), MacAlgorithm=_ALGORITHM, Mac=mac
                )
            except ClientError as error:
                if error_code(error) != "KMSInvalidMacException":
                    raise
                return False
        return True
