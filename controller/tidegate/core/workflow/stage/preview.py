"""What every target of a stage would get, with its gates and what it opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.core.errors import ArtifactError
from tidegate.core.model.plan import ReleasePlan, ReleaseRef, StagePlan
from tidegate.core.model.record import Live, Plan, SecurityLine, release_partition
from tidegate.core.planning.gates import changed_gates
from tidegate.core.planning.ignored import unheeded
from tidegate.core.ports import Ports
from tidegate.core.template.security import no_comparison, opened
from tidegate.core.workflow.records import (
    live_at,
    plan_of,
    put_over,
    raise_if_aborted,
    raise_if_superseded,
    stage_plan,
)
from tidegate.core.workflow.release.artifacts import read_contents, read_template
from tidegate.core.workflow.stage.change_preview import (
    Prospect,
    make_preview,
    preview_warms,
    refuse_irreversible,
)
from tidegate.core.workflow.target.alarms import firing_now, refuse_firing
from tidegate.core.workflow.target.stack_spec import (
    apart,
    deployed_spec,
    held_back,
    held_by_aliases,
    live_versions,
)


def preview(ports: Ports, release: ReleaseRef, stage: str, target: str) -> dict[str, bool]:
    """Have CloudFormation compute what would change, and store it. Not ready: ask again.

    Raises ``ArtifactError``, ``ChangeSetFailed``, ``ChangeIrreversible``, ``AlarmsFiring``,
    ``StackBusy``, ``Aborted``.
    """
    raise_if_aborted(ports, release.id)
    raise_if_superseded(ports, release.id)
    plan = plan_of(ports.ledger, release.id)
    where = stage_plan(plan, stage)
    there = where.target(target)
    world = ports.targets.open(there)
    contents = read_contents(ports.artifacts, plan.artifact)
    template = read_template(ports.artifacts, plan.artifact, contents)
    before = world.stacks.state(there.stack_name)
    pins = live_versions(plan.aliases, before, world.aliases)
    kept = held_by_aliases(plan.aliases, before, world.capacity)
    spec = deployed_spec(plan.artifact, contents, where, there, pins, held=kept)
    change_set = world.stacks.preview(spec, f"{release.id}-{stage}-preview")
    if change_set is None:
        return {"ready": False}
    prospect = Prospect(where, there, contents, template, spec, before, change_set)
    item = make_preview(world, release.id, prospect)
    if not item.change_set and apart(plan.aliases, before, pins):
        item = item.model_copy(update={"change_set": change_set.id})
    live = live_at(ports.ledger, release.application, where.name, there.id)
    seen = {
        "held": not item.change_set and held_back(plan.aliases, before),
        "firing": firing_now(world, where, before),
        "warms": preview_warms(world, prospect, live.provisioned if live else {}),
        "gates": _gates(ports, plan, where, live),
        "security": _security(ports, prospect, live),
        "unheeded": tuple(unheeded(contents.defaults_of(stage), where)),
    }
    made = put_over(ports.ledger, item.model_copy(update=seen))
    if where.forbid_irreversible:
        refuse_irreversible(made)
    if not (made.nothing_to_deploy or made.first_deployment):
        refuse_firing(where, target, made.firing)
    return {"ready": True}


def _gates(ports: Ports, plan: ReleasePlan, stage: StagePlan, live: Live | None) -> tuple[str, ...]:
    """Against the plan by which what is live was released, as long as the record has it."""
    then = ports.ledger.get(Plan, release_partition(live.release_id), "PLAN") if live else None
    return tuple(changed_gates(then.plan, plan, stage.name)) if then else ()


def _security(ports: Ports, prospect: Prospect, live: Live | None) -> tuple[SecurityLine, ...]:
    """Against the template that is live, as long as it is there; else all that this one opens."""
    if not prospect.changes:
        return ()
    after = prospect.deployment
    try:
        before = _live_template(ports, live) if live else None
    except ArtifactError:
        before = None
    if before is None:
        unseen = not prospect.change_set.first_deployment
        return tuple(opened(after, None)) + ((no_comparison(after),) if unseen else ())
    then = replace(after, template=before, parameters=prospect.before.parameters)
    return tuple(opened(after, then))


def _live_template(ports: Ports, live: Live) -> Mapping[str, Any]:
    """Raises ``ArtifactError`` when it is gone, or another."""
    contents = read_contents(ports.artifacts, live.artifact)
    return read_template(ports.artifacts, live.artifact, contents)


def live_commits(ports: Ports, release: ReleaseRef, stage: StagePlan) -> dict[str, str]:
    """The commit that each target of the stage serves; "" before its first release."""
    targets = [target.id for wave in stage.waves for target in wave]
    live = {id_: live_at(ports.ledger, release.application, stage.name, id_) for id_ in targets}
    return {id_: item.artifact.commit if item else "" for id_, item in live.items()}
