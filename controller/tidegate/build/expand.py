"""Expands a SAM template and takes its live aliases over from CloudFormation and CodeDeploy.

SAM reads a template's parameters at their defaults where it must know a value (an alias's name,
say). Everywhere else references stay references, also those to the region and the partition, so
that one expansion serves every account and region.

What differs from SAM's own expansion:

- a managed alias takes its version from a parameter, its *pin*, when that is not empty;
- versions behind managed aliases outlive their resource: a rollback needs them;
- CodeDeploy's resources, its update policies and the conditions that only they used are gone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import boto3
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tidegate.build.codedeploy import remove_codedeploy
from tidegate.build.package import BUCKET_PARAMETER
from tidegate.build.references import target_of
from tidegate.build.template import Template, walk
from tidegate.core.artifact import TemplateDefaults
from tidegate.core.errors import TemplateError
from tidegate.core.plan import ManagedAlias

_SAM: Final = "AWS::Serverless-2016-10-31"
_PIN: Final = "TidegatePinnedVersion"
_PINNED: Final = "TidegatePinned"
_UNRESOLVED: Final = "{{IntrinsicFunction:tidegate}}"  # SAM leaves a reference with such a value be
_MOST_PARAMETERS: Final = 200  # CloudFormation's limit
_SAM_REGION: Final = "us-east-1"  # gives the partition of AWS's managed policies


@dataclass(frozen=True, slots=True)
class Expansion:
    """A plain CloudFormation template, and what Tidegate must know of it."""

    template: Template
    aliases: tuple[ManagedAlias, ...]
    functions: tuple[str, ...]
    defaults: TemplateDefaults


def expand_template(template: Template, path: str = "template.yaml") -> Expansion:
    """Expand a template whose code is packaged. Raises ``TemplateError``."""
    expanded = _transform(template, path)
    _add(expanded, "Parameters", BUCKET_PARAMETER, path, {
        "Type": "String",
        "Description": "Bucket of the code packages. Set by Tidegate.",
    })  # fmt: skip
    defaults = remove_codedeploy(expanded, path)
    if not defaults.strategy and _shifting_is_off(template):
        defaults = defaults.model_copy(update={"enabled": False})
    aliases = tuple(_find_aliases(expanded, path))
    for alias in aliases:
        _pin(expanded, alias, path)
    if len(expanded["Parameters"]) > _MOST_PARAMETERS:
        raise TemplateError(
            f"{path}: with a pin for each of {len(aliases)} aliases the template has"
            f" {len(expanded['Parameters'])} parameters; CloudFormation allows {_MOST_PARAMETERS}.",
            mend="Split the application.",
        )
    return Expansion(
        expanded, aliases, tuple(_of_type(expanded, "AWS::Lambda::Function")), defaults
    )


def _transform(template: Template, path: str) -> Template:
    """The template without the SAM transform; other macros stay for CloudFormation to run."""
    macros = template.get("Transform", [])
    macros = macros if isinstance(macros, list) else [macros]
    if _SAM not in macros:
        return copy.deepcopy(template)
    expanded = _run_sam(copy.deepcopy(template), path)
    if others := [macro for macro in macros if macro != _SAM]:
        expanded["Transform"] = others
    return expanded


def _run_sam(template: Template, path: str) -> Template:
    translator = Translator(
        managed_policy_map=None,
        sam_parser=Parser(),
        boto_session=boto3.Session(region_name=_SAM_REGION),
    )
    unresolved = {"AWS::Region": _UNRESOLVED, "AWS::Partition": _UNRESOLVED}
    try:
        expanded: Template = translator.translate(template, unresolved, passthrough_metadata=True)
    except InvalidDocumentException as error:
        raise TemplateError(
            f"{path}: SAM cannot expand the template: {_causes(error)}",
            mend="Run `sam validate --lint` to see it in place.",
        ) from error
    except ExceptionWithMessage as error:
        raise TemplateError(f"{path}: SAM cannot expand the template: {error.message}") from error
    return expanded


def _causes(error: InvalidDocumentException) -> str:
    return " ".join(sorted(cause.message for cause in error.causes))


def _shifting_is_off(template: Template) -> bool:
    """Some `DeploymentPreference` says ``Enabled: false``."""
    preferences = (
        part["DeploymentPreference"]
        for part in walk(template)
        if isinstance(part, dict) and isinstance(part.get("DeploymentPreference"), dict)
    )
    return any(p.get("Enabled") in {False, "false", "False"} for p in preferences)


def _find_aliases(template: Template, path: str) -> Iterator[ManagedAlias]:
    """The aliases whose version is published by the template itself."""
    versions = set(_of_type(template, "AWS::Lambda::Version"))
    for logical_id in _of_type(template, "AWS::Lambda::Alias"):
        properties = template["Resources"][logical_id].get("Properties", {})
        version = target_of(properties.get("FunctionVersion"))
        if version not in versions:
            continue  # nothing that a release moves
        if "RoutingConfig" in properties:
            raise TemplateError(
                f"{path}: {logical_id}.RoutingConfig gives weights, which a release sets.",
                mend="Remove it.",
            )
        yield ManagedAlias(
            function=_function(template, logical_id, properties.get("FunctionName"), path),
            alias=_alias_name(template, logical_id, properties.get("Name"), path),
            alias_logical_id=logical_id,
            version_logical_id=version,
            pin_parameter=f"{_PIN}{logical_id}",
        )


def _of_type(template: Template, resource_type: str) -> list[str]:
    return sorted(id_ for id_, r in template["Resources"].items() if r.get("Type") == resource_type)


def _function(template: Template, alias: str, name: Any, path: str) -> str:
    """The logical id of the function that the alias belongs to."""
    functions = _of_type(template, "AWS::Lambda::Function")
    if (target := target_of(name)) in functions:
        return target
    for logical_id in functions:
        properties = template["Resources"][logical_id].get("Properties", {})
        if name is not None and properties.get("FunctionName") == name:
            return logical_id
    raise TemplateError(
        f"{path}: {alias}.FunctionName is {name!r}, which is no function of this template.",
        mend="Use `!Ref` with the function's logical id.",
    )


def _alias_name(template: Template, alias: str, name: Any, path: str) -> str:
    """The alias's name; a parameter stands for its default."""
    if isinstance(name, str):
        return name
    default = template["Parameters"].get(target_of(name), {}).get("Default")
    if not isinstance(default, str):
        raise TemplateError(
            f"{path}: {alias}.Name is {name!r}, and a release must know the alias's name.",
            mend="Write the name out, or use a parameter with a default.",
        )
    return default


def _pin(template: Template, alias: ManagedAlias, path: str) -> None:
    """Let a parameter keep the alias where it is while its version is being published."""
    condition = f"{_PINNED}{alias.alias_logical_id}"
    _add(template, "Parameters", alias.pin_parameter, path, {
        "Type": "String",
        "Default": "",
        "Description": f"Version that {alias.alias_logical_id} stays on. Set by Tidegate.",
    })  # fmt: skip
    is_empty = {"Fn::Equals": [{"Ref": alias.pin_parameter}, ""]}
    _add(template, "Conditions", condition, path, {"Fn::Not": [is_empty]})
    properties = template["Resources"][alias.alias_logical_id]["Properties"]
    properties["FunctionVersion"] = {
        "Fn::If": [condition, {"Ref": alias.pin_parameter}, properties["FunctionVersion"]]
    }
    version = template["Resources"][alias.version_logical_id]
    version["DeletionPolicy"] = version["UpdateReplacePolicy"] = "Retain"


def _add(template: Template, section: str, name: str, path: str, value: Template) -> None:
    if name in template.setdefault(section, {}):
        raise TemplateError(
            f"{path}: {section}.{name} is a name that Tidegate needs.", mend="Rename yours."
        )
    template[section][name] = value
