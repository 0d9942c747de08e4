"""An alarm of a target account takes traffic back there: its rule, the bus, the function, Lambda.

Everything is real but AWS: the templates' rules, the handler as a Lambda function, a rollout that
has shifted by the adapters that it runs with.
"""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path
from typing import Any

import boto3
import pytest

from contract.local.crossing import BUS, Crossing
from contract.local.lambda_functions import Function
from support.waiting import eventually
from tidegate.aws.settings import Settings
from tidegate.aws.wiring import wire
from tidegate.core.model.plan import (
    ArtifactRef,
    Checks,
    ReleasePlan,
    ReleaseRef,
    StagePlan,
    Step,
    StrategyPlan,
    Target,
)
from tidegate.core.model.record import (
    Application,
    Lock,
    Plan,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Shift,
)
from tidegate.core.ports import AliasRef, AliasState, Ports
from tidegate.core.workflow.rollout.shift import tick
from tidegate.core.workflow.target.context import RolloutRef
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

CONTROLLER = Path(__file__).parents[3] / "controller"
TABLE, ALARM, FUNCTIONS = "record", "shop-prod-errors", ("shop-prod-Cart", "shop-prod-Pay")
SHOP = ReleaseRef(id="shop-2", application="shop", number=2)


@pytest.fixture
def crossing(aws: EmbeddedAws, account: str) -> Crossing:
    """The way of the alarm, with the real handler at its end."""
    crossing = Crossing(aws, account, str(int(account) + 500_000_000_000))
    search = os.pathsep.join([str(CONTROLLER), sysconfig.get_paths()["purelib"]])
    function = Function.create(
        aws,
        account,
        "import os, sys; sys.path += os.environ['SEARCH'].split(os.pathsep)\n"
        "from tidegate.handlers.on_alarm import handler\n",
        name="on-alarm",
        Timeout=60,
        Environment={
            "Variables": {
                "SEARCH": search,
                "TIDEGATE_TABLE": TABLE,
                "TIDEGATE_BUS": BUS,
                "POWERTOOLS_TRACE_DISABLED": "true",
                "POWERTOOLS_METRICS_NAMESPACE": "Tidegate",
                "POWERTOOLS_SERVICE_NAME": "tidegate",
            }
        },
    )
    crossing.tell(function.arn)
    crossing.watch(ALARM)
    return crossing


@pytest.fixture
def ports(session: boto3.Session, aws: EmbeddedAws, account: str) -> Ports:
    """The adapters of a controller, and its table."""
    keys = {"pk": "HASH", "sk": "RANGE"}
    aws.client("dynamodb", account=account).create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in keys],
        KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in keys.items()],
    )
    return wire(Settings(table=TABLE, bus=BUS), session)


@pytest.fixture
def target(aws: EmbeddedAws, account: str, crossing: Crossing) -> Target:
    """The account of the alarm, with a role for the controller and two functions."""
    allow: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    allow["Principal"] = {"AWS": f"arn:aws:iam::{account}:root"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    role = aws.client("iam", account=crossing.target).create_role(
        RoleName="tidegate-target", AssumeRolePolicyDocument=trust
    )["Role"]["Arn"]
    for name in FUNCTIONS:
        code = "def handler(event, context): return {}"
        function = Function.create(aws, crossing.target, code.format(1), name=name)
        function.alias("live", function.publish())
        function.update(code.format(2))
        function.publish()
    return Target(
        account=crossing.target, region="eu-west-1", role_arn=role, stack_name="shop-prod"
    )


def begin(ports: Ports, target: Target) -> RolloutRef:
    """A release whose candidates are validated and about to get their first traffic."""
    artifact = ArtifactRef(
        application="shop", digest="sha256:2", bucket="b", prefix="p", commit="c"
    )
    stage = StagePlan(
        name="prod",
        order=0,
        waves=((target,),),
        strategy=StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=600),)),
        checks=Checks(alarms=(ALARM,)),
    )
    plan = ReleasePlan(release=SHOP, artifact=artifact, aliases=(), tests=(), stages=(stage,))
    now = ports.clock.now()
    for item in (
        Application(name="shop", last_number=2),
        Plan(plan=plan),
        Release(
            application="shop",
            number=2,
            phase=ReleasePhase.PROGRESSING,
            artifact=artifact,
            execution_arn="release",
            started_at=now,
        ),
        Lock(application="shop", owner="release", release_number=2, fence=1, since=now),
        Rollout(
            release_id=SHOP.id,
            stage="prod",
            target=target.id,
            phase=RolloutPhase.VALIDATING,
            fence=1,
            shifts=tuple(
                Shift(function=name, alias="live", stable="1", candidate="2") for name in FUNCTIONS
            ),
            started_at=now,
        ),
    ):
        ports.ledger.put(item)
    return RolloutRef(release=SHOP, stage="prod", target=target.id)


def test_an_alarm_there_puts_every_alias_there_on_the_stable_version(
    crossing: Crossing, ports: Ports, target: Target
) -> None:
    ref = begin(ports, target)
    aliases = ports.targets.open(target).aliases

    def serve() -> list[AliasState]:
        return [aliases.read(AliasRef(name, "live")) for name in FUNCTIONS]

    def back() -> Rollout | None:
        key = (f"RELEASE#{SHOP.id}", f"ROLLOUT#prod#{target.id}")
        rollout = ports.ledger.get(Rollout, *key)
        return rollout if rollout and rollout.is_back else None

    assert tick(ports, ref) == {"promoted": False, "bake_seconds": 60}
    assert [state.routes for state in serve()] == [{"2": 0.1}, {"2": 0.1}]

    crossing.fire(ALARM)

    rollout = eventually(back)
    assert [(state.version, state.routes) for state in serve()] == [("1", {}), ("1", {})]
    assert rollout.phase is RolloutPhase.RESTORING
    assert rollout.cause.startswith(f"alarm {ALARM} fires")
