"""Probes: requests of Tidegate's own to both versions, when users send too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from support.story import MANIFEST, PROD, Story
from tidegate.core.decision.evaluation import policy_of
from tidegate.core.insight.explain import explain_rollout
from tidegate.core.model.record import Plan, RolloutPhase, Tick
from tidegate.core.workflow.rollout.shift import tick

CHECKS = "errors: {max_increase: 5%, min_samples: 20, extend: 5m}"
PROBED = MANIFEST.replace(
    CHECKS,
    "errors: {max_increase: 5%, min_samples: 20, extend: 5m, when_too_few: probe, probe: PROBE}",
)
PAYLOADS = "{payloads: {Hello: [{n: 1}, {n: 2}, {n: 3}]}, per_minute: 6}"

Tell = Callable[..., Story]


def released(probe: str) -> Story:
    """The first release is live, and users stay away from the next."""
    story = Story(PROBED.replace("PROBE", probe))
    assert story.release("one") == "succeeded"
    story.machines.while_baking = lambda ref, seconds: None
    code = story.at(PROD).functions.code
    for version in ("1", "2"):
        code[f"hello-prod-Hello:{version}"] = lambda payload: "ok"
    return story


def fail(payload: Mapping[str, Any]) -> Any:
    raise ValueError(f"cannot do {payload['n']}")


def probes(story: Story) -> list[tuple[str, Any]]:
    calls = story.at(PROD).functions.calls
    return [(name, payload) for name, payload, _ in calls if ":" in name]


def last_tick(story: Story) -> Tick:
    return [item for item in story.items(2, "TICK#prod") if isinstance(item, Tick)][-1]


def test_a_healthy_candidate_without_users_is_promoted_on_probes_alone() -> None:
    story = released(PAYLOADS)
    assert story.release("two") == "succeeded"
    verdict = last_tick(story).verdict
    assert (verdict.candidate_invocations, verdict.stable_invocations) == (0, 0)
    assert verdict.probes >= 20
    assert "requests to each version were probes: candidate failed 0, stable 0" in str(
        verdict.reasons
    )


def test_a_candidate_that_fails_probes_goes_back_though_no_user_came() -> None:
    story = released(PAYLOADS)
    story.at(PROD).functions.code["hello-prod-Hello:2"] = fail
    assert story.release("two") == "failed"
    assert story.rollout(2).phase is RolloutPhase.RESTORED
    tick = last_tick(story)
    assert tick.verdict.judgement == "unhealthy"
    assert tick.verdict.candidate_errors == 0
    assert tick.verdict.candidate_probe_errors == tick.verdict.probes > 0


def test_both_versions_get_the_same_payloads_so_many_a_minute() -> None:
    story = released(PAYLOADS)
    story.release("two")
    sent = probes(story)
    first = sent[:12]
    assert [payload["n"] for name, payload in first if name.endswith(":1")] == [1, 2, 3] * 2
    assert [payload["n"] for name, payload in first if name.endswith(":2")] == [1, 2, 3] * 2
    evaluations = [one.at for one in story.rollout(2).probes]
    gaps = [(b - a).total_seconds() for a, b in pairwise(evaluations)]
    assert min(gaps) >= 50
    assert {one.sent for one in story.rollout(2).probes} == {6}


def test_probes_are_marked_and_hooks_are_not() -> None:
    story = released(PAYLOADS)
    story.release("two")
    functions = story.at(PROD).functions
    for (name, _, _), mark in zip(functions.calls, functions.marks, strict=True):
        assert mark == ({"tidegate": {"probe": "hello-2"}} if ":" in name else {})


def test_no_probe_is_sent_while_users_send_enough() -> None:
    story = released(PAYLOADS)
    story.machines.while_baking = story.serve
    assert story.release("two") == "succeeded"
    assert probes(story) == []


def test_too_few_even_with_probes_go_back() -> None:
    story = released("{payloads: {Hello: [{n: 1}]}, per_minute: 1}")
    assert story.release("two") == "failed"
    assert "no judgement at 10%" in story.get(2).cause


def test_a_function_of_the_application_makes_the_payloads() -> None:
    story = released("{function: Pre, per_minute: 10}")
    code = story.at(PROD).functions.code
    seen: list[Mapping[str, Any]] = []

    def make(event: Mapping[str, Any]) -> Any:
        if "when" in event:
            return {"status": "Succeeded"}
        seen.append(event)
        return {"payloads": {"Hello": [{"n": 7}], "Unknown": [{"n": 8}]}}

    code["hello-prod-Pre"] = make
    assert story.release("two") == "succeeded"
    assert seen[0]["release"]["id"] == "hello-2"
    assert {payload["n"] for _, payload in probes(story)} == {7}


@pytest.mark.parametrize(
    ("answer", "why"), [({}, "returned no `payloads`"), (None, "returned no `payloads`")]
)
def test_a_function_that_makes_no_payloads_ends_the_rollout(answer: Any, why: str) -> None:
    story = released("{function: Pre}")
    story.at(PROD).functions.code["hello-prod-Pre"] = lambda event: (
        {"status": "Succeeded"} if "when" in event else answer
    )
    assert story.release("two") == "failed"
    assert story.get(2).error == "HookFailed"
    assert why in story.get(2).cause


def test_a_look_sends_only_as_many_as_it_has_time_for() -> None:
    story = released(PAYLOADS)

    def slow(payload: Mapping[str, Any]) -> Any:
        story.world.clock.advance(9)

    story.at(PROD).functions.code["hello-prod-Hello:1"] = slow
    story.release("two")
    assert {one.sent for one in story.rollout(2).probes} == {3}


def test_explains_what_was_decided_on_probes() -> None:
    story = released(PAYLOADS)
    story.release("two")
    rollout = story.rollout(2)
    (plan,) = (item.plan for item in story.items(2, "PLAN") if isinstance(item, Plan))
    policy = policy_of(plan.stage("prod"), rollout)
    told = explain_rollout(policy, rollout, story.items(2, "TICK#prod"))
    assert all(one.repeated for one in told.decisions)
    assert told.decisions[-1].verdict.probes >= 20


def test_a_look_that_comes_early_sends_no_more() -> None:
    story = released(PAYLOADS)
    sent: list[int] = []

    def evaluate_twice(ref: Any, seconds: int) -> None:
        before = len(probes(story))
        tick(story.ports, ref)
        sent.append(len(probes(story)) - before)

    story.machines.while_baking = evaluate_twice
    story.release("two")
    assert len(story.rollout(2).probes) > 1
    assert set(sent) == {0}
