"""Where one rollout's tasks act: its plan, its place, the world there, and its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tidegate.core.errors import (
    Aborted,
    AliasChangedByOthers,
    AliasConflict,
    LockLost,
    NotFound,
    RecordConflict,
    RestoreFailed,
    TidegateError,
)
from tidegate.core.model.base import Model
from tidegate.core.model.plan import ReleasePlan, ReleaseRef, StagePlan, Target
from tidegate.core.model.record import Live, Preview, Rollout, Shift
from tidegate.core.ports import Ports, StackState, TargetPorts
from tidegate.core.workflow.events import publish_rollout
from tidegate.core.workflow.records import (
    again_when,
    find,
    live_at,
    plan_of,
    raise_if_aborted,
    require_lock,
    stage_plan,
)
from tidegate.core.workflow.release.lock import read_lock


class RolloutRef(Model):
    """Which rollout a task works for."""

    release: ReleaseRef
    stage: str
    target: str


@dataclass(frozen=True)
class RolloutContext:
    """Everything that a task of a rollout needs, read at its beginning."""

    ports: Ports
    ref: RolloutRef
    plan: ReleasePlan
    stage: StagePlan
    target: Target
    _opened: list[TargetPorts] = field(default_factory=list)

    @property
    def world(self) -> TargetPorts:
        """The account and region there, opened when first needed. Raises ``ServiceRefused``."""
        if not self._opened:
            self._opened.append(self.ports.targets.open(self.target))
        return self._opened[0]

    def rollout(self) -> Rollout | None:
        """The rollout's record as it stands."""
        return find(
            self.ports.ledger,
            Rollout,
            release_id=self.ref.release.id,
            stage=self.ref.stage,
            target=self.ref.target,
        )

    def require_rollout(self) -> Rollout:
        """The rollout's record. Raises ``NotFound``."""
        rollout = self.rollout()
        if rollout is None:
            raise NotFound(f"No rollout of {self.ref.release.id} has begun at {self.place}.")
        return rollout

    def require_preview(self) -> Preview:
        """What was computed and shown for this target. Raises ``NotFound``."""
        preview = find(
            self.ports.ledger,
            Preview,
            release_id=self.ref.release.id,
            stage=self.ref.stage,
            target=self.ref.target,
        )
        if preview is None:
            raise NotFound(f"Nothing was previewed for {self.ref.release.id} at {self.place}.")
        return preview

    def live(self) -> Live | None:
        """What the target serves by the record; None before its first release."""
        release = self.ref.release
        return live_at(self.ports.ledger, release.application, self.ref.stage, self.ref.target)

    def state(self) -> StackState:
        """The stack as it is."""
        return self.world.stacks.state(self.target.stack_name)

    def save(self, rollout: Rollout, **changes: Any) -> Rollout:
        """Write the rollout with these changes; tell it when its phase is another."""
        saved = self.note(rollout, **changes)
        if saved.phase is not rollout.phase:
            self.tell(saved)
        return saved

    def note(self, rollout: Rollout, **changes: Any) -> Rollout:
        """Write the rollout with these changes and tell nobody: an intent, or a detail."""
        return self.ports.ledger.put(rollout.model_copy(update=changes))

    def tell(self, rollout: Rollout) -> None:
        """Tell where the rollout is."""
        publish_rollout(self.ports.bus, self.ref.release, rollout)

    @property
    def place(self) -> str:
        """Stage and target, for people."""
        return f"{self.ref.stage} {self.ref.target}"

    def token(self, purpose: str, retries: int = 0) -> str:
        """The token that makes a call to CloudFormation safe to repeat: one for each operation."""
        token = f"{self.ref.release.id}-{self.ref.stage}-{purpose}"
        return f"{token}-{retries}" if retries else token


def open_context(ports: Ports, ref: RolloutRef) -> RolloutContext:
    """Read the plan. Raises ``NotFound``."""
    plan = plan_of(ports.ledger, ref.release.id)
    stage = stage_plan(plan, ref.stage)
    return RolloutContext(
        ports=ports, ref=ref, plan=plan, stage=stage, target=stage.target(ref.target)
    )


def check_fence(context: RolloutContext, rollout: Rollout) -> None:
    """Asked right before an alias is written: is this task still the one that moves it?

    A task may outlive its execution. Raises ``LockLost`` when the guardian has fenced the release
    off, ``Aborted`` when an operator ended it and something else has moved traffic since,
    ``RecordConflict`` when the rollout's record was written since the task read it.
    """
    lock = require_lock(context.ports, context.ref.release)
    if lock.fence != rollout.fence:
        raise_if_aborted(context.ports, context.ref.release.id)
        raise LockLost(
            f"{context.ref.release.id} was fenced off: the lock's number is {lock.fence}, "
            f"and the rollout at {context.place} began with {rollout.fence}.",
            remedy="Its execution ended, and the guardian makes the traffic safe.",
        )
    present = context.require_rollout()
    if present.version != rollout.version:
        raise RecordConflict(
            f"The rollout at {context.place} is at version {present.version}, "
            f"not {rollout.version}."
        )


def refuse_other_owner(context: RolloutContext) -> None:
    """A lock that nobody has is no obstacle: the traffic is ours to make safe.

    One that was taken over comes back in a moment: ``RecordConflict``, to ask again. Else
    ``LockLost``.
    """
    release = context.ref.release
    lock = read_lock(context.ports.ledger, release.application)
    if lock.lender and lock.lender.release_number == release.number:
        raise RecordConflict(
            f"{release.application}-{lock.release_number} puts traffic back at this moment."
        )
    if lock.owner and lock.release_number != release.number:
        raise LockLost(
            f"{release.application}-{lock.release_number} deploys now: "
            f"{release.id} may not touch the aliases at {context.place} any more.",
            remedy="Look at both releases before anything else is deployed.",
        )


def refuse_changes_by_others(
    context: RolloutContext, rollout: Rollout, changed_by_others: list[str]
) -> None:
    """Raises ``AliasConflict`` for what is seen for the first time, to have it looked at again.

    AWS shows weights of its own for a moment while a version changes, so seeing it once proves
    nothing. What is still there the second time is somebody's: ``AliasChangedByOthers``.
    """
    said = "; ".join(changed_by_others)
    if changed_by_others and rollout.changed_by_others != said:
        context.note(rollout, changed_by_others=said)
        raise AliasConflict(f"{said}. Looking again.")
    if changed_by_others:
        raise AliasChangedByOthers(
            f"{said}.",
            remedy="It was left alone. Find out who did it, set the alias right, release anew.",
        )


def write_every_alias(
    context: RolloutContext, shifts: tuple[Shift, ...], put: Callable[[Shift], str]
) -> list[str]:
    """Try every alias, whatever happens to the others; ``put`` says what is not ours.

    Returns what it said. Raises ``RestoreFailed`` naming each alias that could not be put. When
    nothing else is wrong, whatever ``may_write`` in ``put`` raises because another of our own
    writers has this rollout by now: ``RecordConflict``, ``LockLost``, ``Aborted``.
    """
    changed_by_others, failed = [], []
    taken: TidegateError | None = None
    for shift in shifts:
        try:
            stranger = again_when(AliasConflict, partial(put, shift))
        except (RecordConflict, LockLost, Aborted) as error:
            taken = error
        except Exception as error:
            failed.append(f"{shift.function}:{shift.alias}: {error}")
        else:
            changed_by_others += [stranger] if stranger else []
    if failed:
        raise RestoreFailed(
            f"Traffic is not where it is safe at {context.place}: {'; '.join(failed)}.",
            aliases=failed,
        )
    if taken:
        raise taken
    return changed_by_others
