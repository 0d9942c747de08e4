"""Every template of `tests/templates` is taken over, and stays what SAM makes of it otherwise."""

import pytest
from sam_expansion import comparable, differing, sam

from support.applications import NAMES, MakeApplication
from tidegate.build.artifact import build_artifact
from tidegate.build.expand import Expansion, expand_template
from tidegate.build.loops import expand_loops
from tidegate.build.package import PackageStore, package_code
from tidegate.build.template import Template, read_template


@pytest.fixture(params=NAMES)
def packaged(
    request: pytest.FixtureRequest, application: MakeApplication, store: PackageStore
) -> Template:
    """One of the templates, its code packaged."""
    folder = application(request.param)
    template = expand_loops(read_template(folder / "template.yaml"))
    package_code(template, folder / "template.yaml", store)
    return template


@pytest.fixture
def expansion(packaged: Template) -> Expansion:
    return expand_template(packaged)


def test_there_are_enough_templates() -> None:
    assert len(NAMES) >= 15


def test_is_sams_expansion_but_for_pins_fingerprints_boundaries_and_codedeploy(
    packaged: Template, expansion: Expansion
) -> None:
    removed = set(expansion.report.removed)

    theirs, ours = sam(packaged), expansion.template

    assert comparable(ours, removed) == comparable(theirs, removed)


def test_reports_every_resource_that_it_changes(packaged: Template, expansion: Expansion) -> None:
    reported = expansion.report.changed.keys() | expansion.report.removed.keys()

    assert differing(expansion, sam(packaged)) == reported


def test_holds_and_describes_every_alias_that_it_manages(expansion: Expansion) -> None:
    resources = expansion.template["Resources"]
    assert expansion.aliases
    for alias in expansion.aliases:
        version = resources[alias.version_logical_id]
        assert {version["DeletionPolicy"], version["UpdateReplacePolicy"]} == {"Retain"}
        assert "tidegate " in str(version["Properties"]["Description"])
        assert "tidegate " in str(resources[alias.function]["Properties"]["Description"])
        assert "Fn::If" in resources[alias.alias_logical_id]["Properties"]["FunctionVersion"]


@pytest.mark.parametrize("name", NAMES)
def test_builds_the_same_artifact_again(name: str, application: MakeApplication) -> None:
    one, two = application(name, at="one"), application(name, at="two")

    assert build_artifact(one).digest == build_artifact(two).digest
