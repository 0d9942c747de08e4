"""An application with one function, released over the adapters in an account of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.applications import make_application
from support.waiting import wait_until
from tidegate.aws.settings import Settings
from tidegate.aws.wiring import wire
from tidegate.build.artifact import build_and_upload
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.model.record import Live, Release
from tidegate.core.ports import Ports
from tidegate.testing.machines import Machines
from tidegate.testing.memory import MemoryWorld, SettableClock

MANIFEST = """
version: 1
application: shop
stages: [{{name: prod, account: "{account}", regions: [eu-west-1]{more}}}]
"""


class _Patience(SettableClock):
    """The clock jumps when the embedded AWS is at rest: none of its work takes time by it."""

    def __init__(self, moment: datetime, client: Callable[[str], Any]) -> None:
        super().__init__(moment)
        self._client = client

    def advance(self, seconds: float) -> None:
        wait_until(self._at_rest)
        super().advance(seconds)

    def _at_rest(self) -> bool:
        cloudformation, functions = self._client("cloudformation"), self._client("lambda")
        for stack in cloudformation.describe_stacks()["Stacks"]:
            changes = cloudformation.list_change_sets(StackName=stack["StackName"])["Summaries"]
            if (
                stack["StackStatus"].endswith("_IN_PROGRESS")
                and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
            ) or any(change["Status"].endswith(("_PENDING", "_IN_PROGRESS")) for change in changes):
                return False
        found = functions.list_functions(FunctionVersion="ALL")["Functions"]
        return all(
            (function["State"], function["LastUpdateStatus"]) == ("Active", "Successful")
            for function in found
        )


class Shop:
    """An application with one function, and the controller that releases it."""

    def __init__(
        self, folder: Path, bucket: str, client: Callable[[str], Any], ports: Ports, account: str
    ) -> None:
        self.folder, self._bucket, self._client = folder, bucket, client
        self._account, self._releases = account, 0
        world = MemoryWorld(clock=_Patience(datetime.now(UTC), client))
        self.ports = dataclasses.replace(
            ports, clock=world.clock, callbacks=world.callbacks, executions=world.executions
        )
        self.machines = Machines(world, self.ports)

    def build(self, answer: str) -> ArtifactRef:
        """Store the artifact of this code."""
        self._releases += 1
        self.write(answer)
        return build_and_upload(
            self.folder,
            bucket=self._bucket,
            s3=self._client("s3"),
            revision={"commit": f"c{self._releases}"},
        )

    def write(self, answer: str) -> None:
        """Let the function answer so, from the next build on."""
        (self.folder / "greeter" / "app.py").write_text(
            f"def handler(event, context): return {answer!r}\n"
        )

    @property
    def function(self) -> str:
        """Its name in prod."""
        (function,) = {name.rpartition(":")[0] for name in self.live().versions}
        return function

    def release(self, answer: str) -> str:
        """Build this code and take it to its end."""
        built = self.build(answer)
        return self.machines.release(built, f"execution-{self._releases}")

    def ended(self) -> Release:
        """How the newest release stands."""
        found = self.ports.ledger.query("APP#shop", "RELEASE#", newest_first=True, limit=1)
        assert isinstance(found[0], Release)
        return found[0]

    def answers(self) -> Any:
        """What callers of the live alias get, and the version that the alias is on."""
        function, functions = self.function, self._client("lambda")
        alias = functions.get_alias(FunctionName=function, Name="live")
        assert not (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
        answer = functions.invoke(FunctionName=function, Qualifier="live")
        return json.loads(answer["Payload"].read()), alias["FunctionVersion"]

    def live(self) -> Live:
        """What the record says is live."""
        found = self.ports.ledger.get(Live, "APP#shop", f"LIVE#prod#{self._account}/eu-west-1")
        assert found is not None
        return found


MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(
    tmp_path: Path,
    bucket: str,
    client: Callable[[str], Any],
    session: boto3.Session,
    account: str,
) -> MakeShop:
    """Makes the application, with more of its stage, and the controller that releases it."""

    def make(more: str = "") -> Shop:
        folder = make_application(tmp_path / "shop", "plain")
        (folder / "tidegate.yaml").write_text(MANIFEST.format(account=account, more=more))
        keys = {"pk": "HASH", "sk": "RANGE"}
        client("dynamodb").create_table(
            TableName="record",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in keys],
            KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in keys.items()],
        )
        client("events").create_event_bus(Name="tidegate")
        allow = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        }
        client("iam").create_role(
            RoleName="tidegate-target",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        )
        key = client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        known = Settings(
            "record",
            "tidegate",
            cloudformation_role="",
            seal_key=key["KeyMetadata"]["Arn"],
        )
        return Shop(folder, bucket, client, wire(known, session), account)

    return make
