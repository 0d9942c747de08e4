"""The Python of a build: has all that this interpreter has, and keeps what a build installs."""

import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

_PIP: Final = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'


def make_toolchain(directory: Path) -> Path:
    """Make a virtual environment on top of this interpreter's; return its folder of commands.

    A container of CodeBuild is thrown away after the build, and so is this: `pip install` in a
    build changes nothing of ours.
    """
    venv.create(directory, symlinks=True, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ours = sysconfig.get_paths()["purelib"]
    overlay = directory / "lib" / version / "site-packages" / "of_the_host.pth"
    overlay.write_text(f"import site; site.addsitedir({ours!r})\n")
    commands = directory / "bin"
    for name in ("pip", "pip3"):
        (commands / name).write_text(_PIP)
        (commands / name).chmod(0o755)
    return commands
