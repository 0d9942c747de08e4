"""A web page that a person has open while the embedded AWS runs gets nothing from it."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from attacker import EVIL, PAGE, SIMPLE, function, port_of, send, signed

from contract.local.lambda_functions import package
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

FUNCTIONS = "/2015-03-31/functions"
OLD_BROWSER: dict[str, str] = {}  # one that tells nothing of the page
BROWSERS = [PAGE, {"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]


@pytest.mark.parametrize("browser", [*BROWSERS, OLD_BROWSER])
def test_no_page_runs_code_by_two_simple_posts(
    aws: EmbeddedAws, browser: dict[str, str], tmp_path: Path
) -> None:
    written = tmp_path / "written"
    code = f"def handler(event, context): open({str(written)!r}, 'w').close()"
    headers = SIMPLE | browser
    made = send(aws.endpoint, "POST", FUNCTIONS, headers, function("evil", package(code)))
    invoked = send(aws.endpoint, "POST", f"{FUNCTIONS}/evil/invocations", headers, "{}")
    assert (made.status, invoked.status) == (403, 403)
    assert not written.exists()
    functions = aws.client("lambda", account="000000000000").list_functions()["Functions"]
    assert "evil" not in [one["FunctionName"] for one in functions]


def test_no_page_learns_from_a_preflight_that_it_may_start_a_build(aws: EmbeddedAws) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-amz-target,authorization",
    }
    answer = send(aws.endpoint, "OPTIONS", "/", PAGE | asks)
    assert answer.status == 403
    assert answer.lets_pages_read == []


@pytest.mark.parametrize("browser", [*BROWSERS, OLD_BROWSER])
def test_no_page_starts_a_build_with_a_specification_of_its_own(
    aws: EmbeddedAws, browser: dict[str, str], tmp_path: Path, account: str
) -> None:
    builds = aws.client("codebuild", account=account)
    builds.create_project(
        name="app",
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {}\n"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "any",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=f"arn:aws:iam::{account}:role/build",
    )
    evil = f"version: 0.2\nphases: {{build: {{commands: ['touch {tmp_path}/written']}}}}\n"
    target = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "CodeBuild_20161006.StartBuild",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={account}/20260101/eu-west-1/codebuild/"
        "aws4_request, SignedHeaders=host, Signature=0",
    }
    order = json.dumps({"projectName": "app", "buildspecOverride": evil})
    answer = send(aws.endpoint, "POST", "/", target | browser, order)
    assert answer.status in {400, 403}
    assert answer.lets_pages_read == []
    assert builds.list_builds()["ids"] == []


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1", "evil.example"]
)
def test_no_page_gets_an_answer_by_a_name_that_was_bound_to_this_machine(
    aws: EmbeddedAws, host: str
) -> None:
    same_origin = {"Sec-Fetch-Site": "same-origin"}
    named = host.format(port=port_of(aws.endpoint))
    answer = send(aws.endpoint, "GET", "/_ministack/health", same_origin, host=named)
    assert answer.status == 421
    assert b"services" not in answer.body


def test_no_page_may_read_what_is_answered_to_others(aws: EmbeddedAws, account: str) -> None:
    for service, ask in (
        ("sqs", lambda client: client.list_queues()),
        ("s3", lambda client: client.list_buckets()),
        ("lambda", lambda client: client.list_functions()),
        ("codebuild", lambda client: client.list_projects()),
    ):
        answer: Any = ask(aws.client(service, account=account))
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        assert [name for name in headers if name.lower().startswith("access-control-")] == []


def test_no_page_opens_a_socket(aws: EmbeddedAws) -> None:
    asks = (
        f"GET /any HTTP/1.1\r\nHost: 127.0.0.1:{port_of(aws.endpoint)}\r\nOrigin: {EVIL}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port_of(aws.endpoint)), timeout=60) as connection:
        connection.sendall(asks.encode())
        assert connection.recv(4096).split(b" ")[1] == b"403"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/health"),
        ("GET", "/_ministack/lambda-code/111111111111/eu-west-1/fn"),
        ("POST", "/_tidegate/git/repositories"),
        ("POST", "/_tidegate/git/push"),
    ],
)
@pytest.mark.parametrize("browser", [PAGE, OLD_BROWSER])
def test_no_page_reaches_what_no_service_of_aws_answers(
    aws: EmbeddedAws, method: str, path: str, browser: dict[str, str]
) -> None:
    answer = send(aws.endpoint, method, path, SIMPLE | browser, "{}")
    assert answer.status == 403


# Function URLs are public, and still not for pages elsewhere


@pytest.fixture
def public_url(aws: EmbeddedAws, account: str) -> str:
    """The host of a function that answers everybody."""
    functions = aws.client("lambda", account=account)
    functions.create_function(
        FunctionName="open",
        Runtime="python3.11",
        Handler="app.handler",
        Role=f"arn:aws:iam::{account}:role/any",
        Code={
            "ZipFile": package(
                "def handler(event, context): return {'statusCode': 200, 'body': 'served'}"
            )
        },
    )
    url = functions.create_function_url_config(
        FunctionName="open", AuthType="NONE", Cors={"AllowOrigins": ["*"], "AllowMethods": ["*"]}
    )["FunctionUrl"]
    identifier = url.removeprefix("https://").partition(".")[0]
    return f"{identifier}.lambda-url.eu-west-1.localhost:{port_of(aws.endpoint)}"


def test_no_page_calls_a_public_url_of_a_function(aws: EmbeddedAws, public_url: str) -> None:
    served = send(aws.endpoint, "GET", "/", host=public_url)
    assert (served.status, served.body) == (200, b"served")
    for browser in BROWSERS:
        answer = send(aws.endpoint, "GET", "/", browser, host=public_url)
        assert answer.status == 403
        assert b"served" not in answer.body
    assert send(aws.endpoint, "OPTIONS", "/", PAGE, host=public_url).lets_pages_read == []


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/_ministack/reset", {}),
        ("GET", "/_ministack/lambda-code/111111111111/eu-west-1/fn", {}),
        ("POST", "/", {"X-Amz-Target": "CodeBuild_20161006.ListProjects"}),
        ("POST", "/2015-03-31/functions/fn/invocations", {}),
    ],
)
def test_nobody_gets_past_the_signature_under_a_public_name(
    aws: EmbeddedAws, public_url: str, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = send(aws.endpoint, method, path, headers, "{}", host=public_url)
    assert answer.body == b"served"  # the function got it, as it gets every path


def test_nobody_calls_the_url_of_a_function_that_asks_for_credentials(
    aws: EmbeddedAws, public_url: str, account: str
) -> None:
    functions = aws.client("lambda", account=account)
    functions.update_function_url_config(FunctionName="open", AuthType="AWS_IAM")
    assert send(aws.endpoint, "GET", "/", host=public_url).status == 403


# So are APIs


def routed(aws: EmbeddedAws, account: str, authorization: str) -> str:
    """The path of a route of an API that invokes the function `open`."""
    apis = aws.client("apigatewayv2", account=account)
    api = apis.create_api(
        Name="open", ProtocolType="HTTP", CorsConfiguration={"AllowOrigins": ["*"]}
    )["ApiId"]
    integration = apis.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:lambda:eu-west-1:{account}:function:open",
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    apis.create_route(
        ApiId=api,
        RouteKey="GET /prices",
        Target=f"integrations/{integration}",
        AuthorizationType=authorization,
    )
    apis.create_stage(ApiId=api, StageName="live", AutoDeploy=True)
    return f"/_aws/execute-api/{api}/live/prices"


@pytest.mark.usefixtures("public_url")
def test_no_page_calls_a_public_route_of_an_api(aws: EmbeddedAws, account: str) -> None:
    path = routed(aws, account, "NONE")
    served = send(aws.endpoint, "GET", path)
    assert (served.status, served.body, served.lets_pages_read) == (200, b"served", [])
    for browser in BROWSERS:
        assert send(aws.endpoint, "GET", path, browser).status == 403
    assert send(aws.endpoint, "OPTIONS", path, PAGE).lets_pages_read == []


@pytest.mark.usefixtures("public_url")
def test_nobody_calls_a_route_that_asks_for_credentials(aws: EmbeddedAws, account: str) -> None:
    path = routed(aws, account, "AWS_IAM")
    assert send(aws.endpoint, "GET", path).status == 403
    headers = signed(aws.endpoint, "GET", path, key=account, secret=aws.cloud.secret)
    assert send(aws.endpoint, "GET", path, headers).body == b"served"
