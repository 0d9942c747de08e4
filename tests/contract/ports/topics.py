"""What every way to SNS does.

A subclass gives the fixtures ``topics``, ``topic`` (the ARN of one that is there) and ``received``
(what has come through it: subjects and texts).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidegate.core.errors import NotFound
from tidegate.core.ports import Topics

Received = Callable[[], list[tuple[str, str]]]


class TopicsContract:
    def test_who_listens_gets_the_message(
        self, topics: Topics, topic: str, received: Received
    ) -> None:
        topics.publish(topic, "hello-2 is live in prod", "One line.\nAnother: Łódź.")
        assert received() == [("hello-2 is live in prod", "One line.\nAnother: Łódź.")]

    def test_says_that_there_is_no_such_topic(self, topics: Topics, topic: str) -> None:
        with pytest.raises(NotFound, match="nowhere"):
            topics.publish(f"{topic}-nowhere", "subject", "text")
