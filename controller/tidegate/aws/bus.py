"""Where changes are told: EventBridge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tidegate.aws.errors import calling
from tidegate.core.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE: Final = "tidegate"


class EventBridgeBus:
    """Puts events on one bus, with the source ``tidegate``."""

    def __init__(self, client: EventBridgeClient, name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Tell one change. Raises ``ServiceUnavailable`` when the bus did not take it."""
        with calling(f"publish on the bus {self._name}"):
            answer = self._client.put_events(
                Entries=[
                    {
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(dict(detail)),
                        "EventBusName": self._name,
                    }
                ]
            )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise ServiceUnavailable(
                f"The bus {self._name} did not take {detail_type}: "
                f"{entry.get('ErrorMessage', '')} ({entry.get('ErrorCode', 'Unknown')})."
            )
