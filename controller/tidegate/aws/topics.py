"""Messages to people, through SNS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tidegate.aws.errors import calling
from tidegate.core.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_REGION: Final = 3  # of the parts of an ARN


class SnsTopics:
    """Publishes in the region that each topic's ARN names."""

    def __init__(self, client_in: Callable[[str], SNSClient]) -> None:
        self._client_in = client_in

    def publish(self, topic: str, subject: str, text: str) -> None:
        """Send a message. Raises ``NotFound`` when there is no such topic."""
        with calling(
            f"publish to {topic}",
            {"NotFound": NotFound, "NotFoundException": NotFound},
            remedy="See that the topic of the manifest or the template exists.",
        ):
            self._client_in(topic.split(":")[_REGION]).publish(
                TopicArn=topic, Subject=subject, Message=text
            )
