"""A release ends: what became of it, and its lock is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tidegate.core.model.failure import Failure, release_phase, root_cause
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Release, ReleasePhase, Rollout, RolloutPhase
from tidegate.core.ports import Ports
from tidegate.core.workflow.events import publish_release
from tidegate.core.workflow.records import ref_of, release_of, rollouts_of
from tidegate.core.workflow.release.lock import free_lock, leave_queue
from tidegate.core.workflow.release.plan import release_of_execution
from tidegate.core.workflow.release.unfinished import end_stages


def settle_release(
    ports: Ports, execution: str, ref: ReleaseRef | None, failure: Mapping[str, str] | None
) -> dict[str, str]:
    """End the release in the phase that the failure and the record say, and let the next one in.

    A release with a rollout that is stuck is stuck itself, whatever ended it: its lock stays. One
    whose rollout was cut short is not ended here: the guardian makes its traffic safe, and ends it.
    A stage whose execution was stopped is ended with it.
    """
    release = (
        release_of(ports.ledger, ref) if ref else release_of_execution(ports.ledger, execution)
    )
    if release is None:
        return {"phase": ReleasePhase.FAILED}
    if not release.phase.over:
        rollouts = rollouts_of(ports.ledger, release.id)
        if any(not rollout.phase.over for rollout in rollouts):
            return {"phase": release.phase}
        why = root_cause(failure) if failure else None
        release = _ended(release, rollouts, why, ports.clock.now())
        if release.phase is ReleasePhase.STUCK:
            publish_release(
                ports.bus, release
            )  # a page that comes twice is better than one too few
        release = ports.ledger.put(release)
    end_stages(ports, ref_of(release), Failure(release.error, release.cause))
    leave_queue(ports.ledger, ref_of(release))
    if release.phase is not ReleasePhase.STUCK:
        free_lock(ports, ref_of(release))
        publish_release(ports.bus, release)
    return {"phase": release.phase}


def _ended(
    release: Release, rollouts: Sequence[Rollout], failure: Failure | None, now: datetime
) -> Release:
    stuck = [rollout for rollout in rollouts if rollout.phase is RolloutPhase.STUCK]
    phase = ReleasePhase.SUCCEEDED
    if failure:
        phase = release_phase(failure.error)
    if stuck:
        phase = ReleasePhase.STUCK
        failure = _why_stuck(stuck)
    ended = {
        "phase": phase,
        "ended_at": now,
        "error": failure.error if failure else "",
        "cause": failure.cause if failure else "",
    }
    return release.model_copy(update=ended)


def _why_stuck(stuck: Sequence[Rollout]) -> Failure:
    said = (f"{rollout.stage} {rollout.target} is stuck: {rollout.cause}" for rollout in stuck)
    return Failure(stuck[0].error or "RestoreFailed", " ".join(said))
