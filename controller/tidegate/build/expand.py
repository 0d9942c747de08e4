"""Expands a SAM template and takes its live aliases over from CloudFormation and CodeDeploy.

What differs from SAM's own expansion:

- parameters, region and partition stay references: one expansion serves every stage;
- packages are taken in the S3 version that a parameter names;
- a managed alias takes its version from a parameter, its *pin*, when that is not empty;
- versions behind managed aliases outlive their resource: a rollback needs them;
- provisioned concurrency is taken off aliases and versions: a release allocates it;
- functions and versions behind managed aliases are described by a fingerprint of code and
  configuration: a change of either publishes a version;
- roles without a permissions boundary get the one that every target account has;
- CodeDeploy's resources, its update policies and the conditions that only they used are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidegate.build.boundary import bound_roles
from tidegate.build.capacity import find_capacity, notice_small_reserves, take_capacity
from tidegate.build.codedeploy import CodeDeploy
from tidegate.build.configuration import publish_configuration
from tidegate.build.limits import notice_limits
from tidegate.build.package import BUCKET_PARAMETER
from tidegate.build.pins import find_aliases, pin
from tidegate.build.references import references
from tidegate.build.report import Report
from tidegate.build.sam import alias_names, shifting_is_off, transform
from tidegate.build.sam_values import give_known_values
from tidegate.build.template import Template, add, of_type, shown
from tidegate.core.errors import TemplateError
from tidegate.core.model.artifact import PACKAGE_VERSION_PARAMETER, TemplateDefaults
from tidegate.core.model.plan import ManagedAlias
from tidegate.core.template.values import Values

_MOST_PARAMETERS: Final = 200  # CloudFormation's limit


@dataclass(frozen=True, slots=True)
class Setting:
    """A stage, as far as a template can depend on it."""

    stage: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    decided: frozenset[str] = frozenset()
    """Fields of ``TemplateDefaults`` that the manifest says, whether or not the template can."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """A plain CloudFormation template, and what Tidegate must know of it."""

    template: Template
    aliases: tuple[ManagedAlias, ...]
    functions: tuple[str, ...]
    defaults: Mapping[str, TemplateDefaults]
    """What ``DeploymentPreference`` and ``ProvisionedConcurrencyConfig`` say, by stage."""
    report: Report


def expand_template(
    template: Template, path: str = "template.yaml", settings: Sequence[Setting] = (Setting(),)
) -> Expansion:
    """Expand a template whose code is packaged. Raises ``TemplateError``."""
    report = Report()
    by_stage = {setting.stage: setting.parameters for setting in settings}
    template = give_known_values(template, path, by_stage)
    _refuse_changing_aliases(template, path, settings)
    defaults = {setting.stage: _defaults(template, path, setting) for setting in settings}
    expanded = transform(template, path)
    add(expanded, "Parameters", BUCKET_PARAMETER, path, {
        "Type": "String",
        "Description": "Bucket of the code packages. Set by Tidegate.",
    })  # fmt: skip
    for name in sorted({*filter(_is_package_version, references(expanded["Resources"]))}):
        add(expanded, "Parameters", name, path, {
            "Type": "String",
            "MinLength": 1,
            "Description": "S3 version of a code package. Set by Tidegate.",
        })  # fmt: skip
    CodeDeploy(expanded, path).remove(report)
    aliases = tuple(find_aliases(expanded, path, report))
    for stage in defaults.values():
        notice_small_reserves(expanded, stage.provisioned, report)
    aliases = take_capacity(expanded, aliases, path, report)
    aliases = publish_configuration(expanded, aliases, path, report)
    for alias in aliases:
        pin(expanded, alias, path, report)
    bound_roles(expanded, report)
    notice_limits(expanded, report)
    if len(expanded["Parameters"]) > _MOST_PARAMETERS:
        raise TemplateError(
            f"{path}: with a pin for each of {len(aliases)} aliases and the version of each package"
            f" the template has {len(expanded['Parameters'])} parameters; CloudFormation allows"
            f" {_MOST_PARAMETERS}.",
            remedy="Split the application.",
        )
    functions = tuple(of_type(expanded, "AWS::Lambda::Function"))
    return Expansion(expanded, aliases, functions, defaults, report)


def _is_package_version(name: str) -> bool:
    return name.startswith(PACKAGE_VERSION_PARAMETER)


def _refuse_changing_aliases(template: Template, path: str, settings: Sequence[Setting]) -> None:
    """One expansion serves every stage, so an alias has the same name in all of them."""
    by_default = alias_names(template, {})
    for setting in settings:
        for function, name in alias_names(template, setting.parameters).items():
            if name != by_default[function]:
                said = [shown(name) if name else "none" for name in (by_default[function], name)]
                raise TemplateError(
                    f"{path}: {function}.AutoPublishAlias is {said[0]} by default and {said[1]} in"
                    f" the stage {setting.stage}, and a release knows one name for all stages.",
                    remedy="Write the name out, or give the parameter the same value everywhere.",
                )


def _defaults(template: Template, path: str, setting: Setting) -> TemplateDefaults:
    """What the template says of releases in this stage."""
    values = Values(template, setting.parameters)
    expanded = transform(template, path, setting.parameters)
    absent = _absent(expanded, values)
    codedeploy = CodeDeploy(expanded, path, absent, setting.parameters)
    defaults = codedeploy.defaults(setting.decided, setting.stage)
    off = not codedeploy.shifts and shifting_is_off(template, setting.parameters)
    provisioned = tuple(find_capacity(expanded, values, path, absent))
    return defaults.model_copy(update={"enabled": not off, "provisioned": provisioned})


def _absent(template: Template, values: Values) -> frozenset[str]:
    """The resources whose condition does not hold."""
    conditions = {id_: resource.get("Condition") for id_, resource in template["Resources"].items()}
    return frozenset(
        logical_id
        for logical_id, condition in conditions.items()
        if isinstance(condition, str) and values.holds(condition) is False
    )
