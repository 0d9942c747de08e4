"""Applications on disk, for tests of the build."""

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from support.applications import Expand, MakeApplication, make_application
from tidegate.build.expand import Expansion, Setting, expand_template
from tidegate.build.package import PackageStore, package_code
from tidegate.build.template import Template, read_template


@pytest.fixture
def application(tmp_path: Path) -> MakeApplication:
    """Makes an application of one of the templates of `tests/templates`."""
    return lambda name, *, at="app": make_application(tmp_path / at, name)


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "out" / "packages", "applications/shop/packages")


@pytest.fixture
def expand(application: MakeApplication, store: PackageStore) -> Expand:
    """Packages and expands one of the templates of `tests/templates` for a stage."""

    def expand(
        name: str,
        change: Callable[[Template], None] | None = None,
        decided: Collection[str] = (),
        **parameters: str,
    ) -> Expansion:
        folder = application(name)
        template = read_template(folder / "template.yaml")
        if change:
            change(template)
        package_code(template, folder / "template.yaml", store)
        setting = Setting("prod", {"Stage": "prod", **parameters}, frozenset(decided))
        return expand_template(template, settings=[setting])

    return expand
