"""Functions as the control plane holds them: versions to run, and what a caller's name means."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from ministack.services import lambda_svc

LATEST: Final = "$LATEST"
_ARN_PARTS: Final = 8


class FunctionNotFoundError(Exception):
    """No function, version or alias has this name."""


class RandomSource(Protocol):
    """Decides which version of a weighted alias serves an invocation."""

    def random(self) -> float:
        """A number from 0.0 up to, but not including, 1.0."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """Code and configuration of one version; equal ones may share execution environments."""

    account: str
    region: str
    name: str
    number: str
    """Digits, or `$LATEST`."""
    handler: str
    runtime: str
    timeout_seconds: int
    memory_mb: int
    variables: tuple[tuple[str, str], ...]
    layers: tuple[str, ...]
    code_sha256: str
    record: Mapping[str, Any] = field(compare=False, repr=False)
    """What ministack stores: `config` and `code_zip`."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The version that a record of ministack describes."""
        config = record["config"]
        _, _, _, region, account, *_ = config["FunctionArn"].split(":")
        return cls(
            account=account,
            region=region,
            name=config["FunctionName"],
            number=config.get("Version", LATEST),
            handler=config.get("Handler", ""),
            runtime=config.get("Runtime", ""),
            timeout_seconds=int(config.get("Timeout", 3)),
            memory_mb=int(config.get("MemorySize", 128)),
            variables=_variables(config),
            layers=tuple(layer["Arn"] for layer in config.get("Layers") or ()),
            code_sha256=config.get("CodeSha256", ""),
            record=record,
        )

    @property
    def code(self) -> bytes:
        """The deployment package."""
        return self.record.get("code_zip") or b""

    @property
    def log_group(self) -> str:
        """Where its log goes."""
        logging = self.record["config"].get("LoggingConfig") or {}
        return str(logging.get("LogGroup") or f"/aws/lambda/{self.name}")

    def layer_packages(self) -> list[bytes]:
        """The contents of its layers, in their order."""
        config = self.record["config"]
        resolve = lambda_svc._resolve_layer_zip
        found = (
            lambda_svc._run_with_function_config_scope(config, resolve, layer)
            for layer in config.get("Layers") or ()
        )
        return [package for package in found if package]


@dataclass(frozen=True, slots=True)
class Target:
    """One invocation's function: the name that the caller used, and the version that serves it."""

    version: FunctionVersion
    qualifier: str | None
    """As the caller named it: a version's number, `$LATEST`, an alias, or nothing."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The target that an execution record of ministack stands for: its ARN is the caller's."""
        parts = record["config"]["FunctionArn"].split(":")
        qualifier = parts[_ARN_PARTS - 1] if len(parts) >= _ARN_PARTS else None
        return cls(FunctionVersion.of(record), qualifier)

    @property
    def arn(self) -> str:
        """The invoked ARN, with the caller's qualifier."""
        version = self.version
        arn = f"arn:aws:lambda:{version.region}:{version.account}:function:{version.name}"
        return f"{arn}:{self.qualifier}" if self.qualifier else arn

    @property
    def resource(self) -> str:
        """The `Resource` dimension of its metrics."""
        name = self.version.name
        return f"{name}:{self.qualifier}" if self.qualifier else name

    @property
    def by_alias(self) -> bool:
        """Whether the caller named an alias."""
        qualifier = self.qualifier
        return qualifier is not None and qualifier != LATEST and not qualifier.isdigit()

    @property
    def function(self) -> Mapping[str, Any]:
        """What ministack stores of the function as a whole; empty when it was deleted since."""
        version = self.version
        scope = (version.account, version.region, version.name)
        found: Mapping[str, Any] = lambda_svc._functions.get_scoped(*scope) or {}
        return found

    @property
    def reserved_concurrency(self) -> int | None:
        """The most invocations of the function at a time, if that is limited."""
        reserved = self.function.get("concurrency")
        return None if reserved is None else int(reserved)


def find(
    name_or_arn: str, qualifier: str | None, *, account: str, region: str, chance: RandomSource
) -> Target:
    """What to run when somebody invokes `name_or_arn`.

    Raises
    ------
    FunctionNotFoundError
        There is no such function, version or alias in the account and region.
    """
    name, own_qualifier = lambda_svc._resolve_name_and_qualifier(name_or_arn)
    qualifier = own_qualifier or qualifier
    function = None
    if _in_scope(name_or_arn, account, region):
        function = lambda_svc._functions.get_scoped(account, region, name)
    record = pick(function, qualifier, chance) if function else None
    if record is None:
        arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
        raise FunctionNotFoundError(
            f"Function not found: {arn}:{qualifier}" if qualifier else f"Function not found: {arn}"
        )
    return Target(FunctionVersion.of(record), qualifier)


def pick(
    function: Mapping[str, Any], qualifier: str | None, chance: RandomSource
) -> Mapping[str, Any] | None:
    """The record of the version that serves `qualifier`; an alias's weights decide by `chance`."""
    alias = function["aliases"].get(qualifier)
    number = _draw(alias, chance) if alias else qualifier or LATEST
    if number == LATEST:
        return function
    version: Mapping[str, Any] | None = function["versions"].get(number)
    return version


def _draw(alias: Mapping[str, Any], chance: RandomSource) -> str:
    drawn = chance.random()
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    for number, weight in weights.items():
        if drawn < weight:
            return str(number)
        drawn -= weight
    return str(alias["FunctionVersion"])


def _in_scope(name_or_arn: str, account: str, region: str) -> bool:
    if not name_or_arn.startswith("arn:"):
        return True
    return name_or_arn.split(":")[3:5] == [region, account]


def default_chance() -> RandomSource:
    """A source that nobody can predict."""
    return random.SystemRandom()


def _variables(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The function's variables in order; numbers and truth values of a template as their text."""
    values = lambda_svc._runtime_env_vars(config)
    return tuple(
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in sorted(values.items())
    )
