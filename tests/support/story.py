"""An application that is released in memory, stage by stage, through the tasks themselves."""

from __future__ import annotations

from itertools import count

from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import (
    Item,
    Release,
    Rollout,
    Stage,
    release_partition,
    token_partition,
)
from tidegate.core.ports import AliasRef, AliasState
from tidegate.core.workflow.records import find
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.application import MemoryApplication
from tidegate.testing.machines import Machines
from tidegate.testing.memory import MemoryTarget, MemoryWorld

TEST = "222222222222/eu-west-1"
PROD = "333333333333/eu-west-1"

MANIFEST = """
version: 1
application: hello
tests:
  - {name: unit, commands: [make test]}
  - {name: scan, commands: [make scan]}
stages:
  - name: test
    account: "222222222222"
    regions: [eu-west-1]
    parameters: {Stage: test}
    strategy: all-at-once
  - name: prod
    account: "333333333333"
    regions: [eu-west-1]
    parameters: {Stage: prod}
    APPROVAL
    strategy:
      steps: [{weight: 10%, bake: 2m}, {weight: 50%, bake: 3m}]
    checks:
      errors: {max_increase: 5%, min_samples: 20, extend: 5m}
      alarms: [HelloErrors]
hooks: {pre_traffic: [Pre], post_traffic: [Post]}
"""


CANARY = """
version: 1
application: hello
stages:
  - name: prod
    account: "333333333333"
    regions: [eu-west-1]
    parameters: {Stage: prod}
    strategy: {canary: {weight: 10%, bake: 2m}}
    checks: {errors: {min_samples: 20, extend: 5m}}
hooks: {pre_traffic: [Pre], post_traffic: [Post]}
"""


class Story:
    """A world, an application, and people and users who behave until a test says otherwise."""

    def __init__(self, manifest: str = MANIFEST, approval: str = "") -> None:
        self.world = MemoryWorld()
        self.ports = self.world.ports()
        self.application = MemoryApplication(
            self.world.artifacts,
            manifest.replace("APPROVAL", approval or "approval: null"),
            functions=("Hello", "Bye"),
            hooks=("Pre", "Post"),
        )
        self.machines = Machines(self.world, self.ports)
        self.machines.while_baking = self.serve
        self.error_rates: dict[str, float] = {}  # by version
        self.seen: list[tuple[str, float]] = []  # target and weight at each bake
        self._executions = count(1)
        for target in (TEST, PROD):
            self.at(target).metrics.alarms["HelloErrors"] = False

    def release(self, code: str, *, role: str = "role") -> str:
        """Build and release. Returns the last phase."""
        artifact = self.application.build(code, role=role)
        return self.machines.release(artifact, self.next_execution())

    def next_execution(self) -> str:
        """The name of an execution that begins now."""
        return f"execution-{next(self._executions)}"

    def serve(self, ref: RolloutRef, seconds: int) -> None:
        """Users call the aliases while the candidates bake: a request a second on each version."""
        rollout = self.rollout(ref.release.number, ref.stage, ref.target)
        self.seen.append((ref.target, rollout.weight))
        for shift in rollout.shifts:
            for version in (shift.stable, shift.candidate):
                failed = round(seconds * self.error_rates.get(version, 0.0))
                self.at(ref.target).metrics.record(
                    shift.function, version, self.world.clock.now(), seconds, failed
                )

    def at(self, target: str) -> MemoryTarget:
        return self.world.targets.at(target)

    def alias(self, function: str = "Hello", target: str = PROD) -> AliasState:
        stage = "prod" if target == PROD else "test"
        return self.at(target).aliases.read(AliasRef(f"hello-{stage}-{function}", "live"))

    def serves(self, target: str = PROD) -> dict[str, tuple[str, dict[str, float]]]:
        """What each alias serves: its version and weights."""
        states = {name: self.alias(name, target) for name in ("Hello", "Bye")}
        return {name: (state.version, dict(state.routes)) for name, state in states.items()}

    def get(self, number: int) -> Release:
        found = find(self.world.ledger, Release, application="hello", number=number)
        assert found
        return found

    def get_stage(self, number: int, order: int, name: str) -> Stage:
        found = find(self.world.ledger, Stage, release_id=f"hello-{number}", order=order, name=name)
        assert found
        return found

    def rollout(self, number: int, stage: str = "prod", target: str = PROD) -> Rollout:
        found = find(
            self.world.ledger, Rollout, release_id=f"hello-{number}", stage=stage, target=target
        )
        assert found
        return found

    def items(self, number: int, prefix: str) -> list[Item]:
        return self.world.ledger.query(release_partition(f"hello-{number}"), prefix)

    def tokens(self, number: int) -> list[Item]:
        """The task tokens that a release has kept."""
        return self.world.ledger.query(token_partition(f"hello-{number}"))

    def events(self, detail_type: str) -> list[tuple[str, str]]:
        """Who entered which phase, in order."""
        return [
            (str(detail["release"]), str(detail["phase"]))
            for kind, detail in self.world.bus.events
            if kind == detail_type
        ]

    def ref(self, number: int, stage: str = "prod", target: str = PROD) -> RolloutRef:
        release = ReleaseRef(id=f"hello-{number}", application="hello", number=number)
        return RolloutRef(release=release, stage=stage, target=target)
