"""What a target serves, as the record keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.core.ports import StackState
from tidegate.core.record import Live, Rollout, RolloutPhase
from tidegate.core.workflow.items import put_over
from tidegate.core.workflow.routing import alias_ref
from tidegate.core.workflow.scene import Scene


def succeed(scene: Scene, rollout: Rollout, remark: str = "") -> None:
    """Record what the target serves from now on, and that this rollout has brought it there."""
    live = put_over(scene.ports.ledger, _live(scene, scene.state()))
    now = scene.ports.clock.now()
    ended = {"ended_at": now, "versions": live.versions, "cause": remark}
    scene.save(rollout, phase=RolloutPhase.SUCCEEDED, **ended)


def _live(scene: Scene, state: StackState) -> Live:
    """What the target serves from now on, and a rollback goes back to."""
    return Live(
        application=scene.plan.release.application,
        stage=scene.stage.name,
        target=scene.target.id,
        release_id=scene.plan.release.id,
        artifact=scene.plan.artifact,
        parameters=scene.stage.parameters,
        versions=_versions(scene, state),
        provisioned={one.alias_logical_id: one.executions for one in scene.stage.provisioned},
        since=scene.ports.clock.now(),
    )


def _versions(scene: Scene, state: StackState) -> Mapping[str, str]:
    refs = [
        alias_ref(alias, state)
        for alias in scene.plan.aliases
        if alias.alias_logical_id in state.resources
    ]
    return {f"{r.function}:{r.alias}": scene.world.aliases.read(r).version for r in refs}
