"""Pipeline declarations: reads them from templates, and says what is wrong with one."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

_AS_WRITTEN: Final = frozenset({"Configuration"})
"""Maps whose keys belong to the action, not to CodePipeline."""
_INTEGERS: Final = frozenset({"runOrder", "timeoutInMinutes"})
_MINIMUM_STAGES: Final = 2
EXECUTION_MODES: Final = frozenset({"QUEUED", "SUPERSEDED", "PARALLEL"})
_DEFAULTS: Final = {"pipelineType": "V1", "executionMode": "SUPERSEDED"}


class StructureError(ValueError):
    """A pipeline declaration cannot be executed; CodePipeline's `InvalidStructureException`."""


def from_cloudformation(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration that the properties of an `AWS::CodePipeline::Pipeline` describe."""
    own = {"Tags", "RestartExecutionOnUpdate", "DisableInboundStageTransitions"}
    declared: dict[str, Any] = _api_spelling(
        {name: value for name, value in properties.items() if name not in own}
    )
    return declared


def normalize(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration with its defaults; raise `StructureError` for one that cannot run."""
    pipeline = {**_DEFAULTS, **declaration}
    pipeline["stages"] = [
        stage | {"actions": [{"runOrder": 1, **action} for action in stage["actions"]]}
        for stage in declaration.get("stages", [])
    ]
    for problem in _problems(pipeline):
        raise StructureError(problem)
    return pipeline


def actions(pipeline: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All actions of a declaration, in order."""
    for stage in pipeline["stages"]:
        yield from stage["actions"]


def artifact_store(pipeline: Mapping[str, Any], region: str) -> dict[str, Any]:
    """The artifact store of the region."""
    store: dict[str, Any] | None = pipeline.get("artifactStore")
    return store if store is not None else pipeline["artifactStores"][region]


def declared_variables(pipeline: Mapping[str, Any]) -> dict[str, str]:
    """The pipeline's variables that have a default, with it."""
    declared = pipeline.get("variables", [])
    return {item["name"]: item["defaultValue"] for item in declared if "defaultValue" in item}


def _api_spelling(value: Any) -> Any:
    if isinstance(value, list):
        return [_api_spelling(item) for item in value]
    if not isinstance(value, dict):
        return value
    spelled: dict[str, Any] = {}
    for name, item in value.items():
        key = name[0].lower() + name[1:]
        if name in _AS_WRITTEN:
            spelled[key] = {option: _text(setting) for option, setting in item.items()}
        else:
            spelled[key] = int(item) if key in _INTEGERS else _api_spelling(item)
    return spelled


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problems(pipeline: Mapping[str, Any]) -> Iterator[str]:
    stages = pipeline["stages"]
    if len(stages) < _MINIMUM_STAGES:
        yield f"Pipeline {pipeline.get('name')} has {len(stages)} stages, at least 2 are needed"
    if pipeline["executionMode"] not in EXECUTION_MODES:
        yield f"executionMode {pipeline['executionMode']} is none of {sorted(EXECUTION_MODES)}"
    if "artifactStore" not in pipeline and "artifactStores" not in pipeline:
        yield "The pipeline needs an artifactStore"
    names = [stage["name"] for stage in stages]
    if len(set(names)) < len(names):
        yield "Stage names must be unique"
    made: set[str] = set()
    for position, stage in enumerate(stages):
        yield from _stage_problems(stage, is_first=position == 0, made=made)


def _stage_problems(stage: Mapping[str, Any], *, is_first: bool, made: set[str]) -> Iterator[str]:
    ordered = sorted(stage["actions"], key=itemgetter("runOrder"))
    for _, group in groupby(ordered, key=itemgetter("runOrder")):
        together = list(group)
        for action in together:
            yield from _action_problems(action, stage["name"], is_first=is_first, made=made)
        for action in together:
            made.update(artifact["name"] for artifact in action.get("outputArtifacts", []))


def _action_problems(
    action: Mapping[str, Any], stage: str, *, is_first: bool, made: set[str]
) -> Iterator[str]:
    is_source = action["actionTypeId"]["category"] == "Source"
    if is_source != is_first:
        yield (
            f"Action {action['name']} in stage {stage}: the first stage holds the Source actions, "
            "and only these"
        )
    for artifact in action.get("inputArtifacts", []):
        if artifact["name"] not in made:
            yield (
                f"Action {action['name']} in stage {stage} takes artifact {artifact['name']}, "
                "which no earlier action makes"
            )
