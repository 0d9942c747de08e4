"""Waiting for what something else reaches in its own time, however slow the machine is."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

HANGS_AFTER_SECONDS: Final = 240.0
"""So far beyond what anything takes that only what hangs gets there; pytest's limit is above it."""

_PAUSE_SECONDS: Final = 0.02

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None]) -> Found:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + HANGS_AFTER_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(_PAUSE_SECONDS)
    return found


def wait_until(holds: Callable[[], object]) -> None:
    """Return as soon as it holds."""
    eventually(lambda: True if holds() else None)


def messages(sqs: Any, url: str, count: int = 1) -> list[dict[str, Any]]:
    """The next messages of a queue, taken from it, as soon as there are so many."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
        for message in answer.get("Messages", ()):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message)
        return len(found) >= count

    wait_until(enough)
    return found


def stack_status(cloudformation: Any, name: str) -> str:
    """The status of a stack once nobody works on it."""

    def at_rest() -> str | None:
        found = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return None if found.endswith("_IN_PROGRESS") else found

    return eventually(at_rest)


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
