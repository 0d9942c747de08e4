"""Runs the SAM transform as a build must: once, for every account, region and stage.

References to parameters, to the region and to the partition stay references, where SAM would put in
the values of the one stack that it is asked to expand for. The few properties from which SAM makes
names and decisions take a parameter's default.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import boto3
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tidegate.build.template import Template, walk
from tidegate.core.errors import TemplateError

_SAM: Final = "AWS::Serverless-2016-10-31"
_UNRESOLVED: Final = "{{IntrinsicFunction:tidegate}}"  # SAM leaves a reference with such a value be
_REGION: Final = "us-east-1"  # gives the partition of AWS's managed policies
_PREFERENCE: Final = "DeploymentPreference"
_DECIDED_NOW: Final = {
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "VersionDeletionPolicy",
}
_PREFERENCE_DECIDED_NOW: Final = {"Type", "Enabled", "PassthroughCondition"}


def transform(template: Template, path: str) -> Template:
    """The template without the SAM transform; other macros stay for CloudFormation to run.

    Raises ``TemplateError``.
    """
    macros = template.get("Transform", [])
    macros = macros if isinstance(macros, list) else [macros]
    template = settle(template)
    if _SAM not in macros:
        return template
    expanded = _expand(template, path)
    if others := [macro for macro in macros if macro != _SAM]:
        expanded["Transform"] = others
    return expanded


def settle(template: Template) -> Template:
    """A copy in which the properties that a build decides on have their parameters' defaults."""
    settled = copy.deepcopy(template)
    defaults = _defaults(settled)
    for part in walk(settled):
        if isinstance(part, dict):
            _settle(part, _DECIDED_NOW, defaults)
            if isinstance(preference := part.get(_PREFERENCE), dict):
                _settle(preference, _PREFERENCE_DECIDED_NOW, defaults)
    return settled


def shifting_is_off(template: Template) -> bool:
    """Some ``DeploymentPreference`` says ``Enabled: false``."""
    preferences = (
        part[_PREFERENCE]
        for part in walk(settle(template))
        if isinstance(part, dict) and isinstance(part.get(_PREFERENCE), dict)
    )
    return any(p.get("Enabled") in (False, "false", "False") for p in preferences)


def _expand(template: Template, path: str) -> Template:
    unresolved = dict.fromkeys(template.get("Parameters") or {}, _UNRESOLVED)
    try:
        return _translate(copy.deepcopy(template), unresolved)
    except ExceptionWithMessage as error:
        if _depends_on_parameters(template):
            raise TemplateError(
                f"{path}: SAM must know the value of a parameter to expand the template, and"
                f" stages differ in it: {_causes(error)}",
                mend="Write the value out in that property.",
            ) from error
        raise TemplateError(
            f"{path}: SAM cannot expand the template: {_causes(error)}",
            mend="Run `sam validate --lint` to see it in place.",
        ) from error


def _depends_on_parameters(template: Template) -> bool:
    """SAM can expand the template once its parameters have their defaults."""
    try:
        _translate(copy.deepcopy(template), {})
    except ExceptionWithMessage:
        return False
    return True


def _translate(template: Template, parameters: Mapping[str, Any]) -> Template:
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name=_REGION))
    pseudo = dict.fromkeys(("AWS::Region", "AWS::Partition"), _UNRESOLVED)
    expanded: Template = translator.translate(
        template, {**parameters, **pseudo}, passthrough_metadata=True
    )
    return expanded


def _causes(error: ExceptionWithMessage) -> str:
    if isinstance(error, InvalidDocumentException):
        return " ".join(sorted(cause.message for cause in error.causes))
    return str(error.message)


def _defaults(template: Template) -> dict[str, Any]:
    parameters = template.get("Parameters") or {}
    return {name: p["Default"] for name, p in parameters.items() if "Default" in p}


def _settle(part: dict[str, Any], keys: set[str], defaults: Mapping[str, Any]) -> None:
    for key in keys & part.keys():
        part[key] = _resolved(part[key], defaults)


def _resolved(value: Any, defaults: Mapping[str, Any]) -> Any:
    """The value with references to parameters replaced by their defaults."""
    if isinstance(value, list):
        return [_resolved(item, defaults) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(name := value.get("Ref"), str) and name in defaults:
        return defaults[name]
    return {key: _resolved(item, defaults) for key, item in value.items()}
