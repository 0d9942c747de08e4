"""The ports as a Lambda function finds them: roles assumed, events told, settings read."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from contract.local.lambda_functions import Function
from support.waiting import eventually
from tidegate.aws.bus import EventBridgeBus
from tidegate.aws.clock import SystemClock
from tidegate.aws.session import Clients
from tidegate.aws.settings import Settings, read_settings, settings
from tidegate.aws.stacks import TemplateUrls
from tidegate.aws.targets import AssumedTargets
from tidegate.aws.wiring import adapters, connect, wire
from tidegate.core.errors import InputError, NotFound, ServiceRefused, ServiceUnavailable
from tidegate.core.model.plan import Target
from tidegate.core.ports import AliasRef
from tidegate.testing.memory import SettableClock
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud


@pytest.fixture
def target(aws: EmbeddedAws, account: str) -> Target:
    """Another account, with a role that the test's account may assume."""
    other = str(int(account) + 500_000_000_000)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = aws.client("iam", account=other).create_role(
        RoleName="tidegate-target", AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]["Arn"]
    return Target(account=other, region="eu-west-1", role_arn=role, stack_name="shop-prod")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(datetime.now(UTC))


@pytest.fixture
def targets(clients: Clients, clock: SettableClock) -> AssumedTargets:
    return AssumedTargets(
        clients=clients,
        sts=clients.make("sts"),
        clock=clock,
        external_id="shibboleth",
        open_ports=adapters(TemplateUrls(clients), 60, "tidegate-cloudformation"),
    )


class TestTargets:
    def test_acts_in_the_targets_account(
        self, targets: AssumedTargets, target: Target, aws: EmbeddedAws
    ) -> None:
        function = Function.create(aws, target.account, "def handler(event, context): return 1")
        function.alias("live", function.publish())

        ports = targets.open(target)

        assert ports.aliases.read(AliasRef(function.name, "live")).version == "1"
        assert not ports.stacks.state("shop-prod").exists

    def test_acts_in_the_targets_region(
        self, targets: AssumedTargets, target: Target, aws: EmbeddedAws
    ) -> None:
        function = Function.create(aws, target.account, "def handler(event, context): return 1")
        function.alias("live", function.publish())
        elsewhere = target.model_copy(update={"region": "us-east-1"})

        with pytest.raises(NotFound):
            targets.open(elsewhere).aliases.read(AliasRef(function.name, "live"))

    def test_assumes_a_role_once_until_it_is_about_to_expire(
        self, targets: AssumedTargets, target: Target, clock: SettableClock
    ) -> None:
        opened = targets.open(target)
        clock.advance(timedelta(minutes=50).total_seconds())
        assert targets.open(target) is opened
        clock.advance(timedelta(minutes=6).total_seconds())
        assert targets.open(target) is not opened

    def test_says_which_role_does_not_let_it_in(
        self, clients: Clients, clock: SettableClock, target: Target
    ) -> None:
        sts = clients.make("sts")
        targets = AssumedTargets(
            clients=clients,
            sts=sts,
            clock=clock,
            external_id="wrong",
            open_ports=adapters(TemplateUrls(clients), 60),
        )

        with Stubber(sts) as answers:
            answers.add_client_error("assume_role", "AccessDenied", "Not authorized to assume it")
            with pytest.raises(ServiceRefused) as refused:
                targets.open(target)

        assert f"act in {target.id} as {target.role_arn}: Not authorized" in str(refused.value)
        assert "asks for its external id" in refused.value.remedy


class TestBus:
    def test_tells_a_change_to_whoever_listens(
        self, clients: Clients, client: Callable[[str], Any], account: str
    ) -> None:
        events, sqs = client("events"), client("sqs")
        events.create_event_bus(Name="tidegate")
        queue = sqs.create_queue(QueueName="told")["QueueUrl"]
        events.put_rule(
            Name="all", EventBusName="tidegate", EventPattern=json.dumps({"source": ["tidegate"]})
        )
        events.put_targets(
            Rule="all",
            EventBusName="tidegate",
            Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:eu-west-1:{account}:told"}],
        )

        bus = EventBridgeBus(clients.make("events"), "tidegate")
        bus.publish("Release State Change", {"release": "shop-1", "phase": "testing"})

        (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
        event = json.loads(message["Body"])
        assert event["source"] == "tidegate"
        assert event["detail-type"] == "Release State Change"
        assert event["detail"] == {"release": "shop-1", "phase": "testing"}


class TestSettings:
    def test_reads_the_environment(self) -> None:
        assert read_settings(
            {
                "TIDEGATE_TABLE": "record",
                "TIDEGATE_BUS": "bus",
                "TIDEGATE_OBSERVATION_SECONDS": "5",
                "TIDEGATE_EXTERNAL_ID": "shibboleth",
                "TIDEGATE_CLOUDFORMATION_ROLE": "",
                "TIDEGATE_CALLS_AT_ONCE": "50",
            }
        ) == Settings("record", "bus", 5, "shibboleth", "", calls_at_once=50)

    def test_has_defaults_for_what_may_be_left_out(self) -> None:
        read = read_settings({"TIDEGATE_TABLE": "record", "TIDEGATE_BUS": "bus"})

        assert read == Settings("record", "bus", 60, "", "tidegate-cloudformation")

    def test_says_what_is_missing(self) -> None:
        with pytest.raises(InputError, match="lacks TIDEGATE_TABLE and TIDEGATE_BUS"):
            read_settings({})

    @pytest.mark.parametrize("wrong", ["0", "many", "-5"])
    def test_says_what_is_no_number_of_calls(self, wrong: str) -> None:
        environment = {"TIDEGATE_TABLE": "record", "TIDEGATE_BUS": "bus"}
        with pytest.raises(InputError, match="TIDEGATE_CALLS_AT_ONCE is"):
            read_settings({**environment, "TIDEGATE_CALLS_AT_ONCE": wrong})

    @pytest.mark.parametrize("wrong", ["0", "a minute", "-5"])
    def test_says_what_is_no_number(self, wrong: str) -> None:
        with pytest.raises(InputError, match="TIDEGATE_OBSERVATION_SECONDS is"):
            read_settings(
                {
                    "TIDEGATE_TABLE": "record",
                    "TIDEGATE_BUS": "bus",
                    "TIDEGATE_OBSERVATION_SECONDS": wrong,
                }
            )


class TestConnect:
    @pytest.fixture(autouse=True)
    def _forget(self) -> Iterator[None]:
        for cached in (settings, connect):
            cached.cache_clear()
        yield
        for cached in (settings, connect):
            cached.cache_clear()

    def test_connects_once_by_the_environment(
        self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TIDEGATE_TABLE", "record")
        monkeypatch.setenv("TIDEGATE_BUS", "bus")
        monkeypatch.setenv("TIDEGATE_OBSERVATION_SECONDS", "5")

        ports = connect()

        assert ports.evaluation_seconds == 5
        assert isinstance(ports.clock, SystemClock)
        assert connect() is ports

    def test_says_that_a_table_is_missing(self, session: boto3.Session) -> None:
        ports = wire(Settings("no-such-table", "bus"), session)

        with pytest.raises(ServiceRefused, match="read APP#shop of the record"):
            ports.ledger.query("APP#shop")

    def test_says_that_aws_does_not_answer(
        self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _at_once)
        ports = wire(Settings("record", "bus"), session)

        with pytest.raises(ServiceUnavailable, match="publish on the bus"):
            ports.bus.publish("Release State Change", {})


def _at_once(*_: object) -> float:
    return 0.0
