"""The container-free endpoint: the embedded AWS with the functions of one built application."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate_embedded.cloud import DEFAULT_REGION, Cloud, EmbeddedAws
from tidegate_embedded.cloudwatch import CloudWatchGaps
from tidegate_embedded.endpoint.application import BuiltFunction, create_functions, read_application
from tidegate_embedded.gateway import Request, Response, Route
from tidegate_embedded.lambdas import LambdaDataPlane
from tidegate_embedded.lambdas.api import InvokeRoute

ACCOUNT: Final = "123456789012"
"""The account of the functions."""
_SCOPE: Final = re.compile(r"arn:aws:lambda:[^:/]+:\d{12}:")


@dataclass(frozen=True, slots=True)
class Served:
    """A running endpoint."""

    url: str
    functions: tuple[BuiltFunction, ...]
    left_out: tuple[BuiltFunction, ...]
    """What only a container can run."""


@contextmanager
def serving(
    build_dir: Path,
    *,
    port: int = 0,
    parameters: Mapping[str, str] | None = None,
    state: Path | None = None,
) -> Iterator[Served]:
    """Serve the functions of a `sam build` in this process. Raises ``InputError``.

    Another port is taken when ``port`` is in use. ``state`` is the folder of its files.
    """
    functions = read_application(build_dir, parameters)
    ours = tuple(function for function in functions if function.is_python)
    aws = EmbeddedAws([CloudWatchGaps(), LambdaDataPlane(), AnyCaller()], state_dir=state)
    aws.start(port)
    try:
        create_functions(aws.client("lambda", account=ACCOUNT), list(ours), ACCOUNT)
        others = tuple(function for function in functions if not function.is_python)
        yield Served(aws.endpoint, ours, others)
    finally:
        aws.stop()


class AnyCaller:
    """Plug-in: invocations need no particular credentials and region, as with `sam local`.

    Whatever the account and the region that a caller signs for and names in an ARN, it invokes
    the functions of the application. It has to sign, for no web page can; and it can do nothing
    else, for everything else would let it run code that is not the application's.
    """

    def install(self, cloud: Cloud) -> None:
        """Wrap the route of `Invoke`, which is there already."""
        (invoke,) = (route for route in cloud.routes if isinstance(route, InvokeRoute))
        at_home = _AtHome(invoke)
        cloud.routes[cloud.routes.index(invoke)] = at_home
        cloud.any_signature = at_home.matches


class _AtHome:
    """Offers a request to a route as if the application's own account had signed it."""

    def __init__(self, route: Route) -> None:
        self._route = route

    def matches(self, request: Request) -> bool:
        """Whether the route answers it."""
        return self._route.matches(_at_home(request))

    def handle(self, request: Request) -> Response:
        """Have the route answer it."""
        return self._route.handle(_at_home(request))


def _at_home(request: Request) -> Request:
    path = _SCOPE.sub(f"arn:aws:lambda:{DEFAULT_REGION}:{ACCOUNT}:", request.path)
    return dataclasses.replace(request, account=ACCOUNT, region=DEFAULT_REGION, path=path)
