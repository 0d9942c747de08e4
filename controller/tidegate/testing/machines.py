"""The state machines as plain Python: the same tasks in the same order, with the same way back.

A test drives a whole release through them without an engine. Transient errors are repeated here as
the machines' ``Retry`` repeats them; time passes on the settable clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

from tidegate.core.errors import (
    AliasChangedByOthers,
    ApprovalExpired,
    FinishFailed,
    LockLost,
    TidegateError,
    TookTooLong,
    Transient,
)
from tidegate.core.plan import ArtifactRef, ReleaseRef
from tidegate.core.ports import Ports
from tidegate.core.record import HookRun
from tidegate.core.workflow import deploy, hook, later, lock, release, restore, shift, stage, warm
from tidegate.core.workflow.items import find
from tidegate.core.workflow.release import Planned, TestResult
from tidegate.core.workflow.scene import RolloutRef
from tidegate.testing.memory import MemoryWorld

_Result = TypeVar("_Result")
_FailureOutput = Mapping[str, str]
_ATTEMPTS = 6
_PATIENT_ATTEMPTS = 20  # of what must be heard: how a release ended, or that it is stuck
_STUBBORN_ATTEMPTS = 40  # of what must be done: traffic goes back
_POLLS = 100
_LOOKS = 660
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
    poll_seconds: float = 5.0
    polls: int = _POLLS
    looks: int = _LOOKS  # of one execution of the rollout machine
    transient: tuple[type[BaseException], ...] = (Transient,)  # what ``Retry`` names
    invoke: Callable[[Callable[[], Any]], Any] = _call  # runs one invocation of a task
    _secrets: Iterator[int] = field(default_factory=count)

    def release(self, artifact: ArtifactRef, execution: str) -> str:
        """One execution of the release machine. Returns the release's last phase."""
        ref: ReleaseRef | None = None
        failure: _FailureOutput | None = None
        try:
            planned = self.attempt(lambda: release.plan_release(self.ports, artifact, execution))
            ref = ReleaseRef.model_validate(planned["release"])
            self._go_through(ref, execution, planned)
        except Exception as error:
            failure = failed(error)
        settled = self.attempt(
            lambda: release.settle_release(self.ports, execution, ref, failure), _PATIENT_ATTEMPTS
        )
        return settled["phase"]

    def stage(self, ref: ReleaseRef, name: str) -> None:
        """One execution of the stage machine. Raises what ended it."""
        try:
            self._roll_out(ref, name)
        except Exception as error:
            failure = failed(error)
            self.attempt(lambda: stage.settle_stage(self.ports, ref, name, failure))
            raise
        self.attempt(lambda: stage.settle_stage(self.ports, ref, name, None))

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
            self._poll(lambda: deploy.finish(self.ports, ref)["done"])
        except Exception as error:
            self._declare_stuck(ref, failed(error))
            raise
        self._settle_capacity(ref)

    def attempt(self, task: Callable[[], _Result], attempts: int = _ATTEMPTS) -> _Result:
        """Repeat a task while it fails in passing."""
        return self._repeat(task, attempts, self.transient)

    def _persist(self, task: Callable[[], _Result]) -> _Result:
        """Repeat a task whatever it fails with, unless a person must look."""
        final = (AliasChangedByOthers, LockLost, FinishFailed)
        return self._repeat(task, _STUBBORN_ATTEMPTS, (*self.transient, Exception), final)

    def _repeat(
        self,
        task: Callable[[], _Result],
        attempts: int,
        errors: tuple[type[BaseException], ...],
        final: tuple[type[BaseException], ...] = (),
    ) -> _Result:
        """Repeat a task while it fails with one of the errors, and with none of the final ones."""
        for _ in range(attempts - 1):
            try:
                return self._invoke(task)
            except final:
                raise
            except errors:
                self.world.clock.advance(1)
        try:
            return self._invoke(task)
        except Exception:
            raise
        except errors as error:
            raise OSError("The function never answered.") from error

    def _invoke(self, task: Callable[[], _Result]) -> _Result:
        answer: _Result = self.invoke(task)
        return answer

    def _go_through(self, ref: ReleaseRef, execution: str, planned: Planned) -> None:
        self._poll(lambda: lock.take_lock(self.ports, ref, execution)["held"])
        names = [test["name"] for test in planned["tests"]]
        results = [TestResult(name=name, status=self.tests(name)) for name in names]
        self.attempt(lambda: release.record_tests(self.ports, ref, results))
        for name in planned["stages"]:
            self.stage(ref, name)

    def _roll_out(self, ref: ReleaseRef, name: str) -> None:
        begun = self.attempt(lambda: stage.begin_stage(self.ports, ref, name))
        for target in (target for wave in begun["waves"] for target in wave):
            self._preview(ref, name, target)
        reviewed = self.attempt(lambda: stage.review(self.ports, ref, name))
        if reviewed["approval_timeout_seconds"]:
            self._wait_for_approval(ref, name, reviewed["approval_timeout_seconds"])
        for wave in reviewed["waves"]:
            self._wave([RolloutRef(release=ref, stage=name, target=target) for target in wave])

    def _wave(self, refs: Sequence[RolloutRef]) -> None:
        """Every rollout of a wave ends by itself; only then does the first failure count."""
        failures = []
        for ref in refs:
            try:
                self.rollout(ref)
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _preview(self, ref: ReleaseRef, name: str, target: str) -> None:
        self._poll(lambda: stage.preview(self.ports, ref, name, target)["ready"])

    def _wait_for_approval(self, ref: ReleaseRef, name: str, timeout_seconds: int) -> None:
        token = self.world.callbacks.make()
        self.attempt(lambda: stage.request_approval(self.ports, ref, name, token))
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
        self._poll(lambda: deploy.deploy(self.ports, ref)["done"])
        hooks = self.attempt(lambda: deploy.find_candidates(self.ports, ref))
        self._poll(lambda: warm.warm_candidates(self.ports, ref)["done"])
        self._hooks(ref, hook.PRE_TRAFFIC, hooks["pre_traffic"])
        if not self._shift_until_promoted(ref):
            return False
        self._hooks(ref, hook.POST_TRAFFIC, hooks["post_traffic"])
        return True

    def _shift_until_promoted(self, ref: RolloutRef) -> bool:
        for _ in range(self.looks):
            ticked = self.attempt(lambda: shift.tick(self.ports, ref))
            if ticked["promoted"]:
                return True
            self._bake(ref, ticked["bake_seconds"])
        return False

    def _bake(self, ref: RolloutRef, seconds: int) -> None:
        """Time passes only while nobody answers the token."""
        token = self.world.callbacks.make()
        self.attempt(lambda: shift.bake(self.ports, ref, token))
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
        stands = self.attempt(lambda: hook.run_hook(self.ports, ref, when, function, terms))
        if stands["outcome"] == "waiting":
            self._wait_for_hook(ref, when, function)

    def _wait_for_hook(self, ref: RolloutRef, when: str, function: str) -> None:
        """Whoever works for the hook has its time; then its silence counts."""
        token = self.world.callbacks.make()
        self.attempt(lambda: later.await_answer(self.ports, ref, when, function, token))
        if token in self.world.callbacks.waiting:
            self.while_a_hook_works(ref, when, function)
        answer = self.world.callbacks.answers.get(token)
        if answer is None:
            self.world.callbacks.waiting.discard(token)
            self._be_patient(ref, when, function)
            self.attempt(lambda: later.conclude_hook(self.ports, ref, when, function))
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
        try:
            self._persist(lambda: restore.restore_traffic(self.ports, ref, failure))
            self._settle_capacity(ref)
            self._poll(lambda: restore.restore_stack(self.ports, ref)["done"])
        except Exception as error:
            self._declare_stuck(ref, failed(error))

    def _settle_capacity(self, ref: RolloutRef) -> None:
        """What is not released costs money, and nothing else: the way goes on."""
        with suppress(Exception):
            self.attempt(lambda: warm.settle_capacity(self.ports, ref))

    def _declare_stuck(self, ref: RolloutRef, failure: _FailureOutput) -> None:
        self.attempt(lambda: restore.declare_stuck(self.ports, ref, failure), _PATIENT_ATTEMPTS)

    def _poll(self, task: Callable[[], bool]) -> None:
        for _ in range(self.polls):
            if self.attempt(task):
                return
            self.world.clock.advance(self.poll_seconds)
        raise TookTooLong(f"Not done after {self.polls} looks.")


class _AnsweredError(TidegateError):
    """A task token was answered with an error of this name."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(cause)
        self.error = error


def failed(error: Exception) -> dict[str, str]:
    """The ``{"Error", "Cause"}`` that a Catch receives for it."""
    name = error.error if isinstance(error, _AnsweredError) else type(error).__name__
    return {"Error": name, "Cause": str(error)}
