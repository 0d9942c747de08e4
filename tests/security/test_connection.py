"""Whoever runs code in a pipeline's build gets at no other repository by its connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from support.own_templates import own_template

TEMPLATE = own_template("pipeline/template.yaml")["Resources"]
USES = [
    (name, statement)
    for name, resource in TEMPLATE.items()
    for policy in resource.get("Properties", {}).get("Policies", ())
    for statement in policy["PolicyDocument"]["Statement"]
    if "UseConnection" in str(statement["Action"])
]


def test_only_pipeline_and_build_use_it() -> None:
    assert {name for name, _ in USES} == {"PipelineRole", "BuildRole"}


@pytest.mark.parametrize(("role", "statement"), USES, ids=lambda of: str(of)[:60])
def test_no_other_repository_is_reached(role: str, statement: Mapping[str, Any]) -> None:
    service, _, action = statement["Action"].partition(":")
    assert action == "UseConnection", role
    assert statement["Resource"] == {"Ref": "ConnectionArn"}
    only = {f"{service}:FullRepositoryId": {"Ref": "FullRepositoryId"}}
    assert statement["Condition"] == {"ForAllValues:StringEquals": only}
