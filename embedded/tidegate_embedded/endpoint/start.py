"""Starts a Lambda endpoint as a process of its own: with containers by `sam local`, or without."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import boto3
from botocore.config import Config
from samcli.yamlhelper import yaml_dump, yaml_parse

from tidegate.core.errors import InputError, TidegateError
from tidegate_embedded import credentials
from tidegate_embedded.cloud import DEFAULT_REGION
from tidegate_embedded.endpoint.application import read_application
from tidegate_embedded.endpoint.engine import Engine, NoEngineError, find_engine, require_images
from tidegate_embedded.endpoint.serve import ACCOUNT

_LOG: Final = "endpoint.log"
_TEMPLATE: Final = "template.endpoint.yaml"
_ENDPOINT_VARIABLE: Final = "AWS_ENDPOINT_URL_LAMBDA"
_FUNCTION_TYPES: Final = ("AWS::Serverless::Function", "AWS::Lambda::Function")
_LOOPBACK: Final = "127.0.0.1"
_ANY_SECRET: Final = "any"  # noqa: S105 - `sam local` does not look at it
_START_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 20.0
_LONGEST_INVOCATION_SECONDS: Final = 900


class Kind(StrEnum):
    """Which endpoint to start."""

    SAM = "sam"  # `sam local start-lambda`: the functions run in containers
    LOCAL = "local"  # the embedded AWS: the functions run as processes


@dataclass(frozen=True, slots=True)
class Choice:
    """An endpoint to start, and why this one."""

    kind: Kind
    why: str
    engine: Engine | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint."""

    kind: Kind
    url: str
    secret: str = field(default=_ANY_SECRET, repr=False)

    def client(self) -> Any:
        """A boto3 client that invokes here, once, however long that takes."""
        session = boto3.Session(
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=self.secret,
            region_name=DEFAULT_REGION,
        )
        config = Config(
            read_timeout=_LONGEST_INVOCATION_SECONDS,
            max_pool_connections=64,
            retries={"total_max_attempts": 1},
        )
        client: Any = session.client("lambda", endpoint_url=self.url, config=config)
        return client

    def arn(self, function: str, qualifier: str | None = None) -> str:
        """The ARN of a function of the application."""
        arn = f"arn:aws:lambda:{DEFAULT_REGION}:{ACCOUNT}:function:{function}"
        return f"{arn}:{qualifier}" if qualifier else arn


def choose(wanted: str = "") -> Choice:
    """`sam` when a container engine answers, else `local`; or what is ``wanted``.

    Raises
    ------
    NoEngineError
        `sam` is wanted, and no container engine answers.
    InputError
        Something else is wanted.
    """
    if wanted == Kind.LOCAL:
        return Choice(Kind.LOCAL, "it was asked for")
    if wanted not in {"", Kind.SAM}:
        raise InputError(f"there is no endpoint {wanted!r}.", remedy="Say sam or local.")
    try:
        engine = find_engine()
    except NoEngineError as error:
        if wanted:
            raise
        return Choice(Kind.LOCAL, str(error))
    why = f"it was asked for, and {engine.name} answers" if wanted else f"{engine.name} answers"
    return Choice(Kind.SAM, why, engine)


@contextmanager
def running(
    choice: Choice, build_dir: Path, parameters: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """Start the chosen endpoint for what `sam build` left in ``build_dir``; stop it in the end.

    Its output goes to `endpoint.log` there. Raises ``TidegateError`` when it does not start.
    """
    parameters = parameters or {}
    if choice.engine is None:
        address, command = _LOOPBACK, _local_command(build_dir, parameters)
    else:
        address, command = choice.engine.listen_address, _sam_command(choice.engine, build_dir)
    port = _free_port(address)
    url = f"http://{address}:{port}"
    if choice.engine is not None:
        runtimes = [function.runtime for function in read_application(build_dir, parameters)]
        require_images(choice.engine, filter(None, runtimes))
        _write_template(build_dir, f"http://{choice.engine.host_name}:{port}")
        command += _overrides(parameters)
    command += ["--port", str(port)]
    with TemporaryDirectory(prefix="tidegate-", ignore_cleanup_errors=True) as scratch:
        state = Path(scratch) / "state"
        if choice.kind is Kind.LOCAL:
            command += ["--state", str(state)]
        with _process(command, build_dir / _LOG, scratch) as process:
            _wait_until_ready(process, url, build_dir / _LOG)
            if choice.kind is Kind.LOCAL:
                yield Endpoint(choice.kind, url, credentials.read_secret(state))
            else:
                yield Endpoint(choice.kind, url)


def _local_command(build_dir: Path, parameters: Mapping[str, str]) -> list[str]:
    command = [sys.executable, "-m", "tidegate.cli", "local", "lambda", "--exit-with-parent"]
    command += ["--build-dir", str(build_dir)]
    for name, value in parameters.items():
        command += ["--parameter", f"{name}={value}"]
    return command


def _sam_command(engine: Engine, build_dir: Path) -> list[str]:
    beside = Path(sys.executable).with_name("sam")
    sam = str(beside) if beside.exists() else "sam"
    command = [sam, "local", "start-lambda", "--template", str(build_dir / _TEMPLATE)]
    command += ["--host", engine.listen_address, "--region", DEFAULT_REGION]
    command += ["--skip-pull-image", "--warm-containers", "LAZY"]
    if guard := shutil.which("setpriv"):  # when this process is killed, so is that one
        command = [guard, "--pdeathsig", "TERM", *command]
    return command


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    pairs = [f"{name}={value}" for name, value in parameters.items()]
    return ["--parameter-overrides", *pairs] if pairs else []


def _write_template(build_dir: Path, endpoint: str) -> None:
    """Copy the built template, with the endpoint in the variables of each function.

    `sam local` passes only variables that the template names, and the template of an application
    must not name one that points to a workstation.
    """
    template = yaml_parse((build_dir / "template.yaml").read_text("utf-8"))
    for resource in template["Resources"].values():
        if resource["Type"] in _FUNCTION_TYPES:
            environment = resource.setdefault("Properties", {}).setdefault("Environment", {})
            environment.setdefault("Variables", {}).setdefault(_ENDPOINT_VARIABLE, endpoint)
    (build_dir / _TEMPLATE).write_text(yaml_dump(template), encoding="utf-8")


@contextmanager
def _process(command: list[str], log: Path, scratch: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, in a process group that ends with this block."""
    process = _begin(command, log, scratch)
    try:
        yield process
    finally:
        _end(process)


def _begin(command: list[str], log: Path, scratch: str) -> subprocess.Popen[bytes]:
    variables = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCOUNT,  # none of the person's own reach a function under test
        "AWS_SECRET_ACCESS_KEY": _ANY_SECRET,
        "AWS_SESSION_TOKEN": "",
        "SAM_CLI_TELEMETRY": "0",
        "TMPDIR": scratch,  # `sam local` leaves files behind
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, which lets `sam local` remove its containers; then make it.

    Not by SIGINT: what a shell starts with `&` ignores it, and so does all that this starts.
    """
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the server says where it serves: both kinds do, once they can."""
    deadline = time.monotonic() + _START_SECONDS
    while url not in (output := log.read_text(errors="replace")):
        if process.poll() is not None:
            last = " ".join(output.strip().splitlines()[-3:])
            raise TidegateError(
                f"the endpoint ended with exit code {process.returncode}: {last}",
                remedy=f"See {log}.",
            )
        if time.monotonic() > deadline:
            raise TidegateError(
                f"the endpoint did not answer within {_START_SECONDS:.0f} s.", remedy=f"See {log}."
            )
        time.sleep(0.05)


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
