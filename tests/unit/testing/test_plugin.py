"""The pytest plug-in, used as an application's tests use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.core.errors import InputError
from tidegate.hooks import Checks, HookEvent, hook
from tidegate.hooks.__main__ import copy_library
from tidegate.testing.code import invoke_hook, load_handler
from tidegate.testing.events import make_hook_event

IN_A_PROJECT = """
import sys
import pytest

def test_event(hook_event):
    event = hook_event("cart", "pay", stage="prod", candidate="7")
    assert [f["candidate_arn"].rsplit(":", 2)[1:] for f in event["functions"]] == [
        ["cart", "7"], ["pay", "7"]
    ]
    assert event["stage"] == "prod"
    assert not {"pydantic", "boto3", "samtranslator", "moto"} & sys.modules.keys()

def test_lambda_endpoint(lambda_endpoint, hook_event):
    shop = lambda_endpoint("built", {"Runtime": "python%d.%d" % sys.version_info[:2]})
    assert shop.invoke("Cart", {"n": 1}) == {"doubled": 2}
    assert shop.invoke("Cart", {"n": 2}, "live") == {"doubled": 4}
    with pytest.raises(AssertionError, match="Cart.*KeyError"):
        shop.invoke("Cart", {})
    event = hook_event("Cart", candidate="1")
    (cart,) = event["functions"]
    cart["candidate_arn"] = shop.arn("Cart", "1")
    assert shop.invoke("Hook", event)["status"] == "Succeeded"
    other = lambda_endpoint("built", {"Runtime": "python%d.%d" % sys.version_info[:2]})
    assert other.url == shop.url
    assert other.account != shop.account

def test_nothing_to_serve(lambda_endpoint):
    with pytest.raises(Exception, match="sam build"):
        lambda_endpoint("nothing")
    with pytest.raises(Exception, match="no Python function"):
        lambda_endpoint("node")

def test_embedded_aws(embedded_aws):
    buckets = embedded_aws.client("s3", account="111111111111").list_buckets()["Buckets"]
    assert buckets == []
"""


BUILT = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Runtime: {Type: String, Default: nodejs22.x}
Globals:
  Function: {Runtime: !Ref Runtime, Handler: app.handler, Timeout: 10}
Resources:
  Cart:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Cart, AutoPublishAlias: live}
  Hook:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Hook}
"""
CART = "def handler(event, context): return {'doubled': event['n'] * 2}"
HOOK = """
from tidegate.hooks import hook

@hook
def handler(event, checks):
    checks.invoke(event.function.candidate_arn, {"n": 4}).has("doubled", 8)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An application that `sam build` has built; and once more, for Node.js."""
    for folder in ("built", "node"):
        for name, code in (("Cart", CART), ("Hook", HOOK)):
            (tmp_path / folder / name).mkdir(parents=True)
            (tmp_path / folder / name / "app.py").write_text(code)
        copy_library(tmp_path / folder / "Hook")
        (tmp_path / folder / "template.yaml").write_text(BUILT)
    (tmp_path / "test_mine.py").write_text(IN_A_PROJECT)
    return tmp_path


def test_fixtures_are_there_and_bring_only_what_is_asked_for(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "tidegate.testing.plugin", "-p", "no:hypothesispytest", "-p", "no:cov"]
    done = subprocess.run(
        [*command, "test_mine.py"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@hook
def compare(event: HookEvent, checks: Checks) -> None:
    for function in event.functions:
        checks.invoke(function.alias_arn, {"n": 1}).came_from("2").has("doubled", 2)


def double(event: dict[str, int], context: object) -> dict[str, int]:
    return {"doubled": event["n"] * 2}


def fail(event: object, context: object) -> None:
    raise ValueError("no")


def test_hook_is_invoked_with_functions_that_do_as_handlers_do() -> None:
    event = make_hook_event("cart", "pay")
    assert invoke_hook(compare, event, {"cart": double, "pay": double})["status"] == "Succeeded"
    failed = invoke_hook(compare, event, {"cart": double, "pay": fail})
    assert "pay:live" in failed["reason"]
    assert "ValueError: no" in failed["reason"]
    absent = invoke_hook(compare, event, {"cart": double})
    assert "ResourceNotFoundException" in absent["reason"]


def test_handlers_of_files_with_the_same_name_keep_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(f"def handler(event, context): return {name!r}")
    one, two = (load_handler(tmp_path / name / "app.py") for name in ("one", "two"))
    assert (one({}, None), two({}, None)) == ("one", "two")
    with pytest.raises(InputError, match="no Python file"):
        load_handler(tmp_path / "three.py")
