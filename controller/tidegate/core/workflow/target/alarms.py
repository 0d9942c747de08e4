"""The alarms of a stage at one target, and those that fire before the candidate has any traffic."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.errors import AlarmsFiring
from tidegate.core.model.plan import StagePlan, WhenFiringBefore
from tidegate.core.ports import StackState, TargetPorts


def alarm_names(stage: StagePlan, state: StackState) -> tuple[str, ...]:
    """The stage's alarms by name; a template names its own by their logical ids."""
    return tuple(state.resources.get(alarm, alarm) for alarm in stage.checks.alarms)


def firing_now(world: TargetPorts, stage: StagePlan, state: StackState) -> tuple[str, ...]:
    """Those that fire. One that this release is to make is not there yet, and is passed over."""
    words = world.signals.alarms(alarm_names(stage, state)) if stage.checks.alarms else {}
    return tuple(name for name, word in words.items() if word == "ALARM")


def refuse_firing(stage: StagePlan, target: str, firing: Sequence[str]) -> None:
    """Raises ``AlarmsFiring`` when the manifest does not want to begin under a firing alarm."""
    if firing and stage.checks.when_firing_before is WhenFiringBefore.REFUSE:
        raise AlarmsFiring(
            f"{', '.join(firing)} fires already at {stage.name} {target}: no traffic moves.",
            remedy="Release again when it has recovered; to begin all the same, set the manifest's"
            " `checks.when_firing_before: ignore`.",
        )
