"""Parts of the pipeline engine: declarations, variables, triggers."""

from typing import Any

import pytest

from tidegate_embedded.codepipeline.definition import from_cloudformation, normalize
from tidegate_embedded.codepipeline.triggers import triggered_source
from tidegate_embedded.codepipeline.variables import UnknownVariableError, resolve
from tidegate_embedded.git import Push


def test_a_declaration_is_read_from_a_template() -> None:
    declared = from_cloudformation(
        {
            "Name": "app",
            "Tags": [{"Key": "a", "Value": "b"}],
            "Stages": [
                {
                    "Name": "Source",
                    "Actions": [
                        {
                            "Name": "Fetch",
                            "RunOrder": "2",
                            "Configuration": {"BranchName": "main", "DetectChanges": False},
                        }
                    ],
                }
            ],
        }
    )
    configuration = {"BranchName": "main", "DetectChanges": "false"}
    action = {"name": "Fetch", "runOrder": 2, "configuration": configuration}
    assert declared == {"name": "app", "stages": [{"name": "Source", "actions": [action]}]}


def test_defaults_are_those_of_the_service() -> None:
    source = {"name": "s", "actionTypeId": {"category": "Source"}}
    build = {"name": "b", "actionTypeId": {"category": "Build"}}
    pipeline = normalize(
        {
            "name": "app",
            "artifactStore": {},
            "stages": [
                {"name": "one", "actions": [source]},
                {"name": "two", "actions": [build]},
            ],
        }
    )
    assert (pipeline["pipelineType"], pipeline["executionMode"]) == ("V1", "SUPERSEDED")
    assert pipeline["stages"][1]["actions"][0]["runOrder"] == 1


def test_variables_are_replaced_and_the_rest_is_left() -> None:
    namespaces = {"Source": {"CommitId": "abc"}, "codepipeline": {"PipelineExecutionId": "1"}}
    text = "#{Source.CommitId} ${OTHER} # {x} #{codepipeline.PipelineExecutionId}"
    assert resolve(text, namespaces) == "abc ${OTHER} # {x} 1"


def test_a_variable_that_nobody_set_is_named() -> None:
    with pytest.raises(UnknownVariableError, match=r"#\{Build.Version\}"):
        resolve("v#{Build.Version}", {"Build": {}})


def pipeline(**options: Any) -> dict[str, Any]:
    source = {
        "name": "Source",
        "actionTypeId": {"provider": "CodeStarSourceConnection"},
        "configuration": {"FullRepositoryId": "a/b", "BranchName": "main", **options.pop("on", {})},
    }
    return {"stages": [{"name": "Source", "actions": [source]}], **options}


def push(branch: str = "main", repository: str = "a/b", files: tuple[str, ...] = ()) -> Push:
    return Push(repository, branch, "c0ffee", files)


def triggers(**filters: Any) -> list[dict[str, Any]]:
    return [{"gitConfiguration": {"sourceActionName": "Source", "push": [filters]}}]


@pytest.mark.parametrize(
    ("declared", "pushed", "starts"),
    [
        (pipeline(), push(), True),
        (pipeline(), push(branch="other"), False),
        (pipeline(), push(repository="a/other"), False),
        (pipeline(on={"DetectChanges": "false"}), push(), False),
        (pipeline(triggers=triggers(branches={"includes": ["x/*"]})), push(), False),
        (pipeline(triggers=triggers(branches={"includes": ["x/*"]})), push("x/y"), True),
        (pipeline(triggers=triggers(branches={"includes": ["x/*"]})), push("x/y/z"), False),
        (pipeline(triggers=triggers(branches={"includes": ["x/**"]})), push("x/y/z"), True),
        (pipeline(triggers=triggers(branches={"excludes": ["main"]})), push(), False),
        (pipeline(triggers=triggers(branches={"excludes": ["main"]})), push("x"), True),
        (pipeline(triggers=triggers(tags={"includes": ["v*"]})), push(), False),
        (
            pipeline(triggers=triggers(filePaths={"excludes": ["docs/**"]})),
            push(files=("docs/a.md",)),
            False,
        ),
        (
            pipeline(triggers=triggers(filePaths={"excludes": ["docs/**"]})),
            push(files=("docs/a.md", "src/a.py")),
            True,
        ),
    ],
)
def test_a_push_starts_the_pipelines_that_ask_for_it(
    declared: dict[str, Any], pushed: Push, starts: bool
) -> None:
    assert (triggered_source(declared, pushed) == "Source") is starts
