"""The container-free endpoint serves what `sam build` left as Lambda serves it."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest
from docker.errors import APIError, ImageNotFound
from lambda_functions import package

from support.waiting import alive, wait_until
from tidegate.core.errors import InputError, NotFound, TidegateError
from tidegate_embedded.endpoint import engine
from tidegate_embedded.endpoint.application import read_application
from tidegate_embedded.endpoint.engine import Engine, NoEngineError
from tidegate_embedded.endpoint.start import Choice, Endpoint, Kind, choose, running

LOCAL = Choice(Kind.LOCAL, "the test")

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting: {Type: String, Default: Hello}
Globals:
  Function: {Runtime: python3.11, Handler: app.handler, Timeout: 20}
Resources:
  Prices:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: Prices}
  Table:
    Type: AWS::Serverless::SimpleTable
  Shop:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Shop
      AutoPublishAlias: live
      Layers: [!Ref Prices]
      Environment:
        Variables: {GREETING: !Ref Greeting, LIMIT: 3, STREAM: !GetAtt Table.StreamArn}
  Asking:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Asking, FunctionName: the-asking-one}
  Website:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Website, Runtime: nodejs20.x, Handler: index.handler}
"""
SHOP = """
import os
import prices

def handler(event, context):
    print("two apples")
    return {
        "greeting": os.environ["GREETING"],
        "limit": os.environ["LIMIT"],
        "apple": prices.apple,
        "version": context.function_version,
        "pid": os.getpid(),
    }
"""
ASKING = """
import json
import boto3

def handler(event, context):
    reply = boto3.client("lambda").invoke(FunctionName=event)
    return json.load(reply["Payload"])
"""


@pytest.fixture(scope="module")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `sam build` leaves it."""
    folder = tmp_path_factory.mktemp("build")
    write(folder / "template.yaml", TEMPLATE)
    write(folder / "Shop" / "app.py", SHOP)
    write(folder / "Asking" / "app.py", ASKING)
    write(folder / "Website" / "index.js", "")
    write(folder / "Prices" / "python" / "prices.py", "apple = 3")
    return folder


@pytest.fixture(scope="module")
def endpoint(build_dir: Path) -> Iterator[Endpoint]:
    with running(LOCAL, build_dir, {"Greeting": "Ciao"}) as started:
        yield started


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def ask(client: Any, function: str, event: object = None, **more: Any) -> tuple[Any, Any]:
    """What the function returned, and the whole answer."""
    reply = client.invoke(FunctionName=function, Payload=json.dumps(event or {}), **more)
    return json.load(reply["Payload"]), reply


def test_functions_are_set_up_as_sam_local_reads_the_template(endpoint: Endpoint) -> None:
    answer, _ = ask(endpoint.client(), "Shop")

    assert (answer["greeting"], answer["limit"], answer["apple"]) == ("Ciao", "3", 3)
    configuration = endpoint.client().get_function_configuration(FunctionName="Shop")
    assert configuration["Environment"]["Variables"]["STREAM"] == ""
    assert (configuration["Timeout"], configuration["MemorySize"]) == (20, 128)


@pytest.mark.parametrize(
    ("qualifier", "version"), [(None, "$LATEST"), ("$LATEST", "$LATEST"), ("1", "1"), ("live", "1")]
)
def test_versions_and_aliases_are_served(
    endpoint: Endpoint, qualifier: str | None, version: str
) -> None:
    answer, reply = ask(endpoint.client(), endpoint.arn("Shop", qualifier))

    assert (answer["version"], reply["ExecutedVersion"]) == (version, version)


def test_an_alias_shifts_by_its_weights(endpoint: Endpoint) -> None:
    client = endpoint.client()
    function = {"FunctionName": "the-asking-one"}
    for source in ("return 1", "return 2"):
        code = package(f"def handler(event, context): {source}")
        client.update_function_code(**function, ZipFile=code)
        client.publish_version(**function)
    weights = {"AdditionalVersionWeights": {"2": 1.0}}
    client.create_alias(**function, Name="live", FunctionVersion="1", RoutingConfig=weights)

    assert ask(client, "the-asking-one:live")[0] == 2
    client.update_function_code(**function, ZipFile=package(ASKING))


def test_any_credentials_account_and_region_will_do(endpoint: Endpoint) -> None:
    session = boto3.Session(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x", region_name="us-east-1"
    )
    client = session.client("lambda", endpoint_url=endpoint.url)
    arn = "arn:aws:lambda:us-east-1:222222222222:function:Shop:live"

    assert ask(client, arn)[0]["version"] == "1"
    client.close()


def test_a_function_invokes_another_through_the_same_endpoint(endpoint: Endpoint) -> None:
    answer, _ = ask(endpoint.client(), "the-asking-one", endpoint.arn("Shop", "live"))

    assert answer["version"] == "1"


def test_tells_the_end_of_the_log(endpoint: Endpoint) -> None:
    _, reply = ask(endpoint.client(), "Shop", LogType="Tail")

    assert "two apples" in base64.b64decode(reply["LogResult"]).decode()


def test_what_needs_a_container_is_left_out_and_said(endpoint: Endpoint, build_dir: Path) -> None:
    client = endpoint.client()

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="Website")
    log = (build_dir / "endpoint.log").read_text()
    assert "not Website: nodejs20.x needs `sam local` and containers" in log


# How it ends


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_endpoint(
    build_dir: Path,
    how: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interruptible: None,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what is killed cannot clean up
    with running(LOCAL, build_dir) as started:
        function = ask(started.client(), "Shop")[0]["pid"]
        server = parent_of(function)
        os.kill(server, how)
        wait_until_gone(server)
        wait_until_gone(function)


@pytest.fixture
def interrupts_ignored() -> Iterator[None]:
    """As behind a shell's `&`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_endpoint_ends_when_asked_where_interrupts_are_ignored(
    build_dir: Path, monkeypatch: pytest.MonkeyPatch, interrupts_ignored: None
) -> None:
    def force(pid: int, how: int) -> None:
        os.kill(pid, how)
        raise AssertionError("it had to be killed")

    monkeypatch.setattr(os, "killpg", force)
    with running(LOCAL, build_dir) as started:
        server = parent_of(ask(started.client(), "Shop")[0]["pid"])
    assert not alive(server)


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def wait_until_gone(pid: int) -> None:
    wait_until(lambda: not alive(pid))


# What cannot be started


def test_what_was_not_built_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist\. Run `sam build"):
        read_application(tmp_path)


def test_an_endpoint_that_does_not_start_says_why(tmp_path: Path) -> None:
    inline = (
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Tiny:\n"
        "    Type: AWS::Serverless::Function\n    Properties:\n"
        "      {Runtime: python3.11, Handler: index.handler, InlineCode: 'x = 1'}\n"
    )
    write(tmp_path / "template.yaml", inline)

    with (
        pytest.raises(TidegateError, match="Tiny has InlineCode, which is not built"),
        running(LOCAL, tmp_path),
    ):
        pass


# Which endpoint is taken


def test_takes_the_container_free_endpoint_when_no_engine_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    assert choose().kind is Kind.LOCAL
    assert "no container engine answers" in choose().why
    with pytest.raises(NoEngineError, match="no container engine answers"):
        choose("sam")


def test_takes_what_was_asked_for() -> None:
    assert choose("local") == Choice(Kind.LOCAL, "it was asked for")
    with pytest.raises(InputError, match="there is no endpoint 'docker'"):
        choose("docker")


class EngineWithoutNetwork:
    """Has no image and reaches no registry."""

    def __init__(self) -> None:
        self.images = self

    def get(self, image: str) -> None:
        raise ImageNotFound(image)

    def pull(self, image: str) -> None:
        raise APIError("dial tcp: lookup public.ecr.aws: no such host")

    def close(self) -> None:
        pass


def test_a_missing_base_image_comes_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    offline = EngineWithoutNetwork()
    monkeypatch.setattr(docker.DockerClient, "from_env", lambda **_: offline)
    found = Engine("an engine", "x86_64", "127.0.0.1", "host.docker.internal")

    with pytest.raises(NotFound, match="no such host") as raised:
        engine.require_images(found, ["python3.12"])

    image = "public.ecr.aws/lambda/python:3.12-x86_64"
    assert f"docker pull {image}" in raised.value.remedy
    assert f"docker import - {image}" in raised.value.remedy
    assert "ENDPOINT=local" in raised.value.remedy
