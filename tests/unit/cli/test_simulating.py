"""The verbs that look ahead and back: simulate, retro, explain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles import FakeBackend
from typer.testing import CliRunner, Result

from support.story import CANARY, Story
from tidegate.cli.app import app
from tidegate.cli.backend import Context

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): return {}"
      Handler: index.handler
      Runtime: python3.12
      AutoPublishAlias: live
  Pre:
    Type: AWS::Serverless::Function
    Properties:
      {InlineCode: "def handler(e, c): return {}", Handler: index.handler, Runtime: python3.12}
  Post:
    Type: AWS::Serverless::Function
    Properties:
      {InlineCode: "def handler(e, c): return {}", Handler: index.handler, Runtime: python3.12}
"""

Run = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "tidegate.yaml").write_text(CANARY)
    return tmp_path / "tidegate.yaml"


@pytest.fixture(scope="module")
def story() -> Story:
    """Two releases: one is live, one was taken back."""
    told = Story()
    told.release("one")
    told.error_rates["2"] = 0.3
    told.release("two")
    return told


@pytest.fixture
def run(story: Story) -> Run:
    def connect() -> Any:
        return FakeBackend(story.world.ledger)

    def session() -> Any:
        raise AssertionError("no AWS session in these tests")

    context = Context(connect, session, now=story.world.clock.now)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments)], obj=context)


class TestSimulate:
    FEW = ("--runs", "20", "--processes", "1", "--regression", "100%")

    def test_draws_a_table_with_ours_and_the_best_preset(self, run: Run, project: Path) -> None:
        result = run("simulate", project, "--rps", 10, *self.FEW)
        assert result.exit_code == 0, result.output
        assert "canary  in prod" in result.stdout
        assert "all fail" in result.stdout
        assert "none of 20, so below 15.0%" in result.stdout

    def test_writes_a_picture_and_json(self, run: Run, project: Path, tmp_path: Path) -> None:
        picture = tmp_path / "out.svg"
        result = run(
            "simulate", project, "--rps", 10, *self.FEW, "--picture", picture, "-o", "json"
        )
        assert json.loads(result.stdout)["findings"][1]["outcomes"][0]["caught"] == 1.0
        assert picture.read_text().startswith("<svg")

    def test_shows_each_preset_with_its_alarm(self, run: Run, project: Path) -> None:
        result = run("simulate", project, "--rps", 10, *self.FEW, "--presets")
        assert "ALARM" in result.stdout

    def test_takes_a_course_of_traffic_from_a_file(
        self, run: Run, project: Path, tmp_path: Path
    ) -> None:
        course = tmp_path / "traffic.yaml"
        course.write_text("{requests_per_second: [5, 20], every: 12h}")
        result = run("simulate", project, "--traffic", course, *self.FEW, "--error-rate", "1%")
        assert "12.5 requests/s, 1 % fail on stable" in result.stdout

    @pytest.mark.parametrize("arguments", [[], ["--rps", "1", "--live", "f:live"]])
    def test_wants_exactly_one_source_of_traffic(
        self, run: Run, project: Path, arguments: list[str]
    ) -> None:
        result = run("simulate", project, *arguments)
        assert result.exit_code == 2
        assert "--live with a function" in result.stderr

    def test_refuses_a_stage_that_is_not_there(self, run: Run, project: Path) -> None:
        result = run("simulate", project, "--rps", 1, "--stage", "beta")
        assert (result.exit_code, "It has prod." in result.stderr) == (2, True)

    def test_refuses_a_function_without_an_alias(self, run: Run, project: Path) -> None:
        result = run("simulate", project, "--live", "hello")
        assert (result.exit_code, "is no alias" in result.stderr) == (2, True)


class TestExplain:
    def test_tells_each_decision(self, run: Run) -> None:
        result = run("explain", "hello", "--stage", "prod")
        assert result.exit_code == 0
        for word in ("#1", "goes to 10 %", "goes back", "data", "rule", "why", "would have held"):
            assert word in result.stdout
        assert "hello-2  test" not in result.stdout

    def test_gives_the_same_as_json(self, run: Run) -> None:
        told = json.loads(run("explain", "hello-2", "-o", "json").stdout)
        decisions = told["rollouts"][1]["decisions"]
        assert decisions[-1]["action"] == "restore"
        assert decisions[-1]["repeated"]
        assert {one["action"] for one in decisions[-1]["counterfactuals"]} == {"hold"}

    def test_says_that_a_first_deployment_decided_nothing_about_traffic(self, run: Run) -> None:
        assert "outcome" in run("explain", "hello-1").stdout

    def test_a_release_that_is_not_there_is_an_input_error(self, run: Run) -> None:
        assert run("explain", "shop").exit_code == 2


class TestRetro:
    def test_tells_what_the_policy_would_have_done(self, run: Run, project: Path) -> None:
        result = run("retro", "hello", project)
        assert result.exit_code == 0, result.output
        assert "hello-2" in result.stdout
        assert "restored" in result.stdout

    def test_gives_the_same_as_json(self, run: Run, project: Path) -> None:
        rows = json.loads(run("retro", "hello", project, "-o", "json").stdout)
        assert rows[0]["recorded"]["ending"] == "restored"
        assert rows[0]["replayed"]["ending"] == "restored"

    def test_an_application_without_releases_has_no_past(self, run: Run, project: Path) -> None:
        assert "No decision about a rollout in prod" in run("retro", "shop", project).stdout
