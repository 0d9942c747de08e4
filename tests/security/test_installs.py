"""A package index, or whoever stands between, gets no code of theirs into builds and tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tidegate.build.template import read_template
from tidegate.cli.scaffold import Place, scaffold

ROOT = Path(__file__).parents[2]
LOCKS = [
    "controller/requirements.txt",
    "controller/requirements-guardian.txt",
    "controller/tidegate/cli/requirements-release.txt",
    "functions/requirements/build.txt",
    "functions/requirements/test.txt",
    "requirements/dev.txt",
]
INSTALL = re.compile(r"\bpip3? install\b(.*)")
LOCKED = re.compile(r" --require-hashes (?:--requirement|-r) (\S+\.txt)$")
OURS = ' --require-hashes --no-deps "$TIDEGATE_PACKAGE"'

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: a
      Handler: index.a
      Runtime: python3.12
"""


def commands(text: str) -> Iterator[str]:
    """Every command of a manifest or a buildspec."""
    document = YAML(typ="safe").load(text)
    for test in document.get("tests", []):
        yield from test["commands"]
    for phase in document.get("phases", {}).values():
        yield from phase["commands"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """What `tidegate init` writes."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    place = Place("prod", "111111111111", "eu-west-1")
    for path, text in scaffold(tmp_path, Path("template.yaml"), "shop", [place]).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def installs(folder: Path, name: str) -> list[str]:
    """What follows each `pip install`."""
    found = [INSTALL.search(one) for one in commands((folder / name).read_text())]
    return [one[1] for one in found if one]


def check(folder: Path, name: str) -> None:
    listed = installs(folder, name)
    assert listed
    for one in listed:
        locked = LOCKED.search(one)
        assert one.endswith(OURS) or (locked and (folder / locked[1]).is_file()), one


@pytest.mark.parametrize("name", ["tidegate.yaml", "buildspec.yml"])
def test_the_example_installs_nothing_without_its_digest(name: str) -> None:
    check(ROOT, name)


def test_what_init_writes_installs_nothing_without_its_digest(written: Path) -> None:
    check(written, "tidegate.yaml")


def test_the_install_guide_shows_no_other_way() -> None:
    lines = (ROOT / "docs/install.md").read_text().splitlines()
    shown = [line for line in lines if INSTALL.search(line) and "`" not in line]
    in_a_build = [line for line in shown if "/path/to/the/checkout" not in line]
    assert in_a_build
    for one in in_a_build:
        assert one.endswith((OURS, "-r tests/requirements-release.txt")), one


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_digests(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [one for one in text.splitlines() if one and not one.lstrip().startswith("#")]
    assert lines
    for one in lines:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", one), one


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_installed_elsewhere_is_what_the_tests_run_on(name: str) -> None:
    def pins(path: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / path).read_text(), re.MULTILINE))

    assert pins(name) - pins("requirements/dev.txt") == set()


def evil_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel of this name and version, with the attacker's code."""
    folder.mkdir(exist_ok=True)
    distribution = name.replace("-", "_")
    path = folder / f"{distribution}-{version}-py3-none-any.whl"
    info = f"{distribution}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil.py", "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def run(command: str, folder: Path, index: Path, target: Path, **variables: str) -> str:
    """What pip says when it installs from what the attacker serves; it must not succeed."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m pip install{command}"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(index),
            "PIP_TARGET": str(target),
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert not (target / "evil.py").exists()
    return done.stderr


@pytest.mark.parametrize("name", ["tidegate.yaml", "buildspec.yml", "init"])
def test_no_package_of_the_same_name_and_version_is_installed(
    name: str, written: Path, tmp_path: Path
) -> None:
    folder, file = (written, "tidegate.yaml") if name == "init" else (ROOT, name)
    command = next(one for one in installs(folder, file) if LOCKED.search(one))
    locked = LOCKED.search(command)
    assert locked
    index = tmp_path / "index"
    for pinned in re.findall(
        r"^([\w.-]+)==([\w.]+)", (folder / locked[1]).read_text(), re.MULTILINE
    ):
        evil_wheel(index, *pinned)

    said = run(command, folder, index, tmp_path / "target")

    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in said


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ("", "Hashes are required in --require-hashes mode"),
        (f"#sha256={'0' * 64}", "DO NOT MATCH THE HASHES"),
    ],
)
def test_no_tidegate_is_installed_that_its_administrator_has_not_named_by_digest(
    digest: str, said: str, tmp_path: Path
) -> None:
    wheel = evil_wheel(tmp_path / "index", "tidegate", "0.1.0")
    command = next(one for one in installs(ROOT, "buildspec.yml") if one.endswith(OURS))
    package = f"tidegate[build] @ {wheel.as_uri()}{digest}"

    answer = run(command, ROOT, tmp_path / "index", tmp_path / "target", TIDEGATE_PACKAGE=package)

    assert said in answer


@pytest.mark.parametrize("digest", ["", f"#sha256={'0' * 64}"])
def test_a_pipeline_takes_the_digest_that_its_builds_demand(digest: str) -> None:
    parameters = read_template(ROOT / "pipeline/template.yaml")["Parameters"]
    address = f"tidegate[build] @ https://packages.acme.example/tidegate-0.1.0.whl{digest}"
    assert re.search(parameters["TidegatePackage"]["AllowedPattern"], address)
