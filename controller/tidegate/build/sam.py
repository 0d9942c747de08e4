"""Runs the SAM transform as a build must: once, for every account, region and stage.

References to parameters, to the region and to the partition stay references, where SAM would put in
the values of the one stack that it is asked to expand for. The few properties from which the build
makes names and decisions take a parameter's value; what else SAM must know, ``sam_values`` finds.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tidegate.build.template import Template
from tidegate.core.errors import TemplateError
from tidegate.core.template.values import NO_VALUE, Values

SAM_TRANSFORM: Final = "AWS::Serverless-2016-10-31"
_UNRESOLVED: Final = "{{IntrinsicFunction:tidegate}}"  # SAM leaves a reference with such a value be
_REGION: Final = "us-east-1"  # gives the partition of AWS's managed policies
_FUNCTION: Final = "AWS::Serverless::Function"
_ALIAS: Final = "AutoPublishAlias"
_PREFERENCE: Final = "DeploymentPreference"
_DECIDED_NOW: Final = {
    _ALIAS,
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "VersionDeletionPolicy",
    _PREFERENCE,
}

logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)  # of its own metrics it warns


def transform(
    template: Template, path: str, parameters: Mapping[str, str] | None = None
) -> Template:
    """The template without the SAM transform; other macros stay for CloudFormation to run.

    ``parameters`` are a stage's, for what is decided now. Raises ``TemplateError``.
    """
    template = settle(template, parameters or {})
    if SAM_TRANSFORM not in macros(template):
        return template
    expanded = _expand(template, path)
    if others := [macro for macro in macros(template) if macro != SAM_TRANSFORM]:
        expanded["Transform"] = others
    return expanded


def macros(template: Template) -> list[Any]:
    """The transforms that the template asks for."""
    asked = template.get("Transform", [])
    return asked if isinstance(asked, list) else [asked]


def settle(template: Template, parameters: Mapping[str, str]) -> Template:
    """A copy in which the properties that a build decides on have their values in the stage."""
    settled = copy.deepcopy(template)
    values = Values(settled, parameters)
    for properties in _properties_of_functions(settled):
        for key in _DECIDED_NOW & properties.keys():
            properties[key] = values.resolve(properties[key])
            if properties[key] == NO_VALUE:
                del properties[key]
    return settled


def alias_names(template: Template, parameters: Mapping[str, str]) -> dict[str, Any]:
    """The ``AutoPublishAlias`` of each function in a stage with these parameters, by logical id."""
    settled = settle(template, parameters)
    shared = ((settled.get("Globals") or {}).get("Function") or {}).get(_ALIAS)
    return {
        logical_id: (resource.get("Properties") or {}).get(_ALIAS, shared)
        for logical_id, resource in settled["Resources"].items()
        if resource["Type"] == _FUNCTION
    }


def shifting_is_off(template: Template, parameters: Mapping[str, str]) -> bool:
    """Some ``DeploymentPreference`` says ``Enabled: false``: perhaps that of a hook alone."""
    preferences = (p.get(_PREFERENCE) for p in _properties_of_functions(template))
    values = Values(template, parameters)
    resolved = (values.resolve(preference) for preference in preferences)
    return any(
        isinstance(preference, dict) and str(preference.get("Enabled")).lower() == "false"
        for preference in resolved
    )


def _properties_of_functions(template: Template) -> Iterator[dict[str, Any]]:
    """The properties of each serverless function, and those that all of them share."""
    resources = template["Resources"].values()
    found = [r.get("Properties") for r in resources if r["Type"] == _FUNCTION]
    shared = (template.get("Globals") or {}).get("Function")
    yield from (properties for properties in (shared, *found) if isinstance(properties, dict))


@dataclass(frozen=True, slots=True)
class SamRefusal:
    """Why SAM does not expand a template, and the logical ids that it names."""

    cause: str
    resources: tuple[str, ...] = ()


def try_transform(template: Template) -> SamRefusal | None:
    """What SAM says against a settled template whose parameters it does not know; None: nothing."""
    try:
        _translate(template)
    except Exception as error:
        return _refusal(error)
    return None


def _expand(template: Template, path: str) -> Template:
    try:
        return _translate(template)
    except Exception as error:
        raise TemplateError(
            f"{path}: SAM cannot expand the template: {_refusal(error).cause}",
            remedy="Run `sam validate --lint` to see it in place.",
        ) from error


def _translate(template: Template) -> Template:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # below, it is about its own metrics
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name=_REGION))
    unresolved = ("AWS::Region", "AWS::Partition", *(template.get("Parameters") or {}))
    expanded: Template = translator.translate(
        copy.deepcopy(template), dict.fromkeys(unresolved, _UNRESOLVED), passthrough_metadata=True
    )
    return expanded


def _refusal(error: Exception) -> SamRefusal:
    """SAM's own words; on odd input, it raises nearly anything."""
    if isinstance(error, InvalidDocumentException):
        named = (getattr(cause, "_logical_id", "") for cause in error.causes)
        return SamRefusal(
            " ".join(sorted(cause.message for cause in error.causes)), tuple(filter(None, named))
        )
    if isinstance(error, ExceptionWithMessage):
        return SamRefusal(str(error.message))
    return SamRefusal(f"it fails on something in it ({type(error).__name__}: {error}).")
