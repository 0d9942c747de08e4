"""Whenever the rollout machine is stopped, one run of the guardian leaves no traffic split.

The machine is the real one on the embedded Step Functions; its tasks are the real ones, over ports
in memory, so that every call of every task can be the last.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from scripted import Answer, Raises, Scenario, Silence, Theatre, TokenSucceeds, definition

from support.story import CANARY, PROD, Story
from tidegate.aws.executions import StepFunctionsExecutions
from tidegate.core.errors import RestoreFailed, TidegateError
from tidegate.core.model.record import Rollout, RolloutPhase
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.hooks import asynchronous
from tidegate.core.workflow.hooks import run as hook
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release import lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.release.tests import TestResult, record_tests
from tidegate.core.workflow.rollout import deploy, restore, shift, warm
from tidegate.core.workflow.stage.approval import review
from tidegate.core.workflow.stage.begin import begin_stage
from tidegate.core.workflow.stage.preview import preview

pytestmark = pytest.mark.cloud

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}
RELEASE_EXECUTION = "execution-2"
LATER = CANARY.replace("[Pre]", "[{function: Pre, heartbeat: 1m}]").replace(
    "[Post]", "[{function: Post, heartbeat: 1m}]"
)
SECRETS = {"pre-traffic": "secret-0", "post-traffic": "secret-1"}  # of the machines in memory


def nothing(_: str) -> None:
    """Nobody stops it, and no guardian runs."""


@dataclass(frozen=True)
class Case:
    """What the machine is played with."""

    failing: float = 0.0  # share of the candidate's requests
    refusing: bool = False  # the target refuses every way back, until the execution is stopped
    silent: bool | None = None  # the hooks answer later; True: nothing is ever heard of them


CASES = {
    "good": Case(),
    "unhealthy": Case(failing=0.9),
    "no way back": Case(failing=0.9, refusing=True),
    "hooks answer later": Case(silent=False),
    "hooks never answer": Case(silent=True),
}


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "find-candidates": deploy.find_candidates,
    "finish": deploy.finish,
    "restore-stack": restore.restore_stack,
    "settle-capacity": warm.settle_capacity,
    "tick": shift.tick,
    "warm-candidates": warm.warm_candidates,
}
"""The tasks that are given the rollout and no more."""


@dataclass
class Act:
    """One execution of the rollout machine that is stopped at its ``stop_at``-th task.

    That task itself outlives the execution: it does its work after the guardian has done its own.
    """

    story: Story
    refusing: bool
    silent: bool | None = None
    stop_at: int = 0  # 0: never
    stop: Callable[[str], None] = nothing
    guardian: Callable[[str], None] = nothing
    execution: str = ""
    tasks: list[str] = field(default_factory=list)
    left: dict[str, tuple[str, dict[str, float]]] = field(default_factory=dict)  # by the guardian
    over: threading.Event = field(default_factory=threading.Event)

    def script(self) -> dict[str, Callable[[Mapping[str, Any]], Answer]]:
        names = ["deploy", "find-candidates", "warm-candidates", "run-hook", "tick", "bake"]
        names += ["await-hook", "conclude-hook", "finish", "settle-capacity"]
        names += ["restore-traffic", "restore-stack", "declare-stuck"]
        return {name: lambda event, name=name: self.answer(name, event) for name in names}

    def answer(self, task: str, event: Mapping[str, Any]) -> Answer:
        self.execution = self.execution or event["execution"]
        self.tasks.append(task)
        if len(self.tasks) != self.stop_at:
            return self.perform(task, event)
        self.stop(self.execution)
        self.refusing = False
        self.guardian(self.execution)
        self.left = self.story.serves()
        self.perform(task, event)
        self.over.set()
        return {}

    def perform(self, task: str, event: Mapping[str, Any]) -> Answer:
        try:
            return self.task(task, event)
        except TidegateError as error:
            return Raises(type(error).__name__, str(error))

    def task(self, task: str, event: Mapping[str, Any]) -> Answer:
        ports, ref = self.story.ports, self.story.ref(2)
        if self.refusing and task == "restore-traffic":
            raise RestoreFailed("The target refuses.")
        if task in _PLAIN:
            return _PLAIN[task](ports, ref) or {}
        match task:
            case "deploy":
                answer: Any = deploy.deploy(ports, ref, event["execution"])
            case "run-hook":
                terms = hook.Terms("bus", "secret")
                answer = hook.run_hook(ports, ref, event["when"], event["function"], terms)
                answer |= {"heartbeat_seconds": 1} if self.silent else {}
            case "await-hook":
                return self.await_hook(event)
            case "conclude-hook":
                self.story.world.clock.advance(600)
                answer = asynchronous.conclude_hook(ports, ref, event["when"], event["function"])
            case "bake":
                answer = self.bake(event["token"])
            case "restore-traffic":
                answer = restore.restore_traffic(ports, ref, event["failure"])
            case "declare-stuck":
                answer = restore.declare_stuck(ports, ref, event["failure"])
        return answer or {}

    def await_hook(self, event: Mapping[str, Any]) -> Answer:
        ports, ref, token = self.story.ports, self.story.ref(2), event["token"]
        asynchronous.await_answer(ports, ref, event["when"], event["function"], token)
        if self.silent:
            return Silence()
        run = f"hello-2/prod/{PROD}/{event['when']}/{event['function']}"
        asynchronous.on_answer(ports, asynchronous.Sender(run, "secret"), {"status": "Succeeded"})
        return TokenSucceeds()

    def bake(self, token: str) -> Answer:
        shift.bake(self.story.ports, self.story.ref(2), token)
        self.story.serve(self.story.ref(2), 60)
        self.story.world.clock.advance(60)
        return TokenSucceeds()


@cache
def about_to_roll_out(manifest: str) -> Story:
    """The first release is live, and the second one holds the lock with its stage previewed."""
    story = Story(manifest)
    story.machines.while_a_hook_works = lambda ref, when, function: asynchronous.on_answer(
        story.ports,
        asynchronous.Sender(f"{ref.release.id}/prod/{PROD}/{when}/{function}", SECRETS[when]),
        {"status": "Succeeded"},
    )
    if manifest == LATER:
        for name in ("Pre", "Post"):
            code = story.at(PROD).functions.code
            code[f"hello-prod-{name}"] = lambda payload: {"status": "InProgress"}
    assert story.release("one") == "succeeded"
    ports, ref = story.ports, story.ref(2).release
    artifact = story.application.build("two")
    plan_release(ports, artifact, RELEASE_EXECUTION)
    lock.take_lock(ports, ref, RELEASE_EXECUTION)
    record_tests(ports, ref, list[TestResult]())
    begin_stage(ports, ref, "prod")
    while not preview(ports, ref, "prod", PROD)["ready"]:
        story.world.clock.advance(5)
    review(ports, ref, "prod")
    return story


@dataclass(frozen=True)
class _Executions:
    """Rollouts as Step Functions knows them; the release's execution runs."""

    real: StepFunctionsExecutions

    def status(self, arn: str) -> str:
        return "RUNNING" if arn == RELEASE_EXECUTION else self.real.status(arn)


def play(theatre: Theatre, case: Case, stop_at: int = 0) -> Act:
    story = copy.deepcopy(about_to_roll_out(CANARY if case.silent is None else LATER))
    story.error_rates["2"] = case.failing

    def client(arn: str) -> Any:
        return theatre.aws.client("stepfunctions", account=arn.split(":")[4])

    def guardian(arn: str) -> None:
        executions = _Executions(StepFunctionsExecutions(client(arn)))
        guard(dataclasses.replace(story.ports, executions=executions))

    def stop(arn: str) -> None:
        client(arn).stop_execution(executionArn=arn)

    act = Act(story, case.refusing, case.silent, stop_at, stop, guardian)
    theatre.play(Scenario("rollout", act.script()))
    return act


def rollout_of(story: Story) -> Rollout | None:
    return find(story.world.ledger, Rollout, release_id="hello-2", stage="prod", target=PROD)


def last_of_each_row(tasks: list[str]) -> list[int]:
    """The numbers of the tasks that are not followed by the same again, from 1."""
    following = [*tasks[1:], ""]
    return [
        n for n, (task, after) in enumerate(zip(tasks, following, strict=True), 1) if task != after
    ]


@pytest.mark.parametrize("case", CASES)
def test_stopped_at_any_task_one_run_of_the_guardian_makes_traffic_safe(
    theatre: Theatre, case: str
) -> None:
    whole = play(theatre, CASES[case])
    for stop_at in last_of_each_row(whole.tasks):
        act = play(theatre, CASES[case], stop_at)
        act.over.wait()
        place = f"{case}, stopped at task {stop_at}: {act.tasks[-1]}"
        rollout = rollout_of(act.story)
        validated = rollout is not None and rollout.phase in {
            RolloutPhase.FINISHING,
            RolloutPhase.SUCCEEDED,
        }
        safe = ALL_ON_2 if validated else ALL_ON_1
        assert act.left == safe, place
        assert act.story.serves() == safe, f"{place}, which came late"
        for _ in range(3):  # it also ends what is over, as soon as the stack is at rest
            act.story.world.clock.advance(GRACE.total_seconds())
            act.guardian(act.execution)
        assert act.story.serves() == safe, place
        rollout = rollout_of(act.story)
        assert rollout is None or rollout.phase.over, place


def test_the_stories_stop_every_task_of_the_machine(theatre: Theatre) -> None:
    stopped = {task for case in CASES.values() for task in play(theatre, case).tasks}
    assert stopped == tasks_of(json.loads(definition("rollout")))


def tasks_of(machine: Mapping[str, Any]) -> set[str]:
    found = set()
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            found |= tasks_of(state["ItemProcessor"])
        elif "FunctionName" in state.get("Arguments", {}):
            found.add(state["Arguments"]["FunctionName"].removeprefix("${Controller}-"))
    return found
