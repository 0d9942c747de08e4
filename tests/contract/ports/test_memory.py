"""The twins in memory keep the contracts of the ports."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pytest

from contract.ports.aliases import AliasesContract
from contract.ports.artifacts import ArtifactsContract, Overwrite
from contract.ports.callbacks import CallbacksContract
from contract.ports.capacity import CapacityContract
from contract.ports.executions import ExecutionsContract, Stop
from contract.ports.functions import FunctionsContract
from contract.ports.ledger import LedgerContract
from contract.ports.metrics import Feed, MetricsContract
from contract.ports.seals import SealsContract
from contract.ports.signals import SignalFeed, SignalsContract
from contract.ports.stacks import Specify, StacksContract, Wait
from contract.ports.topics import Received, TopicsContract
from contract.ports.versions import VersionsContract
from tidegate.core.errors import ChangeSetFailed, ChangeSetStale, NotFound, StackBusy, WarmUpFailed
from tidegate.core.ports import AliasRef, StackSpec
from tidegate.testing.application import BUCKET, MemoryApplication
from tidegate.testing.capacity import MemoryCapacity
from tidegate.testing.functions import MemoryAliases, MemoryFunctions, MemoryVersions
from tidegate.testing.memory import (
    MemoryArtifacts,
    MemoryCallbacks,
    MemoryExecutions,
    MemoryLedger,
    MemorySeals,
    MemoryTopics,
)
from tidegate.testing.metrics import MemoryMetrics
from tidegate.testing.signals import MemorySignals
from tidegate.testing.stacks import MemoryStacks

MANIFEST = """
version: 1
application: hello
stages: [{name: test, account: "222222222222", regions: [eu-west-1]}]
"""


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        return MemoryLedger()


class TestMemoryAliases(AliasesContract):
    @pytest.fixture
    def alias(self) -> AliasRef:
        return AliasRef("hello", "live")

    @pytest.fixture
    def aliases(self, alias: AliasRef) -> MemoryAliases:
        aliases = MemoryAliases()
        aliases.set(alias.function, alias.alias, "1")
        return aliases


class TestMemoryArtifacts(ArtifactsContract):
    @pytest.fixture
    def stored(self) -> tuple[str, str]:
        return "bucket", "a/key"

    @pytest.fixture
    def artifacts(self, stored: tuple[str, str]) -> MemoryArtifacts:
        artifacts = MemoryArtifacts()
        artifacts.store(*stored, b"built")
        return artifacts

    @pytest.fixture
    def overwrite(self, artifacts: MemoryArtifacts, stored: tuple[str, str]) -> Overwrite:
        return lambda content: artifacts.store(*stored, content)


class TestMemorySeals(SealsContract):
    @pytest.fixture
    def seals(self) -> MemorySeals:
        return MemorySeals()


class TestMemoryCallbacks(CallbacksContract):
    @pytest.fixture
    def token(self) -> str:
        return "token"

    @pytest.fixture
    def callbacks(self, token: str) -> MemoryCallbacks:
        callbacks = MemoryCallbacks()
        callbacks.waiting.add(token)
        return callbacks


class TestMemoryExecutions(ExecutionsContract):
    @pytest.fixture
    def executions(self) -> MemoryExecutions:
        return MemoryExecutions()

    @pytest.fixture
    def stop(self, executions: MemoryExecutions) -> Stop:
        return lambda arn: executions.ended.update({arn: "ABORTED"})


class TestMemoryFunctions(FunctionsContract):
    @pytest.fixture
    def echo(self) -> str:
        return "echo"

    @pytest.fixture
    def broken(self) -> str:
        return "broken"

    @pytest.fixture
    def functions(self, echo: str, broken: str) -> MemoryFunctions:
        def fail(_: object) -> None:
            raise ValueError("no database")

        return MemoryFunctions(code={echo: dict, broken: fail})


class TestMemoryTopics(TopicsContract):
    @pytest.fixture
    def topic(self) -> str:
        return "arn:aws:sns:eu-west-1:333333333333:releases"

    @pytest.fixture
    def topics(self, topic: str) -> MemoryTopics:
        return MemoryTopics({topic: []})

    @pytest.fixture
    def received(self, topics: MemoryTopics, topic: str) -> Received:
        return lambda: topics.messages[topic]


class TestMemoryVersions(VersionsContract):
    @pytest.fixture
    def versions(self) -> MemoryVersions:
        return MemoryVersions(MemoryFunctions())

    @pytest.fixture
    def published(self, versions: MemoryVersions) -> str:
        for code in ("one", "two", "three"):
            versions.functions.deploy("hello", {"Code": code})
            versions.functions.publish("hello")
        versions.functions.aliases.set("hello", "live", "1", {"2": 0.1})
        return "hello"


class _MemoryFeed:
    def __init__(self, metrics: MemoryMetrics) -> None:
        self.metrics = metrics

    def serve(  # noqa: PLR0917  # reads as a row of a table
        self,
        version: str,
        at: datetime,
        invocations: int,
        errors: int = 0,
        durations_ms: Iterable[float] = (),
        function: str = "greeter",
    ) -> None:
        self.metrics.record(function, version, at, invocations, errors, durations_ms)

    def publish(self, metric: str, at: datetime, value: float, **dimensions: str) -> None:
        self.metrics.publish("Shop", metric, at, value, **dimensions)

    def alarm(self, name: str, state: str) -> None:
        self.metrics.alarms[name] = state == "ALARM"


class TestMemoryMetrics(MetricsContract):
    @pytest.fixture
    def metrics(self) -> MemoryMetrics:
        return MemoryMetrics()

    @pytest.fixture
    def feed(self, metrics: MemoryMetrics) -> Feed:
        return _MemoryFeed(metrics)


class _MemorySignalFeed:
    def __init__(self, signals: MemorySignals, firing: dict[str, bool]) -> None:
        self.signals, self.firing = signals, firing

    def alarm(self, name: str, state: str) -> None:
        self.firing[name] = state == "ALARM"
        if state == "INSUFFICIENT_DATA":
            self.signals.silent.add(name)

    def serve(self, ref: AliasRef, version: str, at: datetime, requests: int) -> None:
        self.signals.served.append((at, ref, version, requests))


class TestMemorySignals(SignalsContract):
    @pytest.fixture
    def firing(self) -> dict[str, bool]:
        return {}

    @pytest.fixture
    def signals(self, firing: dict[str, bool]) -> MemorySignals:
        return MemorySignals(firing)

    @pytest.fixture
    def feed(self, signals: MemorySignals, firing: dict[str, bool]) -> SignalFeed:
        return _MemorySignalFeed(signals, firing)


class TestMemoryCapacity(CapacityContract):
    @pytest.fixture
    def capacity(self) -> MemoryCapacity:
        return MemoryCapacity(MemoryFunctions())

    @pytest.fixture
    def published(self, capacity: MemoryCapacity) -> str:
        for code in ("one", "two", "three"):
            capacity.functions.deploy("hello", {"Code": code})
            capacity.functions.publish("hello")
        capacity.functions.aliases.set("hello", "live", "1")
        capacity.functions.aliases.set("hello", "split", "1", {"2": 0.1})
        return "hello"

    @pytest.fixture
    def wait(self) -> Wait:
        return lambda: None

    def test_refuses_what_is_more_than_the_function_may_have(
        self, capacity: MemoryCapacity, published: str
    ) -> None:
        capacity.limits[published] = 5
        capacity.allocate(published, "1", 3)
        with pytest.raises(WarmUpFailed):
            capacity.allocate(published, "2", 3)
        assert capacity.most[published] == 3

    def test_says_why_an_allocation_or_a_version_failed(
        self, capacity: MemoryCapacity, published: str
    ) -> None:
        capacity.failing[published, "2"] = capacity.broken[published, "2"] = "init failed"
        capacity.allocate(published, "2", 3)
        assert capacity.allocations(published)["2"].reason == "init failed"
        assert capacity.version(published, "2").failed

    def test_a_version_may_take_a_while_to_be_active(
        self, capacity: MemoryCapacity, published: str
    ) -> None:
        capacity.sleeping[published, "2"] = 1
        assert [capacity.version(published, "2").active for _ in range(2)] == [False, True]

    def test_an_alias_that_is_not_there_has_nothing(
        self, capacity: MemoryCapacity, published: str
    ) -> None:
        with pytest.raises(NotFound):
            capacity.allocate(published, "gone", 1)


class TestMemoryStacks(StacksContract):
    @pytest.fixture
    def artifacts(self) -> MemoryArtifacts:
        return MemoryArtifacts()

    @pytest.fixture
    def stacks(self, artifacts: MemoryArtifacts) -> MemoryStacks:
        return MemoryStacks(artifacts, MemoryFunctions())

    @pytest.fixture
    def specify(self, artifacts: MemoryArtifacts) -> Specify:
        application = MemoryApplication(artifacts, MANIFEST)

        def specify(code: str) -> StackSpec:
            artifact = application.build(code)
            url = f"s3://{BUCKET}/{artifact.prefix}/template.json"
            return StackSpec("hello-test", url, {"TidegateArtifactBucket": BUCKET})

        return specify

    @pytest.fixture
    def wait(self) -> Wait:
        return lambda: None

    def test_refuses_to_work_on_a_stack_that_is_worked_on(
        self, stacks: MemoryStacks, specify: Specify, wait: Wait
    ) -> None:
        made = self.previewed(stacks, specify("one"), "create", wait)
        stacks.execute(made.id, "execute")
        with pytest.raises(StackBusy):
            stacks.preview(specify("two"), "next")
        with pytest.raises(StackBusy):
            stacks.update(specify("two"), "next")

    def test_refuses_parameters_that_the_template_does_not_have(
        self, stacks: MemoryStacks, specify: Specify
    ) -> None:
        spec = specify("one")
        with pytest.raises(ChangeSetFailed, match="Unknown"):
            stacks.preview(StackSpec(spec.stack_name, spec.template_url, {"Unknown": ""}), "new")

    def test_refuses_a_change_set_that_was_never_made(self, stacks: MemoryStacks) -> None:
        with pytest.raises(ChangeSetStale):
            stacks.execute("arn:nothing", "execute")

    def test_counts_an_update_with_a_known_token_as_begun(
        self, stacks: MemoryStacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        assert stacks.update(specify("two"), "update")
        assert stacks.update(specify("two"), "update")

    def test_deletes_once_however_often_it_is_asked(
        self, stacks: MemoryStacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        stacks.delete("hello-test", "delete")
        stacks.delete("hello-test", "delete")
        assert not self.settled(stacks, "hello-test", wait).exists
