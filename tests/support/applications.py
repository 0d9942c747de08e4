"""Applications on disk, and what the tests of the build do with them."""

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tidegate.build.expand import Expansion

_ROOT = Path(__file__).parents[2]
TEMPLATES = _ROOT / "tests" / "templates"
NAMES = sorted(path.stem for path in TEMPLATES.iterdir())
CODE: Mapping[str, list[str]] = {
    "plain": ["greeter/app.py"],
    "codedeploy": ["code/app.py", "reports/app.py"],
    "handwritten": ["worker/app.py"],
    "handwritten_codedeploy": ["worker/app.py", "layer/python/shared.py"],
    "layers": ["shared/python/shared.py", "single.py", "flow.asl.yaml"],
    "globals": ["code/app.py", "layer/python/shared.py"],
    "own_configuration": ["code/app.py", "before/app.py", "after/app.py"],
    "parameters": ["greeter/app.py", "helper/app.py"],
    "stateful": ["code/app.py", "process.asl.yaml"],
    "unseen": ["worker/app.py"],
}
"""The local code of each template; those that are not here have `code/app.py`."""
MANIFEST = """
version: 1
application: shop
stages:
  - {name: prod, account: "111111111111", regions: [eu-west-1]}
"""
STATES = "StartAt: Done\nStates:\n  Done: {Type: Succeed}\n"

MakeApplication = Callable[..., Path]
Expand = Callable[..., Expansion]


def make_application(folder: Path, name: str) -> Path:
    """Write the application of one of the templates; its folder."""
    write(folder, {"tidegate.yaml": MANIFEST})
    for path in CODE.get(name, ["code/app.py"]):
        write(
            folder,
            {
                path: STATES
                if path.endswith(".asl.yaml")
                else f"def handler(event, context): return 1  # {path}\n"
            },
        )
    template = next(path for path in TEMPLATES.iterdir() if path.stem == name)
    write(folder, {"template.yaml": template.read_text()})  # JSON is YAML, too
    if name == "layers":
        with zipfile.ZipFile(folder / "zipped.zip", "w") as archive:
            archive.writestr("app.py", "# zipped\n")
    return folder


def copy_example(folder: Path) -> Path:
    """Put the example application into the folder, as its own repository has it."""
    for name in ("tidegate.yaml", "buildspec.yml"):
        shutil.copy(_ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / "functions", folder / "functions", ignore=ignored)
    return folder


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write these files below the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
