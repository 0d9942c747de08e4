"""How long users meet a bad candidate after the reason is known: from an alarm, and an abort.

In the embedded AWS: an alarm goes off in the target account, its rule carries the event to the
controller's bus, and the function there puts every alias back. Tasks run as Lambda functions do.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3

from bench.lambda_endpoints import REPORT, machine
from bench.sections import put_section
from tidegate.aws.clock import SystemClock
from tidegate.aws.ledger import DynamoLedger
from tidegate.cli.backend import AwsBackend
from tidegate.core.model.plan import (
    ArtifactRef,
    Checks,
    ManagedAlias,
    ReleasePlan,
    ReleaseRef,
    StagePlan,
    Step,
    StrategyPlan,
    Target,
)
from tidegate.core.model.record import (
    Application,
    Judgement,
    Lock,
    OperatorRequest,
    Plan,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Seen,
    Shift,
    Tick,
    Verdict,
)
from tidegate.core.workflow.records import find, put_over
from tidegate_embedded.cloud import EmbeddedAws

CONTROLLER, TARGET, REGION = "111111111111", "333333333333", "eu-west-1"
FUNCTIONS = 20
MEDIAN_SECONDS, P99_SECONDS = 1.0, 3.0
BUS, TABLE, ALARM = "tidegate", "record", "shop-errors"
SHOP = ReleaseRef(id="shop-2", application="shop", number=2)
PLACE = {"stage": "prod", "target": f"{TARGET}/{REGION}"}
ROLE = f"arn:aws:iam::{CONTROLLER}:role/task"
PATTERN = {
    "source": ["aws.cloudwatch"],
    "detail-type": ["CloudWatch Alarm State Change"],
    "detail": {"state": {"value": ["ALARM"]}},
}
_PATIENCE_SECONDS = 60.0
_WARM_UP = 2  # runs that start the function's process, not counted


@dataclass(frozen=True, slots=True)
class Figures:
    """How long it took until every alias was back, in seconds, fastest first."""

    what: str
    seconds: tuple[float, ...]

    def quantile(self, percent: int) -> float:
        """The time within which so many of a hundred were done."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    @property
    def good(self) -> bool:
        """Whether it is as fast as promised."""
        return self.quantile(50) < MEDIAN_SECONDS and self.quantile(99) < P99_SECONDS


class World:
    """A controller, and a target with a release that is split on every alias."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws, self.clock = aws, SystemClock()
        self.ledger = DynamoLedger(self.client("dynamodb"), TABLE)
        self.shifts = tuple(self._functions())
        self._table()
        self._roles()
        self._tasks()
        self._alarms()
        self._begin()

    def client(self, service: str, account: str = CONTROLLER) -> Any:
        """A client of this account."""
        return self.aws.client(service, account=account, region=REGION)

    def _functions(self) -> Iterator[Shift]:
        functions = self.client("lambda", TARGET)
        for number in range(FUNCTIONS):
            name = f"shop-prod-F{number:02d}"
            code = _package("def handler(event, context): return 1")
            functions.create_function(
                FunctionName=name,
                Code={"ZipFile": code},
                Handler="app.handler",
                Runtime=_runtime(),
                Role=f"arn:aws:iam::{TARGET}:role/shop",
            )
            functions.publish_version(FunctionName=name)
            functions.update_function_code(
                FunctionName=name, ZipFile=_package("def handler(event, context): return 2")
            )
            functions.publish_version(FunctionName=name)
            functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
            yield Shift(function=name, alias="live", stable="1", candidate="2")

    def _table(self) -> None:
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        self.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k, _ in keys],
            KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in keys],
        )

    def _roles(self) -> None:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{CONTROLLER}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        self.client("iam", TARGET).create_role(
            RoleName="tidegate-target", AssumeRolePolicyDocument=json.dumps(trust)
        )

    def _tasks(self) -> None:
        """The controller's own handlers, from this checkout, as functions."""
        here = Path(__file__).parents[1] / "controller"
        search = os.pathsep.join([str(here), sysconfig.get_paths()["purelib"]])
        for task in ("on_alarm", "operate"):
            source = (
                f"import os, sys; sys.path += os.environ['SEARCH'].split(os.pathsep)\n"
                f"from tidegate.handlers.{task} import handler\n"
            )
            self.client("lambda").create_function(
                FunctionName=task,
                Code={"ZipFile": _package(source)},
                Handler="app.handler",
                Runtime=_runtime(),
                Role=ROLE,
                Timeout=85,
                MemorySize=512,
                Environment={
                    "Variables": {
                        "SEARCH": search,
                        "TIDEGATE_TABLE": TABLE,
                        "TIDEGATE_BUS": BUS,
                        "TIDEGATE_CALLS_AT_ONCE": "100000",  # a rare reaction finds them unused
                        "POWERTOOLS_TRACE_DISABLED": "true",
                        "POWERTOOLS_METRICS_NAMESPACE": "Tidegate",
                        "POWERTOOLS_SERVICE_NAME": "tidegate",
                    }
                },
            )

    def _alarms(self) -> None:
        """The way of an alarm, as template.yaml and pipeline/target-region.yaml make it."""
        events = self.client("events")
        events.create_event_bus(Name=BUS)
        bus = f"arn:aws:events:{REGION}:{CONTROLLER}:event-bus/{BUS}"
        events.put_permission(
            EventBusName=BUS, Action="events:PutEvents", Principal=TARGET, StatementId="target"
        )
        events.put_rule(Name="hear", EventBusName=BUS, EventPattern=json.dumps(PATTERN))
        function = f"arn:aws:lambda:{REGION}:{CONTROLLER}:function:on_alarm"
        events.put_targets(
            Rule="hear", EventBusName=BUS, Targets=[{"Id": "function", "Arn": function}]
        )
        there = self.client("events", TARGET)
        there.put_rule(Name="tell", EventPattern=json.dumps(PATTERN))
        role = f"arn:aws:iam::{TARGET}:role/tell"
        there.put_targets(Rule="tell", Targets=[{"Id": "bus", "Arn": bus, "RoleArn": role}])
        self.client("cloudwatch", TARGET).put_metric_alarm(
            AlarmName=ALARM,
            Namespace="Shop",
            MetricName="Errors",
            Statistic="Sum",
            Period=86_400,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
        )

    def _begin(self) -> None:
        """A release that shifts."""
        artifact = ArtifactRef(
            application="shop",
            digest="sha256:0",
            bucket="bucket",
            prefix="applications/shop/artifacts/0",
            commit="0",
        )
        target = Target(
            account=TARGET,
            region=REGION,
            role_arn=f"arn:aws:iam::{TARGET}:role/tidegate-target",
            stack_name="shop-prod",
        )
        stage = StagePlan(
            name="prod",
            order=0,
            waves=((target,),),
            strategy=StrategyPlan(name="canary", steps=(Step(weight=0.1, bake_seconds=600),)),
            checks=Checks(alarms=(ALARM,)),
        )
        aliases = tuple(
            ManagedAlias(
                function=shift.function,
                alias="live",
                alias_logical_id=f"Alias{number}",
                version_logical_id=f"Version{number}",
                pin_parameter=f"Pin{number}",
            )
            for number, shift in enumerate(self.shifts)
        )
        now = self.clock.now()
        plan = ReleasePlan(
            release=SHOP, artifact=artifact, aliases=aliases, tests=(), stages=(stage,)
        )
        self.ledger.put(Application(name="shop", last_number=2))
        self.ledger.put(Plan(plan=plan))
        self.ledger.put(
            Release(
                application="shop",
                number=2,
                phase=ReleasePhase.PROGRESSING,
                artifact=artifact,
                execution_arn="release",
                started_at=now,
            )
        )
        self.ledger.put(
            Lock(application="shop", owner="release", release_number=2, fence=1, since=now)
        )

    def split(self) -> None:
        """Give every candidate a tenth, and say so in the record."""
        functions, shifts = self.client("lambda", TARGET), []
        for shift in self.shifts:
            written = functions.update_alias(
                FunctionName=shift.function,
                Name=shift.alias,
                FunctionVersion=shift.stable,
                RoutingConfig={"AdditionalVersionWeights": {shift.candidate: 0.1}},
            )
            shifts.append(shift.model_copy(update={"revision": written["RevisionId"]}))
        now = self.clock.now() - timedelta(minutes=1)
        key = {"release_id": SHOP.id, **PLACE}
        healthy = Verdict(judgement=Judgement.HEALTHY)
        put_over(
            self.ledger,
            Tick(
                **key, number=1, at=now, action="set-weight", weight=0.1, why="the shift begins",
                verdict=healthy, seen=Seen(weight=0.0, step=-1),
            ),
        )  # fmt: skip
        put_over(
            self.ledger,
            Rollout(
                **key, phase=RolloutPhase.SHIFTING, fence=1, shifts=tuple(shifts), weight=0.1,
                left_weight=0.1, step=0, step_started_at=now, moved_at=(now,), shifting_since=now,
                ticks=1, looked_at=now, verdict=healthy, alarms=(ALARM,), started_at=now,
            ),
        )  # fmt: skip

    def until_back(self) -> None:
        """Return when the record says that every alias is back, and check that they are."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._rollout().is_back:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not back after {_PATIENCE_SECONDS:.0f} s")
            time.sleep(0.005)

    def check(self) -> None:
        """Raise when an alias is still split."""
        functions = self.client("lambda", TARGET)
        for shift in self.shifts:
            alias = functions.get_alias(FunctionName=shift.function, Name=shift.alias)
            left = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
            if left or alias["FunctionVersion"] != shift.stable:
                raise RuntimeError(f"{shift.function} is not back: {alias}")

    def _rollout(self) -> Rollout:
        found = find(self.ledger, Rollout, release_id=SHOP.id, **PLACE)
        if found is None:
            raise RuntimeError("the rollout is not in the record")
        return found

    def alarm(self, state: str) -> None:
        """Set the alarm."""
        self.client("cloudwatch", TARGET).set_alarm_state(
            AlarmName=ALARM, StateValue=state, StateReason="bench"
        )

    def forget_the_abort(self) -> None:
        """Let the release be aborted once more."""
        if request := find(self.ledger, OperatorRequest, release_id=SHOP.id, verb="abort"):
            self.ledger.delete(request)


def measure(runs: int) -> list[Figures]:
    """So many alarms, and so many aborts; a few before them warm everything up."""
    with EmbeddedAws() as aws:
        world = World(aws)
        session = boto3.Session(
            aws_access_key_id=CONTROLLER,
            aws_secret_access_key=aws.cloud.secret,
            region_name=REGION,
        )
        os.environ["AWS_ENDPOINT_URL"] = aws.endpoint
        backend = AwsBackend(session, {"OperateFunction": "operate", "TableName": TABLE})

        def abort() -> None:
            world.forget_the_abort()
            backend.operate("abort", SHOP.id, "", "wrong prices")

        def ring() -> None:
            world.alarm("ALARM")

        return [
            Figures("an alarm's event", _times(world, ring, runs)),
            Figures("an operator's abort", _times(world, abort, runs)),
        ]


def _times(world: World, act: Callable[[], None], runs: int) -> tuple[float, ...]:
    seconds = []
    for number in range(_WARM_UP + runs):
        world.alarm("OK")
        world.split()
        begun = time.perf_counter()
        act()
        world.until_back()
        took = time.perf_counter() - begun
        world.check()
        if number >= _WARM_UP:
            seconds.append(took)
    return tuple(sorted(seconds))


def section(figures: Sequence[Figures]) -> str:
    """What the page says of it, without its heading."""
    runs = len(figures[0].seconds)
    rows = [
        f"| {one.what} | {one.quantile(50):.2f} s | {one.quantile(90):.2f} s"
        f" | {one.quantile(99):.2f} s | {one.seconds[-1]:.2f} s |"
        for one in figures
    ]
    return "\n".join([
        f"From the reason to the last of {FUNCTIONS} aliases on the stable version, {runs} times",
        "each, in the embedded AWS, with the controller's own handlers as warm Lambda functions.",
        "The alarm goes off in the target account, its event crosses to the controller's bus, and",
        "the function that hears it puts the aliases back; an abort is what the command waits for.",
        f"Promised are a median below {MEDIAN_SECONDS:g} s, and at most {P99_SECONDS:g} s at p99.",
        "AWS allows 15 calls of Lambda's control plane in a second for an account and region. That",
        "is not part of this: there, each 15 aliases more may take another second.",
        "",
        machine(),
        "",
        "| from | median | p90 | p99 | slowest |",
        "| --- | ---: | ---: | ---: | ---: |",
        *rows,
    ])  # fmt: skip


def _package(source: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", source)
    return packed.getvalue()


def _runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the section. Returns 1 when it is slower than promised."""
    parser = argparse.ArgumentParser(prog="bench.reaction", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of each reaction")
    figures = measure(parser.parse_args(arguments).runs)
    told = section(figures)
    sys.stdout.write(f"{told}\n")
    put_section(REPORT, "Reaction", told)
    return 0 if all(one.good for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
