"""What the build makes of a template deploys, and a pin holds the live alias."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.ports.stacks import POLLS, Wait
from tidegate.aws.session import Clients
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls
from tidegate.build.artifact import build_and_upload
from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import ArtifactRef, Target
from tidegate.core.ports import StackState
from tidegate.core.workflow.target.stack_spec import stack_spec

pytestmark = pytest.mark.cloud

TARGET = Target(
    account="111111111111", region="eu-west-1", role_arn="role/target", stack_name="shop-prod"
)
PIN = "TidegatePinnedVersionGreeterAliaslive"
MANIFEST = (
    'version: 1\napplication: shop\nstages: [{name: prod, account: "111111111111",'
    " regions: [eu-west-1]}]\n"
)
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Greeter:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Handler: app.handler
      Runtime: python3.12
      AutoPublishAlias: live
      DeploymentPreference: {Type: Canary10Percent5Minutes}
"""


class Shop:
    """An application that is built, stored and deployed with or without a pin."""

    def __init__(
        self, folder: Path, bucket: str, s3: Any, stacks: CloudFormationStacks, wait: Wait
    ) -> None:
        self._folder, self._bucket, self._s3 = folder, bucket, s3
        self._stacks, self._wait = stacks, wait
        (folder / "code").mkdir()
        (folder / "tidegate.yaml").write_text(MANIFEST)
        (folder / "template.yaml").write_text(TEMPLATE)

    def build(self, code: str) -> ArtifactRef:
        """Build and store."""
        (self._folder / "code" / "app.py").write_text(code)
        return build_and_upload(
            self._folder, bucket=self._bucket, s3=self._s3, revision={"commit": "c0ffee"}
        )

    def deploy(self, built: ArtifactRef, pin: str = "") -> StackState:
        """Deploy by a change set."""
        stored = self._s3.get_object(Bucket=self._bucket, Key=f"{built.prefix}/artifact.json")
        spec = stack_spec(
            artifact=built,
            contents=ArtifactContents.model_validate_json(stored["Body"].read()),
            stage="prod",
            target=TARGET,
            parameters={},
            pins={PIN: pin},
        )
        for _ in range(POLLS):
            if made := self._stacks.preview(spec, f"{built.digest} {pin}"):
                self._stacks.execute(made.id, "execute")
                return self._settled()
            self._wait()
        raise AssertionError("no change set")

    def _settled(self) -> StackState:
        for _ in range(POLLS):
            state = self._stacks.state("shop-prod")
            if not state.busy:
                return state
            self._wait()
        raise AssertionError("still busy")


@pytest.fixture
def shop(
    tmp_path: Path, bucket: str, client: Callable[[str], Any], clients: Clients, wait: Wait
) -> Shop:
    stacks = CloudFormationStacks(clients.make("cloudformation"), templates=TemplateUrls(clients))
    return Shop(tmp_path, bucket, client("s3"), stacks, wait)


def test_a_pinned_alias_stays_while_the_candidate_is_published(
    shop: Shop, client: Callable[[str], Any]
) -> None:
    def live() -> str:
        alias = client("lambda").get_alias(FunctionName=function, Name="live")
        version: str = alias["FunctionVersion"]
        return version

    first = shop.deploy(shop.build("def handler(event, context): return 1"))
    assert first.status == "CREATE_COMPLETE"
    function = first.resources["Greeter"]
    assert live() == "1"

    built = shop.build("def handler(event, context): return 2")
    pinned = shop.deploy(built, pin="1")
    assert pinned.status == "UPDATE_COMPLETE"
    assert pinned.parameters[PIN] == "1"
    assert live() == "1"
    candidates = client("lambda").list_versions_by_function(FunctionName=function)["Versions"]
    assert [v["Version"] for v in candidates] == ["$LATEST", "1", "2"]

    assert shop.deploy(built).status == "UPDATE_COMPLETE"
    assert live() == "2"


def test_after_the_finish_the_template_says_what_the_alias_serves(
    shop: Shop, client: Callable[[str], Any]
) -> None:
    """What drift detection compares: each property that the template gives, with the resource."""
    functions = client("lambda")
    function = shop.deploy(shop.build("def handler(event, context): return 1")).resources["Greeter"]
    built = shop.build("def handler(event, context): return 2")
    shop.deploy(built, pin="1")
    alias = functions.get_alias(FunctionName=function, Name="live")
    functions.update_alias(
        FunctionName=function,
        Name="live",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {}},
        RevisionId=alias["RevisionId"],
    )

    finished = shop.deploy(built)  # as the finish does, when the alias is there already

    (wanted,) = (
        arn.rpartition(":")[2] for name, arn in finished.resources.items() if "Version" in name
    )
    alias = functions.get_alias(FunctionName=function, Name="live")
    assert alias["FunctionVersion"] == wanted == "2"
    assert not (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    assert finished.parameters[PIN] == ""
