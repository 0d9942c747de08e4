"""`python -m tidegate.hooks FOLDER`: puts this library into a Lambda package, from where it is.

A build that has Tidegate needs no package index for its hooks, and gets the same version.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

_LIBRARY = Path(__file__).parent


def copy_library(folder: Path) -> None:
    """Put ``tidegate.hooks`` into the folder, and nothing else of Tidegate."""
    package = folder / "tidegate"
    package.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_LIBRARY.parent / "__init__.py", package / "__init__.py")
    shutil.copytree(
        _LIBRARY,
        package / "hooks",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "__main__.py"),
    )


def main() -> None:
    """Copy to the folder that the command names."""
    parser = argparse.ArgumentParser(
        prog="python -m tidegate.hooks",
        description="Put the library for validation hooks into a Lambda package.",
    )
    parser.add_argument("folder", type=Path, help="folder of the package, such as $(ARTIFACTS_DIR)")
    copy_library(parser.parse_args().folder)


if __name__ == "__main__":
    main()
