"""`tidegate init`: what it writes passes at once, and what was there is still there."""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tidegate.build.loops import expand_loops
from tidegate.build.template import parse_template, read_template
from tidegate.cli.app import app
from tidegate.cli.checking import make_offline_plan
from tidegate.core.model.manifest import manifest_schema, parse_manifest
from tidegate.core.planning.advice import advise

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "tests" / "templates"

UNPUBLISHED = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Environment: {Type: String, AllowedValues: [test, prod]}
  TableName: {Type: String}
Conditions:
  IsProd: !Equals [!Ref Environment, prod]
Resources:
    # Takes orders.
    Orders:
        Type: AWS::Serverless::Function
        Condition: IsProd
        Properties:
            # as always
            CodeUri: code/
            Handler: app.handler
            Runtime: nodejs22.x

    PreTrafficHook:  # not one of ours
        Type: AWS::SNS::Topic

# What others need.
Outputs: {}
"""

IN_GLOBALS = """\
Transform: [AWS::Serverless-2016-10-31]
Globals:
  Function: {Runtime: python3.9, Handler: app.handler, CodeUri: code/}
Resources:
  Orders:
    Type: AWS::Serverless::Function"""

PUBLISHED_BY_GLOBALS = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.13
    Handler: app.handler
    AutoPublishAlias: live
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code/
"""

IN_LOOPS = """\
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Globals:
  Function: {Runtime: python3.12, Handler: app.handler, CodeUri: code/}
Conditions:
  IsProd: !Equals [!Ref "AWS::Region", eu-west-1]
Resources:
  Plain:
    Type: AWS::Serverless::Function
  Fn::ForEach::Areas:
    - Area
    - [Orders, Stock]
    - ${Area}Topic:
        Type: AWS::SNS::Topic
      # One for each area.
      ${Area}Function:
        Type: AWS::Serverless::Function
        Condition: IsProd
        Properties:
          Environment: {Variables: {TOPIC: !Ref "${Area}Topic"}}
      Fn::ForEach::Kinds:
        - Kind
        - [Early, Late]
        - ${Area}${Kind}:
            Type: AWS::Serverless::Function
            Properties:
              MemorySize: 256
"""

IN_A_LOOP_IN_ONE_LINE = """\
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Globals:
  Function: {Runtime: python3.12, Handler: app.handler, CodeUri: code/}
Resources:
  Fn::ForEach::Areas:
    - Area
    - [Orders, Stock]
    - {"${Area}Function": {Type: AWS::Serverless::Function}}
"""

IN_ONE_LINE = """\
Transform: AWS::Serverless-2016-10-31
Resources: {F: {Type: AWS::Serverless::Function, Properties: {
  InlineCode: a, Handler: a.b, Runtime: python3.12}}}
"""

Project = Callable[[str], Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The folder of an application with this template, or with one of those in tests/templates."""

    def make(template: str) -> Path:
        folder = tmp_path / "My Shop"
        text = template if "\n" in template else (TEMPLATES / f"{template}.yaml").read_text()
        for name in ("code", "reports", "worker", "greeter", "shared"):
            (folder / name).mkdir(parents=True)
            (folder / name / "app.py").touch()
        for name in ("zipped.zip", "single.py", "flow.asl.yaml"):
            (folder / name).touch()
        (folder / "template.yaml").write_text(text)
        return folder

    return make


def init(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["init", str(folder), *options])


def run_written_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "tidegate.testing.plugin", "tests/test_release.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("template", "tests"),
    [
        ("plain", 3),
        ("codedeploy", 2),
        ("guide", 2),
        ("layers", 3),
        ("handwritten", 1),
        (UNPUBLISHED, 3),
        (IN_GLOBALS, 3),
        (PUBLISHED_BY_GLOBALS, 3),
        (IN_LOOPS, 3),
    ],
    ids=[
        "plain",
        "codedeploy",
        "guide",
        "layers",
        "handwritten",
        "no alias",
        "no end",
        "globals",
        "loops",
    ],
)
def test_what_it_writes_passes_at_once(project: Project, template: str, tests: int) -> None:
    folder = project(template)
    before = (folder / "template.yaml").read_text()
    done = init(folder)
    assert done.exit_code == 0, done.output
    after = (folder / "template.yaml").read_text()
    changes = [line[0] for line in difflib.ndiff(before.splitlines(), after.splitlines())]
    assert set(changes) <= {" ", "+"}
    valid = CliRunner().invoke(app, ["validate", str(folder / "tidegate.yaml")])
    assert valid.exit_code == 0, valid.output
    ran = run_written_tests(folder)
    assert ran.returncode == 0, ran.stdout
    assert f"{tests} passed" in ran.stdout
    imports = re.findall(r"^from .*$", (folder / "tests/test_release.py").read_text(), re.MULTILINE)
    assert len(imports) == len(set(imports))


def test_the_first_release_of_a_migrated_team_needs_no_users_in_test(project: Project) -> None:
    """With a canary there, it ended after half an hour: no judgement after the extended bake."""
    folder = project("guide")
    assert init(folder).exit_code == 0
    plan, contents = make_offline_plan(folder / "tidegate.yaml", None)
    test, prod = plan.stages
    assert (test.strategy.splits, prod.strategy.splits) == (False, True)
    assert test.pre_traffic == prod.pre_traffic
    assert test.checks.alarms == prod.checks.alarms
    assert not [said for said in advise(plan, contents) if "Where no users call it" in said]
    (folder / "tidegate.yaml").write_text(
        (folder / "tidegate.yaml").read_text().replace("    strategy: all-at-once\n", "", 1)
    )
    plan, contents = make_offline_plan(folder / "tidegate.yaml", None)
    (said,) = [said for said in advise(plan, contents) if "Where no users call it" in said]
    assert said.startswith("Stage test goes back when a step ends with less than 50 requests.")


def test_manifest_says_where_and_how(project: Project) -> None:
    folder = project(UNPUBLISHED)
    done = init(folder, "--test-account", "222222222222", "--prod-account", "333333333333")
    assert "Set the accounts" not in done.output
    manifest = parse_manifest((folder / "tidegate.yaml").read_text())
    assert manifest.application == "my-shop"
    test, prod = manifest.stages
    assert (test.account, test.regions, test.approval) == ("222222222222", ("eu-west-1",), None)
    assert test.parameters == {"Environment": "test", "TableName": "set-me"}
    assert prod.parameters["Environment"] == "prod"
    assert prod.approval
    assert prod.strategy


def test_an_editor_finds_the_schema_that_the_manifest_announces(project: Project) -> None:
    folder = project("plain")
    assert init(folder).exit_code == 0
    first = (folder / "tidegate.yaml").read_text("utf-8").splitlines()[0]
    schema = folder / first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(schema.read_text("utf-8")) == manifest_schema()


def test_what_is_not_echoed_gets_a_reference(project: Project) -> None:
    folder = project(UNPUBLISHED.replace("TableName: {", "TableName: {NoEcho: true, "))
    done = init(folder)
    assert done.exit_code == 0, done.output
    test, _ = parse_manifest((folder / "tidegate.yaml").read_text()).stages
    assert test.parameters["TableName"] == "{{resolve:secretsmanager:set-me}}"


def test_strategy_and_hooks_of_the_template_stay_in_force(project: Project) -> None:
    folder = project("codedeploy")
    init(folder)
    manifest = parse_manifest((folder / "tidegate.yaml").read_text())
    assert manifest.stages[-1].strategy is None
    assert manifest.hooks.pre_traffic is None
    assert not (folder / "hooks").exists()


def test_functions_get_an_alias_and_the_hook_a_name_that_is_free(project: Project) -> None:
    folder = project(UNPUBLISHED)
    done = init(folder)
    assert "Added to template.yaml: AutoPublishAlias: live to Orders" in done.output
    resources = read_template(folder / "template.yaml")["Resources"]
    assert resources["Orders"]["Properties"]["AutoPublishAlias"] == "live"
    assert resources["PreTrafficHook"]["Type"] == "AWS::SNS::Topic"
    hook = resources["PreTrafficHook2"]["Properties"]
    assert hook["Runtime"] == "python3.12"
    allowed = hook["Policies"][0]["Statement"][0]["Resource"]
    arn = {"Fn::Sub": "${Orders.Arn}:*"}
    assert allowed == [{"Fn::If": ["IsProd", arn, {"Ref": "AWS::NoValue"}]}]


def test_functions_that_a_loop_makes_get_their_alias_in_its_body(project: Project) -> None:
    folder = project(IN_LOOPS)
    done = init(folder)
    assert "Added to template.yaml: AutoPublishAlias: live to ${Area}Function" in done.output
    assert "Added to template.yaml: AutoPublishAlias: live to ${Area}${Kind}" in done.output
    text = (folder / "template.yaml").read_text()
    assert text.count("AutoPublishAlias: live") == 3
    resources = expand_loops(parse_template(text))["Resources"]
    published = {
        name for name, one in resources.items() if "AutoPublishAlias" in one.get("Properties", {})
    }
    areas = {f"{area}{kind}" for area in ("Orders", "Stock") for kind in ("Early", "Late")}
    assert published == {"Plain", "OrdersFunction", "StockFunction", *areas}
    hook = resources["PreTrafficHook"]["Properties"]["Policies"][0]["Statement"][0]["Resource"]
    assert len(hook) == len(published)


def test_hook_that_globals_publish_leaves_itself_out(project: Project) -> None:
    folder = project(PUBLISHED_BY_GLOBALS)
    init(folder)
    assert (
        "continue  # this hook is released, too"
        in (folder / "hooks" / "pre_traffic" / "app.py").read_text()
    )
    hook = read_template(folder / "template.yaml")["Resources"]["PreTrafficHook"]["Properties"]
    assert hook["Runtime"] == "python3.13"


def test_makefile_of_the_hook_makes_a_package_that_can_be_imported(
    project: Project, tmp_path: Path
) -> None:
    folder = project("plain")
    init(folder)
    package = tmp_path / "package"
    package.mkdir()
    ours = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    made = subprocess.run(
        ["make", "build-PreTrafficHook", f"ARTIFACTS_DIR={package}"],
        cwd=folder / "hooks" / "pre_traffic",
        env=ours,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    script = f"import sys; sys.path.insert(0, {str(package)!r}); import app; print(app.handler)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_template_elsewhere_has_its_hook_beside_it(project: Project) -> None:
    folder = project("plain")
    (folder / "template.yaml").rename(folder / "greeter" / "sam.yaml")
    (folder / "greeter" / "greeter").mkdir()
    done = init(folder, "--template", "greeter/sam.yaml", "--application", "hi")
    assert done.exit_code == 0, done.output
    assert (folder / "greeter" / "hooks" / "pre_traffic" / "app.py").is_file()
    assert run_written_tests(folder).returncode == 0


def test_overwrites_nothing(project: Project) -> None:
    folder = project("plain")
    (folder / "tidegate.yaml").write_text("mine")
    before = (folder / "template.yaml").read_text()
    done = init(folder)
    assert done.exit_code == 2
    assert "there is already tidegate.yaml" in done.output
    assert (folder / "tidegate.yaml").read_text() == "mine"
    assert (folder / "template.yaml").read_text() == before
    assert not (folder / "tests").exists()


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("Resources:\n  Topic: {Type: AWS::SNS::Topic}\n", "no function has an alias"),
        (
            IN_ONE_LINE,
            "not written line by line",
        ),
        (
            IN_A_LOOP_IN_ONE_LINE,
            (
                "${Area}Function is not written line by line, so nothing can be added to it. Write"
                " it as block YAML, or add `AutoPublishAlias: live` to the Properties of"
                " ${Area}Function by hand."
            ),
        ),
        ("Resources: [\n", "not valid YAML"),
    ],
)
def test_says_what_it_cannot_begin_with(project: Project, template: str, complaint: str) -> None:
    folder = project(template)
    done = init(folder)
    assert done.exit_code == 2
    assert complaint in done.output.replace("\n", " ")
    assert not (folder / "tidegate.yaml").exists()


def test_writes_nothing_for_a_region_that_there_is_not(project: Project) -> None:
    folder = project("plain")
    done = init(folder, "--target-region", "eux-west-1")
    assert done.exit_code == 2
    assert "Did you mean eu-west-1?" in done.output.replace("\n", " ")
    assert not (folder / "tidegate.yaml").exists()


def test_asks_for_a_template_when_there_is_none(tmp_path: Path) -> None:
    done = init(tmp_path)
    assert done.exit_code == 2
    assert "has no template.yaml or template.yml" in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("folder", "name"), [("My_Shop 2", "my-shop-2"), ("7up", "app-7up"), ("_", "app")]
)
def test_application_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "template.yaml").write_text(IN_GLOBALS)
    (tmp_path / folder / "code").mkdir()
    assert init(tmp_path / folder).exit_code == 0
    text = (tmp_path / folder / "tidegate.yaml").read_text()
    assert parse_manifest(text).application == name
