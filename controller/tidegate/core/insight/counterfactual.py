"""What would have turned a decision: the smallest change of each setting that does.

Nothing is estimated. Each candidate for a change is put through the same judge and the same decide
as the decision itself, on the same data.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from tidegate.core.decision.evaluation import ACTION_NAMES, Evaluation, Policy, evaluate
from tidegate.core.decision.next_move import Action, SetWeight
from tidegate.core.model.base import Model
from tidegate.core.model.plan import ComparedPolicy, LatencyPolicy, MetricPolicy, TooFew
from tidegate.core.ports import Bin, Compared, Counts, Observation, PairBins
from tidegate.core.text.quantities import write_duration, write_share

_SHARES = tuple(tenth / 1000 for tenth in range(1001))  # 0 % to 100 %, by a tenth of a point
_SAMPLES = (*range(1, 10), *(lead * 10**power for power in range(5) for lead in range(10, 100)))
_ALPHAS = tuple(sorted(lead / 10**power for power in range(1, 13) for lead in (1, 2, 5)))
_MOST_PERIODS = 60
_MINUTES = tuple(60 * minutes for minutes in range(24 * 60 + 1))


class Counterfactual(Model):
    """One setting that would have turned a decision, and the value next to its own that does."""

    setting: str  # as the manifest calls it, or what happened
    present: str
    value: str
    action: str  # what would have been done: set-weight, hold, promote, restore
    words: str  # all of it in a sentence


@dataclass(frozen=True, slots=True)
class _Case:
    """A decision, and what it rested on."""

    policy: Policy
    evaluation: Evaluation

    def outcome(self) -> Action:
        return evaluate(self.policy, self.evaluation)[1]


@dataclass(frozen=True, slots=True)
class _Lever:
    """A setting: its values in order, and the case under each of them."""

    setting: str
    present: Any
    values: Sequence[Any]
    under: Callable[[Any], _Case]
    write: Callable[[Any], str]
    said: str = "with {setting} {value} instead of {present}"


def counterfactuals(policy: Policy, evaluation: Evaluation) -> tuple[Counterfactual, ...]:
    """The changes that would each, alone, have turned this decision into another kind of action."""
    case = _Case(policy, evaluation)
    decided = ACTION_NAMES[type(case.outcome())]
    return tuple(found for lever in _levers(case) for found in _turning_points(lever, decided))


def _turning_points(lever: _Lever, decided: str) -> Iterator[Counterfactual]:
    """The nearest value below the present one that turns the decision, and the nearest above."""
    below = lever.values[: bisect_left(lever.values, lever.present)]
    above = lever.values[bisect_right(lever.values, lever.present) :]
    for values in (below[::-1], above):
        if (value := _first_turned(lever, values, decided)) is not None:
            yield _counterfactual(lever, value)


def _first_turned(lever: _Lever, values: Sequence[Any], decided: str) -> Any | None:
    """The first value, going away from the present one, at which the decision is another.

    By bisection between what does not turn it and the last value, which must.
    """

    def turned(value: Any) -> bool:
        return ACTION_NAMES[type(lever.under(value).outcome())] != decided

    if not values or not turned(values[-1]):
        return None
    same, other = -1, len(values) - 1
    while other - same > 1:
        middle = (same + other) // 2
        if turned(values[middle]):
            other = middle
        else:
            same = middle
    return values[other]


def _counterfactual(lever: _Lever, value: Any) -> Counterfactual:
    action = lever.under(value).outcome()
    change = {
        "setting": lever.setting,
        "present": lever.write(lever.present),
        "value": lever.write(value),
    }
    return Counterfactual(
        **change,
        action=ACTION_NAMES[type(action)],
        words=f"would have {_done(action)} {lever.said.format(**change)}",
    )


def _done(action: Action) -> str:
    if isinstance(action, SetWeight):
        return f"gone on to {write_share(action.weight)}"
    return {"hold": "held", "promote": "promoted", "restore": "gone back"}[
        ACTION_NAMES[type(action)]
    ]


def _levers(case: _Case) -> Iterator[_Lever]:
    checks = case.policy.checks
    yield _of_errors(case, "max_increase", _SHARES, write_share)
    yield _of_errors(case, "min_samples", _SAMPLES, str)
    yield _of_errors(case, "extend_seconds", _MINUTES, _written_seconds, setting="extend")
    yield from _of_errors_choices(case)
    yield _Lever("alpha", checks.alpha, _ALPHAS, lambda alpha: _with(case, alpha=alpha), _number)
    if checks.latency is not None:
        yield from _of_latency(case, checks.latency)
    for compared in checks.compared:
        yield from _of_compared(case, compared)
    for metric in checks.metrics:
        yield from _of_metric(case, metric)
    yield from _of_strategy(case)
    yield from _of_events(case)


def _of_errors_choices(case: _Case) -> Iterator[_Lever]:
    errors = case.policy.checks.errors
    for other in TooFew:
        if other is not errors.when_too_few:
            changed = _with_errors(case, when_too_few=other)
            yield _switch("when_too_few", errors.when_too_few.value, other.value, changed)
    changed = _with_errors(case, proof=not errors.proof)
    yield _switch("proof", str(errors.proof).lower(), str(not errors.proof).lower(), changed)


def _of_latency(case: _Case, latency: LatencyPolicy) -> Iterator[_Lever]:
    """The tolerance is no lever: what the record counts is beyond edges that were raised by it."""

    def under(seconds: int) -> _Case:
        return _with(case, latency=latency.model_copy(update={"warm_up_seconds": seconds}))

    present = latency.warm_up_seconds
    yield _Lever("latency.warm_up", present, _MINUTES, under, _written_seconds)
    yield _switch("latency", "compared", "left out", _with(case, latency=None))


def _of_compared(case: _Case, policy: ComparedPolicy) -> Iterator[_Lever]:
    """A metric by version: its settings, and the candidate's events."""

    def allowing(share: float) -> _Case:
        return _with_policy(case, policy, max_increase=share)

    setting = f"max_increase of {policy.name}"
    yield _Lever(setting, policy.max_increase, _SHARES, allowing, write_share)
    seen = case.evaluation.observation
    pairs = next((one.pairs for one in seen.compared if one.name == policy.name), ())
    counted = [one.candidate for pair in pairs for one in pair.bins]
    events, total = sum(one.errors for one in counted), sum(one.invocations for one in counted)

    def having(count: int) -> _Case:
        changed = Compared(policy.name, _with_failures(pairs, count - events))
        compared = tuple(changed if one.name == policy.name else one for one in seen.compared)
        return _having_seen(case, compared=compared)

    if total:
        yield _Lever(
            f"{policy.name} of the candidate",
            events,
            range(total + 1),
            having,
            str,
            f"with {{value}} {{setting}} among {total:,} instead of {{present}}",
        )


def _of_metric(case: _Case, policy: MetricPolicy) -> Iterator[_Lever]:
    """A metric with bounds: they could lie at any value that was seen, and be shorter."""
    series = next(
        (
            one.values
            for one in case.evaluation.observation.metrics
            if one.name == policy.query.name
        ),
        (),
    )
    for bound in ("at_most", "at_least"):
        present = getattr(policy, bound)
        if present is not None:
            values = sorted({one.value for one in series})
            under = partial(_with_bound, case, policy, bound)
            yield _Lever(f"{bound} of {policy.query.name}", present, values, under, _number)
    yield _Lever(
        f"periods of {policy.query.name}",
        policy.periods,
        range(1, _MOST_PERIODS + 1),
        lambda count: _with_policy(case, policy, periods=count),
        str,
    )


def _with_bound(case: _Case, policy: MetricPolicy, bound: str, value: float) -> _Case:
    return _with_policy(case, policy, **{bound: value})


def _of_strategy(case: _Case) -> Iterator[_Lever]:
    adaptive = case.policy.strategy.adaptive
    if adaptive is None:
        yield from _of_bake(case)
        return

    def under(**changes: float) -> _Case:
        strategy = case.policy.strategy.model_copy(
            update={"adaptive": adaptive.model_copy(update=changes)}
        )
        return replace(case, policy=replace(case.policy, strategy=strategy))

    yield _Lever("budget", adaptive.budget, _SAMPLES, lambda v: under(budget=v), _number)
    yield _Lever(
        "at_most",
        adaptive.at_most_seconds,
        _MINUTES,
        lambda v: under(at_most_seconds=v),
        _written_seconds,
    )


def _of_events(case: _Case) -> Iterator[_Lever]:
    seen = case.evaluation.observation
    failed = sum(one.candidate.errors for one in _bins(seen))
    served = sum(one.candidate.invocations for one in _bins(seen))
    if served:

        def under(count: int) -> _Case:
            return _having_seen(case, pairs=_with_failures(seen.pairs, count - failed))

        yield _Lever(
            "failures of the candidate",
            failed,
            range(served + 1),
            under,
            str,
            "had {value} of the candidate's requests failed instead of {present}",
        )
    for alarm in seen.firing:
        quiet = tuple(name for name in seen.firing if name != alarm)
        yield _switch(f"alarm {alarm}", "firing", "silent", _having_seen(case, firing=quiet))
    if case.evaluation.operator_requests:
        unasked = replace(case, evaluation=replace(case.evaluation, operator_requests=()))
        yield _switch("operator requests", "heard", "unspoken", unasked)


def _of_errors(
    case: _Case,
    field: str,
    values: Sequence[Any],
    write: Callable[[Any], str],
    setting: str = "",
) -> _Lever:
    errors = case.policy.checks.errors
    return _Lever(
        setting or field,
        getattr(errors, field),
        values,
        lambda value: _with_errors(case, **{field: value}),
        write,
    )


def _of_bake(case: _Case) -> Iterator[_Lever]:
    """The bake of the step that the rollout is at."""
    steps, index = case.policy.strategy.steps, case.evaluation.rollout.step
    if not 0 <= index < len(steps):
        return

    def under(seconds: int) -> _Case:
        changed = steps[index].model_copy(update={"bake_seconds": seconds})
        strategy = case.policy.strategy.model_copy(
            update={"steps": (*steps[:index], changed, *steps[index + 1 :])}
        )
        return replace(case, policy=replace(case.policy, strategy=strategy))

    setting = f"bake at {write_share(steps[index].weight)}"
    yield _Lever(setting, steps[index].bake_seconds, _MINUTES, under, _written_seconds)


def _bins(seen: Observation) -> Iterator[Bin]:
    return (one for pair in seen.pairs for one in pair.bins)


def _with_failures(before: Sequence[PairBins], more: int) -> tuple[PairBins, ...]:
    """The same requests, so many more of the candidate's failed, or fewer; the latest first."""
    pairs = []
    for pair in before:
        bins = []
        for one in reversed(pair.bins):
            served, failed = one.candidate.invocations, one.candidate.errors
            change = max(-failed, min(served - failed, more))
            more -= change
            bins.append(replace(one, candidate=Counts(served, failed + change)))
        pairs.append(replace(pair, bins=tuple(reversed(bins))))
    return tuple(pairs)


def _switch(setting: str, present: str, value: str, case: _Case) -> _Lever:
    """A lever with one other position."""
    return _Lever(setting, 0, (1,), lambda _: case, lambda at: value if at else present)


def _with_errors(case: _Case, **changes: Any) -> _Case:
    return _with(case, errors=case.policy.checks.errors.model_copy(update=changes))


def _with_policy(case: _Case, policy: ComparedPolicy | MetricPolicy, **changes: Any) -> _Case:
    """The same metric with other settings."""
    field = "compared" if isinstance(policy, ComparedPolicy) else "metrics"
    changed = policy.model_copy(update=changes)
    others = getattr(case.policy.checks, field)
    return _with(case, **{field: tuple(changed if one == policy else one for one in others)})


def _having_seen(case: _Case, **changes: Any) -> _Case:
    seen = replace(case.evaluation.observation, **changes)
    return replace(case, evaluation=replace(case.evaluation, observation=seen))


def _with(case: _Case, **changes: Any) -> _Case:
    checks = case.policy.checks.model_copy(update=changes)
    return replace(case, policy=replace(case.policy, checks=checks))


def _number(value: float) -> str:
    return f"{value:g}"


def _written_seconds(seconds: int) -> str:
    return write_duration(timedelta(seconds=seconds))
