"""Web pages get nothing from the Lambda endpoint and its functions; others get answers alone."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import boto3
import pytest
from attacker import EVIL, PAGE, SIMPLE, Answer, function, send
from botocore.exceptions import ClientError

from contract.local.lambda_functions import Function, package
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.endpoint.start import Choice, Endpoint, Kind, running

pytestmark = pytest.mark.cloud

INVOKE = "/2015-03-31/functions/Shop/invocations"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Shop:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Shop, Runtime: python3.11, Handler: app.handler, Timeout: 20}
"""


class Attack:
    """A page that speaks to the Runtime API while a function runs."""

    def __init__(self, address: str, over: Path) -> None:
        self.over = over
        """Made when all was answered."""
        self.answers: list[Answer] = []
        self._endpoint = f"http://{address}"
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        base = "/2018-06-01/runtime/invocation"
        port = self._endpoint.rpartition(":")[2]
        for method, path, headers, host in (
            ("GET", f"{base}/next", {"Sec-Fetch-Site": "cross-site"}, None),
            ("POST", f"{base}/any/response", SIMPLE | PAGE, None),
            ("POST", f"{base}/any/response", SIMPLE, f"evil.example:{port}"),
        ):
            self.answers.append(send(self._endpoint, method, path, headers, '"stolen"', host=host))
        self.over.touch()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("build")
    (folder / "Shop").mkdir()
    (folder / "Shop" / "app.py").write_text("def handler(event, context): return 'served'")
    (folder / "template.yaml").write_text(TEMPLATE)
    with running(Choice(Kind.LOCAL, "the test"), folder) as started:
        yield started


@pytest.mark.parametrize(
    "browser", [PAGE, {"Origin": EVIL}, {"Sec-Fetch-Site": "same-site"}, {}, {"Origin": "null"}]
)
def test_no_page_invokes_a_function(endpoint: Endpoint, browser: dict[str, str]) -> None:
    answer = send(endpoint.url, "POST", INVOKE, SIMPLE | browser, "{}")
    assert answer.status == 403
    assert b"served" not in answer.body
    assert answer.lets_pages_read == []


def test_no_page_may_add_a_signature(endpoint: Endpoint) -> None:
    asks = {"Access-Control-Request-Headers": "authorization"}
    answer = send(endpoint.url, "OPTIONS", INVOKE, PAGE | asks)
    assert (answer.status, answer.lets_pages_read) == (403, [])


def test_no_page_reaches_it_by_a_name_of_its_own(endpoint: Endpoint) -> None:
    port = endpoint.url.rpartition(":")[2]
    answer = send(endpoint.url, "POST", INVOKE, SIMPLE, "{}", host=f"evil.example:{port}")
    assert answer.status == 421


def test_nobody_who_may_invoke_may_bring_code(endpoint: Endpoint) -> None:
    code = package("def handler(event, context): return 'evil'")
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")
    client = session.client("lambda", endpoint_url=endpoint.url)
    attempts = (
        lambda: client.update_function_code(FunctionName="Shop", ZipFile=code),
        lambda: client.create_function(
            **json.loads(function("evil", b"")) | {"Code": {"ZipFile": code}}
        ),
        lambda: client.get_function(FunctionName="Shop"),
        client.list_functions,
    )
    for attempt in attempts:
        with pytest.raises(ClientError, match="not known here"):
            attempt()
    answer = client.invoke(FunctionName="Shop")
    assert json.load(answer["Payload"]) == "served"
    client.close()


def test_no_page_answers_in_place_of_a_function(
    aws: EmbeddedAws, account: str, tmp_path: Path
) -> None:
    """The Runtime API takes what the function's process says, on a port that a page can try."""
    code = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    while event and not os.path.exists(event): time.sleep(0.01)\n"
        "    return os.environ['AWS_LAMBDA_RUNTIME_API']\n"
    )
    role = f"arn:aws:iam::{account}:role/any"
    functions = Function.create(aws, account, code, name="fn", Timeout=60, Role=role).client

    def invoke(event: str) -> str:
        answer = functions.invoke(FunctionName="fn", Payload=json.dumps(event))
        return str(json.load(answer["Payload"]))

    address = invoke("")
    with Attack(address, tmp_path / "refused") as attack:
        assert invoke(str(attack.over)) == address
    assert [answer.status for answer in attack.answers] == [403, 403, 421]
    assert all(b"event" not in answer.body for answer in attack.answers)
