"""Makes a change of configuration publish a version, as a change of code does.

CloudFormation publishes a version when a property of the version's resource changes, and SAM names
that resource for the code alone: new environment variables, layers or memory would never reach the
live alias. Here the version's description carries a fingerprint of all that Lambda publishes. The
function's description carries it too, because Lambda refuses to publish what has not changed.

What stages set differently, their parameters, is not known to a build. Its part of the fingerprint
is a parameter, which a release fills in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.build.references import conditions_in, references
from tidegate.build.report import Report
from tidegate.build.template import Template, add, walk
from tidegate.core.model.artifact import (
    CONFIGURATIONS_PARAMETER,
    FINGERPRINT_LENGTH,
    configurations,
    fingerprint,
)
from tidegate.core.model.plan import ManagedAlias
from tidegate.core.template.clear_text import is_not_echoed

_NOT_PUBLISHED: Final = {
    "CodeSigningConfigArn",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Tags",
}
"""Properties that belong to the function as a whole: a version does not hold them."""
_ALWAYS_REPLACED: Final = {"AWS::Lambda::LayerVersion"}
"""Types whose every change gives another ARN under the same logical id."""
_FROM_ELSEWHERE: Final = ("{{resolve:ssm:", "{{resolve:secretsmanager:")
_LONGEST: Final = 256  # of a description, in Lambda
_NO_VALUE: Final = {"Ref": "AWS::NoValue"}


def publish_configuration(
    template: Template, aliases: Sequence[ManagedAlias], path: str, report: Report
) -> tuple[ManagedAlias, ...]:
    """Describe functions and versions by their configuration; the aliases, knowing its inputs."""
    seen: set[str] = set()
    known = []
    for index, alias in enumerate(aliases):
        needed = _needed(template, alias.function)
        inputs = _inputs(needed, alias.function, report)
        known.append(alias.model_copy(update={"inputs": inputs}))
        mark = _mark(needed, index, inputs)
        for logical_id in (alias.version_logical_id, alias.function):
            if logical_id not in seen:
                seen.add(logical_id)
                _describe(template, logical_id, alias.function, mark)
        _tell(alias, report)
        _notice_values_from_elsewhere(needed, alias.function, report)
    if any(alias.inputs for alias in known):
        add(template, "Parameters", CONFIGURATIONS_PARAMETER, path, {
            "Type": "CommaDelimitedList",
            "Default": configurations(known, {}),
            "Description": "Fingerprints of the parameters of each function. Set by Tidegate.",
        })  # fmt: skip
    return tuple(known)


def _needed(template: Template, function: str) -> dict[str, Any]:
    """The function's properties that a version holds, and the definitions that they depend on."""
    properties = template["Resources"][function].get("Properties", {})
    needed = {"Properties": {k: v for k, v in properties.items() if k not in _NOT_PUBLISHED}}
    waiting = [needed["Properties"]]
    while waiting:
        for name, definition in _depended_on(template, waiting.pop()):
            if name not in needed:
                needed[name] = definition
                waiting.append(definition)
    return needed


def _depended_on(template: Template, part: Any) -> Iterator[tuple[str, Any]]:
    """Definitions that decide this part's value; of other resources it has only the names."""
    parameters, resources = template.get("Parameters", {}), template["Resources"]
    for name in references(part):
        if name in parameters:
            yield f"Parameters.{name}", parameters[name]
        elif resources.get(name, {}).get("Type") in _ALWAYS_REPLACED:
            yield f"Resources.{name}", resources[name].get("Properties", {})
    for name in conditions_in(part):
        if name in template.get("Conditions", {}):
            yield f"Conditions.{name}", template["Conditions"][name]
    for name in _mappings_in(part):
        if name in template.get("Mappings", {}):
            yield f"Mappings.{name}", template["Mappings"][name]


def _mappings_in(part: Any) -> Iterator[str]:
    for value in walk(part):
        if isinstance(value, Mapping) and isinstance(found := value.get("Fn::FindInMap"), list):
            yield str(found[0]) if found else ""


def _inputs(needed: Mapping[str, Any], function: str, report: Report) -> tuple[str, ...]:
    """The parameters whose values decide the configuration.

    Those that are not echoed stay out: a short digest of a short secret gives it away.
    """
    inputs = []
    for name, definition in sorted(needed.items()):
        section, _, parameter = name.partition(".")
        if section != "Parameters" or parameter.startswith("Tidegate"):
            continue
        if is_not_echoed(definition):
            report.notice(
                f"{function} depends on the parameter {parameter}, which is not echoed: a change of"
                " its value alone publishes no version. Let the function read the secret by name."
            )
        else:
            inputs.append(parameter)
    return tuple(inputs)


def _notice_values_from_elsewhere(needed: Mapping[str, Any], function: str, report: Report) -> None:
    for name, definition in needed.items():
        section, _, parameter = name.partition(".")
        if section == "Parameters" and definition["Type"].startswith("AWS::SSM::"):
            report.notice(
                f"{function} takes {parameter} from Parameter Store when the stack is"
                " updated: a change there alone publishes no version. Write the value in the"
                " manifest, or read it at run time."
            )
    texts = (value for value in walk(list(needed.values())) if isinstance(value, str))
    if any(place in text for text in texts for place in _FROM_ELSEWHERE):
        report.notice(
            f"{function} has a dynamic reference ({{{{resolve:...}}}}): a change of what it names"
            " alone publishes no version. Name a version of it, or read it at run time."
        )


def _mark(needed: Mapping[str, Any], index: int, inputs: tuple[str, ...]) -> list[Any]:
    """The end of a description, as parts to join."""
    described = {
        name: definition.get("Default") if name.startswith("Parameters.") else definition
        for name, definition in needed.items()
    }
    digest = fingerprint(described)
    if not inputs:
        return [f"[tidegate {digest}]"]
    selected = {"Fn::Select": [index, {"Ref": CONFIGURATIONS_PARAMETER}]}
    return [f"[tidegate {digest} ", selected, "]"]


def _describe(template: Template, logical_id: str, function: str, mark: list[Any]) -> None:
    """Mark a description; a version that has none takes the function's, as in Lambda."""
    of_function = template["Resources"][function].get("Properties", {}).get("Description", "")
    properties = template["Resources"][logical_id].setdefault("Properties", {})
    properties["Description"] = _joined(properties.get("Description", of_function), mark)


def _joined(theirs: Any, mark: list[Any]) -> Any:
    """A description, marked; what is too long for both is cut."""
    if isinstance(theirs, str):
        room = _LONGEST - sum(len(p) if isinstance(p, str) else FINGERPRINT_LENGTH for p in mark)
        begin = f"{theirs} " if theirs else ""
        begin = begin if len(begin) <= room else f"{begin[: room - 2]}… "
        parts = [begin + mark[0], *mark[1:]]
    else:
        parts = [_without_no_value(theirs), " " + mark[0], *mark[1:]]
    return parts[0] if len(parts) == 1 else {"Fn::Join": ["", parts]}


def _without_no_value(value: Any) -> Any:
    """No value at all cannot be joined to anything; an empty text can."""
    if value == _NO_VALUE:
        return ""
    if isinstance(value, list):
        return [_without_no_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_no_value(item) for key, item in value.items()}
    return value


def _tell(alias: ManagedAlias, report: Report) -> None:
    report.change(
        alias.function, "its description ends with a fingerprint of code and configuration"
    )
    report.change(
        alias.version_logical_id,
        "its description ends with the same fingerprint: a change of code or configuration"
        " publishes a version",
    )
