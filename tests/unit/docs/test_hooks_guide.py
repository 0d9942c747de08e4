"""The code in the guide to hooks runs as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tidegate.hooks import Callback, using
from tidegate.testing import plugin
from tidegate.testing.code import load_handler
from tidegate.testing.events import make_callback, make_hook_event
from tidegate.testing.releases import run_release

GUIDE = Path(__file__).parents[3] / "docs" / "hooks.md"
HOOK, TESTS, LATER, LATER_TESTS, _ = re.findall(
    r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL
)

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.12, Handler: app.handler}
Resources:
  Cart:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: cart/, AutoPublishAlias: live}
  PreTrafficHook:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: hooks/pre_traffic/}
"""

MANIFEST = """\
version: 1
application: shop
hooks: {pre_traffic: [PreTrafficHook]}
stages:
  - name: prod
    account: "333333333333"
    regions: [eu-west-1]
    strategy: {steps: [{weight: 10%, bake: 10m}, {weight: 50%, bake: 10m}]}
"""

CART = """\
def handler(event, context):
    if event["path"] == "/cart/7":
        return {"statusCode": 200, "body": '{"id": 7, "lines": []}'}
    return {"statusCode": 404, "body": '{"message": "no such cart"}'}
"""


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the guide's tests define, in an application as it has."""
    files = {
        "template.yaml": TEMPLATE,
        "tidegate.yaml": MANIFEST,
        "cart/app.py": CART,
        "hooks/pre_traffic/app.py": HOOK,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(TESTS, names)
    return names


def test_its_tests_pass(guide: dict[str, Any]) -> None:
    guide["test_hook_stops_a_broken_cart"](make_hook_event)
    guide["test_release_goes_back_when_half_the_load_is_too_much"](run_release)


def test_its_hook_that_answers_later_does(guide: dict[str, Any]) -> None:
    patient = "[{function: PreTrafficHook, timeout: 6h, heartbeat: 5m}]"
    Path("tidegate.yaml").write_text(MANIFEST.replace("[PreTrafficHook]", patient))
    names: dict[str, Any] = {}
    exec(LATER_TESTS, names)
    names["test_load_test_of_an_hour_stops_the_release"](run_release)


@pytest.mark.parametrize(("p99_ms", "status"), [(200, "Succeeded"), (310, "Failed")])
def test_its_last_step_answers(p99_ms: int, status: str) -> None:
    names: dict[str, Any] = {}
    exec(LATER, names)
    put: list[dict[str, str]] = []

    class Events:
        def put_events(self, **request: Any) -> dict[str, Any]:
            put.extend(request["Entries"])
            return {"FailedEntryCount": 0}

    callback = str(Callback.read(make_callback()))
    with using(events=Events()):
        names["last_step"]({"callback": callback, "p99_ms": p99_ms}, None)
    assert json.loads(put[0]["Detail"])["status"] == status


def test_its_message_is_what_a_release_says(guide: dict[str, Any], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(CART.replace('"id": 7', '"id": "7"'))
    ran = run_release(
        "template.yaml",
        "tidegate.yaml",
        hooks={"PreTrafficHook": guide["PRE"]},
        functions={"Cart": load_handler(wrong)},
    )
    found = " ".join(GUIDE.read_text().split())
    said = ran.hooks[0].cause.replace("shop-prod-Cart:", "shop-prod-Cart-1AB2:")
    assert said.replace(":2 asked", ":42 asked") in found


def test_every_fixture_is_in_it() -> None:
    fixtures = [
        name
        for name, value in vars(plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    ]
    assert fixtures
    assert [name for name in fixtures if f"| `{name}" not in GUIDE.read_text()] == []
