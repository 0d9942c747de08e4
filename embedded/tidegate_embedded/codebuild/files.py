"""Files of a build: unpacking its source, selecting and packing what it made."""

import io
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

from tidegate_embedded.codebuild.buildspec import Files


class FilesError(ValueError):
    """Files that a build was to take or give are not there."""


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack a zip archive, file modes included; refuse members that point outside the folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            for member in members.infolist():
                target = Path(members.extract(member, folder))
                mode = member.external_attr >> 16
                if stat.S_ISREG(mode):
                    target.chmod(stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)
    except zipfile.BadZipFile as error:
        raise FilesError(f"the source is not a zip archive: {error}") from error


def select(files: Files, root: Path, environment: Mapping[str, str]) -> list[tuple[str, Path]]:
    """The selected files as (name in the artifact, path), in order of name."""
    base = (root / _expand(files.base_directory, environment)).resolve()
    if not base.is_dir():
        raise FilesError(f"no matching base directory path found for {files.base_directory}")
    excluded = set(_matches(files.excludes, base, environment))
    found = sorted(set(_matches(files.patterns, base, environment)) - excluded)
    if not found:
        raise FilesError(f"no matching artifact paths found for {', '.join(files.patterns)}")
    if files.discard_paths:
        return [(path.name, path) for path in found]
    return [(_member_name(path, base), path) for path in found]


def pack(members: Iterable[tuple[str, Path]]) -> bytes:
    """A zip archive of the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for name, path in members:
            archive.write(path, name)
    return buffer.getvalue()


def _matches(patterns: Iterable[str], base: Path, environment: Mapping[str, str]) -> Iterable[Path]:
    for pattern in patterns:
        expanded = _expand(pattern, environment)
        if Path(expanded).is_absolute():
            yield from [Path(expanded)] if Path(expanded).is_file() else []
        else:
            yield from (path for path in base.glob(expanded) if path.is_file())


def _member_name(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else path.name


def _expand(text: str, environment: Mapping[str, str]) -> str:
    return Template(text).safe_substitute(environment)
