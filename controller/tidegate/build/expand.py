"""Expands a SAM template and takes its live aliases over from CloudFormation and CodeDeploy.

What differs from SAM's own expansion:

- parameters, region and partition stay references: one expansion serves every stage;
- a managed alias takes its version from a parameter, its *pin*, when that is not empty;
- versions behind managed aliases outlive their resource: a rollback needs them;
- CodeDeploy's resources, its update policies and the conditions that only they used are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.build.codedeploy import remove_codedeploy
from tidegate.build.package import BUCKET_PARAMETER
from tidegate.build.pins import find_aliases, pin
from tidegate.build.sam import shifting_is_off, transform
from tidegate.build.template import Template, add, of_type
from tidegate.core.artifact import TemplateDefaults
from tidegate.core.errors import TemplateError
from tidegate.core.plan import ManagedAlias

_MOST_PARAMETERS: Final = 200  # CloudFormation's limit


@dataclass(frozen=True, slots=True)
class Expansion:
    """A plain CloudFormation template, and what Tidegate must know of it."""

    template: Template
    aliases: tuple[ManagedAlias, ...]
    functions: tuple[str, ...]
    defaults: TemplateDefaults


def expand_template(template: Template, path: str = "template.yaml") -> Expansion:
    """Expand a template whose code is packaged. Raises ``TemplateError``."""
    expanded = transform(template, path)
    add(expanded, "Parameters", BUCKET_PARAMETER, path, {
        "Type": "String",
        "Description": "Bucket of the code packages. Set by Tidegate.",
    })  # fmt: skip
    defaults = remove_codedeploy(expanded, path)
    if not defaults.strategy and shifting_is_off(template):
        defaults = defaults.model_copy(update={"enabled": False})
    aliases = tuple(find_aliases(expanded, path))
    for alias in aliases:
        pin(expanded, alias, path)
    if len(expanded["Parameters"]) > _MOST_PARAMETERS:
        raise TemplateError(
            f"{path}: with a pin for each of {len(aliases)} aliases the template has"
            f" {len(expanded['Parameters'])} parameters; CloudFormation allows {_MOST_PARAMETERS}.",
            mend="Split the application.",
        )
    return Expansion(expanded, aliases, tuple(of_type(expanded, "AWS::Lambda::Function")), defaults)
