"""A build specification, version 0.2, as data: reads it and refuses what CodeBuild refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

PHASES: Final = ("install", "pre_build", "build", "post_build")
SHELLS: Final = {"sh": "/bin/sh", "/bin/sh": "/bin/sh", "bash": "/bin/bash"}


class BuildspecError(ValueError):
    """A build specification is not one; CodeBuild calls it `YAML_FILE_ERROR`."""


class OnFailure(StrEnum):
    """What happens after a phase failed."""

    ABORT = "ABORT"
    """No later phase runs."""
    CONTINUE = "CONTINUE"
    """The next phase runs; the build has failed all the same."""


@dataclass(frozen=True, slots=True)
class Phase:
    """The commands of one phase, and those that run after them in any case."""

    commands: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    on_failure: OnFailure | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """A selection of files of the build: patterns relative to a folder."""

    patterns: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    base_directory: str = "."
    discard_paths: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """Files of test results, and their format, such as `JUNITXML`."""

    files: Files
    file_format: str


@dataclass(frozen=True, slots=True)
class Buildspec:
    """What a build does."""

    shell: str
    variables: Mapping[str, str]
    parameters: Mapping[str, str]
    """Variable to the name of its SSM parameter."""
    secrets: Mapping[str, str]
    """Variable to `secret-id:json-key:version-stage:version-id`, of which the first is required."""
    exported: tuple[str, ...]
    phases: Mapping[str, Phase]
    reports: Mapping[str, ReportSpec]
    artifacts: Files | None
    secondary_artifacts: Mapping[str, Files]


def parse_buildspec(text: str) -> Buildspec:
    """Read a build specification; raise `BuildspecError` if it is not one of version 0.2."""
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise BuildspecError(str(error)) from error
    root = _mapping(document, "the build specification")
    if str(root.get("version")) != "0.2":
        raise BuildspecError(f"version: expected 0.2, found {root.get('version')}")
    env = _mapping(root.get("env"), "env")
    artifacts = _mapping(root.get("artifacts"), "artifacts")
    secondary = _mapping(artifacts.get("secondary-artifacts"), "artifacts.secondary-artifacts")
    reports = _mapping(root.get("reports"), "reports")
    return Buildspec(
        shell=_shell(env.get("shell", "sh")),
        variables=_strings(env.get("variables"), "env.variables"),
        parameters=_strings(env.get("parameter-store"), "env.parameter-store"),
        secrets=_strings(env.get("secrets-manager"), "env.secrets-manager"),
        exported=_list(env.get("exported-variables"), "env.exported-variables"),
        phases=_phases(_mapping(root.get("phases"), "phases")),
        reports={name: _report(name, value) for name, value in reports.items()},
        artifacts=_files(artifacts, "artifacts") if "files" in artifacts else None,
        secondary_artifacts={
            name: _files(_mapping(value, name), f"artifacts.secondary-artifacts.{name}")
            for name, value in secondary.items()
        },
    )


def _phases(section: Mapping[str, Any]) -> dict[str, Phase]:
    if not section:
        raise BuildspecError("phases: expected at least one of " + ", ".join(PHASES))
    for name in section:
        if name not in PHASES:
            raise BuildspecError(f"phases: unknown phase {name}, expected {', '.join(PHASES)}")
    return {name: _phase(name, _mapping(value, name)) for name, value in section.items()}


def _phase(name: str, section: Mapping[str, Any]) -> Phase:
    on_failure = section.get("on-failure")
    if on_failure is not None and on_failure not in OnFailure.__members__:
        raise BuildspecError(
            f"phases.{name}.on-failure: expected ABORT or CONTINUE, found {on_failure}"
        )
    return Phase(
        commands=_list(section.get("commands"), f"phases.{name}.commands"),
        always=_list(section.get("finally"), f"phases.{name}.finally"),
        on_failure=OnFailure(on_failure) if on_failure else None,
    )


def _report(name: str, value: object) -> ReportSpec:
    section = _mapping(value, f"reports.{name}")
    return ReportSpec(
        files=_files(section, f"reports.{name}"),
        file_format=str(section.get("file-format", "JUNITXML")).upper(),
    )


def _files(section: Mapping[str, Any], where: str) -> Files:
    patterns = _list(section.get("files"), f"{where}.files")
    if not patterns:
        raise BuildspecError(f"{where}.files: expected at least one pattern")
    name = section.get("name")
    return Files(
        patterns=patterns,
        excludes=_list(section.get("exclude-paths"), f"{where}.exclude-paths"),
        base_directory=str(section.get("base-directory", ".")),
        discard_paths=str(section.get("discard-paths", "no")).lower() in {"yes", "true"},
        name=None if name is None else str(name),
    )


def _shell(name: object) -> str:
    try:
        return SHELLS[str(name)]
    except KeyError:
        raise BuildspecError(f"env.shell: expected sh or bash, found {name}") from None


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BuildspecError(f"{where}: expected a mapping, found {type(value).__name__}")
    return {str(key): item for key, item in value.items()}


def _strings(value: object, where: str) -> dict[str, str]:
    return {key: _text(item, f"{where}.{key}") for key, item in _mapping(value, where).items()}


def _list(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(_text(item, f"{where}[{index}]") for index, item in enumerate(items))


def _text(value: object, where: str) -> str:
    """A scalar as text. A command with `: ` in it is a mapping to YAML: a common mistake."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise BuildspecError(
        f"{where}: expected a string, found {type(value).__name__}; quote a text with ': ' in it"
    )
