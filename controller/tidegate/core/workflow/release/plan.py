"""A release begins: its number and its plan."""

from __future__ import annotations

from typing import TypedDict

from tidegate.core.model.plan import ArtifactRef, ReleasePlan
from tidegate.core.model.record import Application, Execution, Plan, Release, ReleasePhase
from tidegate.core.planning.release_plan import make_plan
from tidegate.core.ports import Ledger, Ports
from tidegate.core.template.clear_text import refuse_secrets
from tidegate.core.text.plaintext import require_plain
from tidegate.core.workflow.events import publish_release
from tidegate.core.workflow.records import find, put_once, ref_of
from tidegate.core.workflow.release.artifacts import (
    check_source,
    read_contents,
    read_template,
    require_revision,
    require_versions,
    source_key,
)


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
    publish_release(ports.bus, release)
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


def release_of_execution(ledger: Ledger, execution: str) -> Release | None:
    """The release that an execution of the state machine carries, if it has a number yet."""
    numbered = find(ledger, Execution, arn=execution)
    if numbered is None:
        return None
    return find(ledger, Release, application=numbered.application, number=numbered.number)
