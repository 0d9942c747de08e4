"""Hooks that answer later, from the invocation to what serves in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.errors import HookFailed, NotFound, RecordConflict
from tidegate.core.model.record import HookRun, Outcome, Token
from tidegate.core.workflow.guardian.guard import guard
from tidegate.core.workflow.hooks.asynchronous import (
    Sender,
    await_answer,
    conclude_hook,
    on_answer,
    on_heartbeat,
)
from tidegate.core.workflow.hooks.run import Terms, run_hook
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.target.context import RolloutRef

LATER = "{function: Pre, timeout: 6h, heartbeat: 5m}"
PRE = ("pre-traffic", "Pre")
OK = {"status": "Succeeded"}


class LongHook:
    """The hook Pre of prod says that it answers later; a test works for it."""

    def __init__(self) -> None:
        self.story = Story(CANARY.replace("[Pre]", f"[{LATER}]"))
        self.story.release("one")
        self.callback: dict[str, Any] = {}
        self.before_it_returns: Callable[[], object] = lambda: None
        self.story.at(PROD).functions.code["hello-prod-Pre"] = self._begin

    def _begin(self, payload: Mapping[str, Any]) -> dict[str, str]:
        self.callback = payload["callback"]
        self.before_it_returns()
        return {"status": "InProgress"}

    @property
    def sender(self) -> Sender:
        return Sender(self.callback["run"], self.callback["secret"])

    def say(self, status: str, **more: str) -> Outcome | None:
        return on_answer(self.story.ports, self.sender, {"status": status, **more})

    def beat(self) -> bool:
        return on_heartbeat(self.story.ports, self.sender)

    def release(self, work: Callable[[], object]) -> str:
        """Release a change, with this work while it is waited for."""
        self.story.machines.while_a_hook_works = lambda ref, when, function: work()
        return self.story.release("two")

    def begin(self) -> RolloutRef:
        """The rollout of release 2, validating, with the hook begun and nobody waiting yet."""

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        self.story.machines.while_a_hook_works = stop
        with pytest.raises(KeyboardInterrupt):
            self.story.release("two")
        return self.story.ref(2)

    def run(self) -> HookRun:
        runs = (i for i in self.story.items(2, "HOOK#prod") if isinstance(i, HookRun))
        return next(run for run in runs if run.function == "Pre")

    def pass_time(self, **length: int) -> None:
        self.story.world.clock.advance(timedelta(**length).total_seconds())


@pytest.fixture
def long() -> LongHook:
    hook = LongHook()
    hook.story.machines.while_a_hook_works = lambda *_: hook.say("Succeeded")
    return hook


def test_candidate_gets_traffic_when_the_later_answer_is_yes(long: LongHook) -> None:
    def work() -> None:
        for _ in range(30):
            long.pass_time(minutes=4)
            assert long.beat()
        assert long.say("Succeeded") is Outcome.PASSED

    assert long.release(work) == "succeeded"
    assert long.story.serves()["Hello"] == ("2", {})
    run = long.run()
    assert (run.outcome, run.seconds) == (Outcome.PASSED, 2 * 3600)


def test_candidate_never_gets_traffic_when_the_later_answer_is_no(long: LongHook) -> None:
    writes = len(long.story.at(PROD).aliases.writes)
    assert long.release(lambda: long.say("Failed", reason="p99 doubled")) == "failed"
    assert len(long.story.at(PROD).aliases.writes) == writes
    assert "pre-traffic hook Pre failed: p99 doubled" in long.story.get(2).cause


def test_hook_is_given_what_it_needs_to_answer_and_the_record_keeps_no_secret(
    long: LongHook,
) -> None:
    seen: list[str] = []
    long.release(
        lambda: (
            seen.extend(i.model_dump_json() for i in long.story.items(2, "")),
            long.say("Succeeded"),
        )
    )
    assert long.callback.keys() == {"bus", "run", "secret", "deadline", "heartbeat_seconds"}
    assert long.callback["run"] == f"hello-2/prod/{PROD}/pre-traffic/Pre"
    assert not any(long.callback["secret"] in text for text in seen)
    tokens = [i for i in long.story.tokens(2) if isinstance(i, Token)]
    assert tokens
    assert not any(token.token in str(long.callback) for token in tokens)


def test_missed_heartbeat_fails_the_hook_and_says_so(long: LongHook) -> None:
    assert long.release(lambda: (long.pass_time(minutes=4), long.beat())) == "failed"
    cause = long.story.get(2).cause
    assert "nothing was heard of it for 5m, and its heartbeat is 5m" in cause
    assert long.say("Succeeded") is None  # nobody waits any more
    assert long.story.serves()["Hello"] == ("1", {})


def test_hook_that_works_beyond_its_timeout_has_failed(long: LongHook) -> None:
    def work() -> None:
        while long.beat():
            long.pass_time(minutes=4)

    assert long.release(work) == "failed"
    assert "it did not answer within its timeout" in long.story.get(2).cause


def test_answer_that_comes_before_the_hook_returns_counts(long: LongHook) -> None:
    long.before_it_returns = lambda: (long.beat(), long.say("Succeeded"))
    assert long.release(lambda: pytest.fail("nobody needs to wait")) == "succeeded"
    long.before_it_returns = lambda: long.say("Failed", reason="at once")
    assert long.story.release("three") == "failed"
    assert "failed: at once" in long.story.get(3).cause


def test_answer_that_comes_before_its_token_ends_the_wait_at_once(long: LongHook) -> None:
    ref = long.begin()
    long.story.world.callbacks.answers.clear()
    assert long.beat()
    assert long.say("Succeeded") is Outcome.PASSED
    long.story.world.callbacks.waiting.add("late token")
    await_answer(long.story.ports, ref, *PRE, "late token")
    assert long.story.world.callbacks.answers["late token"] == {"outcome": "passed"}


def test_first_answer_counts_and_a_repeated_one_does_no_harm(long: LongHook) -> None:
    long.begin()
    assert long.say("Failed", reason="first") is Outcome.FAILED
    assert long.say("Succeeded") is Outcome.FAILED
    assert long.run().cause == "first"
    assert not long.beat()


@pytest.mark.parametrize("run", ["", "hello-2", "hello-9/prod/3/eu/pre-traffic/Pre", "a/b/c/d/e/f"])
def test_who_names_another_run_is_not_heard(long: LongHook, run: str) -> None:
    long.begin()
    assert on_answer(long.story.ports, Sender(run, long.callback["secret"]), OK) is None
    assert long.run().outcome is Outcome.WAITING


def test_who_does_not_know_the_secret_is_not_heard(long: LongHook) -> None:
    long.begin()
    stranger = Sender(long.callback["run"], "guessed")
    assert on_answer(long.story.ports, stranger, OK) is None
    assert not on_heartbeat(long.story.ports, stranger)
    assert long.run().outcome is Outcome.WAITING


def test_hook_that_may_not_answer_later_hears_nothing_and_fails(long: LongHook) -> None:
    code = long.story.at(PROD).functions.code
    code["hello-prod-Post"] = lambda payload: {"status": "InProgress"}
    assert long.release(lambda: long.say("Succeeded")) == "failed"
    assert "it wants to answer later, and its manifest does not let it" in long.story.get(2).cause
    payload = long.story.at(PROD).functions.calls[-1][1]
    assert "callback" not in payload
    post = Sender(f"hello-2/prod/{PROD}/post-traffic/Post", "")
    assert on_answer(long.story.ports, post, OK) is None


def test_operators_abort_ends_the_wait(long: LongHook) -> None:
    assert (
        long.release(lambda: abort(long.story.ports, Operator("jo"), "hello-2", "wrong one"))
        == "aborted"
    )
    assert "jo aborted hello-2: wrong one" in long.story.get(2).cause
    assert long.say("Succeeded") is None


def test_abort_that_comes_before_the_token_ends_the_wait_at_once(long: LongHook) -> None:
    ref = long.begin()
    abort(long.story.ports, Operator("jo"), "hello-2")
    long.story.world.callbacks.waiting.add("late token")
    await_answer(long.story.ports, ref, *PRE, "late token")
    assert long.story.world.callbacks.answers["late token"]["Error"] == "Aborted"


def test_answer_that_the_wait_missed_counts_at_its_end(long: LongHook) -> None:
    ref = long.begin()
    long.say("Succeeded")
    assert conclude_hook(long.story.ports, ref, *PRE) == {"outcome": "passed"}


def test_hook_that_is_waited_for_is_not_run_again(long: LongHook) -> None:
    ref = long.begin()
    calls = len(long.story.at(PROD).functions.calls)
    long.pass_time(hours=6, minutes=1)
    stands = run_hook(long.story.ports, ref, *PRE, Terms("bus", "another secret"))
    assert stands == {"outcome": "waiting", "timeout_seconds": 2, "heartbeat_seconds": 1}
    assert len(long.story.at(PROD).functions.calls) == calls


def test_hook_that_was_lost_begins_anew_and_the_first_ones_secret_is_worth_nothing(
    long: LongHook,
) -> None:
    ref = long.begin()
    lost = long.run().model_copy(update={"outcome": Outcome.RUNNING})
    long.story.world.ledger.put(lost)
    old = long.sender
    run_hook(long.story.ports, ref, *PRE, Terms("bus", "another secret"))
    assert long.run().attempt == 2
    assert on_answer(long.story.ports, old, OK) is None
    assert long.say("Succeeded") is Outcome.PASSED


def test_late_return_of_a_lost_attempt_changes_nothing(long: LongHook) -> None:
    ref = long.begin()
    long.story.world.ledger.put(long.run().model_copy(update={"outcome": Outcome.RUNNING}))

    def another_attempt() -> None:
        run = long.run()
        long.story.world.ledger.put(run.model_copy(update={"attempt": run.attempt + 1}))

    long.before_it_returns = another_attempt
    run_hook(long.story.ports, ref, *PRE, Terms("bus", "another secret"))
    assert (long.run().outcome, long.run().attempt) == (Outcome.RUNNING, 3)


def test_nobody_is_heard_once_the_guardian_has_taken_over(long: LongHook) -> None:
    long.begin()
    long.story.world.executions.ended["execution-2"] = "ABORTED"
    guard(long.story.ports)
    assert not long.beat()
    assert long.say("Succeeded") is None


class Busy:
    """A ledger in which others write to the run, right before so many writes of ours."""

    def __init__(self, long: LongHook, times: int) -> None:
        self._ledger, self._long, self.times = long.story.world.ledger, long, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def put(self, item: Any) -> Any:
        if self.times:
            self.times -= 1
            self._ledger.put(self._long.run())
        return self._ledger.put(item)


@pytest.mark.parametrize("hear", ["heartbeat", "answer"])
def test_what_is_heard_while_others_write_is_kept(long: LongHook, hear: str) -> None:
    long.begin()
    busy = Busy(long, 2)
    long.story.ports = type(long.story.ports)(**{**vars_of(long.story.ports), "ledger": busy})
    assert long.beat() if hear == "heartbeat" else long.say("Succeeded")
    busy.times = 3
    long.story.world.ledger.put(long.run().model_copy(update={"outcome": Outcome.WAITING}))
    with pytest.raises(RecordConflict, match="written by others all the time"):
        _ = long.beat() if hear == "heartbeat" else long.say("Succeeded")


def vars_of(ports: Any) -> dict[str, Any]:
    return {name: getattr(ports, name) for name in ports.__slots__}


def test_hook_that_was_never_run_cannot_be_awaited(long: LongHook) -> None:
    with pytest.raises(NotFound, match="has not run the pre-traffic hook Nobody"):
        await_answer(long.story.ports, long.story.ref(1), "pre-traffic", "Nobody", "token")


def test_failed_hook_fails_again_when_it_is_concluded_twice(long: LongHook) -> None:
    ref = long.begin()
    long.pass_time(hours=7)
    for _ in range(2):
        with pytest.raises(HookFailed, match="nothing was heard of it for 7h"):
            conclude_hook(long.story.ports, ref, *PRE)
