"""Whichever state an execution is stopped at, one run of the guardian leaves no traffic split.

The three machines are the real ones on the embedded Step Functions, one inside another; their tasks
are the real ones, over ports in memory. Which states there are is read from the definitions, so a
state that is added is stopped at, or the last test says that no story comes by it.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NamedTuple

import pytest
from scripted import MACHINES, Answer, Raises, Scenario, Silence, Theatre, TokenSucceeds, definition

from support.story import CANARY, PROD, Story
from support.waiting import wait_until
from tidegate.aws.callbacks import StepFunctionsCallbacks
from tidegate.aws.executions import StepFunctionsExecutions
from tidegate.core import errors
from tidegate.core.errors import RestoreFailed, ServiceRefused, TidegateError
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import (
    Approval,
    Decision,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Stage,
    Waiter,
    application_partition,
)
from tidegate.core.ports import Ports
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.hooks import asynchronous
from tidegate.core.workflow.hooks import run as hook
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.unlock import unlock
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release import lock
from tidegate.core.workflow.release.lock import read_lock
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.release.tests import TestResult, record_tests
from tidegate.core.workflow.rollout import deploy, restore, shift, warm
from tidegate.core.workflow.stage.approval import request_approval, review
from tidegate.core.workflow.stage.begin import begin_stage
from tidegate.core.workflow.stage.preview import preview
from tidegate.core.workflow.stage.settle import settle_stage

pytestmark = pytest.mark.cloud

BEA = Operator("bea")
RELEASE = "hello-2"
AT_ONCE = 4  # stories are mostly waiting
SERVED = {version: {"Hello": (version, {}), "Bye": (version, {})} for version in ("1", "2", "3")}
VALIDATED = {RolloutPhase.FINISHING, RolloutPhase.SUCCEEDED}
MANIFEST = CANARY.replace(
    "stages:", "tests: [{name: unit, commands: [make test]}]\nstages:"
).replace("    strategy:", "    approval: {approvers: 1, timeout: 24h}\n    strategy:")


class Place(NamedTuple):
    """A state of a machine, and how often it was entered by then."""

    machine: str
    state: str
    visit: int = 1


@dataclass(frozen=True)
class Case:
    """What happens on the way. Once the execution is stopped, nothing of it does any more."""

    failing: float = 0.0  # share of the candidate's requests
    hanging: str = ""  # the task that is never done
    raising: Mapping[str, str] = field(default_factory=dict)  # the errors that tasks end with
    failing_test: bool = False
    broken_callback: bool = False  # at the first evaluation
    failing_hook: str = ""
    bake: str = "2m"
    later: bool = False  # the hooks answer later
    silent: str = ""  # the one of them that nothing is ever heard of


CASES = {
    "good": Case(),
    "long": Case(bake="20m"),
    "queued for too long": Case(hanging="take-lock"),
    "a test fails": Case(failing_test=True),
    "the preview hangs": Case(hanging="preview"),
    "the preview fails": Case(raising={"preview": "ChangeSetFailed"}),
    "the stack hangs": Case(hanging="deploy"),
    "the candidates stay cold": Case(hanging="warm-candidates"),
    "refused before traffic": Case(failing_hook="Pre"),
    "refused after traffic": Case(failing_hook="Post"),
    "hooks answer later": Case(later=True),
    "the pre-traffic hook is silent": Case(later=True, silent="Pre"),
    "the post-traffic hook is silent": Case(later=True, silent="Post"),
    "no callback": Case(broken_callback=True),
    "unhealthy": Case(failing=0.9),
    "the finish hangs": Case(hanging="finish"),
    "the old stack hangs": Case(failing=0.9, hanging="restore-stack"),
    "no way back": Case(failing=0.9, raising={"restore-traffic": "RestoreFailed"}),
}


@cache
def first_is_live(bake: str) -> Story:
    """The first release is live; what comes next is up to the test."""
    manifest = MANIFEST.replace("2m", bake)
    for name in ("Pre", "Post"):
        manifest = manifest.replace(f"[{name}]", f"[{{function: {name}, heartbeat: 1m}}]")
    story = Story(manifest)
    story.machines.while_waiting = lambda ref, stage: agree(story, ref)
    assert story.release("one") == "succeeded"
    return story


def agree(story: Story, ref: ReleaseRef) -> None:
    approve(story.ports, BEA, ref.id)


@dataclass
class Act:
    """One release through the engine, stopped when it enters a state for the given time.

    What a function does in a state outlives the execution: the guardian runs before it is done.
    """

    theatre: Theatre
    case: Case
    stop_at: Place | None = None
    stopping: str = ""  # the machine whose execution is stopped; "": that of the state
    story: Story = field(init=False)
    visits: Counter[tuple[str, str]] = field(default_factory=Counter)
    executions: dict[str, str] = field(default_factory=dict)  # the newest, by machine
    stopped: bool = False
    validated: bool = False
    armed: bool = False  # stopped as soon as the state's function is called
    left: Mapping[str, Any] | None = None  # by the guardian's first run

    def __post_init__(self) -> None:
        self.story = copy.deepcopy(first_is_live(self.case.bake))
        self.story.machines.while_waiting = lambda ref, stage: agree(self.story, ref)
        self.story.machines.while_baking = self.story.serve
        self.story.machines.ports = self.story.ports
        self.story.error_rates["2"] = self.case.failing
        if self.case.failing_hook:
            refuse = {"status": "Failed", "reason": "as the case says"}
            code = self.story.at(PROD).functions.code
            code[f"hello-prod-{self.case.failing_hook}"] = lambda payload: refuse
        if self.case.later:
            for name in ("Pre", "Post"):
                code = self.story.at(PROD).functions.code
                code[f"hello-prod-{name}"] = lambda payload: {"status": "InProgress"}
        self._world = threading.RLock()  # the world in memory is for one at a time

    # ------------------------------------------------------------------------ the engine's side

    def play(self) -> Act:
        """Run it to its end; every execution has ended, and the guardian has run once."""
        artifact = self.story.application.build("two").model_dump()
        tasks = {name for machine in MACHINES for name in tasks_of(machine).values()}
        script: dict[str, Any] = {name: self._answering(name) for name in tasks}
        script["unit"] = {"status": "FAILED" if self.case.failing_test else "SUCCEEDED"}
        self.theatre.play(Scenario("release", script, event=artifact, on_enter=self._enter))
        wait_until(lambda: all(self._status(arn) != "RUNNING" for arn in self.executions.values()))
        if self.left is None:  # what was stopped lies around or within the rollout's own execution
            self.guardian()
            self.left = self.story.serves()
        return self

    def _enter(self, execution: str, state: str) -> None:
        machine = execution.split(":")[-2].removeprefix("tidegate-")
        with self._world:
            self.executions[machine] = execution
            self.visits[machine, state] += 1
            here = Place(machine, state, self.visits[machine, state])
            if here != self.stop_at:
                return
            if state in tasks_of(machine):
                self.armed = True
            else:
                self._stop()

    def _answering(self, task: str) -> Any:
        def answer(event: Mapping[str, Any]) -> Answer:
            with self._world:
                if self.armed:
                    self.armed = False
                    self._stop()
                self.story.world.clock.advance(5)
                return self._perform(task, event)

        return answer

    def _stop(self) -> None:
        assert self.stop_at
        arn = self.executions[self.stopping or self.stop_at.machine]
        rollout = self.rollout()
        self.validated = rollout is not None and (
            rollout.phase in VALIDATED
            or (rollout.phase is RolloutPhase.STUCK and rollout.weight == 1)
        )
        self._client.stop_execution(executionArn=arn)
        self.stopped = True
        owner = rollout.execution_arn if rollout else ""
        over = not owner or self._status(owner) != "RUNNING"
        self.guardian()
        if over:
            self.left = self.story.serves()

    @cached_property
    def _client(self) -> Any:
        account = next(iter(self.executions.values())).split(":")[4]
        return self.theatre.aws.client("stepfunctions", account=account)

    def _status(self, arn: str) -> str:
        return str(self._client.describe_execution(executionArn=arn)["status"])

    # ------------------------------------------------------------------------------- the tasks

    def _perform(self, task: str, event: Mapping[str, Any]) -> Answer:
        if not self.stopped and task in self.case.raising:
            return Raises(self.case.raising[task])
        if not self.stopped and task == self.case.hanging:
            return {"done": False, "ready": False, "held": False, "holder": "hello-1"}
        try:
            return self._task(task, event) or {}
        except TidegateError as error:
            return Raises(type(error).__name__, str(error))

    def _task(self, task: str, event: Mapping[str, Any]) -> Any:
        client = self._client
        ports = dataclasses.replace(
            self.story.ports,
            callbacks=StepFunctionsCallbacks(client),
            executions=StepFunctionsExecutions(client),
        )
        ref, at = self.story.ref(2), self.story.ref(2).release
        acts: Mapping[str, Callable[[], Any]] = {
            "plan": lambda: self._plan(ports, event["execution"]),
            "take-lock": lambda: lock.take_lock(ports, at, event["execution"]),
            "record-tests": lambda: record_tests(
                ports, at, [TestResult.model_validate(result) for result in event["results"]]
            ),
            "settle-release": lambda: settle_release(
                ports, event["execution"], at if event["release"] else None, event["failure"]
            ),
            "begin-stage": lambda: begin_stage(ports, at, "prod"),
            "preview": lambda: preview(ports, at, "prod", PROD),
            "review": lambda: review(ports, at, "prod"),
            "request-approval": lambda: self._request_approval(ports, event["token"]),
            "settle-stage": lambda: settle_stage(ports, at, "prod", event["failure"]),
            "deploy": lambda: deploy.deploy(ports, ref, event["execution"]),
            "find-candidates": lambda: deploy.find_candidates(ports, ref),
            "run-hook": lambda: self._run_hook(ports, event),
            "await-hook": lambda: self._await_hook(ports, event),
            "conclude-hook": lambda: self._conclude_hook(ports, event),
            "warm-candidates": lambda: warm.warm_candidates(ports, ref),
            "settle-capacity": lambda: warm.settle_capacity(ports, ref),
            "tick": lambda: {**shift.tick(ports, ref), "bake_seconds": 1},
            "bake": lambda: self._bake(ports, event["token"]),
            "finish": lambda: deploy.finish(ports, ref),
            "restore-traffic": lambda: restore.restore_traffic(ports, ref, event["failure"]),
            "restore-stack": lambda: restore.restore_stack(ports, ref),
            "declare-stuck": lambda: restore.declare_stuck(ports, ref, event["failure"]),
        }
        return acts[task]()

    def _plan(self, ports: Ports, execution: str) -> Answer:
        planned = plan_release(ports, self.story.application.build("two"), execution)
        return {**planned, "tests": [{**t, "buildspec": t["name"]} for t in planned["tests"]]}

    def _request_approval(self, ports: Ports, token: str) -> None:
        ref = self.story.ref(2).release
        request_approval(ports, ref, "prod", token)
        if not self.stopped:
            approve(ports, BEA, ref.id)

    def _run_hook(self, ports: Ports, event: Mapping[str, Any]) -> Answer:
        terms = hook.Terms("bus", "secret")
        answer = hook.run_hook(ports, self.story.ref(2), event["when"], event["function"], terms)
        silent = event["function"] == self.case.silent
        return {**answer, "heartbeat_seconds": 1} if silent else answer

    def _await_hook(self, ports: Ports, event: Mapping[str, Any]) -> Answer:
        at = self.story.ref(2)
        asynchronous.await_answer(ports, at, event["when"], event["function"], event["token"])
        if event["function"] != self.case.silent and not self.stopped:
            run = f"{RELEASE}/prod/{PROD}/{event['when']}/{event['function']}"
            asynchronous.on_answer(
                ports, asynchronous.Sender(run, "secret"), {"status": "Succeeded"}
            )
        return Silence()

    def _conclude_hook(self, ports: Ports, event: Mapping[str, Any]) -> Any:
        self.story.world.clock.advance(600)
        return asynchronous.conclude_hook(
            ports, self.story.ref(2), event["when"], event["function"]
        )

    def _bake(self, ports: Ports, token: str) -> Answer:
        self.story.serve(self.story.ref(2), 60)
        self.story.world.clock.advance(60)
        if self.case.broken_callback and self.visits["rollout", "Watch without a callback"] == 0:
            raise ServiceRefused("The bell is broken.")
        shift.bake(ports, self.story.ref(2), token)
        return {} if self.stopped else TokenSucceeds()

    # ----------------------------------------------------------------------------- what is left

    def guardian(self) -> None:
        """One run; what it could not do, the next one tries again."""
        ports = dataclasses.replace(
            self.story.ports, executions=StepFunctionsExecutions(self._client)
        )
        try:
            guard(ports)
        except RestoreFailed:
            return

    def rollout(self) -> Rollout | None:
        return find(self.story.world.ledger, Rollout, release_id=RELEASE, stage="prod", target=PROD)

    @property
    def safe(self) -> Mapping[str, Any]:
        """All on the candidate when it was validated before the stop, or else on the stable one."""
        return SERVED["2" if self.validated else "1"]


@cache
def machine_of(name: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads(definition(name))
    return loaded


def states_of(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for body in [state.get("ItemProcessor"), *state.get("Branches", ())]:
            if body:
                yield from states_of(body)


@cache
def tasks_of(machine: str) -> Mapping[str, str]:
    """The state's function, for each state that has one."""
    return {
        name: state["Arguments"]["FunctionName"].removeprefix("${Controller}-")
        for name, state in states_of(machine_of(machine))
        if "FunctionName" in state.get("Arguments", {})
    }


def all_states() -> set[tuple[str, str]]:
    return {(name, state) for name in MACHINES for state, _ in states_of(machine_of(name))}


class Stop(NamedTuple):
    """A story, and where it is stopped."""

    case: str
    place: Place
    stopping: str = ""

    def __str__(self) -> str:
        stopped = f", {self.stopping} stopped" if self.stopping else ""
        return f"{self.case}: {self.place.machine}, {self.place.state} {self.place.visit}{stopped}"


@pytest.fixture(scope="module")
def stops(theatre: Theatre) -> list[Stop]:
    """Each state, at the last time that the first story to come by it enters it.

    What shifts is also stopped at its beginning, and from above: all that is inside ends with it.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        acts = list(pool.map(lambda case: Act(theatre, case).play(), CASES.values()))
    found: dict[tuple[str, str], Stop] = {}
    for case, act in zip(CASES, acts, strict=True):
        for place, visits in act.visits.items():
            found.setdefault(place, Stop(case, Place(*place, visits)))
    split = Stop("good", Place("rollout", "Watch the candidate"))
    above = [split._replace(stopping=machine) for machine in ("stage", "release")]
    return [*found.values(), split, *above]


def test_the_stories_come_by_every_state(stops: list[Stop]) -> None:
    assert all_states() - {(stop.place.machine, stop.place.state) for stop in stops} == set()


def test_stopped_at_any_state_one_run_of_the_guardian_makes_traffic_safe(
    theatre: Theatre, stops: list[Stop]
) -> None:
    def stopped(stop: Stop) -> list[str]:
        act = Act(theatre, CASES[stop.case], stop.place, stop.stopping).play()
        return [f"{stop}: {problem}" for problem in problems(act)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [problem for some in pool.map(stopped, stops) for problem in some]
    assert not found, "\n".join(found)


def problems(act: Act) -> Iterator[str]:
    """What is not as it must be, now and when the guardian has run some more times."""
    story = act.story
    if not act.stopped:
        yield "was never stopped"
    if act.left != act.safe:
        yield f"one run leaves {act.left}"
    for _ in range(4):  # the first of these may find a task that outlived its execution
        story.world.clock.advance(GRACE.total_seconds())
        act.guardian()
        if read_lock(story.world.ledger, "hello").owner == "" and story.serves() != act.safe:
            yield f"the lock is free, and traffic is at {story.serves()}"
    if story.serves() != act.safe:
        yield f"serves {story.serves()} in the end"
    yield from stranded(story)
    if phase_of(story) is ReleasePhase.STUCK:
        unlock(story.ports, BEA, RELEASE, RELEASE, "looked at it")
    story.error_rates.clear()
    story.at(PROD).functions.code.clear()
    phase = story.release("three")
    if phase != "succeeded":
        yield f"the next release is {phase}"


def phase_of(story: Story) -> ReleasePhase | None:
    """None for a release that was stopped before it had a number."""
    found = find(story.world.ledger, Release, application="hello", number=2)
    return found.phase if found else None


def stranded(story: Story) -> Iterator[str]:
    """Everything that waits for what will never come."""
    ledger, phase = story.world.ledger, phase_of(story)
    if phase and not phase.over:
        yield f"the release is {phase}"
    if phase is not ReleasePhase.STUCK and read_lock(ledger, "hello").owner:
        yield "the lock is held"
    for item in [*story.items(2, ""), *ledger.query(application_partition("hello"))]:
        match item:
            case Stage(ended_at=None):
                yield f"the stage is {item.phase}"
            case Approval(decision=Decision.PENDING):
                yield "somebody is still asked"
            case Rollout() if not item.phase.over:
                yield f"the rollout is {item.phase}"
            case Waiter():
                yield "it waits in the queue"


def test_every_error_of_a_case_is_one_that_its_task_may_raise() -> None:
    raised = {error for case in CASES.values() for error in case.raising.values()}
    assert all(issubclass(getattr(errors, error), TidegateError) for error in raised)
