"""The verbs that need no controller, on the example application."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.cli.backend import Context

ROOT = Path(__file__).parents[3]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example application as its own repository has it."""
    for name in ("tidegate.yaml", "buildspec.yml"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=ignored)
    return tmp_path


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
        ("tidegate.yaml", "weight: 50%", "weight: 5%", ":41: stages[1]"),
        ("tidegate.yaml", "functions/template.yaml\n\n", "nowhere.yaml\n\n", "nowhere.yaml"),
        ("tidegate.yaml", "[PreTrafficHook]", "[PreTraficHook]", "PreTraficHook"),
        ("functions/template.yaml", "AutoPublishAlias: live", "Timeout: 5", "AutoPublishAlias"),
        ("tidegate.yaml", "version: 1", "version: [1", "tidegate.yaml:"),
    ],
    ids=["strategy", "weights", "no template", "no such hook", "no alias", "no yaml"],
)
def test_validate_says_in_one_message_what_is_wrong_and_where(
    example: Path, file: str, old: str, new: str, said: str
) -> None:
    result = run("validate", edited(example, file, old, new))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_validate_of_no_file_is_an_input_error(tmp_path: Path) -> None:
    result = run("validate", tmp_path / "tidegate.yaml")
    assert (result.exit_code, "no such manifest" in result.stderr) == (2, True)


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

    def put_object(self, Key: str, **_: Any) -> None:  # noqa: N803
        self.keys.append(Key)


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
    assert f"{written['prefix']}/artifact.json" == bucket.keys[-1]
    assert f"tidegate release {release}" in result.stdout
