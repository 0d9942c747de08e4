"""The example application, good and broken, at a Lambda endpoint of this machine.

The variable ENDPOINT says which: `local` (without containers; the default), `sam`, or `auto` for
`sam` when a container engine answers.
"""

from __future__ import annotations

import copy
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_dump, yaml_parse

from tidegate_embedded.endpoint.start import Choice, Endpoint, choose, running

CHECKOUT = Path(__file__).parents[2]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
BUILD = CHECKOUT / "build" / f"integration{WORKER}"  # workers must not build over each other
BROKEN = Path(__file__).parent / "broken"
PARAMETERS = {"PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}"}


@functools.cache
def chosen() -> Choice:
    wanted = os.environ.get("ENDPOINT", "local")
    return choose("" if wanted == "auto" else wanted)


def pytest_report_header() -> str:
    choice = chosen()
    return f"Lambda endpoint: {choice.kind}, because {choice.why}"


@pytest.fixture(scope="session")
def built() -> Path:
    """What `sam build` made of the example application, and broken variants of its function."""
    sam_build(CHECKOUT / "functions" / "template.yaml", BUILD)
    template = yaml_parse((BUILD / "template.yaml").read_text())
    for source in sorted(BROKEN.glob("*.py")):
        name = source.stem.title().replace("_", "")
        shutil.copytree(BUILD / "HelloFunction", BUILD / name)
        shutil.copy(source, BUILD / name / "app.py")
        resource = copy.deepcopy(template["Resources"]["HelloFunction"])
        resource["Properties"]["CodeUri"] = name
        resource["Metadata"]["SamResourceId"] = name
        template["Resources"][name] = resource
    (BUILD / "template.yaml").write_text(yaml_dump(template))
    return BUILD


@pytest.fixture(scope="session")
def endpoint(built: Path) -> Iterator[Endpoint]:
    """The endpoint that serves them all."""
    with running(chosen(), built, PARAMETERS) as started:
        yield started


def sam_build(template: Path, folder: Path) -> None:
    command = [Path(sys.executable).with_name("sam"), "build", "--template", template]
    command += ["--build-dir", folder, "--parameter-overrides"]
    command += [f"{name}={value}" for name, value in PARAMETERS.items()]
    variables = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    built = subprocess.run(
        command, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
