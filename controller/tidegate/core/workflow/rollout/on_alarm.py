"""An alarm rings: whatever shifts under it loses its traffic now, not at the next evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tidegate.core.errors import RestoreFailed, TidegateError, Unhealthy
from tidegate.core.model.failure import Failure
from tidegate.core.model.record import Application, Call, Release, Rollout, RolloutPhase, Token
from tidegate.core.ports import Ports
from tidegate.core.workflow.records import find, put_over, ref_of, rollouts_of
from tidegate.core.workflow.release.lock import read_lock
from tidegate.core.workflow.rollout.restore_now import restore_now
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.core.workflow.task_tokens import answer_bake, bake_purpose


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that has begun to fire."""

    name: str
    target: str  # account and region: "333333333333/eu-west-1"
    at: datetime  # when it began


def on_alarm(ports: Ports, alarm: Alarm) -> list[str]:
    """Take back the traffic of the rollouts that this alarm is to judge, and end their bakes.

    Returns the releases that it rings for, mostly none: every alarm of a target is heard. Safe to
    repeat. Raises ``RestoreFailed`` with all that it could not do, after it has tried everything.
    """
    items = ports.ledger.query("APPLICATIONS")
    rung, failed = [], []
    for name in [item.name for item in items if isinstance(item, Application)]:
        for ref in _under_it(ports, name, alarm):
            rung.append(f"{ref.release.id} {ref.stage} {ref.target}")
            try:
                _ring(ports, ref, alarm)
            except TidegateError as error:
                failed.append(str(error))
    if failed:
        raise RestoreFailed(
            f"Alarm {alarm.name} was heard, and not all followed: {'; '.join(failed)}",
            remedy="Each rollout goes on with it by itself, at its next look at the latest.",
        )
    return rung


def _under_it(ports: Ports, application: str, alarm: Alarm) -> Iterable[RolloutRef]:
    """The rollouts of the release under way that this alarm judges."""
    lock = read_lock(ports.ledger, application)
    release = find(ports.ledger, Release, application=application, number=lock.release_number)
    if not lock.owner or release is None:
        return []
    return [
        RolloutRef(release=ref_of(release), stage=rollout.stage, target=rollout.target)
        for rollout in rollouts_of(ports.ledger, release.id)
        if _judged_by(rollout, alarm)
    ]


def _judged_by(rollout: Rollout, alarm: Alarm) -> bool:
    """An event that comes late is of an alarm that was over, or counted, when the shift began."""
    began = (rollout.shifting_since or rollout.started_at).replace(microsecond=0)  # as events tell
    return (
        rollout.phase in {RolloutPhase.SHIFTING, RolloutPhase.RESTORING}
        and rollout.target == alarm.target
        and alarm.name in rollout.alarms
        and alarm.name not in rollout.baseline_alarms
        and alarm.at >= began
    )


def _ring(ports: Ports, ref: RolloutRef, alarm: Alarm) -> None:
    """Keep the call first: a bake that begins now finds it, when the token is not there yet.

    Whatever became of the traffic, the token is answered: the rollout's machine has its own way
    back, and goes on with the stack.
    """
    key = {"release_id": ref.release.id, "stage": ref.stage, "target": ref.target}
    why = f"alarm {alarm.name} fires"
    put_over(ports.ledger, Call(**key, why=why, at=ports.clock.now()))
    try:
        restore_now(ports, ref, [alarm.name])
    except Exception:
        _end_bake(ports, ref, Failure(Unhealthy.__name__, why))
        raise
    _end_bake(ports, ref)


def _end_bake(ports: Ports, ref: RolloutRef, decided: Failure | None = None) -> None:
    purpose = bake_purpose(ref.stage, ref.target)
    token = find(ports.ledger, Token, release_id=ref.release.id, purpose=purpose)
    if token:
        answer_bake(ports, token, decided)
