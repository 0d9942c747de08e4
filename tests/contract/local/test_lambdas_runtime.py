"""Function code runs as in Lambda: its environment, its failures, its log."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from lambda_functions import MEETING, Function, package

from support.waiting import alive, wait_until
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

ECHO = "def handler(event, context): return event"


def process_of(function: Function) -> int:
    """The process that serves the function; its handler must return it."""
    pid: int = function.invoke().payload
    return pid


PID = "import os\ndef handler(event, context): return os.getpid()"


@pytest.mark.parametrize("event", [{}, {"a": [1, "ü", None]}, "text", 7, [], None])
def test_returns_what_the_handler_returns(aws: EmbeddedAws, account: str, event: Any) -> None:
    function = Function.create(aws, account, ECHO)

    reply = function.invoke() if event is None else function.invoke(event)

    assert (reply.payload, reply.error) == ({} if event is None else event, None)


def test_the_context_says_who_was_invoked(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        """
        import os

        def handler(event, context):
            return {
                "arn": context.invoked_function_arn,
                "name": context.function_name,
                "version": context.function_version,
                "memory": context.memory_limit_in_mb,
                "client": context.client_context.custom["team"],
                "time": 2000 < context.get_remaining_time_in_millis() <= 4000,
                "id": context.aws_request_id,
                "trace": os.environ["_X_AMZN_TRACE_ID"],
            }
        """,
        Timeout=4,
        MemorySize=256,
    )
    version = function.publish()
    function.alias("live", version)
    context = base64.b64encode(json.dumps({"custom": {"team": "shop"}}).encode()).decode()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"

    def trace_it(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = trace

    function.client.meta.events.register("before-call.lambda.Invoke", trace_it, unique_id="trace")
    try:
        reply = function.invoke(qualifier="live", ClientContext=context)
    finally:
        function.client.meta.events.unregister("before-call.lambda.Invoke", unique_id="trace")

    assert reply.payload == {
        "arn": f"{function.arn}:live",
        "name": "fn",
        "version": "1",
        "memory": "256",
        "client": "shop",
        "time": True,
        "id": reply.response["ResponseMetadata"]["RequestId"],
        "trace": trace,
    }


def test_sees_its_own_variables_and_nothing_of_the_host(
    aws: EmbeddedAws, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "x")
    function = Function.create(
        aws,
        account,
        "import os\ndef handler(event, context): return dict(os.environ)",
        Environment={"Variables": {"TABLE": "orders", "AWS_ENDPOINT_URL_S3": "http://s3"}},
    )

    seen = function.invoke().payload

    assert "HOST_SECRET" not in seen
    expected = {
        "TABLE": "orders",
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ENDPOINT_URL_S3": "http://s3",
        "AWS_ACCESS_KEY_ID": account,
        "AWS_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_SAM_LOCAL": "true",
        "TZ": "UTC",
        "_HANDLER": "app.handler",
    }
    assert expected.items() <= seen.items()


def test_has_the_libraries_of_awss_runtime_and_no_others(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        """
        import importlib.util

        def handler(event, context):
            return {name: importlib.util.find_spec(name) is not None for name in event}
        """,
    )

    found = function.invoke(["boto3", "botocore", "urllib3", "pydantic", "ministack", "tidegate"])

    assert [name for name, there in found.payload.items() if there] == [
        "boto3",
        "botocore",
        "urllib3",
    ]


def test_calls_aws_as_its_own_account(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        """
        import boto3

        def handler(event, context):
            return boto3.client("sts").get_caller_identity()["Account"]
        """,
        Timeout=20,
    )

    assert function.invoke().payload == account


@pytest.mark.parametrize("runtime", ["python3.9", "python3.13"])
def test_runs_with_the_interpreter_of_this_machine_whatever_the_runtime(
    aws: EmbeddedAws, account: str, runtime: str
) -> None:
    source = "import sys\ndef handler(event, context): return list(sys.version_info[:2])"
    function = Function.create(aws, account, source, Runtime=runtime)

    assert function.invoke().payload == list(sys.version_info[:2])
    assert function.invoke().error is None


def test_imports_from_its_layers(aws: EmbeddedAws, account: str) -> None:
    client = aws.client("lambda", account=account)
    layer = client.publish_layer_version(
        LayerName="prices", Content={"ZipFile": package({"python/prices.py": "apple = 3"})}
    )
    function = Function.create(
        aws,
        account,
        "import prices\ndef handler(event, context): return prices.apple",
        Layers=[layer["LayerVersionArn"]],
    )

    assert function.invoke().payload == 3


FAILURES = {
    "raises": (
        "def handler(event, context): raise ValueError('no stock')",
        "ValueError",
        r"no stock",
    ),
    "raises its own class": (
        "class OutOfStock(Exception): pass\ndef handler(event, context): raise OutOfStock('apple')",
        "OutOfStock",
        r"apple",
    ),
    "takes too long": (
        "import time\ndef handler(event, context): time.sleep(600)",
        "Sandbox.Timedout",
        r"RequestId: [-0-9a-f]{36} Error: Task timed out after 1\.00 seconds",
    ),
    "exits": (
        "import os\ndef handler(event, context): os._exit(3)",
        "Runtime.ExitError",
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: exit status 3",
    ),
    "calls sys.exit": (
        "import sys\ndef handler(event, context): sys.exit(1)",
        "Runtime.ExitError",
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: exit status 1",
    ),
    "crashes": (
        "import os\ndef handler(event, context): os.kill(os.getpid(), 11)",
        "Runtime.ExitError",
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: signal: segmentation fault",
    ),
    "exits while it starts": (
        "import os\nos._exit(0)",
        "Runtime.ExitError",
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited without providing a reason",
    ),
    "misses a module": (
        "import prices\ndef handler(event, context): return 1",
        "Runtime.ImportModuleError",
        r"Unable to import module 'app': No module named 'prices'",
    ),
    "has no handler": (
        "def other(event, context): return 1",
        "Runtime.HandlerNotFound",
        r"Handler 'handler' missing on module 'app'",
    ),
    "has bad syntax": (
        "def handler(event, context) return 1",
        "Runtime.UserCodeSyntaxError",
        r"Syntax error in module 'app'.*",
    ),
    "returns what is not JSON": (
        "def handler(event, context): return {1, 2}",
        "Runtime.MarshalError",
        r"Unable to marshal response: Object of type set is not JSON serializable",
    ),
    "eats memory": (
        "hoard = []\ndef handler(event, context):\n    while True: hoard.append('x' * 1_000_000)",
        "Runtime.ExitError",
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: signal: killed",
    ),
    "eats memory while it starts": (
        "hoard = []\nwhile True: hoard.append('x' * 1_000_000)",
        "Runtime.ExitError",
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: signal: killed",
    ),
    "returns too much": (
        "def handler(event, context): return 'x' * 7_000_000",
        "Function.ResponseSizeTooLarge",
        r"Response payload size \(7000002 bytes\) exceeded maximum .* \(6291556 bytes\)\.",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_tells_how_a_function_failed_and_lives_on(
    aws: EmbeddedAws, account: str, failure: str
) -> None:
    source, error_type, message = FAILURES[failure]
    function = Function.create(
        aws, account, source, Timeout=1 if failure == "takes too long" else 900
    )

    reply = function.invoke()

    assert reply.error == "Unhandled"
    assert reply.response["StatusCode"] == 200
    assert reply.payload["errorType"] == error_type
    assert re.fullmatch(message, reply.payload["errorMessage"])
    function.update(ECHO)
    assert function.invoke({"again": True}).payload == {"again": True}


def test_a_big_event_and_a_big_answer_pass(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, ECHO, Timeout=20)
    event = {"text": "x" * 6_000_000}

    assert function.invoke(event).payload == event


def test_a_chatty_handler_is_not_held_up(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws, account, "def handler(event, context): print('x' * 1_000_000); return 1", Timeout=20
    )

    assert function.invoke().payload == 1


def test_the_log_has_what_was_printed_and_a_report(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        """
        import logging

        def handler(event, context):
            print("two apples")
            logging.getLogger().warning("low stock")
        """,
    )

    reply = function.invoke(LogType="Tail")

    tail = base64.b64decode(reply.response["LogResult"]).decode().splitlines()
    request_id = reply.response["ResponseMetadata"]["RequestId"]
    assert tail[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert tail[1] == "two apples"
    assert re.fullmatch(rf"\[WARNING\]\t.*Z\t{request_id}\tlow stock", tail[2])
    assert tail[3] == f"END RequestId: {request_id}"
    assert re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms"
        r"\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t",
        tail[4],
    )


def test_logs_go_to_the_functions_log_group(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, "def handler(event, context): print(event['n'])")
    for number in range(3):
        function.invoke({"n": number})

    logs = aws.client("logs", account=account)
    events = logs.filter_log_events(logGroupName="/aws/lambda/fn")["events"]

    printed = [event["message"] for event in events if event["message"].isdigit()]
    assert printed == ["0", "1", "2"]
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/fn")["logStreams"]
    assert len(streams) == 1, "one for the one environment"


def test_a_warm_environment_is_reused_and_keeps_its_state(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        "count = 0\ndef handler(event, context):\n    global count; count += 1; return count",
    )

    assert [function.invoke().payload for _ in range(3)] == [1, 2, 3]


def test_concurrent_invocations_have_environments_of_their_own(
    aws: EmbeddedAws, account: str, tmp_path: Path
) -> None:
    function = Function.create(aws, account, MEETING, Timeout=900)
    all_three = [str(tmp_path / str(number)) for number in range(3)]

    def call(place: str) -> object:
        return function.invoke({"makes": place, "awaits": all_three}).payload

    with ThreadPoolExecutor(3) as callers:
        pids = set(callers.map(call, all_three))

    assert len(pids) == 3


def test_new_code_and_new_configuration_get_new_environments(
    aws: EmbeddedAws, account: str
) -> None:
    function = Function.create(aws, account, "import os\ndef handler(e, c): return [1, os.environ]")
    function.client.update_function_code(
        FunctionName="fn",
        ZipFile=package("import os\ndef handler(e, c): return [2, os.environ.get('COLOR')]"),
    )
    assert function.invoke().payload == [2, None]

    function.client.update_function_configuration(
        FunctionName="fn", Environment={"Variables": {"COLOR": "red"}}
    )
    assert function.invoke().payload == [2, "red"]


def test_a_timeout_kills_what_the_function_started(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(
        aws,
        account,
        """
        import subprocess, time

        child = subprocess.Popen(["sleep", "600"])

        def handler(event, context):
            print("child", child.pid)
            time.sleep(600)
        """,
        Timeout=1,
    )

    reply = function.invoke(LogType="Tail")

    log = base64.b64decode(reply.response["LogResult"]).decode()
    child = re.search(r"child (\d+)", log)
    assert child is not None
    assert not alive(int(child[1]))


def run_apart(ending: str, folder: Path) -> int:
    """The process of a function in an embedded AWS of its own that ends as told."""
    script = dedent(f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from lambda_functions import Function
        from tidegate_embedded.cloud import EmbeddedAws
        from tidegate_embedded.lambdas import LambdaDataPlane

        aws = EmbeddedAws([LambdaDataPlane()], state_dir=Path({str(folder)!r}))
        aws.start()
        function = Function.create(aws, "100000000001", {PID!r})
        print(function.invoke().payload, flush=True)
        {ending}
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False
    )
    return int(done.stdout)


@pytest.mark.parametrize(
    "ending", ["aws.stop()", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["stopped", "killed"]
)
def test_no_environment_outlives_the_embedded_aws(ending: str, tmp_path: Path) -> None:
    pid = run_apart(ending, tmp_path)

    wait_until(lambda: not alive(pid))


def test_a_killed_environment_is_replaced(aws: EmbeddedAws, account: str) -> None:
    function = Function.create(aws, account, PID)
    first = process_of(function)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first))

    replies = [function.invoke() for _ in range(2)]

    assert replies[-1].error is None
    assert replies[-1].payload != first
