"""Parameters whose values must not stand in clear text, because what is kept shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.core.errors import InputError
from tidegate.core.model.manifest import Manifest
from tidegate.core.text.yaml_document import dotted

_ECHOED: Final = {"", "false", "no", "off", "n"}  # also as YAML 1.1 writes it
_DYNAMIC_REFERENCE: Final = re.compile(r"\{\{resolve:[^{}]+\}\}")
_SOUNDS_SECRET: Final = re.compile(
    r"(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)$",
    re.IGNORECASE,
)
_FROM_PARAMETER_STORE: Final = "AWS::SSM::Parameter::"


def is_not_echoed(declaration: Mapping[str, Any]) -> bool:
    """Whether a template declares this parameter with ``NoEcho``."""
    return str(declaration.get("NoEcho", "")).lower() not in _ECHOED


def refuse_secrets(template: Mapping[str, Any], manifest: Manifest) -> None:
    """What CloudFormation does not echo is in no manifest: artifact and record keep what it says.

    Raises ``InputError``, which does not name the value.
    """
    for place, stage, name, declaration in _clear(template, manifest):
        if is_not_echoed(declaration):
            raise InputError(
                f"tidegate.yaml: {place}: the template declares {name} with NoEcho, and what a"
                f" manifest says of stage {stage} is kept in the artifact and in the record.",
                remedy="Give a dynamic reference, such as `{{resolve:secretsmanager:<name>}}`, or"
                " let the function read the secret by its name.",
            )


def perhaps_secrets(template: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    """A sentence for each parameter that is named like a secret and has a value in clear text."""
    for place, _, name, declaration in _clear(template, manifest):
        looked_up = str(declaration.get("Type", "")).startswith(_FROM_PARAMETER_STORE)
        if _SOUNDS_SECRET.search(name) and not looked_up:
            yield (
                f"{place} has a value in clear text, which the artifact and the record keep. If it"
                " is a secret, declare the parameter with NoEcho and give a dynamic reference:"
                " `{{resolve:secretsmanager:<name>}}`, or `{{resolve:ssm-secure:<name>}}` where the"
                " resource takes it."
            )


def _clear(
    template: Mapping[str, Any], manifest: Manifest
) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Place, stage, name and declaration of each parameter whose value stands in the manifest."""
    declared = template.get("Parameters") or {}
    for number, stage in enumerate(manifest.stages):
        for name, value in stage.parameters.items():
            if value and name in declared and not _DYNAMIC_REFERENCE.fullmatch(value):
                place = dotted(("stages", number, "parameters", name))
                yield place, stage.name, name, declared[name]
