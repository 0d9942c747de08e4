"""The verbs that need no controller, on the example application."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from support.applications import copy_example, make_application
from tidegate.cli.app import app
from tidegate.cli.backend import Context

GUIDE = """
version: 1
application: guide
stages:
  - name: test
    account: "222222222222"
    regions: [eu-west-1]
    strategy: all-at-once
    hooks: {pre_traffic: []}
  - name: prod
    account: "333333333333"
    regions: [eu-west-1]
    strategy: {canary: {weight: 10%, bake: 5m}}
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example application as its own repository has it."""
    return copy_example(tmp_path)


def run(*arguments: str | Path, context: Context | None = None) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], obj=context)


def edited(example: Path, file: str, old: str, new: str) -> Path:
    text = (example / file).read_text()
    assert old in text
    (example / file).write_text(text.replace(old, new))
    return example / "tidegate.yaml"


def test_validate_names_application_and_stages(example: Path) -> None:
    result = run("validate", example / "tidegate.yaml")
    assert result.exit_code == 0
    assert result.stdout.endswith("is valid: hello, stages test, prod.\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "tidegate.yaml",
            "strategy: all-at-once",
            "strategy: al-at-once",
            "stages[0].strategy",
        ),
        ("tidegate.yaml", "weight: 50%", "weight: 5%", ":43: stages[1]"),
        ("tidegate.yaml", "functions/template.yaml\n\n", "nowhere.yaml\n\n", "nowhere.yaml"),
        ("tidegate.yaml", "[PreTrafficHook]", "[PreTraficHook]", "PreTraficHook"),
        ("functions/template.yaml", "AutoPublishAlias: live", "Timeout: 5", "AutoPublishAlias"),
        ("tidegate.yaml", "version: 1", "version: [1", "tidegate.yaml:"),
        ("functions/template.yaml", "!Ref Stage", "!Ref Stge", 'no Stge, did you mean "Stage"?'),
    ],
    ids=["strategy", "weights", "no template", "no such hook", "no alias", "no yaml", "no name"],
)
def test_validate_says_in_one_message_what_is_wrong_and_where(
    example: Path, file: str, old: str, new: str, said: str
) -> None:
    result = run("validate", edited(example, file, old, new))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_what_the_template_asks_for_and_is_not_done_is_said(tmp_path: Path) -> None:
    folder = make_application(tmp_path, "guide")
    manifest = folder / "tidegate.yaml"
    manifest.write_text(GUIDE)
    said = "The template's hook PreTrafficLambdaFunction does not run before traffic in stage test."
    validated = run("validate", manifest)
    assert validated.exit_code == 0
    assert f"Warning: {said}\n" in validated.stderr
    planned = run("plan", manifest)
    assert said in " ".join(planned.stdout.split())
    of_prod = planned.stdout.partition("2. prod")[2]
    assert re.search(r"before traffic +PreTrafficLambdaFunction", of_prod)
    assert "alarm AliasErrorMetricGreaterThanZeroAlarm" in " ".join(of_prod.split())
    assert re.search(r"tells +Deployments: failure", of_prod)


def test_alarms_and_dimensions_that_are_nearly_resources_are_asked_about(tmp_path: Path) -> None:
    folder = make_application(tmp_path, "guide")
    manifest = folder / "tidegate.yaml"
    manifest.write_text(f"""{GUIDE}    checks:
      alarms: [AliasErorMetricGreaterThanZeroAlarm, of-another-stack]
      metrics:
        - name: sent
          stat: {{namespace: AWS/SNS, metric: Sent, dimensions: {{TopicName: Deploymnts}}}}
          at_least: 1
        - name: other
          stat: {{namespace: AWS/SNS, metric: Sent, dimensions: {{TopicName: Deployments}}}}
          at_least: 1
""")
    said = run("validate", manifest).stderr
    asked = [line for line in said.splitlines() if "did you mean that?" in line]
    assert len(asked) == 2
    assert 'the template has "AliasErrorMetricGreaterThanZeroAlarm": did you mean' in asked[0]
    assert 'dimension TopicName "Deploymnts", and the template has "Deployments"' in asked[1]


def test_validate_of_no_file_is_an_input_error(tmp_path: Path) -> None:
    result = run("validate", tmp_path / "tidegate.yaml")
    assert (result.exit_code, "no such manifest" in result.stderr) == (2, True)


def with_strategy(example: Path, strategy: str) -> Path:
    manifest = example / "tidegate.yaml"
    text = re.sub(r"strategy:\n( {6,}.*\n)+", f"strategy: {strategy}\n", manifest.read_text())
    manifest.write_text(text)
    return manifest


def test_plan_says_when_samples_are_expected_at_this_traffic(example: Path) -> None:
    steps = "{steps: [{weight: 10%, until: {samples: 500, at_most: 30m}}, {weight: 50%, bake: 5m}]}"
    manifest = with_strategy(example, steps)
    result = run("plan", manifest, "--rps", "10")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "for 500 samples, 30m at most, expected in 10m20s" in said
    assert "+10m20s █████░░░░░ 50 % for 5m" in said
    assert "expected at 10 requests/s" in said
    assert "expected" not in run("plan", manifest).stdout


def test_plan_says_which_steps_end_with_too_few_requests(example: Path) -> None:
    manifest = with_strategy(example, "{canary: {weight: 10%, bake: 10m}}")
    said = " ".join(run("plan", manifest, "--requests-per-second", "0.5").stdout.split())
    assert "about 24 of 50 requests by then: too few to judge" in said


def test_plan_says_where_adaptive_weights_begin(example: Path) -> None:
    manifest = with_strategy(example, "adaptive")
    assert "(0.8 %)" in run("plan", manifest, "--rps", "10").stdout
    assert "(10 % or less)" in run("plan", manifest).stdout


def test_plan_gives_what_is_expected_as_json(example: Path) -> None:
    result = run("plan", example / "tidegate.yaml", "--rps", "10", "--output", "json")
    expected = json.loads(result.stdout)["expected"]
    assert expected["prod"]["promoted_after"] > 0
    assert expected["prod"]["requests_per_second"] == 10


def test_plan_wants_one_source_of_traffic(example: Path) -> None:
    result = run("plan", example / "tidegate.yaml", "--rps", "1", "--live", "f:live")
    assert (result.exit_code, "--rps or --live" in result.stderr) == (2, True)


def test_plan_shows_each_step_with_its_time(example: Path) -> None:
    result = run("plan", example / "tidegate.yaml")
    assert result.exit_code == 0
    assert "+10m  █████░░░░░   50 %  for 10m" in result.stdout
    assert "by 1 person, within 1d" in result.stdout
    assert "PreTrafficHook (5m)" in result.stdout


def test_plan_as_json_gives_every_default_and_the_advice(example: Path) -> None:
    manifest = edited(example, "tidegate.yaml", "bake: 10m", "bake: 10s")
    plan = json.loads(run("plan", manifest, "--output", "json").stdout)
    assert plan["application"] == "hello"
    assert [stage["name"] for stage in plan["stages"]] == ["test", "prod"]
    assert plan["stages"][1]["waves"][0][0]["stack_name"] == "hello-prod"
    assert "bakes for less than 60 s" in plan["advice"][0]


def test_plan_leaves_nothing_behind(example: Path) -> None:
    before = sorted(example.rglob("*"))
    run("plan", example / "tidegate.yaml")
    assert sorted(example.rglob("*")) == before


class Bucket:
    """An S3 client that keeps what is stored."""

    def __init__(self, missing: Callable[[], Exception]) -> None:
        self.keys: list[str] = []
        self._missing = missing

    def head_object(self, **_: Any) -> None:
        raise self._missing()

    def get_bucket_location(self, **_: Any) -> dict[str, str]:
        return {"LocationConstraint": "eu-west-1"}

    def put_object(self, Key: str, **_: Any) -> dict[str, str]:  # noqa: N803
        self.keys.append(Key)
        return {"VersionId": f"version of {Key}"}


def test_build_stores_the_artifact_and_writes_what_a_release_starts_with(example: Path) -> None:
    bucket = Bucket(lambda: ClientError({"Error": {"Code": "404"}}, "HeadObject"))

    class Session:
        def client(self, _: str) -> Bucket:
            return bucket

    def unconnected() -> Any:
        raise AssertionError("a build talks to no controller")

    release = example / "release.json"
    result = run(
        "build", example / "tidegate.yaml", "--bucket", "artifacts", "--output", release,
        "--commit", "abc123", "--subject", "Greet", context=Context(unconnected, Session),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    written = json.loads(release.read_text())
    assert (written["bucket"], written["commit"], written["subject"]) == (
        "artifacts",
        "abc123",
        "Greet",
    )
    *_, description, statement = bucket.keys
    assert description == f"{written['prefix']}/artifact.json"
    assert statement.startswith(f"{written['prefix']}/provenance/")
    named = {key: f"version of {key}" for key in bucket.keys if key != statement}
    assert written["versions"] == {"artifacts": named}
    assert f"tidegate release {release}" in result.stdout


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_a_region_that_there_is_not_is_refused(verb: str, example: Path) -> None:
    result = run(verb, edited(example, "tidegate.yaml", "[eu-west-1]", "[xx-nowhere-9]"))

    assert result.exit_code == 2
    assert 'regions[0]: there is no region "xx-nowhere-9"' in result.stderr


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_a_region_that_may_be_new_is_a_warning(verb: str, example: Path) -> None:
    result = run(verb, edited(example, "tidegate.yaml", "[eu-west-1]", "[eu-wets-1]"))

    assert result.exit_code == 0
    assert "Warning: " in result.stderr
    assert "regions[0]: eu-wets-1 is not in the list" in result.stderr
    assert "Did you mean eu-west-1? If it is new, all is well." in result.stderr
