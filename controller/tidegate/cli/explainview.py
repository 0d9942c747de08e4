"""Draws explanations: each decision as a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidegate.cli import text
from tidegate.core.insight.explain import DecisionExplained, ReleaseExplained, RolloutExplained
from tidegate.core.model.record import Verdict

_STYLES = {"set-weight": "bright_blue", "hold": "dim", "promote": "green", "restore": "red"}
_DONE = {"set-weight": "goes to", "hold": "holds", "promote": "promotes", "restore": "goes back"}


def draw_explanation(explained: ReleaseExplained) -> RenderableType:
    """All rollouts of a release, decision by decision."""
    if not explained.rollouts:
        return Text(f"{explained.release}: no rollout has begun, so nothing was decided.")
    return Group(*(Padding(_rollout(explained, one), (0, 0, 1, 0)) for one in explained.rollouts))


def _rollout(release: ReleaseExplained, rollout: RolloutExplained) -> RenderableType:
    head = Text(f"{release.release}  {rollout.stage} {rollout.target}", style="bold")
    parts: list[RenderableType] = [head]
    parts += [Text(f"  {sentence}", style="dim") for sentence in rollout.policy]
    if not rollout.decisions:
        parts.append(Text("  no decision: there was no traffic to shift"))
    parts += [Padding(_decision(one), (1, 0, 0, 0)) for one in rollout.decisions]
    outcome = Table.grid(padding=(0, 2))
    outcome.add_row(Text("outcome", style="bold"), Text(rollout.outcome, style="bold"))
    parts.append(Padding(outcome, (1, 0, 0, 0)))
    return Group(*parts)


def _decision(decision: DecisionExplained) -> RenderableType:
    head = Text(f"#{decision.number}  {decision.at:%H:%M:%S}  ")
    head.append(_DONE[decision.action], style=_STYLES[decision.action])
    if decision.action == "set-weight":
        head.append(f" {text.percent(decision.weight)}")
    elif decision.action == "hold":
        head.append(f" {text.percent(decision.weight)}", style="dim")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for label, words in _facts(decision):
        facts.add_row(f"    {label}", Text(words))
    return Group(head, facts)


def _facts(decision: DecisionExplained) -> Iterator[tuple[str, str]]:
    verdict = decision.verdict
    yield "data", f"{text.numbers(verdict)}; {verdict.judgement}"
    if verdict.probes:
        yield "", f"{verdict.probes} probes: {_probe_errors(verdict)}"
    for alarm in decision.firing:
        yield "", f"alarm {alarm} fires"
    yield "rule", decision.rule
    yield "why", decision.why
    for number, found in enumerate(decision.counterfactuals):
        yield "" if number else "else", found.words
    if not decision.repeated:
        yield "note", "the record does not have all that this decision rested on"


def _probe_errors(verdict: Verdict) -> str:
    return (
        f"candidate failed {verdict.candidate_probe_errors}, stable {verdict.stable_probe_errors}"
    )
