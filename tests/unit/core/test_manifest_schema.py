"""The published JSON Schema is the one of the code, and agrees with it on examples."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tidegate.core.errors import ManifestError
from tidegate.core.model.manifest import manifest_schema, parse_manifest

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"

HEAD = "version: 1\napplication: shop\nstages:\n  - name: test\n    account: '222222222222'\n"


def schema_accepts(text: str) -> bool:
    document: Any = YAML(typ="safe", pure=True).load(text)
    return bool(Draft202012Validator(manifest_schema()).is_valid(document))


def code_accepts(text: str) -> bool:
    try:
        parse_manifest(text)
    except ManifestError:
        return False
    return True


def test_the_published_schema_is_current() -> None:
    published = json.loads((REFERENCE / "tidegate.schema.json").read_text())
    assert published == manifest_schema(), "run `make schema`"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(manifest_schema())


@pytest.mark.parametrize("block", (REFERENCE / "manifest.md").read_text().split("```yaml\n")[1:])
def test_the_manifests_of_the_reference_are_accepted(block: str) -> None:
    text = block.partition("```")[0]
    if "version: 1" not in text:
        lines = "".join(f"    {line}\n" for line in text.splitlines())
        text = f"{HEAD}    regions: [eu-west-1]\n{lines}"
    parse_manifest(text)
    assert schema_accepts(text)


@pytest.mark.parametrize(
    "line",
    [
        "regions: [eu-west-1]\n    strategy: all-at-onec",
        "regions: [eu-west-1]\n    strategy: {canary: {weight: 10, bake: 5m}}",
        "regions: [eu-west-1]\n    strategy: {canary: {weight: 10%, bake: 5 minutes}}",
        "regions: [eu-west-1]\n    stragety: all-at-once",
        "regions: [Ireland]",
        "regions: []",
    ],
)
def test_an_editor_sees_what_the_code_refuses(line: str) -> None:
    text = f"{HEAD}    {line}\n"
    assert not code_accepts(text)
    assert not schema_accepts(text)
