"""`tidegate migrate` says what becomes of a template, in words, as a diff and as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.applications import NAMES, make_application
from tidegate.cli.app import app


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return make_application(tmp_path, "conditions") / "template.yaml"


def migrate(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["migrate", *(str(argument) for argument in arguments)])


def test_says_in_words_what_changes(template: Path) -> None:
    result = migrate(template, "--parameter", "Stage=prod", "--no-diff")

    assert result.exit_code == 0
    assert "Aliases that releases move: Pay:live" in result.stdout
    assert "Strategy: Canary10Percent10Minutes\n" in result.stdout
    assert "Hooks before traffic: Check\n" in result.stdout
    assert "PayDeploymentGroup (AWS::CodeDeploy::DeploymentGroup) is removed" in result.stdout
    assert "PayAliaslive (AWS::Lambda::Alias) is modified" in result.stdout
    assert "Everything is taken over." in result.stdout
    assert "---" not in result.stdout


def test_shows_the_difference_line_by_line(template: Path) -> None:
    lines = migrate(template).stdout.splitlines()

    assert "--- as SAM expands it" in lines
    assert "+++ as Tidegate deploys it" in lines
    assert any(line.startswith("-") and "DeploymentGroupName" in line for line in lines)
    assert any(
        line.startswith("+") and "TidegatePinnedVersionPayAliaslive" in line for line in lines
    )


def test_gives_programs_the_same(template: Path) -> None:
    told = json.loads(migrate(template, "--parameter", "Stage=prod", "--output", "json").stdout)

    assert told["aliases"] == ["Pay:live"]
    assert told["defaults"]["strategy"] == "Canary10Percent10Minutes"
    assert {change["change"] for change in told["changes"]} == {"modified", "removed"}
    assert told["notices"] == []
    assert told["diff"].startswith("--- as SAM expands it\n")


def test_leaves_the_template_alone(template: Path) -> None:
    before = template.read_bytes()
    migrate(template)
    assert template.read_bytes() == before


def test_shows_the_steps_of_a_configuration_of_the_teams_own(tmp_path: Path) -> None:
    folder = make_application(tmp_path, "own_configuration")
    result = migrate(folder / "template.yaml", "--no-diff")

    assert "Slowly (25% for 7 min, 50% for 7 min, 75% for 7 min, then all)" in result.stdout
    assert "Notifications: Deployments (success, failure)" in result.stdout


def test_says_which_configuration_it_does_not_know(tmp_path: Path) -> None:
    template = make_application(tmp_path, "parameters") / "template.yaml"
    result = migrate(template, "--parameter", "Gradual=Careful", "--no-diff")

    assert "Only CodeDeploy knows the steps of Careful" in result.stdout


def test_says_that_shifting_is_off(tmp_path: Path) -> None:
    template = make_application(tmp_path, "parameters") / "template.yaml"
    text = template.read_text().replace("{Type: !Ref Gradual}", "{Enabled: false}")
    template.write_text(text)

    assert "DeploymentPreference is off" in migrate(template, "--no-diff").stdout


@pytest.mark.parametrize("arguments", [("nowhere.yaml",), ("t.yaml", "--parameter", "Stage")])
def test_wrong_input_is_an_input_error(arguments: tuple[str, ...]) -> None:
    result = migrate(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("name", NAMES)
def test_takes_every_template(name: str, tmp_path: Path) -> None:
    result = migrate(make_application(tmp_path, name) / "template.yaml", "--output", "json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["aliases"]


REPORTS = """\
import boto3

def handler(event, context):
    status = "Succeeded"
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(status=status)
"""


def test_hooks_that_report_to_codedeploy_are_changed_when_asked(tmp_path: Path) -> None:
    folder = make_application(tmp_path, "guide")
    hook = folder / "code" / "app.py"
    hook.write_text(REPORTS)
    valid = CliRunner().invoke(app, ["validate", str(folder / "tidegate.yaml")])
    assert valid.exit_code == 2
    assert "PreTrafficLambdaFunction reports to CodeDeploy (app.py:5" in valid.stderr
    assert "`tidegate migrate --write`" in valid.stderr

    shown = migrate(folder / "template.yaml", "--no-diff").stdout
    assert f"`--write` changes {hook}" in shown
    assert "-    boto3.client(" in shown
    assert '+    return {"status": status}\n' in shown
    assert hook.read_text() == REPORTS

    written = migrate(folder / "template.yaml", "--no-diff", "--write").stdout
    assert f"Changed {hook}" in written
    assert hook.read_text().endswith('    return {"status": status}\n')
    assert CliRunner().invoke(app, ["validate", str(folder / "tidegate.yaml")]).exit_code == 0
    again = migrate(folder / "template.yaml", "--no-diff", "--write").stdout
    assert "Changed" not in again
    assert hook.read_text().endswith('    return {"status": status}\n')


def test_a_hook_that_is_not_certain_is_left_to_a_person(tmp_path: Path) -> None:
    folder = make_application(tmp_path, "guide")
    hook = folder / "code" / "app.py"
    text = REPORTS.replace("status=status", "**made(status)")
    hook.write_text(text)
    result = migrate(folder / "template.yaml", "--write", "--output", "json")
    (first, *_) = json.loads(result.stdout)["hooks"]
    assert first["diff"] == ""
    assert "Write in place of the call" in first["said"]
    assert hook.read_text() == text
