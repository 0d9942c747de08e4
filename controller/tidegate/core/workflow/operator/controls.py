"""A shift is paused, resumed, promoted, or set to a weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidegate.core.approval.identity import identify
from tidegate.core.decision.next_move import highest_weight
from tidegate.core.errors import NotAllowedNow
from tidegate.core.model.record import OperatorRequest, Rollout, RolloutPhase
from tidegate.core.ports import Ports
from tidegate.core.text.commands import command
from tidegate.core.text.quantities import write_share
from tidegate.core.workflow.operator.requests import Operator, record_request, under_way
from tidegate.core.workflow.records import abort_cause, abort_request, find, plan_of, rollouts_of
from tidegate.core.workflow.task_tokens import answer_all


def pause(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """Hold every weight of the release where it is; health is watched all the same.

    Returns a sentence. Raises ``NotAllowedNow`` when it is over, ``NotFound``.
    """
    under_way(ports, release_id)
    paused = _pause_of(ports, release_id)
    if paused is None:
        paused = record_request(ports, operator, release_id, "pause", reason)
    answer_all(ports, release_id)
    on = command("resume", release_id)
    return f"{identify(paused.who)} paused {release_id}: its weights stay until `{on}`."


def resume(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """Let a paused release go on by its plan. Returns a sentence.

    Raises ``NotAllowedNow`` when it is not paused, or over, ``NotFound``.
    """
    under_way(ports, release_id)
    if _pause_of(ports, release_id) is None:
        raise NotAllowedNow(
            f"{release_id} is not paused.",
            remedy=f"`tidegate get {release_id}` shows what it does.",
        )
    record_request(ports, operator, release_id, "pause", reason, active=False)
    answer_all(ports, release_id)
    return f"{operator} resumed {release_id}."


def promote(
    ports: Ports, operator: Operator, release_id: str, reason: str = "", *, full: bool = False
) -> str:
    """Go to the next step now; ``full``: to all traffic, without a bake, but not without a hook.

    It is for what shifts now, and counts once, however often it is said before the next evaluation.
    An
    unhealthy candidate goes back all the same. Returns a sentence. Raises ``NotAllowedNow``.
    """
    where = _shifting(ports, release_id)
    record_request(ports, operator, release_id, "promote-full" if full else "promote", reason)
    answer_all(ports, release_id)
    to = "to all traffic" if full else "to the next step"
    return f"{operator} promoted {release_id} {to}: {_still(ports, where)}."


def set_weight(
    ports: Ports, operator: Operator, release_id: str, weight: float, reason: str = ""
) -> str:
    """Give the candidates that shift now this share, within what the plan gives them in the end.

    Returns a sentence. Raises ``NotAllowedNow`` for a weight that is not more than the present one,
    or more than the plan's greatest; ``NotFound``.
    """
    where = _shifting(ports, release_id)
    plan = plan_of(ports.ledger, release_id)
    low = max(rollout.weight for rollout in where)
    high = min(highest_weight(plan.stage(rollout.stage).strategy) for rollout in where)
    if not low < weight <= high:
        raise NotAllowedNow(
            f"The weight of {release_id} may be more than {write_share(low)} and "
            f"at most {write_share(high)}, not {write_share(weight)}.",
            remedy=f"`{command('abort', release_id)}` takes all traffic back, "
            f"`{command('promote', release_id, full=True)}` gives all.",
        )
    record_request(ports, operator, release_id, "set-weight", reason, weight=weight)
    answer_all(ports, release_id)
    return f"{operator} set {release_id} to {write_share(weight)}: {_still(ports, where)}."


def _shifting(ports: Ports, release_id: str) -> list[Rollout]:
    """The rollouts that shift now. Raises ``NotAllowedNow`` when none does."""
    release = under_way(ports, release_id)
    if request := abort_request(ports, release_id):
        raise NotAllowedNow(
            f"{abort_cause(request)} It goes back.",
            remedy=f"`tidegate get {release_id}` shows what it does.",
        )
    rollouts = rollouts_of(ports.ledger, release_id)
    shifting = [rollout for rollout in rollouts if rollout.phase is RolloutPhase.SHIFTING]
    if not shifting:
        raise NotAllowedNow(
            f"No traffic of {release_id} is being shifted; it is {release.phase}.",
            remedy=f"`tidegate get {release_id}` shows what it does.",
        )
    return shifting


def _still(ports: Ports, where: Sequence[Rollout]) -> str:
    """The places, each with what has become of it if it does not shift any more."""
    now = {places_of([one]): one for one in rollouts_of(ports.ledger, where[0].release_id)}
    return ", ".join(
        place if now[place].phase is one.phase else f"{place} is {now[place].phase} by now"
        for one in where
        for place in [places_of([one])]
    )


def places_of(rollouts: Iterable[Rollout]) -> str:
    """Where they are, as a sentence names it."""
    return ", ".join(f"{rollout.stage} {rollout.target}" for rollout in rollouts)


def _pause_of(ports: Ports, release_id: str) -> OperatorRequest | None:
    request = find(ports.ledger, OperatorRequest, release_id=release_id, verb="pause")
    return request if request and request.active else None
