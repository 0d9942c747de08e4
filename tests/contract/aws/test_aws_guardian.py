"""The guardian alone: the package that is deployed, in an interpreter that has nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from contract.local.lambda_functions import Function
from support.story import CANARY, PROD, Story
from tidegate.aws.guarding import NotGranted, wire_guardian
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.settings import Settings
from tidegate.core.errors import ServiceRefused
from tidegate.core.model.plan import Target
from tidegate.core.model.record import Item, Rollout, RolloutPhase
from tidegate.core.workflow.records import find
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

CONTROLLER = Path(__file__).parents[3] / "controller"
RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
TABLE = "tidegate"
INVOKE = """
import json, sys
sys.path[:0] = sys.argv[1:]
from tidegate.handlers.guardian import handler
answer = handler({"source": "aws.events", "detail": {}}, None)
print(json.dumps([answer, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


class Stopped(BaseException):
    """Somebody stopped the executions in the console."""


def locked() -> list[str]:
    """The distributions that the package carries."""
    text = (CONTROLLER / "requirements-guardian.txt").read_text("utf-8")
    return re.findall(r"^([\w-]+)==", text, re.MULTILINE)


def link(folder: Path, names: Iterable[str]) -> Path:
    """A folder with these distributions, as `pip install --target` makes it."""
    folder.mkdir(exist_ok=True)
    for name in names:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if not top.startswith("..") and not (folder / top).exists() and top != "__pycache__":
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes, its locked dependencies taken from here."""
    folder = tmp_path_factory.mktemp("guardian")
    build = ["make", "--silent", "build-GuardianFunction", f"ARTIFACTS_DIR={folder}", "PYTHON=true"]
    subprocess.run(build, cwd=CONTROLLER, check=True)
    return link(folder, locked())


@pytest.fixture
def split(aws: EmbeddedAws, account: str) -> Story:
    """A release that was stopped with split traffic: record and aliases as on AWS."""
    story = Story(CANARY.replace(PROD.partition("/")[0], account))
    assert story.release("one") == "succeeded"

    def stop(*_: object) -> None:
        raise Stopped

    story.machines.while_baking = stop
    with pytest.raises(Stopped):
        story.release("two")
    dynamodb = aws.client("dynamodb", account=account)
    keys = ("pk", "HASH"), ("sk", "RANGE")
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    table = DynamoLedger(dynamodb, TABLE)
    for kind, text in story.world.ledger._rows.values():
        table.put(Item.kinds[kind].model_validate_json(text).model_copy(update={"version": 0}))
    for name in ("hello-prod-Hello", "hello-prod-Bye"):
        function = Function.create(aws, account, "def handler(event, context): return 1", name=name)
        stable = function.publish()
        function.update("def handler(event, context): return 2")
        function.alias("live", stable, {function.publish(): 0.1})
    return story


def serves(aws: EmbeddedAws, account: str) -> list[tuple[str, dict[str, float]]]:
    functions = aws.client("lambda", account=account)
    aliases = [
        functions.get_alias(FunctionName=f"hello-prod-{name}", Name="live")
        for name in ("Hello", "Bye")
    ]
    return [
        (a["FunctionVersion"], a.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))
        for a in aliases
    ]


def test_puts_traffic_back_with_nothing_but_its_package_and_the_runtime(
    aws: EmbeddedAws, account: str, split: Story, package: Path, tmp_path: Path
) -> None:
    assert serves(aws, account) == [("1", {"2": 0.1})] * 2
    environment = {
        **aws.environment(account=account),
        "TIDEGATE_TABLE": TABLE,
        "TIDEGATE_BUS": "a-bus-that-is-gone",
        "TIDEGATE_EXTERNAL_ID": "shibboleth",
        "TIDEGATE_TARGET_ROLE": "tidegate-guardian",
    }
    runtime = link(tmp_path / "runtime", RUNTIME)
    alone = [sys.executable, "-I", "-S", "-c", INVOKE, str(package), str(runtime)]
    run = subprocess.run(
        alone, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    *told, said = run.stdout.splitlines()
    answer, modules = json.loads(said)
    assert answer == {"secured": [f"hello-2 prod {account}/eu-west-1"], "freed": []}
    assert serves(aws, account) == [("1", {}), ("1", {})]
    assert [json.loads(line)["RolloutsGuarded"] for line in told] == [1]
    assert not set(modules) & {"aws_lambda_powertools", "aws_xray_sdk", "ruamel", "wrapt"}
    ledger = DynamoLedger(aws.client("dynamodb", account=account), TABLE)
    rollout = find(
        ledger, Rollout, release_id="hello-2", stage="prod", target=f"{account}/eu-west-1"
    )
    assert rollout is not None
    assert rollout.phase is RolloutPhase.RESTORING
    assert rollout.guarded_at is not None


def test_has_no_way_to_what_it_does_not_need(clients: Any, session: Any) -> None:
    ports = wire_guardian(Settings("record", "bus", target_role="tidegate-guardian"), session)
    target = Target(
        account="222222222222",
        region="eu-west-1",
        role_arn="arn:aws:iam::222222222222:role/tidegate-target",
        stack_name="hello-prod",
    )
    opened = ports.targets.open(target)
    not_granted = [ports.artifacts, ports.callbacks, opened.metrics, opened.functions]
    assert all(
        isinstance(port, NotGranted) for port in [*not_granted, opened.versions, opened.signals]
    )
    with pytest.raises(ServiceRefused, match=r"The guardian may not call functions\.invoke"):
        opened.functions.invoke("hello-prod-Hello", {}, 1)
