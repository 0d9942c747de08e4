"""What every way to start releases does.

A subclass gives the fixtures ``executions`` and ``stop``, which ends an execution by its ARN.
"""

from __future__ import annotations

from collections.abc import Callable

from tidegate.core.model.plan import ArtifactRef
from tidegate.core.ports import Executions

RELEASE = ArtifactRef(application="hello", digest="sha256:0", bucket="b", prefix="p", commit="c")

Stop = Callable[[str], None]


class ExecutionsContract:
    def test_what_was_started_runs(self, executions: Executions) -> None:
        assert executions.status(executions.start(RELEASE, "retry-1")) == "RUNNING"

    def test_starts_one_release_however_often_it_is_asked(self, executions: Executions) -> None:
        started = executions.start(RELEASE, "retry-1")
        assert executions.start(RELEASE, "retry-1") == started

    def test_starts_one_release_for_each_name(self, executions: Executions) -> None:
        assert executions.start(RELEASE, "retry-1") != executions.start(RELEASE, "retry-2")

    def test_a_name_can_be_used_once(self, executions: Executions, stop: Stop) -> None:
        started = executions.start(RELEASE, "retry-1")
        stop(started)
        assert executions.start(RELEASE, "retry-1") == ""
        assert executions.status(started) == "ABORTED"
