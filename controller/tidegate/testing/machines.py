"""The state machines as plain Python: the same tasks in the same order, with the same way back.

A test drives a whole release through them without an engine. Tasks are repeated as the machines'
``Retry`` repeats them; time passes on the settable clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

from tidegate.core.errors import (
    ApprovalExpired,
    FinishFailed,
    NeedsOperator,
    RestoreFailed,
    TidegateError,
    TookTooLong,
)
from tidegate.core.model.plan import ArtifactRef, ReleaseRef
from tidegate.core.model.record import HookRun
from tidegate.core.ports import Ports
from tidegate.core.workflow.hooks import asynchronous
from tidegate.core.workflow.hooks import run as hook
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release import lock
from tidegate.core.workflow.release.plan import Planned, plan_release
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.release.tests import TestResult, record_tests
from tidegate.core.workflow.rollout import deploy, restore, shift, warm
from tidegate.core.workflow.stage.approval import request_approval, review
from tidegate.core.workflow.stage.begin import begin_stage
from tidegate.core.workflow.stage.preview import preview
from tidegate.core.workflow.stage.settle import settle_stage
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.memory import MemoryWorld
from tidegate.testing.retries import RETRIES, Crash, Retrier

_Result = TypeVar("_Result")
_FailureOutput = Mapping[str, str]
_POLLS = 220
_FIRST_POLLS = 20
_SLOW_POLL_SECONDS = 30.0
_EVALUATIONS = 660
_BUS = "arn:aws:events:eu-west-1:111111111111:event-bus/tidegate"


def _nothing(*_: Any) -> None:
    return None


def _pass(_: str) -> str:
    return "SUCCEEDED"


def _call(task: Callable[[], _Result]) -> _Result:
    return task()


@dataclass
class Machines:
    """Runs releases. ``while_waiting`` acts for people, ``while_baking`` for users and time.

    ``while_a_hook_works`` acts for what a hook that answers later has begun. ``ports`` are the
    world's unless a test puts something between.
    """

    world: MemoryWorld
    ports: Ports
    while_waiting: Callable[[ReleaseRef, str], None] = _nothing
    while_baking: Callable[[RolloutRef, int], None] = _nothing
    while_a_hook_works: Callable[[RolloutRef, str, str], None] = _nothing
    tests: Callable[[str], str] = _pass
    poll_seconds: float = 5.0  # of the first polls; later ones come now and then
    polls: int = _POLLS
    evaluations: int = _EVALUATIONS  # of one execution of the rollout machine
    invoke: Callable[[Callable[[], Any]], Any] = _call  # runs one invocation of a task
    _secrets: Iterator[int] = field(default_factory=count)

    def release(self, artifact: ArtifactRef, execution: str) -> str:
        """One execution of the release machine. Returns the release's last phase."""
        ref: ReleaseRef | None = None
        failure: _FailureOutput | None = None
        try:
            planned = self.do(
                "Plan the release", lambda: plan_release(self.ports, artifact, execution)
            )
            ref = ReleaseRef.model_validate(planned["release"])
            self._go_through(ref, execution, planned)
        except Exception as error:
            failure = failed(error)
        settled = self.do(
            "Settle the release",
            lambda: settle_release(self.ports, execution, ref, failure),
        )
        return settled["phase"]

    def stage(self, ref: ReleaseRef, name: str) -> None:
        """One execution of the stage machine. Raises what ended it first."""
        ended: Exception | None = None
        try:
            self._roll_out(ref, name)
        except Exception as error:
            ended = error
        failure = failed(ended) if ended else None
        try:
            self.do("Settle the stage", lambda: settle_stage(self.ports, ref, name, failure))
        except Exception as error:
            raise ended or error  # noqa: B904  # what failed first is what people must read
        if ended:
            raise ended

    def rollout(self, ref: RolloutRef) -> None:
        """One execution of the rollout machine. Raises what ended it, restored or stuck."""
        try:
            if not self._shift(ref):
                self.rollout(ref)  # a fresh execution goes on
                return
        except Exception as error:
            self._go_back(ref, failed(error))
            raise
        try:
            self._poll("Finish the stack", lambda: deploy.finish(self.ports, ref)["done"])
        except Exception as error:
            self._declare_stuck(ref, failed(error))
            raise FinishFailed(str(error)) from error
        self._settle_capacity("Release the old capacity", ref)

    def do(self, state: str, task: Callable[[], _Result]) -> _Result:
        """Invoke the task of this state, and again as its ``Retry`` says."""
        tried = Counter[Retrier]()
        while True:
            try:
                answer: _Result = self.invoke(task)
            except (Exception, Crash) as error:
                self._wait_to_repeat(RETRIES[state], tried, error)
            else:
                return answer

    def _wait_to_repeat(
        self, retriers: Sequence[Retrier], tried: Counter[Retrier], error: Exception | Crash
    ) -> None:
        """Raises the error when it is not to be repeated, or was often enough."""
        for retrier in retriers:
            if isinstance(error, retrier.errors) and tried[retrier] < retrier.attempts:
                tried[retrier] += 1
                self.world.clock.advance(retrier.pause(tried[retrier]))
                return
            if isinstance(error, retrier.errors):
                break
        if isinstance(error, Crash):
            raise OSError("The function never answered.") from error
        raise error

    def _go_through(self, ref: ReleaseRef, execution: str, planned: Planned) -> None:
        self._poll("Take the lock", lambda: lock.take_lock(self.ports, ref, execution)["held"])
        names = [test["name"] for test in planned["tests"]]
        results = [TestResult(name=name, status=self.tests(name)) for name in names]
        self.do("Record the tests", lambda: record_tests(self.ports, ref, results))
        for name in planned["stages"]:
            self.stage(ref, name)

    def _roll_out(self, ref: ReleaseRef, name: str) -> None:
        begun = self.do("Begin the stage", lambda: begin_stage(self.ports, ref, name))
        for target in (target for wave in begun["waves"] for target in wave):
            self._preview(ref, name, target)
        reviewed = self.do("Review the changes", lambda: review(self.ports, ref, name))
        if reviewed["approval_timeout_seconds"]:
            self._wait_for_approval(ref, name, reviewed["approval_timeout_seconds"])
        for wave in reviewed["waves"]:
            self._wave([RolloutRef(release=ref, stage=name, target=target) for target in wave])

    def _wave(self, refs: Sequence[RolloutRef]) -> None:
        """Every rollout of a wave ends by itself; then the failure that needs a person counts."""
        failures = []
        for ref in refs:
            try:
                self.rollout(ref)
            except Exception as error:
                failures.append(error)
        if failures:
            raise min(failures, key=lambda error: not isinstance(error, NeedsOperator))

    def _preview(self, ref: ReleaseRef, name: str, target: str) -> None:
        self._poll(
            "Preview the changes",
            lambda: preview(self.ports, ref, name, target)["ready"],
        )

    def _wait_for_approval(self, ref: ReleaseRef, name: str, timeout_seconds: int) -> None:
        token = self.world.callbacks.make()
        self.do("Wait for approval", lambda: request_approval(self.ports, ref, name, token))
        if token in self.world.callbacks.waiting:
            self.while_waiting(ref, name)
        answer = self.world.callbacks.answers.get(token)
        if answer is None:
            self.world.callbacks.waiting.discard(token)
            self.world.clock.advance(timeout_seconds)
            raise ApprovalExpired(f"Nobody decided on stage {name} in time.")
        if "Error" in answer:
            raise _AnsweredError(answer["Error"], answer["Cause"])

    def _shift(self, ref: RolloutRef) -> bool:
        """Whether the candidates have all traffic; not when they were watched often enough."""
        self._poll("Deploy the stack", lambda: deploy.deploy(self.ports, ref)["done"])
        hooks = self.do("Find the candidates", lambda: deploy.find_candidates(self.ports, ref))
        self._poll("Warm the candidates", lambda: warm.warm_candidates(self.ports, ref)["done"])
        self._hooks(ref, hook.PRE_TRAFFIC, hooks["pre_traffic"])
        if not self._shift_until_promoted(ref):
            return False
        self._hooks(ref, hook.POST_TRAFFIC, hooks["post_traffic"])
        return True

    def _shift_until_promoted(self, ref: RolloutRef) -> bool:
        for _ in range(self.evaluations):
            tick_result = self.do("Shift traffic", lambda: shift.tick(self.ports, ref))
            if tick_result["promoted"]:
                return True
            self._bake(ref, tick_result["bake_seconds"])
        return False

    def _bake(self, ref: RolloutRef, seconds: int) -> None:
        """Time passes only while nobody answers the token; it may also be that nobody can."""
        token = self.world.callbacks.make()
        with suppress(Exception):
            self.do("Watch the candidate", lambda: shift.bake(self.ports, ref, token))
        self.while_baking(ref, seconds)
        if token in self.world.callbacks.waiting:
            self.world.callbacks.waiting.discard(token)
            self.world.clock.advance(seconds)
        answer = self.world.callbacks.answers.get(token, {})
        if "Error" in answer:
            raise _AnsweredError(answer["Error"], answer["Cause"])

    def _hooks(self, ref: RolloutRef, when: str, functions: Sequence[str]) -> None:
        for function in functions:
            self._hook(ref, when, function)

    def _hook(self, ref: RolloutRef, when: str, function: str) -> None:
        terms = hook.Terms(bus=_BUS, secret=f"secret-{next(self._secrets)}")
        stands = self.do(
            f"Run the {when} hook",
            lambda: hook.run_hook(self.ports, ref, when, function, terms),
        )
        if stands["outcome"] == "waiting":
            self._wait_for_hook(ref, when, function)

    def _wait_for_hook(self, ref: RolloutRef, when: str, function: str) -> None:
        """Whoever works for the hook has its time; then its silence counts."""
        token = self.world.callbacks.make()
        self.do(
            f"Wait for the {when} hook",
            lambda: asynchronous.await_answer(self.ports, ref, when, function, token),
        )
        if token in self.world.callbacks.waiting:
            self.while_a_hook_works(ref, when, function)
        answer = self.world.callbacks.answers.get(token)
        if answer is None:
            self.world.callbacks.waiting.discard(token)
            self._be_patient(ref, when, function)
            self.do(
                f"Conclude the {when} hook",
                lambda: asynchronous.conclude_hook(self.ports, ref, when, function),
            )
        elif "Error" in answer:
            raise _AnsweredError(answer["Error"], answer["Cause"])

    def _be_patient(self, ref: RolloutRef, when: str, function: str) -> None:
        """Wait for the hook's next heartbeat or for its deadline, whichever is nearer."""
        key = {"release_id": ref.release.id, "stage": ref.stage, "target": ref.target}
        run = find(self.world.ledger, HookRun, **key, when=when, function=function)
        now = self.world.clock.now()
        if run and run.deadline and run.heard_at:
            until = min(run.deadline, run.heard_at + timedelta(seconds=run.heartbeat_seconds))
            self.world.clock.advance(max(0.0, (until - now).total_seconds()))

    def _go_back(self, ref: RolloutRef, failure: _FailureOutput) -> None:
        """Raises ``RestoreFailed`` when it is stuck."""
        try:
            self.do("Restore traffic", lambda: restore.restore_traffic(self.ports, ref, failure))
            self._settle_capacity("Release the new capacity", ref)
            self._poll("Restore the stack", lambda: restore.restore_stack(self.ports, ref)["done"])
        except Exception as error:
            self._declare_stuck(ref, failed(error))
            raise RestoreFailed(str(error)) from error

    def _settle_capacity(self, state: str, ref: RolloutRef) -> None:
        """What is not released costs money, and nothing else: the way goes on."""
        with suppress(Exception):
            self.do(state, lambda: warm.settle_capacity(self.ports, ref))

    def _declare_stuck(self, ref: RolloutRef, failure: _FailureOutput) -> None:
        """The execution's own failure still says it when this fails."""
        with suppress(Exception):
            self.do(
                "Declare the rollout stuck",
                lambda: restore.declare_stuck(self.ports, ref, failure),
            )

    def _poll(self, state: str, task: Callable[[], bool]) -> None:
        for number in range(self.polls):
            if self.do(state, task):
                return
            seconds = self.poll_seconds if number < _FIRST_POLLS else _SLOW_POLL_SECONDS
            self.world.clock.advance(seconds)
        raise TookTooLong(f"Not done after {self.polls} polls.")


class _AnsweredError(TidegateError):
    """A task token was answered with an error of this name."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(cause)
        self.error = error


def failed(error: Exception) -> dict[str, str]:
    """The ``{"Error", "Cause"}`` that a Catch receives for it."""
    name = error.error if isinstance(error, _AnsweredError) else type(error).__name__
    return {"Error": name, "Cause": str(error)}
