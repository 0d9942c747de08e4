"""What a release may go through, apart from the faults of calls: each scenario is one story."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, Final

from support.story import CANARY, MANIFEST, PROD, TEST, Story
from tidegate.core.errors import TidegateError
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.ports import AliasRef, Ports
from tidegate.core.workflow.hooks import asynchronous
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.approvals import approve, reject
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.traffic_rollback import rollback_now
from tidegate.core.workflow.rollout.on_alarm import Alarm, on_alarm
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.retries import Crash

BEA, CY = Operator("bea"), Operator("cy")
_FAILED: Final = {"status": "Failed", "reason": "as the script says"}
_DELIVERIES: Final = 3
_LATER: Final = "{function: Pre, timeout: 6h, heartbeat: 5m}"
_APPROVED_BY_TWO: Final = "approval: {approvers: 2, timeout: 24h}"
HELLO: Final = AliasRef("hello-prod-Hello", "live")

Prepare = Callable[[Story], None]


@cache
def _live(manifest: str, approval: str) -> Story:
    story = Story(manifest, approval)
    story.application.layers = ("Shared",)
    story.machines.while_waiting = lambda ref, stage: agree(story, ref)
    assert story.release("one") == "succeeded"
    return story


def canary() -> Story:
    """One stage, a canary, and the first release is live."""
    story = copy.deepcopy(_live(CANARY, ""))
    story.machines.while_baking = story.serve
    return story


def patient_canary() -> Story:
    """A canary whose pre-traffic hook may answer later."""
    story = copy.deepcopy(_live(CANARY.replace("[Pre]", f"[{_LATER}]"), ""))
    story.machines.while_baking = story.serve
    return story


@cache
def _warm_live() -> Story:
    story = Story(CANARY)
    story.application.provisioned = {"Hello": 3}
    assert story.release("one") == "succeeded"
    return story


def warm() -> Story:
    """As ``canary``, and one function has provisioned concurrency."""
    story = copy.deepcopy(_warm_live())
    story.machines.while_baking = story.serve
    return story


@cache
def _held_live() -> Story:
    story = Story(CANARY.replace("stages:", "when_not_canaryable: all-at-once\nstages:"))
    assert story.release("one") == "succeeded"
    story.application.provisioned = {"Hello": 3}
    story.at(PROD).capacity.allocate(HELLO.function, HELLO.alias, 4)
    return story


def held_by_an_alias() -> Story:
    """As ``canary``, and an alias has provisioned concurrency, as CloudFormation gave it."""
    story = copy.deepcopy(_held_live())
    story.machines.while_baking = story.serve
    return story


def nothing_live() -> Story:
    """One stage, a canary, and nothing was ever released."""
    return Story(CANARY)


def two_stages() -> Story:
    """Test and prod, two people to agree, two steps, alarms; the first release is live."""
    story = copy.deepcopy(_live(MANIFEST, _APPROVED_BY_TWO))
    story.machines.while_baking = story.serve
    story.machines.while_waiting = lambda ref, stage: agree(story, ref)
    return story


def agree(story: Story, ref: ReleaseRef) -> None:
    """Both people agree, as often as it takes, and as soon as they are asked."""
    for operator in (BEA, CY):
        ask(lambda operator=operator: approve(story.machines.ports, operator, ref.id))


def ask(request: Callable[[], object]) -> None:
    """An operator asks; a refusal is an answer, and none is not repeated."""
    try:
        request()
    except (TidegateError, Crash):
        return


def at_evaluation(number: int, act: Callable[[Story, RolloutRef], None]) -> Prepare:
    """Something happens while the candidate bakes for this time, in prod."""

    def prepare(story: Story) -> None:
        evaluations = count(1)

        def bake(ref: RolloutRef, seconds: int) -> None:
            story.serve(ref, seconds)
            if ref.stage == "prod" and next(evaluations) == number:
                act(story, ref)

        story.machines.while_baking = bake

    return prepare


def good(story: Story) -> None:
    """Nothing happens."""


def unhealthy(story: Story) -> None:
    """The candidate fails most requests."""
    story.error_rates["2"] = 0.9


def hook_fails(function: str) -> Prepare:
    """A validation hook says no in prod."""

    def prepare(story: Story) -> None:
        story.at(PROD).functions.code[f"hello-prod-{function}"] = lambda payload: _FAILED

    return prepare


def answers_later(story: Story) -> None:
    """The pre-traffic hook says that it answers later, shows that it works, and answers yes."""
    callbacks: list[dict[str, Any]] = []

    def begin(payload: Mapping[str, Any]) -> dict[str, str]:
        callbacks.append(payload["callback"])
        return {"status": "InProgress"}

    def work(*_: object) -> None:
        sender = asynchronous.Sender(callbacks[-1]["run"], callbacks[-1]["secret"])
        ports = story.machines.ports
        again(lambda: asynchronous.on_heartbeat(ports, sender))
        again(lambda: asynchronous.on_answer(ports, sender, {"status": "Succeeded"}))

    story.at(PROD).functions.code["hello-prod-Pre"] = begin
    story.machines.while_a_hook_works = work


def again(hear: Callable[[], object]) -> None:
    """Lambda tries an event three times, and then it is lost."""
    for _ in range(3):
        try:
            hear()
        except (TidegateError, Crash):
            continue
        return


def stack_fails(story: Story) -> None:
    """CloudFormation cannot deploy to prod."""
    story.at(PROD).stacks.fail_next.append("no room")


def finish_fails(story: Story) -> None:
    """CloudFormation deploys to prod, and then cannot take the pin off."""
    story.at(PROD).stacks.fail_next += ["", "no room"]


def metrics_stop(story: Story) -> None:
    """After the first evaluation nobody knows any more how requests end."""
    evaluations = count(1)

    def bake(ref: RolloutRef, seconds: int) -> None:
        if ref.stage != "prod" or next(evaluations) == 1:
            story.serve(ref, seconds // 10)

    story.machines.while_baking = bake


def alarm_flaps(story: Story) -> None:
    """The alarm fires before the release, recovers, and fires at every other look."""
    alarms = story.at(PROD).metrics.alarms
    alarms["HelloErrors"] = True

    def bake(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        alarms["HelloErrors"] = not alarms["HelloErrors"]

    story.machines.while_baking = bake


def two_live(story: Story) -> None:
    """A second release is live, too."""
    assert story.release("two") == "succeeded"


def go_back_now(story: Story) -> None:
    """An operator takes only the traffic back, and asks again when there was no answer."""
    for _ in range(_DELIVERIES):
        ask(lambda: rollback_now(story.machines.ports, BEA, "hello-2", reason="wrong prices"))


def watched_twice(story: Story) -> None:
    """Two looks fill the history of an execution: fresh ones go on."""
    story.machines.evaluations = 2


def _alarm(story: Story, ref: RolloutRef) -> None:
    story.at(PROD).metrics.alarms["HelloErrors"] = True


def ring(story: Story, ports: Ports) -> None:
    """The alarm fires, and EventBridge tells it, some times over if nobody takes it."""
    story.at(PROD).metrics.alarms["HelloErrors"] = True
    fires = Alarm("HelloErrors", PROD, story.world.clock.now())
    for _ in range(_DELIVERIES):
        try:
            on_alarm(ports, fires)
        except (TidegateError, Crash):
            continue
        return


def _ring(story: Story, ref: RolloutRef) -> None:
    ring(story, story.machines.ports)


def _ring_at_touched_aliases(story: Story, ref: RolloutRef) -> None:
    """One has another revision than our last write made: somebody has written what it was."""
    aliases = story.at(PROD).aliases
    alias, state = next(iter(aliases.all().items()))
    aliases.set(alias.function, alias.alias, state.version, state.routes)
    ring(story, story.machines.ports)


def _abort(story: Story, ref: RolloutRef) -> None:
    ask(lambda: abort(story.machines.ports, BEA, ref.release.id, "wrong version"))


def _break_the_stack(story: Story, ref: RolloutRef) -> None:
    story.at(PROD).stacks.overtake("hello-prod", "UPDATE_ROLLBACK_FAILED", "somebody's own update")


def _break_the_stack_of_a_bad_candidate(story: Story, ref: RolloutRef) -> None:
    _break_the_stack(story, ref)
    unhealthy(story)


def jump(seconds: float) -> Prepare:
    """The clock jumps while traffic is split."""
    return at_evaluation(1, lambda story, ref: story.world.clock.advance(seconds))


def rejected(story: Story) -> None:
    """One agrees, the other does not."""

    def decide(ref: ReleaseRef, stage: str) -> None:
        ask(lambda: approve(story.machines.ports, BEA, ref.id))
        ask(lambda: reject(story.machines.ports, CY, ref.id, "not before Monday"))

    story.machines.while_waiting = decide


def nobody_decides(story: Story) -> None:
    """One person is not enough."""
    story.machines.while_waiting = lambda ref, stage: ask(
        lambda: approve(story.machines.ports, BEA, ref.id)
    )


class Scenario:
    """Where a story begins, what happens in it, and what the release brings."""

    def __init__(
        self,
        begin: Callable[[], Story],
        prepare: Prepare,
        *,
        code: str = "two",
        role: str = "role",
        act: Callable[[Story], None] | None = None,
        needs_a_person: bool = False,
    ) -> None:
        self.begin, self.prepare, self.code, self.role = begin, prepare, code, role
        self.act = act  # instead of a release
        self.needs_a_person = needs_a_person  # what happens in it does not pass by itself
        self.targets: Sequence[str] = (TEST, PROD) if begin is two_stages else (PROD,)

    def story(self) -> Story:
        """A story of its own, about to release."""
        story = self.begin()
        self.prepare(story)
        return story


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "good": Scenario(canary, good),
    "good-through-two-stages": Scenario(two_stages, good),
    "first-deployment": Scenario(nothing_live, good),
    "first-deployment-refused": Scenario(nothing_live, hook_fails("Pre")),
    "nothing-to-deploy": Scenario(canary, good, code="one"),
    "unhealthy": Scenario(canary, unhealthy),
    "alarm-fires": Scenario(two_stages, at_evaluation(2, _alarm)),
    "alarm-rings": Scenario(two_stages, at_evaluation(2, _ring)),
    "alarm-rings-at-touched-aliases": Scenario(
        two_stages, at_evaluation(2, _ring_at_touched_aliases)
    ),
    "alarm-flaps": Scenario(two_stages, alarm_flaps),
    "metrics-stop": Scenario(two_stages, metrics_stop),
    "refused-before-traffic": Scenario(canary, hook_fails("Pre")),
    "refused-after-traffic": Scenario(canary, hook_fails("Post")),
    "hook-answers-later": Scenario(patient_canary, answers_later),
    "not-canaryable": Scenario(canary, good, role="another role"),
    "warm": Scenario(warm, good),
    "warm-unhealthy": Scenario(warm, unhealthy),
    "warm-by-its-alias": Scenario(held_by_an_alias, good),
    "warm-by-its-alias-refused-after-traffic": Scenario(held_by_an_alias, hook_fails("Post")),
    "stack-fails": Scenario(canary, stack_fails),
    "finish-fails": Scenario(canary, finish_fails),
    "stack-breaks-while-split": Scenario(
        canary, at_evaluation(1, _break_the_stack), needs_a_person=True
    ),
    "stack-breaks-while-split-unhealthy": Scenario(
        canary, at_evaluation(1, _break_the_stack_of_a_bad_candidate), needs_a_person=True
    ),
    "aborted": Scenario(canary, at_evaluation(1, _abort)),
    "aborted-at-the-second-step": Scenario(two_stages, at_evaluation(4, _abort)),
    "rejected": Scenario(two_stages, rejected),
    "nobody-decides": Scenario(two_stages, nobody_decides),
    "traffic-goes-back": Scenario(two_stages, two_live, act=go_back_now),
    "goes-on-in-fresh-executions": Scenario(canary, watched_twice),
    "clock-jumps-ahead": Scenario(canary, jump(6 * 3600)),
    "clock-jumps-back": Scenario(canary, jump(-900)),
}
