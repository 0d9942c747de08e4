"""What a commit changes of its own gates: who must agree, what is tested, how it is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tidegate.core.model.plan import ApprovalPlan, HookPlan, ReleasePlan, StagePlan

_NOBODY = "nobody"


def changed_gates(before: ReleasePlan, after: ReleasePlan, stage: str) -> Iterator[str]:
    """A sentence for each gate of the stage that is another one than in what is live there.

    The tests are the application's, and so is what becomes of its stages.
    """
    then, now = ({test.name: test for test in plan.tests} for plan in (before, after))
    yield from _changed("test", then, now, "does something else")
    for name in _names(before.stages):
        if name not in _names(after.stages):
            yield f"stage {name} is gone"
    if stage in _names(before.stages):
        yield from _changed_stage(before.stage(stage), after.stage(stage))


def _names(stages: Sequence[StagePlan]) -> list[str]:
    return [stage.name for stage in stages]


def _changed_stage(before: StagePlan, after: StagePlan) -> Iterator[str]:
    then, now = _asked(before.approval), _asked(after.approval)
    if then != now:
        yield f"asks {now}, not {then}"
    yield from _changed_places(before, after)
    yield from _changed_hooks("before traffic", before.pre_traffic, after.pre_traffic)
    yield from _changed_hooks("after traffic", before.post_traffic, after.post_traffic)
    if before.strategy != after.strategy:
        yield f"strategy {after.strategy.name}, not {before.strategy.name}" + (
            ", with other steps" if before.strategy.name == after.strategy.name else ""
        )
    if keys := list(_differing(before.checks, after.checks)):
        yield f"checks: other {', '.join(keys)}"
    if before.when_not_canaryable != after.when_not_canaryable:
        yield f"when_not_canaryable: {after.when_not_canaryable}"
    if before.forbid_irreversible and not after.forbid_irreversible:
        yield "what cannot be undone is no longer forbidden"


def _asked(approval: ApprovalPlan | None) -> str:
    if approval is None:
        return _NOBODY
    people = "one person" if approval.approvers == 1 else f"{approval.approvers} people"
    return people if approval.author_may_approve else f"{people} but the author"


def _changed_places(before: StagePlan, after: StagePlan) -> Iterator[str]:
    then = {target.id: target for wave in before.waves for target in wave}
    for target in (target for wave in after.waves for target in wave):
        known = then.get(target.id)
        if known is None:
            yield f"goes to {target.id}, as it did not"
        elif known.role_arn != target.role_arn:
            yield f"role {target.role_arn}, not {known.role_arn}"
        elif known.stack_name != target.stack_name:
            yield f"stack {target.stack_name}, not {known.stack_name}"


def _changed_hooks(
    when: str, before: Sequence[HookPlan], after: Sequence[HookPlan]
) -> Iterator[str]:
    then, now = ({f"{hook.function} {when}": hook for hook in hooks} for hooks in (before, after))
    return _changed("hook", then, now, "has other times")


def _changed(
    kind: str, before: Mapping[str, object], after: Mapping[str, object], other: str
) -> Iterator[str]:
    """What is gone, or another, of things that have names; what is new stands in no way."""
    for name, one in before.items():
        if name not in after:
            yield f"{kind} {name} is gone"
        elif after[name] != one:
            yield f"{kind} {name} {other}"


def _differing(before: BaseModel, after: BaseModel) -> Iterator[str]:
    """The names of the settings that differ."""
    one: Mapping[str, Any] = before.model_dump()
    other: Mapping[str, Any] = after.model_dump()
    yield from (name.replace("_", " ") for name in one if one[name] != other[name])
