"""What a target serves, as the record keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.core.model.record import Live, Rollout, RolloutPhase
from tidegate.core.ports import StackState
from tidegate.core.workflow.records import put_over
from tidegate.core.workflow.target.context import RolloutContext
from tidegate.core.workflow.target.routing import alias_ref


def succeed(context: RolloutContext, rollout: Rollout, remark: str = "") -> None:
    """Record what the target serves from now on, and that this rollout has brought it there."""
    live = put_over(context.ports.ledger, _live(context, context.state()))
    now = context.ports.clock.now()
    ended = {"ended_at": now, "versions": live.versions, "cause": remark}
    context.save(rollout, phase=RolloutPhase.SUCCEEDED, **ended)


def _live(context: RolloutContext, state: StackState) -> Live:
    """What the target serves from now on, and a rollback goes back to."""
    return Live(
        application=context.plan.release.application,
        stage=context.stage.name,
        target=context.target.id,
        release_id=context.plan.release.id,
        artifact=context.plan.artifact,
        parameters=context.stage.parameters,
        versions=_versions(context, state),
        provisioned={one.alias_logical_id: one.executions for one in context.stage.provisioned},
        since=context.ports.clock.now(),
    )


def _versions(context: RolloutContext, state: StackState) -> Mapping[str, str]:
    refs = [
        alias_ref(alias, state)
        for alias in context.plan.aliases
        if alias.alias_logical_id in state.resources
    ]
    return {f"{r.function}:{r.alias}": context.world.aliases.read(r).version for r in refs}
