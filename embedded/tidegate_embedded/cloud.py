"""The embedded AWS: starts ministack with Tidegate's plug-ins behind one port of this machine."""

import asyncio
import importlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol, Self

import botocore.session
import docker
from botocore.config import Config
from docker.errors import DockerException
from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio import serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config as ServerConfig

from tidegate_embedded import credentials
from tidegate_embedded.delays import Delays
from tidegate_embedded.gateway import AsgiApp, Gateway, Request, Route

DEFAULT_REGION: Final = "eu-west-1"
HOST: Final = "127.0.0.1"
PLUGINS: Final = (
    "tidegate_embedded.cloudformation.engine:CloudFormationGaps",
    "tidegate_embedded.s3.gaps:S3Gaps",
    "tidegate_embedded.eventbridge.events:EventBridgeGaps",
    "tidegate_embedded.stepfunctions:StepFunctions",
    "tidegate_embedded.codebuild:CodeBuild",
    "tidegate_embedded.codepipeline:CodePipeline",
    "tidegate_embedded.cloudwatch:CloudWatchGaps",
    "tidegate_embedded.eventbridge.crossing:EventBridgeGaps",
    "tidegate_embedded.lambdas:LambdaDataPlane",
)
"""The plug-ins of the embedded AWS, as `module:class`, in the order of installation."""

_MINISTACK_PORT: Final = "4566"
"""What ministack believes its port to be when nobody said."""
_START_SECONDS: Final = 120.0  # only what hangs takes so long
_END_SECONDS: Final = 2.0
_REMOVE_SECONDS: Final = 30.0
_WORKERS: Final = 256
_CLIENT_CONFIG: Final = Config(
    read_timeout=910,  # the longest Lambda invocation, and a little
    max_pool_connections=64,
    retries={"mode": "standard", "total_max_attempts": 2},
)


class Cloud:
    """What a plug-in is given: the endpoint, clients of it, and where to hang itself in.

    Plug-ins read ``delays`` each time that they are about to wait, so it can be changed meanwhile;
    ``now`` is the clock, in seconds, by which they find what has become ready.
    """

    def __init__(self, endpoint: str, state_dir: Path, delays: Delays, secret: str) -> None:
        self.endpoint = endpoint
        self.secret = secret
        self.state_dir = state_dir
        self.delays = delays
        self.now: Callable[[], float] = time.monotonic
        self.routes: list[Route] = []
        self.any_signature: Callable[[Request], bool] = lambda _request: False
        """Which requests need no credentials of ours, as long as they are signed."""
        self._on_stop: list[Callable[[], None]] = []
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self._session = botocore.session.Session()  # one, for it caches the services' models
        self._session_lock = threading.Lock()

    def client(self, service: str, *, account: str, region: str = DEFAULT_REGION) -> Any:
        """A boto3 client of `service` as `account`, the same one at each call."""
        key = (service, account, region)
        with self._clients_lock:
            if key not in self._clients:
                self._clients[key] = self.new_client(service, region=region, access_key=account)
            return self._clients[key]

    def environment(self, account: str, region: str = DEFAULT_REGION) -> dict[str, str]:
        """The variables that point a process's AWS clients here, as `account`."""
        return credentials.environment(self.endpoint, self.secret, account, region)

    def new_client(
        self,
        service: str,
        *,
        region: str,
        access_key: str,
        secret_key: str | None = None,
        session_token: str | None = None,
        config: Config | None = None,
    ) -> Any:
        """A boto3 client of `service` with the given credentials, or those of an account."""
        with self._session_lock:
            return self._session.create_client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key or self.secret,
                aws_session_token=session_token,
                config=config or _CLIENT_CONFIG,
            )

    def add_route(self, route: Route) -> None:
        """Offer requests to `route` before ministack; of two routes that match, the first wins."""
        self.routes.append(route)

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the embedded AWS stops; the last one added is called first."""
        self._on_stop.append(callback)

    def close(self) -> None:
        """Run the stop callbacks, each whatever the others do, and close the clients."""
        failures: list[Exception] = []
        while self._on_stop:
            try:
                self._on_stop.pop()()
            except Exception as failure:
                failures.append(failure)
        for client in self._clients.values():
            client.close()
        if failures:
            raise ExceptionGroup("plug-ins of the embedded AWS did not stop cleanly", failures)


class Plugin(Protocol):
    """An addition to the embedded AWS."""

    def install(self, cloud: Cloud) -> None:
        """Hang routes and stop callbacks into `cloud`, before anything is served."""
        ...


class EmbeddedAws:
    """An AWS in this process, on one port, for tests and the demo; one at a time per process.

    Use it as a context manager, or call `start` and `stop`. Credentials are a 12-digit account
    number as access key, and a secret that each start makes: `client` and `environment` hand it
    out. ``delays`` are those of the environment unless given.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin] | None = None,
        *,
        state_dir: Path | None = None,
        delays: Delays | None = None,
    ) -> None:
        self._plugins = plugins
        self._delays = delays or Delays.from_environment()
        self._given_state_dir = state_dir
        self._cloud: Cloud | None = None
        self._server: _ServerThread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def cloud(self) -> Cloud:
        """What the plug-ins were given."""
        if self._cloud is None:
            raise RuntimeError("the embedded AWS is not started: call start() first")
        return self._cloud

    @property
    def endpoint(self) -> str:
        """The URL that `AWS_ENDPOINT_URL` takes."""
        return self.cloud.endpoint

    def client(self, service: str, *, account: str, region: str = DEFAULT_REGION) -> Any:
        """A boto3 client of `service` as `account`."""
        return self.cloud.client(service, account=account, region=region)

    def environment(self, *, account: str, region: str = DEFAULT_REGION) -> dict[str, str]:
        """The variables that point a child process's AWS clients here, as `account`."""
        return self.cloud.environment(account, region)

    def start(self, port: int = 0) -> None:
        """Serve on `port`, or on another one if it is 0 or in use; return when it answers."""
        if self._cloud is not None:
            raise RuntimeError("the embedded AWS is started already: call stop() first")
        listener = _bind(port)
        bound_port = listener.getsockname()[1]
        state_dir = self._given_state_dir or Path(tempfile.mkdtemp(prefix="tidegate-local-"))
        state_dir.mkdir(parents=True, exist_ok=True)
        secret = credentials.make_secret(state_dir)
        self._cloud = Cloud(f"http://{HOST}:{bound_port}", state_dir, self._delays, secret)
        try:
            ministack = _load_ministack(bound_port, state_dir)
            for plugin in default_plugins() if self._plugins is None else self._plugins:
                plugin.install(self._cloud)
            self._server = _ServerThread(ministack, self._cloud, listener)
            self._server.start()
        except BaseException:
            listener.close()
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything that was started, and forget all resources."""
        if self._cloud is None:
            return
        cloud, server = self._cloud, self._server
        self._cloud = self._server = None
        try:
            cloud.close()
        finally:
            if server is not None:
                server.stop()
            (cloud.state_dir / credentials.SECRET_FILE).unlink(missing_ok=True)
            if self._given_state_dir is None:
                _remove(cloud.state_dir)


def _remove(folder: Path) -> None:
    """Delete a folder that what is just ending may still write to."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


class _ServerThread:
    """Serves the gateway on an event loop of its own thread."""

    def __init__(self, ministack: AsgiApp, cloud: Cloud, listener: socket.socket) -> None:
        self._endpoint = cloud.endpoint
        self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="embedded-aws")
        admission: Any = importlib.import_module("tidegate_embedded.admission")  # as ministack is
        self._gateway = Gateway(
            ministack,
            cloud.routes,
            self._executor,
            port=listener.getsockname()[1],
            admission=admission.Admission(cloud.secret, cloud.any_signature),
        )
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-aws", daemon=True)

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if not self._thread.is_alive():
                raise RuntimeError("the embedded AWS stopped while starting") from self._failure
            if time.monotonic() > deadline:
                raise TimeoutError(f"the embedded AWS did not answer in {_START_SECONDS:.0f} s")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self._endpoint, timeout=5).close()  # noqa: S310 - it is ours
        except urllib.error.HTTPError as refused:  # nothing is signed
            refused.close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            _cancel_all(self._loop)
            self._loop.close()

    async def _serve(self) -> None:
        hypercorn_run.TCPServer = _Connection
        config = ServerConfig()
        config.bind = [f"fd://{self._listener.detach()}"]
        config.accesslog = None
        config.errorlog = logging.getLogger("tidegate_embedded.server")
        config.loglevel = "WARNING"
        config.graceful_timeout = 0.2
        config.keep_alive_timeout = 120
        await serve(self._gateway, config, shutdown_trigger=self._stopping.wait)
        _forget_resources()


class _Connection(TCPServer):  # type: ignore[misc]  # mypy does not read hypercorn
    """Ends with its client; hypercorn's own would hold the socket for the keep-alive time."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """End what still runs. A task that waits for a thread does not hear of it and is left."""
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=_END_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())


def _bind(port: int) -> socket.socket:
    """A socket on `port`, or on a free one if that is in use. It listens only once served."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.bind((HOST, 0))
    return listener


def _readdress(earlier_port: str, port: str) -> None:
    """Tell our address to the modules of ministack that were imported before it was known."""
    for module_name, module in list(sys.modules.items()):
        if not module_name.startswith("ministack."):
            continue
        for name, value in list(vars(module).items()):
            if name.endswith("_PORT") and value == earlier_port:
                setattr(module, name, port)
            elif name.endswith("_HOST") and value == "localhost":
                setattr(module, name, HOST)
            elif name == "REGION":
                setattr(module, name, DEFAULT_REGION)


def _load_ministack(port: int, state_dir: Path) -> AsgiApp:
    """Import ministack set up for this machine: quiet, on our port, with no other port or Docker.

    It reads most of its settings from the environment at import, some later.
    """
    earlier_port = os.environ.get("GATEWAY_PORT", _MINISTACK_PORT)
    os.environ.update(
        GATEWAY_PORT=str(port),
        MINISTACK_HOST=HOST,
        MINISTACK_REGION=DEFAULT_REGION,
        STATE_DIR=str(state_dir / "ministack"),
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
    )
    logging.basicConfig(level=logging.WARNING)  # else ministack does, and logs every request
    app: Any = importlib.import_module("ministack.app")
    _readdress(earlier_port, str(port))
    app._docker_socket_present = lambda: False
    docker.from_env = _refuse_docker
    app._reset_lock = None  # a lock belongs to one event loop
    asgi: AsgiApp = app.app
    return asgi


def _refuse_docker(**_options: object) -> NoReturn:
    """Stands in for `docker.from_env`: ministack looks for an engine even when it resets."""
    raise DockerException("the embedded AWS uses no container engine")


def _forget_resources() -> None:
    app: Any = importlib.import_module("ministack.app")
    app._reset_all_state()


def default_plugins() -> list[Plugin]:
    """What the embedded AWS is made of besides its base, each new."""
    found: list[Plugin] = []
    for entry in PLUGINS:
        module, _, name = entry.partition(":")
        found.append(getattr(importlib.import_module(module), name)())
    return found
