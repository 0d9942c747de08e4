"""A release as a tree of lines, each in words: what every drawing of a release is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.cli import text
from tidegate.core.analysis.phrasing import standing
from tidegate.core.insight.views import (
    ApprovalView,
    HookView,
    NotificationView,
    OperationView,
    ReleaseView,
    RolloutView,
    Severity,
    StageView,
    TestView,
)
from tidegate.core.model.record import (
    ChangeLine,
    Decision,
    Evidence,
    FunctionLine,
    Judgement,
    Restored,
    RolloutPhase,
    Shift,
    StackLine,
    Verdict,
)
from tidegate.core.text.commands import command

ICONS = {
    Severity.PENDING: "○",
    Severity.RUNNING: "◌",
    Severity.WAITING: "◷",
    Severity.GOOD: "✔",
    Severity.BAD: "✖",
    Severity.ALERT: "⚠",
    Severity.SECURITY: "◆",
    Severity.SKIPPED: "•",
}
_JUDGEMENT_SEVERITY = {
    Judgement.HEALTHY: Severity.GOOD,
    Judgement.UNDECIDED: Severity.RUNNING,
    Judgement.INSUFFICIENT_TRAFFIC: Severity.WAITING,
    Judgement.UNHEALTHY: Severity.BAD,
}


@dataclass(frozen=True)
class Node:
    """A line of the tree.

    ``info`` lasts until something happens; ``clock`` changes by the mere passing of time.
    """

    name: str
    severity: Severity
    status: str
    info: str = ""
    clock: str = ""
    age_seconds: float | None = None
    children: tuple[Node, ...] = field(default=())


def next_words(view: ReleaseView) -> str:
    """What happens next, or what a person has to do; empty when the release is over."""
    if view.severity is Severity.ALERT:
        return "a person must look: 'It is stuck' in docs/operate.md says how"
    if view.awaiting:
        return "; ".join(_ask(view, stage) for stage in view.awaiting)
    moving = [r for stage in view.stages for r in stage.rollouts if r.next_weight is not None]
    return "; ".join(f"{r.target}: {_next(r, view.at)}" for r in moving)


def stage_node(stage: StageView, now: datetime) -> Node:
    """A stage with its approval and its rollouts."""
    children = [_rollout_node(rollout, stage, now) for rollout in stage.rollouts]
    if stage.approval:
        children.insert(0, _approval_node(stage.approval, now))
    return Node(
        name=stage.name,
        severity=stage.severity,
        status=stage.phase.value if stage.phase else _absent(stage.severity),
        info=stage.error or stage.strategy,
        age_seconds=_age(stage.started_at, stage.ended_at, now),
        children=tuple(children),
    )


def release_node(view: ReleaseView) -> Node:
    """The whole release as one tree: what line by line output compares."""
    tests = tuple(_test_node(test) for test in view.tests)
    stages = tuple(stage_node(stage, view.at) for stage in view.stages)
    return Node(
        name=view.id,
        severity=view.severity,
        status=release_status(view),
        info=reason(view.error, view.cause),
        children=tests + stages,
    )


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with the path to it."""
    here = f"{path} {node.name}".strip()
    yield here, node
    for child in node.children:
        yield from walk(child, here)


def one_line(path: str, node: Node) -> str:
    """A node as a line of a log: nothing in it changes by the mere passing of time."""
    return f"{ICONS[node.severity]} {path}: {node.status}" + (
        f" · {node.info}" if node.info else ""
    )


def release_status(view: ReleaseView) -> str:
    """Where the release is, in two or three words."""
    if view.awaiting:
        return "awaiting approval"
    under_way = [stage.name for stage in view.stages if stage.severity is Severity.RUNNING]
    if under_way and not view.phase.over:
        return f"{view.phase.value} in {', '.join(under_way)}"
    return view.phase.value


def _ask(view: ReleaseView, stage: StageView) -> str:
    approve = command("approve", view.id, stage=stage.name)
    if stage.approval is None:
        return approve
    left = text.whole_duration((stage.approval.deadline - view.at).total_seconds())
    missing = stage.approval.needed - len(stage.approval.agreed)
    who = "1 person has" if missing == 1 else f"{missing} people have"
    return f"{who} to decide within {left}: {approve}"


def _next(rollout: RolloutView, now: datetime) -> str:
    """Where the weight goes, and when; or what the step still waits for."""
    if rollout.next_weight is None or rollout.next_at is None:
        return ""
    where = "promote" if rollout.next_weight >= 1 else text.percent(rollout.next_weight)
    left = (rollout.next_at - now).total_seconds()
    if left > 0:
        return f"{where} in {text.whole_duration(left)}{_expected(rollout)}"
    if rollout.samples < rollout.samples_needed:
        return f"{where} at {rollout.samples_needed} samples ({rollout.samples} so far)"
    return f"{where} now"


def _expected(rollout: RolloutView) -> str:
    """When a bake that ends with its samples is expected to have them, by the present traffic."""
    if not rollout.step_samples:
        return ""
    so_far = f" at most, {rollout.step_served} of {rollout.step_samples} samples"
    if rollout.samples_in_seconds is None:
        return so_far
    return f"{so_far}, expected in {text.whole_duration(rollout.samples_in_seconds)}"


def _test_node(test: TestView) -> Node:
    status = {Severity.GOOD: "passed", Severity.BAD: "failed"}.get(
        test.severity, test.severity.value
    )
    info = test.cause or (text.duration(test.seconds) if test.seconds else "")
    return Node(name=f"test {test.name}", severity=test.severity, status=status, info=info)


def _approval_node(approval: ApprovalView, now: datetime) -> Node:
    count = f"{len(approval.agreed)} of {approval.needed}"
    said_by = [said(vote.who, vote.approve, vote.reason) for vote in approval.votes]
    pending = approval.decision is Decision.PENDING
    return Node(
        name="approval",
        severity=approval.severity,
        status=f"{approval.decision.value} {count}" if pending else approval.decision.value,
        info=", ".join(said_by),
        age_seconds=_age(approval.requested_at, None, now) if pending else None,
        children=tuple(
            Node(
                name="authors",
                severity=Severity.ALERT,
                status="not certain, one more asked",
                info=doubt,
            )
            for doubt in approval.doubts
        ),
    )


def said(who: str, approve: bool, why: str) -> str:
    """Who voted, against what, and why."""
    words = text.person(who) if approve else f"refused by {text.person(who)}"
    return f"{words}: {why}" if why else words


def _rollout_node(rollout: RolloutView, stage: StageView, now: datetime) -> Node:
    children = [_operation_node(o) for o in rollout.operations if o.under_way or o.failures]
    children += [_hook_node(hook, now) for hook in rollout.hooks if hook.when == "pre-traffic"]
    children += _alias_nodes(rollout)
    if rollout.verdict:
        children.append(_verdict_node(rollout.verdict))
        children += [_evidence_node(one) for one in rollout.verdict.evidence]
    children += [_hook_node(hook, now) for hook in rollout.hooks if hook.when != "pre-traffic"]
    children += _firing_nodes(rollout)
    children += [_restored_node(part, rollout.stack) for part in rollout.restored]
    children += [_unsent_node(n) for n in rollout.notifications if n.error]
    if stage.severity is Severity.WAITING:
        first = (*_gate_nodes(rollout), *_security_nodes(rollout), *_unheeded_nodes(rollout))
        children = [*first, *children]
        children += [*_function_nodes(rollout), *_warm_nodes(rollout)]
        children += _parameter_nodes(rollout)
        children += _change_nodes(rollout)
    return Node(
        name=rollout.target,
        severity=rollout.severity,
        status=rollout.phase.value if rollout.phase else _absent(rollout.severity),
        info=_rollout_info(rollout),
        clock=_next(rollout, now),
        age_seconds=_age(rollout.started_at, rollout.ended_at, now),
        children=tuple(children),
    )


def _rollout_info(rollout: RolloutView) -> str:
    if rollout.error:
        return rollout.error
    if rollout.all_at_once:
        return f"all at once: {rollout.all_at_once}"
    if rollout.first_deployment:
        return "first deployment"
    if rollout.phase is RolloutPhase.SHIFTING and rollout.steps:
        return f"step {rollout.step}/{rollout.steps}"
    if rollout.phase is RolloutPhase.SHIFTING and rollout.adaptive:
        return "adaptive"
    return f"stack {rollout.stack}"


def _operation_node(operation: OperationView) -> Node:
    """The stack: what CloudFormation works on now, and all that has failed."""
    current = operation.current[-1] if operation.under_way and operation.current else None
    unread = f"its events cannot be read: {operation.unread}" if operation.unread else ""
    return Node(
        name=f"stack {operation.operation}",
        severity=Severity.BAD if operation.failures else Severity.RUNNING,
        status=_lower(operation.status) or "begins",
        info=unread or (f"{current.logical_id} {_lower(current.status)}" if current else ""),
        children=tuple(_failure_node(line) for line in operation.failures),
    )


def _failure_node(line: StackLine) -> Node:
    info = f"{line.type}: {line.reason}" if line.reason else line.type
    return Node(name=line.logical_id, severity=Severity.BAD, status=_lower(line.status), info=info)


def _lower(status: str) -> str:
    """CloudFormation's word for a status, in small letters."""
    return status.replace("_", " ").lower()


def _restored_node(part: Restored, stack: str) -> Node:
    """What is as it was before; what is not stands out."""
    severity = Severity.GOOD if part.back else Severity.ALERT
    what, of, alias = part.what.partition("traffic of ")
    if of:
        function, _, name = alias.rpartition(":")
        what = f"{of}{text.function(function, stack)}:{name}"
    return Node(what, severity, "is back" if part.back else "is not back", part.how)


def _unsent_node(notification: NotificationView) -> Node:
    """Somebody was to be told, and was not."""
    return Node(
        f"notification {notification.trigger}", Severity.BAD, "not sent", notification.error
    )


def _alias_nodes(rollout: RolloutView) -> list[Node]:
    """Each alias that moves, with the share of its traffic that the candidate has."""
    return [
        Node(
            name=f"λ {text.function(shift.function, rollout.stack)}:{shift.alias}",
            severity=rollout.severity,
            status=f"{text.bar(rollout.weight)} {text.percent(rollout.weight)}",
            info=_versions(shift, rollout.phase),
        )
        for shift in rollout.shifts
    ]


def _versions(shift: Shift, phase: RolloutPhase | None) -> str:
    if phase is RolloutPhase.RESTORED:
        return f"version {shift.candidate} out, {shift.stable or 'nothing'} serves"
    if phase is RolloutPhase.SUCCEEDED or not shift.stable:
        return f"version {shift.candidate}"
    return f"version {shift.stable} → {shift.candidate}"


def _verdict_node(verdict: Verdict) -> Node:
    """The reasons, which have the numbers; the bare numbers when no reason was given."""
    return Node(
        name="health",
        severity=_JUDGEMENT_SEVERITY[verdict.judgement],
        status=verdict.judgement.value,
        info="; ".join(verdict.reasons) or text.numbers(verdict),
    )


def _evidence_node(evidence: Evidence) -> Node:
    """A test's e-value against the bound at which traffic goes back."""
    return Node(
        name=f"e-value {evidence.test}",
        severity=Severity.BAD if evidence.reached else Severity.GOOD,
        status=standing(evidence),
        info="the candidate is worse" if evidence.reached else "",
    )


def _hook_node(hook: HookView, now: datetime) -> Node:
    status = {Severity.GOOD: "passed", Severity.BAD: "failed"}.get(
        hook.severity, hook.severity.value
    )
    if hook.answers_until:
        status = "waiting for its answer"
    elif hook.seconds:
        status += f" {text.duration(hook.seconds)}"
    info = hook.cause or ", ".join(_signs_of_life(hook, now))
    return Node(f"{hook.when} {hook.function}", hook.severity, status, info=info)


def _signs_of_life(hook: HookView, now: datetime) -> Iterator[str]:
    """When a hook that answers later was heard last, and how long it still may take."""
    if hook.heard_at:
        yield f"last heartbeat {text.whole_duration((now - hook.heard_at).total_seconds())} ago"
    if hook.answers_until:
        yield f"{text.whole_duration((hook.answers_until - now).total_seconds())} left"


def _firing_nodes(rollout: RolloutView) -> list[Node]:
    """The alarms that fired before any traffic moved, while the rollout is to come or under way."""
    if rollout.severity not in {Severity.PENDING, Severity.RUNNING}:
        return []
    follows = "not counted in this rollout"
    if rollout.refuses_firing:
        follows = "no traffic moves while it does"
    return [
        Node(name=f"alarm {alarm}", severity=Severity.ALERT, status="fires already", info=follows)
        for alarm in rollout.firing_before
    ]


def _gate_nodes(rollout: RolloutView) -> list[Node]:
    """Whoever approves such a commit approves what is asked of the next ones, too."""
    return [
        Node(
            name="its own gates",
            severity=Severity.ALERT,
            status="changed by this commit",
            info=gate,
        )
        for gate in rollout.gates
    ]


def _security_nodes(rollout: RolloutView) -> list[Node]:
    """What outlives any rollback in somebody's hands: under a heading of its own."""
    if not rollout.security:
        return []
    lines = tuple(
        Node(name=line.logical_id, severity=Severity.SECURITY, status="look", info=line.what)
        for line in rollout.security
    )
    return [Node("security", Severity.SECURITY, "changes who may do what", children=lines)]


def _unheeded_nodes(rollout: RolloutView) -> list[Node]:
    return [
        Node(name="template", severity=Severity.ALERT, status="not followed", info=said)
        for said in rollout.unheeded
    ]


def _change_nodes(rollout: RolloutView) -> list[Node]:
    """What an approval is about. What no rollback would bring back stands out."""
    return [
        Node(
            name=change.logical_id,
            severity=Severity.ALERT if change.irreversible else Severity.PENDING,
            status=f"{change.change.lower()}, irreversible"
            if change.irreversible
            else change.change.lower(),
            info=_change_info(change),
        )
        for change in rollout.changes
    ]


def _change_info(change: ChangeLine) -> str:
    what = " ".join((change.type, *(f".{name}" for name in change.properties)))
    if change.irreversible:
        return f"{what}: {change.irreversible}"
    return f"{what}: leaves the stack and goes on existing" if change.kept else what


def _function_nodes(rollout: RolloutView) -> list[Node]:
    """Each function: the version that serves, the code that comes, and what no weight covers."""
    return [
        Node(
            name=f"λ {line.function}" + (f":{line.alias}" if line.alias else ""),
            severity=Severity.PENDING,
            status=_coming(line),
            info=_code(line),
            children=tuple(
                Node(name="not canaried", severity=Severity.ALERT, status="look", info=why)
                for why in line.not_canaried
            ),
        )
        for line in rollout.functions
    ]


def _coming(line: FunctionLine) -> str:
    if not line.publishes and line.old_version:
        return f"version {line.old_version} stays"
    return f"version {line.old_version} → new" if line.old_version else "new"


def _code(line: FunctionLine) -> str:
    """The first characters of the digests, where they are known."""
    old, new = text.digest(line.old_code), text.digest(line.new_code)
    if not line.publishes and line.alias:
        return f"code {old}" if old else ""
    if old and old == new:
        return f"code {old} stays, its configuration changes"
    return f"code {old} → {new}" if old and new else f"code {new}" if new else ""


def _warm_nodes(rollout: RolloutView) -> list[Node]:
    return [
        Node(
            name=f"warm {line.function}:{line.alias}",
            severity=Severity.PENDING,
            status="provisioned",
            info=text.warmth(line),
        )
        for line in rollout.warms
    ]


def _parameter_nodes(rollout: RolloutView) -> list[Node]:
    return [
        Node(
            name=f"parameter {line.name}",
            severity=Severity.PENDING,
            status="modify" if line.old else "add",
            info=f"{line.old} → {line.new}" if line.old else line.new,
        )
        for line in rollout.parameters
    ]


def reason(error: str, cause: str) -> str:
    """The name of an error with its message."""
    return f"{error}: {cause}" if error and cause else error or cause


def _absent(severity: Severity) -> str:
    return "not reached" if severity is Severity.SKIPPED else "not begun"


def elapsed_seconds(start: datetime, end: datetime | None, now: datetime) -> float:
    """From the start to the end, or to now while there is no end."""
    return ((end or now) - start).total_seconds()


def _age(start: datetime | None, end: datetime | None, now: datetime) -> float | None:
    return None if start is None else elapsed_seconds(start, end, now)
