"""What is taken over deploys: made, updated twice, taken back once, and the aliases held."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.ports.stacks import POLLS, Wait
from support.applications import NAMES, make_application
from tidegate.aws.aliases import LambdaAliases
from tidegate.aws.capacity import LambdaCapacity
from tidegate.aws.session import Clients
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls
from tidegate.build.artifact import build_and_upload
from tidegate.build.loops import expand_loops
from tidegate.build.template import read_template
from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import ArtifactRef, Target
from tidegate.core.ports import AliasRef, StackState, Warmth
from tidegate.core.workflow.target.stack_spec import held_by_aliases, live_versions, stack_spec
from tidegate_embedded.cloud import DEFAULT_REGION

pytestmark = pytest.mark.cloud

STACK = "shop-prod"
TARGET = Target(
    account="111111111111", region="eu-west-1", role_arn="role/target", stack_name=STACK
)
NOT_MADE = {"unseen"}  # it has a stack in the stack, and a macro, that are nowhere
FOUND_IN_PARAMETER_STORE = {
    "/cdk-bootstrap/hnb659fds/version": "21",
    "/shop/endpoint": "https://shop.example.com",
    "/shop/token": "secret",
}
FUNCTIONS = {"AWS::Serverless::Function", "AWS::Lambda::Function"}

Built = tuple[ArtifactRef, ArtifactContents]


class Application:
    """An application that is built, and deployed as a release deploys it."""

    def __init__(
        self, folder: Path, bucket: str, client: Callable[[str], Any], clients: Clients, wait: Wait
    ) -> None:
        self._folder, self._bucket, self._wait = folder, bucket, wait
        self._s3 = client("s3")
        self.aliases = LambdaAliases(client("lambda"))
        self.capacity = LambdaCapacity(client("lambda"))
        self._stacks = CloudFormationStacks(
            clients.make("cloudformation"), templates=TemplateUrls(clients)
        )
        self._deployments = 0

    def configure(self, **properties: Any) -> None:
        """Give all functions these properties."""
        path = self._folder / "template.yaml"
        template = expand_loops(read_template(path))
        for resource in template["Resources"].values():
            if resource["Type"] in FUNCTIONS:
                resource["Properties"] = {**resource.get("Properties", {}), **properties}
        path.write_text(json.dumps(template))

    def write(self, path: str, text: str) -> None:
        """Change one of its files."""
        (self._folder / path).write_text(text)

    def build(self) -> Built:
        built = build_and_upload(
            self._folder, bucket=self._bucket, s3=self._s3, revision={"commit": "c0ffee"}
        )
        stored = self._s3.get_object(Bucket=self._bucket, Key=f"{built.prefix}/artifact.json")
        return built, ArtifactContents.model_validate_json(stored["Body"].read())

    def deploy(
        self,
        built: Built,
        parameters: Mapping[str, str] | None = None,
        *,
        held: bool = True,
        kept: Mapping[str, str] | None = None,
    ) -> StackState:
        """Deploy by a change set, with the aliases held where they are.

        ``kept`` is what aliases have of provisioned concurrency, by parameter, if it is not asked.
        """
        artifact, contents = built
        spec = stack_spec(
            artifact=artifact,
            contents=contents,
            stage="prod",
            target=TARGET,
            parameters=parameters or {},
            pins=self.live(built) if held else {},
            held=self._kept(built) if kept is None else kept,
        )
        self._deployments += 1
        for _ in range(POLLS):
            if made := self._stacks.preview(spec, f"deployment {self._deployments}"):
                self._stacks.execute(made.id, f"execution {self._deployments}")
                return self._settled()
            self._wait()
        raise AssertionError("no change set")

    def _kept(self, built: Built) -> dict[str, str]:
        return held_by_aliases(built[1].aliases, self._stacks.state(STACK), self.capacity)

    def live(self, built: Built) -> dict[str, str]:
        """The version that each alias serves, by its pin."""
        return live_versions(built[1].aliases, self._stacks.state(STACK), self.aliases)

    def candidates(self, built: Built) -> dict[str, str]:
        """The version that each alias would serve without its pin."""
        resources = self._stacks.state(STACK).resources
        return {
            alias.pin_parameter: resources[alias.version_logical_id].rpartition(":")[2]
            for alias in built[1].aliases
            if alias.version_logical_id in resources
        }

    def _settled(self) -> StackState:
        for _ in range(POLLS):
            state = self._stacks.state(STACK)
            if not state.busy:
                return state
            self._wait()
        raise AssertionError("still busy")


MakeApplication = Callable[[str], Application]


@pytest.fixture
def application(
    tmp_path: Path, bucket: str, client: Callable[[str], Any], clients: Clients, wait: Wait
) -> MakeApplication:
    for parameter, value in FOUND_IN_PARAMETER_STORE.items():
        client("ssm").put_parameter(Name=parameter, Value=value, Type="String")

    def make(name: str) -> Application:
        folder = make_application(tmp_path / "app", name)
        if name == "layers":
            _store_their_code(client("s3"), folder / "zipped.zip")
        return Application(folder, bucket, client, clients, wait)

    return make


def _store_their_code(s3: Any, package: Path) -> None:
    """The code that the template `layers` names in a bucket."""
    where = {"LocationConstraint": DEFAULT_REGION}
    s3.create_bucket(Bucket="their-bucket", CreateBucketConfiguration=where)
    s3.put_object(Bucket="their-bucket", Key="their-key.zip", Body=package.read_bytes())


def all_at(version: str, of: Mapping[str, str]) -> dict[str, str]:
    return dict.fromkeys(of, version)


@pytest.mark.templates
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_MADE])
def test_is_made_updated_twice_and_taken_back(name: str, application: MakeApplication) -> None:
    app = application(name)
    first = app.build()
    made = app.deploy(first)
    assert made.status == "CREATE_COMPLETE", made.reason
    assert app.live(first) == all_at("1", app.live(first))

    app.configure(MemorySize=192)
    second = app.build()
    held = app.deploy(second)
    assert held.status == "UPDATE_COMPLETE", held.reason
    assert app.live(second) == all_at("1", app.live(second))
    assert app.candidates(second) == all_at("2", app.live(second))
    finished = app.deploy(second, held=False)
    assert finished.status == "UPDATE_COMPLETE", finished.reason
    assert app.live(second) == all_at("2", app.live(second))

    app.configure(Timeout=17)
    third = app.build()
    assert app.deploy(third).status == "UPDATE_COMPLETE"
    assert app.candidates(third) == all_at("3", app.live(third))
    restored = app.deploy(second)
    assert restored.status == "UPDATE_COMPLETE", restored.reason
    assert app.live(second) == all_at("2", app.live(second))


def test_a_parameter_of_a_stage_publishes_the_functions_that_ask_for_it(
    application: MakeApplication,
) -> None:
    app = application("globals")
    built = app.build()
    assert app.deploy(built, {"MemorySize": "256"}).status == "CREATE_COMPLETE"

    changed = app.deploy(built, {"MemorySize": "512"})

    assert changed.status == "UPDATE_COMPLETE", changed.reason
    assert app.candidates(built) == {
        "TidegatePinnedVersionCatalogueAliaslive": "2",
        "TidegatePinnedVersionSearchAliaslive": "1",  # it has a memory size of its own
    }
    assert app.live(built) == all_at("1", app.live(built))


CONFIGURATIONS: Mapping[str, tuple[str, Any]] = {
    "Architectures": ("Architectures", ["arm64"]),
    "Environment": ("Environment", {"Variables": {"LOG_LEVEL": "DEBUG", "INDEX": "all"}}),
    "MemorySize": ("MemorySize", 512),
    "Runtime": ("Runtime", "python3.13"),
}
"""By the property of the template: where Lambda tells of it, and another value for it."""


@pytest.mark.parametrize("changed", [*CONFIGURATIONS, "Layers"])
def test_a_change_of_configuration_alone_publishes_a_version_and_moves_no_traffic(
    changed: str, application: MakeApplication, client: Callable[[str], Any]
) -> None:
    app = application("globals")
    first = app.build()
    function = app.deploy(first).resources["Search"]
    told, value = CONFIGURATIONS.get(changed, ("Layers", None))

    if changed == "Layers":
        app.write("layer/python/shared.py", "ANSWER = 42\n")
    else:
        app.configure(**{changed: value})
    second = app.build()
    assert app.deploy(second).status == "UPDATE_COMPLETE"

    assert app.live(second) == all_at("1", app.live(second))
    assert app.candidates(second) == all_at("2", app.live(second))
    stable, candidate = (
        client("lambda").get_function_configuration(FunctionName=function, Qualifier=version)
        for version in ("1", "2")
    )
    assert stable["CodeSha256"] == candidate["CodeSha256"]
    assert stable[told] != candidate[told]
    assert value is None or candidate[told] == value


@pytest.mark.parametrize("name", ["events", "queues", "web"])
def test_whoever_invokes_the_alias_goes_on_invoking_it(
    name: str, application: MakeApplication, client: Callable[[str], Any]
) -> None:
    app = application(name)
    app.deploy(app.build())
    app.configure(MemorySize=192)
    built = app.build()
    app.deploy(built)
    state = app.deploy(built, held=False)

    for alias in built[1].aliases:
        called = invoked(client("lambda"), state.resources[alias.function])
        assert called
        assert {arn.rpartition(":")[2] for arn in called} == {alias.alias}


def invoked(functions: Any, function: str) -> list[str]:
    """The ARNs that pollers, permissions and a function URL of this function are for."""
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    arns = [m["FunctionArn"] for m in mappings if f":function:{function}:" in m["FunctionArn"]]
    arns += [m["FunctionArn"] for m in mappings if m["FunctionArn"].endswith(f":{function}")]
    with contextlib.suppress(functions.exceptions.ResourceNotFoundException):
        policy = json.loads(functions.get_policy(FunctionName=function, Qualifier="live")["Policy"])
        arns += [statement["Resource"] for statement in policy["Statement"]]
    with contextlib.suppress(functions.exceptions.ResourceNotFoundException):
        functions.get_function_url_config(FunctionName=function, Qualifier="live")
        arns.append(f"{function}:live")
    return arns


@pytest.mark.templates
def test_an_alias_keeps_its_capacity_until_it_moves_and_leaves_no_drift(
    application: MakeApplication, wait: Wait
) -> None:
    app = application("provisioned")
    built = app.build()
    parameter = "TidegateProvisionedCheckoutAliaslive"
    made = app.deploy(built, kept={parameter: "3"})  # as SAM gives it to an alias
    assert made.status == "CREATE_COMPLETE", made.reason
    function = made.resources["Checkout"]
    assert app.capacity.allocations(function)["live"].executions == 3

    app.configure(MemorySize=192)
    changed = app.build()
    deployed = app.deploy(changed)
    assert deployed.status == "UPDATE_COMPLETE", deployed.reason
    assert deployed.parameters[parameter] == "3"
    while app.capacity.allocations(function)["live"].warmth is not Warmth.READY:
        wait()
    while not app.capacity.version(function, "2").active:
        wait()

    app.capacity.allocate(function, "2", 3)
    while app.capacity.allocations(function)["2"].warmth is not Warmth.READY:
        wait()
    app.capacity.release(function, "live")
    live = app.aliases.read(AliasRef(function, "live"))
    app.aliases.write(
        AliasRef(function, "live"), version="2", routes={}, expected_revision=live.revision
    )
    finished = app.deploy(changed, held=False)
    assert finished.status == "UPDATE_COMPLETE", finished.reason
    assert finished.parameters[parameter] == ""
    assert app.capacity.allocations(function).keys() == {"2"}
