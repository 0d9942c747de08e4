"""A release from its plan to its end: numbered, planned, tested, settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict

from tidegate.core.clear_text import refuse_secrets
from tidegate.core.errors import TestsFailed
from tidegate.core.failure import Failure, release_phase, root_cause
from tidegate.core.plaintext import require_plain
from tidegate.core.plan import ArtifactRef, Model, ReleasePlan, ReleaseRef
from tidegate.core.planning import make_plan
from tidegate.core.ports import Ledger, Ports
from tidegate.core.record import (
    Application,
    Execution,
    Outcome,
    Plan,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    TestRun,
)
from tidegate.core.workflow.artifacts import (
    check_source,
    read_contents,
    read_template,
    require_revision,
    require_versions,
    source_key,
)
from tidegate.core.workflow.ending import end_stages
from tidegate.core.workflow.events import tell_release
from tidegate.core.workflow.items import (
    find,
    heed_newer,
    heed_wishes,
    plan_of,
    put_once,
    put_over,
    ref_of,
    release_of,
    rollouts_of,
)
from tidegate.core.workflow.lock import free_lock, leave_queue


class PlannedTest(TypedDict):
    """One test as the state machine starts it."""

    name: str
    project: str
    buildspec: str
    source: str  # "<bucket>/<key>" of the source archive
    source_version: str  # of that object: what was checked is what is tested
    timeout_minutes: int


class Planned(TypedDict):
    """What the release machine needs to go on."""

    release: dict[str, object]
    tests: list[PlannedTest]
    stages: list[str]


class TestResult(Model):
    """How one test ended, as the state machine collected it."""

    __test__ = False

    name: str
    status: str  # CodeBuild's word; "SUCCEEDED" is the only good one
    build_id: str = ""
    url: str = ""
    seconds: float = 0.0
    cause: str = ""


def plan_release(ports: Ports, artifact: ArtifactRef, execution: str) -> Planned:
    """Number the release, check its artifact and store its plan: once for an execution.

    Raises ``ArtifactError`` when the bytes are not those that were announced, ``InputError``.
    """
    require_plain("release.json", artifact.model_dump())
    release = _registered(ports, artifact, execution)
    ref = ref_of(release)
    contents = read_contents(ports.artifacts, artifact)
    require_versions(artifact, contents)
    require_revision(artifact, contents)
    refuse_secrets(read_template(ports.artifacts, artifact, contents), contents.manifest)
    check_source(ports.artifacts, artifact, contents)
    plan = put_once(ports.ledger, Plan(plan=make_plan(ref, artifact, contents))).plan
    return Planned(
        release=ref.model_dump(),
        tests=_planned_tests(plan),
        stages=[stage.name for stage in sorted(plan.stages, key=lambda stage: stage.order)],
    )


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
    heed_wishes(ports, release.id)
    heed_newer(ports, release.id)


def settle_release(
    ports: Ports, execution: str, ref: ReleaseRef | None, failure: Mapping[str, str] | None
) -> dict[str, str]:
    """End the release in the phase that the failure and the record say, and let the next one in.

    A release with a rollout that is stuck is stuck itself, whatever ended it: its lock stays. One
    whose rollout was cut short is not ended here: the guardian makes its traffic safe, and ends it.
    A stage whose execution was stopped is ended with it.
    """
    release = release_of(ports.ledger, ref) if ref else _release_by(ports.ledger, execution)
    if release is None:
        return {"phase": ReleasePhase.FAILED}
    if not release.phase.over:
        rollouts = rollouts_of(ports.ledger, release.id)
        if any(not rollout.phase.over for rollout in rollouts):
            return {"phase": release.phase}
        why = root_cause(failure) if failure else None
        release = _ended(release, rollouts, why, ports.clock.now())
        if release.phase is ReleasePhase.STUCK:
            tell_release(ports.bus, release)  # a page that comes twice is better than one too few
        release = ports.ledger.put(release)
    end_stages(ports, ref_of(release), Failure(release.error, release.cause))
    leave_queue(ports.ledger, ref_of(release))
    if release.phase is not ReleasePhase.STUCK:
        free_lock(ports, ref_of(release))
        tell_release(ports.bus, release)
    return {"phase": release.phase}


def _registered(ports: Ports, artifact: ArtifactRef, execution: str) -> Release:
    numbered = find(ports.ledger, Execution, arn=execution)
    if numbered is None:
        number = next_number(ports.ledger, artifact.application)
        claim = Execution(arn=execution, application=artifact.application, number=number)
        numbered = ports.ledger.put(claim)
    fresh = Release(
        application=numbered.application,
        number=numbered.number,
        phase=ReleasePhase.QUEUED,
        artifact=artifact,
        execution_arn=execution,
        started_at=ports.clock.now(),
    )
    present = find(ports.ledger, Release, application=fresh.application, number=fresh.number)
    if present:
        return present
    release = ports.ledger.put(fresh)
    tell_release(ports.bus, release)
    return release


def next_number(ledger: Ledger, application: str) -> int:
    """Number a release: no other one has or gets it."""
    counter = find(ledger, Application, name=application) or Application(name=application)
    last = counter.last_number + 1
    return ledger.put(counter.model_copy(update={"last_number": last})).last_number


def _planned_tests(plan: ReleasePlan) -> list[PlannedTest]:
    bucket, key = plan.artifact.bucket, source_key(plan.artifact)
    return [
        PlannedTest(
            name=test.name,
            project=test.project,
            buildspec=test.buildspec,
            source=f"{bucket}/{key}",
            source_version=plan.artifact.version(bucket, key),
            timeout_minutes=test.timeout_minutes,
        )
        for test in plan.tests
    ]


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


def _release_by(ledger: Ledger, execution: str) -> Release | None:
    numbered = find(ledger, Execution, arn=execution)
    if numbered is None:
        return None
    return find(ledger, Release, application=numbered.application, number=numbered.number)


def _ended(
    release: Release, rollouts: Sequence[Rollout], failure: Failure | None, now: datetime
) -> Release:
    stuck = [rollout for rollout in rollouts if rollout.phase is RolloutPhase.STUCK]
    phase = ReleasePhase.SUCCEEDED
    if failure:
        phase = release_phase(failure.error)
    if stuck:
        phase = ReleasePhase.STUCK
        failure = _why_stuck(stuck)
    ended = {
        "phase": phase,
        "ended_at": now,
        "error": failure.error if failure else "",
        "cause": failure.cause if failure else "",
    }
    return release.model_copy(update=ended)


def _why_stuck(stuck: Sequence[Rollout]) -> Failure:
    said = (f"{rollout.stage} {rollout.target} is stuck: {rollout.cause}" for rollout in stuck)
    return Failure(stuck[0].error or "RestoreFailed", " ".join(said))
