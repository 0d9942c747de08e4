"""A release is ended, and its traffic goes back at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidegate.core.errors import RestoreFailed, TidegateError
from tidegate.core.model.record import OperatorRequest, Release, Rollout, RolloutPhase
from tidegate.core.ports import Ports
from tidegate.core.workflow.operator.controls import places_of
from tidegate.core.workflow.operator.requests import Operator, record_request, under_way
from tidegate.core.workflow.records import abort_cause, abort_request, ref_of, rollouts_of
from tidegate.core.workflow.rollout.restore_now import restore_now
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.core.workflow.task_tokens import answer_all


def abort(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """End the release: whatever is split goes back now, the rest where the release goes on.

    Returns a sentence. Raises ``NotAllowedNow`` when it is over, ``NotFound``.
    """
    release = under_way(ports, release_id)
    request, failed = ask_to_end(ports, operator, release, reason)
    answer_all(ports, release_id)
    return " ".join([abort_cause(request), *_ends(ports, release_id, failed)])


def _ends(ports: Ports, release_id: str, failed: Mapping[str, str]) -> Iterator[str]:
    """What the record says by now of each target where the release has begun, each once."""
    rollouts = rollouts_of(ports.ledger, release_id)
    back = [rollout for rollout in rollouts if rollout.is_back]
    if back:
        yield f"Its traffic is back: {places_of(back)}."
    for rollout in rollouts:
        place = places_of([rollout])
        if not rollout.is_back and rollout.phase is not RolloutPhase.RESTORED:
            yield f"{place} {_how_it_ends(rollout, failed.get(place, ''))}."


def _how_it_ends(rollout: Rollout, failed: str) -> str:
    if rollout.phase in {RolloutPhase.FINISHING, RolloutPhase.SUCCEEDED}:
        return "keeps it: it was validated there"
    if failed:
        return f"is not all back yet, and goes on with it: {failed.rstrip('.')}"
    if rollout.phase is RolloutPhase.RESTORING:
        return "is going back"
    if rollout.phase is RolloutPhase.SHIFTING and rollout.ticks:
        return "goes back at its next evaluation"
    if rollout.phase is RolloutPhase.VERIFYING:
        return "has all traffic, and goes back unless it is validated at this moment"
    return "has no traffic of it, and ends"


def ask_to_end(
    ports: Ports, operator: Operator, release: Release, reason: str
) -> tuple[OperatorRequest, dict[str, str]]:
    """Record that the release is to end, and put back what is split now; say what fails, by place.

    Whatever waits for an answer hears of it by ``answer_all``.
    """
    request = abort_request(ports, release.id)
    if request is None:
        request = record_request(ports, operator, release.id, "abort", reason)
    return request, dict(_restore_what_is_split(ports, release))


def _restore_what_is_split(ports: Ports, release: Release) -> Iterator[tuple[str, str]]:
    """Say what fails here. It is no obstacle: each rollout goes back by itself, too."""
    for rollout in rollouts_of(ports.ledger, release.id):
        ref = RolloutRef(release=ref_of(release), stage=rollout.stage, target=rollout.target)
        try:
            restore_now(ports, ref)
        except RestoreFailed as error:
            yield places_of([rollout]), "; ".join(error.aliases)
        except TidegateError as error:
            yield places_of([rollout]), error.message
