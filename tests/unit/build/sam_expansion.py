"""SAM's own expansion, and Tidegate's with what it says it changed taken back."""

import copy
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tidegate.build.boundary import BOUNDARY
from tidegate.build.expand import Expansion
from tidegate.build.sam import settle

_KEPT = "{{IntrinsicFunction:x}}"  # SAM leaves a reference with such a value be
_WARMED = ("AWS::Lambda::Alias", "AWS::Lambda::Version")
_MARKED = ("AWS::Lambda::Function", "AWS::Lambda::Version")


def sam(template: dict[str, Any]) -> dict[str, Any]:
    """What SAM itself makes of the template; a plain one is what it is."""
    macros = template.get("Transform", [])
    settled = settle(template, {})
    if "AWS::Serverless-2016-10-31" not in (macros if isinstance(macros, list) else [macros]):
        return settled
    kept = dict.fromkeys(("AWS::Region", "AWS::Partition", *template.get("Parameters", {})), _KEPT)
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name="eu-west-1"))
    expanded: dict[str, Any] = translator.translate(settled, kept, passthrough_metadata=True)
    return expanded


def differing(expansion: Expansion, original: dict[str, Any]) -> set[str]:
    """The logical ids of the resources that are not as SAM makes them."""
    ours, theirs = expansion.template["Resources"], original["Resources"]
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


_ANSWER = "codedeploy:PutLifecycleEventHookExecutionStatus"


def comparable(template: dict[str, Any], removed: set[str]) -> dict[str, Any]:
    """A template without pins, fingerprints, CodeDeploy, boundaries, and what keeps versions.

    Or keeps them warm.
    """
    plain = copy.deepcopy(template)
    plain["Resources"] = {k: v for k, v in plain["Resources"].items() if k not in removed}
    for resource in plain["Resources"].values():
        resource.pop("UpdatePolicy", None)
        properties = resource.get("Properties", {})
        if properties.get("PermissionsBoundary") == {"Fn::Sub": BOUNDARY}:
            del properties["PermissionsBoundary"]
        policies = [p for p in properties.get("Policies", []) if not _answers_codedeploy(p)]
        if resource["Type"] == "AWS::IAM::Role" and "Policies" in properties:
            properties["Policies"] = policies
        if resource["Type"] in _MARKED:
            properties.pop("Description", None)
        if resource["Type"] in _WARMED:
            properties.pop("ProvisionedConcurrencyConfig", None)
        if resource["Type"] == "AWS::Lambda::Version":
            resource.pop("DeletionPolicy", None)
            resource.pop("UpdateReplacePolicy", None)
        version = properties.get("FunctionVersion")
        if isinstance(version, dict) and str(version.get("Fn::If", [""])[0]).startswith("Tidegate"):
            properties["FunctionVersion"] = version["Fn::If"][2]
    for section in ("Parameters", "Conditions"):
        entries = plain.pop(section, {}).items()
        plain[section] = {k: v for k, v in entries if not k.startswith("Tidegate")}
    plain["Conditions"].pop("ServerlessCodeDeployCondition", None)
    return {key: value for key, value in plain.items() if value and key != "Transform"}


def _answers_codedeploy(policy: dict[str, Any]) -> bool:
    """The only thing that it permits is to answer a deployment."""
    statements = policy["PolicyDocument"]["Statement"]
    return [s["Action"] for s in statements if isinstance(s, dict)] == [[_ANSWER]]
