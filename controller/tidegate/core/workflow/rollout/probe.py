"""Probes: requests of Tidegate's own to both versions, where users send too few to judge.

They go to the versions directly, so no metric of the alias counts them; the record does. The client
context tells the function that it is probed: ``custom.tidegate.probe`` is the release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any

from tidegate.core.errors import HookFailed
from tidegate.core.model.plan import ProbePlan
from tidegate.core.model.record import Probed, Rollout, Shift
from tidegate.core.workflow.target.context import RolloutContext

APART = timedelta(seconds=50)  # an evaluation that comes early sends no more
_LONGEST = timedelta(seconds=25)  # that one evaluation may spend on probes
_TIMEOUT_SECONDS = 10  # of one probe; a probe that takes longer has failed


def send_probes(context: RolloutContext, rollout: Rollout, plan: ProbePlan) -> Rollout:
    """Send one evaluation's probes to both versions, in turns, and record how they ended.

    Raises ``HookFailed`` when the function that makes the payloads fails.
    """
    began = context.ports.clock.now()
    if rollout.probes and began - rollout.probes[-1].at < APART:
        return rollout
    payloads = _payloads(context, plan)
    functions = {name: s for name, s in _functions(context, rollout).items() if payloads.get(name)}
    each = max(1, plan.per_minute // max(1, len(functions)))
    probed = [
        _probe(context, shift, tuple(islice(cycle(payloads[name]), each)), began + _LONGEST)
        for name, shift in functions.items()
    ]
    return context.note(rollout, probes=(*rollout.probes, *probed))


def _functions(context: RolloutContext, rollout: Rollout) -> dict[str, Shift]:
    """The functions that shift, by their logical ids."""
    resources = context.state().resources
    shifts = {shift.function: shift for shift in rollout.shifts}
    named = {alias.function: resources.get(alias.function, "") for alias in context.plan.aliases}
    return {name: shifts[physical] for name, physical in named.items() if physical in shifts}


def _payloads(context: RolloutContext, plan: ProbePlan) -> Mapping[str, Sequence[Any]]:
    """What to send to which function, as the manifest or a function of the application says."""
    if not plan.function:
        return plan.payloads
    physical = context.state().resources.get(plan.function, plan.function)
    event = {"schema": 1, "release": context.ref.release.model_dump(), "stage": context.ref.stage}
    made = context.world.functions.invoke(physical, event, _TIMEOUT_SECONDS)
    answer = made.payload if isinstance(made.payload, Mapping) else {}
    payloads = answer.get("payloads")
    if made.error or not isinstance(payloads, Mapping):
        why = answer.get("errorMessage") or made.error or "it returned no `payloads`"
        raise HookFailed(f"probe function {plan.function} failed: {why}")
    return payloads


def _probe(
    context: RolloutContext, shift: Shift, payloads: Sequence[Any], until: datetime
) -> Probed:
    """Both versions get the same payloads in the same order, as many as there is time for."""
    clock = context.ports.clock
    began = clock.now()
    sent, failed = 0, {shift.stable: 0, shift.candidate: 0}
    for payload in payloads:
        if clock.now() >= until:
            break
        for version in failed:
            failed[version] += _fails(context, shift, version, payload)
        sent += 1
    return Probed(
        function=shift.function,
        alias=shift.alias,
        at=began,
        sent=sent,
        stable_errors=failed[shift.stable],
        candidate_errors=failed[shift.candidate],
    )


def _fails(context: RolloutContext, shift: Shift, version: str, payload: Any) -> bool:
    mark = {"tidegate": {"probe": context.ref.release.id}}
    ended = context.world.functions.invoke(
        f"{shift.function}:{version}", payload, _TIMEOUT_SECONDS, mark=mark
    )
    return bool(ended.error)
