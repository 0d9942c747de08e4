"""Writes a stand-in for Lambda's Python base image to standard output, as the tar of a root.

It is made of what this machine has, so it needs neither an image registry nor a mirror: the
interpreter that runs this script, AWS's runtime interface client with boto3, a shell, and the
shared libraries that these ask for. `docker import` takes it. Linux only.

Usage: python base_image.py | docker import - public.ecr.aws/lambda/python:3.11-x86_64
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from tidegate_embedded.lambdas.packages import RUNTIME_PACKAGES

LANG = PurePosixPath("/var/lang")
"""Where Lambda's own images have the interpreter."""
RUNTIME = PurePosixPath("/var/runtime")
TOOLS = ("sh", "mv", "chmod", "mkdir", "cat")  # what `sam local` runs when it adds its emulator
LEFT_OUT = {"ensurepip", "idlelib", "site-packages", "test", "tkinter", "turtledemo"}
BOOTSTRAP = f"""#!/bin/sh
export PYTHONPATH="/var/task:/opt/python:{RUNTIME}"
cd /var/task
exec {LANG}/bin/python3 -m awslambdaric "$_HANDLER"
"""
"""What the emulator starts, as in Lambda's own images."""


class Root:
    """The tar of a root file system, in the making."""

    def __init__(self, target: tarfile.TarFile) -> None:
        self._target = target
        self._added: set[str] = set()

    def file(self, source: Path, path: PurePosixPath) -> None:
        """Add a file, what its links point to instead of the links; the first of a path stays."""
        if self._new(path):
            self._target.add(source.resolve(), str(path).lstrip("/"), recursive=False)

    def text(self, content: str, path: PurePosixPath, mode: int = 0o644) -> None:
        """Add a file with this content."""
        if self._new(path):
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.size, entry.mode = len(content.encode()), mode
            self._target.addfile(entry, io.BytesIO(content.encode()))

    def folder(self, path: PurePosixPath, mode: int = 0o755) -> None:
        """Add an empty folder."""
        if self._new(path):
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self._target.addfile(entry)

    def tree(self, source: Path, path: PurePosixPath) -> list[Path]:
        """Add a folder with all in it; gives its binaries."""
        binaries = []
        for found in _walk(source):
            self.file(found, path / found.relative_to(source).as_posix())
            if found.suffix == ".so":
                binaries.append(found)
        return binaries

    def _new(self, path: PurePosixPath) -> bool:
        new = str(path) not in self._added
        self._added.add(str(path))
        return new


def add_interpreter(root: Root) -> list[Path]:
    """Add this interpreter and its library; gives what must find its shared libraries."""
    executable = Path(sys.executable).resolve()
    root.file(executable, LANG / "bin" / "python3")
    stdlib = Path(sysconfig.get_path("stdlib"))
    return [executable, *root.tree(stdlib, LANG / "lib" / stdlib.name)]


def add_runtime(root: Root) -> list[Path]:
    """Add the packages that Lambda's images ship; gives their binaries."""
    binaries = []
    for name in RUNTIME_PACKAGES:
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." in file.parts or not source.is_file():
                continue
            root.file(source, RUNTIME / file.as_posix())
            if source.suffix == ".so":
                binaries.append(source)
    return binaries


def add_tools(root: Root) -> list[Path]:
    """Add a shell and the few programs that are run while the image is built upon."""
    tools = [Path(found) for name in TOOLS if (found := shutil.which(name))]
    for tool in tools:
        root.file(tool, PurePosixPath("/bin") / tool.name)
    return tools


def add_libraries(root: Root, binaries: Iterable[Path]) -> None:
    """Add the shared libraries that the binaries load, each where this machine has it."""
    for binary in binaries:
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", listed):
            root.file(Path(path), PurePosixPath(path))


def main() -> None:
    """Write the root."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as target:
        root = Root(target)
        add_libraries(root, [*add_interpreter(root), *add_runtime(root), *add_tools(root)])
        root.text(BOOTSTRAP, RUNTIME / "bootstrap", 0o755)
        root.text("root:x:0:0::/:/bin/sh\n", PurePosixPath("/etc/passwd"))
        root.text("hosts: files dns\n", PurePosixPath("/etc/nsswitch.conf"))
        root.folder(PurePosixPath("/tmp"), 0o1777)
        root.folder(PurePosixPath("/var/task"))
        root.folder(PurePosixPath("/opt"))


def _walk(folder: Path) -> Iterator[Path]:
    for found in sorted(folder.iterdir()):
        if found.name in LEFT_OUT or found.match("_tkinter.*") or found.suffix == ".a":
            continue
        if found.is_dir():
            yield from _walk(found)
        elif found.is_file():
            yield found


if __name__ == "__main__":
    main()
