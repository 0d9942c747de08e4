"""Record how the tests ended."""

from __future__ import annotations

from tidegate.core.workflow.release.tests import TestResult, record_tests
from tidegate.handlers.task import Answer, Call, ReleaseEvent, task


class RecordTestsEvent(ReleaseEvent):
    """The release, and the results of all its tests."""

    results: tuple[TestResult, ...]


@task(RecordTestsEvent)
def handler(call: Call[RecordTestsEvent]) -> Answer:
    """Record the results; raise when a test failed."""
    record_tests(call.ports, call.event.release, call.event.results)
    return {}
