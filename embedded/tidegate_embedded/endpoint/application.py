"""The functions of a `sam build`: read as `sam local` reads them, created by the Lambda API."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

from tidegate.core.errors import InputError

_ROLE = "arn:aws:iam::{account}:role/local"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class BuiltFunction:
    """One function of a built template."""

    name: str
    """`FunctionName`, or the logical id where the template names none."""
    runtime: str
    """Empty for a container image."""
    handler: str
    timeout_seconds: int
    memory_mb: int
    variables: Mapping[str, str]
    code: Path
    layers: tuple[Path, ...]
    alias: str | None
    """`AutoPublishAlias`."""

    @property
    def is_python(self) -> bool:
        """Whether it runs without a container."""
        return self.runtime.startswith("python")


def read_application(
    build_dir: Path, parameters: Mapping[str, str] | None = None
) -> list[BuiltFunction]:
    """The functions that `sam build --build-dir` left in ``build_dir``. Raises ``InputError``."""
    template = build_dir / "template.yaml"
    if not template.is_file():
        raise InputError(
            f"{template} does not exist.", remedy=f"Run `sam build --build-dir {build_dir}` first."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the translator, for the SAM CLI
        return _read_template(template, dict(parameters or {}))


def create_functions(client: Any, functions: list[BuiltFunction], account: str) -> None:
    """Create the functions, with a version and an alias for each that publishes one."""
    layers: dict[Path, str] = {}
    for function in functions:
        for folder in function.layers:
            if folder not in layers:
                layers[folder] = _publish_layer(client, folder)
        client.create_function(
            FunctionName=function.name,
            Runtime=function.runtime,
            Handler=function.handler,
            Timeout=function.timeout_seconds,
            MemorySize=function.memory_mb,
            Environment={"Variables": dict(function.variables)},
            Layers=[layers[folder] for folder in function.layers],
            Role=_ROLE.format(account=account),
            Code={"ZipFile": _zip(function.code)},
        )
        if function.alias:
            version = client.publish_version(FunctionName=function.name)["Version"]
            client.create_alias(
                FunctionName=function.name, Name=function.alias, FunctionVersion=version
            )


def _read_template(template: Path, parameters: dict[str, str]) -> list[BuiltFunction]:
    stacks, _ = SamLocalStackProvider.get_stacks(str(template), parameter_overrides=parameters)
    aliases = {
        logical_id: resource.get("Properties", {}).get("AutoPublishAlias")
        for stack in stacks
        for logical_id, resource in stack.resources.items()
    }
    provider = SamFunctionProvider(stacks, ignore_code_extraction_warnings=True)
    return [_read(function, aliases.get(function.name)) for function in provider.get_all()]


def _read(function: Any, alias: object) -> BuiltFunction:
    if function.inlinecode is not None:
        raise InputError(
            f"{function.name} has InlineCode, which is not built.",
            remedy="Move the code to a file, and name its folder in CodeUri.",
        )
    return BuiltFunction(
        name=function.functionname,
        runtime=function.runtime or "",
        handler=function.handler or "",
        timeout_seconds=int(function.timeout or 3),
        memory_mb=int(function.memory or 128),
        variables={
            name: _text(value)
            for name, value in ((function.environment or {}).get("Variables") or {}).items()
        },
        code=Path(str(function.codeuri)),
        layers=tuple(_layer_folder(function.name, layer) for layer in function.layers),
        alias=alias if isinstance(alias, str) else None,
    )


def _layer_folder(function: str, layer: Any) -> Path:
    if not layer.codeuri:
        raise InputError(
            f"{function} uses the layer {layer.arn}, which is not in the template.",
            remedy="Define it there, or use the endpoint of `sam local`, which downloads it.",
        )
    return Path(layer.codeuri)


def _publish_layer(client: Any, folder: Path) -> str:
    layer = client.publish_layer_version(LayerName=folder.name, Content={"ZipFile": _zip(folder)})
    return str(layer["LayerVersionArn"])


def _zip(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr = path.stat().st_mode << 16
            archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _text(value: object) -> str:
    """A variable as the function sees it: as in `sam local`, empty if only AWS can resolve it."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else ""
