"""The environment of a build's commands: what CodeBuild sets, and nothing of ours by accident."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from tidegate_embedded.codebuild.buildspec import Buildspec
from tidegate_embedded.codebuild.record import BuildRecord

_OF_THIS_MACHINE: Final = re.compile(
    r"PIP_.*|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|TZ", re.IGNORECASE
)
"""What a build needs to know of the machine to reach package registries, and no more."""
_PIP_CONFIGS: Final = ("~/.config/pip/pip.conf", "~/.pip/pip.conf")
"""Where pip looks under HOME, which is another one in a build."""
_SECRET: Final = re.compile(
    r"(?P<id>arn:(?:[^:]*:){5}[^:]+|[^:]+)"
    r"(?::(?P<key>[^:]*))?(?::(?P<stage>[^:]*))?(?::(?P<version>[^:]*))?"
)


class Clients(Protocol):
    """Gives a client of a service in the account and region of the build."""

    def __call__(self, service: str) -> Any:
        """A client of `service`."""
        ...


def base_environment(*, home: Path, temporary: Path, toolchain: Path) -> dict[str, str]:
    """The environment of the "image": Python and our own commands first, then the machine's."""
    ours = Path(sys.executable).parent
    environment = _of_this_machine()
    environment |= {
        "PATH": f"{toolchain}:{ours}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "GIT_CEILING_DIRECTORIES": str(home.parent),  # no repository around the build is its own
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "CI": "true",
    }
    return environment


def _of_this_machine() -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if _OF_THIS_MACHINE.fullmatch(name)}
    for config in _PIP_CONFIGS:
        if (path := Path(config).expanduser()).is_file():
            found.setdefault("PIP_CONFIG_FILE", str(path))
    return found


def codebuild_variables(record: BuildRecord, source_dir: Path) -> dict[str, str]:
    """The variables that CodeBuild sets in every build."""
    build = record.describe()
    variables = {
        "CODEBUILD_BUILD_ARN": build["arn"],
        "CODEBUILD_BUILD_ID": build["id"],
        "CODEBUILD_BUILD_IMAGE": build["environment"].get("image", ""),
        "CODEBUILD_BUILD_NUMBER": str(build["buildNumber"]),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_INITIATOR": build["initiator"],
        "CODEBUILD_KMS_KEY_ID": build.get("encryptionKey", ""),
        "CODEBUILD_LOG_PATH": build["logs"]["streamName"],
        "CODEBUILD_SRC_DIR": str(source_dir),
        "CODEBUILD_START_TIME": str(int(build["startTime"] * 1000)),
        "CODEBUILD_SOURCE_VERSION": build.get("sourceVersion", ""),
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build.get("resolvedSourceVersion", ""),
        "CODEBUILD_SOURCE_REPO_URL": build["source"].get("location", ""),
    }
    return {name: value for name, value in variables.items() if value}


def user_variables(
    buildspec: Buildspec, variables: Iterable[Mapping[str, str]], clients: Clients
) -> dict[str, str]:
    """The variables of the build specification, overlaid with those of the project and the caller.

    Raises botocore's `ClientError` when a parameter or secret cannot be read.
    """
    found = dict(buildspec.variables)
    found |= {name: _parameter(clients, path) for name, path in buildspec.parameters.items()}
    found |= {name: _secret(clients, path) for name, path in buildspec.secrets.items()}
    for variable in variables:
        name, value = variable["name"], variable.get("value", "")
        match variable.get("type", "PLAINTEXT"):
            case "PARAMETER_STORE":
                found[name] = _parameter(clients, value)
            case "SECRETS_MANAGER":
                found[name] = _secret(clients, value)
            case _:
                found[name] = value
    return found


def _parameter(clients: Clients, name: str) -> str:
    answer = clients("ssm").get_parameter(Name=name, WithDecryption=True)
    value: str = answer["Parameter"]["Value"]
    return value


def _secret(clients: Clients, reference: str) -> str:
    match = _SECRET.fullmatch(reference)
    if match is None:
        raise ValueError(
            f"secret {reference}: expected secret-id:json-key:version-stage:version-id"
        )
    options = {"VersionStage": match["stage"], "VersionId": match["version"]}
    answer = clients("secretsmanager").get_secret_value(
        SecretId=match["id"], **{option: value for option, value in options.items() if value}
    )
    secret: str = answer["SecretString"]
    return str(json.loads(secret)[match["key"]]) if match["key"] else secret
