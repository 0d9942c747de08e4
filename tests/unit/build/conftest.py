"""Applications on disk, for tests of the build."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from applications import CODE, MANIFEST, TEMPLATES, Expand, MakeApplication, write

from tidegate.build.expand import Expansion, expand_template
from tidegate.build.package import PackageStore, package_code
from tidegate.build.template import Template, read_template


@pytest.fixture
def application(tmp_path: Path) -> MakeApplication:
    """Makes an application of one of the templates of `tests/templates`."""

    def make(name: str, *, at: str = "app") -> Path:
        folder = tmp_path / at
        write(folder, {"tidegate.yaml": MANIFEST})
        write(folder, {path: f"# {path}\n" for path in CODE[name]})
        shutil.copyfile(TEMPLATES / f"{name}.yaml", folder / "template.yaml")
        if name == "layers":
            with zipfile.ZipFile(folder / "zipped.zip", "w") as archive:
                archive.writestr("app.py", "# zipped\n")
        return folder

    return make


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "out" / "packages", "applications/shop/packages")


@pytest.fixture
def expand(application: MakeApplication, store: PackageStore) -> Expand:
    """Packages and expands one of the templates of `tests/templates`."""

    def expand(name: str, change: Callable[[Template], None] | None = None) -> Expansion:
        folder = application(name)
        template = read_template(folder / "template.yaml")
        if change:
            change(template)
        package_code(template, folder / "template.yaml", store)
        return expand_template(template)

    return expand
