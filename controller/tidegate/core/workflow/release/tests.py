"""The results of the test tasks, all of them before any is an error."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.errors import TestsFailed
from tidegate.core.model.base import Model
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Outcome, TestRun
from tidegate.core.ports import Ports
from tidegate.core.workflow.records import plan_of, put_over, raise_if_aborted, raise_if_superseded


class TestResult(Model):
    """How one test ended, as the state machine collected it."""

    __test__ = False

    name: str
    status: str  # CodeBuild's word; "SUCCEEDED" is the only good one
    build_id: str = ""
    url: str = ""
    seconds: float = 0.0
    cause: str = ""


def record_tests(ports: Ports, release: ReleaseRef, results: Sequence[TestResult]) -> None:
    """Store how every planned test ended. Raises ``TestsFailed`` naming each that did not pass."""
    by_name = {result.name: result for result in results}
    plan = plan_of(ports.ledger, release.id)
    runs = [_run(release, test.name, by_name.get(test.name)) for test in plan.tests]
    for run in runs:
        put_over(ports.ledger, run)
    failed = [run for run in runs if run.outcome is not Outcome.PASSED]
    if failed:
        said = "; ".join(f"{run.name}: {run.cause}" for run in failed)
        raise TestsFailed(f"{len(failed)} of {len(runs)} tests failed: {said}")
    raise_if_aborted(ports, release.id)
    raise_if_superseded(ports, release.id)


def _run(release: ReleaseRef, name: str, result: TestResult | None) -> TestRun:
    result = result or TestResult(name=name, status="", cause="it did not report.")
    passed = result.status == "SUCCEEDED"
    return TestRun(
        release_id=release.id,
        name=name,
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        build_id=result.build_id,
        url=result.url,
        seconds=result.seconds,
        cause="" if passed else result.cause or f"the build ended {result.status}.",
    )
