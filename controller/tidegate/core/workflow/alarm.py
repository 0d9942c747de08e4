"""An alarm rings: whatever bakes under it is looked at now, not at the end of its bake."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.core.ports import Ports
from tidegate.core.record import Application, Call, Release, Rollout, RolloutPhase, Token
from tidegate.core.workflow.items import find, put_over, rollouts_of
from tidegate.core.workflow.lock import read_lock
from tidegate.core.workflow.tokens import answer_bake, bake_purpose


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that has begun to fire."""

    name: str
    target: str  # account and region: "333333333333/eu-west-1"


def hear_alarm(ports: Ports, alarm: Alarm) -> list[str]:
    """End the bakes of the rollouts that this alarm is to judge; the next look decides.

    Returns the releases that it rings for, mostly none: every alarm of a target is heard.
    """
    items = ports.ledger.query("APPLICATIONS")
    names = [item.name for item in items if isinstance(item, Application)]
    return [said for name in names for said in _ring(ports, name, alarm)]


def _ring(ports: Ports, application: str, alarm: Alarm) -> list[str]:
    lock = read_lock(ports.ledger, application)
    release = find(ports.ledger, Release, application=application, number=lock.release_number)
    if not lock.owner or release is None:
        return []
    under_it = [r for r in rollouts_of(ports.ledger, release.id) if _judged_by(r, alarm)]
    for rollout in under_it:
        _call(ports, rollout, f"alarm {alarm.name} fires")
    return [f"{release.id} {rollout.stage} {rollout.target}" for rollout in under_it]


def _judged_by(rollout: Rollout, alarm: Alarm) -> bool:
    return (
        rollout.phase is RolloutPhase.SHIFTING
        and rollout.target == alarm.target
        and alarm.name in rollout.alarms
        and alarm.name not in rollout.baseline_alarms
    )


def _call(ports: Ports, rollout: Rollout, why: str) -> None:
    """Keep the call first: a bake that begins now finds it, when the token is not there yet."""
    key = {"release_id": rollout.release_id, "stage": rollout.stage, "target": rollout.target}
    put_over(ports.ledger, Call(**key, why=why, at=ports.clock.now()))
    purpose = bake_purpose(rollout.stage, rollout.target)
    token = find(ports.ledger, Token, release_id=rollout.release_id, purpose=purpose)
    if token:
        answer_bake(ports, token)
