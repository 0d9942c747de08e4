"""What people are told of a rollout: a subject and a few lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tidegate.core.approval.votes import why_one_more
from tidegate.core.errors import Aborted, Superseded
from tidegate.core.model.base import Model
from tidegate.core.model.plan import ArtifactRef, Target, Trigger
from tidegate.core.model.record import (
    Approval,
    Decision,
    Release,
    Rollout,
    RolloutPhase,
    SecurityLine,
    Shift,
)
from tidegate.core.text.commands import command
from tidegate.core.text.plaintext import visible

_BY_PEOPLE: Final = {Aborted.__name__, Superseded.__name__}
_OF_PHASE: Final = {
    RolloutPhase.DEPLOYING: Trigger.START,
    RolloutPhase.SUCCEEDED: Trigger.SUCCESS,
    RolloutPhase.RESTORING: Trigger.ROLLBACK,
    RolloutPhase.RESTORED: Trigger.FAILURE,
    RolloutPhase.STUCK: Trigger.FAILURE,
}
_WORDS: Final = {
    Trigger.START: "is being deployed to",
    Trigger.READY: "waits for approval of",
    Trigger.SUCCESS: "is live in",
    Trigger.ROLLBACK: "goes back in",
    Trigger.FAILURE: "failed in",
    Trigger.STOP: "was stopped in",
}
_NEXT: Final[Mapping[Trigger, Callable[[str, str], str]]] = {  # of a release and a stage
    Trigger.START: lambda release, _: command("get", release, watch=True),
    Trigger.READY: lambda release, stage: command("approve", release, stage=stage),
    Trigger.SUCCESS: lambda release, _: command("get", release),
    Trigger.ROLLBACK: lambda release, _: command("get", release, watch=True),
    Trigger.FAILURE: lambda release, _: command("explain", release),
    Trigger.STOP: lambda release, _: command("get", release),
}
_LONGEST_SUBJECT: Final = 99  # of SNS: less than 100 characters
_LONGEST_LINE: Final = 2000
_MOST_SECURITY_LINES: Final = 20  # SNS takes 256 KiB
_COMMIT: Final = 7


class Notice(Model):
    """A message for people."""

    subject: str
    text: str


def trigger_of(phase: RolloutPhase, error: str) -> Trigger | None:
    """What a rollout's phase is a trigger of; None when nobody is told of it."""
    if phase is RolloutPhase.RESTORED and error in _BY_PEOPLE:
        return Trigger.STOP
    return _OF_PHASE.get(phase)


def write_notice(
    trigger: Trigger,
    release: Release,
    stage: str,
    target: Target,
    rollout: Rollout | None,
    *,
    approval: Approval | None = None,
    security: Sequence[SecurityLine] = (),
) -> Notice:
    """What happened, where, to what, why, and what to type next.

    ``approval`` is what people were asked, if they were; ``security`` is what they have to
    know before.
    """
    stuck = rollout is not None and rollout.phase is RolloutPhase.STUCK
    happened = "is stuck in" if stuck else _WORDS[trigger]
    following = _to_a_person(release.id) if stuck else _NEXT[trigger](release.id, stage)
    lines = [
        f"{release.id} {happened} {stage}, {target.id} (stack {target.stack_name}).",
        _commit(release.artifact),
        *_security(security),
        *_asks(approval),
        *_moves(rollout),
        *_why(rollout),
        *_not_back(rollout),
        f"Next: {following}",
    ]
    subject = f"{release.id} {happened} {stage} {target.id}"
    return Notice(
        subject=subject[:_LONGEST_SUBJECT],
        text="\n".join(visible(line)[:_LONGEST_LINE] for line in lines),
    )


def _to_a_person(release_id: str) -> str:
    unlock = command("unlock", release_id)
    return f"look at its traffic now: docs/operate.md, It is stuck; then {unlock}"


def _commit(artifact: ArtifactRef) -> str:
    """What is released, as far as the build knew it."""
    words = [f"Commit {artifact.commit[:_COMMIT]}"]
    words += [f"on {artifact.branch}"] if artifact.branch else []
    words += [f"by {artifact.author}"] if artifact.author else []
    said = " ".join(words)
    return f"{said}: {artifact.subject}" if artifact.subject else f"{said}."


def _security(lines: Sequence[SecurityLine]) -> list[str]:
    said = [f"SECURITY: {line.logical_id} {line.what}." for line in lines[:_MOST_SECURITY_LINES]]
    more = len(lines) - len(said)
    return [*said, f"SECURITY: and {more} more, which the preview shows."] if more else said


def _asks(approval: Approval | None) -> list[str]:
    """Why more people must agree than the manifest asks, while they are asked."""
    if approval is None or approval.decision is not Decision.PENDING or not approval.doubts:
        return []
    return [f"It is not certain who wrote this: {why_one_more(approval.doubts)}."]


def _moves(rollout: Rollout | None) -> list[str]:
    """Which version serves, alias by alias; nothing before that is known."""
    return [_serves(shift, rollout) for shift in rollout.shifts] if rollout else []


def _serves(shift: Shift, rollout: Rollout) -> str:
    name = f"{shift.function}:{shift.alias}"
    if rollout.phase is RolloutPhase.SUCCEEDED:
        return f"{name} serves version {shift.candidate}."
    if rollout.phase is RolloutPhase.RESTORED:
        return f"{name} serves version {shift.stable}, not {shift.candidate}."
    return f"{name} was moving from version {shift.stable} to {shift.candidate}."


def _why(rollout: Rollout | None) -> list[str]:
    if rollout is None or not rollout.error:
        return []
    return [f"Why: {rollout.error}: {rollout.cause}" if rollout.cause else f"Why: {rollout.error}"]


def _not_back(rollout: Rollout | None) -> list[str]:
    parts = rollout.restored if rollout else ()
    return [f"Not back as it was: {part.what}, {part.how}." for part in parts if not part.back]
