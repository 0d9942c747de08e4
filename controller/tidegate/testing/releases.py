"""A whole release in memory: the template and the manifest as they are, the workflow as it is.

The template is expanded and the manifest planned as a build does it; the tasks of the controller
run in the order of the state machines, on a clock that jumps. What AWS does is played by the twins
of this package: a stack is made of functions, versions and aliases, its other resources are only
names, and all are made whatever their conditions say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tidegate.core.errors import InputError
from tidegate.core.model.plan import (
    ArtifactRef,
    ManagedAlias,
    ReleasePlan,
    ReleaseRef,
    StagePlan,
    Target,
)
from tidegate.core.model.record import (
    HookRun,
    Item,
    Outcome,
    Release,
    Rollout,
    Tick,
    release_partition,
)
from tidegate.core.planning.release_plan import make_plan
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.hooks.run import POST_TRAFFIC
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.hooks import Callback
from tidegate.testing.code import Context, Handler, MemoryLambda, as_hook
from tidegate.testing.machines import Machines
from tidegate.testing.memory import MemoryTarget, MemoryWorld, SettableClock
from tidegate.testing.templates import TemplateApplication
from tidegate.testing.traffic import Traffic
from tidegate.testing.workers import Worker, let_work

_CALM = Traffic()
_MINUTES_BEFORE = 60


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """How one hook ended."""

    stage: str
    target: str
    when: str
    function: str
    passed: bool
    cause: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation of a rollout: when, where, and what was decided."""

    at: datetime
    stage: str
    target: str
    action: str  # set-weight, hold, promote, restore
    weight: float


@dataclass(frozen=True, slots=True)
class ReleaseRun:
    """What came of a release."""

    phase: str  # succeeded, failed, stuck
    error: str
    cause: str
    plan: ReleasePlan
    evaluations: tuple[Evaluation, ...]
    hooks: tuple[HookOutcome, ...]
    serving: Mapping[str, Mapping[str, str]]  # stage -> logical id -> "stable" or "candidate"
    took: timedelta
    world: MemoryWorld = field(repr=False)  # for whoever wants to know more

    @property
    def succeeded(self) -> bool:
        """Whether it is live in every stage."""
        return self.phase == "succeeded"

    def weights(self, stage: str) -> list[float]:
        """The weights that the candidate had in a stage, each once, in their order."""
        seen = [evaluation.weight for evaluation in self.evaluations if evaluation.stage == stage]
        return list(dict.fromkeys(seen))


def run_release(
    template: Path | str,
    manifest: Path | str,
    *,
    traffic: Traffic = _CALM,
    functions: Mapping[str, Handler] | None = None,
    stable: Mapping[str, Handler] | None = None,
    hooks: Mapping[str, Handler] | None = None,
    workers: Mapping[str, Worker] | None = None,
    tests: Callable[[str], bool] = lambda _: True,
    approve: bool = True,
    first: bool = False,
    clock: SettableClock | None = None,
) -> ReleaseRun:
    """Release a change of every function with local or inline code, from plan to end.

    ``functions`` gives Python handlers by the logical ids of the functions, ``stable`` those of
    the version that is live (the same, unless given), ``hooks`` those of the hooks; a hook that is
    not given passes. ``workers`` are what hooks that answer later have begun, by the hooks' ids:
    see ``tidegate.testing.workers``. ``tests`` says whether a test of the manifest passes,
    ``approve`` whether people agree. With ``first`` nothing is live yet. ``clock`` is set forward
    as time passes.

    Raises ``InputError`` for a template or manifest that no release could use.
    """
    application = TemplateApplication(Path(template), Path(manifest))
    stage = _Rehearsal(
        application,
        clock or SettableClock(),
        traffic,
        new=dict(functions or {}),
        old=dict(functions or {}) | dict(stable or {}),
    )
    stage.check_names(hooks or {}, "hooks")
    stage.check_names(workers or {}, "workers")
    stage.check_names({**(functions or {}), **(stable or {})}, "functions")
    if not first:
        stage.make_live()
    stage.employ(workers or {})
    return stage.release(hooks or {}, tests, approve)


class _Rehearsal:
    """A world with the application in it, and its people and users."""

    def __init__(
        self,
        application: TemplateApplication,
        clock: SettableClock,
        traffic: Traffic,
        *,
        new: Mapping[str, Handler],
        old: Mapping[str, Handler],
    ) -> None:
        self._application = application
        self._traffic = traffic
        self._new, self._old = new, old
        self._workers: Mapping[str, Worker] = {}
        self._live_versions: dict[str, str] = {}  # target and function -> version
        self.world = MemoryWorld(clock=clock)
        self.ports = self.world.ports()
        self._machines = Machines(self.world, self.ports, while_waiting=self._agree)
        self._contents = application.contents(0)
        name = self._contents.application
        ref = ReleaseRef(id=f"{name}-0", application=name, number=0)
        self.plan = make_plan(ref, self._store(0), self._contents)
        for target in self._targets():
            for alarm in self._alarms():
                self._at(target).metrics.alarms |= {alarm: False, f"physical-{alarm}": False}

    def check_names(self, given: Mapping[str, Any], what: str) -> None:
        """Raises ``InputError`` for a handler of a function that the template has not."""
        functions = self._contents.functions
        if unknown := sorted(given.keys() - set(functions)):
            raise InputError(
                f"{self._application.template} has no function {', '.join(unknown)}.",
                remedy=f"Name `{what}` by logical ids: {', '.join(functions)}.",
            )

    def make_live(self) -> None:
        """Deploy what is there before the release, with nobody to ask and nothing to validate."""
        phase = self._machines.release(self._store(1), "before")
        if phase != "succeeded":
            raise InputError(f"The application cannot be deployed: {self._find(1).cause}")
        for stage, target in self._places():
            for alias in self.plan.aliases:
                function = f"{target.stack_name}-{alias.function}"
                self._live_versions[f"{stage.name}/{target.id}/{function}"] = "1"

    def employ(self, workers: Mapping[str, Worker]) -> None:
        """Let these work for hooks; a hook without a handler leaves all to its worker."""
        self._workers = workers
        for target in self._targets():
            for logical_id in workers:
                code = self._at(target).functions.code
                code[f"{target.stack_name}-{logical_id}"] = _answer_later
        self._machines.while_a_hook_works = self._work

    def release(
        self, hooks: Mapping[str, Handler], tests: Callable[[str], bool], approve: bool
    ) -> ReleaseRun:
        """Release the change."""
        self._install(hooks)
        self._machines.while_baking = self._serve
        self._machines.tests = lambda name: "SUCCEEDED" if tests(name) else "FAILED"
        if not approve:
            self._machines.while_waiting = _say_nothing
        self._serve_before()
        began = self.world.clock.now()
        phase = self._machines.release(self._store(2), "rehearsal")
        number = 2 if self._live_versions else 1
        return self._report(phase, number, self.world.clock.now() - began)

    def _store(self, generation: int) -> ArtifactRef:
        return self._application.store(generation, self.world.artifacts)

    def _targets(self) -> list[Target]:
        return [target for _, target in self._places()]

    def _places(self) -> list[tuple[StagePlan, Target]]:
        return [(s, t) for s in self.plan.stages for wave in s.waves for t in wave]

    def _alarms(self) -> set[str]:
        return {alarm for stage in self.plan.stages for alarm in stage.checks.alarms}

    def _at(self, target: Target) -> MemoryTarget:
        return self.world.targets.at(target.id)

    def _install(self, hooks: Mapping[str, Handler]) -> None:
        for stage, target in self._places():
            functions = self._at(target).functions
            client = MemoryLambda(functions, self._code_of(stage, target))
            for logical_id, handler in hooks.items():
                name = f"{target.stack_name}-{logical_id}"
                functions.code[name] = as_hook(handler, client, name)

    def _code_of(self, stage: StagePlan, target: Target) -> Callable[[str, str], Handler | None]:
        def code(function: str, version: str) -> Handler | None:
            logical_id = function.removeprefix(f"{target.stack_name}-")
            live = self._live_versions.get(f"{stage.name}/{target.id}/{function}")
            return (self._old if version == live else self._new).get(logical_id)

        return code

    def _agree(self, ref: ReleaseRef, stage: str) -> None:
        asked = self.plan.stage(stage).approval
        for number in range(asked.approvers if asked else 0):
            person = Operator(who=f"person-{number + 1}", source="test")
            approve(self.ports, person, ref.id, stage)

    def _serve_before(self) -> None:
        """Users have asked what is live for an hour: what durations are usual comes from there."""
        now = self.world.clock.now()
        for place in self._live_versions:
            for minute in range(_MINUTES_BEFORE):
                self._serve_stable(place, now - timedelta(minutes=minute + 2), 60)

    def _serve_elsewhere(self, ref: RolloutRef, seconds: int) -> None:
        """Users ask what is live where the release has not come to yet."""
        partition = release_partition(ref.release.id)
        begun = {
            f"{r.stage}/{r.target}"
            for r in self.world.ledger.query(partition)
            if isinstance(r, Rollout)
        }
        for place in self._live_versions:
            if place.rpartition("/")[0] not in begun:
                self._serve_stable(place, self.world.clock.now(), seconds)

    def _serve_stable(self, place: str, at: datetime, seconds: int) -> None:
        _, _, rest = place.partition("/")
        target, _, function = rest.rpartition("/")
        requests, _ = self._traffic.requests(seconds, 0.0)
        failed = round(requests * self._traffic.share_failing(candidate=False, weight=0.0))
        took = self._traffic.durations(requests, candidate=False, weight=0.0)
        metrics = self.world.targets.at(target).metrics
        metrics.record(function, self._live_versions[place], at, requests, failed, took)

    def _serve(self, ref: RolloutRef, seconds: int) -> None:
        """Users ask while the candidate bakes."""
        stage = self.plan.stage(ref.stage)
        target = stage.target(ref.target)
        rollout = find(
            self.world.ledger,
            Rollout,
            release_id=ref.release.id,
            stage=ref.stage,
            target=ref.target,
        )
        if rollout is None:
            return
        self._serve_elsewhere(ref, seconds)
        metrics, weight = self._at(target).metrics, rollout.weight
        code = self._code_of(stage, target)
        for shift in rollout.shifts:
            both = zip(
                (shift.stable, shift.candidate),
                self._traffic.requests(seconds, weight),
                strict=True,
            )
            for version, requests in both:
                handler = code(shift.function, version)
                candidate = version == shift.candidate
                failed = round(requests * self._failing(handler, candidate, weight))
                took = self._traffic.durations(requests, candidate=candidate, weight=weight)
                now = self.world.clock.now()
                metrics.record(shift.function, version, now, requests, failed, took)
        for alarm, from_weight in self._traffic.alarms_from.items():
            firing = weight >= from_weight
            metrics.alarms |= {alarm: firing, f"physical-{alarm}": firing}

    def _failing(self, handler: Handler | None, candidate: bool, weight: float) -> float:
        payloads = self._traffic.payloads
        if not payloads or handler is None:
            return self._traffic.share_failing(candidate=candidate, weight=weight)
        return sum(_fails(handler, payload) for payload in payloads) / len(payloads)

    def _work(self, ref: RolloutRef, when: str, function: str) -> None:
        worker = self._workers.get(function)
        calls = self.world.targets.at(ref.target).functions.calls
        run = f"{ref.release.id}/{ref.stage}/{ref.target}/{when}/{function}"
        given = (payload.get("callback", {}) for _, payload, _ in reversed(calls))
        callback = next((given for given in given if given.get("run") == run), None)
        if worker and callback:
            let_work(self.world, self.ports, worker, Callback.read(callback))

    def _find(self, number: int) -> Release:
        name = self.plan.release.application
        found = find(self.world.ledger, Release, application=name, number=number)
        if found is None:
            raise InputError(f"There is no release {name}-{number}.")
        return found

    def _report(self, phase: str, number: int, took: timedelta) -> ReleaseRun:
        release = self._find(number)
        partition = release_partition(f"{self.plan.release.application}-{number}")
        items = sorted(self.world.ledger.query(partition), key=self._order)
        return ReleaseRun(
            phase=phase,
            error=release.error,
            cause=release.cause,
            plan=self.plan,
            evaluations=tuple(
                Evaluation(i.at, i.stage, i.target, i.action, i.weight)
                for i in items
                if isinstance(i, Tick)
            ),
            hooks=tuple(
                HookOutcome(
                    stage=i.stage,
                    target=i.target,
                    when=i.when,
                    function=i.function,
                    passed=i.outcome is Outcome.PASSED,
                    cause=i.cause,
                )
                for i in items
                if isinstance(i, HookRun)
            ),
            serving={stage.name: self._serving(stage) for stage in self.plan.stages},
            took=took,
            world=self.world,
        )

    def _order(self, item: Item) -> tuple[int, bool]:
        """Stages in their order, and in each what comes before traffic first."""
        stages = [stage.name for stage in self.plan.stages]
        stage = getattr(item, "stage", "")
        after = isinstance(item, HookRun) and item.when == POST_TRAFFIC
        return stages.index(stage) if stage in stages else -1, after

    def _serving(self, stage: StagePlan) -> dict[str, str]:
        """What each function's alias serves at the end; "mixed" where targets differ."""
        targets = [target for wave in stage.waves for target in wave]
        served = {}
        for alias in self.plan.aliases:
            found = {self._served(stage, target, alias) for target in targets}
            served[alias.function] = found.pop() if len(found) == 1 else "mixed"
        return served

    def _served(self, stage: StagePlan, target: Target, alias: ManagedAlias) -> str:
        function = f"{target.stack_name}-{alias.function}"
        if not self._at(target).stacks.state(target.stack_name).exists:
            return "nothing"
        state = self._at(target).aliases.read(AliasRef(function, alias.alias))
        if state.routes:
            return "split"
        live = self._live_versions.get(f"{stage.name}/{target.id}/{function}")
        return "stable" if state.version == live else "candidate"


def _say_nothing(_ref: ReleaseRef, _stage: str) -> None:
    """People do not answer: time passes until nobody is asked any more."""


def _answer_later(_payload: Mapping[str, Any]) -> dict[str, str]:
    return {"status": "InProgress"}


def _fails(handler: Handler, payload: Any) -> bool:
    try:
        handler(payload, Context("function", "1"))
    except Exception:
        return True
    return False
