"""What holds for every text that claims to be a manifest."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from core_values import json_values
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.errors import ManifestError
from tidegate.core.model.manifest import Manifest, parse_manifest
from tidegate.core.text.quantities import (
    LONGEST,
    read_duration,
    read_share,
    write_duration,
    write_share,
)

manifest_keys = st.sampled_from(
    [
        "version", "application", "template", "tests", "stages", "hooks", "name", "account",
        "regions", "waves", "strategy", "canary", "linear", "exponential", "steps", "weight",
        "bake", "checks", "errors", "alarms", "approval", "timeout", "pre_traffic", "function",
        "parameters", "commands", "every", "start", "factor", "up_to", "step", "on_first_failure",
    ]
)  # fmt: skip
manifest_values = st.sampled_from(
    [1, 0.1, True, None, "10%", "5m", "222222222222", "eu-west-1", "unit", "all-at-once", "canary"]
)
manifest_trees = st.recursive(
    manifest_values | json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(manifest_keys, inner, max_size=5),
    max_leaves=25,
)


def parses_or_explains(text: str) -> None:
    try:
        manifest = parse_manifest(text)
    except ManifestError as error:
        explained = error
    else:
        assert Manifest.model_validate(manifest.model_dump(mode="json")) == manifest
        return
    assert explained.message
    assert explained.line >= 0
    assert str(explained).startswith("tidegate.yaml")


@given(st.text() | st.text(alphabet="-:[]{}&*!|>'\"%@` \n\ta1#?,<.~=0x", max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_manifest_or_is_explained(text: str) -> None:
    parses_or_explains(text)


@given(manifest_trees)
@settings(max_examples=200)
def test_any_tree_is_a_manifest_or_is_explained(tree: Any) -> None:
    parses_or_explains(json.dumps(tree))


VALID: dict[str, Any] = {
    "version": 1,
    "application": "shop",
    "tests": [{"name": "unit", "commands": ["make"]}],
    "stages": [
        {
            "name": "prod",
            "account": "333333333333",
            "regions": ["eu-west-1"],
            "approval": {"timeout": "1h"},
            "strategy": {"steps": [{"weight": "5%", "bake": "1m"}]},
            "checks": {"errors": {"min_samples": 5}, "alarms": ["A"]},
            "hooks": {"pre_traffic": [{"function": "F"}]},
            "parameters": {"A": "b"},
        }
    ],
}


def places(tree: Any) -> list[list[Any]]:
    """The paths to every value inside a tree."""
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict | list):
        entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found: list[list[Any]] = []
    for key, value in entries:
        found += [[key], *([key, *rest] for rest in places(value))]
    return found


@given(st.sampled_from(places(VALID)), manifest_trees, st.none() | manifest_keys)
@settings(max_examples=200)
def test_one_slip_in_a_good_manifest_is_explained(
    path: list[Any], value: Any, renamed: str | None
) -> None:
    tree = json.loads(json.dumps(VALID))
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    if renamed and isinstance(parent, dict):
        parent[renamed] = parent.pop(path[-1])
    else:
        parent[path[-1]] = value
    parses_or_explains(json.dumps(tree, indent=1))


@given(st.integers(0, int(LONGEST.total_seconds())))
def test_a_duration_survives_being_written(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert read_duration(write_duration(duration)) == duration


@given(st.integers(0, 10**6))
def test_a_share_survives_being_written(millionths: int) -> None:
    share = millionths / 10**6
    assert read_share(write_share(share)) == pytest.approx(share, abs=1e-9)
