"""A stage begins, and begins to roll out."""

from __future__ import annotations

from typing import TypedDict

from tidegate.core.model.plan import ReleaseRef, StagePlan
from tidegate.core.model.record import ReleasePhase, Stage, StagePhase
from tidegate.core.ports import Ledger, Ports
from tidegate.core.workflow.events import publish_release, publish_stage
from tidegate.core.workflow.records import (
    find,
    plan_of,
    raise_if_aborted,
    raise_if_superseded,
    release_of,
    require_lock,
    stage_plan,
)


class StageWaves(TypedDict):
    """The targets of a stage, wave by wave."""

    waves: list[list[str]]


def begin_stage(ports: Ports, release: ReleaseRef, stage: str) -> StageWaves:
    """Enter the stage. Raises ``Aborted``, ``LockLost``."""
    require_lock(ports, release)
    raise_if_aborted(ports, release.id)
    raise_if_superseded(ports, release.id)
    plan = stage_plan(plan_of(ports.ledger, release.id), stage)
    _progress(ports, release)
    if find_stage(ports.ledger, release, plan) is None:
        enter(ports, release, new_stage(ports, release, plan))
    return StageWaves(waves=[[target.id for target in wave] for wave in plan.waves])


def find_stage(ledger: Ledger, release: ReleaseRef, plan: StagePlan) -> Stage | None:
    """The stage's item, if it has begun."""
    return find(ledger, Stage, release_id=release.id, order=plan.order, name=plan.name)


def _progress(ports: Ports, ref: ReleaseRef) -> None:
    release = release_of(ports.ledger, ref)
    if release.phase is ReleasePhase.TESTING:
        moved = ports.ledger.put(release.model_copy(update={"phase": ReleasePhase.PROGRESSING}))
        publish_release(ports.bus, moved)


def new_stage(ports: Ports, release: ReleaseRef, plan: StagePlan) -> Stage:
    """The item of a stage that begins now."""
    return Stage(
        release_id=release.id,
        name=plan.name,
        order=plan.order,
        phase=StagePhase.PREVIEWING,
        started_at=ports.clock.now(),
    )


def enter(ports: Ports, release: ReleaseRef, stage: Stage) -> None:
    """Keep and publish where the stage is."""
    publish_stage(ports.bus, release, ports.ledger.put(stage))
