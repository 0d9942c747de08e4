"""Applications on disk, and what the tests of the build do with them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tidegate.build.expand import Expansion

TEMPLATES = Path(__file__).parents[2] / "templates"
CODE = {
    "plain": ["greeter/app.py"],
    "codedeploy": ["code/app.py", "reports/app.py"],
    "handwritten": ["worker/app.py"],
    "layers": ["shared/python/shared.py", "single.py", "flow.asl.yaml"],
}
MANIFEST = """
version: 1
application: shop
stages:
  - {name: prod, account: "111111111111", regions: [eu-west-1]}
"""

MakeApplication = Callable[..., Path]
Expand = Callable[..., Expansion]


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write these files below the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
