"""Draws a plan: what a release would do, stage by stage, with times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidegate.cli import text
from tidegate.cli.tree import ICONS
from tidegate.cli.view import STYLES
from tidegate.core.analysis.metrics import bounds
from tidegate.core.insight.views import Severity
from tidegate.core.model.plan import (
    AdaptivePlan,
    ApprovalPlan,
    Checks,
    ErrorPolicy,
    HookPlan,
    ManagedAlias,
    ReleasePlan,
    StagePlan,
    TooFew,
    WhenFiringBefore,
)
from tidegate.core.model.record import SecurityLine
from tidegate.core.planning.arrival import Arrival, StepArrival
from tidegate.core.planning.capacity import planned_warmth

_SECURITY = STYLES[Severity.SECURITY]
_AFTERWARDS = {
    TooFew.PROMOTE: "then it is promoted",
    TooFew.RESTORE: "then it is restored",
    TooFew.PROBE: "probes are sent meanwhile, and then it is restored",
    TooFew.HOLD: "then it waits for traffic, or for a person",
}


def draw_plan(
    plan: ReleasePlan,
    advice: Sequence[str],
    expected: Mapping[str, Arrival] | None = None,
    security: Sequence[SecurityLine] = (),
) -> RenderableType:
    """The whole plan, and what is worth a second look; ``expected`` by the stages' names."""
    parts: list[RenderableType] = [_head(plan)]
    known = expected or {}
    parts += [
        Padding(_stage(one, plan.aliases, known.get(one.name)), (1, 0, 0, 0)) for one in plan.stages
    ]
    if security:
        parts.append(Padding(_security(security), (1, 0, 0, 0)))
    if advice:
        parts.append(Padding(_advice(advice), (1, 0, 0, 0)))
    return Group(*parts)


def _head(plan: ReleasePlan) -> Table:
    facts = _facts()
    facts.add_row("application", Text(plan.release.application, style="bold"))
    tests = ", ".join(test.name for test in plan.tests)
    facts.add_row("tests", f"{tests}, all at the same time" if tests else "none")
    moves = ", ".join(f"{alias.function}:{alias.alias}" for alias in plan.aliases)
    facts.add_row("moves", moves or "no alias")
    return facts


def _stage(stage: StagePlan, aliases: Sequence[ManagedAlias], expected: Arrival | None) -> Group:
    head = Text(f"{stage.order + 1}. {stage.name}", style="bold")
    facts = _facts()
    for number, wave in enumerate(stage.waves, start=1):
        label = "to" if len(stage.waves) == 1 else f"wave {number}"
        targets = ", ".join(f"{target.id} (stack {target.stack_name})" for target in wave)
        facts.add_row(f"   {label}", targets)
    if stage.approval:
        facts.add_row("   approval", _approval(stage.approval))
    for line in planned_warmth(stage, aliases):
        facts.add_row("   warm", f"{line.function}:{line.alias} {text.warmth(line)}")
    facts.add_row("   before traffic", _hooks(stage.pre_traffic))
    for label, words in _shift(stage, expected):
        facts.add_row(label, words)
    facts.add_row("   after traffic", _hooks(stage.post_traffic))
    for told in stage.notifications:
        facts.add_row("   tells", f"{told.topic}: {', '.join(told.events)}")
    return Group(head, facts)


def _approval(approval: ApprovalPlan) -> str:
    who = "1 person" if approval.approvers == 1 else f"{approval.approvers} people"
    author = "" if approval.author_may_approve else ", not the author"
    return f"by {who}{author}, within {text.span(approval.timeout_seconds)}"


def _hooks(hooks: Sequence[HookPlan]) -> str:
    return ", ".join(f"{h.function} ({text.span(h.timeout_seconds)})" for h in hooks) or "none"


def _shift(stage: StagePlan, expected: Arrival | None) -> Iterator[tuple[str, str]]:
    """The weights with the times at which they are set: by the traffic, or at the latest."""
    passed = 0.0
    label = f"   {stage.strategy.name}"
    for number, step in enumerate(stage.strategy.steps):
        bake = text.span(step.bake_seconds)
        if step.samples:
            bake = f"{step.samples:,} samples, {bake} at most"
        arrives = expected.steps[number] if expected else None
        said = _arrives(arrives, stage.checks) if arrives else ""
        weight = f"{text.bar(step.weight)} {_share(step.weight)}"
        yield label, f"{_clock(passed)}  {weight}  for {bake}{said}"
        passed = arrives.ends if arrives else passed + step.bake_seconds
        label = ""
    if stage.strategy.adaptive is not None:
        yield from _adaptive(label, stage.strategy.adaptive, expected)
    else:
        yield label, f"{_clock(passed)}  {text.bar(1.0)} {_share(1.0)}"
    if expected and stage.strategy.splits:
        yield "", f"expected at {expected.requests_per_second:.3g} requests/s"
    if stage.strategy.splits:
        yield "   restores", _restores(stage.checks)
        yield "   extends", _extends(stage.checks.errors)
        for number, policy in enumerate(stage.checks.metrics):
            before = ", or as before the shift" if policy.or_before else ""
            label = "" if number else "   watches"
            yield label, f"{policy.query.name}: {bounds(policy)}{before}"


def _arrives(step: StepArrival, checks: Checks) -> str:
    """When the step's samples are expected, and whether they suffice for a judgement."""
    words = ""
    if step.samples_after is not None:
        words = f", expected in {text.whole_duration(step.samples_after)}"
    if not step.judged:
        needed = checks.errors.min_samples
        words += f"; about {step.served:,.0f} of {needed:,} requests by then: too few to judge"
    return words


def _adaptive(
    label: str, plan: AdaptivePlan, expected: Arrival | None
) -> Iterator[tuple[str, str]]:
    first, highest = f"{text.percent(plan.first_weight)} or less", text.percent(plan.highest_weight)
    if expected and expected.first_weight is not None:
        first = text.percent(expected.first_weight)
    yield label, f"from the weight that harms {plan.budget:g} requests at most ({first})"
    yield "", f"up to {highest}, then all when it is proven no worse"
    yield "", f"or healthy for {text.span(plan.at_most_seconds)}"


def _clock(seconds: float) -> str:
    return f"+{text.span(round(seconds))}".rjust(7)


def _share(weight: float) -> str:
    return text.percent(weight).rjust(6)


def _restores(checks: Checks) -> str:
    """What takes the traffic from the candidate."""
    false_alarms = text.percent(checks.alpha)
    reasons = [
        f"the candidate is proven to fail more often than stable (false alarms: {false_alarms})"
    ]
    if checks.latency:
        reasons.append(f"it is proven to be {text.percent(checks.latency.tolerance)} slower")
    reasons += [
        f"it is proven to have {one.worse_when} of {one.name} than stable"
        for one in checks.compared
    ]
    if checks.metrics:
        reasons.append("a metric is out of its bounds")
    if checks.alarms:
        reasons.append(f"alarm {' or '.join(checks.alarms)} fires{_before(checks)}")
    return f"when {', or '.join(reasons)}"


def _extends(errors: ErrorPolicy) -> str:
    """What makes a bake longer, and what follows when that does not help."""
    return (
        f"a bake by {text.span(errors.extend_seconds)} at most while the candidate has fewer than"
        f" {errors.min_samples} requests, or fails {text.percent(errors.max_increase)} more often"
        f" without proof; {_AFTERWARDS[errors.when_too_few]}"
    )


def _before(checks: Checks) -> str:
    if checks.when_firing_before is WhenFiringBefore.REFUSE:
        return " (no rollout begins while one does)"
    return " and did not before"


def _security(lines: Sequence[SecurityLine]) -> Group:
    facts = _facts()
    for line in lines:
        facts.add_row(
            Text(f"{ICONS[Severity.SECURITY]} {line.logical_id}", style=_SECURITY), Text(line.what)
        )
    return Group(Text("security: what the template lets others do", style=_SECURITY), facts)


def _advice(advice: Sequence[str]) -> Table:
    facts = _facts()
    for sentence in advice:
        facts.add_row(Text("⚠", style="yellow"), Text(sentence))
    return facts


def _facts() -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    return facts
