# ruff: noqa: E501  # hooks as people write them; they are run
"""A hook that reported to CodeDeploy returns its status instead, where that is certain."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tidegate.build.answers import rewrite

IN_PYTHON = '''\
import boto3

codedeploy = boto3.client("codedeploy", region_name="eu-west-1")


def handler(event, context):
    """Checks the new version."""
    status = "Succeeded" if event["good"] else "Failed"
    try:
        CALL
    except KeyError:
        status = "Failed"
    return "done"
'''
PYTHON_CALLS = [
    """response = codedeploy.put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status=status,
        )""",
    "codedeploy.put_lifecycle_event_hook_execution_status(status=status)  # tell it",
    "return codedeploy.put_lifecycle_event_hook_execution_status(**{}, status=str(status))",
]

# "Deploying serverless applications gradually with AWS SAM" has a hook of this shape.
WITH_CALLBACK = """\
'use strict';
const AWS = require('aws-sdk');
const codedeploy = new AWS.CodeDeploy({ apiVersion: '2014-10-06' });

exports.handler = (event, context, callback) => {
  const check = (done) => done(event.good ? 'Succeeded' : 'Failed');
  check(function (status) {
    // codedeploy.putLifecycleEventHookExecutionStatus(is told here)
    var params = {
      deploymentId: event.DeploymentId,
      lifecycleEventHookExecutionId: event.LifecycleEventHookExecutionId,
      status: status,
    };
    codedeploy.putLifecycleEventHookExecutionStatus(params, function (err, data) {
      if (err) { callback('Validation test failed'); }
      else { callback(null, 'Validation test succeeded'); }
    });
  });
};
"""
WITH_PROMISE = """\
const AWS = require('aws-sdk');
const codedeploy = new AWS.CodeDeploy();

module.exports.handler = async function handler(event) {
  const status = event.good ? "Succeeded" : "Failed";
  try {
    return await codedeploy.putLifecycleEventHookExecutionStatus({
      deploymentId: event.DeploymentId,
      status,
    }).promise();
  } finally {
    console.log(`status, ${status}`);
  }
};
"""
WITH_COMMAND = """\
const { CodeDeployClient, PutLifecycleEventHookExecutionStatusCommand } = require("@aws-sdk/client-codedeploy");
const client = new CodeDeployClient({});

exports.handler = async (event) => {
  if (!("good" in event)) { throw new Error("(nothing"); }
  const input = { deploymentId: event.DeploymentId, status: event.good ? "Succeeded" : "Failed" };
  const response = await client.send(new PutLifecycleEventHookExecutionStatusCommand(input));
  return response;
};
"""
SDKS = {
    "aws-sdk": "exports.CodeDeploy = class {};",
    "@aws-sdk/client-codedeploy": "exports.CodeDeployClient = class {};",
}
CERTAIN = {"callback": WITH_CALLBACK, "promise": WITH_PROMISE, "command": WITH_COMMAND}


@pytest.mark.parametrize("call", PYTHON_CALLS)
@pytest.mark.parametrize("good", [True, False])
def test_a_hook_in_python_returns_what_it_reported(call: str, good: bool) -> None:
    before = IN_PYTHON.replace("CALL", call)
    after = rewrite(before, ".py", "handler")
    assert after is not None
    names: dict[str, Any] = {}
    exec(after, names)
    answer = names["handler"]({"good": good}, None)
    assert answer == {"status": "Succeeded" if good else "Failed"}
    kept = before.replace(f"        {call}\n", "")
    assert [line for line in after.splitlines() if 'return {"status"' not in line] == (
        kept.splitlines()
    )


@pytest.mark.parametrize(
    "source",
    [
        IN_PYTHON.replace("CALL", "report(codedeploy.put_lifecycle_event_hook_execution_status(status=status))"),
        IN_PYTHON.replace("CALL", "codedeploy.put_lifecycle_event_hook_execution_status(*event)"),
        IN_PYTHON.replace("CALL", "codedeploy.put_lifecycle_event_hook_execution_status(**event)").replace("**event", "**dict(event)"),
        IN_PYTHON.replace("CALL", "x = 1; codedeploy.put_lifecycle_event_hook_execution_status(status=status)"),
        IN_PYTHON.replace("CALL", "codedeploy.put_lifecycle_event_hook_execution_status(status=f(\n1))"),
        IN_PYTHON.replace("CALL", "pass").replace("def handler", "def report(codedeploy, status):\n    codedeploy.put_lifecycle_event_hook_execution_status(status=status)\n\n\ndef handler"),
        IN_PYTHON.replace("CALL", "f = lambda: codedeploy.put_lifecycle_event_hook_execution_status(status=1)"),
        IN_PYTHON.replace("CALL", "codedeploy.put_lifecycle_event_hook_execution_status(status=status)").replace("def handler", "def other"),
        IN_PYTHON.replace("CALL", "("),
        IN_PYTHON.replace("CALL", "pass"),
    ],
)  # fmt: skip
def test_a_hook_in_python_that_is_not_certain_is_left_to_a_person(source: str) -> None:
    assert rewrite(source, ".py", "handler") is None


def test_a_dictionary_that_is_spread_has_the_status() -> None:
    call = "codedeploy.put_lifecycle_event_hook_execution_status(**answer)"
    after = rewrite(IN_PYTHON.replace("CALL", call), ".py", "handler")
    assert after is not None
    assert '        return {"status": answer["status"]}\n' in after


@pytest.mark.parametrize("name", CERTAIN)
@pytest.mark.parametrize("good", [True, False])
def test_a_hook_in_javascript_returns_what_it_reported(
    name: str, good: bool, tmp_path: Path
) -> None:
    after = rewrite(CERTAIN[name], ".js", "handler")
    assert after is not None
    assert run_in_node(after, {"good": good}, tmp_path) == {
        "status": "Succeeded" if good else "Failed"
    }


def run_in_node(source: str, event: dict[str, Any], folder: Path) -> Any:
    """What the handler answers, whichever of Lambda's two ways it answers in."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    (folder / "hook.js").write_text(source)
    for package, text in SDKS.items():
        (folder / "node_modules" / package).mkdir(parents=True)
        (folder / "node_modules" / package / "index.js").write_text(text)
    call = f"""
        const answer = (error, value) => process.stdout.write(JSON.stringify(error || value));
        const made = require('./hook.js').handler({json.dumps(event)}, {{}}, answer);
        if (made && made.then) made.then((value) => answer(null, value));
    """
    done = subprocess.run(
        [node, "-e", call], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_nothing_else_of_a_hook_in_javascript_changes() -> None:
    after = rewrite(WITH_CALLBACK, ".mjs", "handler")
    assert after is not None
    assert "    callback(null, { status: params.status });\n  });\n};\n" in after
    assert after.startswith(WITH_CALLBACK.partition("    codedeploy.put")[0])
    after = rewrite(WITH_PROMISE, ".js", "handler")
    assert after is not None
    assert "  try {\n    return { status: status };\n  } finally {\n" in after


@pytest.mark.parametrize(
    "source",
    [
        WITH_CALLBACK.replace("(event, context, callback)", "(event)"),
        WITH_CALLBACK.replace("exports.handler", "exports.other"),
        WITH_CALLBACK.replace("params, function (err, data)", "{ ...params }, function (err, data)"),
        WITH_CALLBACK.replace("params, function (err, data)", "make(params), function (err, data)"),
        WITH_PROMISE.replace("status,\n", "status: (\nstatus),\n"),
        WITH_PROMISE.replace("await ", ""),
        WITH_PROMISE.replace("}).promise();", "}).promise().then(done);"),
        WITH_COMMAND.replace("await client", "[1].map(async () => { await client").replace("(input));", "(input)); });"),
        WITH_COMMAND.replace("Command(input)", "Command()"),
        WITH_COMMAND.replace("await client", "await function () { return client").replace("(input));", "(input)); }();"),
        "client.send(new PutLifecycleEventHookExecutionStatusCommand(x));\n" + WITH_COMMAND,
        "exports.handler = async (event) => { };",
    ],
)  # fmt: skip
def test_a_hook_in_javascript_that_is_not_certain_is_left_to_a_person(source: str) -> None:
    assert rewrite(source, ".js", "handler") is None


def test_other_languages_are_left_to_a_person() -> None:
    assert rewrite(WITH_COMMAND, ".rb", "handler") is None
