"""Finds a container engine, what its containers call this machine, and the images it lacks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from samcli.local.docker.lambda_image import Runtime

from tidegate.core.errors import NotFound

_DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
_ANSWER_SECONDS: Final = 5
_PULL_SECONDS: Final = 600
_REPOSITORY: Final = "public.ecr.aws/lambda"
_LOOPBACK: Final = "127.0.0.1"
_DESKTOP_HOST: Final = "host.docker.internal"
"""What containers of Docker Desktop call the machine; it forwards to the loopback interface."""
_ARCHITECTURES: Final = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that answers."""

    name: str
    architecture: str
    """As Lambda calls it."""
    listen_address: str
    """Where to serve for both this machine and containers."""
    host_name: str
    """What containers call that address."""


class NoEngineError(NotFound):
    """No container engine answers."""


def find_engine() -> Engine:
    """The engine of `DOCKER_HOST`, or the default one. Raises ``NoEngineError``."""
    address = os.environ.get("DOCKER_HOST") or _DEFAULT_ADDRESS
    scheme, _, path = address.partition("://")
    if scheme == "unix" and not Path(path).is_socket():
        raise NoEngineError(f"no container engine answers at {address}")
    try:
        with closing(_client(_ANSWER_SECONDS)) as client:
            about = client.version()
            gateway = _gateway(client)
    except DockerException as error:
        reason = _first_line(error)
        raise NoEngineError(f"no container engine answers at {address}: {reason}") from error
    listen_address, host_name = _LOOPBACK, _DESKTOP_HOST
    if gateway and _is_ours(gateway):
        listen_address = host_name = gateway
    return Engine(
        name=f"the container engine {about['Version']}",
        architecture=_ARCHITECTURES.get(about.get("Arch", ""), "x86_64"),
        listen_address=listen_address,
        host_name=host_name,
    )


def require_images(engine: Engine, runtimes: Iterable[str]) -> None:
    """Pull the base images of ``runtimes`` that the engine lacks. Raises ``NotFound``."""
    with closing(_client(_PULL_SECONDS)) as client:
        for runtime in sorted(set(runtimes)):
            image = f"{_REPOSITORY}/{Runtime.get_image_name_tag(runtime, engine.architecture)}"
            try:
                client.images.get(image)
            except ImageNotFound:
                _pull(client, image)


def _pull(client: Any, image: str) -> None:
    try:
        client.images.pull(image)
    except (APIError, ImageNotFound) as error:
        raise NotFound(
            f"the container engine has no image {image} and cannot pull it: {_first_line(error)}.",
            remedy=f"With a network: `docker pull {image}`. Without: load it from elsewhere "
            "(`docker save` there, `docker load` here), or make a stand-in from this machine's "
            f"Python: `python tests/integration/engine/base_image.py | docker import - {image}`. "
            "Or use no containers: ENDPOINT=local.",
        ) from error


def _client(timeout_seconds: float) -> Any:
    # not `docker.from_env`: the embedded AWS takes that away from ministack in its process
    return docker.DockerClient.from_env(timeout=timeout_seconds)


def _gateway(client: Any) -> str | None:
    """The address of this machine in the default network of the containers."""
    for network in client.networks.list(names=["bridge"]):
        for config in network.attrs["IPAM"]["Config"] or ():
            if "Gateway" in config:
                return str(config["Gateway"])
    return None


def _is_ours(address: str) -> bool:
    """Whether the address belongs to this machine: with a virtual machine between, it does not."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _first_line(error: Exception) -> str:
    said = getattr(error, "explanation", None) or str(error)
    return str(said).strip().partition(os.linesep)[0].rstrip(".")
